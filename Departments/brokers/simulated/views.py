"""How a list of orders is told: what `open`, `closed` and `all` leave out, and which legs stand for themselves."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from datetime import datetime

from Departments.brokers.base import OrderScope
from Departments.brokers.simulated.records import Record
from Departments.core.orders import Order, OrderClass, OrderStatus

Group = Callable[[str], list[Record]]


def told(records: Iterable[Record], scope: OrderScope, now: datetime, group: Group) -> Sequence[Order]:
    """Return the orders of a scope that are visible at `now`, oldest first, legs nested in their parents.

    A live leg whose parent has ended is open and stands for itself; a held leg is never listed by `open`. Where a leg
    is among the `records`, its parent is too, unless it has ended; but for `open`, every leg is that its parent has.
    """
    found = list(records)
    running = {r.id for r in found if not r.status.is_terminal}
    legs = group if scope == "open" else _among(found)
    return [nested(r, legs) for r in found if r.is_visible(now) and _in_scope(r, scope, running)]


def _among(records: Iterable[Record]) -> Group:
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record.group, []).append(record)
    return groups.__getitem__


def nested(record: Record, group: Group) -> Order:
    """Return an order with its legs."""
    if record.order_class is OrderClass.SIMPLE or record.id != record.group:
        return record.order()
    return record.order(tuple(leg.order() for leg in group(record.id) if leg.id != record.id))


def _in_scope(record: Record, scope: OrderScope, running: Container[str]) -> bool:
    is_parent = record.id == record.group
    if scope == "all":
        return is_parent
    if scope == "closed":
        return is_parent and record.status.is_terminal
    if record.status.is_terminal or record.status is OrderStatus.HELD:
        return False
    return is_parent or record.group not in running
