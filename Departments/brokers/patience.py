"""Wait for a silent broker, but not for ever."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final, TypeVar

from Departments.brokers.base import Activities, Broker, BrokerList, Orders, Positions
from Departments.core.activities import Activity
from Departments.core.errors import BrokerError, BrokerUnavailable, Unanswerable, UnreadableAnswer
from Departments.core.logs import SparseLine, make_logger
from Departments.core.orders import Order, OrderChange, OrderRequest, OrderScope, Side
from Departments.core.platform.clock import Clock
from Departments.core.portfolio import Account, Position
from Departments.core.quotes import Asset, Bar, MarketClock, Quote

log = make_logger(__name__)
Answer = TypeVar("Answer")

LONGEST_WAIT: Final = 60.0  # seconds; a broker that asks for more is asked again then
FEEL_EVERY: Final = timedelta(seconds=5)
UNREADABLE_TRIES = 3  # a truncated answer may be whole the next time; a senseless one stays senseless


def ask_patiently(ask: Callable[[], Answer], clock: Clock, *, seconds: float, pause: float = 1.0) -> Answer:
    """Repeat a question every `pause` seconds, for up to `seconds`. Raises BrokerUnavailable after that.

    A broker that names a wait gets it, up to LONGEST_WAIT. It asks three times at most for an unreadable answer, and
    once where the broker refuses to answer. Only for questions: never send an order through here.
    """
    give_up = clock.now() + timedelta(seconds=seconds)
    unreadable, line = 0, SparseLine(log, logging.WARNING)
    while True:
        try:
            return ask()
        except BrokerUnavailable as error:
            unreadable += isinstance(error, UnreadableAnswer)
            is_vain = unreadable >= UNREADABLE_TRIES or isinstance(error, Unanswerable)
            if clock.now() >= give_up or is_vain:
                raise
            give_up = min(give_up, clock.now() + timedelta(seconds=seconds))  # the clock may have been set back
            line.say(clock.now(), str(error), f"{name_trouble(error)}, trying again ({error})")
            clock.sleep(max(pause, min(error.wait or 0, LONGEST_WAIT)))


def name_trouble(error: BrokerUnavailable) -> str:
    """Return whether the broker is silent or its answer makes no sense, in words."""
    unreadable = isinstance(error, UnreadableAnswer)
    return "The broker's answer cannot be read" if unreadable else "The broker does not answer"


class Silence:
    """The broker's time without an answer: from the first request that failed to the next that did not.

    Deadlines of phases do not run down meanwhile: nobody could send, fill or cancel.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since: datetime | None = None
        self._began: datetime | None = None
        self._untaken = timedelta()
        self._felt: datetime | None = None

    def note(self, asked_at: datetime, *, failed: bool) -> None:
        """Note that a request sent at a moment was answered, or failed."""
        if failed and self._since is None:
            self._since = self._began = asked_at
        elif not failed and self._since is not None:
            self._untaken += max(timedelta(), self._clock.now() - self._since)
            self._since = self._began = None

    def feel(self, ask: Callable[[], object]) -> None:
        """Ask the broker through `TimedBroker`, every few seconds at most: somebody else has the other questions."""
        now = self._clock.now()
        if self._felt is None or not timedelta() <= now - self._felt < FEEL_EVERY:
            self._felt = now
            with suppress(BrokerUnavailable):
                ask()

    def take(self) -> timedelta:
        """Return the silence since the last call."""
        now, taken = self._clock.now(), self._untaken
        if self._since is not None:
            taken, self._since = taken + max(timedelta(), now - self._since), now
        self._untaken = timedelta()
        return taken

    def length(self) -> timedelta:
        """Return how long the broker has been silent by now, nothing if its last answer came."""
        return timedelta() if self._began is None else self._clock.now() - self._began


class _Relay:
    """A broker behind a broker. Subclasses say how a question is asked and how something is done."""

    def __init__(self, broker: Broker) -> None:
        self.name = broker.name
        self._broker = broker

    def _patiently(self, ask: Callable[[], Answer]) -> Answer:
        return ask()

    def _once(self, do: Callable[[], Answer]) -> Answer:
        return do()

    def submit(self, request: OrderRequest) -> Order:
        """Submit one order, once."""
        return self._once(lambda: self._broker.submit(request))

    def cancel(self, order_id: str) -> None:
        """Request a cancel, once."""
        self._once(lambda: self._broker.cancel(order_id))

    def replace(self, order_id: str, change: OrderChange) -> Order:
        """Give a live order new terms, once."""
        return self._once(lambda: self._broker.replace(order_id, change))

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
        """Return the bookings on the account since a moment."""
        return self._patiently(lambda: self._broker.activities(since))

    def announcements(self, symbols: Iterable[str], since: date) -> Sequence[Activity]:
        """Return the splits and new symbols announced for some symbols."""
        wanted = tuple(symbols)
        return self._patiently(lambda: self._broker.announcements(wanted, since))

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


class PatientBroker(_Relay):
    """A broker for planning and judging: it repeats questions, but never an order or a cancel.

    Trading does without it: it has other work to do between two looks at its orders.
    """

    def __init__(self, broker: Broker, clock: Clock, *, seconds: float) -> None:
        super().__init__(broker)
        self._clock = clock
        self._seconds = seconds

    def _patiently(self, ask: Callable[[], Answer]) -> Answer:
        return ask_patiently(ask, self._clock, seconds=self._seconds)


class TimedBroker(_Relay):
    """A broker whose silence is measured, and whose orders have the times of our clock.

    `ahead` is how far the broker's clock is known to be ahead: what fills in a run would else be before or after it.
    """

    def __init__(self, broker: Broker, clock: Clock, silence: Silence, ahead: Callable[[], timedelta]) -> None:
        super().__init__(broker)
        self._clock = clock
        self._silence = silence
        self._ahead = ahead

    def submit(self, request: OrderRequest) -> Order:
        """Submit one order, once."""
        return self._in_our_time(super().submit(request))

    def replace(self, order_id: str, change: OrderChange) -> Order:
        """Give a live order new terms, once."""
        return self._in_our_time(super().replace(order_id, change))

    def order(self, order_id: str) -> Order:
        """Return an order by the broker's id. Raises NotFound."""
        return self._in_our_time(super().order(order_id))

    def order_by_client_id(self, client_order_id: str) -> Order:
        """Return an order by our id. Raises NotFound."""
        return self._in_our_time(super().order_by_client_id(client_order_id))

    def orders(
        self,
        scope: OrderScope = "open",
        *,
        symbols: Iterable[str] = (),
        after: datetime | None = None,
        side: Side | None = None,
    ) -> Orders:
        """Return orders, oldest first."""
        found = super().orders(scope, symbols=symbols, after=after, side=side)
        return BrokerList(map(self._in_our_time, found), found.foreign, found.unreadable) if self._ahead() else found

    def _in_our_time(self, order: Order) -> Order:
        ahead = self._ahead()
        return order.shift_times(-ahead) if ahead else order

    def _patiently(self, ask: Callable[[], Answer]) -> Answer:
        return self._once(ask)

    def _once(self, do: Callable[[], Answer]) -> Answer:
        """Do it and note whether the broker answered. A refusal is an answer, an unreadable row too."""
        asked_at = self._clock.now()
        try:
            answer = do()
        except BrokerUnavailable as error:
            self._silence.note(asked_at, failed=not isinstance(error, UnreadableAnswer | Unanswerable))
            raise
        except BrokerError:
            self._silence.note(asked_at, failed=False)
            raise
        self._silence.note(asked_at, failed=False)
        return answer
