"""Files of daily bars: CSV with date, open, high, low, close[, volume][, symbol]. Wrong rows are refused by line."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from io import StringIO
from itertools import pairwise
from pathlib import Path

from Departments.core.errors import BadInput
from Departments.core.money import decimal_of
from Departments.core.platform.text_files import read_text
from Departments.core.quotes import Bar
from Departments.core.readers import read_date

#: Funds and notes on VIX futures. Their prices decay and split: they are not the index and no threshold fits them.
VIX_PROXIES = frozenset({"VIXY", "VIXM", "VXX", "VXZ", "UVXY", "UVIX", "SVXY", "SVIX"})
PRICES = ("open", "high", "low", "close")


def read_bars(path: Path, symbol: str) -> tuple[Bar, ...]:
    """Read daily bars, oldest first, from a CSV file.

    The columns are date, open, high, low, close[, volume][, symbol]. Dates are ISO (2025-11-10), prices dollars or
    index points. Raises BadInput naming file, line and mend; also for the bars of a fund where those of the VIX are
    meant.
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
        raise BadInput(path, f"after line {reader.line_num}", "is not CSV", "mend what follows") from error
    missing = next((name for name in ("date", *PRICES) if name not in names), None)
    if missing:
        raise BadInput(path, "line 1", f"lacks the column {missing}", "name date, open, high, low, close")
    return rows


def _bar(row: Mapping[str, str | None], symbol: str, path: Path, line: int) -> Bar:
    try:
        day = read_date((row["date"] or "").strip()[:10])
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
        raise BadInput(path, twice.isoformat(), "is there twice", "keep one row for each day")
    return ordered
