"""The tables that other tools read, kept as views; an older system's tables of those names stay readable in them."""

from __future__ import annotations

from Departments.ledger.database import Database
from Departments.ledger.schema import OLD_TABLES

OLD_PREFIX = "before_departments_"


def provide_old_tables(database: Database) -> None:
    """Create the views; a table of the same name is renamed once and its rows stay part of the view."""
    for name, query in OLD_TABLES.items():
        if _kind(database, name) != "view":
            with database.transaction():
                _provide(database, name, query)


def _provide(database: Database, name: str, query: str) -> None:
    kind = _kind(database, name)  # asked again: another process may have made the view meanwhile
    if kind == "table":
        _rename(database, name)
        _number_after_the_old_rows(database, name)
    if kind != "view":
        database.execute(f'CREATE VIEW "{name}" AS {_with_old_rows(database, name, query)}')


def _rename(database: Database, name: str) -> None:
    """Rename an older table; the older system's own views go on reading the name, and so our view of it."""
    database.execute("PRAGMA legacy_alter_table = ON")
    try:
        database.execute(f'ALTER TABLE "{name}" RENAME TO "{OLD_PREFIX}{name}"')
    finally:
        database.execute("PRAGMA legacy_alter_table = OFF")


def _with_old_rows(database: Database, name: str, query: str) -> str:
    if _kind(database, OLD_PREFIX + name) is None:
        return query
    columns = [c.split(" ")[0] for c in _columns(database, f"({query})")]
    present = {column.lower() for column in _columns(database, f'"{OLD_PREFIX}{name}"')}
    old = ", ".join(f'"{c}"' if c in present else f'NULL AS "{c}"' for c in columns)
    return f'{query} UNION ALL SELECT {old} FROM "{OLD_PREFIX}{name}"'  # noqa: S608 - names are our own constants


def _number_after_the_old_rows(database: Database, name: str) -> None:
    if name == "trading_orders" and "id" in map(str.lower, _columns(database, f'"{OLD_PREFIX}{name}"')):
        newest = f'SELECT coalesce(max(id), 0) FROM "{OLD_PREFIX}{name}"'  # noqa: S608 - names are our own constants
        database.execute(f"INSERT INTO sqlite_sequence (name, seq) VALUES ('desk_orders', ({newest}))")  # noqa: S608


def _columns(database: Database, source: str) -> list[str]:
    cursor = database.execute(f"SELECT * FROM {source} LIMIT 0")  # noqa: S608 - names are our own constants
    return [column[0] for column in cursor.description]


def _kind(database: Database, name: str) -> str | None:
    row = database.row("SELECT type FROM sqlite_master WHERE name = ? COLLATE NOCASE", (name,))
    return None if row is None else str(row["type"])
