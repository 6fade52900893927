"""One order, and one fill, as the exchange keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from Departments.core.money import ZERO
from Departments.core.orders import Order, OrderClass, OrderStatus, OrderType, Side, TimeInForce


class Role(StrEnum):
    """What an order is in its group: an order of its own, or one of the exits."""

    ENTRY = "entry"
    TAKE_PROFIT = "take_profit"
    STOP_LOSS = "stop_loss"


@dataclass(frozen=True, slots=True)
class Record:
    """An order with what the exchange alone knows of it.

    `group` is the id of the order that the client sent. `live` tells that a bracket's exit waits for its price
    (before, it waits for its entry). The next thing happens at the earliest of `next_at` (matching),
    `cancel_at` and `expires_at`. `limit` is the worst price it takes: its own, or a market order's collar.
    `reserve` is dollars per share of buying power set aside. `chunk` is the size of the next fill when it is not
    everything, `pause` the seconds after it (None: silence). `forced` fills at any price; `doomed` is rejected
    when the market takes it. `cash_lag` is seconds until proceeds show.
    """

    id: str
    client_order_id: str
    group: str
    role: Role
    symbol: str
    side: Side
    qty: Decimal
    type: OrderType
    time_in_force: TimeInForce
    order_class: OrderClass
    status: OrderStatus
    submitted_at: datetime
    updated_at: datetime
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    filled_qty: Decimal = ZERO
    filled_value: Decimal = ZERO
    filled_at: datetime | None = None
    expires_at: datetime | None = None
    next_at: datetime | None = None
    visible_at: datetime | None = None
    cancel_at: datetime | None = None
    limit: Decimal | None = None
    reserve: Decimal = ZERO
    chunk: Decimal | None = None
    pause: Decimal | None = None
    cash_lag: Decimal = ZERO
    live: bool = True
    triggered: bool = False
    silent: bool = False
    forced: bool = False
    doomed: bool = False

    @property
    def remaining(self) -> Decimal:
        """Return the shares that have not traded."""
        return self.qty - self.filled_qty

    def is_visible(self, now: datetime) -> bool:
        """Tell whether look-ups find the order; only a fault hides it, and only for a time."""
        return self.visible_at is None or self.visible_at <= now

    @property
    def is_arriving(self) -> bool:
        """Tell whether the market has not taken the order yet."""
        return self.status in {OrderStatus.PENDING_NEW, OrderStatus.ACCEPTED}

    @property
    def is_exit(self) -> bool:
        """Tell whether it is a bracket's or an OCO's exit."""
        return self.role is not Role.ENTRY

    @property
    def due_at(self) -> datetime | None:
        """Return when the next thing happens to the order, None when only the outside can move it."""
        if self.status.is_terminal:
            return None
        return min((at for at in (self.next_at, self.cancel_at, self.expires_at) if at), default=None)

    def order(self, legs: tuple[Order, ...] = ()) -> Order:
        """Return the order as the port tells it."""
        average = self.filled_value / self.filled_qty if self.filled_qty else None
        return Order(
            id=self.id,
            client_order_id=self.client_order_id,
            symbol=self.symbol,
            side=self.side,
            qty=self.qty,
            status=self.status,
            filled_qty=self.filled_qty,
            filled_avg_price=average,
            type=self.type,
            time_in_force=self.time_in_force,
            order_class=self.order_class,
            limit_price=self.limit_price,
            stop_price=self.stop_price,
            submitted_at=self.submitted_at,
            updated_at=self.updated_at,
            filled_at=self.filled_at,
            legs=legs,
        )


@dataclass(frozen=True, slots=True)
class Fill:
    """Shares that traded: quantity, price (dollars per share), fee (dollars), moment (UTC)."""

    id: str
    order_id: str
    client_order_id: str
    symbol: str
    side: Side
    qty: Decimal
    price: Decimal
    fee: Decimal
    at: datetime

    @property
    def cash(self) -> Decimal:
        """Return what the fill adds to the cash, fee included (negative for a BUY)."""
        value = self.qty * self.price
        return (value if self.side is Side.SELL else -value) - self.fee
