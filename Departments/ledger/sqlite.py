"""One SQLite file, opened safely: write-ahead log, full durability, patient with other writers.

A file of another version is refused, never guessed at.
"""

from __future__ import annotations

import sqlite3
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

from Departments.core.errors import DepartmentsError, LedgerBusy, LedgerError
from Departments.core.logs import make_logger
from Departments.core.platform.disk_trouble import describe_database, disk_error, find_mend
from Departments.core.platform.rights import PRIVATE, Rights, provide_file
from Departments.core.platform.steps import Step, announce, no_step
from Departments.ledger.database import Words
from Departments.ledger.generations import NUMBER, GenerationMark
from Departments.ledger.tables import Table

logger = make_logger(__name__)

#: The version of the tables, and the oldest one that can be converted to it.
VERSION = 18
OLDEST = 10
WORDS = Words(
    text="TEXT", whole="INTEGER", data="BLOB", identity="INTEGER PRIMARY KEY", clustered=" WITHOUT ROWID"
)  # https://www.sqlite.org/withoutrowid.html
JOINED: AbstractContextManager[None] = nullcontext()
#: What reading raises. Of a damaged file SQLite's own words may be bytes that are no text.
UNUSABLE = (sqlite3.DatabaseError, UnicodeDecodeError)
BUSY_SECONDS = 30.0
SHORT_SECONDS = 1.0  # the wait of programs that only look
#: SQLite flushes every commit before it returns (https://www.sqlite.org/pragma.html#pragma_synchronous).
DURABLE = "PRAGMA synchronous = FULL"
#: The length of the write-ahead log in pages: a commit into a log that does not grow is one flush, into one that grows
#: two. SQLite's own choice is 1,000
#: (https://www.sqlite.org/pragma.html#pragma_wal_autocheckpoint).
LOG_PAGES = 200
#: How many statements stay prepared: a day has some 250 different ones, and Python keeps 128
#: (https://docs.python.org/3/library/sqlite3.html#sqlite3.connect).
STATEMENTS = 512
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_DAMAGED = "put a copy of the ledger in its place, or move it away and see `departments reconcile`"
#: The mend of an unusable file by SQLite's primary result code (sqlite.org/rescode.html).
_MENDS = {
    sqlite3.SQLITE_CANTOPEN: "correct the path or its rights and run the same command again",
    sqlite3.SQLITE_ERROR: _DAMAGED,  # a table or a column is missing
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
}
_CHECK = "check its disk and run the same command again"


class SqliteDatabase:
    """A connection with nested transactions. One instance serves one thread at a time.

    It creates `tables` in a new file. `convert` brings an older ledger of a version up to this one, in one
    transaction. Garbage collection closes it too: nobody closes the departments of scripts.
    """

    def __init__(
        self,
        path: Path,
        tables: Sequence[Table[Any]],
        *,
        step: Step = no_step,
        busy_seconds: float = BUSY_SECONDS,
        rights: Rights = PRIVATE,
        convert: Callable[[SqliteDatabase, int], None] | None = None,
        unfinished: str = "",
    ) -> None:
        self.path = path
        self._step = step
        self._convert = convert
        self._is_open = False
        self._changes = 0  # before the open transaction
        self._ahead: dict[str, Callable[[], None]] = {}
        self._mark = GenerationMark(path, rights, unfinished)
        self._mark.check(query_read_only)  # before a connection of ours writes the log into its file
        provide_file(path, rights)  # its log and its index get the rights of the file from SQLite
        try:
            self._connection = sqlite3.connect(
                path, timeout=busy_seconds, isolation_level=None, check_same_thread=False, cached_statements=STATEMENTS
            )
        except UNUSABLE as error:
            raise _ledger_error(self.path, error) from error
        self._close = weakref.finalize(self, self._connection.close)
        self._connection.row_factory = sqlite3.Row
        try:
            self._prepare(tables)
        except BaseException:
            self.close()
            raise

    def _prepare(self, tables: Sequence[Table[Any]]) -> None:
        self._choose_journal()
        self.execute(DURABLE)
        self.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
        self._create(tables)
        self.execute("PRAGMA foreign_keys = ON")  # only now: a conversion rebuilds tables

    def _choose_journal(self) -> None:
        """Use a write-ahead log. Tells it of a database that had none: a copy without its log lacks commits then."""
        mode, used = self.row("PRAGMA journal_mode"), self.row("SELECT 1 FROM sqlite_master LIMIT 1")
        if mode is not None and mode[0] != "wal" and used is not None:
            logger.info("%s now has a write-ahead log beside it (-wal, -shm): copy all of them, or none", self.path)
        self.execute("PRAGMA journal_mode = WAL")

    def close(self) -> None:
        """Write the log into the file, as far as nobody else reads it, and close the file."""
        with suppress(*UNUSABLE):
            self._connection.execute("PRAGMA busy_timeout = 0")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._close()

    def transaction(self, *, durable: bool = True) -> AbstractContextManager[None]:
        """Commit everything inside together; an inner transaction joins the outer one.

        Without `durable` there is no flush: a power cut may take the commit, a kill does not. Raises LedgerBusy if the
        file stays locked, LedgerError for any other error of SQLite.
        """
        if self._is_open:
            return JOINED
        return _Transaction(self) if durable else self._commit_relaxed()

    def before_commit(self, name: str, work: Callable[[], None]) -> None:
        """Do the work `name` once, at the end of the open transaction; at once outside of one."""
        if self._is_open:
            self._ahead[name] = work
        else:
            work()

    @contextmanager
    def _commit_relaxed(self) -> Iterator[None]:
        self.execute("PRAGMA synchronous = NORMAL")
        try:
            with _Transaction(self, durable=False):
                yield
        finally:
            self.execute(DURABLE)

    def begin(self) -> None:
        """Begin a transaction, as the one writer."""
        self.execute("BEGIN IMMEDIATE")
        self._is_open = True
        self._changes = self._connection.total_changes
        self._ahead.clear()

    def commit(self, *, durable: bool) -> None:
        """Commit the transaction, a durable one as a generation of its own unless it changed nothing."""
        for work in self._ahead.values():
            work()
        if durable and self._connection.total_changes != self._changes:
            generation = int(self._run(NUMBER, ()).fetchone()[0]) + 1
            self.execute(f"{NUMBER} = {generation}")
            self._mark.write(generation)
        with announce(self._step, "ledger.commit" if durable else "ledger.note"):
            self.execute("COMMIT")
        self._is_open = False

    def roll_back(self) -> None:
        """Undo the transaction."""
        self._is_open = False
        if self._connection.in_transaction:
            self.execute("ROLLBACK")

    def execute(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run one statement and return the number of changed rows. Raises LedgerBusy or LedgerError."""
        try:
            return self._connection.execute(sql, values).rowcount
        except UNUSABLE as error:
            raise _ledger_error(self.path, error) from error

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Return every row of a query."""
        try:
            return self._run(sql, values).fetchall()
        except UNUSABLE as error:
            raise _ledger_error(self.path, error) from error

    def row(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Row | None:
        """Return the first row of a query, or None."""
        found = self.rows(sql, values)
        return found[0] if found else None

    def columns(self, source: str) -> list[str]:
        """Return the names of the columns of a table or a query."""
        return [column[0] for column in self._run(f"SELECT * FROM {source} LIMIT 0", ()).description]  # noqa: S608 - our names

    def describe_damage(self, problem: str) -> LedgerError:
        """Return the error of content that cannot be read, with the mend."""
        return describe_damage(self.path, problem)

    def _run(self, sql: str, values: Sequence[Any]) -> sqlite3.Cursor:
        try:
            return self._connection.execute(sql, values)
        except UNUSABLE as error:
            raise _ledger_error(self.path, error) from error

    def _create(self, tables: Sequence[Table[Any]]) -> None:
        """Create the tables of an empty ledger. Raises LedgerError for a ledger of another version."""
        if self._read_version() == 0:
            with self.transaction():
                if self._read_version() == 0:  # another process may have created them meanwhile
                    for statement in (each for table in tables for each in table.statements(WORDS)):
                        self.execute(statement)
                    self.execute("UPDATE ledger_version SET version = ?", (VERSION,))
        version = self._read_version()
        if self._convert is not None and OLDEST <= version < VERSION:
            with self.transaction():
                self._convert(self, version)
                self.execute("UPDATE ledger_version SET version = ?", (VERSION,))
            version = VERSION
        if version != VERSION:
            raise LedgerError(f"{self.path}: the ledger is of version {version}, {_write_mend(version)}")

    def _read_version(self) -> int:
        self.execute("CREATE TABLE IF NOT EXISTS ledger_version (version INTEGER NOT NULL)")
        found = self.row("SELECT version FROM ledger_version")
        if found is None:
            self.execute("INSERT INTO ledger_version SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM ledger_version)")
            return 0
        if not isinstance(found["version"], int):
            raise self.describe_damage(f"its version is {found['version']!r:.40}")
        return int(found["version"])


class _Transaction(AbstractContextManager[None]):
    """The outermost transaction of a database."""

    def __init__(self, database: SqliteDatabase, *, durable: bool = True) -> None:
        self._database = database
        self._is_durable = durable

    def __enter__(self) -> None:
        self._database.begin()

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self._database.roll_back()
            return
        try:
            self._database.commit(durable=self._is_durable)
        except BaseException:
            self._database.roll_back()
            raise


def _write_mend(version: int) -> str:
    if version > VERSION:
        return f"newer than this program knows ({VERSION}); update the program."
    if version >= OLDEST:
        return f"older than this program reads ({VERSION}); convert it by `departments migrate` with --apply."
    return f"older than this program reads ({VERSION}); move it away and see `departments reconcile`."


def _code_of(error: sqlite3.DatabaseError | UnicodeDecodeError) -> int:
    if isinstance(error, UnicodeDecodeError):
        return sqlite3.SQLITE_CORRUPT
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def describe_damage(path: Path, problem: str) -> LedgerError:
    """Return the error of content that SQLite reads and we cannot."""
    return LedgerError(f"{path}: the ledger is damaged: {problem}; {_DAMAGED}.")


def _ledger_error(path: Path, error: sqlite3.DatabaseError | UnicodeDecodeError) -> DepartmentsError:
    code = _code_of(error)
    if code in _BUSY:
        return LedgerBusy(
            f"{path}: the ledger is locked by another process; close what uses it and run the same command again."
        )
    problem = f"the ledger cannot be used ({describe_database(error)})"
    mend = find_mend(error, path)
    if mend is not None:
        return disk_error(path, problem, mend)
    return LedgerError(f"{path}: {problem}; {_MENDS.get(code, _CHECK)}.")


def query_read_only(path: Path, sql: str, *, immutable: bool = False) -> list[Any]:
    """Return the rows of a query and change nothing; none without a readable file and its tables.

    An `immutable` file is read without its write-ahead log (https://www.sqlite.org/uri.html#uriimmutable).
    """
    try:
        return _query(path, sql, immutable=immutable)
    except (sqlite3.Error, UnicodeDecodeError):
        return []


def query_existing(path: Path, sql: str, patience: float = BUSY_SECONDS) -> list[Any]:
    """Return the rows of a query and change nothing. Raises LedgerError, DiskError for a file that cannot be read.

    A reader of a file in WAL mode makes files beside it. Where none can be made and none is there, nobody writes:
    the file is read as it is. https://www.sqlite.org/wal.html#read_only_databases
    """
    try:
        return _query(path, sql, patience=patience)
    except UNUSABLE as error:
        if (
            path.with_name(f"{path.name}-wal").exists()
            or getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_CANTOPEN
        ):
            raise _ledger_error(path, error) from error
    try:
        return _query(path, sql, immutable=True)
    except UNUSABLE as error:
        raise _ledger_error(path, error) from error


def _query(path: Path, sql: str, *, immutable: bool = False, patience: float = BUSY_SECONDS) -> list[Any]:
    uri = address(path.absolute(), "ro&immutable=1" if immutable else "ro")
    with closing(sqlite3.connect(uri, uri=True, timeout=patience)) as connection:
        return connection.execute(sql).fetchall()


def address(path: PurePath, mode: str) -> str:
    """Return the URI of a database for SQLite: it takes no server's name, and the long form keeps its backslashes.

    https://www.sqlite.org/uri.html
    """
    is_named_apart = str(path).startswith("\\\\")  # a network share, or Windows' long form
    return f"file:{quote(str(path), safe='') if is_named_apart else path.as_uri()[5:]}?mode={mode}"


def copy_database(source: Path, target: Path) -> None:
    """Copy a database as of one moment into a new file, also beside writers. Raises LedgerError, DiskError.

    https://www.sqlite.org/backup.html
    """
    try:
        with (
            closing(sqlite3.connect(address(source.absolute(), "rw"), uri=True, timeout=BUSY_SECONDS)) as old,
            closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new)
            new.execute("PRAGMA journal_mode = DELETE")
    except UNUSABLE as error:
        raise _ledger_error(source, error) from error


def check_unlocked(path: Path) -> None:
    """Raise LedgerBusy while another program writes a database, LedgerError if it cannot be used."""
    try:
        with closing(sqlite3.connect(address(path.absolute(), "rw"), uri=True, timeout=SHORT_SECONDS)) as opened:
            opened.execute("BEGIN EXCLUSIVE")
            opened.execute("ROLLBACK")
    except UNUSABLE as error:
        raise _ledger_error(path, error) from error


def set_journal(path: Path, mode: str) -> None:
    """Give a database another way of keeping its journal, such as `delete`. Raises LedgerBusy, LedgerError."""
    try:
        with closing(sqlite3.connect(address(path.absolute(), "rw"), uri=True, timeout=SHORT_SECONDS)) as opened:
            opened.execute(f"PRAGMA journal_mode = {mode}")
    except UNUSABLE as error:
        raise _ledger_error(path, error) from error


def look_into(path: Path, sql: str) -> list[Any]:
    """Return the rows of a query on a database of anybody. Raises LedgerBusy at once while somebody writes it."""
    return query_existing(path, sql, SHORT_SECONDS)
