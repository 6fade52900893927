"""The match of an instruction with what the ledger decided: plan, phase, symbol, side, shares.

A letter of ours proves that somebody of this desk sent it; the plan's trade proves that the Executive decided it. A
script that publishes an approval of its own has the first and lacks the second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal

from Departments.core.errors import NotDecidedHere
from Departments.core.money import count_noun, plain
from Departments.core.orders import Side
from Departments.core.statuses import PhaseName
from Departments.ledger.executive_records import PlanRecords
from Departments.ledger.plan_records import DecidedTrade
from Departments.messaging.message import Message
from Departments.messaging.payloads import CancelRequest, ExecutiveApproval, SharesRequest

TRADED = frozenset({PhaseName.SELL, PhaseName.BUY})


@dataclass(frozen=True, slots=True)
class Decisions:
    """Compares instructions with the Executive's decisions.

    `is_trusted` is True for an instruction that counts without a decision, by setting; `is_proven` for one that the
    ledger holds as sent.
    """

    plans: PlanRecords
    is_trusted: Callable[[Message], bool]
    is_proven: Callable[[Message], bool]

    def check_approval(self, message: Message, approval: ExecutiveApproval) -> None:
        """Raise NotDecidedHere unless an approval is a trade of an approved plan in a dispatched phase."""
        self._check(message, approval, TRADED)

    def check_request(self, message: Message, asked: SharesRequest, phase: PhaseName) -> None:
        """Raise NotDecidedHere unless a request to release or protect is a trade of this phase."""
        self._check(message, asked, frozenset({phase}))

    def _check(self, message: Message, asked: ExecutiveApproval | SharesRequest, phases: frozenset[PhaseName]) -> None:
        if self.is_trusted(message):
            return
        decision = self.plans.find_decision(message.message_id)
        _refuse(message, find_mismatch(asked.plan_id, asked.symbol, asked.side, asked.qty, decision, phases))

    def check_cancel(self, message: Message, request: CancelRequest) -> None:
        """Raise NotDecidedHere unless a cancel names a dispatched trade, and its symbol."""
        if self.is_trusted(message):
            return
        decision = self.plans.find_decision(request.approval_message_id)
        is_ours = decision is not None and decision.trade.symbol == request.symbol
        _refuse(message, None if is_ours else f"no plan has an approval {request.approval_message_id} of that symbol")

    def find_cancelled(self, waiting: Iterable[Message]) -> frozenset[str]:
        """Return the approvals that proven cancel requests among these messages are about."""
        cancels = (m for m in waiting if m.message_type == "CancelRequest")
        proven = (m.parent_message_id for m in cancels if self.is_trusted(m) or self.is_proven(m))
        return frozenset(filter(None, proven))


def find_mismatch(
    plan_id: str | None,
    symbol: str,
    side: Side,
    qty: Decimal,
    decision: DecidedTrade | None,
    phases: frozenset[PhaseName],
) -> str | None:
    """Return how an instruction differs from the ledger's decision, None if it does not.

    A plan that is left out is no match, nor is a quantity above the decided one.
    """
    if decision is None:
        return "no plan has this trade"
    trade = decision.trade
    if plan_id != decision.plan_id:
        return f"it names the plan {plan_id or '(none)'}, and {decision.plan_id} has the trade"
    if decision.approved_at is None:
        return f"{plan_id} is not approved"
    if not decision.is_dispatched or trade.phase not in phases:
        return f"{plan_id} has not dispatched it"
    if (symbol, side) != (trade.symbol, trade.side):
        return f"it says {side} {symbol}, and {plan_id} decided {trade.side} {trade.symbol}"
    most = min(trade.qty, trade.planned_qty)
    return f"it says {count_noun(qty, 'share')}, and {plan_id} decided {plain(most)}" if qty > most else None


def _refuse(message: Message, problem: str | None) -> None:
    if problem is not None:
        raise NotDecidedHere(f"{message.message_id} is no decision of the Executive: {problem}; nothing was done")
