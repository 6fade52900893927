"""Orders as values: requests, snapshots, sides, types and statuses. Pure.

Each adapter maps its broker's words to these statuses; `unknown` is any other word and is never terminal.
`denied` is ours: the pre-trade check said no and the broker never saw the order.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final, Literal

from Departments.core.money import ZERO

#: A market order fills at most this share away from the price: the brokers' collar.
MARKET_COLLAR: Final = Decimal("0.05")

#: Above the ask a BUY pays at most this share of the price, where the settings say nothing else.
BUY_COLLAR: Final = Decimal("0.01")

#: The orders of a list: live ones, ended ones, or both.
OrderScope = Literal["open", "closed", "all"]


class Side(StrEnum):
    """The side of an order; the words of the messages' `action`."""

    BUY = "BUY"
    SELL = "SELL"


class OrderType(StrEnum):
    """The pricing of an order."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TRAILING_STOP = "trailing_stop"


class TimeInForce(StrEnum):
    """The life of an order: until the day's close, or until cancelled."""

    DAY = "day"
    GTC = "gtc"


class OrderClass(StrEnum):
    """An order alone, or one with exits."""

    SIMPLE = "simple"
    BRACKET = "bracket"
    OCO = "oco"


class Purpose(StrEnum):
    """The purpose of an order in the ledger: a trade of a plan, or an exit."""

    TRADE = "trade"
    EXIT = "exit"


class RejectionSource(StrEnum):
    """The source of a refusal: our check, the broker, or the broker over a used id."""

    CONSTRAINT = "constraint"
    BROKER = "broker"
    DUPLICATE = "duplicate"


class OrderStatus(StrEnum):
    """The state of an order."""

    PENDING_NEW = "pending_new"
    ACCEPTED = "accepted"
    NEW = "new"
    HELD = "held"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    DONE_FOR_DAY = "done_for_day"
    PENDING_CANCEL = "pending_cancel"
    CANCELED = "canceled"
    EXPIRED = "expired"
    PENDING_REPLACE = "pending_replace"
    REPLACED = "replaced"
    REJECTED = "rejected"
    STOPPED = "stopped"
    SUSPENDED = "suspended"
    CALCULATED = "calculated"
    ACCEPTED_FOR_BIDDING = "accepted_for_bidding"
    PENDING_REVIEW = "pending_review"
    DENIED = "denied"
    UNKNOWN = "unknown"

    @property
    def is_terminal(self) -> bool:
        """Return whether the status is final. A `replaced` order lives on under another id."""
        return self in TERMINAL

    @classmethod
    def parse(cls, word: str) -> OrderStatus:
        """Parse a status. An unknown word is `unknown`, never terminal."""
        return BY_WORD.get(word.strip().lower(), cls.UNKNOWN)


BY_WORD = {status.value: status for status in OrderStatus}
TERMINAL = frozenset(
    {
        OrderStatus.FILLED,
        OrderStatus.CANCELED,
        OrderStatus.EXPIRED,
        OrderStatus.REJECTED,
        OrderStatus.REPLACED,
        OrderStatus.DENIED,
    }
)


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """An order to submit. `qty` in shares, prices in dollars per share.

    `client_order_id` is ours, unique for ever and at most 128 characters: it makes a submission idempotent. A
    bracket carries both `take_profit` (limit) and `stop_loss` (stop). A trailing stop follows the best price at
    `trail_price` dollars or at `trail_percent` percent.
    """

    client_order_id: str
    symbol: str
    side: Side
    qty: Decimal
    type: OrderType = OrderType.MARKET
    time_in_force: TimeInForce = TimeInForce.DAY
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    order_class: OrderClass = OrderClass.SIMPLE
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None


@dataclass(frozen=True, slots=True)
class OrderChange:
    """New terms for a live order; None keeps a term. `client_order_id` is ours and new, and makes it idempotent.

    `trail` is in the unit of the order: dollars or percent. A leg of a bracket or an OCO takes new prices, but no
    new quantity.
    """

    client_order_id: str
    qty: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """A snapshot of an order at the broker. `id` is the broker's; legs are a bracket's exits.

    `notional` is the dollars of an order by amount; its `qty` is then its filled quantity. A `replaced` order goes
    on as `replaced_by`, and that one names it in `replaces`; each keeps its own fills.
    """

    id: str
    client_order_id: str
    symbol: str
    side: Side
    qty: Decimal
    status: OrderStatus
    filled_qty: Decimal = ZERO
    filled_avg_price: Decimal | None = None
    type: OrderType = OrderType.MARKET
    time_in_force: TimeInForce = TimeInForce.DAY
    order_class: OrderClass = OrderClass.SIMPLE
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    submitted_at: datetime | None = None
    updated_at: datetime | None = None
    filled_at: datetime | None = None
    replaced_by: str | None = None
    notional: Decimal | None = None
    replaces: str | None = None
    expires_at: datetime | None = None
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    legs: tuple[Order, ...] = field(default=())

    def shift_times(self, by: timedelta) -> Order:
        """Return the order with its moments, and those of its legs, moved."""

        def move(moment: datetime | None) -> datetime | None:
            return None if moment is None else moment + by

        return replace(
            self,
            submitted_at=move(self.submitted_at),
            updated_at=move(self.updated_at),
            filled_at=move(self.filled_at),
            legs=tuple(leg.shift_times(by) for leg in self.legs),
        )

    @property
    def remaining_qty(self) -> Decimal:
        """Return the unfilled shares."""
        return self.qty - self.filled_qty


#: Every client order id of the desk begins so.
OURS: Final = "MSG_"


def is_of_somebody_else(order: Order) -> bool:
    """Return True for an open order without an id of the desk's. The exits of a bracket have none, whosever it is."""
    return not order.status.is_terminal and not order.client_order_id.startswith(OURS)


def is_leg(order: Order) -> bool:
    """Return True for an exit of a bracket or an OCO."""
    return order.side is Side.SELL and order.order_class is not OrderClass.SIMPLE
