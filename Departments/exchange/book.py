"""The contents of the exchange's file: orders, fills, cash, positions.

The queries of every call read open orders and recent fills only: their cost does not grow with the file's age.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from Departments.core.errors import BadInput
from Departments.core.moments import iso, parse_iso
from Departments.core.money import ZERO, plain
from Departments.core.orders import OrderClass, OrderStatus, OrderType, Side, TimeInForce
from Departments.core.platform.rights import PRIVATE, Rights
from Departments.core.platform.steps import Step
from Departments.core.trading_calendar import trading_day
from Departments.exchange.foreign import ForeignRows
from Departments.exchange.records import Anchor, Fill, Record, Role, find_expiry
from Departments.exchange.schedule import plan_events
from Departments.exchange.state import ExchangeState
from Departments.exchange.storage import ExchangeFile


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def read_number(text: str) -> Decimal:
    """Return a stored number. Raises ValueError for NaN and Infinity, ArithmeticError for no number."""
    number = Decimal(text)
    if not number.is_finite():
        raise ValueError(f"{text} is no number")
    return number


#: The readers of columns of orders and fills.
DECODERS: Final[dict[str, Any]] = {
    **dict.fromkeys(("qty", "filled_qty", "filled_value", "limit_price", "stop_price", "limit"), read_number),
    **dict.fromkeys(("reserve", "chunk", "pause", "cash_lag", "price", "fee"), read_number),
    **dict.fromkeys(("trail_price", "trail_percent", "best_price", "notional"), read_number),
    **dict.fromkeys(("submitted_at", "updated_at", "visible_at", "filled_at", "expires_at"), _moment),
    **dict.fromkeys(("next_at", "cancel_at", "at"), _moment),
    **dict.fromkeys(("live", "triggered", "silent", "forced", "doomed"), bool),
    "role": Role,
    "side": Side,
    "type": OrderType,
    "time_in_force": TimeInForce,
    "order_class": OrderClass,
    "status": OrderStatus,
}
_MICRO: Final = Decimal("0.000001")
_ORDER_FIELDS: Final = tuple(f.name for f in fields(Record))
_FILL_FIELDS: Final = tuple(f.name for f in fields(Fill))
_ORDER_COLUMNS: Final = ", ".join(f'"{name}"' for name in _ORDER_FIELDS)
_FILL_COLUMNS: Final = ", ".join(_FILL_FIELDS)
_ORDER_DECODERS: Final = tuple(DECODERS.get(name, str) for name in _ORDER_FIELDS)
_FILL_DECODERS: Final = tuple(DECODERS.get(name, str) for name in _FILL_FIELDS)
_COLUMNS: Final = ", ".join(f'"{name}"' for name in (*_ORDER_FIELDS, "due_at", "is_open"))
_MARKS: Final = ", ".join("?" * (len(_ORDER_FIELDS) + 2))
_CHANGES: Final = ", ".join(f'"{name}" = excluded."{name}"' for name in (*_ORDER_FIELDS, "due_at", "is_open"))
_SAVE: Final = f"INSERT INTO orders ({_COLUMNS}) VALUES ({_MARKS}) ON CONFLICT (id) DO UPDATE SET {_CHANGES}"  # noqa: S608
_HOLDING_SHARES: Final = (
    'SELECT symbol, "group", qty, filled_qty FROM orders '
    "WHERE is_open = 1 AND side = ? AND live = 1 AND symbol = coalesce(?, symbol)"
)


def _decode(row: sqlite3.Row, decoders: Iterable[Any]) -> list[Any]:
    return [None if value is None else decode(value) for decode, value in zip(decoders, row, strict=True)]


@dataclass(frozen=True, slots=True)
class Lot:
    """The shares of one symbol and their average cost in dollars per share."""

    symbol: str
    qty: Decimal
    avg_entry_price: Decimal


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A trade by somebody else: shares (negative for a sale) and the change of the cash."""

    at: datetime
    symbol: str
    qty: Decimal
    cash: Decimal


class ExchangeBook:
    """Reads and writes the exchange's file."""

    def __init__(self, storage: ExchangeFile) -> None:
        self._storage = storage

    def transaction(self, label: str = "") -> AbstractContextManager[None]:
        """Commit everything inside together."""
        return self._storage.transaction(label)

    # --- orders ---

    def save(self, record: Record) -> None:
        """Store an order, new or changed."""
        values = [getattr(record, name) for name in _ORDER_FIELDS]
        self._storage.execute(_SAVE, (*values, record.due_at, not record.status.is_terminal))

    def find_by_id(self, order_id: str) -> Record | None:
        """Return an order by the exchange's id, or None."""
        return self._one("id = ?", order_id)

    def find_by_client_id(self, client_order_id: str) -> Record | None:
        """Return an order by the client's id, or None."""
        return self._one("client_order_id = ?", client_order_id)

    def group(self, group: str) -> list[Record]:
        """Return an order and its legs, oldest first."""
        return self._many('"group" = ?', group)

    def open_orders(self, symbol: str | None = None) -> list[Record]:
        """Return every open order, oldest first."""
        return self._many("is_open = 1") if symbol is None else self._many("is_open = 1 AND symbol = ?", symbol)

    def open_buys(self) -> list[Record]:
        """Return every open BUY, oldest first."""
        return self._many("is_open = 1 AND side = ?", Side.BUY)

    def held_shares(self, symbol: str | None = None) -> dict[str, Decimal]:
        """Return the shares held by open SELL orders, by symbol. The exits of one group hold the same shares."""
        groups: dict[tuple[str, str], Decimal] = {}
        for name, group, qty, filled in self._storage.rows(_HOLDING_SHARES, (Side.SELL, symbol)):
            remaining = read_number(qty) - read_number(filled)
            groups[name, group] = max(groups.get((name, group), ZERO), remaining)
        held: dict[str, Decimal] = {}
        for (name, _), remaining in groups.items():
            held[name] = held.get(name, ZERO) + remaining
        return held

    def orders(self, submitted_after: datetime | None = None) -> list[Record]:
        """Return every order accepted ever, or after a moment, oldest first."""
        return self._many("1 = 1") if submitted_after is None else self._many("submitted_at > ?", submitted_after)

    def next_due(self, now: datetime) -> Record | None:
        """Return the order with the next event by `now`, or None."""
        found = self._orders("due_at <= ? ORDER BY due_at, seq LIMIT 1", now)
        return found[0] if found else None

    def wake(self, symbol: str, at: datetime) -> None:
        """Wake the resting orders of a symbol at a moment: they look at the price again."""
        for record in self.open_orders(symbol):
            if record.live and not record.silent and record.next_at is None:
                self.save(replace(record, next_at=at))

    def _one(self, where: str, *values: Any) -> Record | None:
        found = self._many(where, *values)
        return found[0] if found else None

    def _many(self, where: str, *values: Any) -> list[Record]:
        return self._orders(f"{where} ORDER BY +seq", *values)

    def _orders(self, condition: str, *values: Any) -> list[Record]:
        rows = self._storage.rows(f"SELECT {_ORDER_COLUMNS} FROM orders WHERE {condition}", values)  # noqa: S608 - no outside text
        return [Record(*_decode(row, _ORDER_DECODERS)) for row in rows]

    # --- fills, cash, positions ---

    def add_fill(self, fill: Fill, *, cash_at: datetime | None, settles_on: date | None) -> None:
        """Store a fill, and its cash and position with it."""
        self.keep_morning(trading_day(fill.at))
        values = [getattr(fill, name) for name in _FILL_FIELDS]
        self._storage.execute(
            f"INSERT INTO fills ({_FILL_COLUMNS}, cash_at, settles_on) VALUES ({', '.join('?' * (len(values) + 2))})",  # noqa: S608
            (*values, cash_at, settles_on.isoformat() if settles_on else None),
        )
        self._storage.set_meta("cash", self.cash + fill.cash)
        self._move(fill)

    def _move(self, fill: Fill) -> None:
        held = self.holding(fill.symbol)
        if fill.side is Side.SELL:
            self.set_holding(Lot(fill.symbol, held.qty - fill.qty, held.avg_entry_price))
            return
        qty = held.qty + fill.qty
        cost = held.qty * held.avg_entry_price + fill.qty * fill.price
        self.set_holding(Lot(fill.symbol, qty, (cost / qty).quantize(_MICRO)))

    def fills(self, since: datetime | None = None) -> list[Fill]:
        """Return every fill, or those from a moment on, oldest first."""
        return self._fills("1 = 1") if since is None else self._fills("at >= ?", since)

    def morning(self, today: date) -> tuple[Decimal, dict[str, Decimal]]:
        """Return cash, and shares by symbol, before a day's first fill."""
        if self._storage.meta("morning_day") != today.isoformat():
            return self.cash, {h.symbol: h.qty for h in self.holdings()}
        held = json.loads(self._storage.meta("morning_held"))
        return read_number(self._storage.meta("morning_cash")), {s: read_number(q) for s, q in held.items()}

    def keep_morning(self, today: date) -> None:
        """Store cash and shares before a day's first change of them."""
        if self._storage.meta("morning_day") == today.isoformat():
            return
        cash, held = self.morning(today)
        self._storage.set_meta("morning_cash", cash)
        self._storage.set_meta("morning_held", json.dumps({s: plain(q) for s, q in held.items()}))
        self._storage.set_meta("morning_day", today.isoformat())

    def late_proceeds(self, now: datetime) -> Decimal:
        """Return the proceeds missing from the cash so far, in dollars."""
        return sum((f.cash for f in self._fills("cash_at > ?", now)), ZERO)

    def unsettled_cash(self, today: date) -> Decimal:
        """Return the proceeds of sales not settled by `today`, in dollars."""
        return sum((f.cash for f in self._fills("settles_on > ?", today.isoformat())), ZERO)

    def _fills(self, where: str, *values: Any) -> list[Fill]:
        rows = self._storage.rows(f"SELECT {_FILL_COLUMNS} FROM fills WHERE {where} ORDER BY +seq", values)  # noqa: S608
        return [Fill(*_decode(row, _FILL_DECODERS)) for row in rows]

    @property
    def cash(self) -> Decimal:
        """Return the cash after every fill and booking, in dollars."""
        return read_number(self._storage.meta("cash"))

    def add_cash(self, amount: Decimal) -> None:
        """Change the cash by an amount of dollars."""
        self._storage.set_meta("cash", self.cash + amount)

    def holding(self, symbol: str) -> Lot:
        """Return the position in a symbol, perhaps of zero shares."""
        row = self._storage.row("SELECT * FROM positions WHERE symbol = ?", (symbol,))
        return Lot(symbol, ZERO, ZERO) if row is None else _read_lot(*row)

    def holdings(self) -> Sequence[Lot]:
        """Return every position, by symbol."""
        return self._storage.remember("positions", self._read_holdings)

    def _read_holdings(self) -> tuple[Lot, ...]:
        return tuple(_read_lot(*row) for row in self._storage.rows("SELECT * FROM positions ORDER BY symbol"))

    def set_holding(self, holding: Lot) -> None:
        """Store a position; zero shares close it."""
        self._storage.execute("DELETE FROM positions WHERE symbol = ?", (holding.symbol,))
        if holding.qty:
            values = (holding.symbol, holding.qty, holding.avg_entry_price)
            self._storage.execute("INSERT INTO positions VALUES (?, ?, ?)", values)

    def adjust(self, change: Adjustment) -> None:
        """Store a trade by somebody else, and its cash."""
        self.keep_morning(trading_day(change.at))
        sql = "INSERT INTO adjustments (at, symbol, qty, cash) VALUES (?, ?, ?, ?)"
        self._storage.execute(sql, (change.at, change.symbol, change.qty, change.cash))
        self._storage.set_meta("cash", self.cash + change.cash)

    def adjustments(self) -> list[Adjustment]:
        """Return the trades by somebody else, oldest first."""
        rows = self._storage.rows("SELECT * FROM adjustments ORDER BY seq")
        return [Adjustment(_moment(r["at"]), r["symbol"], read_number(r["qty"]), read_number(r["cash"])) for r in rows]

    # --- prices set from outside, halts ---

    def set_price(self, symbol: str, at: datetime, price: Decimal) -> None:
        """Store a price from `at` on."""
        self._storage.execute("INSERT OR REPLACE INTO prices VALUES (?, ?, ?)", (symbol, at, price))

    def find_set_price(self, symbol: str, at: datetime) -> Anchor | None:
        """Return the last price set by `at`, or None."""
        row = self._storage.row(
            "SELECT price, at FROM prices WHERE symbol = ? AND at <= ? ORDER BY at DESC LIMIT 1", (symbol, at)
        )
        return None if row is None else Anchor(read_number(row["price"]), _moment(row["at"]))

    def history_of_prices(self, symbol: str) -> list[Anchor]:
        """Return every price set for a symbol, oldest first."""
        rows = self._storage.rows("SELECT price, at FROM prices WHERE symbol = ? ORDER BY at", (symbol,))
        return [Anchor(read_number(row["price"]), _moment(row["at"])) for row in rows]

    def list_set_prices(self, at: datetime) -> dict[str, Anchor]:
        """Return the last prices set by `at`, by symbol."""
        rows = self._storage.rows("SELECT symbol, price, at FROM prices WHERE at <= ? ORDER BY at", (at,))
        return {row["symbol"]: Anchor(read_number(row["price"]), _moment(row["at"])) for row in rows}

    def halt(self, symbol: str, until: datetime | None) -> None:
        """Halt a symbol until a moment, or until `resume`."""
        self._storage.execute("INSERT OR REPLACE INTO halts VALUES (?, ?)", (symbol, until))

    def resume(self, symbol: str) -> None:
        """Resume trading in a symbol."""
        self._storage.execute("DELETE FROM halts WHERE symbol = ?", (symbol,))

    def find_halt(self, symbol: str, at: datetime) -> tuple[bool, datetime | None]:
        """Return whether a symbol is halted, and until when (None: unknown)."""
        row = self._storage.row("SELECT until FROM halts WHERE symbol = ?", (symbol,))
        until = None if row is None or row["until"] is None else _moment(row["until"])
        return (row is not None and (until is None or at < until), until)


@lru_cache(maxsize=4_096)  # equal texts are equal positions, and every call reads all of them
def _read_lot(symbol: str, qty: str, avg_entry_price: str) -> Lot:
    if not isinstance(symbol, str):  # SQLite lets a key be NULL
        raise TypeError(f"{symbol!r} is no symbol")
    return Lot(symbol, read_number(qty), read_number(avg_entry_price))


def open_book(
    path: Path, now: datetime, state: ExchangeState | None, step: Step, rights: Rights = PRIVATE
) -> tuple[ExchangeFile, ExchangeState, datetime]:
    """Open or seed the file; return it, its seed and the moment of seeding. Raises BadInput."""
    if state is None and not path.exists():
        raise BadInput(
            path,
            "",
            "the simulated exchange has no state yet",
            "seed it with departments exchange init FILE, or set broker.name: alpaca in the settings",
        )
    storage = ExchangeFile(path, step=step, rights=rights)
    with storage.transaction():
        if storage.is_new:
            seed = _fill(storage, state, now)
        else:
            seed = ExchangeState.model_validate_json(storage.meta("state"))
            if storage.is_old:
                storage.upgrade()
                _expire_old_orders(ExchangeBook(storage))
    return storage, seed, parse_iso(storage.meta("started_at"))


def _expire_old_orders(book: ExchangeBook) -> None:
    """Give open GTC orders of an older file their expiry."""
    for record in book.open_orders():
        if record.expires_at is None:
            book.save(replace(record, expires_at=find_expiry(record.time_in_force, record.submitted_at)))


def _fill(storage: ExchangeFile, state: ExchangeState | None, now: datetime) -> ExchangeState:
    if state is None:
        raise BadInput(storage.path, "", "holds no exchange", "seed it with departments exchange init FILE")
    storage.create()
    storage.set_meta("state", state.model_dump_json())
    storage.set_meta("started_at", iso(now))
    storage.set_meta("cash", state.cash)
    book = ExchangeBook(storage)
    for symbol, held in state.positions.items():
        book.set_holding(Lot(symbol, held.qty, held.avg_entry_price))
    for symbol, asset in state.assets.items():
        if asset.halted:
            book.halt(symbol, None)
    foreign = ForeignRows(storage)
    for order in state.foreign_orders:
        foreign.add(order)
    for position in state.foreign_positions:
        foreign.add(position)
    plan_events(storage, state, now)
    return state
