"""The life of an order through its edits, read in one way by tracking, reconciliation and the book.

An edited order becomes `replaced` and goes on as another row with an id, a client order id and fills of its own. The
ledger knows the first row; the whole life counts under that id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from Departments.brokers.base import Broker
from Departments.core.errors import NotFound, UnreadableAnswer
from Departments.core.money import ZERO
from Departments.core.orders import Order, OrderStatus
from Departments.Trading.exits import known_as


@dataclass(frozen=True, slots=True)
class Life:
    """An order with the fills of all its rows. `order` has the first row's client order id and the last row's id.

    `ids` are the broker's ids of its rows, oldest first. `gap` is why the life cannot be read to its end, else empty:
    the order's status and fills are then those of the readable rows.
    """

    order: Order
    ids: tuple[str, ...]
    gap: str = ""

    @property
    def is_edited(self) -> bool:
        """Return whether somebody edited the order."""
        return len(self.ids) > 1

    @property
    def news(self) -> Order:
        """Return the order for the ledger: with a gap its end is unknown, never terminal."""
        return replace(self.order, status=OrderStatus.UNKNOWN) if self.gap else self.order


class LifeReader:
    """Follows orders from row to row. `listed` are rows at hand; others are asked for.

    `is_recorded` says whether the ledger has an order as one of its own: then the life before it has ended.
    """

    def __init__(self, broker: Broker, is_recorded: Callable[[str], bool], listed: Iterable[Order] = ()) -> None:
        self._broker = broker
        self._is_recorded = is_recorded
        self._rows: Mapping[str, Order] = {order.id: order for order in listed}

    def read(self, order: Order) -> Life:
        """Return the life of an order from this row on. Raises BrokerUnavailable."""
        rows, gap = [order], ""
        while rows[-1].status is OrderStatus.REPLACED and rows[-1].replaced_by is not None:
            last = rows[-1].replaced_by
            if last in {row.id for row in rows}:
                gap = f"its edits run in a circle ({_name(rows)})"
                break
            successor = self._find(last)
            if successor is None:
                gap = f"the broker shows no readable order {last}, which replaced {rows[-1].id}"
                successor = next((row for row in self._rows.values() if row.replaces == last), None)
            if successor is None or successor in rows or self._is_recorded(known_as(successor)):
                break
            rows.append(successor)
        whole = _join(rows)
        is_complete = whole.filled_qty == order.qty and whole.status.is_terminal
        return Life(whole, tuple(row.id for row in rows), "" if is_complete else gap)

    def find_first(self, order_id: str) -> Order | None:
        """Return the first row of the life that a row belongs to, None for an unknown id."""
        order, seen = self._find(order_id), {order_id}
        while order is not None and order.replaces is not None and order.replaces not in seen:
            seen.add(order.replaces)
            earlier = self._find(order.replaces)
            if earlier is None:
                break
            order = earlier
        return order

    def _find(self, order_id: str) -> Order | None:
        if order_id in self._rows:
            return self._rows[order_id]
        try:
            return self._broker.order(order_id)
        except (NotFound, UnreadableAnswer):
            return None


def _name(rows: Iterable[Order]) -> str:
    return ", ".join(row.id for row in rows)


def _join(rows: list[Order]) -> Order:
    """Return the last row under the first one's id, with the fills of all."""
    first, last = rows[0], rows[-1]
    if first is last:
        return first
    filled = sum((row.filled_qty for row in rows), ZERO)
    value = sum((row.filled_qty * (row.filled_avg_price or ZERO) for row in rows), ZERO)
    return replace(
        last,
        client_order_id=known_as(first),
        qty=filled - last.filled_qty + last.qty,
        filled_qty=filled,
        filled_avg_price=value / filled if filled else None,
        submitted_at=first.submitted_at,
        filled_at=max((row.filled_at for row in rows if row.filled_at), default=None),
        replaces=None,
        legs=last.legs or first.legs,
    )
