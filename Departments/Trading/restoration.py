"""Exits of somebody else that a RELEASE cancelled, given back as they were for what stays unsold.

A stop comes back as a stop, a trailing stop with its trail, a pair with both its prices; each for the shares that it
held. What is unprotected beyond them gets the desk's own exits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from Departments.core.identifiers import client_order_id
from Departments.core.money import ZERO, on_tick
from Departments.core.orders import Order, OrderClass, OrderRequest, OrderType, Side, TimeInForce
from Departments.ledger.order_records import PART, OrderRecord

RESTORES: Final = "restores "  # and the broker's id of the exit that comes back, as the reason of an intent


@dataclass(frozen=True, slots=True)
class ReleasedExit:
    """An exit of somebody else after its cancel: one order, or a target and a stop."""

    orders: tuple[Order, ...]

    @property
    def unsold(self) -> Decimal:
        """Return the shares that it held and has not sold."""
        return max(ZERO, self.orders[0].qty - sum((order.filled_qty for order in self.orders), ZERO))

    @property
    def stop(self) -> Order | None:
        """Return the order with a stop price or a trail, None without one."""
        return next((o for o in self.orders if o.stop_price is not None or o.type is OrderType.TRAILING_STOP), None)

    @property
    def target(self) -> Order | None:
        """Return the order that waits for a higher price, None without one."""
        return next((o for o in self.orders if o.type is OrderType.LIMIT), None)

    def intent(self, pattern: OrderRecord, qty: Decimal, market: Decimal) -> OrderRecord | None:
        """Return the intent that gives it back, None where the market (dollars) has passed its prices."""
        stop, target = self.stop, self.target
        leading = stop or target
        if leading is None:
            return None
        limit = target.limit_price if target is not None else leading.limit_price
        stop_price = find_trailing_stop(stop, market) if stop is not None and _is_trailing(stop) else leading.stop_price
        is_passed = stop_price is not None and stop_price >= market
        if is_passed or (target is not None and limit is not None and limit <= market):
            return None
        kind = OrderType.LIMIT if target is not None else leading.type
        given = {"order_type": str(kind), "limit_price": limit, "stop_price": stop_price}
        return replace(pattern, qty=qty, reason=f"{RESTORES}{leading.id}", **given)  # type: ignore[arg-type]


def _is_trailing(order: Order) -> bool:
    return order.type is OrderType.TRAILING_STOP


def find_trailing_stop(order: Order, market: Decimal) -> Decimal:
    """Return the price at which a trailing stop begins, in dollars."""
    percent = (order.trail_percent or ZERO) / 100
    return on_tick(market - (order.trail_price or market * percent))


def group_released(orders: Iterable[Order], roots: Mapping[str, str]) -> list[ReleasedExit]:
    """Return the exits of some cancelled orders, pairs together; `roots` maps the broker's ids to that of the pair."""
    groups: dict[str, list[Order]] = {}
    for order in orders:
        groups.setdefault(roots.get(order.id, order.id), []).append(order)
    return [ReleasedExit(tuple(group)) for group in groups.values()]


def share_out(own: OrderRecord, released: Sequence[ReleasedExit], market: Decimal) -> list[OrderRecord]:
    """Return the intents for the shares of `own`, the desk's exits: somebody else's first, oldest first, then its own.

    The first has the message's id, the others are its parts.
    """
    left, found = own.qty, list[OrderRecord]()
    for each in released:
        qty = min(left, each.unsold)
        intent = each.intent(own, qty, market) if qty > 0 else None
        if intent is not None:
            found.append(intent)
            left -= qty
    if left > 0:
        found.append(replace(own, qty=left))
    names = list_part_names(own.message_id, len(found))
    parts = zip(found[1:], names, strict=True)
    return [found[0], *(replace(part, client_order_id=n, message_id=f"{PART}{n}") for part, n in parts)]


def list_part_names(message_id: str, count: int) -> list[str]:
    """Return the client order ids of the orders of one message beside its first, of `count` orders in all."""
    return [client_order_id(f"{message_id}_{number}") for number in range(2, count + 1)]


def exit_request(intent: OrderRecord, restored: Order | None = None) -> OrderRequest:
    """Return the request for an exit, alive until cancelled. `restored` is the trailing stop that comes back."""
    is_pair = intent.limit_price is not None and intent.stop_price is not None and intent.order_type == OrderType.LIMIT
    request = OrderRequest(
        client_order_id=intent.client_order_id,
        symbol=intent.symbol,
        side=Side.SELL,
        qty=intent.qty,
        type=OrderType(intent.order_type),
        time_in_force=TimeInForce.GTC,
    )
    if is_pair:
        pair = {"order_class": OrderClass.OCO, "take_profit": intent.limit_price, "stop_loss": intent.stop_price}
        return replace(request, **pair)  # type: ignore[arg-type]
    if restored is not None and _is_trailing(restored):
        percent = None if restored.trail_price is not None else restored.trail_percent
        return replace(request, trail_price=restored.trail_price, trail_percent=percent)
    return replace(request, limit_price=intent.limit_price, stop_price=intent.stop_price)
