from dataclasses import dataclass
from pathlib import Path

from Departments.ledger.sqlite import LOG_PAGES, SqliteDatabase
from Departments.ledger.tables import Table


@dataclass(frozen=True)
class Fact:
    number: int


PAGE = 4_096 + 24  # bytes of a page in the write-ahead log, its header included


def test_the_write_ahead_log_is_used_again_instead_of_growing_on(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "sentinel.db", [Table("facts", Fact)])
    for number in range(3 * LOG_PAGES):
        with database.transaction():
            database.execute("INSERT INTO facts VALUES (?)", (number,))
    size = (tmp_path / "sentinel.db-wal").stat().st_size
    database.close()
    assert size < 1.2 * LOG_PAGES * PAGE


def synchronous(database: SqliteDatabase) -> int:
    row = database.row("PRAGMA synchronous")
    assert row is not None
    return int(row[0])


FULL, NORMAL = 2, 1  # https://www.sqlite.org/pragma.html#pragma_synchronous


def test_every_commit_is_flushed_but_those_that_need_not_be_durable(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "sentinel.db", [Table("facts", Fact)])
    assert synchronous(database) == FULL
    with database.transaction():
        assert synchronous(database) == FULL
    with database.transaction(durable=False):
        assert synchronous(database) == NORMAL
        database.execute("INSERT INTO facts VALUES (1)")
    assert synchronous(database) == FULL
    database.close()


def test_a_part_of_a_durable_transaction_is_durable(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "sentinel.db", [Table("facts", Fact)])
    with database.transaction(), database.transaction(durable=False):
        assert synchronous(database) == FULL
    database.close()


def test_a_commit_that_need_not_be_durable_is_there_for_others_at_once(tmp_path: Path) -> None:
    database, other = (SqliteDatabase(tmp_path / "sentinel.db", [Table("facts", Fact)]) for _ in range(2))
    with database.transaction(durable=False):
        database.execute("INSERT INTO facts VALUES (1)")
    assert [tuple(row) for row in other.rows("SELECT number FROM facts")] == [(1,)]
    other.close()
    database.close()
