"""Observations of the market: briefings, CSV files of daily bars, the broker's SPY bars.

Missing, unreadable and stale data is unknown, with a note; nothing is ever filled in. The VIX comes only from a
briefing or from bars of the index itself: the price of a fund like VIXY or VXX has no meaning for its thresholds.
All changes are percent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

from Departments.brokers.base import Broker
from Departments.core.errors import BadInput, BrokerError, UnreadableMessage
from Departments.core.money import ZERO
from Departments.core.quotes import Bar
from Departments.core.readers import read_day
from Departments.core.regimes import INDICATORS, Observation
from Departments.core.settings import RegimeSettings
from Departments.core.trading_calendar import (
    is_same_session,
    is_trading_day,
    previous_trading_day,
    session,
    trading_day,
)
from Departments.messaging.message import Message
from Departments.messaging.neighbours import MarketBriefing, NoReading
from Departments.Regime.bar_files import read_bars

BarSource = Callable[[], Sequence[Bar]]
ObservationSource = Callable[[datetime], Observation]
SPY, VIX = "SPY", "VIX"
#: A briefing's readings of the market, under its own names.
BRIEFED = ("spy_change_pct", "vix", "vix_change_pct", "spy_drawdown_pct")
_NEEDED = {"spy_change_pct": "SPY's change of the day", "vix": "the VIX"}
#: Each of these is only taken from the day of its companion.
_COMPANION = {"spy": "spy_change_pct", "vix_change_pct": "vix"}
WINDOW = 20  # trading days, about a month
TRADING_DAYS_A_YEAR = 252
_TENTH_OF_A_BASIS_POINT = Decimal("0.001")
#: Of many old briefings only the newest are read; older ones are stale anyway.
NEWEST = 5


def _no_briefings(_now: datetime) -> Iterable[Message]:
    return ()


def _accept(_: Message) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class MarketData:
    """The department's sources: briefings (newest first), observations, and SPY's bars for closes read later.

    `is_usable` says whether anybody can plan from a briefing. One that is refused says nothing of the market, either.
    """

    briefings: Callable[[datetime], Iterable[Message]] = _no_briefings
    sources: Sequence[ObservationSource] = ()
    closing_bars: BarSource = tuple
    is_usable: Callable[[Message], bool] = _accept

    def observe(self, now: datetime, named: Observation | None, kept: Observation | None) -> Observation:
        """Observe the market at `now`; the `named` briefing comes first, the `kept` observation last.

        A briefing counts on its own day. Daily bars count until the next close: there are no newer ones.
        """
        recent = map(observe_briefing, self.recent_briefings(now))
        seen = dict.fromkeys(drop_other_days(each, now) for each in (named, *recent, kept) if each is not None)
        return merge([*seen, *(source(now) for source in self.sources)], now)

    def recent_briefings(self, now: datetime) -> list[Message]:
        """Return the newest usable briefings, those of other days included."""
        return list(islice(filter(self.is_usable, self.briefings(now)), NEWEST))

    def has_only_refused(self, now: datetime) -> bool:
        """Return whether there are briefings, and nobody can plan from any of them at `now`."""
        usable = map(observe_briefing, self.recent_briefings(now))
        return any(True for _ in self.briefings(now)) and not any(is_of_today(seen, now) for seen in usable)

    def read_closes(self) -> Sequence[Bar]:
        """Return SPY's daily bars, none if they cannot be read today."""
        try:
            return self.closing_bars()
        except (BrokerError, BadInput):  # a close that cannot be read today is read another day
            return ()


# --- briefings ---


def observe_briefing(message: Message) -> Observation:
    """Read a DailyBriefing. One that cannot be read is unknown, with a note."""
    source = f"DailyBriefing {message.message_id}"
    try:
        return observe_conditions(MarketBriefing.of(message), message.timestamp, source)
    except (BadInput, UnreadableMessage) as error:
        return Observation(message.timestamp, source, notes=(f"{source}: {error}",))


def observe_conditions(briefing: MarketBriefing, received_at: datetime, source: str) -> Observation:
    """Read the `market_conditions` of a briefing.

    A briefing without a date is of the day it was received; one with an unreadable date is of no day, thus unknown.
    """
    seen = briefing.market_conditions
    if seen is None:
        return Observation(received_at, source, notes=(f"{source} has no market_conditions",))
    found = {name: getattr(seen, name) for name in BRIEFED}
    odd = {name: value for name, value in found.items() if isinstance(value, NoReading)}
    notes = tuple(f"{source}: {name} {value.value!r} is no reading" for name, value in odd.items())
    readings = {name: None if name in odd else value for name, value in found.items()}
    return Observation(received_at, source, _day(seen.day, received_at), notes=notes, **readings)


def _day(written: Any, received_at: datetime) -> date | None:
    try:
        return read_day(written) or trading_day(received_at)
    except ValueError:
        return None


# --- daily bars ---


def observe_spy(bars: Sequence[Bar], now: datetime, source: str) -> Observation:
    """Read SPY's change, trend, realised volatility and drawdown from its daily bars, oldest first."""
    bars = [bar for bar in bars if bar.day <= trading_day(now)]
    if not bars:
        return Observation(now, source, notes=(f"{source}: there are no bars",))
    change = change_pct(bars)
    gap = f"{source}: the bar of the trading day before {bars[-1].day} is missing"
    return Observation(
        now,
        source,
        bars[-1].day,
        spy=bars[-1].close,
        spy_change_pct=change,
        spy_trend_pct=trend_pct(bars),
        realised_volatility_pct=realised_volatility_pct(bars),
        spy_drawdown_pct=drawdown_pct(bars),
        notes=(gap,) if change is None else (),
    )


def observe_vix(bars: Sequence[Bar], now: datetime, source: str) -> Observation:
    """Read the VIX and its change from daily bars of the index itself. Other bars are unknown."""
    bars = [bar for bar in bars if bar.day <= trading_day(now)]
    other = next((bar.symbol for bar in bars if bar.symbol != VIX), None)
    if other:
        return Observation(now, source, notes=(f"{source}: {other} is not the VIX",))
    if not bars:
        return Observation(now, source, notes=(f"{source}: there are no bars",))
    return Observation(now, source, bars[-1].day, vix=bars[-1].close, vix_change_pct=change_pct(bars))


def read_year_of_spy(broker: Broker) -> Sequence[Bar]:
    """Read a year of SPY's daily bars from the broker, oldest first. Raises BrokerError."""
    return broker.bars([SPY], days=TRADING_DAYS_A_YEAR).get(SPY, ())


def broker_source(bars: BarSource) -> ObservationSource:
    """Return the source of the broker's SPY bars. No answer, or no broker set up, is unknown, not an error."""

    def observe(now: datetime) -> Observation:
        source = "SPY bars of the broker"
        try:
            return observe_spy(bars(), now, source)
        except (BrokerError, BadInput) as error:
            return Observation(now, source, notes=(f"{source}: no answer ({error})",))

    return observe


def file_sources(settings: RegimeSettings, workspace: Path) -> tuple[ObservationSource, ...]:
    """Return the sources of the CSV files in the settings. They raise BadInput for a wrong file."""
    sources: list[ObservationSource] = []
    if settings.spy_bars:
        sources.append(_file_source(workspace / settings.spy_bars, SPY, observe_spy))
    if settings.vix_bars:
        sources.append(_file_source(workspace / settings.vix_bars, VIX, observe_vix))
    return tuple(sources)


def _file_source(
    path: Path, symbol: str, reading: Callable[[Sequence[Bar], datetime, str], Observation]
) -> ObservationSource:
    return lambda now: reading(known_at(read_bars(path, symbol), now), now, f"{symbol} bars of {path.name}")


def known_at(bars: Sequence[Bar], now: datetime) -> tuple[Bar, ...]:
    """Return the bars of sessions over at `now`. A day's own bar is unknown before its close."""
    today = trading_day(now)
    over = is_trading_day(today) and now >= session(today)[1]
    return tuple(bar for bar in bars if bar.day < today or (over and bar.day == today))


def change_pct(bars: Sequence[Bar]) -> Decimal | None:
    """Return the change of the last close from the trading day before. Returns None if that day is missing."""
    if len(bars) < 2 or bars[-2].day != previous_trading_day(bars[-1].day):
        return None
    return (bars[-1].close / bars[-2].close - 1) * 100


def change_on(bars: Sequence[Bar], day: date) -> Decimal | None:
    """Return the change at the close of `day`. Returns None if its bar or the one before is missing."""
    until = [bar for bar in bars if bar.day <= day]
    return change_pct(until) if until and until[-1].day == day else None


def trend_pct(bars: Sequence[Bar]) -> Decimal | None:
    """Return the last close against the mean of the last 20. Returns None with fewer bars."""
    if len(bars) < WINDOW:
        return None
    mean = sum((bar.close for bar in bars[-WINDOW:]), ZERO) / WINDOW
    return _round((bars[-1].close / mean - 1) * 100)


def realised_volatility_pct(bars: Sequence[Bar]) -> Decimal | None:
    """Return the annualised standard deviation of the last 20 daily log returns. Returns None with fewer."""
    if len(bars) < WINDOW + 1:
        return None
    returns = [(after.close / before.close).ln() for before, after in pairwise(bars[-WINDOW - 1 :])]
    mean = sum(returns, ZERO) / WINDOW
    variance = sum(((value - mean) ** 2 for value in returns), ZERO) / (WINDOW - 1)
    return _round((variance * TRADING_DAYS_A_YEAR).sqrt() * 100)


def drawdown_pct(bars: Sequence[Bar]) -> Decimal | None:
    """Return the percent of the last close below the highest of 252."""
    if not bars:
        return None
    return _round((1 - bars[-1].close / max(bar.close for bar in bars[-TRADING_DAYS_A_YEAR:])) * 100)


def _round(percent: Decimal) -> Decimal:
    return percent.quantize(_TENTH_OF_A_BASIS_POINT)


# --- one observation of many ---


def is_of_today(observation: Observation, now: datetime) -> bool:
    """Return whether an observation is of the trading day of `now`."""
    return observation.day is not None and is_same_session(observation.day, trading_day(now))


def drop_other_days(observation: Observation, now: datetime) -> Observation:
    """Return an observation of this trading day, else an unknown one."""
    return observation if is_of_today(observation, now) else _forget(observation, f"{trading_day(now)}")


def drop_stale(observation: Observation, now: datetime) -> Observation:
    """Return an observation of this or the previous trading day, else an unknown one."""
    today = trading_day(now)
    earliest = previous_trading_day(today)
    if observation.day is not None and earliest <= observation.day <= today:
        return observation
    return _forget(observation, f"{earliest} to {today}")


def _forget(observation: Observation, wanted: str) -> Observation:
    if all(getattr(observation, name) is None for name in INDICATORS):
        return observation
    of = "of no readable date" if observation.day is None else f"of {observation.day}"
    note = f"{observation.source} is {of}, not of {wanted}; it counts as unknown"
    return Observation(observation.observed_at, observation.source, notes=(*observation.notes, note))


def merge(observations: Iterable[Observation], now: datetime) -> Observation:
    """Merge observations at `now`: each reading from its newest fresh day, earlier sources first.

    While all needed readings are known, notes of unused sources are left out.
    """
    candidates = [drop_stale(observation, now) for observation in observations]
    ranked = sorted(candidates, key=lambda seen: seen.day or date.min, reverse=True)
    chosen = {name: _first(ranked, name) for name in INDICATORS}
    chosen |= {name: _same_day(ranked, name, chosen[base]) for name, base in _COMPANION.items()}
    used = [seen for seen in candidates if seen in chosen.values()]
    readings: dict[str, Decimal | None] = {name: getattr(seen, name) if seen else None for name, seen in chosen.items()}
    missing = [f"{label} is not known" for name, label in _NEEDED.items() if readings[name] is None]
    notes = [note for seen in (candidates if missing else used) for note in seen.notes] + missing
    source = "; ".join(seen.source for seen in used) or "no data"
    day = max((seen.day for seen in used if seen.day), default=None)
    return Observation(now, source, day, **readings, notes=tuple(notes))


def _first(ranked: Iterable[Observation], name: str) -> Observation | None:
    return next((seen for seen in ranked if getattr(seen, name) is not None), None)


def _same_day(ranked: Iterable[Observation], name: str, base: Observation | None) -> Observation | None:
    return None if base is None else _first((seen for seen in ranked if seen.day == base.day), name)
