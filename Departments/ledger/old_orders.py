"""Orders, fills, rejections and daily totals of ours as rows of the older system's tables.

An order has one row from its intent on, an exit from its first fill on. An order has one row of fills, at its average
price, as the older system's own recorder writes it, so neither counts what the other has counted.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from Departments.core.documents import json_text
from Departments.core.money import ZERO
from Departments.core.orders import OrderStatus, Purpose, RejectionSource
from Departments.ledger.old_positions import OldPositions
from Departments.ledger.old_tables import OldTable
from Departments.ledger.order_records import FillRow, OrderRecord, Rejection
from Departments.ledger.sqlite import SqliteDatabase

_ENDED_UNFILLED: Final = frozenset({OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REPLACED})
_SOURCES: Final = {RejectionSource.CONSTRAINT: "HARD_CONSTRAINT", RejectionSource.BROKER: "ALPACA"}
#: The older system takes the same order within this time for a duplicate.
_DUPLICATE_FOR: Final = timedelta(minutes=5)
_CLEARED_EVERY: Final = timedelta(minutes=1)
#: A price this far from the expected one is a slippage event, as a share of it.
_SLIPPED: Final = Decimal("0.01")
_ROW_OF: Final = "(SELECT id FROM trading_orders WHERE order_id = ?)"
_REJECT: Final = """INSERT INTO trading_rejections (order_id, rejection_reason, rejection_code, rejection_timestamp,
    rejection_source, escalated_to_executive, escalation_msg_id, created_at)
    SELECT (SELECT id FROM trading_orders WHERE order_id = ?), ?, ?, ?, ?, ?, ?, ? WHERE NOT EXISTS
    (SELECT 1 FROM trading_rejections r JOIN trading_orders o ON o.id = r.order_id WHERE o.order_id = ?)"""
_TOTALS: Final = (
    "SELECT count(*), coalesce(sum(fill_price * quantity_filled), 0), coalesce(sum(commission), 0), "
    "coalesce(avg(slippage_pct), 0), coalesce(max(abs(slippage_pct)), 0), coalesce(sum(slippage_flag), 0) "
    "FROM trading_fills WHERE fill_timestamp >= ? AND fill_timestamp < ?"
)


class OldOrders:
    """Follows the desk's orders. Every method joins the caller's transaction."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._orders = OldTable(database, "trading_orders")
        self._fills = OldTable(database, "trading_fills")
        self._rejections = OldTable(database, "trading_rejections")
        self._logs = OldTable(database, "trading_daily_logs")
        self._cache = OldTable(database, "trading_duplicate_cache")
        self._cleared_at: datetime | None = None
        self._db = database
        self.positions = OldPositions(database)

    def add(self, order: OrderRecord) -> None:
        """Add the row of a new order, and what the older system's guard against duplicates asks for."""
        if not _has_row(order):
            return
        self._add_row(order)
        if order.purpose is Purpose.TRADE and not order.status.is_terminal:
            self._guard(order)
        self.positions.expect(order)

    def follow(self, order: OrderRecord, fill: FillRow | None = None) -> None:
        """Bring the rows of an order up to its news."""
        if not _has_row(order):
            return
        values = _values(order)
        if not self._orders.update(values, "order_id = ?", order.client_order_id):
            self._add_row(order)
        if fill is not None:
            self._note_fill(order, fill)
        self.positions.follow(order, fill)

    def reject(self, order: OrderRecord, rejection: Rejection) -> None:
        """Add the rejection of an order."""
        source = _SOURCES.get(rejection.source, "DUPLICATE")
        escalation = rejection.escalation_msg_id
        values = (rejection.reason, rejection.code, rejection.at, source, int(escalation is not None), escalation)
        self._rejections.run(_REJECT, *(order.client_order_id, *values, rejection.at, order.client_order_id))
        self._count("total_rejections", _day_of(rejection.at), rejection.at)

    def _add_row(self, order: OrderRecord) -> None:
        named = {
            "order_id": order.client_order_id,
            "ticker": order.symbol,
            "action": order.side.value,
            "order_type": "MARKET" if order.limit_price is None else "LIMIT",
            "executive_approval_msg_id": order.message_id,
            "created_at": order.created_at,
        }
        self._orders.insert(named | _values(order))
        self._count("total_orders", _day_of(order.created_at), order.created_at)

    def _guard(self, order: OrderRecord) -> None:
        at = order.created_at
        if self._cleared_at is None or not timedelta() <= at - self._cleared_at < _CLEARED_EVERY:
            self._cache.run("DELETE FROM trading_duplicate_cache WHERE expires_at <= ?", at)
            self._cleared_at = at
        self._cache.run(
            "INSERT INTO trading_duplicate_cache (ticker, action, quantity, submitted_timestamp, order_id, expires_at) "
            f"SELECT ?, ?, ?, ?, {_ROW_OF}, ?",
            *(order.symbol, order.side.value, order.qty, at, order.client_order_id, at + _DUPLICATE_FOR),
        )

    def _note_fill(self, order: OrderRecord, fill: FillRow) -> None:
        """Write the order's row of fills: all its shares at their average price."""
        price, expected = order.filled_avg_price or fill.price, order.expected_price
        slipped = None if not expected else (price - expected) / expected
        values: dict[str, Any] = {
            "fill_price": price,
            "quantity_filled": order.filled_qty,
            "fill_timestamp": _iso_with_offset(fill.filled_at),
            "expected_price": expected,
            "slippage_pct": None if slipped is None else slipped * 100,
            "slippage_flag": int(slipped is not None and abs(slipped) > _SLIPPED),
            "alpaca_fill_id": order.broker_order_id,
        }
        if not self._fills.update(values, f"order_id = {_ROW_OF}", order.client_order_id):
            more = {"commission": ZERO, "created_at": fill.filled_at}
            source = "id FROM trading_orders WHERE order_id = ?"
            self._fills.insert_found(more | values, "order_id", source, order.client_order_id)
        day = _day_of(fill.filled_at)
        self._db.before_commit(f"sum {day}", lambda: self._sum_day(day, fill.filled_at))

    def _sum_day(self, day: date, at: datetime) -> None:
        rows = self._fills.find(_TOTALS, day.isoformat(), (day + timedelta(days=1)).isoformat())
        if rows:
            names = ("total_fills", "total_volume_traded", "total_commissions", "avg_slippage_pct")
            totals = dict(zip((*names, "max_slippage_pct", "slippage_events"), rows[0], strict=True))
            self._write_log(day, totals | {"updated_at": at}, at)

    def _count(self, name: str, day: date, at: datetime) -> None:
        """Count one more of something on a day."""
        sql = f"UPDATE trading_daily_logs SET {name} = {name} + 1, updated_at = ? WHERE log_date = ?"  # noqa: S608 - our names
        if not self._logs.run(sql, at, day.isoformat()):
            self._write_log(day, {name: 1}, at)

    def _write_log(self, day: date, values: dict[str, Any], at: datetime) -> None:
        if not self._logs.update(values, "log_date = ?", day.isoformat()):
            self._logs.insert({"log_date": day.isoformat(), "created_at": at, "updated_at": at} | values)


def _has_row(order: OrderRecord) -> bool:
    """Return True for a trade, and for an exit that has sold something."""
    return order.purpose is Purpose.TRADE or order.filled_qty > 0


def _values(order: OrderRecord) -> dict[str, Any]:
    """Return the columns that change with an order."""
    denied = order.status is OrderStatus.DENIED
    return {
        "alpaca_order_id": order.broker_order_id,
        "quantity": order.qty,
        "limit_price": order.limit_price,
        "status": _word(order),
        "submitted_timestamp": None if order.submitted_at is None else _with_fraction(order.submitted_at),
        "hard_constraints_passed": int(not denied),
        "constraint_violations": json_text([_violation(order)]) if denied else None,
        "updated_at": order.updated_at or order.created_at,
    }


def _violation(order: OrderRecord) -> dict[str, str | None]:
    return {"constraint": order.code, "reason": order.reason, "limit": None, "actual": None}


def _word(order: OrderRecord) -> str:
    """Return the older system's word for a status."""
    status = order.status
    if status is OrderStatus.FILLED:
        return "FILLED"
    if status in {OrderStatus.DENIED, OrderStatus.REJECTED}:
        return "REJECTED"
    if status is OrderStatus.PARTIALLY_FILLED or (status in _ENDED_UNFILLED and order.filled_qty):
        return "PARTIAL"
    if status in _ENDED_UNFILLED:
        return "CANCELLED"
    return "PENDING" if order.submitted_at is None else "SUBMITTED"


def _day_of(moment: datetime) -> date:
    return moment.astimezone(UTC).date()


def _with_fraction(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(" ", "microseconds")[:26]


def _iso_with_offset(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
