"""The bookings of the account, as Alpaca's account activities list them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Final

from Departments.core.activities import Activity, ActivityKind
from Departments.core.money import ZERO
from Departments.core.orders import Side
from Departments.core.trading_calendar import trading_day
from Departments.exchange.book import Adjustment, ExchangeBook
from Departments.exchange.derivation import derive_id
from Departments.exchange.records import Fill
from Departments.exchange.storage import ExchangeFile

#: Alpaca's words (https://docs.alpaca.markets/docs/account-activities); CIL is cash in lieu of a fraction.
WORDS: Final = {
    ActivityKind.FILL: "FILL",
    ActivityKind.DEPOSIT: "CSD",
    ActivityKind.WITHDRAWAL: "CSW",
    ActivityKind.DIVIDEND: "DIV",
    ActivityKind.INTEREST: "INT",
    ActivityKind.FEE: "FEE",
    ActivityKind.SPLIT: "SPLIT",
    ActivityKind.RENAME: "NC",
    ActivityKind.OTHER: "CIL",
}


@dataclass(frozen=True, slots=True)
class Booking:
    """A booking to store. `cash` in dollars, the other fields as in an `Activity`."""

    kind: ActivityKind
    at: datetime
    cash: Decimal = ZERO
    symbol: str = ""
    qty: Decimal | None = None
    price: Decimal | None = None
    ratio: Decimal | None = None
    new_symbol: str = ""
    description: str = ""


class AccountLog:
    """Stores bookings, and lists them beside the fills."""

    def __init__(self, storage: ExchangeFile, book: ExchangeBook) -> None:
        self._storage = storage
        self._book = book

    def book(self, entry: Booking) -> None:
        """Store a booking and change the cash by it, inside the caller's transaction."""
        self._book.keep_morning(trading_day(entry.at))
        row = self._storage.row("SELECT count(*) FROM activities")
        activity_id = _make_id(entry.at, "booking", entry.at, row[0] if row else 0)
        self._storage.execute(
            "INSERT INTO activities (id, kind, word, at, day, cash, symbol, qty, price, ratio, new_symbol, description)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                activity_id,
                entry.kind,
                WORDS[entry.kind],
                entry.at,
                trading_day(entry.at).isoformat(),
                entry.cash,
                entry.symbol,
                entry.qty,
                entry.price,
                entry.ratio,
                entry.new_symbol,
                entry.description,
            ),
        )
        self._book.add_cash(entry.cash)

    def list(self, since: datetime) -> list[Activity]:
        """Return every activity booked since a moment, oldest first."""
        found = [
            *self._bookings(since),
            *(activity for fill in self._book.fills(since) for activity in _of_fill(fill)),
            *(_of_adjustment(n, each) for n, each in enumerate(self._book.adjustments()) if each.at >= since),
        ]
        return sorted(found, key=lambda activity: (activity.at or since, activity.id))

    def find_announced(self, symbols: Collection[str], since: date) -> Sequence[Activity]:
        """Return the splits and renames of some symbols, old or new, since a day: the listing's, whoever holds it."""
        begin = datetime.combine(since, time.min, UTC)
        found = (a for a in self.list(begin) if a.kind in {ActivityKind.SPLIT, ActivityKind.RENAME})
        return [replace(a, id=f"announcement {a.id}", qty=None) for a in found if {a.symbol, a.new_symbol} & {*symbols}]

    def _bookings(self, since: datetime) -> Iterator[Activity]:
        for row in self._storage.rows("SELECT * FROM activities WHERE at >= ? ORDER BY seq", (since,)):
            yield Activity(
                id=row["id"],
                kind=ActivityKind(row["kind"]),
                word=row["word"],
                at=datetime.fromisoformat(row["at"]),
                day=date.fromisoformat(row["day"]),
                cash=Decimal(row["cash"]),
                symbol=row["symbol"],
                qty=_decimal(row["qty"]),
                price=_decimal(row["price"]),
                ratio=_decimal(row["ratio"]),
                new_symbol=row["new_symbol"],
                description=row["description"],
            )


def _of_fill(fill: Fill) -> Iterator[Activity]:
    """Yield a fill, and its fee, as two activities: their cash adds up."""
    day = trading_day(fill.at)
    yield _trade(_make_id(fill.at, fill.id), fill.at, fill.symbol, fill.side, fill.qty, fill.price, fill.order_id)
    if fill.fee:
        yield Activity(_make_id(fill.at, "fee", fill.id), ActivityKind.FEE, "FEE", fill.at, day, -fill.fee,
                       description=f"fee of {fill.side} {fill.qty} {fill.symbol}")  # fmt: skip


def _of_adjustment(number: int, change: Adjustment) -> Activity:
    side = Side.BUY if change.qty > 0 else Side.SELL
    name = ("outside", number, change.at)
    price = abs(change.cash / change.qty)
    return _trade(_make_id(change.at, *name), change.at, change.symbol, side, abs(change.qty), price, derive_id(*name))


def _trade(
    activity_id: str, at: datetime, symbol: str, side: Side, qty: Decimal, price: Decimal, order_id: str
) -> Activity:
    cash = qty * price if side is Side.SELL else -qty * price
    return Activity(
        activity_id, ActivityKind.FILL, "FILL", at, trading_day(at), cash, symbol, side, qty, price, order_id
    )


def _make_id(at: datetime, *parts: object) -> str:
    """Return an id in Alpaca's form: the moment to the millisecond, and a UUID."""
    return f"{at:%Y%m%d%H%M%S}{at.microsecond // 1000:03}::{derive_id('activity', *parts)}"


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
