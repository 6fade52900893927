"""The market's side of the exchange: prices, halts, quotes and daily bars, at any moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from Departments.brokers.base import Bar, Quote
from Departments.brokers.simulated.book import Book
from Departments.brokers.simulated.matching import Terms, touch
from Departments.brokers.simulated.prices import Prices, prices_of
from Departments.brokers.simulated.state import ExchangeState, RecordedBar
from Departments.core.money import ONE
from Departments.core.orders import Side
from Departments.core.trading_calendar import is_trading_day, session, trading_day

_MOMENT: Final = timedelta(microseconds=1)


class Market:
    """Answers what a symbol costs; a price set from outside wins over the state's own."""

    def __init__(self, state: ExchangeState, book: Book, started_at: datetime) -> None:
        self._state = state
        self._book = book
        self.started_at = started_at
        self._prices: Prices = prices_of(state, started_at)
        self.terms = Terms(state.spread, state.slippage, state.collar)

    def price(self, symbol: str, at: datetime) -> Decimal | None:
        """Return the price at a moment, None where nobody knows one."""
        own = self._book.price_set(symbol, at)
        return self._prices.at(symbol, at) if own is None else own

    def prices(self, symbols: Iterable[str], at: datetime) -> dict[str, Decimal | None]:
        """Return the prices of symbols at a moment, None where nobody knows one."""
        own = self._book.prices_set(at)
        return {s: own[s] if s in own else self._prices.at(s, at) for s in symbols}

    def next_change(self, at: datetime) -> datetime | None:
        """Return when prices may change next by themselves."""
        return self._prices.next_change(at)

    def halted(self, symbol: str, at: datetime) -> tuple[bool, datetime | None]:
        """Tell whether trading in a symbol rests, and until when where that is known."""
        return self._book.halted(symbol, at)

    def quote(self, symbol: str, at: datetime) -> Quote | None:
        """Return the quote of a moment, None where there is no price."""
        price = self.price(symbol, at)
        if price is None:
            return None
        bid, ask = touch(price, Side.SELL, self.terms), touch(price, Side.BUY, self.terms)
        return Quote(symbol, price, at, bid=bid, ask=ask)

    def bars(self, symbol: str, *, before: datetime, days: int) -> Sequence[Bar]:
        """Return up to `days` finished daily bars, oldest first.

        Recorded bars as they are; else, where the state gives a daily volume, the days as this exchange had
        them. A symbol with neither has no bars: a volume is never made up.
        """
        if recorded := self._state.bars.get(symbol):
            ended = [_bar(symbol, b) for b in sorted(recorded, key=lambda b: b.day) if _has_closed(b.day, before)]
            return ended[-days:] if days > 0 else []
        volume = self._state.volume(symbol)
        if volume is None or self.price(symbol, before) is None:
            return []
        ended_days = [day for day, _ in zip(_days_back(before), range(days), strict=False)]
        return [self._day(symbol, day, volume) for day in reversed(ended_days)]

    def _day(self, symbol: str, day: date, volume: Decimal) -> Bar:
        opens, closes = session(day)
        first = self.price(symbol, opens) or ONE
        last = self.price(symbol, closes - _MOMENT) or first
        return Bar(symbol, day, first, max(first, last), min(first, last), last, volume)


def _days_back(moment: datetime) -> Iterator[date]:
    day = trading_day(moment)
    while True:
        if is_trading_day(day) and _has_closed(day, moment):
            yield day
        day -= timedelta(days=1)


def _has_closed(day: date, moment: datetime) -> bool:
    return day < trading_day(moment) or (is_trading_day(day) and session(day)[1] <= moment)


def _bar(symbol: str, bar: RecordedBar) -> Bar:
    return Bar(symbol, bar.day, bar.open, bar.high, bar.low, bar.close, bar.volume)
