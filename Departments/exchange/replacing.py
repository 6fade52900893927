"""Replace a live order by one with new terms, as Alpaca's PATCH does. Pure.

An order that waits at the market is `pending_replace` and may still trade; a held exit changes at once. Alpaca replaces
neither arriving orders nor orders by amount (its OpenAPI, `PATCH /v2/orders/{order_id}`); legs keep their quantity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from Departments.core.money import ZERO, plain, price_tick
from Departments.core.orders import OrderChange, OrderClass, OrderStatus, OrderType, Side
from Departments.exchange.derivation import derive_id
from Departments.exchange.records import Record, Role
from Departments.exchange.rules import buying_power, duplicate_id, invalid, sub_penny, too_late

#: The prices that a type of order has.
PRICES: Final[Mapping[OrderType, tuple[str, ...]]] = {
    OrderType.MARKET: (),
    OrderType.LIMIT: ("limit_price",),
    OrderType.STOP: ("stop_price",),
    OrderType.STOP_LIMIT: ("limit_price", "stop_price"),
    OrderType.TRAILING_STOP: ("trail",),
}
_REPLACEABLE: Final = frozenset({OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED, OrderStatus.HELD})


def check_change(record: Record, change: OrderChange, power: Decimal, *, id_used: bool) -> None:
    """Check new terms. `power` is the buying power in dollars. Raises the ExchangeRefusal of the first broken rule."""
    if record.status.is_terminal:
        raise too_late(record.status)
    if record.status not in _REPLACEABLE:
        raise invalid(f"cannot replace order in {record.status} status")
    if record.notional is not None:
        raise invalid("notional orders cannot be replaced")
    if id_used:
        raise duplicate_id()
    _check_qty(record, change)
    _check_prices(record, change)
    cost = _cost_beyond(record, change)
    if cost > power:
        raise buying_power(power, cost)


def _check_qty(record: Record, change: OrderChange) -> None:
    if change.qty is None:
        return
    if change.qty <= ZERO or change.qty != change.qty.to_integral_value():
        raise invalid("qty must be a whole number greater than 0")
    if record.qty != record.qty.to_integral_value():
        raise invalid("qty of fractional orders cannot be replaced")
    if record.order_class is not OrderClass.SIMPLE and change.qty != record.remaining:
        raise invalid(f"qty of {record.order_class} orders cannot be replaced")


def _check_prices(record: Record, change: OrderChange) -> None:
    named = {"limit_price": change.limit_price, "stop_price": change.stop_price, "trail": change.trail}
    given = {name: price for name, price in named.items() if price is not None}
    if not given and change.qty is None:
        raise invalid("a replacement needs a new price or a new qty")
    for name, price in given.items():
        if name not in PRICES[record.type]:
            raise invalid(f"{record.type} orders must not have a {name.replace('_', ' ')}")
        if price <= ZERO:
            raise invalid(f"{name} must be greater than 0")
        if name != "trail" and price % price_tick(price):
            raise sub_penny(name, plain(price))


def _cost_beyond(record: Record, change: OrderChange) -> Decimal:
    if record.side is Side.SELL:
        return ZERO
    qty = change.qty or record.remaining
    return max(ZERO, qty * _reserve(record, change) - record.remaining * record.reserve)


def _reserve(record: Record, change: OrderChange) -> Decimal:
    if record.reserve == ZERO:
        return ZERO
    return change.limit_price or change.stop_price or record.reserve


def make_successor(record: Record, change: OrderChange, now: datetime) -> Record:
    """Return the successor of an order. It is not live yet, and holds no shares."""
    successor_id = derive_id("order", change.client_order_id)
    qty = change.qty or record.remaining
    limit = change.limit_price or record.limit_price
    return replace(
        record,
        id=successor_id,
        client_order_id=change.client_order_id,
        group=successor_id if record.id == record.group else record.group,
        qty=qty,
        status=OrderStatus.PENDING_NEW,
        submitted_at=now,
        updated_at=now,
        limit_price=limit,
        stop_price=change.stop_price or record.stop_price,
        limit=limit if record.type in {OrderType.LIMIT, OrderType.STOP_LIMIT} else record.limit,
        filled_qty=ZERO,
        filled_value=ZERO,
        filled_at=None,
        next_at=None,
        cancel_at=None,
        reserve=_cost_beyond(record, change) / qty,
        chunk=None,
        live=False,
        silent=False,
        forced=False,
        replaces=record.id,
        replaced_by=None,
        trail_price=record.trail_price and (change.trail or record.trail_price),
        trail_percent=record.trail_percent and (change.trail or record.trail_percent),
    )


def full_reserve(old: Record, successor: Record) -> Decimal:
    """Return the dollars per share reserved by a successor after the old order has ended."""
    return ZERO if old.reserve == ZERO else successor.limit_price or successor.stop_price or old.reserve


def is_held_exit(record: Record) -> bool:
    """Return whether an order waits at the broker, with nothing at the market to replace."""
    return record.status is OrderStatus.HELD and record.role is not Role.ENTRY
