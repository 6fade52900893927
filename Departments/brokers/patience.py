"""Wait for a silent broker, but not for ever."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from Departments.brokers.base import Activities, Broker, Orders, Positions
from Departments.core.errors import BrokerUnavailable, UnreadableAnswer
from Departments.core.logs import make_logger
from Departments.core.orders import Order, OrderChange, OrderRequest, OrderScope, Side
from Departments.core.platform.clock import Clock
from Departments.core.portfolio import Account, Position
from Departments.core.quotes import Asset, Bar, MarketClock, Quote

log = make_logger(__name__)
Answer = TypeVar("Answer")

UNREADABLE_TRIES = 3  # a truncated answer may be whole the next time; a senseless one stays senseless


def ask_patiently(ask: Callable[[], Answer], clock: Clock, *, seconds: float, pause: float = 1.0) -> Answer:
    """Repeat a question every `pause` seconds, for up to `seconds`. Raises BrokerUnavailable after that.

    It asks three times at most for an unreadable answer. Only for questions: never send an order through here.
    """
    give_up = clock.now() + timedelta(seconds=seconds)
    unreadable = 0
    while True:
        try:
            return ask()
        except BrokerUnavailable as error:
            unreadable += isinstance(error, UnreadableAnswer)
            if clock.now() >= give_up or unreadable >= UNREADABLE_TRIES:
                raise
            give_up = min(give_up, clock.now() + timedelta(seconds=seconds))  # the clock may have been set back
            log.warning("%s, trying again (%s)", _name_trouble(error), error)
            clock.sleep(pause)


def _name_trouble(error: BrokerUnavailable) -> str:
    unreadable = isinstance(error, UnreadableAnswer)
    return "The broker's answer cannot be read" if unreadable else "The broker does not answer"


class PatientBroker:
    """A broker for planning and judging: it repeats questions, but never an order or a cancel.

    Trading does without it: it has other work to do between two looks at its orders.
    """

    def __init__(self, broker: Broker, clock: Clock, *, seconds: float) -> None:
        self.name = broker.name
        self._broker = broker
        self._clock = clock
        self._seconds = seconds

    def submit(self, request: OrderRequest) -> Order:
        """Submit one order, once."""
        return self._broker.submit(request)

    def cancel(self, order_id: str) -> None:
        """Request a cancel, once."""
        self._broker.cancel(order_id)

    def replace(self, order_id: str, change: OrderChange) -> Order:
        """Give a live order new terms, once."""
        return self._broker.replace(order_id, change)

    def account(self) -> Account:
        """Return cash, equity, buying power and gates."""
        return self._patiently(self._broker.account)

    def positions(self) -> Positions:
        """Return every open position."""
        return self._patiently(self._broker.positions)

    def position(self, symbol: str) -> Position | None:
        """Return the open position in a symbol, or None."""
        return self._patiently(lambda: self._broker.position(symbol))

    def fees(self, since: datetime) -> Decimal:
        """Return the trading fees booked since a moment, in dollars."""
        return self._patiently(lambda: self._broker.fees(since))

    def activities(self, since: datetime) -> Activities:
        """Return what was booked on the account since a moment."""
        return self._patiently(lambda: self._broker.activities(since))

    def order(self, order_id: str) -> Order:
        """Return an order by the broker's id. Raises NotFound."""
        return self._patiently(lambda: self._broker.order(order_id))

    def order_by_client_id(self, client_order_id: str) -> Order:
        """Return an order by our id. Raises NotFound."""
        return self._patiently(lambda: self._broker.order_by_client_id(client_order_id))

    def orders(
        self,
        scope: OrderScope = "open",
        *,
        symbols: Iterable[str] = (),
        after: datetime | None = None,
        side: Side | None = None,
    ) -> Orders:
        """Return orders, oldest first."""
        wanted = tuple(symbols)
        return self._patiently(lambda: self._broker.orders(scope, symbols=wanted, after=after, side=side))

    def assets(self, symbols: Iterable[str]) -> Mapping[str, Asset]:
        """Return the facts of symbols."""
        wanted = tuple(symbols)
        return self._patiently(lambda: self._broker.assets(wanted))

    def quotes(self, symbols: Iterable[str]) -> Mapping[str, Quote]:
        """Return the latest quotes."""
        wanted = tuple(symbols)
        return self._patiently(lambda: self._broker.quotes(wanted))

    def bars(self, symbols: Iterable[str], *, days: int) -> Mapping[str, Sequence[Bar]]:
        """Return daily bars."""
        wanted = tuple(symbols)
        return self._patiently(lambda: self._broker.bars(wanted, days=days))

    def market_clock(self) -> MarketClock:
        """Return the broker's clock."""
        return self._patiently(self._broker.market_clock)

    def _patiently(self, ask: Callable[[], Answer]) -> Answer:
        return ask_patiently(ask, self._clock, seconds=self._seconds)
