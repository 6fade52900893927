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
