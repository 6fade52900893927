"""Prices: constant, a random walk, or recorded bars; with bid and ask, halts and daily bars.

Every price is a pure function of symbol and moment: replays and restarts see the same ones.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from statistics import NormalDist
from typing import Final, Protocol

from Departments.core.money import ONE, on_tick, price_tick
from Departments.core.orders import Side
from Departments.core.quotes import Bar, Quote
from Departments.core.trading_calendar import is_open, is_trading_day, next_open, session, trading_day
from Departments.exchange.book import ExchangeBook
from Departments.exchange.state import ExchangeState, RecordedBar, Walk

_DEPTH: Final = 24  # 2^24 ticks: 31 years of minutes
_MINUTE: Final = timedelta(minutes=1)


class Prices(Protocol):
    """Prices in dollars, by symbol and moment."""

    def at(self, symbol: str, moment: datetime) -> Decimal | None:
        """Return the price at a moment, or None."""
        ...

    def next_change(self, moment: datetime) -> datetime | None:
        """Return the next change of prices after a moment, None for constant prices."""
        ...


def draw_chance(seed: int, *parts: object) -> float:
    """Return a number in (0, 1), the same for equal seed and parts."""
    digest = hashlib.sha256("\x1f".join(map(str, (seed, *parts))).encode()).digest()
    return (int.from_bytes(digest[:6], "big") + 0.5) / 2**48


def round_to_tick(price: Decimal) -> Decimal:
    """Round a price to its smallest step, and up to one step at least."""
    return max(on_tick(price), price_tick(price))


class StaticPrices:
    """Constant prices."""

    def __init__(self, state: ExchangeState) -> None:
        self._stated = {symbol: state.start_price(symbol) for symbol in state.symbols}

    def at(self, symbol: str, moment: datetime) -> Decimal | None:  # noqa: ARG002 - the port's shape
        """Return the stated price."""
        return self._stated.get(symbol)

    def next_change(self, moment: datetime) -> datetime | None:  # noqa: ARG002 - the port's shape
        """Return None: prices never change by themselves."""
        return None


class WalkingPrices:
    """A geometric random walk from the stated prices. Bisection makes every moment cost the same."""

    def __init__(self, state: ExchangeState, started_at: datetime) -> None:
        self._state = state
        self._walk: Walk = state.walk
        self._started_at = started_at
        self._interval = timedelta(seconds=state.walk.interval)
        self._gauss = lru_cache(maxsize=65_536)(self._draw)

    def at(self, symbol: str, moment: datetime) -> Decimal | None:
        """Return the walk's price at the tick at or before a moment."""
        start = self._state.start_price(symbol)
        tick = max(0, (moment - self._started_at) // self._interval)
        if start is None or tick == 0:
            return start
        path = float(self._walk.drift) * tick + float(self._walk.volatility) * self._brownian(symbol, tick)
        return round_to_tick(start * Decimal(math.exp(path)))

    def next_change(self, moment: datetime) -> datetime | None:
        """Return the next tick while the exchange is open."""
        tick = max(0, (moment - self._started_at) // self._interval) + 1
        return _in_session(self._started_at + tick * self._interval)

    def _brownian(self, symbol: str, tick: int) -> float:
        low, high = 0, 2**_DEPTH
        left, right = 0.0, math.sqrt(high) * self._gauss(symbol, high, high)
        while low < tick < high:
            middle = (low + high) // 2
            value = (left + right) / 2 + math.sqrt(high - low) / 2 * self._gauss(symbol, low, high)
            if tick < middle:
                high, right = middle, value
            else:
                low, left = middle, value
        return left if tick == low else right

    def _draw(self, *parts: object) -> float:
        return NormalDist().inv_cdf(draw_chance(self._state.seed, "walk", *parts))


class RecordedPrices:
    """Prices along recorded daily bars: open, then low and high (or high and low), then close.

    A day with a close above its open has its low first. Outside a session, and on days without a bar, the last
    recorded price counts; a symbol without bars keeps its stated price.
    """

    def __init__(self, state: ExchangeState) -> None:
        self._state = state
        self._bars: Mapping[str, dict[date, RecordedBar]] = {
            symbol: {bar.day: bar for bar in sorted(bars, key=lambda b: b.day)} for symbol, bars in state.bars.items()
        }

    def at(self, symbol: str, moment: datetime) -> Decimal | None:
        """Return the recorded price at the minute at or before a moment."""
        today = trading_day(moment)
        bar = self._bars.get(symbol, {}).get(today)
        if bar is not None and moment >= session(today)[0]:
            return round_to_tick(_interpolate(bar, moment))
        earlier = [b for day, b in self._bars.get(symbol, {}).items() if day < today]
        return earlier[-1].close if earlier else self._state.start_price(symbol) or (bar.open if bar else None)

    def next_change(self, moment: datetime) -> datetime | None:
        """Return the next minute while the exchange is open."""
        return _in_session(moment.replace(second=0, microsecond=0) + _MINUTE)


def _in_session(moment: datetime) -> datetime:
    return moment if is_open(moment) else next_open(moment)


def _interpolate(bar: RecordedBar, moment: datetime) -> Decimal:
    opens, closes = session(bar.day)
    minutes = min(moment, closes).replace(second=0, microsecond=0) - opens
    way = Decimal(minutes / (closes - opens)) * 3
    turns = (bar.low, bar.high) if bar.close >= bar.open else (bar.high, bar.low)
    points = (bar.open, *turns, bar.close, bar.close)
    leg = min(int(way), 3)
    return points[leg] + (points[leg + 1] - points[leg]) * (way - leg)


def choose_prices(state: ExchangeState, started_at: datetime) -> Prices:
    """Return the prices of the state's price_mode."""
    if state.price_mode == "walk":
        return WalkingPrices(state, started_at)
    return RecordedPrices(state) if state.price_mode == "bars" else StaticPrices(state)


_MOMENT: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Terms:
    """The distances of trades from the last price, as parts of the price."""

    spread: Decimal
    slippage: Decimal
    collar: Decimal


def find_touch(price: Decimal, side: Side, terms: Terms) -> Decimal:
    """Return the price on the other side: the ask for a BUY, the bid for a SELL."""
    return round_to_tick(price * (ONE + sign(side) * terms.spread / 2))


def find_collar(price: Decimal, side: Side, terms: Terms) -> Decimal:
    """Return the worst price of a market order."""
    return round_to_tick(price * (ONE + sign(side) * terms.collar))


def sign(side: Side) -> int:
    """Return 1 for a BUY, −1 for a SELL."""
    return 1 if side is Side.BUY else -1


class Market:
    """Prices, quotes and bars by symbol. A price set from outside wins over the state's own."""

    def __init__(self, state: ExchangeState, book: ExchangeBook, started_at: datetime) -> None:
        self._state = state
        self._book = book
        self.started_at = started_at
        self._prices: Prices = choose_prices(state, started_at)
        self.terms = Terms(state.spread, state.slippage, state.collar)

    def price(self, symbol: str, at: datetime) -> Decimal | None:
        """Return the price at a moment, or None."""
        own = self._book.find_set_price(symbol, at)
        return self._prices.at(symbol, at) if own is None else own

    def prices(self, symbols: Iterable[str], at: datetime) -> dict[str, Decimal | None]:
        """Return the prices of symbols at a moment, None for unknown ones."""
        own = self._book.list_set_prices(at)
        return {s: own[s] if s in own else self._prices.at(s, at) for s in symbols}

    def next_change(self, at: datetime) -> datetime | None:
        """Return the next change of prices by themselves."""
        return self._prices.next_change(at)

    def find_halt(self, symbol: str, at: datetime) -> tuple[bool, datetime | None]:
        """Return whether a symbol is halted, and until when (None: unknown)."""
        return self._book.find_halt(symbol, at)

    def quote(self, symbol: str, at: datetime) -> Quote | None:
        """Return the quote of a moment, None without a price."""
        price = self.price(symbol, at)
        if price is None:
            return None
        bid, ask = find_touch(price, Side.SELL, self.terms), find_touch(price, Side.BUY, self.terms)
        return Quote(symbol, price, at, bid=bid, ask=ask)

    def bars(self, symbol: str, *, before: datetime, days: int) -> Sequence[Bar]:
        """Return up to `days` finished daily bars, oldest first.

        Recorded bars come first; else the days of this exchange, with the state's daily volume. A symbol without either
        has no bars: a volume is never made up.
        """
        if recorded := self._state.bars.get(symbol):
            ended = sorted((bar for bar in recorded if _has_closed(bar.day, before)), key=lambda bar: bar.day)
            return [_convert_bar(symbol, bar) for bar in ended[-days:]] if days > 0 else []
        volume = self._state.volume(symbol)
        if volume is None or self.price(symbol, before) is None:
            return []
        ended_days = [day for day, _ in zip(_list_days_back(before), range(days), strict=False)]
        return [self._day(symbol, day, volume) for day in reversed(ended_days)]

    def _day(self, symbol: str, day: date, volume: Decimal) -> Bar:
        opens, closes = session(day)
        first = self.price(symbol, opens) or ONE
        last = self.price(symbol, closes - _MOMENT) or first
        return Bar(symbol, day, first, max(first, last), min(first, last), last, volume)


def _list_days_back(moment: datetime) -> Iterator[date]:
    day = trading_day(moment)
    while True:
        if is_trading_day(day) and _has_closed(day, moment):
            yield day
        day -= timedelta(days=1)


def _has_closed(day: date, moment: datetime) -> bool:
    return day < trading_day(moment) or (is_trading_day(day) and session(day)[1] <= moment)


def _convert_bar(symbol: str, bar: RecordedBar) -> Bar:
    return Bar(symbol, bar.day, bar.open, bar.high, bar.low, bar.close, bar.volume)
