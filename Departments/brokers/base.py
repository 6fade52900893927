"""The port to a broker, in the field's words.

Every method raises `BrokerUnavailable` when there is no answer or none that tells what happened, and
`NotAuthorized` for refused credentials. `OrderRefused` is raised only when the broker certainly refused this very
request. One instance serves one thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal, Protocol

from Departments.core.orders import Order, OrderRequest, Side
from Departments.core.portfolio import Account, Position

OrderScope = Literal["open", "closed", "all"]


@dataclass(frozen=True, slots=True)
class Asset:
    """What the broker says of a symbol; None where it does not tell. Volume in shares a day, market_cap in dollars."""

    symbol: str
    tradable: bool
    active: bool
    fractionable: bool = False
    name: str = ""
    halted: bool | None = None
    sector: str | None = None
    average_volume: Decimal | None = None
    market_cap: Decimal | None = None
    earnings_on: date | None = None


@dataclass(frozen=True, slots=True)
class Quote:
    """The latest known prices of a symbol, in dollars, and when they were made (UTC).

    `price` is the last trade or, where only bid and ask are known, their middle.
    """

    symbol: str
    price: Decimal
    at: datetime
    bid: Decimal | None = None
    ask: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Bar:
    """One day's prices (dollars) and volume (shares)."""

    symbol: str
    day: date
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


@dataclass(frozen=True, slots=True)
class MarketClock:
    """The broker's own clock."""

    now: datetime
    is_open: bool
    next_open: datetime
    next_close: datetime


class Broker(Protocol):
    """What the desk asks of a broker."""

    name: str

    def account(self) -> Account:
        """Return cash, equity, buying power and gates."""
        ...

    def positions(self) -> Sequence[Position]:
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

        Raises OrderRefused when the broker refused it; BrokerUnavailable when it is unknown whether it was
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
    ) -> Sequence[Order]:
        """Return orders, oldest first, legs nested in their parents; of both sides or of one.

        As at Alpaca, `open` does not list held legs: a missing open order is no proof of a fill.
        """
        ...

    def cancel(self, order_id: str) -> None:
        """Ask for a cancel; it is a request, not a confirmation. Raises OrderRefused when it is too late, NotFound."""
        ...

    def assets(self, symbols: Iterable[str]) -> Mapping[str, Asset]:
        """Return what the broker says of symbols; one it does not know is absent."""
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
