"""A broker's market data as values: assets, quotes, daily bars, trading hours. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from Departments.core.orders import Side
from Departments.core.trading_calendar import is_open, next_close, next_open


@dataclass(frozen=True, slots=True)
class Asset:
    """A broker's data on a symbol, None if it has none. Volume in shares a day, market_cap in dollars.

    `id` is the broker's own; it stays when the symbol changes.
    """

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
    id: str = ""


@dataclass(frozen=True, slots=True)
class Quote:
    """The latest known prices of a symbol in dollars, and their times (UTC).

    `price` is the last trade, `at` its time; else the middle of bid and ask. `quoted_at` is the time of bid and ask,
    None for the same as `at`.
    """

    symbol: str
    price: Decimal
    at: datetime
    bid: Decimal | None = None
    ask: Decimal | None = None
    quoted_at: datetime | None = None

    @property
    def is_two_sided(self) -> bool:
        """Return whether there are a bid and an ask in the right order."""
        return self.bid is not None and self.ask is not None and 0 < self.bid <= self.ask

    @property
    def known_at(self) -> datetime:
        """Return the time of the newest price."""
        return max(self.at, self.quoted_at) if self.quoted_at and self.is_two_sided else self.at

    @property
    def value(self) -> Decimal:
        """Return the last trade, moved between bid and ask if these are newer."""
        if self.bid is None or self.ask is None or not self.is_two_sided or (self.quoted_at or self.at) < self.at:
            return self.price
        return min(max(self.price, self.bid), self.ask)

    def is_fresh(self, since: datetime) -> bool:
        """Return whether bid and ask were quoted `since` a moment."""
        return self.is_two_sided and (self.quoted_at or self.at) >= since


def find_side_price(
    side: Side, value: Decimal | None, bid: Decimal | None, ask: Decimal | None, *, fresh: bool
) -> Decimal | None:
    """Return the price of a side: a BUY pays the fresh ask, a SELL gets the fresh bid; else the `value`."""
    quoted = ask if side is Side.BUY else bid
    return quoted if fresh and quoted is not None else value


@dataclass(frozen=True, slots=True)
class Bar:
    """The prices (dollars) and the volume (shares) of one day."""

    symbol: str
    day: date
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


@dataclass(frozen=True, slots=True)
class MarketClock:
    """The exchange's hours at `now` (UTC): open or not, next open, next close."""

    now: datetime
    is_open: bool
    next_open: datetime
    next_close: datetime

    @classmethod
    def by_calendar(cls, moment: datetime) -> MarketClock:
        """Return the hours at `moment` by the calendar alone."""
        return cls(moment, is_open(moment), next_open(moment), next_close(moment))

    def is_open_at(self, moment: datetime) -> bool:
        """Return whether the session runs at a moment after this clock's `now`."""
        if self.is_open and moment < self.next_close:
            return True
        return self.next_open <= moment < self.closes_after(self.next_open)

    def closes_after(self, moment: datetime) -> datetime:
        """Return the close of the session at `moment`; for later sessions, the calendar's."""
        return self.next_close if moment < self.next_close else next_close(moment)
