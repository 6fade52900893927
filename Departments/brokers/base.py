"""The port to a broker, in the field's words.

Every method raises `BrokerUnavailable` if the outcome is unknown, `UnreadableAnswer` (a kind of it) for a senseless
answer, and `NotAuthorized` for refused credentials. `Refused` means that the broker certainly refused this very
request. One instance serves one thread.

A list is never all or nothing: it keeps foreign and unreadable rows beside the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Generic, Protocol, TypeVar, overload

from Departments.core.activities import Activity
from Departments.core.logs import make_logger
from Departments.core.orders import Order, OrderChange, OrderRequest, OrderScope, Side
from Departments.core.platform.clock import Clock
from Departments.core.portfolio import Account, Position
from Departments.core.quotes import Asset, Bar, MarketClock, Quote
from Departments.core.trading_calendar import trading_day

log = make_logger(__name__)
Own = TypeVar("Own")
Foreign = TypeVar("Foreign")


@dataclass(frozen=True, slots=True)
class ForeignOrder:
    """An order for an option, a spread or crypto. The desk counts it and never touches it.

    `kind` is the broker's word. `promised` is the most that its open part may cost in dollars, None if nobody knows.
    """

    id: str
    kind: str
    symbol: str
    promised: Decimal | None


@dataclass(frozen=True, slots=True)
class ForeignPosition:
    """A position in options or crypto; `market_value` in dollars, negative for a short one."""

    kind: str
    symbol: str
    market_value: Decimal | None


@dataclass(frozen=True, slots=True)
class UnreadableRow:
    """The readable part of a senseless row. `problem` is the reason."""

    id: str
    client_order_id: str
    symbol: str
    problem: str

    def is_order(self, client_order_id: str, order_id: str | None) -> bool:
        """Return whether the row is the order with our id or the broker's."""
        return self.client_order_id == client_order_id or bool(self.id and self.id == order_id)


class BrokerList(Sequence[Own], Generic[Own, Foreign]):
    """A sequence of our rows (shares), with the `foreign` and `unreadable` rows beside it.

    Orders for shares are ours whoever placed them: a person's own order counts too, and holds its shares.
    """

    def __init__(
        self, ours: Iterable[Own], foreign: Iterable[Foreign] = (), unreadable: Iterable[UnreadableRow] = ()
    ) -> None:
        self._ours = tuple(ours)
        self.foreign = tuple(foreign)
        self.unreadable = tuple(unreadable)

    def __iter__(self) -> Iterator[Own]:
        return iter(self._ours)

    def __len__(self) -> int:
        return len(self._ours)

    @overload
    def __getitem__(self, index: int) -> Own: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Own]: ...
    def __getitem__(self, index: int | slice) -> Own | Sequence[Own]:
        return self._ours[index]


class RowNames:
    """Names foreign and unreadable rows in the log, each once a day."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._named: set[tuple[date, str, str]] = set()

    def name(self, what: str, read: BrokerList[Own, Foreign]) -> BrokerList[Own, Foreign]:
        """Name the rows of a list and return it; `what` is one row, as "The order"."""
        for row in read.foreign:
            if self._is_new(what, name := _name_foreign(row)):
                log.info("%s %s at the broker is not the desk's; it is counted and never touched", what, name)
        self.name_unreadable(what, read.unreadable)
        return read

    def name_unreadable(self, what: str, rows: Iterable[UnreadableRow]) -> None:
        """Name unreadable rows by their id or symbol."""
        for row in rows:
            if self._is_new(what, name := row.id or row.symbol or "without a name"):
                log.warning("%s %s at the broker cannot be read (%s); it is left out", what, name, row.problem)

    def _is_new(self, what: str, name: str) -> bool:
        key = (trading_day(self._clock.now()), what, name)
        is_new = key not in self._named
        self._named.add(key)
        return is_new


def _name_foreign(row: object) -> str:
    """Return the kind of a foreign row with its id, or its symbol without one."""
    name = getattr(row, "id", "") or getattr(row, "symbol", "")
    return f"{name} ({kind})" if (kind := getattr(row, "kind", "")) else str(name)


Activities = BrokerList[Activity, Activity]
Orders = BrokerList[Order, ForeignOrder]
Positions = BrokerList[Position, ForeignPosition]


class Broker(Protocol):
    """The questions and orders of the desk to a broker."""

    name: str

    def account(self) -> Account:
        """Return cash, equity, buying power and gates."""
        ...

    def positions(self) -> Positions:
        """Return every open position."""
        ...

    def position(self, symbol: str) -> Position | None:
        """Return the open position in a symbol, or None."""
        ...

    def fees(self, since: datetime) -> Decimal:
        """Return the trading fees booked since a moment, in dollars."""
        ...

    def activities(self, since: datetime) -> Activities:
        """Return the bookings on the account since a moment, oldest first.

        Those of options and crypto are `foreign`. A broker may book a fee or a dividend a day late.
        """
        ...

    def announcements(self, symbols: Iterable[str], since: date) -> Sequence[Activity]:
        """Return the splits and new symbols announced for some symbols, effective since a day, none of the future.

        Each has the shape of an activity without cash and shares. A symbol may be the old or the new one. Raises
        Refused where the broker has no such list.
        """
        ...

    def submit(self, request: OrderRequest) -> Order:
        """Submit one order, once, without any retry.

        Raises Refused if the broker refused it. Raises BrokerUnavailable if its fate is unknown: look it up by its
        client order id, never send it blindly again.
        """
        ...

    def replace(self, order_id: str, change: OrderChange) -> Order:
        """Give a live order new terms, once, without any retry. Return the order that takes its place.

        The old order stays live until it is `replaced`; if it fills first, the new one is rejected. Raises NotFound,
        Refused if the broker refused it, and BrokerUnavailable if its fate is unknown: look up the new client order
        id, or the old order's `replaced_by`.
        """
        ...

    def order(self, order_id: str) -> Order:
        """Return an order with its legs by the broker's id. Raises NotFound."""
        ...

    def order_by_client_id(self, client_order_id: str) -> Order:
        """Return an order with its legs by our id. Raises NotFound."""
        ...

    def orders(
        self,
        scope: OrderScope = "open",
        *,
        symbols: Iterable[str] = (),
        after: datetime | None = None,
        side: Side | None = None,
    ) -> Orders:
        """Return orders, oldest first, legs nested in their parents.

        `open` does not list held legs: a missing open order is no proof of a fill.
        """
        ...

    def cancel(self, order_id: str) -> None:
        """Request a cancel; the confirmation comes later. Raises NotFound, and Refused if it is too late."""
        ...

    def assets(self, symbols: Iterable[str]) -> Mapping[str, Asset]:
        """Return the facts of symbols, without the unknown ones."""
        ...

    def quotes(self, symbols: Iterable[str]) -> Mapping[str, Quote]:
        """Return the latest quotes, by symbol; one without data is absent."""
        ...

    def bars(self, symbols: Iterable[str], *, days: int) -> Mapping[str, Sequence[Bar]]:
        """Return up to `days` daily bars by symbol, oldest first; one without any is absent."""
        ...

    def market_clock(self) -> MarketClock:
        """Return the broker's clock."""
        ...
