"""Following each order by its own id until it is terminal.

Never by symbol: bracket legs stay open after an entry has filled, and a rejected order is not open either.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from Departments.brokers.base import Broker
from Departments.core.clock import Clock
from Departments.core.errors import BrokerUnavailable, NotFound
from Departments.core.orders import Order, OrderStatus
from Departments.ledger.ledger import Ledger
from Departments.ledger.orders import OrderRecord
from Departments.messaging.message import Message
from Departments.Trading.reports import outcome_report

log = logging.getLogger(__name__)


class OrderTracker:
    """Brings the ledger up to date with the broker and reports every outcome once."""

    def __init__(self, broker: Broker, ledger: Ledger, clock: Clock, enqueue: Callable[[Message], None]) -> None:
        self._broker = broker
        self._ledger = ledger
        self._clock = clock
        self._enqueue = enqueue

    def track(self) -> int:
        """Look at every order that is not terminal; return how many still are not.

        A broker that does not answer leaves the order as it is known: unknown is not terminal.
        """
        waiting = self._ledger.orders.open()
        for record in waiting:
            try:
                self._look_at(record)
            except BrokerUnavailable as error:
                log.warning("%s: the broker did not tell (%s)", record.intent.ticker, error)
        return len(self._ledger.orders.open())

    def _look_at(self, record: OrderRecord) -> None:
        try:
            order = self._current(record)
        except NotFound:
            log.warning("%s: the broker does not know order %s", record.intent.ticker, record.intent.client_order_id)
            return
        if _says_nothing_new(record, order):
            return
        with self._ledger.transaction():
            self.observe(order)

    def observe(self, order: Order) -> OrderRecord:
        """Record a snapshot and, when it ends the order, enqueue the report. Joins the caller's transaction."""
        before = self._ledger.orders.find(order.client_order_id)
        now = self._clock.now()
        record = self._ledger.orders.observe(order, now)
        if record.status.is_terminal and before is not None and not before.status.is_terminal:
            self._enqueue(outcome_report(record, now))
        return record

    def _current(self, record: OrderRecord) -> Order:
        if record.broker_order_id is None:
            return self._broker.order_by_client_id(record.intent.client_order_id)
        return self._broker.order(record.broker_order_id)


def _says_nothing_new(record: OrderRecord, order: Order) -> bool:
    same = (record.status, record.filled_qty, record.broker_order_id) == (order.status, order.filled_qty, order.id)
    return same or order.status is OrderStatus.UNKNOWN
