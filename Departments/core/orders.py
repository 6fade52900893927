"""Orders as values: sides, statuses and the one table of allowed transitions.

Each adapter reads its broker's words into these statuses; `unknown` is any other word and is never terminal.
`denied` is ours: the pre-trade check said no and the broker never saw the order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final, Literal

from Departments.core.money import ZERO

#: A market order follows the price at most so far, as a share of it: the collar of the brokers.
MARKET_COLLAR: Final = Decimal("0.05")


#: Which orders a list is about: those that may still trade, those that have ended, or both.
OrderScope = Literal["open", "closed", "all"]


class Side(StrEnum):
    """Which way an order goes; the words of the messages' `action`."""

    BUY = "BUY"
    SELL = "SELL"


class OrderType(StrEnum):
    """How the price is decided."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"


class TimeInForce(StrEnum):
    """How long an order lives: to the close of the day, or until cancelled."""

    DAY = "day"
    GTC = "gtc"


class OrderClass(StrEnum):
    """Whether an order stands alone or brings exits with it."""

    SIMPLE = "simple"
    BRACKET = "bracket"
    OCO = "oco"


class Purpose(StrEnum):
    """Why the ledger knows an order: a trade of a plan, or an exit of shares that are held."""

    TRADE = "trade"
    EXIT = "exit"


class RejectionSource(StrEnum):
    """Who refused an order: our own check, the broker, or the broker because the id belongs to another order."""

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
        """Tell whether nothing more can happen to the order (a `replaced` one lives on under another id)."""
        return self in TERMINAL

    @classmethod
    def parse(cls, word: str) -> OrderStatus:
        """Read a status; a word we do not know is `unknown`, which is never terminal."""
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
    """What is asked of the broker. `qty` in shares, prices in dollars per share.

    `client_order_id` is ours, unique for ever and at most 128 characters: it is what makes a submission
    idempotent. A bracket carries both `take_profit` (limit) and `stop_loss` (stop).
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


@dataclass(frozen=True, slots=True)
class Order:
    """An order as the broker tells it: a snapshot. `id` is the broker's; legs are a bracket's exits.

    `notional` is the dollars of an order by amount, whose `qty` is only what it has filled.
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
    legs: tuple[Order, ...] = field(default=())

    @property
    def remaining_qty(self) -> Decimal:
        """Return the shares not filled yet."""
        return self.qty - self.filled_qty
