from pathlib import Path

from Departments.ledger.database import LOG_PAGES, Database

PAGE = 4_096 + 24  # bytes of a page in the write-ahead log, its header included


def test_the_write_ahead_log_is_used_again_instead_of_growing_on(tmp_path: Path) -> None:
    database = Database(tmp_path / "sentinel.db", ["CREATE TABLE facts (number INTEGER)"])
    for number in range(3 * LOG_PAGES):
        with database.transaction():
            database.execute("INSERT INTO facts VALUES (?)", (number,))
    size = (tmp_path / "sentinel.db-wal").stat().st_size
    database.close()
    assert size < 1.2 * LOG_PAGES * PAGE
