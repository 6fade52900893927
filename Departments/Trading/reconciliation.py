"""The broker's truth against the ledger's: each order is matched, an orphan, an unknown fill, ambiguous or unreadable.

Nothing is ever sent while reconciling. Unknown is not rejected and unknown is not flat: a symbol about which the two
disagree is locked for a person to look at, and the rest goes on.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from Departments.brokers.base import Broker, UnreadableRow
from Departments.core.errors import NotFound, UnreadableAnswer
from Departments.core.money import ZERO, plain
from Departments.core.orders import Order, OrderStatus, Purpose, Side
from Departments.ledger.order_records import FillRecord, OrderRecord
from Departments.ledger.trading_records import OrderRecords
from Departments.Trading.exits import flat

OURS = "MSG_"  # every client order id of the desk begins so
LOOK_BACK = timedelta(days=7)
A_LITTLE_BEFORE = timedelta(minutes=10)  # the broker's clock is not ours


class Finding(StrEnum):
    """How an order of one side stands to the other side."""

    MATCHED = "matched"
    ORPHAN = "orphan"
    UNKNOWN_FILL = "unknown fill"
    AMBIGUOUS = "ambiguous"
    UNREADABLE = "unreadable"  # the broker has it, and what it says of it makes no sense


@dataclass(frozen=True, slots=True)
class Row:
    """One order, what was found of it, and a sentence for people. `order` is the broker's, where there is one."""

    ticker: str
    client_order_id: str
    finding: Finding
    sentence: str
    order: Order | None = None

    @property
    def locks(self) -> bool:
        """Tell whether the symbol must not be traded before a person has looked."""
        return self.finding is not Finding.MATCHED


def reconcile(broker: Broker, records: OrderRecords, now: datetime, in_hand: Container[str] = ()) -> list[Row]:
    """Compare every order that is open in the ledger, and every recent one at the broker.

    `in_hand` are the ids of instructions that still wait in the inbox: what they began will be finished.
    Raises BrokerUnavailable.
    """
    waiting = records.open()
    since = min([now - LOOK_BACK, *(record.created_at - A_LITTLE_BEFORE for record in waiting)])
    sent = broker.orders("all", after=since)
    at_broker = {order.client_order_id: order for order in flat(sent)}
    rows = []
    for record in waiting:
        try:
            order = _found(broker, record, at_broker.get(record.intent.client_order_id))
        except UnreadableAnswer as error:
            rows.append(_row(record, Finding.UNREADABLE, f"{record.intent.client_order_id}: {error}"))
            continue
        rows.append(_missing(record, in_hand) if order is None else _known(record, order))
    known = {row.client_order_id for row in rows}
    unread = (row for row in sent.unreadable if row.client_order_id not in known)
    return [*rows, *_strangers(sent, records), *_unreadable(unread, records)]


def locking(rows: Sequence[Row], accepted: Container[str] = ()) -> dict[str, str]:
    """Return the symbols to lock, with the sentence that says why; what a person `accepted` locks nothing."""
    return {row.ticker: row.sentence for row in rows if row.locks and row.client_order_id not in accepted}


def _found(broker: Broker, record: OrderRecord, order: Order | None) -> Order | None:
    if order is not None:
        return order
    try:
        if record.broker_order_id is not None:
            return broker.order(record.broker_order_id)
        return broker.order_by_client_id(record.intent.client_order_id)
    except NotFound:
        return None


def _known(record: OrderRecord, order: Order) -> Row:
    intent = record.intent
    same_qty = (
        order.qty == intent.qty or intent.purpose is Purpose.EXIT
    )  # the rest of an exit shrinks as its twin trades
    if (order.symbol, order.side) != (intent.ticker, intent.side) or not same_qty:
        at_broker, in_ledger = _what(order.side, order.qty, order.symbol), _what(intent.side, intent.qty, intent.ticker)
        sentence = f"{intent.client_order_id} is {at_broker} at the broker, {in_ledger} in the ledger"
        return _row(record, Finding.AMBIGUOUS, sentence, order)
    if order.filled_qty < record.filled_qty:
        sentence = f"the ledger has {plain(record.filled_qty)} filled, the broker {plain(order.filled_qty)}"
        return _row(record, Finding.AMBIGUOUS, sentence, order)
    return _row(
        record, Finding.MATCHED, f"{order.status}, {plain(order.filled_qty)} of {plain(order.qty)} filled", order
    )


def _missing(record: OrderRecord, in_hand: Container[str]) -> Row:
    """Judge an order that the broker does not know.

    One whose sending was never answered is looked for again when its approval is handled, or taken back; an order
    that was there may not vanish.
    """
    never_answered = record.status is OrderStatus.UNKNOWN and record.broker_order_id is None
    will_be_decided = record.intent.message_id in in_hand or record.cancel_requested_at is not None
    finding = Finding.MATCHED if never_answered and will_be_decided else Finding.AMBIGUOUS
    return _row(record, finding, f"the broker does not know {record.intent.client_order_id}")


def _row(record: OrderRecord, finding: Finding, sentence: str, order: Order | None = None) -> Row:
    ticker = record.intent.ticker
    return Row(ticker, record.intent.client_order_id, finding, f"{ticker}: {sentence}", order)


def missing_shares(fills: Iterable[FillRecord], held: Mapping[str, Decimal]) -> list[dict[str, Any]]:
    """Return, symbol by symbol, what the fills say was bought and is not held: `{ticker, bought, held}`."""
    bought: dict[str, Decimal] = {}
    for fill in fills:
        qty = fill.qty if fill.side is Side.BUY else -fill.qty
        bought[fill.ticker] = bought.get(fill.ticker, ZERO) + qty
    return [
        {"ticker": symbol, "bought": qty, "held": held.get(symbol, ZERO)}
        for symbol, qty in sorted(bought.items())
        if held.get(symbol, ZERO) < max(ZERO, qty)
    ]


def _what(side: Side, qty: Decimal, symbol: str) -> str:
    return f"{side} {plain(qty)} {symbol}"


def _strangers(orders: Iterable[Order], records: OrderRecords) -> Iterator[Row]:
    """Judge the broker's orders under our ids that the ledger does not know, or knows to have come to something else.

    An order that is open in the ledger has been judged already.
    """
    for order in orders:
        if not order.client_order_id.startswith(OURS) or (order.status.is_terminal and not order.filled_qty):
            continue
        record = records.find(order.client_order_id)
        if record is None:
            yield _unknown(order)
        elif record.status.is_terminal and (record.filled_qty != order.filled_qty or not order.status.is_terminal):
            sentence = f"it is {record.status} in the ledger, {plain(record.filled_qty)} filled, but {_of(order)}"
            yield _row(record, Finding.AMBIGUOUS, f"{sentence} at the broker", order)


def _unknown(order: Order) -> Row:
    finding = Finding.UNKNOWN_FILL if order.status.is_terminal else Finding.ORPHAN
    what = "the fill of " if finding is Finding.UNKNOWN_FILL else ""
    sentence = f"{order.symbol}: the ledger does not know {what}{order.client_order_id} ({_of(order)})"
    return Row(order.symbol, order.client_order_id, finding, sentence, order)


def _unreadable(rows: Iterable[UnreadableRow], records: OrderRecords) -> Iterator[Row]:
    """Judge unreadable orders under our ids; one that has ended in the ledger says nothing new."""
    for row in rows:
        record = records.find(row.client_order_id) if row.client_order_id.startswith(OURS) else None
        symbol = record.intent.ticker if record else row.symbol
        if row.client_order_id.startswith(OURS) and symbol and not (record and record.status.is_terminal):
            sentence = f"{symbol}: order {row.client_order_id} at the broker cannot be read ({row.problem})"
            yield Row(symbol, row.client_order_id, Finding.UNREADABLE, sentence)


def _of(order: Order) -> str:
    filled = f", {plain(order.filled_qty)} filled" if order.filled_qty else ""
    return f"{_what(order.side, order.qty, order.symbol)}, {order.status}{filled}"
