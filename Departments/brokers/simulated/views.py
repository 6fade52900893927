"""How a list of orders is told: what `open`, `closed` and `all` leave out, and which legs stand for themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from Departments.brokers.base import OrderScope
from Departments.brokers.simulated.records import Record
from Departments.core.orders import Order, OrderStatus


def told(  # noqa: PLR0913 - the filters of the port
    records: Iterable[Record],
    scope: OrderScope,
    now: datetime,
    *,
    symbols: frozenset[str],
    after: datetime | None,
    group: Callable[[str], list[Record]],
) -> Sequence[Order]:
    """Return the orders of a scope that are visible at `now`, oldest first, legs nested in their parents.

    A live leg whose parent has ended is open and stands for itself; a held leg is never listed by `open`.
    """
    wanted = [
        r
        for r in records
        if r.visible_at <= now
        and (not symbols or r.symbol in symbols)
        and (after is None or r.submitted_at > after)
        and _in_scope(r, scope, group)
    ]
    return [r.order(tuple(leg.order() for leg in group(r.id) if leg.id != r.id)) for r in wanted]


def _in_scope(record: Record, scope: OrderScope, group: Callable[[str], list[Record]]) -> bool:
    is_parent = record.id == record.group
    if scope == "all":
        return is_parent
    if scope == "closed":
        return is_parent and record.status.is_terminal
    if record.status.is_terminal or record.status is OrderStatus.HELD:
        return False
    return is_parent or group(record.group)[0].status.is_terminal
