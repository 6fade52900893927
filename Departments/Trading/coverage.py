"""Exits in the ledger that the account does not show: looked up one by one, and given up where they are gone.

PROTECT then makes them anew. A list of the broker's may lag, so only an answer about the very order counts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from decimal import Decimal

from Departments.brokers.base import Broker
from Departments.core.errors import BrokerUnavailable, NotFound, UnreadableAnswer
from Departments.core.logs import make_logger
from Departments.core.money import ZERO, plain, whole_shares
from Departments.core.orders import Order, OrderClass, Purpose
from Departments.core.platform.clock import Clock
from Departments.core.portfolio import Position
from Departments.ledger.ledger import Ledger
from Departments.ledger.order_records import OrderRecord
from Departments.ledger.unprotected import ChangeCause
from Departments.Trading.comparison import ComparedOrder, Finding
from Departments.Trading.exits import Leg, known_as, resting_exits
from Departments.Trading.tracking import EXIT_GIVEN_UP_AFTER

log = make_logger(__name__)

GONE = "the broker does not know it any more"


class ExitCoverage:
    """Holds the ledger's live exits against the broker's."""

    def __init__(self, broker: Broker, ledger: Ledger, clock: Clock) -> None:
        self._broker = broker
        self._ledger = ledger
        self._clock = clock

    def end_gone(self, rows: Sequence[ComparedOrder]) -> list[ComparedOrder]:
        """End the exits that the broker has lost with their shares free. Returns the other rows.

        Raises BrokerUnavailable.
        """
        missing = [row for row in rows if row.finding is Finding.AMBIGUOUS and row.order is None]
        records = self._ledger.orders.find_many([row.client_order_id for row in missing]).values()
        exits = defaultdict[str, list[OrderRecord]](list)
        for record in records:
            if record.purpose is Purpose.EXIT and record.broker_order_id is not None:
                exits[record.symbol].append(record)
        gone = [each for symbol, found in exits.items() if self._are_gone(symbol, found) for each in found]
        if not gone:
            return list(rows)
        now = self._clock.now()
        with self._ledger.transaction():
            for record in gone:
                self._ledger.orders.withdraw(record, "", GONE, now)
        for record in gone:
            log.warning("%s: %s (exit %s); PROTECT makes another", record.symbol, GONE, record.client_order_id)
        names = {record.client_order_id for record in gone}
        return [row for row in rows if row.client_order_id not in names]

    def _are_gone(self, symbol: str, exits: Sequence[OrderRecord]) -> bool:
        """Return whether the broker knows none of the exits by either id, and nothing holds their shares."""
        now = self._broker.market_clock().now
        try:
            if any(now - record.created_at < EXIT_GIVEN_UP_AFTER or self._find(record) is not None for record in exits):
                return False
            position = self._broker.position(symbol)
        except UnreadableAnswer:
            return False
        return position is not None and position.available >= max(r.qty - r.filled_qty for r in exits)

    def _find(self, record: OrderRecord) -> Order | None:
        """Return an order by either of its ids, None if the broker knows neither."""
        for ask, name in (
            (self._broker.order, record.broker_order_id or ""),
            (self._broker.order_by_client_id, record.client_order_id),
        ):
            with suppress(NotFound):
                return ask(name)
        return None

    def check(self, positions: Mapping[str, Position]) -> None:
        """Count shares as unprotected that the ledger takes for protected and no exit at the broker covers.

        A locked symbol waits for its person.
        """
        found = self._ledger.find_uncovered(positions, exits_wanted=True)
        known = {row.symbol: row.qty for row in self._ledger.unprotected.find_all()} if found else {}
        more = {symbol: qty - known.get(symbol, ZERO) for symbol, qty in found.items()}
        locked = self._ledger.releases.find_locks() if any(qty > 0 for qty in more.values()) else {}
        for symbol in (each for each, qty in more.items() if qty > 0 and each not in locked):
            try:
                live = self._list_live(symbol)
            except BrokerUnavailable as error:
                log.info("%s: its exits at the broker are unknown (%s)", symbol, error)
                continue
            uncovered = whole_shares(positions[symbol].qty - _sum_shares(live)) - known.get(symbol, ZERO)
            if (lacking := min(more[symbol], uncovered)) > 0:
                self._count(symbol, lacking, live, self._clock.now())

    def _count(self, symbol: str, qty: Decimal, live: Mapping[str, Leg], now: datetime) -> None:
        """Count shares as unprotected, and give exits that a person has made smaller their shares."""
        orders = self._ledger.orders
        with self._ledger.transaction():
            for record in orders.find_open_exits(symbols=[symbol]):
                order, _ = live.get(record.broker_order_id or "", (None, None))
                if order is not None and order.order_class is OrderClass.SIMPLE:
                    orders.shrink(record, record.filled_qty + order.remaining_qty)
            self._ledger.unprotected.adopt(symbol, qty, now, ChangeCause.LOST)
        log.warning("%s: no exit at the broker covers %s shares; PROTECT makes exits for them", symbol, plain(qty))

    def _list_live(self, symbol: str) -> dict[str, Leg]:
        """Return the live exits of a symbol at the broker by id; those in the ledger are asked for one by one."""
        live: dict[str, Leg] = {order.id: (order, parent) for order, parent in resting_exits(self._broker, symbol)}
        for record in self._ledger.orders.find_open_exits(symbols=[symbol]):
            order = self._find(record) if record.broker_order_id not in live else None
            if order is not None and not order.status.is_terminal:
                live[order.id] = order, record.parent_id
        return live


def _sum_shares(live: Mapping[str, Leg]) -> Decimal:
    """Return the shares under exits; those of one bracket or OCO cover the same ones."""
    groups = defaultdict[str, Decimal](lambda: ZERO)
    for order, parent in live.values():
        root = parent or known_as(order)
        groups[root] = max(groups[root], order.remaining_qty)
    return sum(groups.values(), ZERO)
