"""Tracking: each order is followed by its own id until it is terminal.

Never by symbol: bracket legs stay open after an entry has filled, and a rejected order is not open either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from Departments.brokers.base import Broker, BrokerList, Orders
from Departments.brokers.patience import name_trouble
from Departments.core.errors import BrokerUnavailable, NotFound, UnreadableAnswer
from Departments.core.logs import make_logger
from Departments.core.orders import Order, OrderStatus, Purpose
from Departments.core.platform.clock import Clock
from Departments.core.reasons import Reason, ReasonCode
from Departments.core.statuses import RequestStatus
from Departments.ledger.ledger import Ledger
from Departments.ledger.order_records import PART, OrderRecord, about_order, is_adopted
from Departments.ledger.unprotected import NOT_LIVE
from Departments.messaging.message import Message
from Departments.Trading.edits import LifeReader
from Departments.Trading.exits import adopt_exits, ask_to_cancel, flat, known_as, with_parents
from Departments.Trading.reports import outcome_report, refusal_escalation, request_report, submission_notes

log = make_logger(__name__)

NEVER_ARRIVED_AFTER = timedelta(seconds=60)
EXIT_GIVEN_UP_AFTER = timedelta(minutes=10)  # an exit whose sender was cut off; PROTECT makes another one
EXITS_EVERY = timedelta(seconds=10)  # resting exits live for days; this often is soon enough to learn of their fills
A_LITTLE_BEFORE = timedelta(minutes=10)  # the broker's clock is not ours


class OrderTracker:
    """Brings the ledger up to date with the broker and reports every outcome once."""

    def __init__(self, broker: Broker, ledger: Ledger, clock: Clock, enqueue: Callable[[Message], None]) -> None:
        self._broker = broker
        self._ledger = ledger
        self._clock = clock
        self._enqueue = enqueue
        self._exits_read_at: datetime | None = None
        self._missing_since: dict[str, datetime] = {}
        self._gaps: set[str] = set()
        self._filled: dict[str, OrderRecord] = {}
        self.has_exits = False  # whether the last look was at the exits of a BUY

    def track(self, *, exits: bool = False, asking: bool = True, listed: Orders | None = None) -> None:
        """Read open orders from the broker; resting exits every ten seconds, or now with `exits`.

        `listed` are the broker's orders if they were read just now.

        A broker that does not answer changes nothing: unknown is not terminal. Exits that are being released, or are
        not live yet, are read every time. Without `asking` no due cancel is asked of the broker.
        """
        found: list[tuple[OrderRecord, Order]] = []
        try:
            waiting = self._open_records(exits=exits or self._are_exits_due())
            self.has_exits = any(record.parent_id for record in waiting)
            for record, order in self._read(waiting, listed):
                found.append((record, order))
                if asking and _is_to_be_cancelled(record, order):
                    ask_to_cancel(self._broker, order.id, record.symbol)
        except BrokerUnavailable as error:
            log.warning("The open orders are unknown. %s (%s)", name_trouble(error), error)
        news = [order for record, order in found if not _is_unchanged(record, order)]
        if news:
            with self._ledger.transaction():
                self.observe(news)

    def observe(self, orders: Sequence[Order]) -> None:
        """Record the broker's orders, report changes, and adopt the exits of brackets.

        Joins the caller's transaction.
        """
        known = self._ledger.orders.find_many([known_as(each) for each in flat(orders)])
        for order in orders:
            self._observe(order, known, self._clock.now())

    def take_filled(self) -> dict[str, OrderRecord]:
        """Return the trades that have filled since the last call, by their client order ids."""
        filled, self._filled = self._filled, {}
        return filled

    def _observe(self, order: Order, known: dict[str, OrderRecord], now: datetime) -> None:
        """Record one order; `known` (records by `known_as`) is kept up to date."""
        before = known.get(known_as(order))
        record = known[known_as(order)] = self._ledger.orders.observe(order, now, before)
        if record.status is OrderStatus.FILLED and record.purpose is Purpose.TRADE:
            self._filled[record.client_order_id] = record
        if before is not None:
            self._report(before, self._escalate_late_rejection(before, record), now)
        legs = with_parents(order.legs, record.client_order_id)
        for exit_ in adopt_exits(self._ledger.orders, legs, record.plan_id, now, known):
            self._enqueue(outcome_report(exit_, now))

    # --- which orders are read ---

    def _are_exits_due(self) -> bool:
        last, now = self._exits_read_at, self._clock.now()
        return last is None or not timedelta() <= now - last < EXITS_EVERY

    def _open_records(self, *, exits: bool) -> list[OrderRecord]:
        if exits:
            self._exits_read_at = self._clock.now()
            return self._ledger.orders.find_open()
        orders, releasing = self._ledger.orders, {release.symbol for release in self._ledger.releases.find_open()}
        return [*orders.find_open_trades(), *orders.find_open_exits(statuses=NOT_LIVE, symbols=releasing)]

    def _read(self, waiting: Sequence[OrderRecord], listed: Orders | None) -> Iterator[tuple[OrderRecord, Order]]:
        """Yield each order as the broker has it now. Decides about orders that the broker does not know."""
        listed = self._list(waiting) if listed is None else listed
        rows = list(flat(listed))
        seen, lives = {known_as(order): order for order in rows}, LifeReader(self._broker, self._is_recorded, rows)
        for record in waiting:
            client_order_id = record.client_order_id
            if any(row.is_order(client_order_id, record.broker_order_id) for row in listed.unreadable):
                continue  # the record stays as it is, and the adapter has warned
            try:
                yield record, self._read_life(record, seen.get(client_order_id) or self._ask(record, lives), lives)
            except NotFound:
                self._handle_missing(record)
            except UnreadableAnswer as error:
                log.warning("%s: %s", record.symbol, error, extra=about_order(record))

    def _list(self, waiting: Sequence[OrderRecord]) -> Orders:
        """List all orders in one request; the limit is 200 a minute."""
        if not waiting:
            return BrokerList(())
        since = min(record.created_at for record in waiting) - A_LITTLE_BEFORE
        symbols = sorted({record.symbol for record in waiting})
        return self._broker.orders("all", symbols=symbols, after=since)

    # --- one order ---

    def _ask(self, record: OrderRecord, lives: LifeReader) -> Order:
        """Return the first row of an unlisted order. Raises NotFound."""
        if record.broker_order_id is None:
            return self._broker.order_by_client_id(record.client_order_id)
        first = lives.find_first(record.broker_order_id)
        if first is None:
            raise NotFound(record.broker_order_id)
        return first

    def _read_life(self, record: OrderRecord, order: Order, lives: LifeReader) -> Order:
        """Return an order with all its edits. One whose edits cannot be read to their end is not terminal."""
        life, name = lives.read(order), record.client_order_id
        if known_as(life.order) != name:
            raise UnreadableAnswer(f"the broker's rows of {name} do not begin with it")
        if life.gap and name not in self._gaps:
            self._gaps.add(name)
            log.warning("%s: the end of order %s is unknown: %s", record.symbol, name, life.gap)
        return life.news

    def _is_recorded(self, client_order_id: str) -> bool:
        return self._ledger.orders.find(client_order_id) is not None

    def _handle_missing(self, record: OrderRecord) -> None:
        """Withdraw an order never arrived; any other stays unknown.

        It never arrived if a cancel is due and the broker does not know it a minute after the attempt to send it. An
        exit is given up after some minutes without one: a run that was cut off may have left it unsent.
        """
        now = self._clock.now()
        missing_since = self._missing_since.setdefault(record.client_order_id, now)
        waited = max(now - record.created_at, now - missing_since)  # the clock may have been set back
        arrived = record.broker_order_id is not None or record.status is not OrderStatus.UNKNOWN
        is_lost = record.purpose is Purpose.EXIT and waited >= EXIT_GIVEN_UP_AFTER
        is_due = record.cancel_requested_at is not None and waited >= NEVER_ARRIVED_AFTER
        if arrived or not (is_due or is_lost):
            log.warning("%s: the broker does not know order %s", record.symbol, record.client_order_id)
            return
        with self._ledger.transaction():
            self._ledger.orders.withdraw(record, record.code, record.reason, now)
            withdrawn = self._ledger.orders.find(record.client_order_id)
            if withdrawn is not None:
                self._enqueue(outcome_report(withdrawn, now))

    # --- what is reported ---

    def _escalate_late_rejection(self, before: OrderRecord, record: OrderRecord) -> OrderRecord:
        """Escalate a late rejection and return the record with its reason."""
        at = record.terminal_at
        if record.status is not OrderStatus.REJECTED or before.status.is_terminal or at is None:
            return record
        reason = Reason.of(ReasonCode.REJECTED_LATER, filled=record.filled_qty, qty=record.qty)
        escalation = refusal_escalation(record, reason, at)
        log.warning("Rejected %s %s: %s", record.side, record.symbol, reason, extra=about_order(record))
        self._ledger.orders.refuse(record.client_order_id, reason.code, str(reason), at, escalation.message_id)
        self._enqueue(escalation)
        return replace(record, code=str(reason.code), reason=str(reason))

    def _report(self, before: OrderRecord, record: OrderRecord, now: datetime) -> None:
        if record.purpose is Purpose.EXIT:
            self._report_exit(before, record, now)
            return
        if before.broker_order_id is None and record.broker_order_id is not None:
            for note in submission_notes(record, now):
                self._enqueue(note)
            log.info("Sent %s %s %s", record.side, f"{record.qty:f}", record.symbol, extra=about_order(record))
        if record.status.is_terminal and not before.status.is_terminal:
            self._enqueue(outcome_report(record, now))

    def _report_exit(self, before: OrderRecord, record: OrderRecord, now: datetime) -> None:
        """Report a requested exit once live or failed, and any traded exit."""
        ended = record.status.is_terminal and not before.status.is_terminal
        goes_live = before.status in NOT_LIVE and record.status not in NOT_LIVE and not _has_failed(record)
        if goes_live and not (is_adopted(record) or record.message_id.startswith(PART)):
            log.info("Protected %s %s", f"{record.qty:f}", record.symbol, extra=about_order(record))
            self._enqueue(request_report(record.message_id, record.symbol, record.qty, RequestStatus.PROTECTED, now))
        elif ended and (record.filled_qty > 0 or before.status in NOT_LIVE):
            self._enqueue(outcome_report(record, now))


def _has_failed(record: OrderRecord) -> bool:
    return record.status.is_terminal and record.filled_qty == 0


def _is_to_be_cancelled(record: OrderRecord, order: Order) -> bool:
    asked = record.cancel_requested_at is not None
    return asked and not order.status.is_terminal and order.status is not OrderStatus.PENDING_CANCEL


def _is_unchanged(record: OrderRecord, order: Order) -> bool:
    known = (record.status, record.filled_qty, record.broker_order_id)
    vague = order.status is OrderStatus.UNKNOWN and order.filled_qty == record.filled_qty
    return vague or known == (order.status, order.filled_qty, order.id)
