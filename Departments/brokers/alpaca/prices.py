"""Which of the prices that market data offers may be believed.

The free feed (IEX) sees two or three per cent of the volume, so a price can be old: what is stale, crossed or zero
is left out, and a symbol of which nothing is left is absent. There is no substitute for an unknown price.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from Departments.brokers.base import Quote
from Departments.core.clock import parse_iso
from Departments.core.money import price_of
from Departments.core.trading_calendar import is_open, is_trading_day, session, trading_day

Priced = tuple[datetime, tuple[Decimal, ...]]


def oldest_believable(now: datetime, max_age: timedelta) -> datetime:
    """Return the moment before which a price is stale: `max_age` ago, counted from the last close when closed."""
    day = trading_day(now)
    while not is_trading_day(day) or session(day)[0] > now:
        day -= timedelta(days=1)
    return (now if is_open(now) else session(day)[1]) - max_age


def believable_quote(symbol: str, snapshot: Any, oldest: datetime) -> Quote | None:
    """Make a quote of a snapshot's last trade (`p`) and bid and ask (`bp`, `ap`), None if neither may be believed."""
    seen = snapshot if isinstance(snapshot, Mapping) else {}
    last, sides = _fresh(seen.get("latestTrade"), ("p",), oldest), _fresh(seen.get("latestQuote"), ("bp", "ap"), oldest)
    if sides and sides[1][0] > sides[1][1]:
        sides = None
    bid, ask = sides[1] if sides else (None, None)
    if last:
        return Quote(symbol, last[1][0], last[0], bid, ask)
    if sides is None or bid is None or ask is None:
        return None
    return Quote(symbol, price_of((bid + ask) / 2), sides[0], bid, ask)


def _fresh(data: Any, keys: tuple[str, ...], oldest: datetime) -> Priced | None:
    """Return moment and prices if all of them are there, positive and not stale."""
    if not isinstance(data, Mapping):
        return None
    try:
        at, prices = parse_iso(str(data["t"])), tuple(price_of(data[key]) for key in keys)
    except (KeyError, ValueError):
        return None
    return (at, prices) if at >= oldest and min(prices) > 0 else None
