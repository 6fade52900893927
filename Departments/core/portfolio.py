"""The account and what it holds, as values; and how both change when an order fills.

Money is in dollars, quantities in shares. None means *unknown*, never zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from Departments.core.money import ONE, ZERO
from Departments.core.orders import Side

UNKNOWN_SECTOR = "Unknown"


@dataclass(frozen=True, slots=True)
class Account:
    """The broker's account. `cash` is not reduced by open buys; `buying_power` is, and may include margin.

    `may_trade` is the broker's verdict, `blocks` are its closed gates and `status` its word, both for people.
    `id` is the broker's own, empty where it tells none.
    """

    cash: Decimal
    equity: Decimal
    buying_power: Decimal
    multiplier: Decimal = ONE
    status: str = "ACTIVE"
    may_trade: bool = True
    blocks: tuple[str, ...] = ()
    last_equity: Decimal | None = None
    unsettled_cash: Decimal | None = None
    id: str = ""


@dataclass(frozen=True, slots=True)
class Position:
    """Shares held of one symbol (negative: sold short). `qty_available` excludes shares held by open orders."""

    symbol: str
    qty: Decimal
    avg_entry_price: Decimal
    current_price: Decimal | None
    qty_available: Decimal | None = None
    sector: str | None = None
    score: Decimal | None = None

    @property
    def market_value(self) -> Decimal:
        """Return the value at the current price, at the entry price where none is known."""
        return self.qty * (self.avg_entry_price if self.current_price is None else self.current_price)

    @property
    def available(self) -> Decimal:
        """Return the shares that may be sold now."""
        return self.qty if self.qty_available is None else self.qty_available


@dataclass(frozen=True, slots=True)
class ProposedOrder:
    """An order that somebody thinks of sending: what the constraint engine judges.

    `price` is dollars per share, None when nobody knows one. `stop_price` is the planned protective stop.
    """

    symbol: str
    side: Side
    qty: Decimal
    price: Decimal | None
    sector: str | None = None
    stop_price: Decimal | None = None
    plan_id: str | None = None

    @property
    def notional(self) -> Decimal | None:
        """Return shares × price, None without a price."""
        return None if self.price is None else self.qty * self.price


@dataclass(frozen=True, slots=True)
class Book:
    """Cash and positions, actual or projected, on which orders are judged.

    `equity` is that of the moment the book was taken and stays fixed while orders are projected onto it, so
    that planner and trader measure shares of the same whole. `open_buys` is cash promised to open BUY orders.
    `positions` maps symbol to position.
    """

    cash: Decimal
    equity: Decimal
    positions: Mapping[str, Position] = field(default_factory=dict)
    open_buys: Decimal = ZERO
    unsettled_cash: Decimal = ZERO
    peak_equity: Decimal | None = None

    @property
    def invested(self) -> Decimal:
        """Return the market value of all long positions."""
        return sum((p.market_value for p in self.positions.values() if p.qty > 0), ZERO)

    def held_value(self, symbol: str) -> Decimal:
        """Return the market value held of `symbol`."""
        position = self.positions.get(symbol)
        return position.market_value if position else ZERO

    def after(self, order: ProposedOrder) -> Book:
        """Return the book as it will be when `order` has filled completely at its price.

        Raises ValueError for an order without a price.
        """
        if order.price is None:
            raise ValueError(f"{order.symbol} has no price to project with")
        signed = order.qty if order.side is Side.BUY else -order.qty
        held = self.positions.get(order.symbol) or Position(
            order.symbol, ZERO, order.price, order.price, sector=order.sector
        )
        available = None if held.qty_available is None else held.qty_available + signed
        moved = replace(held, qty=held.qty + signed, current_price=order.price, qty_available=available)
        positions = {s: p for s, p in self.positions.items() if s != order.symbol}
        if moved.qty != 0:
            positions[order.symbol] = moved
        return replace(self, cash=self.cash - signed * order.price, positions=positions)
