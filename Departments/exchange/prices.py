"""Prices: constant, a random walk, or recorded bars; with bid and ask, halts and daily bars.

Every price is a pure function of symbol and moment: replays and restarts see the same ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from Departments.exchange.derivation import draw_chance
from Departments.exchange.field_types import RecordedBar
from Departments.exchange.listings import Listings, find_start, read_bars
from Departments.exchange.records import Anchor
from Departments.exchange.state import ExchangeState, Walk

_DEPTH: Final = 24  # 2^24 ticks: 31 years of minutes
_MINUTE: Final = timedelta(minutes=1)


FindBars = Callable[[str], Mapping[date, RecordedBar] | None]


class Prices(Protocol):
    """The movement of prices in dollars, by symbol and moment."""

    def at(self, symbol: str, moment: datetime, anchor: Anchor | None = None) -> Decimal | None:
        """Return the price at a moment. It starts at the anchor. None without a price."""
        ...

    def next_change(self, moment: datetime) -> datetime | None:
        """Return the next change of prices after a moment, None for constant prices."""
        ...


def round_to_tick(price: Decimal) -> Decimal:
    """Round a price to its smallest step, and up to one step at least."""
    return max(on_tick(price), price_tick(price))


class StaticPrices:
    """Constant prices."""

    def at(self, symbol: str, moment: datetime, anchor: Anchor | None = None) -> Decimal | None:  # noqa: ARG002 - the port's shape
        """Return the anchor's price."""
        return anchor.price if anchor else None

    def next_change(self, moment: datetime) -> datetime | None:  # noqa: ARG002 - the port's shape
        """Return None: prices never change by themselves."""
        return None


class WalkingPrices:
    """A geometric random walk from the anchors. Bisection makes every moment cost the same."""

    def __init__(self, state: ExchangeState, started_at: datetime) -> None:
        self._state = state
        self._walk: Walk = state.walk
        self._started_at = started_at
        self._interval = timedelta(seconds=state.walk.interval)
        self._gauss = lru_cache(maxsize=65_536)(self._draw)

    def at(self, symbol: str, moment: datetime, anchor: Anchor | None = None) -> Decimal | None:
        """Return the walk's price at the tick at or before a moment."""
        anchor = anchor or find_start(self._state, symbol, self._started_at)
        if anchor is None:
            return None
        start, tick = self._tick(anchor.at), self._tick(moment)
        if tick <= start:
            return anchor.price
        way = self._brownian(symbol, tick) - self._brownian(symbol, start)
        path = float(self._walk.drift) * (tick - start) + float(self._walk.volatility) * way
        return round_to_tick(anchor.price * Decimal(math.exp(path)))

    def next_change(self, moment: datetime) -> datetime | None:
        """Return the next tick while the exchange is open."""
        return _in_session(self._started_at + (self._tick(moment) + 1) * self._interval)

    def _tick(self, moment: datetime) -> int:
        return max(0, (moment - self._started_at) // self._interval)

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
    recorded price counts; a symbol without bars keeps its anchor's price.
    """

    def __init__(self, state: ExchangeState, find_bars: FindBars | None = None) -> None:
        self._state = state
        self._find_bars = find_bars or read_bars(state).get

    def at(self, symbol: str, moment: datetime, anchor: Anchor | None = None) -> Decimal | None:
        """Return the recorded price at the minute at or before a moment."""
        today, bars = trading_day(moment), self._find_bars(symbol) or {}
        bar = bars.get(today)
        if bar is not None and moment >= session(today)[0]:
            return round_to_tick(_interpolate(bar, moment))
        if not bars:
            return anchor.price if anchor else None
        earlier = [b for day, b in bars.items() if day < today]
        return earlier[-1].close if earlier else self._state.start_price(symbol) or next(iter(bars.values())).open

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


def choose_prices(state: ExchangeState, listings: Listings, started_at: datetime) -> Prices:
    """Return the prices of the state's price_mode."""
    if state.price_mode == "walk":
        return WalkingPrices(state, started_at)
    return RecordedPrices(state, listings.bars) if state.price_mode == "bars" else StaticPrices()


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
    """Prices, quotes and bars by symbol. A walk goes on from a price set from outside; elsewhere that price stays."""

    def __init__(self, state: ExchangeState, book: ExchangeBook, listings: Listings, started_at: datetime) -> None:
        self._state = state
        self._book = book
        self.listings = listings
        self.started_at = started_at
        self._prices: Prices = choose_prices(state, listings, started_at)
        self.terms = Terms(state.spread, state.slippage, state.collar)

    def is_listed(self, symbol: str, at: datetime) -> bool:
        """Return whether the exchange knows a symbol."""
        return self.listings.is_known(symbol) or self._book.find_set_price(symbol, at) is not None

    def price(self, symbol: str, at: datetime) -> Decimal | None:
        """Return the price at a moment, or None."""
        return self._find(symbol, at, self._book.find_set_price(symbol, at))

    def prices(self, symbols: Iterable[str], at: datetime) -> dict[str, Decimal | None]:
        """Return the prices of symbols at a moment, None for unknown ones."""
        own = self._book.list_set_prices(at)
        return {s: self._find(s, at, own.get(s)) for s in symbols}

    def _find(self, symbol: str, at: datetime, own: Anchor | None) -> Decimal | None:
        name, recorded = self.listings.origin(symbol), self._follows_bars(symbol)
        if own is not None and recorded:
            return own.price
        anchor = own or self.listings.start(symbol)
        price = self._prices.at(name, at, anchor)
        if price is None or anchor is None or recorded:
            return price
        since = anchor.at if own else anchor.at - _MOMENT  # a price set at a split counts already divided
        ratio = self.listings.ratio(symbol, after=since, until=at)
        return price if ratio == ONE else round_to_tick(price / ratio)

    def _follows_bars(self, symbol: str) -> bool:
        """Return whether recorded bars move the price. They know of splits by themselves."""
        return self._state.price_mode == "bars" and bool(self.listings.bars(symbol))

    def next_change(self, at: datetime) -> datetime | None:
        """Return the next change of prices by themselves."""
        return self._prices.next_change(at)

    def find_halt(self, symbol: str, at: datetime) -> tuple[bool, datetime | None]:
        """Return whether a symbol is halted, and until when (None: unknown)."""
        return self._book.find_halt(symbol, at)

    def quote(self, symbol: str, at: datetime) -> Quote | None:
        """Return the quote of a moment, None without a price."""
        price = None if self.listings.is_retired(symbol) else self.price(symbol, at)
        if price is None:
            return None
        bid = find_touch(price, Side.SELL, self.terms)
        ask = find_touch(price, Side.BUY, self.terms) if self.terms.spread else bid
        return Quote(symbol, price, at, bid=bid, ask=ask)

    def bars(self, symbol: str, *, before: datetime, days: int) -> Sequence[Bar]:
        """Return up to `days` finished daily bars, oldest first.

        Recorded bars come first; else the days of this exchange, with the state's daily volume. A symbol without either
        has no bars: a volume is never made up. The days before a split are divided by its ratio.
        """
        if recorded := self.listings.bars(symbol):
            ended = [bar for bar in recorded.values() if _has_closed(bar.day, before)]
            return [_convert_bar(symbol, bar) for bar in ended[-days:]] if days > 0 else []
        volume = self._state.volume(self.listings.origin(symbol))
        if volume is None or self.price(symbol, before) is None:
            return []
        ended_days = [day for day, _ in zip(_list_days_back(before), range(days), strict=False)]
        own = self._book.history_of_prices(symbol)
        return [self._day(symbol, day, volume, own, before) for day in reversed(ended_days)]

    def _day(self, symbol: str, day: date, volume: Decimal, own: Sequence[Anchor], now: datetime) -> Bar:
        opens, closes = session(day)
        first = self._restate(symbol, opens, own, now) or ONE
        last = self._restate(symbol, closes - _MOMENT, own, now) or first
        return Bar(symbol, day, first, max(first, last), min(first, last), last, volume)

    def _restate(self, symbol: str, at: datetime, own: Sequence[Anchor], now: datetime) -> Decimal | None:
        """Return a past price in today's shares."""
        price = self._find(symbol, at, next((anchor for anchor in reversed(own) if anchor.at <= at), None))
        ratio = self.listings.ratio(symbol, after=at, until=now)
        return price if price is None or ratio == ONE else round_to_tick(price / ratio)


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
