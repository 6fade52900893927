"""Prices and recorded days in files of people.

A price file is YAML or JSON (`NVDA: 187.20`, by itself or below `prices`), or CSV with the columns symbol and price.
A CSV with date, open, high, low and close holds recorded days; without a column `symbol` the file's name is the symbol.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from pydantic import Field

from Departments.core.errors import BadInput
from Departments.core.platform.text_files import read_document, read_text
from Departments.core.settings import Section
from Departments.core.validation import validate
from Departments.exchange.field_types import Price, RecordedBar, Symbol

_COLUMNS = {"ticker": "symbol", "date": "day", "last": "price", "current_price": "price"}


@dataclass(frozen=True, slots=True)
class PriceFile:
    """The content of a price file: dollars per share, and recorded days, by symbol."""

    prices: Mapping[str, Decimal] = field(default_factory=dict)
    bars: Mapping[str, tuple[RecordedBar, ...]] = field(default_factory=dict)


class _Prices(Section):
    prices: Mapping[Symbol, Price]


class _PriceRow(Section):
    symbol: Symbol
    price: Price = Field(description="dollars")


class _BarRow(RecordedBar):
    symbol: Symbol


def read_prices(path: Path) -> PriceFile:
    """Read a price file. Raises BadInput naming file, line and mend."""
    if path.suffix.lower() == ".csv":
        return _read_csv(path)
    data = read_document(path)
    prices = validate(_Prices, {"prices": data.get("prices", data)}, path).prices
    if not prices:
        raise BadInput(path, "", "holds no prices", "write `SYMBOL: dollars` on each line")
    return PriceFile(prices)


def read_bars(path: Path) -> Mapping[str, tuple[RecordedBar, ...]]:
    """Read recorded days from a CSV file. Raises BadInput."""
    found = _read_csv(path).bars
    if not found:
        raise BadInput(path, "", "holds no recorded days", "give the columns symbol, date, open, high, low, close")
    return found


def _read_csv(path: Path) -> PriceFile:
    prices, bars = dict[str, Decimal](), dict[str, list[RecordedBar]]()
    for line, row in _rows(path):
        if "price" in row:
            priced = validate(
                _PriceRow, {"symbol": row.get("symbol", ""), "price": row["price"]}, f"{path}: line {line}"
            )
            prices[priced.symbol] = priced.price
            continue
        known = {name: row[name] for name in _BarRow.model_fields if row.get(name)}
        bar = validate(_BarRow, {"symbol": path.stem} | known, f"{path}: line {line}")
        bars.setdefault(bar.symbol, []).append(bar)
    return PriceFile(prices, {symbol: tuple(days) for symbol, days in bars.items()})


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows with their lines; the columns' names ignore case and blanks."""
    reader = csv.DictReader(read_text(path).splitlines())
    for row in reader:
        named = {
            str(name).strip().lower().replace(" ", "_"): (value or "").strip() for name, value in row.items() if name
        }
        yield reader.line_num, {_COLUMNS.get(name, name): value for name, value in named.items()}
