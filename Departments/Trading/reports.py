"""Trading's messages to the other departments, in the existing formats, without I/O."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from Departments.core.departments import COMPLIANCE, EXECUTIVE, PORTFOLIO, TRADING
from Departments.core.identifiers import message_id
from Departments.core.moments import show_moment
from Departments.core.money import plain, usd_cents
from Departments.core.orders import OrderStatus, Side
from Departments.core.reasons import Reason
from Departments.core.safe_text import Form, make_safe
from Departments.core.statuses import RequestStatus
from Departments.ledger.order_records import OrderRecord
from Departments.messaging.message import Message, body_around, body_with
from Departments.messaging.payloads import ExecutionReport, SubmissionNote


def outcome_report(record: OrderRecord, at: datetime) -> Message:
    """Return the report of a terminal order to the Executive."""
    payload = ExecutionReport(
        approval_message_id=record.message_id,
        plan_id=record.plan_id,
        client_order_id=record.client_order_id,
        broker_order_id=record.broker_order_id,
        symbol=record.symbol,
        side=record.side,
        qty=record.qty,
        status=record.status,
        filled_qty=record.filled_qty,
        filled_avg_price=record.filled_avg_price,
        submitted_at=record.submitted_at,
        terminal_at=record.terminal_at,
        code=record.code,
        reason=record.reason,
    )
    body = payload.body(_outcome_text(record))
    return _message("ExecutionReport", EXECUTIVE, record, at, str(record.status), body)


def request_report(
    request_id: str, symbol: str, qty: Decimal, status: RequestStatus, at: datetime, reason: str = ""
) -> Message:
    """Return the report of a request to release or protect shares to the Executive."""
    payload = ExecutionReport(
        approval_message_id=request_id,
        symbol=symbol,
        side=Side.SELL,
        qty=qty,
        status=status,
        terminal_at=at,
        reason=reason,
    )
    lines = [
        f"# Execution Report: {_safe(symbol)} — {status}",
        "",
        f"- **Ticker:** {_safe(symbol)}",
        f"- **Shares:** {plain(qty)}",
    ]
    return Message(
        message_id=message_id(TRADING, at, request_id, status),
        sender=TRADING,
        recipient=EXECUTIVE,
        timestamp=at,
        message_type="ExecutionReport",
        body=payload.body("\n".join(lines)),
        parent_message_id=request_id,
    )


def submission_notes(record: OrderRecord, at: datetime) -> tuple[Message, Message]:
    """Return the notes to Portfolio (`execution`) and Compliance (`log`) of an order at the broker."""
    payload = SubmissionNote(
        order_id=record.broker_order_id,
        symbol=record.symbol,
        side=record.side,
        qty=record.qty,
        order_type=record.order_type.upper(),
        status="SUBMITTED",
        submitted_at=record.submitted_at,
        broker_order_id=record.broker_order_id,
    )
    facts = [*_facts(record), f"- **Alpaca Order ID:** {_safe(record.broker_order_id)}"]
    written = payload.text()
    what = f"{_safe(record.symbol)} {record.side} {plain(record.qty)}"
    order = [f"# Order Submitted: {what}", "", "## Order Confirmation", "", "The order is at the broker.", "", *facts]
    log = [f"# Order Submitted: {what}", "", "## Order Log", "", "The order is at the broker.", "", *facts]
    return (
        _message("execution", PORTFOLIO, record, at, "execution", body_around("\n".join(order), written)),
        _message("log", COMPLIANCE, record, at, "log", body_around("\n".join(log), written)),
    )


def denial_escalation(intent: OrderRecord, violations: Sequence[Reason], at: datetime) -> Message:
    """Return the escalation of a denied order to the Executive, in the existing form."""
    lines = [
        f"# ORDER REJECTED: {_safe(intent.symbol)} (Hard Constraint Violations)",
        "",
        "## Hard Constraint Violations",
        "",
        "The order was not sent: it violates hard constraints.",
        "",
        "**Order Details:**",
        *_facts(intent),
        "",
        "**Violations:**",
        *(f"- **{v.code}:** {_safe(v.sentence or v.code.meaning)} ({_safe(_numbers(v))})" for v in violations),
        "",
        "**Action Required:** Review the plan or the limits in hard_constraints.yaml.",
    ]
    return _message("escalation", EXECUTIVE, intent, at, "denied", body_with("\n".join(lines)), priority="elevated")


def refusal_escalation(intent: OrderRecord, reason: Reason, at: datetime) -> Message:
    """Return the escalation of an order rejected by the broker."""
    lines = [
        f"# ORDER SUBMISSION FAILED: {_safe(intent.symbol)}",
        "",
        "## Broker Refusal",
        "",
        "**Order Details:**",
        *_facts(intent),
        "",
        f"**Error:** {_safe(reason.sentence or reason.code.meaning)} ({_safe(reason)})",
        "",
        "**Action Required:** Check the account at the broker or approve the order again.",
    ]
    return _message("escalation", EXECUTIVE, intent, at, "refused", body_with("\n".join(lines)), priority="critical")


def _message(
    message_type: str,
    recipient: str,
    intent: OrderRecord,
    at: datetime,
    identity: str,
    body: str,
    *,
    priority: str = "routine",
) -> Message:
    return Message(
        message_id=message_id(TRADING, at, intent.client_order_id, recipient, message_type, identity),
        sender=TRADING,
        recipient=recipient,
        timestamp=max(at, intent.created_at),
        message_type=message_type,
        body=body,
        priority=priority,
        parent_message_id=intent.message_id,
    )


def _facts(intent: OrderRecord) -> list[str]:
    return [
        f"- **Ticker:** {_safe(intent.symbol)}",
        f"- **Action:** {intent.side}",
        f"- **Quantity:** {plain(intent.qty)}",
        f"- **Order Type:** {_safe(intent.order_type.upper())}",
    ]


def _outcome_text(record: OrderRecord) -> str:
    lines = [
        f"# Execution Report: {_safe(record.symbol)} {record.side} {plain(record.qty)} — {record.status}",
        "",
        *_facts(record),
        f"- **Filled:** {plain(record.filled_qty)} of {plain(record.qty)}",
    ]
    if record.filled_avg_price is not None:
        lines.append(f"- **Average Price:** {usd_cents(record.filled_avg_price)}")
    if record.terminal_at is not None:
        lines.append(f"- **At:** {show_moment(record.terminal_at, seconds=True)}")
    if record.status is not OrderStatus.FILLED and record.reason:
        lines.append(f"- **Reason:** {_safe(record.reason)}")
    return "\n".join(lines)


def _numbers(reason: Reason) -> str:
    return ", ".join(f"{key}: {value}" for key, value in reason.values.items())


def _safe(text: object) -> str:
    return make_safe(text, Form.MARKDOWN)
