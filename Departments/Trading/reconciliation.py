"""The broker's truth against the ledger's: every order is matched, an orphan, an unknown fill, or ambiguous.

Nothing is ever sent while reconciling. Unknown is not rejected and unknown is not flat: a symbol about which the two
disagree is locked for a person to look at, and the rest goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from Departments.brokers.base import Broker
from Departments.core.errors import NotFound
from Departments.core.money import plain
from Departments.core.orders import Order, OrderStatus
from Departments.ledger.orders import OrderRecord, OrderRecords

OURS = "MSG_"  # every client order id of the desk begins so
LOOK_BACK = timedelta(days=7)


class Finding(StrEnum):
    """How an order of one side stands to the other side."""

    MATCHED = "matched"
    ORPHAN = "orphan"
    UNKNOWN_FILL = "unknown fill"
    AMBIGUOUS = "ambiguous"


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


def reconcile(broker: Broker, records: OrderRecords, now: datetime) -> list[Row]:
    """Compare every order that is open in the ledger, and every recent one at the broker. Raises BrokerUnavailable."""
    waiting = records.open()
    since = min([now - LOOK_BACK, *(record.created_at - timedelta(minutes=1) for record in waiting)])
    at_broker = {order.client_order_id: order for order in broker.orders("all", after=since)}
    known = [_known(record, _found(broker, record, at_broker.get(record.intent.client_order_id))) for record in waiting]
    return [*known, *_strangers(at_broker.values(), records)]


def locking(rows: Sequence[Row]) -> dict[str, str]:
    """Return the symbols to lock, with the sentence that says why."""
    return {row.ticker: row.sentence for row in rows if row.locks}


def _found(broker: Broker, record: OrderRecord, order: Order | None) -> Order | None:
    if order is not None:
        return order
    try:
        if record.broker_order_id is not None:
            return broker.order(record.broker_order_id)
        return broker.order_by_client_id(record.intent.client_order_id)
    except NotFound:
        return None


def _known(record: OrderRecord, order: Order | None) -> Row:
    intent = record.intent
    if order is None:
        return _row(record, _missing(record), f"{intent.ticker}: the broker does not know {intent.client_order_id}")
    if (order.symbol, order.side, order.qty) != (intent.ticker, intent.side, intent.qty):
        sentence = (
            f"{intent.ticker}: {intent.client_order_id} is {order.side} {plain(order.qty)} {order.symbol} at the broker, "
            f"{intent.side} {plain(intent.qty)} in the ledger"
        )
        return Row(intent.ticker, intent.client_order_id, Finding.AMBIGUOUS, sentence, order)
    if order.filled_qty < record.filled_qty:
        sentence = (
            f"{intent.ticker}: the ledger has {plain(record.filled_qty)} filled, the broker {plain(order.filled_qty)}"
        )
        return Row(intent.ticker, intent.client_order_id, Finding.AMBIGUOUS, sentence, order)
    sentence = f"{intent.ticker}: {order.status}, {plain(order.filled_qty)} of {plain(order.qty)} filled"
    return Row(intent.ticker, intent.client_order_id, Finding.MATCHED, sentence, order)


def _missing(record: OrderRecord) -> Finding:
    """Judge a missing order: an intent may never have arrived; an order that was there may not vanish."""
    never_answered = record.status is OrderStatus.UNKNOWN and record.broker_order_id is None
    return Finding.MATCHED if never_answered else Finding.AMBIGUOUS


def _row(record: OrderRecord, finding: Finding, sentence: str) -> Row:
    return Row(record.intent.ticker, record.intent.client_order_id, finding, sentence)


def _strangers(orders: Iterable[Order], records: OrderRecords) -> Iterator[Row]:
    for order in orders:
        ours = order.client_order_id.startswith(OURS)
        if not ours or records.find(order.client_order_id) is not None:
            continue
        what = f"{order.side} {plain(order.qty)} {order.symbol}, {order.status}"
        if not order.status.is_terminal:
            sentence = f"{order.symbol}: the ledger does not know {order.client_order_id} ({what})"
            yield Row(order.symbol, order.client_order_id, Finding.ORPHAN, sentence, order)
        elif order.filled_qty > 0:
            sentence = f"{order.symbol}: the ledger does not know the fill of {order.client_order_id} ({what})"
            yield Row(order.symbol, order.client_order_id, Finding.UNKNOWN_FILL, sentence, order)
