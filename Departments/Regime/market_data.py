"""Where the observations come from: a DailyBriefing, CSV files of daily bars, the broker's SPY bars.

What is missing, unreadable or stale is unknown, and a note says so; nothing is ever filled in. The VIX comes only from
a briefing or from bars of the index itself: the price of a fund like VIXY or VXX says nothing about its thresholds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from Departments.brokers.base import Broker
from Departments.core.errors import BadInput, BrokerError
from Departments.core.quotes import Bar
from Departments.core.regimes import INDICATORS, Observation
from Departments.core.settings import RegimeSettings
from Departments.core.trading_calendar import previous_trading_day, trading_day
from Departments.messaging.neighbours import MarketBriefing, NoReading
from Departments.Regime.bars import (
    TRADING_DAYS_A_YEAR,
    change_pct,
    drawdown_pct,
    known_at,
    read_bars,
    realised_volatility_pct,
    trend_pct,
)

BarSource = Callable[[], Sequence[Bar]]
ObservationSource = Callable[[datetime], Observation]
SPY, VIX = "SPY", "VIX"
#: What a briefing may say of the market, under its own names.
BRIEFED = ("spy_change_pct", "vix", "vix_change_pct", "spy_drawdown_pct")
_NEEDED = {"spy_change_pct": "SPY's change of the day", "vix": "the VIX"}
#: These belong to the reading of the other and are only taken from the same day.
_COMPANION = {"spy": "spy_change_pct", "vix_change_pct": "vix"}


def from_briefing(briefing: MarketBriefing, received_at: datetime, source: str) -> Observation:
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
    if written is None:
        return trading_day(received_at)
    try:
        return date.fromisoformat(str(written).strip()[:10])
    except ValueError:
        return None


def from_spy_bars(bars: Sequence[Bar], now: datetime, source: str) -> Observation:
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


def from_vix_bars(bars: Sequence[Bar], now: datetime, source: str) -> Observation:
    """Read the VIX and its change from daily bars of the index itself; those of anything else are not looked at."""
    bars = [bar for bar in bars if bar.day <= trading_day(now)]
    other = next((bar.symbol for bar in bars if bar.symbol != VIX), None)
    if other:
        return Observation(now, source, notes=(f"{source}: {other} is not the VIX and says nothing of its level",))
    if not bars:
        return Observation(now, source, notes=(f"{source}: there are no bars",))
    return Observation(now, source, bars[-1].day, vix=bars[-1].close, vix_change_pct=change_pct(bars))


def year_of_spy(broker: Broker) -> Sequence[Bar]:
    """Return a year of SPY's daily bars from the broker, oldest first. Raises what the broker raises."""
    return broker.bars([SPY], days=TRADING_DAYS_A_YEAR).get(SPY, ())


def broker_source(bars: BarSource) -> ObservationSource:
    """Return the source that reads the broker's SPY bars; no answer, or no broker set up, is unknown, not an error."""

    def observe(now: datetime) -> Observation:
        source = "SPY bars of the broker"
        try:
            return from_spy_bars(bars(), now, source)
        except (BrokerError, BadInput) as error:
            return Observation(now, source, notes=(f"{source}: no answer ({error})",))

    return observe


def file_sources(settings: RegimeSettings, workspace: Path) -> tuple[ObservationSource, ...]:
    """Return the sources for the CSV files named in the settings; they raise BadInput for a file that is wrong."""
    sources: list[ObservationSource] = []
    if settings.spy_bars:
        sources.append(_file_source(workspace / settings.spy_bars, SPY, from_spy_bars))
    if settings.vix_bars:
        sources.append(_file_source(workspace / settings.vix_bars, VIX, from_vix_bars))
    return tuple(sources)


def _file_source(
    path: Path, symbol: str, reading: Callable[[Sequence[Bar], datetime, str], Observation]
) -> ObservationSource:
    return lambda now: reading(known_at(read_bars(path, symbol), now), now, f"{symbol} bars of {path.name}")


def fresh(observation: Observation, now: datetime) -> Observation:
    """Return the observation as it is when of the current or previous trading day, else with nothing known."""
    if all(getattr(observation, name) is None for name in INDICATORS):
        return observation
    today = trading_day(now)
    earliest = previous_trading_day(today)
    if observation.day is not None and earliest <= observation.day <= today:
        return observation
    of = "of no readable date" if observation.day is None else f"of {observation.day}"
    note = f"{observation.source} is {of}, not of {earliest} to {today}: stale, taken as unknown"
    return Observation(observation.observed_at, observation.source, notes=(*observation.notes, note))


def merged(observations: Iterable[Observation], now: datetime) -> Observation:
    """Return one observation of `now`: each reading from the newest fresh day that has it, earlier sources first.

    While everything that is needed is known, what is wrong with the sources that were not needed is not told.
    """
    candidates = [fresh(observation, now) for observation in observations]
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
