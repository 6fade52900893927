"""The port to a broker, in the field's words.

Every method raises `BrokerUnavailable` without an answer or with one that leaves open what happened, its kind
`UnreadableAnswer` for an answer that makes no sense, and `NotAuthorized` for refused credentials. `Refused` is raised
only when the broker certainly refused this very request. One instance serves one thread.

A list is never all or nothing: a row that the desk cannot trade or cannot read is kept beside the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Generic, Protocol, TypeVar, overload

from Departments.core.orders import Order, OrderRequest, OrderScope, Side
from Departments.core.portfolio import Account, Position
from Departments.core.quotes import Asset, Bar, MarketClock, Quote

Own = TypeVar("Own")
Foreign = TypeVar("Foreign")


@dataclass(frozen=True, slots=True)
class ForeignOrder:
    """An order that this desk does not trade: an option, a spread, crypto. It is counted and never touched.

    `kind` is the broker's word. `promised` is the dollars that its open part will take, None where no price is known.
    """

    id: str
    kind: str
    symbol: str
    promised: Decimal | None


@dataclass(frozen=True, slots=True)
class ForeignPosition:
    """A position that this desk does not trade; `market_value` in dollars, negative for a short one."""

    kind: str
    symbol: str
    market_value: Decimal | None


@dataclass(frozen=True, slots=True)
class UnreadableRow:
    """A row without sense, as far as it can be read. `problem` is the reason."""

    id: str
    client_order_id: str
    symbol: str
    problem: str

    def is_order(self, client_order_id: str, order_id: str | None) -> bool:
        """Return whether the row is the order with these ids, ours and the broker's."""
        return self.client_order_id == client_order_id or bool(self.id and self.id == order_id)


class BrokerList(Sequence[Own], Generic[Own, Foreign]):
    """A broker's list: a sequence of what the desk trades (shares), with the `foreign` and `unreadable` rows beside.

    Shares are ours to read whoever ordered them: a person's own order counts, and locks what it holds.
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


Orders = BrokerList[Order, ForeignOrder]
Positions = BrokerList[Position, ForeignPosition]


class Broker(Protocol):
    """What the desk asks of a broker."""

    name: str

    def account(self) -> Account:
        """Return cash, equity, buying power and gates."""
        ...

    def positions(self) -> Positions:
        """Return every open position."""
        ...

    def position(self, symbol: str) -> Position | None:
        """Return the open position in a symbol, None where there is none."""
        ...

    def fees(self, since: datetime) -> Decimal:
        """Return the dollars that the account was charged for trading since a moment, as far as they are booked."""
        ...

    def submit(self, request: OrderRequest) -> Order:
        """Submit one order, once: no retry happens below this call.

        Raises Refused when the broker refused it; BrokerUnavailable when it is unknown whether it was
        accepted (look it up by its client order id, never send blindly again).
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
        """Return orders, oldest first, legs nested in their parents; of both sides or of one.

        `open` does not list held legs: a missing open order is no proof of a fill.
        """
        ...

    def cancel(self, order_id: str) -> None:
        """Ask for a cancel; it is a request, not a confirmation. Raises Refused when it is too late, NotFound."""
        ...

    def assets(self, symbols: Iterable[str]) -> Mapping[str, Asset]:
        """Return the facts of symbols; an unknown one is absent."""
        ...

    def quotes(self, symbols: Iterable[str]) -> Mapping[str, Quote]:
        """Return the latest quotes; a symbol without data is absent."""
        ...

    def bars(self, symbols: Iterable[str], *, days: int) -> Mapping[str, Sequence[Bar]]:
        """Return up to `days` daily bars of each symbol, oldest first; a symbol without any is absent."""
        ...

    def market_clock(self) -> MarketClock:
        """Return the broker's clock."""
        ...
