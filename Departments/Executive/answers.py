"""What the CEO reads in Trading's reports and answers to existing scripts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from Departments.core.answers import Answer
from Departments.core.documents import for_scripts
from Departments.core.orders import OrderStatus, Side
from Departments.core.portfolio import Account, Position
from Departments.core.reasons import ReasonCode
from Departments.core.statuses import PhaseName, RequestStatus, TradeStatus
from Departments.ledger.plan_records import TradeRecord, TradeReport
from Departments.messaging.payloads import ExecutionReport

#: How a trade ends when all went well, phase by phase.
DONE = frozenset({OrderStatus.FILLED, RequestStatus.RELEASED, RequestStatus.PROTECTED})
#: Why a trade may be deferred without anybody having to look at it.
NOBODY_LOOKS = frozenset({ReasonCode.INSUFFICIENT_CASH, ReasonCode.MIN_POSITION_VALUE})
#: Why a plan may be in order and still not be executed.
NOT_TODAY = frozenset({"ALREADY_EXECUTED", "MARKET_CLOSED"})


def went_well(status: str, code: str) -> bool:
    """Tell whether a trade needs nobody's look: it was done, there was no cash for it, or it had become too small."""
    return status in DONE or (status == TradeStatus.DEFERRED and code in NOBODY_LOOKS)


def reported(report: ExecutionReport) -> TradeReport:
    """Return what a report says of a trade."""
    return TradeReport(
        status=report.status,
        client_order_id=report.client_order_id,
        submitted_at=report.submitted_at,
        terminal_at=report.terminal_at,
        filled_qty=report.filled_qty,
        filled_avg_price=report.filled_avg_price,
        code=report.code,
        reason=report.reason,
    )


def refused(status: str, plan_id: str | None, message: str) -> Answer:
    """Return why nothing may be sent today: one of `NOT_TODAY`."""
    return {"status": status, "plan_id": plan_id, "message": message}


def told(answer: Answer) -> Answer:
    """Return an answer as scripts know it: a plan that is not executed today is an error, and `code` says which."""
    return answer | {"status": "ERROR", "code": answer["status"]} if answer["status"] in NOT_TODAY else answer


def executed(plan_id: str, trades: Iterable[TradeRecord], document: Mapping[str, Any], report: Path) -> Answer:
    """Return the answer of an execution: the SELLs and BUYs that were sent, and what became of them."""
    sent = [t for t in trades if t.message_id and t.phase in {PhaseName.SELL, PhaseName.BUY}]
    answer: Answer = for_scripts(
        {
            "status": "EXECUTION_INITIATED",
            "plan_id": plan_id,
            "trades_submitted": len(sent),
            "sells_submitted": sum(t.side is Side.SELL for t in sent),
            "buys_submitted": sum(t.side is Side.BUY for t in sent),
            "execution_results": [_result(t) for t in sent],
            "post_execution_verification": verification(document),
            "report": str(report),
            "document": document,
        }
    )
    return answer


def _result(trade: TradeRecord) -> Answer:
    return {
        "ticker": trade.ticker,
        "action": str(trade.side),
        "message_id": trade.message_id,
        "status": str(trade.status),
        "filled_qty": trade.filled_qty,
        "reason": trade.reason,
    }


def summary(account: Account, positions: Sequence[Position]) -> Answer:
    """Return account and positions, in dollars and shares."""
    answer: Answer = for_scripts(
        {
            "status": "OK",
            "equity": account.equity,
            "cash": account.cash,
            "buying_power": account.buying_power,
            "positions": [_held(p) for p in positions],
        }
    )
    return answer


def _held(position: Position) -> Answer:
    return {
        "ticker": position.symbol,
        "quantity": position.qty,
        "market_value": position.market_value,
        "avg_entry_price": position.avg_entry_price,
        "current_price": position.current_price,
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
