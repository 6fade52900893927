"""What a broker knows of symbols and of the market, as values: assets, quotes, daily bars, the clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal


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
