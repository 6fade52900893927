"""Reconciliation: an order is matched, an orphan, an unknown fill, ambiguous or unreadable.

Reconciling sends nothing. Unknown is not rejected and unknown is not flat: a symbol on which ledger and broker disagree
is locked until a person accepts it. The rest goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import partial

from Departments.brokers.base import Broker, UnreadableRow
from Departments.brokers.patience import ask_patiently
from Departments.core.errors import NotFound, UnreadableAnswer
from Departments.core.logs import make_logger
from Departments.core.money import ZERO, plain
from Departments.core.orders import Order, OrderStatus, Purpose, Side
from Departments.core.platform.clock import Clock
from Departments.core.reasons import ReasonCode
from Departments.core.trading_calendar import trading_day
from Departments.ledger.ledger import Ledger
from Departments.ledger.order_records import FillRecord, OrderIntent, OrderRecord
from Departments.ledger.trading_records import OrderRecords
from Departments.Trading.exits import flat

log = make_logger(__name__)

OURS = "MSG_"  # every client order id of the desk begins so
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
    """Compares the ledger with the broker, locks disputed symbols, and unlocks accepted ones.

    `report` reports the outcome of an order to the Executive; `patience` is how many seconds to wait for the broker.
    """

    def __init__(
        self, broker: Broker, ledger: Ledger, clock: Clock, report: Callable[[OrderIntent], None], *, patience: float
    ) -> None:
        self._broker = broker
        self._ledger = ledger
        self._clock = clock
        self._report = report
        self._patience = patience

    def lock_disputed(self, in_hand: Container[str]) -> list[ComparedOrder]:
        """Compare ledger and broker, and lock disputed symbols; `in_hand` as in `compare_orders`.

        Raises BrokerUnavailable.
        """
        now = self._clock.now()
        compare = partial(compare_orders, self._broker, self._ledger.orders, now, in_hand)
        rows = ask_patiently(compare, self._clock, seconds=self._patience)
        with self._ledger.transaction():
            accepted = self._ledger.releases.find_accepted()
            self._ledger.releases.lock(disputed_symbols(rows, accepted), now)
        for row in rows:
            is_locked = row.is_disputed and row.client_order_id not in accepted
            log.log(logging.WARNING if is_locked else logging.DEBUG, "%s: %s", row.finding, row.sentence)
        return rows

    def accept(self, symbol: str, rows: Iterable[ComparedOrder]) -> list[ComparedOrder]:
        """Accept a symbol's disputed orders on a person's word, and return them.

        An order that the broker does not know is withdrawn from the ledger.
        """
        known = self._ledger.releases.find_accepted()
        disputed = [r for r in rows if r.is_disputed and r.symbol == symbol and r.client_order_id not in known]
        with self._ledger.transaction():
            for row in disputed:
                self._accept(row)
        return disputed

    def _accept(self, row: ComparedOrder) -> None:
        now = self._clock.now()
        self._ledger.releases.accept(row.client_order_id, row.sentence, now)
        record = self._ledger.orders.find(row.client_order_id)
        if row.order is None and row.finding is not Finding.UNREADABLE and record is not None:
            self._ledger.orders.withdraw(record.intent, ReasonCode.SYMBOL_LOCKED, row.sentence, now)
            self._report(record.intent)

    def compare_positions(self, age: timedelta) -> ComparedPositions:
        """Compare the ledger's fills of the last `age` with the broker's positions. Raises BrokerUnavailable."""
        since = self._clock.now() - age
        positions = self._broker.positions()
        held = {position.symbol: position.qty for position in positions}
        unknown = {row.symbol for row in positions.unreadable}
        fills = (fill for fill in self._ledger.orders.fills_since(since) if fill.symbol not in unknown)
        return ComparedPositions(held, tuple(find_missing(fills, held)))


def compare_orders(
    broker: Broker, records: OrderRecords, now: datetime, in_hand: Container[str] = ()
) -> list[ComparedOrder]:
    """Compare the ledger's open orders and the broker's recent ones.

    `in_hand` are the ids of instructions that still wait in the inbox: their handlers finish what they began.
    Raises BrokerUnavailable.
    """
    waiting = records.find_open()
    since = min([now - LOOK_BACK, *(record.created_at - A_LITTLE_BEFORE for record in waiting)])
    sent = broker.orders("all", after=since)
    at_broker = {order.client_order_id: order for order in flat(sent)}
    rows = []
    for record in waiting:
        try:
            order = _find(broker, record, at_broker.get(record.intent.client_order_id))
        except UnreadableAnswer as error:
            rows.append(_compare(record, Finding.UNREADABLE, f"{record.intent.client_order_id}: {error}"))
            continue
        rows.append(_compare_missing(record, in_hand) if order is None else _compare_known(record, order))
    known = {row.client_order_id for row in rows}
    unread = (row for row in sent.unreadable if row.client_order_id not in known)
    return [*rows, *_compare_ended(sent, records), *_compare_unreadable(unread, records)]


def disputed_symbols(rows: Sequence[ComparedOrder], accepted: Container[str] = ()) -> dict[str, str]:
    """Return the symbols to lock with the reason; orders a person `accepted` lock nothing."""
    return {row.symbol: row.sentence for row in rows if row.is_disputed and row.client_order_id not in accepted}


def _find(broker: Broker, record: OrderRecord, order: Order | None) -> Order | None:
    if order is not None:
        return order
    try:
        if record.broker_order_id is not None:
            return broker.order(record.broker_order_id)
        return broker.order_by_client_id(record.intent.client_order_id)
    except NotFound:
        return None


def _compare_known(record: OrderRecord, order: Order) -> ComparedOrder:
    intent = record.intent
    is_same_qty = order.qty == intent.qty or intent.purpose is Purpose.EXIT  # an exit shrinks as its twin trades
    if (order.symbol, order.side) != (intent.symbol, intent.side) or not is_same_qty:
        at_broker, in_ledger = (
            _describe_order(order.side, order.qty, order.symbol),
            _describe_order(intent.side, intent.qty, intent.symbol),
        )
        sentence = f"{intent.client_order_id} is {at_broker} at the broker, {in_ledger} in the ledger"
        return _compare(record, Finding.AMBIGUOUS, sentence, order)
    if order.filled_qty < record.filled_qty:
        sentence = f"the ledger has {plain(record.filled_qty)} filled, the broker {plain(order.filled_qty)}"
        return _compare(record, Finding.AMBIGUOUS, sentence, order)
    return _compare(
        record, Finding.MATCHED, f"{order.status}, {plain(order.filled_qty)} of {plain(order.qty)} filled", order
    )


def _compare_missing(record: OrderRecord, in_hand: Container[str]) -> ComparedOrder:
    """Compare an order unknown to the broker.

    One whose submission got no answer is looked for again when its approval is handled or cancelled. An order the
    broker had may not vanish.
    """
    is_unanswered = record.status is OrderStatus.UNKNOWN and record.broker_order_id is None
    will_be_decided = record.intent.message_id in in_hand or record.cancel_requested_at is not None
    finding = Finding.MATCHED if is_unanswered and will_be_decided else Finding.AMBIGUOUS
    return _compare(record, finding, f"the broker does not know {record.intent.client_order_id}")


def _compare(record: OrderRecord, finding: Finding, sentence: str, order: Order | None = None) -> ComparedOrder:
    symbol = record.intent.symbol
    return ComparedOrder(symbol, record.intent.client_order_id, finding, f"{symbol}: {sentence}", order)


def find_missing(fills: Iterable[FillRecord], held: Mapping[str, Decimal]) -> Iterator[MissingShares]:
    """Yield symbols with fewer shares held than bought, in order."""
    bought: dict[str, Decimal] = {}
    for record in fills:
        qty = record.fill.qty if record.side is Side.BUY else -record.fill.qty
        bought[record.symbol] = bought.get(record.symbol, ZERO) + qty
    for symbol, qty in sorted(bought.items()):
        if held.get(symbol, ZERO) < max(ZERO, qty):
            yield MissingShares(symbol, qty, held.get(symbol, ZERO))


def _describe_order(side: Side, qty: Decimal, symbol: str) -> str:
    return f"{side} {plain(qty)} {symbol}"


def _compare_ended(orders: Iterable[Order], records: OrderRecords) -> Iterator[ComparedOrder]:
    """Yield our orders missing in the ledger or ended differently there.

    Orders open in the ledger are compared elsewhere.
    """
    for order in orders:
        if not order.client_order_id.startswith(OURS) or (order.status.is_terminal and not order.filled_qty):
            continue
        record = records.find(order.client_order_id)
        if record is None:
            yield _compare_unknown(order)
        elif record.status.is_terminal and (record.filled_qty != order.filled_qty or not order.status.is_terminal):
            in_ledger = f"{record.status}, {plain(record.filled_qty)} filled"
            sentence = f"it is {in_ledger} in the ledger, but {_describe_at_broker(order)}"
            yield _compare(record, Finding.AMBIGUOUS, f"{sentence} at the broker", order)


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
        symbol = record.intent.symbol if record else row.symbol
        if row.client_order_id.startswith(OURS) and symbol and not (record and record.status.is_terminal):
            sentence = f"{symbol}: order {row.client_order_id} at the broker cannot be read ({row.problem})"
            yield ComparedOrder(symbol, row.client_order_id, Finding.UNREADABLE, sentence)


def _describe_at_broker(order: Order) -> str:
    filled = f", {plain(order.filled_qty)} filled" if order.filled_qty else ""
    return f"{_describe_order(order.side, order.qty, order.symbol)}, {order.status}{filled}"
