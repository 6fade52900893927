"""The exchange's own SQLite file. Acknowledgements survive a kill (write-ahead log, synchronous FULL).

Decimals and moments are TEXT; moments are UTC of a fixed width, so they sort.
"""

from __future__ import annotations

import sqlite3
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeVar

from Departments.core.errors import BadInput, BrokerUnavailable, DepartmentsError
from Departments.core.moments import parse_iso, stamp
from Departments.core.money import plain
from Departments.core.platform import files
from Departments.core.platform.disk_trouble import describe_database, disk_error, find_mend, raise_for_disk
from Departments.core.platform.rights import PRIVATE, Rights, make_folder, provide_file
from Departments.core.platform.steps import Step, announce, no_step

Value = TypeVar("Value")

VERSION: Final = 2
APPLICATION: Final = 0x45584348  # "EXCH": marks the exchange's file among SQLite files
BUSY_SECONDS: Final = 30.0
SCHEMA: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE positions (symbol TEXT PRIMARY KEY, qty TEXT NOT NULL, avg_entry_price TEXT NOT NULL);
CREATE TABLE prices (symbol TEXT NOT NULL, at TEXT NOT NULL, price TEXT NOT NULL, PRIMARY KEY (symbol, at));
CREATE TABLE halts (symbol TEXT PRIMARY KEY, until TEXT);
CREATE TABLE fault_counts (entry INTEGER PRIMARY KEY, seen INTEGER NOT NULL);
CREATE TABLE adjustments (seq INTEGER PRIMARY KEY, at TEXT NOT NULL, symbol TEXT NOT NULL, qty TEXT NOT NULL,
    cash TEXT NOT NULL);
CREATE TABLE orders (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, client_order_id TEXT NOT NULL UNIQUE, "group" TEXT NOT NULL,
    role TEXT NOT NULL, symbol TEXT NOT NULL, side TEXT NOT NULL, qty TEXT NOT NULL, type TEXT NOT NULL,
    time_in_force TEXT NOT NULL, order_class TEXT NOT NULL, status TEXT NOT NULL, submitted_at TEXT NOT NULL,
    updated_at TEXT NOT NULL, visible_at TEXT, limit_price TEXT, stop_price TEXT,
    filled_qty TEXT NOT NULL, filled_value TEXT NOT NULL, filled_at TEXT, expires_at TEXT, next_at TEXT,
    cancel_at TEXT, "limit" TEXT, reserve TEXT NOT NULL, chunk TEXT, pause TEXT, cash_lag TEXT NOT NULL,
    live INTEGER NOT NULL, triggered INTEGER NOT NULL, silent INTEGER NOT NULL, forced INTEGER NOT NULL,
    doomed INTEGER NOT NULL, due_at TEXT, is_open INTEGER NOT NULL
);
CREATE INDEX orders_due ON orders (due_at, seq) WHERE due_at IS NOT NULL;
CREATE INDEX orders_open ON orders (is_open, symbol) WHERE is_open = 1;
CREATE INDEX orders_open_sides ON orders (is_open, side) WHERE is_open = 1;
CREATE INDEX orders_submitted ON orders (submitted_at);
CREATE INDEX orders_group ON orders ("group");
CREATE TABLE fills (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, order_id TEXT NOT NULL REFERENCES orders (id),
    client_order_id TEXT NOT NULL, symbol TEXT NOT NULL, side TEXT NOT NULL, qty TEXT NOT NULL,
    price TEXT NOT NULL, fee TEXT NOT NULL, at TEXT NOT NULL, cash_at TEXT, settles_on TEXT
);
CREATE INDEX fills_late ON fills (cash_at) WHERE cash_at IS NOT NULL;
CREATE INDEX fills_unsettled ON fills (settles_on) WHERE settles_on IS NOT NULL
"""
#: What version 2 added. Columns and tables are only added, never renamed, so an older file opens.
SINCE_2: Final = """
ALTER TABLE orders ADD COLUMN trail_price TEXT;
ALTER TABLE orders ADD COLUMN trail_percent TEXT;
ALTER TABLE orders ADD COLUMN best_price TEXT;
ALTER TABLE orders ADD COLUMN replaces TEXT;
ALTER TABLE orders ADD COLUMN replaced_by TEXT;
ALTER TABLE orders ADD COLUMN notional TEXT;
CREATE TABLE activities (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, word TEXT NOT NULL, at TEXT NOT NULL,
    day TEXT NOT NULL, cash TEXT NOT NULL, symbol TEXT NOT NULL, qty TEXT, price TEXT, ratio TEXT,
    new_symbol TEXT NOT NULL, description TEXT NOT NULL
);
CREATE INDEX activities_at ON activities (at);
CREATE INDEX fills_at ON fills (at);
CREATE TABLE events (seq INTEGER PRIMARY KEY, due_at TEXT NOT NULL, event TEXT NOT NULL);
CREATE INDEX events_due ON events (due_at, seq);
CREATE TABLE listings (symbol TEXT PRIMARY KEY, at TEXT NOT NULL, price TEXT NOT NULL);
CREATE TABLE renames (symbol TEXT PRIMARY KEY, at TEXT NOT NULL, new_symbol TEXT NOT NULL, origin TEXT NOT NULL);
CREATE TABLE splits (symbol TEXT NOT NULL, at TEXT NOT NULL, ratio TEXT NOT NULL);
CREATE TABLE recorded_bars (
    symbol TEXT NOT NULL, day TEXT NOT NULL, open TEXT NOT NULL, high TEXT NOT NULL, low TEXT NOT NULL,
    close TEXT NOT NULL, volume TEXT NOT NULL, PRIMARY KEY (symbol, day)
);
CREATE TABLE foreign_orders (
    id TEXT PRIMARY KEY, client_order_id TEXT NOT NULL, kind TEXT NOT NULL, symbol TEXT NOT NULL, promised TEXT,
    problem TEXT NOT NULL
);
CREATE TABLE foreign_positions (
    symbol TEXT PRIMARY KEY, kind TEXT NOT NULL, market_value TEXT, problem TEXT NOT NULL
);
CREATE TABLE fault_scripts (script TEXT PRIMARY KEY, first_entry INTEGER NOT NULL, entries INTEGER NOT NULL)
"""
#: What reading raises. Of a damaged file SQLite's own words may be bytes that are no text.
UNUSABLE: Final = (sqlite3.Error, UnicodeDecodeError)


def retire_file(path: Path, now: datetime) -> Path:
    """Put an exchange's file away under a dated name, and return its new path. Raises BadInput if it is in use."""
    kept = path.with_name(f"{path.stem}.{stamp(now)}{path.suffix}")
    number = 2
    while kept.exists():
        kept, number = path.with_name(f"{path.stem}.{stamp(now)}-{number}{path.suffix}"), number + 1
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.execute("PRAGMA journal_mode = DELETE")  # fails while another program has the file open
        files.rename(path, kept)
    except (OSError, *UNUSABLE) as error:
        raise_for_disk(error, path)
        raise BadInput(
            path, "", f"cannot be put away ({describe_database(error)})", "end the program that uses it"
        ) from error
    return kept


def find_last_moment(path: Path) -> datetime | None:
    """Return the moment of the last order, fill or booking in a file, or of its seed. None for an unreadable file."""
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
            tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
            columns = (("orders", "updated_at"), ("fills", "at"), ("adjustments", "at"), ("activities", "at"))
            known = [f"SELECT max({column}) FROM {table}" for table, column in columns if table in tables]  # noqa: S608
            sql = " UNION ALL ".join([*known, "SELECT value FROM meta WHERE key = 'started_at'"])
            found = [parse_iso(row[0]) for row in connection.execute(sql) if row[0]]
    except (*UNUSABLE, TypeError, ValueError):
        return None
    return max(found, default=None)


def count_ending(path: Path, now: datetime) -> int:
    """Return how many open orders of a file expire until `now`. 0 for an unreadable file."""
    sql = "SELECT count(*) FROM orders WHERE is_open = 1 AND expires_at <= ?"
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
            return int(connection.execute(sql, (encode(now),)).fetchone()[0])
    except UNUSABLE:
        return 0


def encode(value: Any) -> Any:
    """Convert a value for SQLite."""
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return int(value) if isinstance(value, bool) else value


class ExchangeFile:
    """A connection with nested transactions. One instance serves one thread. Garbage collection closes it too."""

    def __init__(self, path: Path, *, step: Step = no_step, rights: Rights = PRIVATE) -> None:
        self.path = path
        self._step = step
        self._inside = False
        self.edits = 0
        self._read: dict[str, tuple[tuple[int, int], Any]] = {}
        try:
            make_folder(path.parent, rights)
            provide_file(path, rights)
            self._connection = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._close = weakref.finalize(self, self._connection.close)
            self._prepare()
        except (OSError, *UNUSABLE) as error:
            raise self._opening_error(error) from error

    def _opening_error(self, error: Exception) -> DepartmentsError:
        problem = f"the exchange's file cannot be used ({describe_database(error)})"
        mend = find_mend(error, self.path)
        if mend is not None:
            return disk_error(self.path, problem, mend)
        return BadInput(self.path, "", problem, "put a copy of it in its place, or move it away")

    def _prepare(self) -> None:
        self._connection.row_factory = sqlite3.Row
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._refuse_foreign()
        except BaseException:
            self.close()
            raise

    def _refuse_foreign(self) -> None:
        used = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        ours = self._connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION
        if used and not ours:
            raise BadInput(self.path, "", "is a database, but not the exchange's", "move it away")
        if self._connection.execute("PRAGMA user_version").fetchone()[0] > VERSION:
            raise BadInput(self.path, "", "was written by a newer version of this program", "update the program")

    @property
    def is_new(self) -> bool:
        """Return whether the file was never seeded."""
        return bool(self._scalar("PRAGMA user_version") == 0)

    def create(self) -> None:
        """Create the tables, inside the caller's transaction."""
        self._run(SCHEMA)
        self.execute(f"PRAGMA application_id = {APPLICATION}")
        self._extend()

    @property
    def is_old(self) -> bool:
        """Return whether an older version of this program wrote the file."""
        return 0 < int(self._scalar("PRAGMA user_version")) < VERSION

    def upgrade(self) -> None:
        """Add the columns and tables of this version, inside the caller's transaction."""
        self._extend()

    def _extend(self) -> None:
        self._run(SINCE_2)
        self.execute(f"PRAGMA user_version = {VERSION}")

    def _run(self, statements: str) -> None:
        for statement in statements.split(";\n"):
            self.execute(statement)

    @contextmanager
    def transaction(self, label: str = "") -> Iterator[None]:
        """Commit everything inside together, announced as `label`, if given; an inner transaction joins."""
        if self._inside:
            yield
            return
        self.execute("BEGIN IMMEDIATE")
        self._inside = True
        try:
            yield
            with announce(self._step if label else no_step, label):
                self.execute("COMMIT")
        except BaseException:
            self.edits += 1
            if self._connection.in_transaction:
                with suppress(*UNUSABLE):  # of a disk in trouble: the journal undoes it at the next opening
                    self._connection.execute("ROLLBACK")
            raise
        finally:
            self._inside = False

    def execute(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run one statement. Raises DiskError for trouble with the disk, BrokerUnavailable for any other."""
        with self._answering():
            return self._connection.execute(sql, [encode(v) for v in values])

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except UNUSABLE as error:
            problem = f"the simulated exchange does not answer ({describe_database(error)})"
            mend = find_mend(error, self.path)
            if mend is not None:
                raise disk_error(self.path, problem, mend) from error
            raise BrokerUnavailable(f"{self.path}: {problem}.") from error

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Return every row of a query."""
        with self._answering():
            return self.execute(sql, values).fetchall()

    def row(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Row | None:
        """Return the first row of a query, or None."""
        with self._answering():
            found: sqlite3.Row | None = self.execute(sql, values).fetchone()
            return found

    def remember(self, name: str, read: Callable[[], Value]) -> Value:
        """Remember the result of `read` under a name until the file changes.

        https://www.sqlite.org/pragma.html#pragma_data_version counts the commits of others. Nothing is remembered
        inside a transaction: it may be undone.
        """
        if self._inside:
            return read()
        version = (int(self._scalar("PRAGMA data_version")), self._connection.total_changes)
        if name not in self._read or self._read[name][0] != version:
            self._read[name] = version, read()
        value: Value = self._read[name][1]
        return value

    def remember_rare(self, name: str, read: Callable[[], Value]) -> Value:
        """Remember the result of `read` until a rare table changes (`edit_rare`), also inside a transaction."""
        version = (int(self._scalar("PRAGMA data_version")), self.edits)
        if name not in self._read or self._read[name][0] != version:
            self._read[name] = version, read()
        value: Value = self._read[name][1]
        return value

    def edit_rare(self, sql: str, values: Sequence[Any] = ()) -> None:
        """Change a table that hardly ever changes."""
        self.edits += 1
        self.execute(sql, values)

    def meta(self, key: str) -> str:
        """Return the text under a key, empty without one."""
        return str(self._scalar("SELECT value FROM meta WHERE key = ?", key) or "")

    def set_meta(self, key: str, value: object) -> None:
        """Store a text under a key."""
        self.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def close(self) -> None:
        """Close the file."""
        self._close()

    def _scalar(self, sql: str, *values: Any) -> Any:
        row = self.row(sql, values)
        return None if row is None else row[0]
