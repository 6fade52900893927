"""What becomes of the connection to a file that cannot be used, or that nobody uses any more."""

import sqlite3
from pathlib import Path, PureWindowsPath
from typing import Any

import pytest

from Departments.core.errors import BadInput, LedgerError
from Departments.exchange.storage import ExchangeFile
from Departments.ledger.sqlite import SqliteDatabase, address


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[sqlite3.Connection]:
    """Return the connections that are made during the test."""
    found: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def noted(*arguments: Any, **options: Any) -> sqlite3.Connection:
        found.append(connect(*arguments, **options))
        return found[-1]

    monkeypatch.setattr(sqlite3, "connect", noted)
    return found


def is_closed(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("SELECT 1")
    except sqlite3.ProgrammingError:
        return True
    return False


def test_a_file_that_is_refused_is_closed_so_that_it_can_be_replaced(
    tmp_path: Path, opened: list[sqlite3.Connection]
) -> None:
    path = tmp_path / "sentinel.db"
    path.write_bytes(b"no database, but long enough to be taken for one" * 40)
    with pytest.raises(LedgerError) as kept:
        SqliteDatabase(path, [])
    with pytest.raises(BadInput) as kept_too:
        ExchangeFile(path)
    assert len(opened) >= 3
    assert all(is_closed(each) for each in opened), (kept, kept_too)


def test_a_file_that_nobody_has_any_more_is_closed(tmp_path: Path, opened: list[sqlite3.Connection]) -> None:
    database, storage = SqliteDatabase(tmp_path / "sentinel.db", []), ExchangeFile(tmp_path / "exchange.db")
    assert [is_closed(each) for each in opened] == [False, False]
    del database, storage
    assert [is_closed(each) for each in opened] == [True, True]


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("C:\\My desk\\sentinel.db", "file:///C:/My%20desk/sentinel.db?mode=ro"),
        ("\\\\?\\C:\\My desk\\sentinel.db", "file:%5C%5C%3F%5CC%3A%5CMy%20desk%5Csentinel.db?mode=ro"),
        ("\\\\server\\share\\sentinel.db", "file:%5C%5Cserver%5Cshare%5Csentinel.db?mode=ro"),
    ],
)
def test_the_uri_of_a_database_names_no_server(path: str, uri: str) -> None:
    assert address(PureWindowsPath(path), "ro") == uri
