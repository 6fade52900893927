"""Positions as the older system's readers know them: PENDING → OPEN → CLOSED, or REJECTED without a share.

A BUY of ours has one row. A SELL or an exit closes the oldest rows of its symbol first, the older system's own
included; of a row that is sold in part, the sold shares become a closed row of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from Departments.core.identifiers import short_hash
from Departments.core.money import ZERO
from Departments.core.orders import OrderStatus, OrderType, Purpose, Side
from Departments.ledger.database import FoundRow
from Departments.ledger.old_tables import OldTable
from Departments.ledger.order_records import FillRow, OrderRecord
from Departments.ledger.sqlite import SqliteDatabase

#: The older system's target, and its stop where an order has none, as parts of the price.
_TARGET, _STOP = Decimal("1.16"), Decimal("0.92")
#: The rows that a sale closes: open ones, and pending ones of the older system (their orders are ORD_…), which stay so
#: while they are held. Then ours that its reconciler has closed without a price, because the account had sold already.
_SOLD_FROM: Final = """
    SELECT * FROM (SELECT *, coalesce(entry_order_message_id, 'ORD_') LIKE 'ORD~_%' ESCAPE '~' AS is_theirs
    FROM portfolio_positions WHERE ticker = ?) AS p WHERE status = 'OPEN' OR (status = 'PENDING' AND is_theirs) OR
    (status = 'CLOSED' AND NOT is_theirs AND exit_price IS NULL AND exit_reason = 'RECONCILIATION_CLEANUP')
    ORDER BY status = 'CLOSED', id"""
#: Counts the shares of a symbol that its rows hold or expect.
_COUNT_ENTRY: Final = """UPDATE entry_dates SET updated_at = ?, shares = (
    SELECT coalesce(sum(coalesce(actual_shares, intended_shares)), 0) FROM portfolio_positions
    WHERE ticker = ? AND status IN ('OPEN', 'PENDING')) WHERE ticker = ?"""


class OldPositions:
    """Follows the desk's BUYs and sales, and since when each symbol is held.

    Every method joins the caller's transaction.
    """

    def __init__(self, database: SqliteDatabase) -> None:
        self._table = OldTable(database, "portfolio_positions")
        self._entries = OldTable(database, "entry_dates")

    def expect(self, order: OrderRecord) -> None:
        """Add the PENDING row of a BUY that is about to be sent."""
        if _is_entry(order) and not order.status.is_terminal:
            self._insert(order)

    def follow(self, order: OrderRecord, fill: FillRow | None) -> None:
        """Bring the rows up to the news of an order."""
        if order.side is Side.SELL:
            if fill is not None:
                self._sell(order, fill)
                self._count_entry(order.symbol, fill.filled_at)
                self._entries.run("DELETE FROM entry_dates WHERE ticker = ? AND shares <= 0", order.symbol)
        elif _is_entry(order) and fill is not None:
            self._open(order, fill)
        elif _is_entry(order) and order.status.is_terminal and not order.filled_qty:
            at = order.terminal_at or order.updated_at or order.created_at
            ended = {"status": "REJECTED", "exit_reason": order.reason or order.status.value, "exit_date": _date(at)}
            self._table.update(ended | {"updated_at": at}, "position_id = ? AND status = 'PENDING'", _id_of(order))

    def rename(self, symbol: str, new: str, at: datetime) -> None:
        """Move the open rows of a symbol to its new one."""
        self._table.update({"ticker": new, "updated_at": at}, "ticker = ? AND status IN ('OPEN', 'PENDING')", symbol)
        self._entries.update({"ticker": new, "updated_at": at.isoformat()}, "ticker = ?", symbol)

    def split(self, symbol: str, ratio: Decimal, at: datetime) -> None:
        """Multiply the shares of open rows by `ratio` and divide their prices by it."""
        for row in self._table.find("SELECT * FROM portfolio_positions WHERE ticker = ? AND status = 'OPEN'", symbol):
            shares = int(Decimal(str(row["actual_shares"] or 0)) * ratio)
            names = ("intended_entry_price", "intended_stop_loss", "intended_target", "actual_entry_price")
            prices = {name: row[name] and Decimal(str(row[name])) / ratio for name in (*names, "risk_per_share")}
            self._table.update({"actual_shares": shares, **prices, "updated_at": at}, "id = ?", row["id"])
        sql = "UPDATE entry_dates SET shares = shares * ?, entry_price = entry_price / ? WHERE ticker = ?"
        self._entries.run(sql, ratio, ratio, symbol)

    def _open(self, order: OrderRecord, fill: FillRow) -> None:
        row = self._table.find(
            "SELECT actual_shares FROM portfolio_positions WHERE position_id = ?", _id_of(order)
        ) or self._insert_late(order)
        before = Decimal(str(row[0][0] or 0)) if row else ZERO
        shares, price = before + fill.qty, order.filled_avg_price or fill.price
        risk = max(ZERO, price - (order.stop_price or price * _STOP))
        opened = {
            "status": "OPEN",
            "actual_entry_price": price,
            "actual_entry_date": _date(fill.filled_at),
            "actual_shares": shares,
            "fill_message_id": order.message_id,
            "risk_per_share": risk,
            "total_risk": risk * shares,
            "exit_reason": None,
            "exit_date": None,
            "updated_at": fill.filled_at,
        }
        self._table.update(opened, "position_id = ? AND status <> 'CLOSED'", _id_of(order))
        self._note_entry(order.symbol, price, fill.qty, fill.filled_at)

    def _note_entry(self, symbol: str, price: Decimal, qty: Decimal, at: datetime) -> None:
        """Note since when a symbol is held: more shares keep the day of the first ones."""
        if not self._count_entry(symbol, at):
            moment = at.isoformat()
            row = {"ticker": symbol, "entry_date": moment, "entry_price": price, "shares": qty, "updated_at": moment}
            self._entries.insert(row)

    def _count_entry(self, symbol: str, at: datetime) -> int:
        """Count the shares of a noted symbol anew. Returns 0 if it is not noted."""
        return self._entries.run(_COUNT_ENTRY, at.isoformat(), symbol, symbol)

    def _insert_late(self, order: OrderRecord) -> list[FoundRow]:
        """Add the row of a BUY that has none, such as one that another program has deleted."""
        self._insert(order)
        return []

    def _insert(self, order: OrderRecord) -> None:
        source = "(SELECT sector FROM desk_symbols WHERE symbol = ?)"
        self._table.insert_found(_row(order), "sector", source, order.symbol)

    def _sell(self, order: OrderRecord, fill: FillRow) -> None:
        left = fill.qty
        for row in self._table.find(_SOLD_FROM, order.symbol):
            held = Decimal(str(row["actual_shares"] or row["intended_shares"] or 0))
            taken = min(held, left)
            if taken > 0:
                self._close(row, held, taken, order, fill)
            left -= taken
            if left <= 0:
                return

    def _close(self, row: FoundRow, held: Decimal, taken: Decimal, order: OrderRecord, fill: FillRow) -> None:
        risk = Decimal(str(row["risk_per_share"] or 0))
        closed = {
            "status": "CLOSED",
            "actual_shares": taken,
            "total_risk": risk * taken,
            "exit_reason": _reason(order),
            "exit_price": fill.price,
            "exit_date": _date(fill.filled_at),
            "exit_order_message_id": order.client_order_id,
            "updated_at": fill.filled_at,
        }
        if taken == held:
            self._table.update(closed, "id = ?", row["id"])
            return
        rest = held - taken
        self._table.update(
            {"actual_shares": rest, "total_risk": risk * rest, "updated_at": fill.filled_at}, "id = ?", row["id"]
        )
        part = f"{row['position_id']}_{short_hash(order.client_order_id, str(fill.cumulative_qty))}"
        self._table.insert(_as_values(row) | closed | {"position_id": part})


def _as_values(row: FoundRow) -> dict[str, Any]:
    values: Mapping[str, Any] = {name: row[name] for name in row.keys()}  # type: ignore[attr-defined]  # noqa: SIM118
    return {name: value for name, value in values.items() if name.lower() != "id"}


def _is_entry(order: OrderRecord) -> bool:
    return order.side is Side.BUY and order.purpose is Purpose.TRADE and order.status is not OrderStatus.DENIED


def _id_of(order: OrderRecord) -> str:
    """Return the id of the position that a BUY opens, in the older system's form."""
    return f"POS_{order.created_at:%Y%m%d_%H%M%S}_{short_hash(order.client_order_id)}"


def _row(order: OrderRecord) -> dict[str, Any]:
    price = order.expected_price or order.limit_price or ZERO
    stop = order.stop_price or price * _STOP
    risk = max(ZERO, price - stop)
    return {
        "position_id": _id_of(order),
        "ticker": order.symbol,
        "status": "PENDING",
        "intended_entry_price": price,
        "intended_shares": order.qty,
        "intended_stop_loss": stop,
        "intended_target": price * _TARGET,
        "risk_per_share": risk,
        "total_risk": risk * order.qty,
        "entry_order_message_id": order.client_order_id,
        "created_at": order.created_at,
        "updated_at": order.created_at,
    }


def _reason(order: OrderRecord) -> str:
    if order.purpose is Purpose.TRADE:
        return "SELL"
    return "TAKE_PROFIT" if order.order_type == OrderType.LIMIT else "STOP_LOSS"


def _date(moment: datetime) -> str:
    return moment.astimezone(UTC).date().isoformat()
