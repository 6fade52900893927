"""What is damaged in an exchange's file that SQLite still reads: a missing table, or a value of another kind."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from typing import Any, Final

from Departments.core.errors import BadInput, BrokerUnavailable
from Departments.core.moments import parse_iso
from Departments.core.platform.disk_trouble import describe_database
from Departments.exchange.book import DECODERS, read_number
from Departments.exchange.storage import BUSY_SECONDS, SCHEMA, SINCE_2, UNUSABLE

MEND: Final = "put a copy of it in its place, or move it away"
#: What a reader raises at a value of another kind, and where a table is missing.
SIGNS: Final = (BrokerUnavailable, ValueError, TypeError, ArithmeticError, LookupError)
BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_TABLES: Final = tuple(re.findall(r"CREATE TABLE (\w+)", SCHEMA + SINCE_2))
_NUMBERS: Final = (
    "avg_entry_price",
    "cash",
    "ratio",
    "market_value",
    "promised",
    "open",
    "high",
    "low",
    "close",
    "volume",
)
_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    **DECODERS,
    **dict.fromkeys(_NUMBERS, read_number),
    **dict.fromkeys(("until", "due_at", "cash_at"), parse_iso),
    "day": date.fromisoformat,
}
#: The texts under the keys of the table `meta`; of those that begin with `morning` all are there, or none.
_KEYS: Final[dict[str, Callable[[str], Any]]] = {
    "state": json.loads,
    "started_at": parse_iso,
    "cash": read_number,
    "morning_cash": read_number,
    "morning_held": json.loads,
    "morning_day": date.fromisoformat,
}
_MORNING: Final = "morning"


@contextmanager
def naming_damage(path: Path) -> Iterator[None]:
    """Raise BadInput for an error that damage to the file explains. Any other error passes."""
    try:
        yield
    except SIGNS as error:
        damage = find_damage(path)
        if damage is None:
            raise
        raise BadInput(path, "", damage, MEND) from error


def find_damage(path: Path) -> str | None:
    """Return the first damage to an exchange's file as a sentence without its mend, or None."""
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
            connection.row_factory = sqlite3.Row
            found = next((said for table in _TABLES for said in _look_at(connection, table)), None)
    except UNUSABLE as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in BUSY:
            return None
        found = describe_database(error)
    return None if found is None else f"the exchange's file is damaged ({found})"


def _look_at(connection: sqlite3.Connection, table: str) -> Iterator[str]:
    columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
    needed = {column["name"] for column in columns if column["notnull"] or column["pk"]}
    rows = connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 - our names
    for row in rows:
        for name in row.keys():  # noqa: SIM118 - a row yields its values
            if not _is_sound(_READERS.get(name), row[name], is_needed=name in needed):
                yield f"its table {table} holds {row[name]!r:.40} as {name}"
    if table == "meta":
        yield from _look_at_keys({row["key"]: row["value"] for row in rows})


def _look_at_keys(known: dict[str, str]) -> Iterator[str]:
    has_morning = any(key.startswith(_MORNING) for key in known)
    for key, read in _KEYS.items():
        if key in known and not _is_sound(read, known[key], is_needed=True):
            yield f"its {key} is {known[key]!r:.40}"
        elif key not in known and (has_morning or not key.startswith(_MORNING)):
            yield f"its {key} is missing"


def _is_sound(read: Callable[[Any], Any] | None, value: Any, *, is_needed: bool) -> bool:
    if value is None or isinstance(value, bytes):
        return value is None and not is_needed
    try:
        _ = None if read is None else read(value)
    except SIGNS:
        return False
    return True
