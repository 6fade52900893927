"""The port to a broker, in the field's words.

Every method raises `BrokerUnavailable` when there is no answer or none that tells what happened, and
`NotAuthorized` for refused credentials. `Refused` is raised only when the broker certainly refused this very
request. One instance serves one thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from Departments.core.orders import Order, OrderRequest, OrderScope, Side
from Departments.core.portfolio import Account, Position
from Departments.core.quotes import Asset, Bar, MarketClock, Quote


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
    ) -> Sequence[Order]:
        """Return orders, oldest first, legs nested in their parents; of both sides or of one.

        As at Alpaca, `open` does not list held legs: a missing open order is no proof of a fill.
        """
        ...

    def cancel(self, order_id: str) -> None:
        """Ask for a cancel; it is a request, not a confirmation. Raises Refused when it is too late, NotFound."""
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
