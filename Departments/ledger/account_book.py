"""The book of the account: opening balance, the ledger's fills, and bookings of the broker or a person.

Cash and holdings are sums over these rows; no balance is stored beside them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from Departments.core.account_entries import AccountDifference, AccountEntry, EntryKind, Statement
from Departments.core.moments import iso
from Departments.core.money import ZERO, plain
from Departments.core.orders import Side
from Departments.ledger.database import Database
from Departments.ledger.order_records import FillRecord, is_adopted
from Departments.ledger.plan_records import ExecutionRecord
from Departments.ledger.running_cost import RunningCost
from Departments.ledger.tables import Table, marks
from Departments.ledger.trading_records import OrderRecords

_NOT_OF_A_RUN: Final = (EntryKind.FEE, EntryKind.OPENING)
_BY_PERSONS: Final = f"('{EntryKind.ACCEPTED}', '{EntryKind.EXPLAINED}')"
_MOVED: Final = f"('{EntryKind.SPLIT}', '{EntryKind.RENAME}')"
_FIRST: Final = "SELECT min(id) FROM desk_bookings"
_OPENING: Final = f"SELECT after_fill, after_order, noted_at FROM desk_bookings WHERE id = ({_FIRST})"  # noqa: S608 - our own names
_OF_OPENING: Final = f"kind = '{EntryKind.OPENING}'"
_LAST: Final = "SELECT max(id) FROM desk_bookings"
BOOKINGS: Final = Table(
    "desk_bookings",
    AccountEntry,
    owner={"after_fill": int, "after_order": int},
    identity="id",
    indexes=(
        "CREATE INDEX desk_bookings_by_time ON desk_bookings (noted_at)",
        f"CREATE INDEX desk_bookings_of_opening ON desk_bookings (symbol) WHERE {_OF_OPENING}",
        f"CREATE INDEX desk_bookings_accepted ON desk_bookings (id) WHERE kind IN {_BY_PERSONS}",
        "CREATE UNIQUE INDEX desk_bookings_by_activity ON desk_bookings (activity_id, symbol) WHERE activity_id <> ''",
    ),
)
DIFFERENCES: Final = Table("desk_differences", AccountDifference, rules=("PRIMARY KEY (symbol)",))
STATEMENTS: Final = Table(
    "desk_statements",
    Statement,
    rules=("PRIMARY KEY (plan_id, at)",),
    indexes=("CREATE INDEX desk_statements_by_time ON desk_statements (at)",),
)


@dataclass(frozen=True, slots=True)
class BookOpening:
    """The last fill and order before the opening balance, and its moment as the ledger writes it."""

    after_fill: int
    after_order: int
    noted_at: str


@dataclass(frozen=True, slots=True)
class Balance:
    """Cash in dollars, and shares by symbol without the empty ones."""

    cash: Decimal
    holdings: dict[str, Decimal]


class BookRecords:
    """The book in the ledger. Every method joins the caller's transaction."""

    def __init__(self, database: Database, orders: OrderRecords) -> None:
        self._db = database
        self._orders = orders

    def has_opening(self) -> bool:
        """Return whether the book has an opening balance."""
        return self._find_opening() is not None

    def _find_opening(self) -> BookOpening | None:
        found = self._db.row(_OPENING)
        return None if found is None else BookOpening(**dict(found))

    def add(self, entries: Iterable[AccountEntry]) -> None:
        """Add entries. An activity that is in the book already changes nothing."""
        after = {"after_fill": self._last("desk_fills"), "after_order": self._last("desk_orders")}
        for entry in entries:
            conflict = "(activity_id, symbol) WHERE activity_id <> '' DO NOTHING"
            BOOKINGS.insert(self._db, entry, conflict, **after)

    def balance(self) -> Balance:
        """Return the account's cash and shares by the book. Raises LookupError before the opening.

        A fill from before the opening is in its balance, even if the ledger learns of it later.
        """
        opening, start = self._find_opening(), self.last_statement()
        if opening is None:
            raise LookupError("the book has no opening balance")
        cash, holdings = (ZERO, {}) if start is None else (start.book_cash, read_holdings(start))
        first_entry, first_fill = (0, opening.after_fill) if start is None else (start.last_entry, start.last_fill)
        for entry in BOOKINGS.find(self._db, "id > ?", first_entry):
            cash += entry.cash
            holdings[entry.symbol] = holdings.get(entry.symbol, ZERO) + entry.qty
        for record in self._drop_included(self._orders.fills_after(first_fill), opening):
            shares = measure_effect(record)
            cash -= shares * record.fill.price
            holdings[record.symbol] = holdings.get(record.symbol, ZERO) + shares
        return Balance(cash, {symbol: qty for symbol, qty in holdings.items() if symbol and qty})

    def _drop_included(self, fills: Sequence[FillRecord], opening: BookOpening) -> list[FillRecord]:
        """Return fills without those in the opening balance already, of orders that the ledger learned of later."""
        early = {record.fill.order_id for record in fills if iso(record.fill.filled_at) <= opening.noted_at}
        orders = self._orders.find_by_ids(early) if early else {}
        known = {row for row, order in orders.items() if row <= opening.after_order or is_adopted(order)}
        return [r for r in fills if r.fill.order_id not in known or iso(r.fill.filled_at) > opening.noted_at]

    def find_known(self, activity_ids: Sequence[str]) -> set[str]:
        """Return those of some activities that are in the book."""
        condition = f"activity_id IN ({marks(activity_ids)}) AND activity_id <> ''"
        return {entry.activity_id for entry in BOOKINGS.find(self._db, condition, *activity_ids)}

    def find_accepted(self, cash: Decimal) -> AccountEntry | None:
        """Return an amount of cash that a person accepted and nothing has explained yet, or None."""
        found = BOOKINGS.find(self._db, f"kind IN {_BY_PERSONS} AND symbol = ''", order="id")
        explained = [-b.cash for b in found if b.kind is EntryKind.EXPLAINED]
        for booking in found:
            if booking.kind is EntryKind.ACCEPTED and booking.cash == cash:
                if cash not in explained:
                    return booking
                explained.remove(cash)
        return None

    def last_noted(self) -> datetime | None:
        """Return the moment of the last booking, or None."""
        last = BOOKINGS.first(self._db, f"id = ({_LAST})")
        return None if last is None else last.noted_at

    def count_fills(self) -> int:
        """Return the number of fills in the book: each may be rounded."""
        row = self._db.row(
            "SELECT count(*) AS fills FROM desk_fills "  # noqa: S608 - our own names
            f"WHERE id > (SELECT after_fill FROM desk_bookings WHERE id = ({_FIRST}))"
        )
        return 0 if row is None else int(row["fills"])

    def find_entry_price(self, symbol: str, before: datetime) -> Decimal | None:
        """Return the average cost of the shares held before a moment, in dollars a share, None if unknown."""
        opening = BOOKINGS.first(self._db, f"{_OF_OPENING} AND symbol = ?", symbol)
        start = (ZERO, None) if opening is None else (opening.qty, opening.price)
        moved = BOOKINGS.find(self._db, f"symbol = ? AND kind IN {_MOVED} AND noted_at < ?", symbol, before, order="id")
        return average_cost(start, self._orders.fills_of(symbol, before), moved)

    def find_of_symbol(self, symbol: str) -> list[AccountEntry]:
        """Return the entries of a symbol, its opening included, oldest first."""
        return BOOKINGS.find(self._db, "symbol = ?", symbol, order="id")

    def list_all(self) -> list[AccountEntry]:
        """Return every entry, the opening included, oldest first."""
        return BOOKINGS.find(self._db, "1 = 1", order="id")

    def list_fills(self) -> list[FillRecord]:
        """Return the fills that are not in the opening balance, oldest first; without an opening all of them."""
        opening = self._find_opening()
        if opening is None:
            return self._orders.fills_after(0)
        return self._drop_included(self._orders.fills_after(opening.after_fill), opening)

    def find_split(self, symbol: str, since: datetime) -> AccountEntry | None:
        """Return the newest split of a symbol booked since a moment, or None."""
        condition = f"symbol = ? AND kind = '{EntryKind.SPLIT}' AND qty <> '0' AND noted_at >= ?"
        return BOOKINGS.first(self._db, condition, symbol, since, order="id DESC")

    def sum_foreign(self, symbol: str, since: datetime) -> Decimal:
        """Return somebody else's purchases less sales of a symbol, in shares booked since a moment."""
        condition = f"symbol = ? AND kind = '{EntryKind.FOREIGN_TRADE}' AND noted_at >= ?"
        return sum((entry.qty for entry in BOOKINGS.find(self._db, condition, symbol, since)), ZERO)

    def find_moved(self) -> list[AccountEntry]:
        """Return the splits and renames since the last statement that gave shares to a symbol, oldest first."""
        last = self.last_statement()
        found = BOOKINGS.find(
            self._db, f"kind IN {_MOVED} AND id > ?", 0 if last is None else last.last_entry, order="id"
        )
        return [entry for entry in found if entry.qty]

    def measure_fees(self, since: datetime) -> Decimal | None:
        """Return the fees booked since a moment as a share of the dollars traded, None if nothing was traded."""
        traded = sum((r.fill.qty * r.fill.price for r in self._orders.fills_since(since)), ZERO)
        fees = BOOKINGS.find(self._db, "kind = ? AND noted_at >= ?", EntryKind.FEE, since)
        return -sum((entry.cash for entry in fees), ZERO) / traded if traded else None

    # --- differences ---

    def set_differences(self, found: Iterable[AccountDifference]) -> None:
        """Replace the unexplained differences. The same ones again change nothing."""
        found = sorted(found, key=lambda difference: difference.symbol)
        if found == self.differences():
            return
        self._db.execute("DELETE FROM desk_differences")
        for difference in found:
            DIFFERENCES.insert(self._db, difference)

    def differences(self) -> list[AccountDifference]:
        """Return the unexplained differences; cash, without a symbol, comes first."""
        return DIFFERENCES.find(self._db, "1 = 1", order="symbol")

    # --- statements ---

    def close(self, plan_id: str, at: datetime, cash: Decimal) -> None:
        """Record the account at the end of a run. Without an opening balance nothing is recorded."""
        if not self.has_opening():
            return
        book = self.balance()
        holdings = {symbol: plain(qty) for symbol, qty in book.holdings.items()}
        last = Statement(plan_id, at, cash, book.cash, holdings, self._last("desk_bookings"), self._last("desk_fills"))
        STATEMENTS.insert(self._db, last, "DO NOTHING")

    def last_statement(self, before: datetime | None = None) -> Statement | None:
        """Return the last statement, or the last before a moment."""
        newest = "at = (SELECT max(at) FROM desk_statements)"
        if before is not None:
            return STATEMENTS.first(self._db, "at < ?", before, order="at DESC")
        return STATEMENTS.first(self._db, newest)

    def find_statement(self, plan_id: str) -> Statement | None:
        """Return the last statement of a plan's execution, or None."""
        return STATEMENTS.first(self._db, "plan_id = ?", plan_id, order="at DESC")

    def sum_in_run(self, run: ExecutionRecord) -> Decimal:
        """Return the dollars booked in a run's time, without trading fees: the run counts those itself."""
        return sum((entry.cash for entry in self.find_in_run(run)), ZERO)

    def find_in_run(self, run: ExecutionRecord) -> list[AccountEntry]:
        """Return the entries of a run's time without trading fees, oldest first."""
        condition = "noted_at > ? AND kind NOT IN (?, ?)"
        found = BOOKINGS.find(self._db, condition, run.started_at, *_NOT_OF_A_RUN, order="noted_at, id")
        return [entry for entry in found if run.is_running_at(entry.noted_at)]

    def bookings_after(self, start: Statement) -> list[AccountEntry]:
        """Return the bookings after a statement, oldest first."""
        return BOOKINGS.find(self._db, "id > ?", start.last_entry, order="id")

    def fills_after(self, start: Statement) -> list[FillRecord]:
        """Return the fills after a statement, oldest first."""
        return self._orders.fills_after(start.last_fill)

    def _last(self, table: str) -> int:
        row = self._db.row(f"SELECT coalesce(max(id), 0) AS last FROM {table}")  # noqa: S608 - our own names
        return 0 if row is None else int(row["last"])


def read_holdings(statement: Statement) -> dict[str, Decimal]:
    """Return the shares of a statement's book, by symbol."""
    return {symbol: Decimal(qty) for symbol, qty in statement.holdings.items()}


def measure_effect(record: FillRecord) -> Decimal:
    """Return the shares of a fill with the sign of their effect on a holding."""
    return record.fill.qty if record.side is Side.BUY else -record.fill.qty


def average_cost(
    start: tuple[Decimal, Decimal | None], fills: Iterable[FillRecord], moved: Iterable[AccountEntry] = ()
) -> Decimal | None:
    """Return the average cost of a holding in dollars a share, None if unknown.

    `start` is its opening, shares and price; a SELL takes shares at the average, as the broker's entry price does.
    `moved` are splits, with the average after them, and renames.
    """
    cost = RunningCost(*start)
    events: list[tuple[datetime, Decimal, Decimal | None, bool]]
    events = [(r.fill.filled_at, measure_effect(r), r.fill.price, False) for r in fills]
    events += [(e.noted_at, e.qty, e.price, e.kind is EntryKind.SPLIT) for e in moved]
    for _, shares, price, is_split in sorted(events, key=lambda event: event[0]):
        (cost.split if is_split else cost.trade)(shares, price)
    return cost.price
