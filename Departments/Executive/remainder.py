"""What an execution left: the shares of each trade that did not fill, why, and whether that may pass. Pure.

Shares count as left only if no order of them is open: a further attempt never repeats what may still fill.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from Departments.core.money import ZERO, plain
from Departments.core.orders import Side
from Departments.core.plans import Trade, TradingPlan
from Departments.core.reasons import ReasonCode
from Departments.core.statuses import PhaseName
from Departments.ledger.plan_records import TradeRecord

#: Reasons that may be gone a little later, with the same plan and the same account.
PASSING: Final = frozenset(
    {
        ReasonCode.CASH_LAG,
        ReasonCode.NO_FRESH_QUOTE,
        ReasonCode.PHASE_TIMEOUT,
        ReasonCode.PHASE_ABORTED,
        ReasonCode.NOTHING_AVAILABLE,
        ReasonCode.TRIMMED_TO_AVAILABLE,
        ReasonCode.RELEASE_STILL_OPEN,
        ReasonCode.SHARES_RESERVED,
        ReasonCode.TRADING_HALTED,
        ReasonCode.DESK_HALTED,
        ReasonCode.NOT_EVALUATED,
        ReasonCode.BROKER_BUYING_POWER,
        ReasonCode.BROKER_QTY_HELD,
    }
)
#: The mend of an order that is open after its execution.
FOLLOW: Final = (
    "wait and run `departments resume` again, or cancel it at the broker; `departments reconcile` compares both"
)
_PHASES: Final = {Side.SELL: PhaseName.SELL, Side.BUY: PhaseName.BUY}


@dataclass(frozen=True, slots=True)
class Leftover:
    """Shares of a planned trade that did not fill, with the last reason. `may_fill` means that they still may."""

    trade: Trade
    code: str
    reason: str
    may_fill: bool = False

    @property
    def is_passing(self) -> bool:
        """Return True if a further attempt may trade these shares."""
        return not self.may_fill and self.code in PASSING

    @property
    def sentence(self) -> str:
        """Return the words for people: side, shares, symbol, reason."""
        why = "its order is still open" if self.may_fill else self.reason or "it did not fill"
        return f"{self.trade.side} {plain(self.trade.qty)} {self.trade.symbol} ({why})"

    def document(self) -> Mapping[str, str]:
        """Return it as it is in documents."""
        trade = self.trade
        return {
            "ticker": trade.symbol,
            "side": str(trade.side),
            "qty": plain(trade.qty),
            "code": self.code,
            "reason": "the order is still open" if self.may_fill else self.reason,
        }


def list_left(plan: TradingPlan, records: Iterable[TradeRecord]) -> list[Leftover]:
    """List the unfilled shares of a plan's trades after the attempts behind `records`, oldest first."""
    sent: dict[tuple[PhaseName, str], list[TradeRecord]] = {}
    for record in records:
        sent.setdefault((record.phase, record.symbol), []).append(record)
    found = (_find_left(trade, sent.get((_PHASES[trade.side], trade.symbol), [])) for trade in plan.trades)
    return [left for left in found if left is not None]


def _find_left(trade: Trade, records: Sequence[TradeRecord]) -> Leftover | None:
    """Return the shares left of a trade. Shares that nobody decided about have no reason that passes."""
    qty = trade.qty - sum((record.filled_qty for record in records), ZERO)
    if qty <= 0 or not records:
        return None if qty <= 0 else Leftover(trade, "", "")
    last = records[-1]
    may_fill = any(record.terminal_at is None for record in records)
    return Leftover(replace(trade, qty=qty), last.code, last.reason, may_fill)


def plan_for(plan: TradingPlan, records: Iterable[TradeRecord], attempt: int) -> TradingPlan:
    """Return the plan of an attempt: the whole plan at first, then what earlier attempts left for passing reasons."""
    if attempt == 1:
        return plan
    left = list_left(plan, (record for record in records if record.attempt < attempt))
    return replace(plan, trades=tuple(each.trade for each in left if each.is_passing))


def keep_last(records: Iterable[TradeRecord], attempt: int) -> list[TradeRecord]:
    """Keep the last record of each SELL and BUY, and of the exits those of the last attempt."""
    last: dict[tuple[PhaseName, str], TradeRecord] = {}
    for record in records:
        if record.attempt == attempt or record.phase in _PHASES.values():
            last[record.phase, record.symbol] = record
    return list(last.values())


def describe_loose_end(plan_id: str, trade: TradeRecord) -> str:
    """Return the sentence about an order that is open after its execution."""
    return f"{trade.side} {plain(trade.qty)} {trade.symbol} of {plan_id} is still open"
