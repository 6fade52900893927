"""What a plan, its briefing, the limits and the ledger say of one symbol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from Departments.commands.config import write_value
from Departments.constraints.limits import Limits, value_at
from Departments.constraints.table import BUY, CONSTRAINTS
from Departments.core.documents import as_json
from Departments.core.money import count_noun, plain, usd
from Departments.core.orders import Purpose
from Departments.core.plans import SkippedTrade, Trade, TradingPlan
from Departments.core.readers import spell_symbol
from Departments.core.reasons import Reason, ReasonCode
from Departments.core.trading_calendar import trading_day
from Departments.ledger.ledger import Ledger
from Departments.ledger.order_records import OrderRecord
from Departments.messaging.plan_documents import plan_from
from Departments.Operations.briefing import Briefing
from Departments.Operations.deployment import STEPS
from Departments.Operations.selection import best_first

#: Of a reason: the value that was measured, and its bound.
GAPS: Final[tuple[tuple[ReasonCode, str, str], ...]] = (
    (ReasonCode.SCORE_BELOW_THRESHOLD, "score", "minimum"),
    (ReasonCode.MIN_POSITION_VALUE, "value", "minimum"),
    (ReasonCode.MAX_POSITION_VALUE, "value", "maximum"),
    (ReasonCode.MAX_AUTO_POSITION, "value", "maximum"),
    (ReasonCode.MIN_TRADE_VALUE, "value", "least"),
    (ReasonCode.REBALANCE_BAND, "value", "least"),
    (ReasonCode.MAX_SECTOR_CONCENTRATION, "value", "maximum"),
    (ReasonCode.MAX_CORRELATED_POSITIONS, "correlated", "maximum"),
    (ReasonCode.CASH_RESERVE, "cash_after", "reserve"),
    (ReasonCode.NEW_MONEY_LIMIT, "cost", "room"),
    (ReasonCode.UNSETTLED_FUNDS, "cost", "settled"),
    (ReasonCode.MAX_PORTFOLIO_HEAT, "heat", "maximum"),
    (ReasonCode.MIN_DAILY_VOLUME, "volume", "minimum"),
    (ReasonCode.MAX_ORDER_OF_VOLUME, "qty", "maximum"),
    (ReasonCode.MIN_STOCK_PRICE, "price", "minimum"),
    (ReasonCode.MAX_STOCK_PRICE, "price", "maximum"),
    (ReasonCode.MIN_MARKET_CAP, "market_cap", "minimum"),
    (ReasonCode.VIX_PANIC, "vix", "threshold"),
    (ReasonCode.SPY_DRAWDOWN_HALT, "drawdown_pct", "maximum_pct"),
)
#: The limits that are shares of equity.
OF_EQUITY: Final = frozenset(
    {
        "position_limits.max_single_position_pct",
        "position_limits.min_position_pct",
        "position_limits.max_sector_concentration_pct",
        "portfolio_risk.min_cash_reserve_pct",
        "portfolio_risk.max_portfolio_heat",
        "deployment.min_trade_pct",
        "deployment.max_auto_position_pct",
    }
)


@dataclass(frozen=True, slots=True)
class Standing:
    """A symbol's score (0 to 100) and rank, the best is 1, among so many (`of`) of a briefing (`ranked_in`)."""

    score: Decimal | None = None
    rank: int | None = None
    of: int = 0
    ranked_in: str = ""

    @property
    def is_named(self) -> bool:
        """Return whether the symbol was found."""
        return bool(self.ranked_in)


def find_standing(symbol: str, plan: TradingPlan | None, briefing: Briefing | None) -> Standing:
    """Rank a symbol among the candidates of a briefing. A holding of it, and a plan's symbol, has no rank."""
    if briefing is not None:
        ranked = sorted(briefing.candidates, key=best_first)
        for rank, candidate in enumerate(ranked, 1):
            if candidate.symbol == symbol:
                return Standing(candidate.score, rank, len(ranked), briefing.source)
        for holding in briefing.holdings:
            if holding.symbol == symbol:
                return Standing(holding.score, ranked_in=briefing.source)
    scores = [t.score for t in plan.trades if t.symbol == symbol] if plan else []
    skip = find_skip(plan, symbol)
    if skip is not None and "score" in skip.reason.values:
        scores.append(Decimal(skip.reason.values["score"]))
    return Standing(next(iter(scores), None))


def find_trade(plan: TradingPlan | None, symbol: str) -> Trade | None:
    """Return a plan's trade of a symbol, or None."""
    return next((t for t in plan.trades if t.symbol == symbol), None) if plan else None


def find_skip(plan: TradingPlan | None, symbol: str) -> SkippedTrade | None:
    """Return a plan's skip of a symbol, or None."""
    return next((s for s in plan.skipped if spell_symbol(s.symbol) == symbol), None) if plan else None


@dataclass(frozen=True, slots=True)
class Gap:
    """The `measured` value beside its `bound`, in the unit of the reason."""

    measured: Decimal
    bound: Decimal

    @property
    def by(self) -> Decimal:
        """Return how far the value is from its bound, never negative."""
        return abs(self.bound - self.measured)


def measure_gap(reason: Reason) -> Gap | None:
    """Return by how much a reason's limit was missed, None if the reason does not hold both numbers."""
    for code, measured, bound in GAPS:
        if code is reason.code and {measured, bound} <= set(reason.values):
            try:
                return Gap(Decimal(reason.values[measured]), Decimal(reason.values[bound]))
            except ArithmeticError:
                return None
    return None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a symbol is bought, sold or skipped by the plan of a day, with the limits in force now."""

    symbol: str
    day: date
    plan: TradingPlan | None
    place: Standing
    in_force: Limits

    @property
    def trade(self) -> Trade | None:
        """The plan's trade of the symbol."""
        return find_trade(self.plan, self.symbol)

    @property
    def skip(self) -> SkippedTrade | None:
        """The plan's skip of the symbol; a trade beside it counts more."""
        return None if self.trade else find_skip(self.plan, self.symbol)

    @property
    def decision(self) -> str:
        """BUY, SELL, SKIPPED, NOT_NAMED by the plan, or NO_PLAN."""
        if self.plan is None:
            return "NO_PLAN"
        if self.trade is not None:
            return str(self.trade.side)
        return "NOT_NAMED" if self.skip is None else "SKIPPED"

    def sentences(self) -> Iterator[str]:
        """Yield the sentences for people."""
        where = f" in {self.plan.plan_id}" if self.plan else ""
        yield f"{self.symbol} on {self.day}{where}: {self.decision}"
        yield self._describe_place()
        yield self._describe_decision()
        yield f"What it would take: {self._describe_need()}"
        if self.plan is not None and self.plan.limits_hash != self.in_force.fingerprint:
            yield "The plan was made under other limits, or does not name them; the limits below are those of now."

    def _describe_place(self) -> str:
        score = "unknown" if self.place.score is None else plain(self.place.score)
        if self.place.is_named and self.place.rank is None:
            return f"Score {score}, among the holdings of {self.place.ranked_in}, which have no rank"
        if self.place.rank is None:
            return f"Score {score}; its rank is unknown: no kept briefing lists it"
        return f"Score {score}, rank {self.place.rank} of {self.place.of} in {self.place.ranked_in}"

    def _describe_decision(self) -> str:
        trade, skip = self.trade, self.skip
        if trade is not None:
            price = "" if trade.price is None else f" at ${plain(trade.price)}"
            return f"{trade.side} {count_noun(trade.qty, 'share')}{price}" + (
                f": {trade.reason}" if trade.reason else ""
            )
        if skip is not None:
            return skip.line
        return "No plan of the day is in the ledger" if self.plan is None else "The plan neither trades nor skips it"

    def _describe_need(self) -> str:
        if self.decision == "BUY":
            return "nothing; the plan buys it"
        if self.decision == "SELL":
            return "a plan that does not sell it"
        if self.skip is None:
            return "unknown: the plan recorded no limit for it"
        return self._describe_gap(self.skip.reason) + self._describe_openings()

    def _describe_gap(self, reason: Reason) -> str:
        gap = measure_gap(reason)
        if gap is None:
            return f"{reason.code} must no longer hold ({reason.code.meaning}); the plan recorded {reason}"
        way = "more" if gap.measured < gap.bound else "less"
        need = f"{plain(gap.by)} {way}" if gap.by else "it is at its bound"
        return f"{reason.code}: {plain(gap.measured)} beside a bound of {plain(gap.bound)}: {need}"

    def _describe_openings(self) -> str:
        """Return the sentence about limits that admit the symbol in a second planning."""
        if self.openings:
            return f". Planned again, it is bought {', or '.join(self.openings)}"
        return ". Limits after the first that stopped it were not recorded"

    @property
    def openings(self) -> tuple[str, ...]:
        """The changes of one limit each with which the plan, sized anew, buys the symbol; the plan records them."""
        goal = (self.plan.extra if self.plan else {}).get("deployment_goal")
        found = goal.get("openings") if isinstance(goal, Mapping) else None
        changes = found.get(self.symbol) if isinstance(found, Mapping) else None
        return tuple(map(str, changes)) if isinstance(changes, list | tuple) and self.skip is not None else ()

    def limits(self) -> Iterator[dict[str, Any]]:
        """Yield each limit of a BUY: code, key, value, dollars of the plan's equity, and whether it binds here."""
        binding = self.skip.reason.code if self.skip else None
        rows = [(c.code, key) for c in CONSTRAINTS if c.sides & BUY for key in c.keys]
        rows += [(code, key) for code, key, _ in STEPS if (code, key) not in rows]
        equity = self.plan.equity if self.plan else None
        for code, key in rows:
            value = value_at(self.in_force, key)
            dollars = usd(Decimal(value) * equity) if key in OF_EQUITY and equity is not None else None
            state = "binds" if code is binding else "not evaluated" if self._is_open(code) else ""
            shown = as_json({"value": value}, key)["value"]
            written = write_value(shown)
            yield {
                "code": str(code),
                "key": key,
                "value": shown,
                "written": written,
                "dollars": dollars,
                "state": state,
            }

    def _is_open(self, code: ReasonCode) -> bool:
        """Return whether the plan says that a constraint was not evaluated for the symbol."""
        lines = self.plan.not_evaluated if self.plan else ()
        found = (line.rpartition(" (")[2].rstrip(")").split(", ") for line in lines if line.startswith(f"{code}: "))
        return any(self.symbol in symbols for symbols in found)

    def document(self) -> dict[str, Any]:
        """Return the same for machines; numbers as text."""
        skip, gap = self.skip, measure_gap(self.skip.reason) if self.skip else None
        return {
            "symbol": self.symbol,
            "day": self.day.isoformat(),
            "plan_id": self.plan.plan_id if self.plan else None,
            "decision": self.decision,
            "score": _text(self.place.score),
            "rank": self.place.rank,
            "of": self.place.of or None,
            "ranked_in": self.place.ranked_in or None,
            "code": str(skip.reason.code) if skip else None,
            "sentence": self._describe_decision(),
            "takes": self._describe_need(),
            "openings": list(self.openings),
            "gap": {"measured": plain(gap.measured), "bound": plain(gap.bound), "by": plain(gap.by)} if gap else None,
            "under_limits_of_plan": self.plan is not None and self.plan.limits_hash == self.in_force.fingerprint,
            "limits": [{k: v for k, v in row.items() if k != "written"} for row in self.limits()],
        }


# --- over the days ---


@dataclass(frozen=True, slots=True)
class Sighting:
    """One row of the history: a planned trade, a skip, or an order (exits are orders, too). `qty` in shares."""

    day: date
    kind: str
    plan_id: str
    side: str = ""
    qty: Decimal | None = None
    price: Decimal | None = None
    status: str = ""
    reason: str = ""
    by_hand: bool = False

    def document(self) -> dict[str, Any]:
        """Return the row for machines; numbers as text."""
        return {
            "day": self.day.isoformat(),
            "kind": self.kind,
            "plan_id": self.plan_id or None,
            "side": self.side or None,
            "shares": _text(self.qty),
            "price": _text(self.price),
            "status": self.status or None,
            "reason": self.reason or None,
        }


@dataclass(frozen=True, slots=True)
class History:
    """What the ledger holds of a symbol, oldest day first."""

    sightings: tuple[Sighting, ...]


def list_history(ledger: Ledger, symbol: str) -> History:
    """Return a symbol's plans, skips and orders. Within a day plans come before orders."""
    spellings = dict.fromkeys((symbol, symbol.replace(".", "-")))
    rows: list[Sighting] = []
    for record in ledger.plans.find_naming(*spellings):
        plan = plan_from(record.document, record.plan_id)
        rows.extend(_sight(ledger, plan, symbol, by_hand=record.by_hand))
    rows.extend(map(_sight_order, ledger.orders.find_of_symbol(symbol)))
    return History(tuple(sorted(rows, key=lambda row: (row.day, row.kind.startswith("order")))))


def _sight(ledger: Ledger, plan: TradingPlan, symbol: str, *, by_hand: bool) -> Iterator[Sighting]:
    day, trade, skip = trading_day(plan.generated_at), find_trade(plan, symbol), find_skip(plan, symbol)
    if trade is not None:
        sent = [t for t in ledger.plans.trades(plan.plan_id) if t.symbol == symbol and t.side is trade.side]
        status = ", ".join(dict.fromkeys(str(t.status) for t in sent)) or "not executed"
        why = "; ".join(dict.fromkeys(t.reason or t.code for t in sent if t.reason or t.code)) or trade.reason
        side = str(trade.side)
        yield Sighting(day, "planned", plan.plan_id, side, trade.qty, trade.price, status, why, by_hand)
    elif skip is not None:
        yield Sighting(day, "skipped", plan.plan_id, status=str(skip.reason.code), reason=skip.line, by_hand=by_hand)


def _sight_order(order: OrderRecord) -> Sighting:
    return Sighting(
        trading_day(order.created_at),
        "order" if order.purpose is Purpose.TRADE else f"order ({order.purpose})",
        order.plan_id or "",
        str(order.side),
        order.qty,
        order.filled_avg_price or order.limit_price or order.stop_price,
        f"{order.status}, {plain(order.filled_qty)} filled",
        order.reason or order.code,
    )


def _text(number: Decimal | None) -> str | None:
    return None if number is None else plain(number)
