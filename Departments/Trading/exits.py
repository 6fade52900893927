"""Exits: cancel those holding shares to sell, and protect unprotected shares.

An exit is an order of its own: a bracket's legs hold the shares, so they must be cancelled and gone before the shares
can be sold, and either may fill meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from Departments.brokers.base import Broker
from Departments.core.errors import NotFound, Refused
from Departments.core.identifiers import client_order_id
from Departments.core.logs import make_logger
from Departments.core.money import ZERO, plain, whole_shares
from Departments.core.orders import Order, OrderClass, OrderType, Purpose, Side
from Departments.core.portfolio import Position
from Departments.core.settings import ExitSettings
from Departments.ledger.ledger import Ledger
from Departments.ledger.order_records import ADOPTED, OrderRecord
from Departments.ledger.releases import Release
from Departments.ledger.trading_records import OrderRecords
from Departments.messaging.payloads import ProtectRequest, ReleaseRequest

log = make_logger(__name__)

#: The types of a resting order that sells once the price has fallen.
STOPS = frozenset({OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP})

#: An order with the client order id of the order that it belongs to, if any.
Leg = tuple[Order, str | None]


def resting_exits(broker: Broker, symbol: str) -> list[Leg]:
    """Return the open SELL orders of a symbol, legs of brackets and OCOs included.

    All orders are listed: the broker's open ones leave out held legs, which may still trade.
    """
    found = with_parents(broker.orders("all", symbols=[symbol]))
    return list({o.id: (o, parent) for o, parent in found if is_resting_exit(o, parent)}.values())


def is_resting_exit(order: Order, parent_id: str | None) -> bool:
    """Return whether an order is a resting exit: a stop of any kind, or a leg or parent of a bracket or an OCO.

    A SELL at a limit, alone, is somebody's sale and no exit.
    """
    is_pair = parent_id is not None or order.order_class is not OrderClass.SIMPLE
    is_exit = order.type in STOPS or is_pair
    return order.side is Side.SELL and not order.status.is_terminal and is_exit


def describe_exit(order: Order) -> str:
    """Return an exit in words: what it sells and at which terms."""
    kind = str(order.type).replace("_", " ")
    if order.trail_percent is not None:
        terms = f"with a trail of {plain(order.trail_percent)} %"
    elif order.trail_price is not None:
        terms = f"with a trail of ${plain(order.trail_price)}"
    else:
        price = order.stop_price or order.limit_price
        terms = "" if price is None else f"at ${plain(price)}"
    return f"{kind} of {plain(order.remaining_qty)} {order.symbol} {terms}".rstrip() + f" ({order.id})"


def release_of(request: ReleaseRequest, message_id: str, exits: Sequence[Leg]) -> Release:
    """Return the release of a symbol's exits for the ledger."""
    return Release(message_id, request.plan_id, request.symbol, request.qty, tuple(order.id for order, _ in exits))


def known_as(order: Order) -> str:
    """Return the ledger's id of an order: the client's, else the broker's."""
    return order.client_order_id or order.id


def exit_intent(order: Order, plan_id: str | None, parent_id: str | None, at: datetime) -> OrderRecord:
    """Return the intent of a bracket's exit or of a person's own."""
    return OrderRecord(
        client_order_id=known_as(order),
        message_id=f"{ADOPTED}{order.id}",
        symbol=order.symbol,
        side=order.side,
        qty=order.qty,
        order_type=str(order.type),
        plan_id=plan_id,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        purpose=Purpose.EXIT,
        parent_id=parent_id,
        created_at=at,
    )


def entry_intent(order: Order, at: datetime) -> OrderRecord:
    """Return the intent of an order of ours that a person takes into the ledger."""
    return replace(exit_intent(order, None, None, at), purpose=Purpose.TRADE)


def adopt_exits(
    orders: OrderRecords, exits: Iterable[Leg], plan_id: str | None, at: datetime, known: dict[str, OrderRecord]
) -> list[OrderRecord]:
    """Record the broker's exits and return the records of those just traded.

    `known` holds the ledger's records by `known_as` and is kept up to date.
    """
    traded = []
    for each, parent_id in exits:
        before = known.get(known_as(each))
        entry = None if parent_id is None else known.get(parent_id)
        record = orders.adopt(exit_intent(each, plan_id, parent_id, at), each, at, before, entry)
        if record is not None and record is not before:
            known[known_as(each)] = record
            if record.status.is_terminal and record.filled_qty > 0:
                traded.append(record)
    return traded


def ask_to_cancel(broker: Broker, order_id: str, symbol: str) -> None:
    """Ask the broker to cancel an order. One that has ended meanwhile is only logged."""
    try:
        broker.cancel(order_id)
    except (Refused, NotFound) as error:
        log.info("%s: nothing left to cancel (%s)", symbol, error)


def cancel_to_renew(ledger: Ledger, broker: Broker, exits: Sequence[OrderRecord], now: datetime) -> None:
    """Cancel exits of the desk that are made anew, and record that the desk did."""
    sent = [record for record in exits if record.broker_order_id is not None]
    with ledger.transaction():
        for record in sent:
            ledger.orders.request_cancel(record.client_order_id, "", "the exits are made anew", now)
    for record in sent:
        ask_to_cancel(broker, record.broker_order_id or "", record.symbol)


def is_free(position: Position | None, qty: Decimal) -> bool:
    """Return True if no order holds shares of the position, or `qty` shares are free beside it."""
    return position is None or position.available == position.qty or position.available >= qty > 0


def name_strangers(exits: Iterable[OrderRecord]) -> str:
    """Return a sentence that names somebody else's exits among released ones, empty without any."""
    strange = [e for e in exits if not e.is_ours]
    named = [
        f"{e.order_type.replace('_', ' ')} of {plain(e.qty)} ({e.message_id.removeprefix(ADOPTED)})" for e in strange
    ]
    return f"cancelled to sell the shares, placed by somebody else: {'; '.join(named)}" if named else ""


def find_exit_prices(ledger: Ledger, symbol: str) -> tuple[Decimal, Decimal] | None:
    """Return target and stop of a position's newest live exits, None if it lacks one of them or a stop trails."""
    exits = ledger.orders.find_open_exits(symbols=[symbol])[::-1]
    if any(record.order_type == OrderType.TRAILING_STOP for record in exits):
        return None
    targets = [r.limit_price for r in exits if r.limit_price is not None and r.order_type == OrderType.LIMIT]
    stops = [r.stop_price for r in exits if r.stop_price is not None]
    return (targets[0], stops[0]) if targets and stops else None


def protection_intent(
    request: ProtectRequest,
    message_id: str,
    position: Position,
    exits: ExitSettings,
    at: datetime,
    known: tuple[Decimal, Decimal] | None = None,
) -> OrderRecord | None:
    """Return the intent of exits for free shares, None without any.

    They stand where the position's others do: `known` are their target and stop, in dollars a share.
    """
    free = min(request.qty, whole_shares(max(ZERO, position.available)))
    if free == 0:
        return None
    take_profit, stop_loss = _exits_around(position, exits)
    if known is not None and known[1] < position.price < known[0]:
        take_profit, stop_loss = known
    return OrderRecord(
        client_order_id=client_order_id(message_id),
        message_id=message_id,
        symbol=request.symbol,
        side=Side.SELL,
        qty=free,
        order_type=OrderType.LIMIT,
        plan_id=request.plan_id,
        limit_price=take_profit,
        stop_price=stop_loss,
        purpose=Purpose.EXIT,
        created_at=at,
    )


def _exits_around(position: Position, exits: ExitSettings) -> tuple[Decimal, Decimal]:
    """Return take-profit and stop-loss around the entry price.

    Around the market price if the entry is unknown or the market has left that range.
    """
    market = position.price
    take_profit, stop_loss = exits.around(position.avg_entry_price or market)
    return (take_profit, stop_loss) if stop_loss < market < take_profit else exits.around(market)


def with_parents(orders: Iterable[Order], parent_id: str | None = None) -> Iterator[Leg]:
    """Yield orders, each followed by its legs, with their parent's client order id."""
    for order in orders:
        yield order, parent_id
        yield from with_parents(order.legs, known_as(order))


def flat(orders: Iterable[Order]) -> Iterator[Order]:
    """Yield orders, each followed by its legs."""
    return (order for order, _ in with_parents(orders))
