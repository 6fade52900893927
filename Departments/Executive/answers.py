"""What the CEO reads in Trading's reports and answers to existing scripts. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from Departments.core.clock import parse_iso
from Departments.core.errors import BadInput
from Departments.core.money import decimal_of
from Departments.core.orders import OrderStatus, Side
from Departments.core.reasons import ReasonCode
from Departments.ledger.plans import TradeRecord

Answer = dict[str, Any]

DEFERRED = "deferred"
#: How a trade ends when all went well, phase by phase.
DONE = frozenset({OrderStatus.FILLED, "released", "protected"})
#: Why a trade may be deferred without anybody having to look at it.
NOBODY_LOOKS = frozenset({ReasonCode.INSUFFICIENT_CASH, ReasonCode.MIN_POSITION_VALUE})


def went_well(status: str, code: str) -> bool:
    """Tell whether a trade needs nobody's look: it was done, there was no cash for it, or it had become too small."""
    return status in DONE or (status == DEFERRED and code in NOBODY_LOOKS)


def reported(payload: Mapping[str, Any], source: str) -> TradeRecord:
    """Read an ExecutionReport's payload. Raises BadInput for one that is incomplete."""
    try:
        return TradeRecord(
            phase="",
            ticker=str(payload["ticker"]),
            side=Side[str(payload["action"])],
            planned_qty=decimal_of(payload["shares"]),
            qty=decimal_of(payload["shares"]),
            status=str(payload["status"]),
            client_order_id=payload.get("client_order_id"),
            submitted_at=_moment(payload.get("submitted_at")),
            terminal_at=_moment(payload.get("terminal_at")),
            filled_qty=decimal_of(payload.get("filled_qty") or 0),
            filled_avg_price=None
            if payload.get("filled_avg_price") is None
            else decimal_of(payload["filled_avg_price"]),
            code=str(payload.get("code") or ""),
            reason=str(payload.get("reason") or ""),
        )
    except (KeyError, ValueError) as error:
        raise BadInput(source, "payload", f"is incomplete ({error})", "send the report again") from error


def _moment(text: Any) -> Any:
    return None if text is None else parse_iso(str(text))


def result_of(trade: TradeRecord) -> Answer:
    """Return one entry of `execution_results`."""
    return {
        "ticker": trade.ticker,
        "action": str(trade.side),
        "message_id": trade.message_id,
        "status": trade.status,
        "filled_qty": trade.filled_qty,
        "reason": trade.reason,
    }


def verification(document: Mapping[str, Any]) -> Answer:
    """Return `post_execution_verification`: what did not end as it should, and whether the cash adds up."""
    issues = [
        f"{order['ticker']} {order['side']}: {order['status']} {order['reason']}".strip()
        for phase in document["phases"]
        for order in phase["orders"]
        if not went_well(order["status"], order["code"])
    ]
    if not document["cash_identity"]["holds"]:
        issues.append(f"cash is off by {document['cash_identity']['difference']}")
    return {"passed": not issues, "issues": issues}
