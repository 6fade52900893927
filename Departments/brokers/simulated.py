"""The simulated exchange behind the broker port.

The exchange refuses with Alpaca's statuses and codes, so Alpaca's own table maps them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from typing import TypeVar

from Departments.brokers.alpaca.refusals import read_refusal
from Departments.brokers.base import (
    Activities,
    BrokerList,
    ForeignOrder,
    ForeignPosition,
    Orders,
    Positions,
    RowNames,
    UnreadableRow,
)
from Departments.core.activities import Activity
from Departments.core.errors import (
    BrokerError,
    BrokerUnavailable,
    NotAuthorized,
    NotFound,
    Unanswerable,
    UnreadableAnswer,
)
from Departments.core.orders import Order, OrderChange, OrderRequest, OrderScope, Side
from Departments.core.platform.clock import Clock
from Departments.core.portfolio import Account, Position
from Departments.core.quotes import Asset, Bar, MarketClock, Quote
from Departments.exchange.damage import SIGNS
from Departments.exchange.exchange import SimulatedExchange
from Departments.exchange.market_events import ForeignOrderState, ForeignPositionState
from Departments.exchange.records import ExchangeRefusal, Outage


class SimulatedBroker:
    """An account at the simulated exchange. `exchange` is the exchange itself, for its operator."""

    name: str = "simulated"

    def __init__(self, exchange: SimulatedExchange, clock: Clock) -> None:
        self.exchange = exchange
        self._names = RowNames(clock)

    def account(self) -> Account:
        """Return cash, equity, buying power and gates."""
        with _map_errors(self.exchange):
            return self.exchange.account()

    def positions(self) -> Positions:
        """Return every open position."""
        with _map_errors(self.exchange):
            read, unreadable = _sort(self.exchange.foreign_positions())
            foreign = (ForeignPosition(row.kind, row.symbol, row.market_value) for row in read)
            odd = (UnreadableRow("", "", row.symbol, row.problem) for row in unreadable)
            return self._names.name("The position", BrokerList(self.exchange.positions(), foreign, odd))

    def position(self, symbol: str) -> Position | None:
        """Return the open position in a symbol, or None."""
        with _map_errors(self.exchange):
            return self.exchange.position(symbol)

    def fees(self, since: datetime) -> Decimal:
        """Return the fees since a moment in dollars; the exchange books them with the fill."""
        with _map_errors(self.exchange):
            return self.exchange.fees(since)

    def activities(self, since: datetime) -> Activities:
        """Return the bookings on the account since a moment, oldest first."""
        with _map_errors(self.exchange):
            return BrokerList(self.exchange.activities(since))

    def announcements(self, symbols: Iterable[str], since: date) -> Sequence[Activity]:
        """Return the splits and new symbols of some symbols since a day."""
        with _map_errors(self.exchange):
            return self.exchange.announcements(symbols, since)

    def submit(self, request: OrderRequest) -> Order:
        """Submit one order, once."""
        with _map_errors(self.exchange):
            return self.exchange.submit(request)

    def order(self, order_id: str) -> Order:
        """Return an order with its legs by the exchange's id. Raises NotFound."""
        with _map_errors(self.exchange):
            return self.exchange.order(order_id)

    def order_by_client_id(self, client_order_id: str) -> Order:
        """Return an order with its legs by our id. Raises NotFound."""
        with _map_errors(self.exchange):
            return self.exchange.order_by_client_id(client_order_id)

    def orders(
        self,
        scope: OrderScope = "open",
        *,
        symbols: Iterable[str] = (),
        after: datetime | None = None,
        side: Side | None = None,
    ) -> Orders:
        """Return orders, oldest first."""
        with _map_errors(self.exchange):
            orders = self.exchange.orders(scope, symbols=symbols, after=after, side=side)
            read, unreadable = _sort(self.exchange.foreign_orders())
            foreign = (ForeignOrder(row.id, row.kind, row.symbol, row.promised) for row in read)
            odd = (UnreadableRow(r.id, r.client_order_id, r.symbol, r.problem) for r in unreadable)
            return self._names.name("The order", BrokerList(orders, foreign, odd))

    def cancel(self, order_id: str) -> None:
        """Request a cancel. Raises NotFound, and Refused if it is too late."""
        with _map_errors(self.exchange):
            self.exchange.cancel(order_id)

    def replace(self, order_id: str, change: OrderChange) -> Order:
        """Give a live order new terms. Raises NotFound, and Refused if it is too late or the terms are wrong."""
        with _map_errors(self.exchange):
            return self.exchange.replace(order_id, change)

    def assets(self, symbols: Iterable[str]) -> Mapping[str, Asset]:
        """Return the facts of symbols, without the unknown ones."""
        with _map_errors(self.exchange):
            return self.exchange.assets(symbols)

    def quotes(self, symbols: Iterable[str]) -> Mapping[str, Quote]:
        """Return the latest quotes, by symbol; one without a price is absent."""
        with _map_errors(self.exchange):
            return self.exchange.quotes(symbols)

    def bars(self, symbols: Iterable[str], *, days: int) -> Mapping[str, Sequence[Bar]]:
        """Return up to `days` finished daily bars by symbol, oldest first."""
        with _map_errors(self.exchange):
            return self.exchange.bars(symbols, days=days)

    def market_clock(self) -> MarketClock:
        """Return the exchange's clock."""
        with _map_errors(self.exchange):
            return self.exchange.market_clock()

    def close(self) -> None:
        """Close the exchange's file."""
        self.exchange.close()


Row = TypeVar("Row", ForeignOrderState, ForeignPositionState)


def _sort(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Return the readable and the unreadable rows."""
    return [row for row in rows if not row.problem], [row for row in rows if row.problem]


@contextmanager
def _map_errors(exchange: SimulatedExchange) -> Iterator[None]:
    """Raise the port's errors in place of the exchange's."""
    try:
        yield
    except ExchangeRefusal as refusal:
        raise _map_refusal(refusal) from refusal
    except Outage as outage:
        unavailable = BrokerUnavailable if outage.http_status != 200 else UnreadableAnswer
        raise unavailable(str(outage)) from outage
    except SIGNS as error:
        damage = exchange.find_damage()
        if damage is None:
            raise
        raise Unanswerable(damage) from error


def _map_refusal(refusal: ExchangeRefusal) -> BrokerError:
    if refusal.http_status == 401:
        return NotAuthorized(refusal.message)
    if refusal.http_status == 404:
        return NotFound(refusal.message)
    return read_refusal(refusal.http_status, refusal.code, refusal.message, refusal.body)
