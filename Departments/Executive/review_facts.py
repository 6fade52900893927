"""The facts of a review with the limits beside them, and which of them ask for a person. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from Departments.constraints.amounts import find_contradiction, regime_of
from Departments.constraints.engine import PlanVerdict
from Departments.constraints.headroom import Headroom
from Departments.constraints.limits import Limits
from Departments.constraints.table import CONSTRAINTS
from Departments.core.facts import Facts
from Departments.core.money import ZERO, percent, plain, usd
from Departments.core.plans import TradingPlan
from Departments.core.regimes import Regime
from Departments.core.trading_calendar import is_trading_day, trading_day


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


def list_facts(
    plan: TradingPlan,
    verdict: PlanVerdict,
    before: Facts,
    rooms: tuple[Headroom, ...],
    limits: Limits,
    last_run: date | None,
) -> tuple[ReviewFact, ...]:
    """Return the facts of a plan on today's account. `last_run` is the day of the last execution, None for none."""
    return (
        *_list_trades(plan, verdict, before, limits),
        *map(_describe_room, rooms),
        *_list_market(before, limits),
        *_list_gaps(plan, verdict, before, limits),
        _describe_last_run(before, limits, last_run),
    )


def _list_trades(plan: TradingPlan, verdict: PlanVerdict, before: Facts, limits: Limits) -> Iterator[ReviewFact]:
    after, rules = verdict.facts, limits.review
    held = {s for s, p in before.positions.items() if p.qty != 0}
    left = {s for s, p in after.positions.items() if p.qty != 0}
    yield ReviewFact("names in", ", ".join(sorted(left - held)) or "none")
    yield ReviewFact("names out", ", ".join(sorted(held - left)) or "none")
    turnover = plan.turnover(before.equity)
    is_high = turnover > rules.hold_turnover_pct
    rule = "review.hold_turnover_pct" if is_high else ""
    yield ReviewFact("turnover", percent(turnover), percent(rules.hold_turnover_pct), rule)
    share, target = after.invested / before.equity if before.equity > 0 else ZERO, limits.deployment.target_pct
    is_idle = rules.hold_nothing_traded and not plan.trades and share < target
    rule = "review.hold_nothing_traded" if is_idle else ""
    yield ReviewFact("deployment", percent(share), percent(target), rule)
    yield ReviewFact("half the spread", _describe_spread(plan, before))


def _describe_spread(plan: TradingPlan, facts: Facts) -> str:
    costs, unknown = ZERO, 0
    for trade in plan.trades:
        stock = facts.of(trade.symbol)
        if stock.bid is None or stock.ask is None:
            unknown += 1
        else:
            costs += trade.qty * max(ZERO, stock.ask - stock.bid) / 2
    return f"{usd(costs)} expected" + (f", {unknown} orders without a quote" if unknown else "")


def _describe_room(room: Headroom) -> ReviewFact:
    used, bound = (usd(n) if room.unit == "dollars" else plain(n) for n in (room.used, room.bound))
    name = room.key.partition(".")[2] + (f" ({room.about})" if room.about else "")
    return ReviewFact(name, used, bound)  # what is exceeded is a concern of its own


def _list_market(facts: Facts, limits: Limits) -> Iterator[ReviewFact]:
    rules = limits.review
    regime = regime_of(limits, facts) if any(view.regime for view in facts.views) else None
    is_panic = rules.hold_panic and regime is Regime.PANIC
    yield ReviewFact("regime", str(regime or Regime.UNKNOWN), "", "review.hold_panic" if is_panic else "")
    contradiction = find_contradiction(limits, facts)
    if contradiction is not None:
        rule = "review.hold_contradicting_regimes" if rules.hold_contradicting_regimes else ""
        yield ReviewFact("views of the market", contradiction, "", rule)


def _list_gaps(plan: TradingPlan, verdict: PlanVerdict, facts: Facts, limits: Limits) -> Iterator[ReviewFact]:
    rules, sides = limits.review, frozenset(trade.side for trade in plan.trades)
    judged = {row.code for row in CONSTRAINTS if "review" in row.judged_at and row.sides & sides}
    missing = {gap.code for gap in verdict.not_evaluated}
    share = Decimal(len(missing)) / len(judged) if judged else ZERO
    rule = "review.hold_unevaluated_pct" if share >= rules.hold_unevaluated_pct else ""
    bound = percent(rules.hold_unevaluated_pct)
    yield ReviewFact("limits not evaluated", f"{len(missing)} of {len(judged)}", bound, rule)
    locked, most = sorted(facts.locks), rules.hold_locked_symbols
    rule = "review.hold_locked_symbols" if len(locked) >= most else ""
    shown = f"{len(locked)}: {', '.join(locked)}" if locked else "none"
    yield ReviewFact("locked symbols", shown, str(most), rule)
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
