"""Values of the orders in the ledger: what is intended, what is known of it, each fill; and how a row becomes one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from Departments.core.clock import parse_iso
from Departments.core.orders import Order, OrderStatus, Side
from Departments.ledger.database import Row
from Departments.ledger.values import moment, number

#: What an order's record is read from, in this order.
COLUMNS: Final = (
    "client_order_id, message_id, ticker, side, qty, order_type, plan_id, limit_price, expected_price, stop_price, "
    "purpose, id, status, broker_order_id, filled_qty, filled_avg_price, created_at, submitted_at, terminal_at, code, "
    "reason, cancel_requested_at, updated_at"
)


@dataclass(frozen=True, slots=True)
class OrderIntent:
    """What is about to be asked of the broker, and on whose word (`message_id`).

    `purpose` is `trade` for an approval and `exit` for the exits of shares that stood bare.
    """

    client_order_id: str
    message_id: str
    ticker: str
    side: Side
    qty: Decimal
    order_type: str
    plan_id: str | None = None
    limit_price: Decimal | None = None
    expected_price: Decimal | None = None
    stop_price: Decimal | None = None
    purpose: str = "trade"


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """An order as the ledger knows it. `status` is `unknown` between intent and answer.

    `updated_at` is when the ledger learned of its state, `terminal_at` when the broker says that it ended.
    """

    id: int
    intent: OrderIntent
    status: OrderStatus
    broker_order_id: str | None
    filled_qty: Decimal
    filled_avg_price: Decimal | None
    created_at: datetime
    submitted_at: datetime | None
    terminal_at: datetime | None
    code: str
    reason: str
    cancel_requested_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FillRecord:
    """One fill: shares at a price (dollars per share)."""

    ticker: str
    side: Side
    qty: Decimal
    price: Decimal
    filled_at: datetime
    plan_id: str | None
    client_order_id: str


def seen_by(at: datetime, moment: datetime | None) -> datetime:
    """Return when something happened that is known `at` a moment: never later, for the broker's clock is not ours."""
    return at if moment is None else min(moment, at)


def as_seen(known: OrderRecord, order: Order, at: datetime) -> OrderRecord:
    """Return the record of an order as the broker has it now; one that filled was not cancelled after all."""
    filled = order.status is OrderStatus.FILLED
    return replace(
        known,
        status=order.status,
        broker_order_id=order.id,
        filled_qty=order.filled_qty,
        filled_avg_price=order.filled_avg_price,
        submitted_at=known.submitted_at or seen_by(at, order.submitted_at),
        terminal_at=seen_by(at, order.updated_at) if order.status.is_terminal else None,
        code="" if filled else known.code,
        reason="" if filled else known.reason,
    )


def record_of(row: Sequence[Any]) -> OrderRecord:
    """Read a row of `COLUMNS`: by position, because looking up names is half of the work."""
    client_order_id, message_id, ticker, side, qty, order_type, plan_id, limit, expected, stop, purpose, *rest = row
    number_, status, broker_order_id, filled, average, created, submitted, terminal, code, reason, *more = rest
    return OrderRecord(
        number_,
        OrderIntent(
            client_order_id,
            message_id,
            ticker,
            Side(side),
            Decimal(qty),
            order_type,
            plan_id,
            number(limit),
            number(expected),
            number(stop),
            purpose,
        ),
        OrderStatus.parse(status),
        broker_order_id,
        Decimal(filled),
        number(average),
        parse_iso(created),
        moment(submitted),
        moment(terminal),
        code,
        reason,
        *map(moment, more),
    )


def fill_of(row: Row) -> FillRecord:
    """Read a row of a fill, joined with its order."""
    return FillRecord(
        ticker=row["ticker"],
        side=Side(row["side"]),
        qty=Decimal(row["qty"]),
        price=Decimal(row["price"]),
        filled_at=parse_iso(row["filled_at"]),
        plan_id=row["plan_id"],
        client_order_id=row["client_order_id"],
    )
