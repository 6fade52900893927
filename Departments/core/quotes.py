"""What a broker knows of symbols and of the market, as values: assets, quotes, daily bars, the clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from Departments.core.trading_calendar import is_open, next_close, next_open


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
    """The exchange's hours at `now` (UTC): is its regular session running, and when it opens and closes next."""

    now: datetime
    is_open: bool
    next_open: datetime
    next_close: datetime

    @classmethod
    def by_calendar(cls, moment: datetime) -> MarketClock:
        """Return the hours at `moment` by the calendar alone."""
        return cls(moment, is_open(moment), next_open(moment), next_close(moment))

    def is_open_at(self, moment: datetime) -> bool:
        """Tell whether the session is running at a moment after this clock's `now`."""
        if self.is_open and moment < self.next_close:
            return True
        return self.next_open <= moment < self.closes_after(self.next_open)

    def closes_after(self, moment: datetime) -> datetime:
        """Return the end of the session that is running at `moment`; of a later one by the calendar."""
        return self.next_close if moment < self.next_close else next_close(moment)
