"""The port to a database engine. SQL that passes through it is the subset that SQLite and PostgreSQL share.

Values are marked by `?`. Upserts are `ON CONFLICT`, an order is always named by columns, and numbers kept as text are
compared through `CAST … AS NUMERIC`. What an engine spells its own way is in `Words`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol


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
    """How an engine spells the types of columns.

    `identity` is a whole number that the engine counts up. `clustered` ends a table whose rows are kept in the order
    of their key; an engine without such tables leaves it empty.
    """

    text: str
    whole: str
    data: str
    identity: str
    clustered: str


class Database(Protocol):
    """One open database with nested transactions; every method raises LedgerBusy or LedgerError."""

    def transaction(self, *, durable: bool = True) -> AbstractContextManager[None]:
        """Make everything inside one commit; an inner transaction joins the outer one.

        Without `durable` a power cut may take the commit; a kill does not.
        """

    def execute(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run one statement and return the number of rows that it changed."""

    def rows(self, sql: str, values: Sequence[Any] = ()) -> Sequence[FoundRow]:
        """Return every row of a query."""

    def row(self, sql: str, values: Sequence[Any] = ()) -> FoundRow | None:
        """Return the first row of a query, or None."""

    def close(self) -> None:
        """Close the database."""
