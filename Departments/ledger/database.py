"""The port to a database engine. Its SQL is the common subset of SQLite and PostgreSQL.

`?` marks a value. Upserts are `ON CONFLICT`, an order always names its columns, and comparisons of numbers kept as
text are through `CAST … AS NUMERIC`. `Words` holds the spellings of an engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from Departments.core.errors import LedgerError


class FoundRow(Protocol):
    """One row of a query: values by position or by column name."""

    def __getitem__(self, key: int | str, /) -> Any:
        """Return one value."""

    def __iter__(self) -> Iterator[Any]:
        """Yield the values in the order of the query."""

    def __len__(self) -> int:
        """Return the number of values."""


@dataclass(frozen=True, slots=True)
class Words:
    """An engine's spelling of the types of columns.

    `identity` is a whole number counted by the engine. `clustered` ends a table with rows in the order of their key; it
    is empty for an engine without such tables.
    """

    text: str
    whole: str
    data: str
    identity: str
    clustered: str


class Damageable(Protocol):
    """What holds rows, and names itself where one of them cannot be read."""

    def describe_damage(self, problem: str) -> LedgerError:
        """Return the error of content that cannot be read, with the mend."""


class Database(Damageable, Protocol):
    """One open database with nested transactions; every method raises LedgerBusy or LedgerError."""

    def transaction(self, *, durable: bool = True) -> AbstractContextManager[None]:
        """Commit everything inside together; an inner transaction joins the outer one.

        Without `durable` a power cut may take the commit; a kill does not.
        """

    def execute(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run one statement and return the number of changed rows."""

    def rows(self, sql: str, values: Sequence[Any] = ()) -> Sequence[FoundRow]:
        """Return every row of a query."""

    def row(self, sql: str, values: Sequence[Any] = ()) -> FoundRow | None:
        """Return the first row of a query, or None."""

    def close(self) -> None:
        """Close the database."""
