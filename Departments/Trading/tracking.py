"""Following each order by its own id until it is terminal.

Never by symbol: bracket legs stay open after an entry has filled, and a rejected order is not open either.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta

from Departments.brokers.base import Broker
from Departments.core.clock import Clock
from Departments.core.errors import BrokerUnavailable, NotFound
from Departments.core.orders import Order, OrderStatus
from Departments.ledger.ledger import Ledger
from Departments.ledger.orders import OrderRecord
from Departments.messaging.message import Message
from Departments.Trading.reports import outcome_report

log = logging.getLogger(__name__)

NEVER_ARRIVED_AFTER = timedelta(seconds=60)


class OrderTracker:
    """Brings the ledger up to date with the broker and reports every outcome once."""

    def __init__(self, broker: Broker, ledger: Ledger, clock: Clock, enqueue: Callable[[Message], None]) -> None:
        self._broker = broker
        self._ledger = ledger
        self._clock = clock
        self._enqueue = enqueue

    def track(self, *, exits: bool = False) -> None:
        """Look at every order that is not terminal, and with `exits` at resting exits too.

        A broker that does not answer leaves an order as it is known: unknown is not terminal. Exits that are being
        released are always looked at; others rest for days, and are looked at when the desk starts.
        """
        released = {order_id for release in self._ledger.releases.open() for order_id in release.exit_order_ids}
        waiting = [
            record
            for record in self._ledger.orders.open()
            if exits or record.intent.purpose == "trade" or record.broker_order_id in released
        ]
        try:
            seen = self._seen(waiting)
            for record in waiting:
                self._look_at(record, seen.get(record.intent.client_order_id))
        except BrokerUnavailable as error:
            log.warning("The broker did not tell how the orders stand (%s)", error)

    def _seen(self, waiting: Sequence[OrderRecord]) -> dict[str, Order]:
        """Ask for all orders at once: one request a look, however many there are (the limit is 200 a minute)."""
        if not waiting:
            return {}
        since = min(record.created_at for record in waiting) - timedelta(minutes=1)
        symbols = sorted({record.intent.ticker for record in waiting})
        return {order.client_order_id: order for order in self._broker.orders("all", symbols=symbols, after=since)}

    def _look_at(self, record: OrderRecord, order: Order | None) -> None:
        try:
            order = order or self._current(record)
        except NotFound:
            self._missing(record)
            return
        if _says_nothing_new(record, order):
            return
        with self._ledger.transaction():
            self.observe(order)

    def _missing(self, record: OrderRecord) -> None:
        """Decide about an order that the broker does not know.

        Long after the attempt to send it, an order that is to be cancelled and is not there never arrived. Anything
        else stays unknown.
        """
        now, intent = self._clock.now(), record.intent
        if record.cancel_requested_at is None or now - record.created_at < NEVER_ARRIVED_AFTER:
            log.warning("%s: the broker does not know order %s", intent.ticker, intent.client_order_id)
            return
        with self._ledger.transaction():
            self._ledger.orders.withdraw(intent, record.code, record.reason, now)
            withdrawn = self._ledger.orders.find(intent.client_order_id)
            if withdrawn is not None:
                self._enqueue(outcome_report(withdrawn, now))

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
