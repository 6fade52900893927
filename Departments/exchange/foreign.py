"""Rows of the account that are no shares: options, spreads, crypto, and rows that cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from Departments.core.money import ZERO
from Departments.exchange.market_events import ForeignOrderState, ForeignPositionState
from Departments.exchange.storage import ExchangeFile


class ForeignRows:
    """Keeps foreign orders and positions. They count in equity and buying power, and never trade."""

    def __init__(self, storage: ExchangeFile) -> None:
        self._storage = storage

    def add(self, row: ForeignOrderState | ForeignPositionState) -> None:
        """Store a row; one of the same id or symbol is replaced."""
        if isinstance(row, ForeignOrderState):
            values: tuple[object, ...] = (row.id, row.client_order_id, row.kind, row.symbol, row.promised, row.problem)
            self._storage.edit_rare("INSERT OR REPLACE INTO foreign_orders VALUES (?, ?, ?, ?, ?, ?)", values)
        else:
            values = (row.symbol, row.kind, row.market_value, row.problem)
            self._storage.edit_rare("INSERT OR REPLACE INTO foreign_positions VALUES (?, ?, ?, ?)", values)

    def orders(self) -> Sequence[ForeignOrderState]:
        """Return every open foreign order."""
        return self._storage.remember_rare("foreign orders", self._read_orders)

    def positions(self) -> Sequence[ForeignPositionState]:
        """Return every foreign position."""
        return self._storage.remember_rare("foreign positions", self._read_positions)

    @property
    def market_value(self) -> Decimal:
        """Return the value of all foreign positions in dollars."""
        return sum((row.market_value or ZERO for row in self.positions()), ZERO)

    @property
    def promised(self) -> Decimal:
        """Return the highest cost of open foreign orders, in dollars."""
        return sum((row.promised or ZERO for row in self.orders()), ZERO)

    def _read_orders(self) -> tuple[ForeignOrderState, ...]:
        rows = self._storage.rows("SELECT * FROM foreign_orders ORDER BY rowid")
        return tuple(ForeignOrderState.model_validate(dict(row)) for row in rows)

    def _read_positions(self) -> tuple[ForeignPositionState, ...]:
        rows = self._storage.rows("SELECT * FROM foreign_positions ORDER BY rowid")
        return tuple(ForeignPositionState.model_validate(dict(row)) for row in rows)
