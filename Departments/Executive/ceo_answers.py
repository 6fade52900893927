"""The CEO's answers to existing scripts: dicts with the status words and keys that they know."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from Departments.core.answers import Answer, error_answer
from Departments.core.documents import for_scripts
from Departments.core.logs import make_logger
from Departments.core.orders import OrderStatus, Side
from Departments.core.platform.clock import Clock
from Departments.core.portfolio import Account, Position
from Departments.core.statuses import PhaseName
from Departments.Executive.approvals import Approved
from Departments.Executive.day_order import DayFailed, Executed
from Departments.Executive.phases import is_in_order
from Departments.Executive.plan_judge import NotToday
from Departments.Executive.review import Review
from Departments.ledger.executive_records import PlanRecords
from Departments.ledger.plan_records import TradeRecord
from Departments.ledger.trading_records import OrderRecords
from Departments.messaging.plan_documents import classify

log = make_logger(__name__)

#: Statuses of a plan that is in order and not executed today.
NOT_TODAY = frozenset({"ALREADY_EXECUTED", "MARKET_CLOSED"})


def legacy_answer(answer: Answer) -> Answer:
    """Return an answer in the words of scripts: a plan not executed today is an error, and `code` has the cause."""
    return answer | {"status": "ERROR", "code": answer["status"]} if answer["status"] in NOT_TODAY else answer


def failure_answer(failure: DayFailed) -> Answer:
    """Return the answer to a failed step, with the keys of the failing department's answer."""
    return {**failure.document, **error_answer(str(failure))}


def plan_answer(plan: Mapping[str, Any], review: Review) -> Answer:
    """Return the answer to a request for a plan."""
    stages = plan.get("stage_results", {})
    return {
        "status": "READY_FOR_USER_APPROVAL",
        "plan": plan,
        "ceo_review": review.document(),
        "stage_results": stages,
    }


def approval_answer(plan_id: str, approved: Approved) -> Answer:
    """Return the answer to an approval: the file of the approved plan, and who approved it."""
    names = str(approved.filed.document["approved_by"])
    return {"status": "PLAN_APPROVED", "plan_id": plan_id, "file": str(approved.path), "approved_by": names}


def execution_answer(end: Executed | NotToday, plans: PlanRecords) -> Answer:
    """Return the answer to a request for an execution: its SELLs and BUYs, or why there was none."""
    if isinstance(end, NotToday):
        return {"status": end.status, "plan_id": end.plan_id, "message": end.message}
    trades = plans.trades(end.plan_id)
    sent = [t for t in trades if t.message_id and t.phase in {PhaseName.SELL, PhaseName.BUY}]
    answer: Answer = for_scripts(
        {
            "status": "EXECUTION_INITIATED",
            "plan_id": end.plan_id,
            "trades_submitted": len(sent),
            "sells_submitted": sum(t.side is Side.SELL for t in sent),
            "buys_submitted": sum(t.side is Side.BUY for t in sent),
            "execution_results": [_result(t) for t in sent],
            "post_execution_verification": verify(end.document),
            "report": str(end.report),
            "document": end.document,
        }
    )
    return answer


def _result(trade: TradeRecord) -> Answer:
    return {
        "ticker": trade.symbol,
        "action": str(trade.side),
        "message_id": trade.message_id,
        "status": str(trade.status),
        "filled_qty": trade.filled_qty,
        "reason": trade.reason,
    }


def verify(document: Mapping[str, Any]) -> Answer:
    """Return `post_execution_verification`: the trades that need a look, and whether the cash adds up."""
    issues = [
        f"{order['ticker']} {order['side']}: {order['status']} {order['reason']}".strip()
        for phase in document["phases"]
        for order in phase["orders"]
        if not is_in_order(order["status"], order["code"])
    ]
    if not document["cash_identity"]["holds"]:
        issues.append(f"cash is off by {document['cash_identity']['difference']}")
    return {"passed": not issues, "issues": issues}


def portfolio_answer(account: Account, positions: Iterable[Position]) -> Answer:
    """Return account and positions, in dollars and shares."""
    answer: Answer = for_scripts(
        {
            "status": "OK",
            "equity": account.equity,
            "cash": account.cash,
            "buying_power": account.buying_power,
            "positions": [_position(p) for p in positions],
        }
    )
    return answer


def _position(position: Position) -> Answer:
    return {
        "ticker": position.symbol,
        "quantity": position.qty,
        "market_value": position.market_value,
        "avg_entry_price": position.avg_entry_price,
        "current_price": position.current_price,
    }


def separate_buys_sells(
    trades: Sequence[Mapping[str, Any]],
) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Return (sells, buys); each trade is in exactly one. Raises BadInput for a contradictory trade."""
    sides = [classify(trade, "plan", f"trades[{index}]") for index, trade in enumerate(trades)]
    pairs = list(zip(trades, sides, strict=True))
    return [t for t, side in pairs if side is Side.SELL], [t for t, side in pairs if side is Side.BUY]


def wait_for_orders_to_fill(
    symbols: Sequence[str], timeout: float, orders: OrderRecords, clock: Clock, work: Callable[[], None], poll: float
) -> bool:
    """Wait until the newest order of each symbol is terminal. Returns True if all of them filled.

    `work` has every department read its inbox once; `poll` is the pause between two looks, in seconds. Orders are
    followed by their own ids in the ledger, never by "no open order for the symbol".
    """
    give_up = clock.now() + timedelta(seconds=timeout)
    while True:
        work()
        newest = {o.symbol: o for o in orders.find_newest(symbols)}
        waiting = [t for t in symbols if t in newest and not newest[t].status.is_terminal]
        if not waiting:
            break
        if clock.now() >= give_up:
            log.warning("Timeout waiting for orders to fill after %gs", timeout)
            return False
        log.info("Waiting for %d orders to fill: %s", len(waiting), ", ".join(waiting))
        clock.sleep(poll)
    unfilled = [t for t in symbols if t not in newest or newest[t].status is not OrderStatus.FILLED]
    if not unfilled:
        log.info("All orders filled: %s", ", ".join(symbols))
    return not unfilled
