"""Reconciliation: an order is matched, an orphan, an unknown fill, ambiguous or unreadable.

Reconciling sends nothing. Unknown is not rejected and unknown is not flat: a symbol on which ledger and broker disagree
is locked until a person accepts it. The rest goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import partial

from Departments.brokers.base import Broker, BrokerList, Orders, UnreadableRow
from Departments.brokers.patience import ask_patiently
from Departments.core.errors import NotFound, UnreadableAnswer
from Departments.core.logs import make_logger
from Departments.core.money import ZERO, plain
from Departments.core.orders import OURS, Order, OrderStatus, Purpose, Side
from Departments.core.platform.clock import Clock
from Departments.core.reasons import ReasonCode
from Departments.core.trading_calendar import trading_day
from Departments.ledger.account_book import measure_effect
from Departments.ledger.ledger import Ledger
from Departments.ledger.order_records import FillRecord, OrderRecord
from Departments.ledger.releases import WHOLE_DESK
from Departments.ledger.trading_records import OrderRecords
from Departments.Trading.bookkeeping import CASH_NAME, Bookkeeper
from Departments.Trading.edits import Life, LifeReader
from Departments.Trading.exits import adopt_exits, entry_intent, flat, known_as, with_parents
from Departments.Trading.tracking import NEVER_ARRIVED_AFTER

log = make_logger(__name__)

LOOK_BACK = timedelta(days=7)
EXITS_LIVE = timedelta(days=91)  # orders good till cancelled end after 90 days
A_LITTLE_BEFORE = timedelta(minutes=10)  # the broker's clock is not ours


class Finding(StrEnum):
    """How ledger and broker agree on an order."""

    MATCHED = "matched"
    ORPHAN = "orphan"
    UNKNOWN_FILL = "unknown fill"
    AMBIGUOUS = "ambiguous"
    UNREADABLE = "unreadable"  # the broker has the order, and its answer makes no sense


@dataclass(frozen=True, slots=True)
class ComparedOrder:
    """One order with its finding and a sentence for people. `order` is the broker's, if it has one."""

    symbol: str
    client_order_id: str
    finding: Finding
    sentence: str
    order: Order | None = None

    def is_unknown_since(self, day: date) -> bool:
        """Return whether the ledger lacks the order and the broker took it on `day` or later."""
        taken = None if self.order is None else self.order.submitted_at
        is_unknown = self.finding in {Finding.ORPHAN, Finding.UNKNOWN_FILL}
        return is_unknown and taken is not None and trading_day(taken) >= day

    @property
    def is_disputed(self) -> bool:
        """Return True if ledger and broker disagree; the symbol is then locked."""
        return self.finding is not Finding.MATCHED


@dataclass(frozen=True, slots=True)
class MissingShares:
    """Shares of a symbol bought by the ledger's fills, beside the broker's holding."""

    symbol: str
    bought: Decimal
    held: Decimal


@dataclass(frozen=True, slots=True)
class ComparedPositions:
    """The broker's readable positions in shares, and what is missing beside the ledger's fills."""

    held: Mapping[str, Decimal]
    missing: tuple[MissingShares, ...]


class Reconciler:
    """Compares the ledger with the account: orders, then shares and cash. Locks the disputed, frees the accepted.

    `report` reports the outcome of an order to the Executive.
    """

    def __init__(
        self, broker: Broker, ledger: Ledger, clock: Clock, report: Callable[[OrderRecord], None], books: Bookkeeper
    ) -> None:
        self._broker = broker
        self._ledger = ledger
        self._clock = clock
        self._report = report
        self._books = books

    def reconcile(self, in_hand: Container[str], follow: Callable[[], None]) -> list[ComparedOrder]:
        """Compare orders, shares and cash. `in_hand` as in `compare_orders`, `follow` as in `Bookkeeper.compare`.

        Raises BrokerUnavailable.
        """
        rows = self.lock_disputed(in_hand)
        follow()
        self._books.compare(follow, {row.order.id for row in rows if row.order is not None})
        return rows

    def accept(self, symbol: str | None, in_hand: Container[str], follow: Callable[[], None]) -> list[str]:
        """Accept the disputes of a symbol on a person's word, of cash (`CASH`), or all (None), and free it.

        Returns a sentence about each change. Raises BrokerUnavailable.
        """
        rows, releases, done = self.reconcile(in_hand, follow), self._ledger.releases, list[str]()
        locked = {lock.symbol: lock.locked_at for lock in releases.locks()}
        known = {*locked} | {difference.symbol or CASH_NAME for difference in self._ledger.book.differences()}
        for each in sorted(known if symbol is None else known & {symbol}):
            done += self._accept_orders(each, rows)
            self._books.compare(follow)
            done += self._books.accept("" if each == CASH_NAME else each)
            if each in locked and each != WHOLE_DESK:
                with self._ledger.transaction():
                    self._books.adopt_foreign(each, locked[each])
                    releases.unlock(each)
                done.append(f"{each} is free")
        if WHOLE_DESK in locked and not self._find_strange(rows):  # each order was accepted with its symbol
            with self._ledger.transaction():
                releases.unlock(WHOLE_DESK)
            done.append("the desk may trade again")
        follow()  # what became of the accepted is reported
        return done

    def _find_strange(self, rows: Iterable[ComparedOrder]) -> list[ComparedOrder]:
        """Return the orders of today under our ids that neither the ledger nor a person knows."""
        accepted, today = self._ledger.releases.find_accepted(), trading_day(self._clock.now())
        return [r for r in rows if r.is_unknown_since(today) and r.client_order_id not in accepted]

    def lock_disputed(self, in_hand: Container[str]) -> list[ComparedOrder]:
        """Compare ledger and broker, and lock disputed symbols; `in_hand` as in `compare_orders`.

        Orders of today that the ledger does not know lock the whole desk. Raises BrokerUnavailable.
        """
        now = self._clock.now()
        compare = partial(compare_orders, self._broker, self._ledger.orders, self._find_start(now), in_hand)
        rows = ask_patiently(compare, self._clock, seconds=self._books.patience)
        with self._ledger.transaction():
            accepted = self._ledger.releases.find_accepted()
            for symbol, reason in disputed_symbols(rows, accepted).items():
                self._ledger.releases.lock(symbol, reason, now)
            strange = self._find_strange(rows)
            if strange:
                self._ledger.releases.lock(WHOLE_DESK, describe_strangers(strange), now)
        for row in rows:
            is_locked = row.is_disputed and row.client_order_id not in accepted
            log.log(logging.WARNING if is_locked else logging.DEBUG, "%s: %s", row.finding, row.sentence)
        return rows

    def _find_start(self, now: datetime) -> datetime:
        """Return the moment from which ended orders are compared; a new ledger looks as far back as exits live."""
        if not self._ledger.book.has_opening():
            return now - EXITS_LIVE
        last = self._ledger.book.last_statement()
        return now - LOOK_BACK if last is None else min(now - LOOK_BACK, last.at - A_LITTLE_BEFORE)

    def _accept_orders(self, symbol: str, rows: Iterable[ComparedOrder]) -> list[str]:
        """Accept a symbol's disputed orders on a person's word; return a sentence about each.

        The ledger takes over what the broker has; an order that the broker does not know is withdrawn.
        """
        known = self._ledger.releases.find_accepted()
        disputed = [r for r in rows if r.is_disputed and r.symbol == symbol and r.client_order_id not in known]
        with self._ledger.transaction():
            return [self._accept(row) for row in disputed]

    def _accept(self, row: ComparedOrder) -> str:
        """Accept one order and return the sentence about it."""
        now, orders = self._clock.now(), self._ledger.orders
        self._ledger.releases.accept(row.client_order_id, row.sentence, now)
        record = orders.find(row.client_order_id)
        if row.order is not None:
            self._take_over(row.order, record, now)
            return f"{_describe_order(row.order.side, row.order.qty, row.symbol)} taken into the ledger"
        if row.finding is Finding.UNREADABLE or record is None:
            return f"order {row.client_order_id} of {row.symbol} is left to the broker"
        orders.withdraw(record, ReasonCode.SYMBOL_LOCKED, row.sentence, now)
        self._report(record)
        return f"{_describe_order(record.side, record.qty, row.symbol)} is withdrawn: it never arrived"

    def _take_over(self, order: Order, record: OrderRecord | None, now: datetime) -> None:
        """Take the broker's order, its fills and its exits into the ledger."""
        orders = self._ledger.orders
        if record is not None:
            orders.observe(order, now, record, corrected=True)
            return
        orders.adopt(entry_intent(order, now), order, now, None)
        adopt_exits(orders, with_parents(order.legs, known_as(order)), None, now, {})

    def compare_positions(self, age: timedelta) -> ComparedPositions:
        """Compare the ledger's fills of the last `age` with the broker's positions. Raises BrokerUnavailable."""
        since = self._clock.now() - age
        positions = self._broker.positions()
        held = {position.symbol: position.qty for position in positions}
        unknown = {row.symbol for row in positions.unreadable}
        fills = (fill for fill in self._ledger.orders.fills_since(since) if fill.symbol not in unknown)
        return ComparedPositions(held, tuple(find_missing(fills, held)))


def compare_orders(
    broker: Broker, records: OrderRecords, since: datetime, in_hand: Container[str] = ()
) -> list[ComparedOrder]:
    """Compare the ledger's open orders with the broker's: every open one, and the others since a moment.

    `in_hand` are the ids of instructions that still wait in the inbox: their handlers finish what they began.
    Raises BrokerUnavailable.
    """
    waiting = records.find_open()
    since = min([since, *(record.created_at - A_LITTLE_BEFORE for record in waiting)])
    sent = _join(broker.orders("all", after=since), broker.orders("open"))
    listed = list(flat(sent))
    lives = LifeReader(broker, lambda name: records.find(name) is not None, listed)
    at_broker = {known_as(order): order for order in listed}
    rows, now = [], broker.market_clock().now
    for record in waiting:
        try:
            order = _find(broker, record, at_broker.get(record.client_order_id), lives)
        except UnreadableAnswer as error:
            rows.append(_compare(record, Finding.UNREADABLE, f"{record.client_order_id}: {error}"))
            continue
        rows.append(
            _compare_missing(record, in_hand, now) if order is None else _compare_known(record, lives.read(order))
        )
    known = {row.client_order_id for row in rows}
    unread = (row for row in sent.unreadable if row.client_order_id not in known)
    ended = _compare_ended(sent, records, now - LOOK_BACK, lives)
    return [*rows, *ended, *_compare_unreadable(unread, records)]


def disputed_symbols(rows: Sequence[ComparedOrder], accepted: Container[str] = ()) -> dict[str, str]:
    """Return the symbols to lock with the reason; orders a person `accepted` lock nothing."""
    return {row.symbol: row.sentence for row in rows if row.is_disputed and row.client_order_id not in accepted}


def _join(recent: Orders, still_open: Orders) -> Orders:
    """Return two lists as one, without what stands in both."""
    listed = {order.id for order in flat(recent)}
    read = {(row.id, row.client_order_id) for row in recent.unreadable}
    return BrokerList(
        (*(order for order in still_open if order.id not in listed), *recent),
        recent.foreign,
        (*recent.unreadable, *(r for r in still_open.unreadable if (r.id, r.client_order_id) not in read)),
    )


def describe_strangers(rows: Sequence[ComparedOrder]) -> str:
    """Return the sentence about orders of today under our ids that the ledger does not know."""
    ids = ", ".join(row.client_order_id for row in rows[:3]) + (", …" if len(rows) > 3 else "")
    many = "an order" if len(rows) == 1 else f"{len(rows)} orders"
    return (
        f"the broker has {many} of today under this desk's ids that the ledger does not know ({ids}): another desk "
        "trades this account, or this ledger was restored from a backup. Nothing is sent. Stop the other desk, look "
        "at the orders, then: departments reconcile --accept-all"
    )


def _find(broker: Broker, record: OrderRecord, order: Order | None, lives: LifeReader) -> Order | None:
    """Return the first row of an order, None if the broker does not know it."""
    if order is not None:
        return order
    try:
        if record.broker_order_id is not None:
            return lives.find_first(record.broker_order_id)
        return broker.order_by_client_id(record.client_order_id)
    except NotFound:
        return None


def _compare_known(record: OrderRecord, life: Life) -> ComparedOrder:
    order = life.order
    if life.gap:
        sentence = f"the end of {record.client_order_id} is unknown: {life.gap}"
        return _compare(record, Finding.AMBIGUOUS, sentence, order)
    # an exit shrinks as its twin trades, and a person may edit an order's shares
    is_same_qty = order.qty == record.qty or record.purpose is Purpose.EXIT or life.is_edited
    is_renamed = order.symbol != record.symbol and record.broker_order_id in life.ids  # the book says what became of it
    is_same_symbol = order.symbol == record.symbol or is_renamed
    if order.side != record.side or not (is_same_symbol and is_same_qty):
        at_broker, in_ledger = (
            _describe_order(order.side, order.qty, order.symbol),
            _describe_order(record.side, record.qty, record.symbol),
        )
        sentence = f"{record.client_order_id} is {at_broker} at the broker, {in_ledger} in the ledger"
        return _compare(record, Finding.AMBIGUOUS, sentence, order)
    if order.filled_qty < record.filled_qty:
        sentence = f"the ledger has {plain(record.filled_qty)} filled, the broker {plain(order.filled_qty)}"
        return _compare(record, Finding.AMBIGUOUS, sentence, order)
    edited = f", edited at the broker ({plain(record.qty)} were sent)" if life.is_edited else ""
    sentence = f"{order.status}, {plain(order.filled_qty)} of {plain(order.qty)} filled{edited}"
    return _compare(record, Finding.MATCHED, sentence, order)


def _compare_missing(record: OrderRecord, in_hand: Container[str], now: datetime) -> ComparedOrder:
    """Compare an order unknown to the broker.

    One whose submission got no answer is looked for again when its approval is handled or cancelled; one whose id is
    taken may show a moment later. An order the broker had may not vanish.
    """
    is_unanswered = record.status is OrderStatus.UNKNOWN and record.broker_order_id is None
    will_be_decided = record.message_id in in_hand or record.cancel_requested_at is not None
    is_taken = record.status is OrderStatus.PENDING_NEW and record.broker_order_id is None
    may_show = is_taken and now - record.created_at < NEVER_ARRIVED_AFTER
    is_expected = may_show or (is_unanswered and will_be_decided)
    finding = Finding.MATCHED if is_expected else Finding.AMBIGUOUS
    return _compare(record, finding, f"the broker does not know {record.client_order_id}")


def _compare(record: OrderRecord, finding: Finding, sentence: str, order: Order | None = None) -> ComparedOrder:
    symbol = record.symbol
    return ComparedOrder(symbol, record.client_order_id, finding, f"{symbol}: {sentence}", order)


def find_missing(fills: Iterable[FillRecord], held: Mapping[str, Decimal]) -> Iterator[MissingShares]:
    """Yield symbols with fewer shares held than bought, in order."""
    bought: dict[str, Decimal] = {}
    for record in fills:
        bought[record.symbol] = bought.get(record.symbol, ZERO) + measure_effect(record)
    for symbol, qty in sorted(bought.items()):
        if held.get(symbol, ZERO) < max(ZERO, qty):
            yield MissingShares(symbol, qty, held.get(symbol, ZERO))


def _describe_order(side: Side, qty: Decimal, symbol: str) -> str:
    return f"{side} {plain(qty)} {symbol}"


def _compare_ended(
    orders: Iterable[Order], records: OrderRecords, recent: datetime, lives: LifeReader
) -> Iterator[ComparedOrder]:
    """Yield our orders missing in the ledger or ended differently there.

    Orders open in the ledger are compared elsewhere. An unknown order that ended before `recent` counts while an exit
    of it is live.
    """
    begun = [lives.read(order) for order in orders if order.client_order_id.startswith(OURS)]
    later = {order_id for life in begun for order_id in life.ids[1:]}
    ours = [
        life.order
        for life in begun
        if life.ids[0] not in later and (life.order.filled_qty or not life.order.status.is_terminal)
    ]
    known = records.find_many([order.client_order_id for order in ours]) if ours else {}
    for order in ours:
        record = known.get(order.client_order_id)
        if record is None:
            if _is_alive(order) or (order.updated_at or order.submitted_at or recent) >= recent:
                yield _compare_unknown(order)
        elif record.status.is_terminal and (record.filled_qty != order.filled_qty or not order.status.is_terminal):
            in_ledger = f"{record.status}, {plain(record.filled_qty)} filled"
            sentence = f"it is {in_ledger} in the ledger, but {_describe_at_broker(order)}"
            yield _compare(record, Finding.AMBIGUOUS, f"{sentence} at the broker", order)


def _is_alive(order: Order) -> bool:
    """Return whether an order or an exit of it is live."""
    return any(not each.status.is_terminal for each in flat([order]))


def _compare_unknown(order: Order) -> ComparedOrder:
    finding = Finding.UNKNOWN_FILL if order.status.is_terminal else Finding.ORPHAN
    filled = f"filled {_describe_order(order.side, order.filled_qty, order.symbol)}{_on_day(order.filled_at)}"
    deed = filled if finding is Finding.UNKNOWN_FILL else f"has {_describe_at_broker(order)}"
    problem = f"{order.symbol}: the broker {deed} ({order.client_order_id}), which the ledger does not know."
    mend = f"Check it, then: departments reconcile --accept {order.symbol}"
    return ComparedOrder(order.symbol, order.client_order_id, finding, f"{problem} {mend}", order)


def _on_day(at: datetime | None) -> str:
    return "" if at is None else f" on {trading_day(at).isoformat()}"


def _compare_unreadable(rows: Iterable[UnreadableRow], records: OrderRecords) -> Iterator[ComparedOrder]:
    """Yield our unreadable orders, unless they have ended in the ledger."""
    for row in rows:
        record = records.find(row.client_order_id) if row.client_order_id.startswith(OURS) else None
        symbol = record.symbol if record else row.symbol
        if row.client_order_id.startswith(OURS) and symbol and not (record and record.status.is_terminal):
            sentence = f"{symbol}: order {row.client_order_id} at the broker cannot be read ({row.problem})"
            yield ComparedOrder(symbol, row.client_order_id, Finding.UNREADABLE, sentence)


def _describe_at_broker(order: Order) -> str:
    filled = f", {plain(order.filled_qty)} filled" if order.filled_qty else ""
    return f"{_describe_order(order.side, order.qty, order.symbol)}, {order.status}{filled}"
