"""Compares the ledger's orders with the broker's: matched, an orphan, an unknown fill, ambiguous or unreadable.

Unknown is not rejected. Nothing is changed here, and nothing is sent.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from Departments.brokers.base import Broker, BrokerList, Orders, UnreadableRow
from Departments.core.errors import NotFound, UnreadableAnswer
from Departments.core.money import plain
from Departments.core.orders import OURS, Order, OrderStatus, Purpose, Side
from Departments.core.trading_calendar import trading_day
from Departments.ledger.order_records import OrderRecord
from Departments.ledger.trading_records import OrderRecords
from Departments.Trading.edits import Life, LifeReader
from Departments.Trading.exits import flat, known_as
from Departments.Trading.tracking import NEVER_ARRIVED_AFTER

LOOK_BACK = timedelta(days=7)


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


def compare_orders(
    broker: Broker, records: OrderRecords, since: datetime, in_hand: Container[str] = ()
) -> tuple[list[ComparedOrder], Orders]:
    """Compare the ledger's open orders with the broker's: every open one, and the others since a moment.

    Also returns the broker's orders: those of every open order of the ledger, and more.

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
    return [*rows, *ended, *_compare_unreadable(unread, records)], sent


def _join(recent: Orders, still_open: Orders) -> Orders:
    """Return two lists as one, each row once."""
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
            describe_order(order.side, order.qty, order.symbol),
            describe_order(record.side, record.qty, record.symbol),
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
    is_sent_again = record.purpose is Purpose.EXIT  # or given up by the tracker; it changes no shares before it is live
    is_expected = may_show or (is_unanswered and (will_be_decided or is_sent_again))
    finding = Finding.MATCHED if is_expected else Finding.AMBIGUOUS
    return _compare(record, finding, f"the broker does not know {record.client_order_id}")


def _compare(record: OrderRecord, finding: Finding, sentence: str, order: Order | None = None) -> ComparedOrder:
    symbol = record.symbol
    return ComparedOrder(symbol, record.client_order_id, finding, f"{symbol}: {sentence}", order)


def describe_order(side: Side, qty: Decimal, symbol: str) -> str:
    """Return an order as people write it: BUY 63 SN."""
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
    filled = f"filled {describe_order(order.side, order.filled_qty, order.symbol)}{_on_day(order.filled_at)}"
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
    return f"{describe_order(order.side, order.qty, order.symbol)}, {order.status}{filled}"
