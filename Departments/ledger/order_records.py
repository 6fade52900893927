"""Orders, fills and rejections as values, and their tables."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from Departments.core.logs import about
from Departments.core.money import ZERO
from Departments.core.orders import OURS, TERMINAL, Order, OrderStatus, Purpose, RejectionSource, Side
from Departments.ledger.tables import Table


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """An order as the ledger knows it: what is asked of the broker, and what the broker made of it.

    An *intent* is the record of an order about to be sent, for the message `message_id`: the broker's part is empty,
    `status` is `unknown`. An approval leads to a trade, a request to protect shares to an exit. `parent_id` is the
    client order id of an exit's own order: its bracket's entry, or the other exit of its OCO.

    `updated_at` is the moment of its last news, `terminal_at` the broker's moment of its end, and `released_at` the
    moment of its RELEASE.
    """

    id: int = field(default=0, kw_only=True)
    client_order_id: str
    message_id: str
    symbol: str
    side: Side
    qty: Decimal
    order_type: str
    plan_id: str | None = None
    limit_price: Decimal | None = None
    expected_price: Decimal | None = None
    stop_price: Decimal | None = None
    purpose: Purpose = Purpose.TRADE
    parent_id: str | None = None
    status: OrderStatus = OrderStatus.UNKNOWN
    broker_order_id: str | None = None
    filled_qty: Decimal = ZERO
    filled_avg_price: Decimal | None = None
    created_at: datetime = field(kw_only=True)
    submitted_at: datetime | None = None
    terminal_at: datetime | None = None
    code: str = ""
    reason: str = ""
    cancel_requested_at: datetime | None = None
    updated_at: datetime | None = None
    released_at: datetime | None = None

    @property
    def is_ours(self) -> bool:
        """Return whether the desk sent it, or the order whose exit it is."""
        return (self.parent_id or self.client_order_id).startswith(OURS)


@dataclass(frozen=True, slots=True)
class FillRow:
    """One fill of an order: shares at a price (dollars per share). `cumulative_qty` includes the fills before it."""

    order_id: int
    qty: Decimal
    price: Decimal
    filled_at: datetime
    expected_price: Decimal | None
    cumulative_qty: Decimal


@dataclass(frozen=True, slots=True)
class FillRecord:
    """One fill with the symbol and side of its order."""

    symbol: str
    side: Side
    fill: FillRow


@dataclass(frozen=True, slots=True)
class Rejection:
    """A denial or rejection of an order; `escalation_msg_id` is the message to the Executive about it."""

    order_id: int
    code: str
    reason: str
    source: RejectionSource
    at: datetime
    escalation_msg_id: str | None


@dataclass(frozen=True, slots=True)
class TradedSides:
    """The filled sides of a symbol on a trading day: BUY, SELL, or BOTH (a day trade)."""

    day: date
    symbol: str
    sides: str


#: The beginning of the message id of an order without a message: an exit made by the broker or a person.
ADOPTED: Final = "EXIT_"
#: The beginning of the message id of a further order of one message: PROTECT gives several exits back.
PART: Final = "PART_"
BOTH: Final = "BOTH"
#: A condition: the order is not known to be terminal.
OPEN: Final = "status NOT IN (" + ", ".join(f"'{status}'" for status in sorted(TERMINAL)) + ")"
#: A condition: the order knows the stop of its symbol.
WITH_STOP: Final = "stop_price IS NOT NULL AND (filled_qty <> '0' OR purpose = 'exit')"

ORDERS: Final = Table(
    "desk_orders",
    OrderRecord,
    identity="id",
    rules=("UNIQUE (client_order_id)", "UNIQUE (message_id)"),
    indexes=(
        f"CREATE INDEX desk_orders_open ON desk_orders (purpose) WHERE {OPEN}",
        "CREATE INDEX desk_orders_at_broker ON desk_orders (broker_order_id) WHERE broker_order_id IS NOT NULL",
        "CREATE INDEX desk_orders_by_plan ON desk_orders (plan_id)",
        "CREATE INDEX desk_orders_by_symbol ON desk_orders (symbol, purpose)",
        "CREATE INDEX desk_orders_by_parent ON desk_orders (parent_id) WHERE parent_id IS NOT NULL",
        f"CREATE INDEX desk_orders_with_stop ON desk_orders (symbol, id) WHERE {WITH_STOP}",
    ),
)
FILLS: Final = Table(
    "desk_fills",
    FillRow,
    identity="id",
    rules=("UNIQUE (order_id, cumulative_qty)", "FOREIGN KEY (order_id) REFERENCES desk_orders (id)"),
    indexes=("CREATE INDEX desk_fills_by_time ON desk_fills (filled_at)",),
)
REJECTIONS: Final = Table(
    "desk_rejections",
    Rejection,
    identity="id",
    rules=("UNIQUE (order_id)", "FOREIGN KEY (order_id) REFERENCES desk_orders (id)"),
)
TRADED: Final = Table(
    "desk_traded",
    TradedSides,
    rules=("PRIMARY KEY (day, symbol)",),
    indexes=("CREATE INDEX desk_traded_both ON desk_traded (day) WHERE sides = 'BOTH'",),
    clustered=True,
)


def is_adopted(record: OrderRecord) -> bool:
    """Return whether the ledger found the order at the broker instead of sending it for a message."""
    return record.message_id.startswith(ADOPTED)


def limit_moment(at: datetime, moment: datetime | None) -> datetime:
    """Return a moment of the broker's clock, but none after its news came (`at`)."""
    return at if moment is None else min(moment, at)


def apply_news(known: OrderRecord, order: Order, at: datetime) -> OrderRecord:
    """Apply the broker's snapshot to a record, which stays the same if it tells nothing new.

    A filled order was not cancelled after all.
    """
    filled = order.status is OrderStatus.FILLED
    news: dict[str, Any] = {
        "status": order.status,
        "broker_order_id": order.id,
        "filled_qty": order.filled_qty,
        "filled_avg_price": order.filled_avg_price,
        "submitted_at": known.submitted_at or limit_moment(at, order.submitted_at),
        "terminal_at": limit_moment(at, order.updated_at) if order.status.is_terminal else None,
        "code": "" if filled else known.code,
        "reason": "" if filled else known.reason,
    }
    is_new = any(getattr(known, name) != value for name, value in news.items())
    return replace(known, **news, updated_at=at) if is_new else known


def end_order(known: OrderRecord, status: OrderStatus, code: str, reason: str, at: datetime) -> OrderRecord:
    """Return the record of an order that ended without news from the broker."""
    return replace(known, status=status, code=code, reason=reason, terminal_at=at, updated_at=at)


def about_order(record: OrderRecord) -> dict[str, Any]:
    """Return the `extra` of a log line about an order."""
    return about(plan=record.plan_id, symbol=record.symbol, message=record.message_id, order=record.client_order_id)
