"""Daily bars: read from a CSV file, and what they say of trend, volatility and drawdown. Percent throughout."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from io import StringIO
from itertools import pairwise
from pathlib import Path

from Departments.core.errors import BadInput
from Departments.core.money import ZERO, decimal_of
from Departments.core.quotes import Bar
from Departments.core.settings import read_text
from Departments.core.trading_calendar import is_trading_day, previous_trading_day, session, trading_day

#: Funds and notes on VIX futures. Their prices decay and split: they are not the index and no threshold fits them.
VIX_PROXIES = frozenset({"VIXY", "VIXM", "VXX", "VXZ", "UVXY", "UVIX", "SVXY", "SVIX"})
WINDOW = 20  # trading days, about a month
TRADING_DAYS_A_YEAR = 252
PRICES = ("open", "high", "low", "close")
_TENTH_OF_A_BASIS_POINT = Decimal("0.001")


def read_bars(path: Path, symbol: str) -> tuple[Bar, ...]:
    """Read daily bars, oldest first, from a CSV with the columns date, open, high, low, close[, volume][, symbol].

    Dates are ISO (2025-11-10), prices dollars or index points. Raises BadInput naming file, line and mend; also for
    the bars of a fund where those of the VIX are meant.
    """
    bars = [_bar(row, symbol, path, line) for line, row in _rows(path)]
    _refuse_others(bars, symbol, path)
    return _in_order(bars, path)


def _rows(path: Path) -> list[tuple[int, dict[str, str | None]]]:
    reader = csv.DictReader(StringIO(read_text(path), newline=""))
    try:
        names = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
        rows = [(reader.line_num, {key: row[name] for key, name in names.items()}) for row in reader]
    except csv.Error as error:
        raise BadInput(path, f"after line {reader.line_num}", f"is not CSV ({error})", "mend what follows") from error
    missing = next((name for name in ("date", *PRICES) if name not in names), None)
    if missing:
        raise BadInput(path, "line 1", f"lacks the column {missing}", "name date, open, high, low, close")
    return rows


def _bar(row: Mapping[str, str | None], symbol: str, path: Path, line: int) -> Bar:
    try:
        day = date.fromisoformat((row["date"] or "").strip()[:10])
        opened, high, low, close = (decimal_of(row[name]) for name in PRICES)
        volume = decimal_of(row.get("volume") or 0)
    except ValueError as error:
        raise BadInput(path, f"line {line}", f"cannot be read ({error})", "write an ISO date and numbers") from error
    if not 0 < low <= min(opened, close) <= max(opened, close) <= high or volume < 0:
        raise BadInput(path, f"line {line}", "holds prices that contradict each other", "correct the row")
    return Bar((row.get("symbol") or symbol).strip().upper().lstrip("^$"), day, opened, high, low, close, volume)


def _refuse_others(bars: Sequence[Bar], symbol: str, path: Path) -> None:
    names = (*re.findall(r"[A-Z]+", path.stem.upper()), *(bar.symbol for bar in bars))
    other = next((name for name in names if name in VIX_PROXIES), None)
    other = other or next((bar.symbol for bar in bars if bar.symbol != symbol), None)
    if other:
        raise BadInput(path, "symbol", f"holds {other}, which is not {symbol}", f"give the daily bars of {symbol}")


def _in_order(bars: Sequence[Bar], path: Path) -> tuple[Bar, ...]:
    ordered = tuple(sorted(bars, key=lambda bar: bar.day))
    twice = next((a.day for a, b in pairwise(ordered) if a.day == b.day), None)
    if twice:
        raise BadInput(path, twice.isoformat(), "stands there twice", "keep one row for each day")
    return ordered


def known_at(bars: Sequence[Bar], now: datetime) -> tuple[Bar, ...]:
    """Return the bars of sessions that are over at `now`: a day's own bar is not known before its close."""
    today = trading_day(now)
    over = is_trading_day(today) and now >= session(today)[1]
    return tuple(bar for bar in bars if bar.day < today or (over and bar.day == today))


def change_pct(bars: Sequence[Bar]) -> Decimal | None:
    """Return the last close against the close of the trading day before; None where that day is missing."""
    if len(bars) < 2 or bars[-2].day != previous_trading_day(bars[-1].day):
        return None
    return (bars[-1].close / bars[-2].close - 1) * 100


def change_on(bars: Sequence[Bar], day: date) -> Decimal | None:
    """Return the change at the close of `day`; None where its bar or that of the trading day before is missing."""
    until = [bar for bar in bars if bar.day <= day]
    return change_pct(until) if until and until[-1].day == day else None


def trend_pct(bars: Sequence[Bar]) -> Decimal | None:
    """Return the last close against the mean of the last 20; None with fewer bars."""
    if len(bars) < WINDOW:
        return None
    mean = sum((bar.close for bar in bars[-WINDOW:]), ZERO) / WINDOW
    return _rounded((bars[-1].close / mean - 1) * 100)


def realised_volatility_pct(bars: Sequence[Bar]) -> Decimal | None:
    """Return the annualised standard deviation of the last 20 daily log returns; None with fewer."""
    if len(bars) < WINDOW + 1:
        return None
    returns = [(after.close / before.close).ln() for before, after in pairwise(bars[-WINDOW - 1 :])]
    mean = sum(returns, ZERO) / WINDOW
    variance = sum(((value - mean) ** 2 for value in returns), ZERO) / (WINDOW - 1)
    return _rounded((variance * TRADING_DAYS_A_YEAR).sqrt() * 100)


def drawdown_pct(bars: Sequence[Bar]) -> Decimal | None:
    """Return how far the last close is below the highest close of the last 252 bars (10 is 10 % below)."""
    if not bars:
        return None
    return _rounded((1 - bars[-1].close / max(bar.close for bar in bars[-TRADING_DAYS_A_YEAR:])) * 100)


def _rounded(percent: Decimal) -> Decimal:
    return percent.quantize(_TENTH_OF_A_BASIS_POINT)
