"""Waiting for a broker that does not answer, but not for ever."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from Departments.brokers.base import Broker, Orders, Positions
from Departments.core.clock import Clock
from Departments.core.errors import BrokerUnavailable, UnreadableAnswer
from Departments.core.orders import Order, OrderRequest, OrderScope, Side
from Departments.core.portfolio import Account, Position
from Departments.core.quotes import Asset, Bar, MarketClock, Quote

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")

UNREADABLE_TRIES = 3  # half an answer may have been cut on its way; one that makes no sense stays as it is


def patiently(ask: Callable[[], Answer], clock: Clock, *, seconds: float, pause: float = 1.0) -> Answer:
    """Ask again and again, `pause` seconds apart, for up to `seconds`. Raises BrokerUnavailable in the end.

    An answer that cannot be read is asked for three times in all. Only for questions: an order is never sent here.
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
            log.warning("%s, trying again (%s)", _trouble(error), error)
            clock.sleep(pause)


def _trouble(error: BrokerUnavailable) -> str:
    unreadable = isinstance(error, UnreadableAnswer)
    return "The broker's answer cannot be read" if unreadable else "The broker does not answer"


class PatientBroker:
    """A broker whose every question is asked patiently, for those who plan and judge; orders pass through as they are.

    Trading does without it: between two looks at its orders it has other work to do.
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
        """Ask for a cancel, once."""
        self._broker.cancel(order_id)

    def account(self) -> Account:
        """Return cash, equity, buying power and gates."""
        return self._patiently(self._broker.account)

    def positions(self) -> Positions:
        """Return every open position."""
        return self._patiently(self._broker.positions)

    def position(self, symbol: str) -> Position | None:
        """Return the open position in a symbol, None where there is none."""
        return self._patiently(lambda: self._broker.position(symbol))

    def fees(self, since: datetime) -> Decimal:
        """Return what was charged for trading since a moment."""
        return self._patiently(lambda: self._broker.fees(since))

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
        return patiently(ask, self._clock, seconds=self._seconds)
