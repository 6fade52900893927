"""The symbols of the exchange: those of the seed, later ones, splits and renames.

All of it changes rarely and is asked for at every price, so it is read once and remembered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from Departments.core.money import CENT, ONE
from Departments.exchange.derivation import derive_id, draw_chance
from Departments.exchange.field_types import RecordedBar
from Departments.exchange.records import Anchor
from Departments.exchange.state import AssetState, ExchangeState
from Departments.exchange.storage import ExchangeFile

LOWEST, HIGHEST = Decimal(10), Decimal(300)  # dollars; the bounds of a drawn price
_BAR: Final = ("symbol", "day", "open", "high", "low", "close", "volume")


@dataclass(slots=True)
class _Rows:
    added: dict[str, Anchor] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    retired: dict[str, str] = field(default_factory=dict)
    splits: dict[str, list[tuple[datetime, Decimal]]] = field(default_factory=dict)
    bars: dict[str, dict[date, RecordedBar]] = field(default_factory=dict)


def find_start(state: ExchangeState, symbol: str, started_at: datetime) -> Anchor | None:
    """Return the start of the seed's price of a symbol, or None without one."""
    price = state.start_price(symbol)
    return None if price is None else Anchor(price, started_at)


def read_bars(state: ExchangeState) -> dict[str, dict[date, RecordedBar]]:
    """Return the seed's recorded days by symbol, in their order."""
    return {s: {bar.day: bar for bar in sorted(bars, key=lambda bar: bar.day)} for s, bars in state.bars.items()}


class Listings:
    """Knows the symbols, their earlier names and their splits.

    What another process changes is seen at the next `refresh`.
    """

    def __init__(self, state: ExchangeState, storage: ExchangeFile, started_at: datetime) -> None:
        self._state = state
        self._storage = storage
        self._started_at = started_at
        self._seeded = read_bars(state)
        self._known = -1, _Rows()

    # --- questions ---

    def is_known(self, symbol: str) -> bool:
        """Return whether the exchange lists a symbol, retired ones included."""
        rows = self._rows
        return (
            symbol in self._state.symbols
            or symbol in rows.added
            or symbol in rows.origins
            or symbol in rows.bars
            or self._state.unknown_prices == "draw"
        )

    def is_retired(self, symbol: str) -> bool:
        """Return whether a symbol is called otherwise now."""
        return symbol in self._rows.retired

    def new_name(self, symbol: str) -> str | None:
        """Return the new name of a retired symbol, None for one in use."""
        return self._rows.retired.get(symbol)

    def origin(self, symbol: str) -> str:
        """Return the seed's name of a symbol."""
        return self._rows.origins.get(symbol, symbol)

    def asset(self, symbol: str) -> AssetState:
        """Return the facts of a symbol. A retired one is inactive."""
        stated = self._state.asset(self.origin(symbol))
        return stated.model_copy(update={"active": False, "tradable": False}) if self.is_retired(symbol) else stated

    def asset_id(self, symbol: str) -> str:
        """Return the id of an asset. It stays when its symbol changes."""
        return derive_id("former asset", symbol) if self.is_retired(symbol) else derive_id("asset", self.origin(symbol))

    def start(self, symbol: str) -> Anchor | None:
        """Return the start of a symbol's price, or None without any price."""
        name = self.origin(symbol)
        added = self._rows.added.get(name)
        stated = find_start(self._state, name, self._started_at)
        if stated is not None or added is not None:
            return stated or added
        price = self._last_close(name) or self._drawn(name)
        return None if price is None else Anchor(price, self._started_at)

    def bars(self, symbol: str) -> Mapping[date, RecordedBar]:
        """Return a symbol's recorded days, in their order."""
        name = self.origin(symbol)
        seeded, later = self._seeded.get(name, {}), self._rows.bars.get(name, {})
        return seeded if not later else dict(sorted((seeded | later).items()))

    def ratio(self, symbol: str, after: datetime, until: datetime) -> Decimal:
        """Return the product of the splits after a moment, until another: new shares for each old one."""
        ratio, splits = ONE, self._rows.splits
        for at, each in splits.get(self.origin(symbol), ()) if splits else ():
            ratio *= each if after < at <= until else ONE
        return ratio

    def _last_close(self, symbol: str) -> Decimal | None:
        bars = self.bars(symbol)
        before = [bar for day, bar in bars.items() if day < self._started_at.date()]
        return before[-1].close if before else next((bar.open for bar in bars.values()), None)

    def _drawn(self, symbol: str) -> Decimal | None:
        if self._state.unknown_prices != "draw":
            return None
        share = Decimal(str(round(draw_chance(self._state.seed, "price", symbol), 6)))
        return (LOWEST + (HIGHEST - LOWEST) * share).quantize(CENT)

    # --- changes, inside the caller's transaction ---

    def add(self, symbol: str, price: Decimal, at: datetime) -> None:
        """List a symbol from a price on."""
        self._storage.edit_rare("INSERT OR IGNORE INTO listings VALUES (?, ?, ?)", (symbol, at, price))

    def add_bars(self, symbol: str, bars: Iterable[RecordedBar]) -> None:
        """Add recorded days; a day that is known is replaced."""
        for bar in bars:
            values: Sequence[object] = (symbol, bar.day.isoformat(), *(getattr(bar, name) for name in _BAR[2:]))
            self._storage.edit_rare("INSERT OR REPLACE INTO recorded_bars VALUES (?, ?, ?, ?, ?, ?, ?)", values)

    def split(self, symbol: str, ratio: Decimal, at: datetime) -> None:
        """Divide a symbol's price by a ratio."""
        self._storage.edit_rare("INSERT INTO splits VALUES (?, ?, ?)", (self.origin(symbol), at, ratio))

    def rename(self, symbol: str, new: str, at: datetime) -> None:
        """Give a symbol's asset a new name, unless that one is another asset's."""
        origin = self.origin(symbol) if not self.is_known(new) or self.is_retired(new) else new
        sql = "INSERT OR REPLACE INTO renames VALUES (?, ?, ?, ?)"
        self._storage.edit_rare(sql, (symbol, at, new, origin))

    def refresh(self) -> None:
        """Read the changes of other processes."""
        self._known = self._storage.edits, self._storage.remember_rare("listings", self._read)

    @property
    def _rows(self) -> _Rows:
        if self._known[0] != self._storage.edits:
            self.refresh()
        return self._known[1]

    def _read(self) -> _Rows:
        rows, read = _Rows(), self._storage.rows
        for symbol, at, price in read("SELECT symbol, at, price FROM listings"):
            rows.added[symbol] = Anchor(Decimal(price), datetime.fromisoformat(at))
        for symbol, new, origin in read("SELECT symbol, new_symbol, origin FROM renames ORDER BY at, rowid"):
            rows.retired.pop(new, None)
            rows.retired[symbol] = new
            rows.origins[new] = origin
        for symbol, at, ratio in read("SELECT symbol, at, ratio FROM splits ORDER BY at, rowid"):
            rows.splits.setdefault(symbol, []).append((datetime.fromisoformat(at), Decimal(ratio)))
        for row in read(f"SELECT {', '.join(_BAR)} FROM recorded_bars ORDER BY day"):  # noqa: S608 - no outside text
            bar = RecordedBar.model_validate(dict(zip(_BAR[1:], row[1:], strict=True)))
            rows.bars.setdefault(row[0], {})[bar.day] = bar
        return rows
