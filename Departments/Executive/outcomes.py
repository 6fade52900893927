"""What became of a trade, read from the ledger. A report only says that there is something to read. Pure."""

from __future__ import annotations

from dataclasses import replace

from Departments.core.money import plain
from Departments.core.orders import OrderStatus
from Departments.core.reasons import Reason, ReasonCode
from Departments.core.statuses import PhaseName
from Departments.ledger.order_records import OrderRecord
from Departments.ledger.plan_records import TradeRecord
from Departments.messaging.payloads import ExecutionReport

OPEN_STATUSES = frozenset(status for status in OrderStatus if not status.is_terminal) - {OrderStatus.UNKNOWN}


def with_order(trade: TradeRecord, order: OrderRecord) -> TradeRecord:
    """Return a trade with the ledger's record of its order.

    The reason of the order precedes that of a trim. A filled order with fewer shares than were sent contradicts itself,
    and so does one with more: FILLED_SHORT, FILLED_BEYOND.
    """
    code, reason = order.code or trade.code, order.reason or trade.reason
    is_short = order.status is OrderStatus.FILLED and order.filled_qty < trade.qty
    if is_short or order.filled_qty > trade.qty:
        wrong = ReasonCode.FILLED_SHORT if is_short else ReasonCode.FILLED_BEYOND
        found = Reason.of(wrong, sent=trade.qty, filled=order.filled_qty)
        code, reason = str(found.code), str(found)
    return replace(
        trade,
        status=order.status,
        client_order_id=order.client_order_id,
        submitted_at=order.submitted_at,
        terminal_at=order.terminal_at,
        filled_qty=order.filled_qty,
        filled_avg_price=order.filled_avg_price,
        code=code,
        reason=reason,
    )


def is_order_of(trade: TradeRecord, order: OrderRecord) -> bool:
    """Return True if an order trades as decided. Exits may be for fewer shares: for what is held."""
    is_same_qty = order.qty == trade.qty or trade.phase is PhaseName.PROTECT
    return is_same_qty and (order.symbol, order.side) == (trade.symbol, trade.side)


def find_contradiction(report: ExecutionReport, trade: TradeRecord | None, order: OrderRecord | None) -> str | None:
    """Return how a report of an order differs from the ledger, None if it does not.

    An order that was open when it was reported may have moved on since: old news is no contradiction.
    """
    if order is None:
        return "the ledger has no such order"
    if (report.symbol, report.side, report.qty) != (order.symbol, order.side, order.qty):
        return f"the ledger has {order.side} {plain(order.qty)} {order.symbol}"
    if trade is not None and not is_order_of(trade, order):
        return f"the plan has {trade.side} {plain(trade.qty)} {trade.symbol}"
    known = (order.status, order.filled_qty, order.filled_avg_price)
    was_open = report.status in OPEN_STATUSES and report.filled_qty <= order.filled_qty
    if not was_open and known != (report.status, report.filled_qty, report.filled_avg_price):
        return f"the ledger has it as {order.status}, {plain(order.filled_qty)} of {plain(order.qty)} filled"
    return None
