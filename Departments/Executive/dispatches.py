"""The Executive's messages: approvals, requests to cancel, release or protect, the final report. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from Departments.core.departments import COMPLIANCE, EXECUTIVE, REGIME_DETECTION, TRADING
from Departments.core.identifiers import message_id
from Departments.core.money import plain, usd_cents
from Departments.core.plans import Trade
from Departments.core.reasons import Reason
from Departments.core.safe_text import Form, make_safe
from Departments.core.statuses import PhaseName
from Departments.ledger.plan_records import TradeRecord
from Departments.messaging.message import Message
from Departments.messaging.payloads import (
    CancelRequest,
    DayOutcome,
    ExecutiveApproval,
    FinalReport,
    ProtectRequest,
    ReleaseRequest,
    SharesRequest,
)


def approval_id(plan_id: str, generated_at: datetime, phase: str, symbol: str, attempt: int = 1) -> str:
    """Return the id of the approval: it depends on plan, phase, symbol and attempt, and on nothing else."""
    return message_id(EXECUTIVE, generated_at, plan_id, phase, symbol, attempt)


def instruction(
    phase: PhaseName,
    trade: Trade,
    plan_id: str,
    instruction_id: str,
    *,
    at: datetime,
    approved_at: datetime,
    limit_price: Decimal | None = None,
) -> Message:
    """Return the instruction to Trading for one trade of a phase. `limit_price` is in dollars a share."""
    if phase is PhaseName.RELEASE:
        return _request(ReleaseRequest, trade, plan_id, instruction_id, at)
    if phase is PhaseName.PROTECT:
        return _request(ProtectRequest, trade, plan_id, instruction_id, at)
    return approval(trade, plan_id, instruction_id, at=at, approved_at=approved_at, limit_price=limit_price)


PURPOSES: Mapping[type[SharesRequest], str] = {
    ReleaseRequest: "Cancel the resting exits: the plan sells these shares.",
    ProtectRequest: "These shares have no live exits: give them stop-loss and take-profit.",
}


def _request(kind: type[SharesRequest], trade: Trade, plan_id: str, request_id: str, at: datetime) -> Message:
    message_type = kind.__name__
    lines = [
        f"# {message_type} - {_safe(trade.symbol)}",
        "",
        PURPOSES[kind],
        "",
        f"**Ticker**: {_safe(trade.symbol)}",
        f"**Shares**: {plain(trade.qty)}",
    ]
    payload = kind(symbol=trade.symbol, side=trade.side, qty=trade.qty, plan_id=plan_id)
    return Message(
        message_id=request_id,
        sender=EXECUTIVE,
        recipient=TRADING,
        timestamp=at,
        message_type=message_type,
        body=payload.body("\n".join(lines)),
        priority="urgent",
    )


def approval(
    trade: Trade,
    plan_id: str,
    approval_message_id: str,
    *,
    at: datetime,
    approved_at: datetime,
    limit_price: Decimal | None = None,
) -> Message:
    """Return the ExecutiveApproval of one trade, in the existing form. `limit_price` is in dollars a share."""
    lines = [
        f"# Executive Approval - {trade.side} {_safe(trade.symbol)}",
        "",
        f"**Order Type**: {trade.side}",
        f"**Ticker**: {_safe(trade.symbol)}",
        f"**Shares**: {plain(trade.qty)}",
        *([f"**Price**: {usd_cents(trade.price)}"] if trade.price is not None else []),
        *([f"**Limit Price**: {usd_cents(limit_price)}"] if limit_price is not None else []),
        f"**Sector**: {_safe(trade.sector or 'Unknown')}",
    ]
    payload = ExecutiveApproval(
        symbol=trade.symbol,
        side=trade.side,
        qty=trade.qty,
        price=trade.price,
        sector=trade.sector or "Unknown",
        order_type="MARKET" if limit_price is None else "LIMIT",
        limit_price=limit_price,
        plan_id=plan_id,
        approved_at=approved_at,
    )
    return Message(
        message_id=approval_message_id,
        sender=EXECUTIVE,
        recipient=TRADING,
        timestamp=at,
        message_type="ExecutiveApproval",
        body=payload.body("\n".join(lines)),
        priority="urgent",
    )


def cancel_request(trade: TradeRecord, reason: Reason, at: datetime) -> Message:
    """Return the request to cancel a trade's order. Raises ValueError for a trade never sent."""
    if trade.message_id is None:
        raise ValueError(f"{trade.symbol} was never dispatched")
    lines = [
        f"# Cancel Request - {trade.side} {_safe(trade.symbol)}",
        "",
        f"**Approval**: {trade.message_id}",
        f"**Reason**: {_safe(reason)}",
    ]
    payload = CancelRequest(
        approval_message_id=trade.message_id,
        symbol=trade.symbol,
        side=trade.side,
        qty=trade.qty,
        code=str(reason.code),
        reason=str(reason),
    )
    return Message(
        message_id=message_id(EXECUTIVE, at, "cancel", trade.message_id),
        sender=EXECUTIVE,
        recipient=TRADING,
        timestamp=at,
        message_type="CancelRequest",
        body=payload.body("\n".join(lines)),
        priority="urgent",
        parent_message_id=trade.message_id,
    )


def report_message(plan_id: str, text: str, document: Mapping[str, Any], at: datetime, attempt: int = 1) -> Message:
    """Return the final report of an attempt as a message; the same report gives the same message."""
    return Message(
        message_id=message_id(EXECUTIVE, at, "final report", plan_id, *_further(attempt)),
        sender=EXECUTIVE,
        recipient=COMPLIANCE,
        timestamp=at,
        message_type="FinalReport",
        body=FinalReport.read(document, plan_id).body(text),
    )


def _further(attempt: int) -> tuple[int, ...]:
    return (attempt,) if attempt > 1 else ()


def outcome_message(
    plan_id: str, started_at: datetime, filled: int, change: Decimal, at: datetime, attempt: int = 1
) -> Message:
    """Return the outcome of a day for Regime: orders filled, and the change of equity in dollars."""
    lines = [
        f"# Final Report: {_safe(plan_id)}",
        "",
        f"- **Orders filled:** {filled}",
        f"- **Change of equity:** {usd_cents(change)}",
    ]
    payload = DayOutcome(plan_id=plan_id, started_at=started_at, trades_executed=filled, portfolio_change=change)
    return Message(
        message_id=message_id(EXECUTIVE, at, "outcome", plan_id, *_further(attempt)),
        sender=EXECUTIVE,
        recipient=REGIME_DETECTION,
        timestamp=at,
        message_type="FinalReport",
        body=payload.body("\n".join(lines)),
    )


def _safe(text: object) -> str:
    return make_safe(text, Form.MARKDOWN)
