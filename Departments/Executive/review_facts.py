"""The facts of a review with the limits beside them, and which of them ask for a person. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from Departments.constraints import amounts
from Departments.constraints.amounts import find_contradiction, regime_of
from Departments.constraints.engine import PlanVerdict
from Departments.constraints.headroom import Headroom, sector_rooms
from Departments.constraints.limits import Limits
from Departments.constraints.table import BUY_HALTS, CONSTRAINTS
from Departments.core.facts import Facts
from Departments.core.money import ZERO, percent, plain, usd, usd_cents
from Departments.core.plans import Trade, TradingPlan
from Departments.core.portfolio import UNKNOWN_SECTOR
from Departments.core.reasons import ReasonCode
from Departments.core.regimes import Regime
from Departments.core.trading_calendar import is_trading_day, trading_day
from Departments.messaging.plan_stages import RESEARCH

NEAR_TARGET: Final = Decimal("0.02")  # of equity: whole shares and the price buffer cost about this much
#: The lines about what is left of a limit; the sectors have lines of their own.
ROOMS: Final[Mapping[str, str]] = {
    "portfolio_risk.min_cash_reserve_pct": "cash after",
    "position_limits.max_positions_total": "positions after",
    "position_limits.max_single_position_pct": "largest position",
    "portfolio_risk.max_portfolio_heat": "portfolio heat",
}


@dataclass(frozen=True, slots=True)
class ReviewFact:
    """One line of a review: a fact, its limit if it has one, and the rule that asks for a person, empty for none."""

    name: str
    value: str
    limit: str = ""
    rule: str = ""

    @property
    def sentence(self) -> str:
        """Return the line for people, with its rule."""
        beside = f" (limit {self.limit})" if self.limit else ""
        return f"{self.name}: {self.value}{beside}, by {self.rule}"

    def document(self) -> dict[str, str]:
        """Return the line for `--json`."""
        return {"fact": self.name, "value": self.value, "limit": self.limit, "rule": self.rule}


@dataclass(frozen=True, slots=True)
class Past:
    """The days before: the last execution, the last plan of an earlier day, fees as a share of the dollars traded."""

    last_run: date | None = None
    plan: TradingPlan | None = None
    fee_rate: Decimal | None = None


NO_PAST: Final = Past()


def list_facts(
    plan: TradingPlan,
    verdict: PlanVerdict,
    before: Facts,
    rooms: tuple[Headroom, ...],
    limits: Limits,
    past: Past,
) -> tuple[ReviewFact, ...]:
    """Return the facts of a plan on today's account."""
    return (
        *_list_names(plan, verdict, before, past),
        *_list_trades(plan, verdict, before, limits),
        *_list_rooms(verdict.facts, rooms, limits),
        *_list_costs(plan, before, past),
        *_list_market(before, limits),
        *_list_gaps(plan, verdict, before, limits),
        _describe_last_run(before, limits, past.last_run),
    )


def _list_names(plan: TradingPlan, verdict: PlanVerdict, before: Facts, past: Past) -> Iterator[ReviewFact]:
    held = {s for s, p in before.positions.items() if p.qty != 0}
    left = {s for s, p in verdict.facts.positions.items() if p.qty != 0}
    yield ReviewFact("names in", ", ".join(sorted(left - held)) or "none")
    yield ReviewFact("names out", ", ".join(sorted(held - left)) or "none")
    if past.plan is None:
        yield ReviewFact("against the last plan", "this is the first plan")
    else:
        day = trading_day(past.plan.generated_at)
        yield ReviewFact(f"against the plan of {day}", compare_trades(past.plan.trades, plan.trades))


def compare_trades(earlier: tuple[Trade, ...], now: tuple[Trade, ...]) -> str:
    """Return the differences of two plans' trades for people: names in and out, sizes, sides."""
    old, new = ({t.symbol: t for t in trades} for trades in (earlier, now))
    both = sorted(old.keys() & new.keys())
    kinds = {
        "in": [f"{_size(new[s])} {s}" for s in sorted(new.keys() - old.keys())],
        "out": [f"{_size(old[s])} {s}" for s in sorted(old.keys() - new.keys())],
        "other side": [f"{s} {_size(old[s])}, now {_size(new[s])}" for s in both if old[s].side is not new[s].side],
        "other size": [
            f"{s} {_size(old[s])}, now {plain(new[s].qty)}"
            for s in both
            if old[s].side is new[s].side and old[s].qty != new[s].qty
        ],
    }
    return "; ".join(f"{kind}: {', '.join(found)}" for kind, found in kinds.items() if found) or "the same trades"


def _size(trade: Trade) -> str:
    return f"{trade.side} {plain(trade.qty)}"


def _list_trades(plan: TradingPlan, verdict: PlanVerdict, before: Facts, limits: Limits) -> Iterator[ReviewFact]:
    after, rules = verdict.facts, limits.review
    turnover = plan.turnover(before.equity)
    rule = "review.hold_turnover_pct" if turnover > rules.hold_turnover_pct else ""
    yield ReviewFact("turnover", percent(turnover), percent(rules.hold_turnover_pct), rule)
    share, target = after.invested / before.equity if before.equity > 0 else ZERO, limits.deployment.target_pct
    is_idle = rules.hold_nothing_traded and not plan.trades and share < target - NEAR_TARGET
    rule = "review.hold_nothing_traded" if is_idle else ""
    yield ReviewFact("deployment", percent(share), f"target {percent(target)}", rule)
    yield _describe_idle(plan, before, after, limits)


def _describe_idle(plan: TradingPlan, before: Facts, after: Facts, limits: Limits) -> ReviewFact:
    """Return the line about the money for the day's BUYs, and the limit behind most idle money."""
    most, name = limits.review.hold_idle_pct, "deployment of today's money"
    day = replace(after, invested_before=before.invested) if after.invested_before is None else after
    bought = sum((trade.notional or ZERO for trade in plan.buys), ZERO)
    left = amounts.deployable_money(limits, day, (trade.symbol for trade in plan.buys))
    may = bought + left
    if may <= 0:
        return ReviewFact(name, "none may be invested")
    binding, share = str(_mapping(plan.extra.get("deployment_goal")).get("binding") or ""), bought / may
    is_idle = 1 - share > most and left > amounts.maximum_auto_position(limits, before.equity)
    rule = "review.hold_idle_pct" if is_idle and _wants_more(plan, binding) else ""
    shown = f"{percent(share)} of {usd(may)}{f', {binding} binds' if binding else ''}"
    return ReviewFact(name, shown, f"at least {percent(1 - most)}", rule)


def _wants_more(plan: TradingPlan, binding: str) -> bool:
    """Return True if a plan means to invest: a briefing has candidates, no sizes are given, and nothing halts BUYs."""
    is_exact = _mapping(plan.extra.get("proposal")).get("mode") == "exact"
    has_candidates = bool(_mapping(plan.extra.get(RESEARCH)).get("candidates"))
    return has_candidates and not is_exact and binding not in {"", ReasonCode.SIZES_KEPT, *BUY_HALTS}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list_rooms(after: Facts, rooms: tuple[Headroom, ...], limits: Limits) -> Iterator[ReviewFact]:
    for room in rooms:
        if room.key in ROOMS:
            yield _describe_room(ROOMS[room.key], room, limits)
    for room in sector_rooms(after, limits):
        about = room.about.replace(f"{UNKNOWN_SECTOR}:", f"{UNKNOWN_SECTOR} of ")
        yield _describe_room(f"sector {about}", room, limits, after.equity)


def _describe_room(name: str, room: Headroom, limits: Limits, equity: Decimal = ZERO) -> ReviewFact:
    """Return the line of a limit, sectors as shares of equity."""
    if equity > 0:
        used, bound = (percent(n / equity) for n in (room.used, room.bound))
    else:
        used, bound = (usd(n) if room.unit == "dollars" else plain(n) for n in (room.used, room.bound))
    least = "at least " if room.key == "portfolio_risk.min_cash_reserve_pct" else ""
    about = f" ({room.about})" if room.about and not equity else ""
    rule = "review.hold_exceeded" if limits.review.hold_exceeded and room.left < 0 else ""
    return ReviewFact(f"{name}{about}", used, f"{least}{bound}", rule)


def _list_costs(plan: TradingPlan, facts: Facts, past: Past) -> Iterator[ReviewFact]:
    traded = sum((trade.notional or ZERO for trade in plan.trades), ZERO)
    known = "unknown: none of the last 90 days had a trade"
    if past.fee_rate is not None:
        rate = f"{100 * past.fee_rate:.4f}".rstrip("0").rstrip(".")
        known = f"{usd_cents(traded * past.fee_rate)}, by {rate}% of what the last 90 days traded"
    yield ReviewFact("expected fees", known)
    costs, unknown = ZERO, 0
    for trade in plan.trades:
        stock = facts.of(trade.symbol)
        if stock.bid is None or stock.ask is None:
            unknown += 1
        else:
            costs += trade.qty * max(ZERO, stock.ask - stock.bid) / 2
    left = f", {unknown} orders without a quote" if unknown else ""
    yield ReviewFact("expected spread", f"{usd(costs)}, half the spread of each order{left}")


def _list_market(facts: Facts, limits: Limits) -> Iterator[ReviewFact]:
    rules = limits.review
    regime = regime_of(limits, facts) if any(view.regime for view in facts.views) else None
    is_panic = rules.hold_panic and regime is Regime.PANIC
    yield ReviewFact("regime", str(regime or Regime.UNKNOWN), "", "review.hold_panic" if is_panic else "")
    contradiction = find_contradiction(limits, facts)
    rule = "review.hold_contradicting_regimes" if contradiction and rules.hold_contradicting_regimes else ""
    yield ReviewFact("views of the market", contradiction or "no contradiction", "", rule)


def _list_gaps(plan: TradingPlan, verdict: PlanVerdict, facts: Facts, limits: Limits) -> Iterator[ReviewFact]:
    rules, sides = limits.review, frozenset(trade.side for trade in plan.trades)
    judged = {row.code for row in CONSTRAINTS if "review" in row.judged_at and row.sides & sides}
    missing = sorted({str(gap.code) for gap in verdict.not_evaluated})
    share = Decimal(len(missing)) / len(judged) if judged else ZERO
    rule = "review.hold_unevaluated_pct" if share >= rules.hold_unevaluated_pct else ""
    shown = f"{len(missing)} of {len(judged)}{': ' if missing else ''}{', '.join(missing)}"
    yield ReviewFact("limits not evaluated", shown, f"under {percent(rules.hold_unevaluated_pct)}", rule)
    locked, most = sorted(facts.locks), rules.hold_locked_symbols
    rule = "review.hold_locked_symbols" if len(locked) >= most else ""
    shown = f"{len(locked)}: {', '.join(locked)}" if locked else "none"
    yield ReviewFact("locked symbols", shown, f"under {most}", rule)
    ages = [facts.now - at for t in plan.trades if (at := facts.of(t.symbol).price_at) is not None]
    oldest = max(ages, default=timedelta(0))
    hours = f"{plain(limits.staleness.price_max_age_hours)} hours"
    yield ReviewFact("oldest price", f"{int(oldest.total_seconds() // 60)} minutes" if ages else "unknown", hours)


def _describe_last_run(facts: Facts, limits: Limits, last_run: date | None) -> ReviewFact:
    if last_run is None:
        return ReviewFact("trading days since the last run", "the first run")
    today, most = trading_day(facts.now), limits.review.hold_days_since_last_run
    past = (last_run + timedelta(days=n) for n in range(1, (today - last_run).days + 1))
    days = sum(is_trading_day(day) for day in past)
    rule = "review.hold_days_since_last_run" if days > most else ""
    return ReviewFact("trading days since the last run", str(days), str(most), rule)
