"""What the message bus must remember, in the ledger's file: handled ids, failed attempts, undelivered letters."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from Departments.core.clock import iso
from Departments.core.errors import MessageConflict
from Departments.ledger.database import Database
from Departments.ledger.tables import Table, marks


@dataclass(frozen=True, slots=True)
class Handled:
    """A message that was handled: what became of it, and the digest of its bytes."""

    department: str
    message_id: str
    disposition: str
    digest: str
    handled_at: datetime


@dataclass(frozen=True, slots=True)
class Failures:
    """The failed attempts at a message."""

    department: str
    message_id: str
    attempts: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Letter:
    """A message to be delivered; its `data` is kept until it has been."""

    name: str
    sender: str
    recipient: str
    digest: str
    data: bytes | None
    enqueued_at: datetime
    published_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Cause:
    """A cause of trouble that came up on a day."""

    cause: str
    day: date


HANDLED: Final = Table("bus_handled", Handled, rules=("PRIMARY KEY (department, message_id)",), clustered=True)
FAILURES: Final = Table("bus_failures", Failures, rules=("PRIMARY KEY (department, message_id)",), clustered=True)
LETTERS: Final = Table(
    "bus_letters",
    Letter,
    identity="number",
    rules=("UNIQUE (name)",),
    indexes=("CREATE INDEX bus_letters_pending ON bus_letters (number) WHERE published_at IS NULL",),
)
CAUSES: Final = Table("bus_causes", Cause, rules=("PRIMARY KEY (cause, day)",), clustered=True)
TABLES: Final = (HANDLED, FAILURES, LETTERS, CAUSES)

AT_ONCE: Final = 500  # ids in one question; older SQLite takes 999 values at most (https://www.sqlite.org/limits.html)


class LedgerJournal:
    """The bus's journal in SQLite. Every method raises LedgerBusy or LedgerError when the file cannot be used."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def transaction(self) -> AbstractContextManager[None]:
        """Make everything inside one commit; an inner transaction joins the outer one."""
        return self._database.transaction()

    def disposition(self, department: str, message_id: str) -> tuple[str, str] | None:
        """Return (disposition, digest of the bytes) of a message that was handled."""
        return self.dispositions(department, [message_id]).get(message_id)

    def dispositions(self, department: str, message_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Return (disposition, digest of the bytes) of those messages that were handled, by their ids."""
        found: dict[str, tuple[str, str]] = {}
        for start in range(0, len(message_ids), AT_ONCE):
            asked = message_ids[start : start + AT_ONCE]
            which = f"department = ? AND message_id IN ({marks(asked)})"
            rows = self._database.rows(
                f"SELECT message_id, disposition, digest FROM bus_handled WHERE {which}",  # noqa: S608 - only marks
                (department, *asked),
            )
            found |= {str(row[0]): (str(row[1]), str(row[2])) for row in rows}
        return found

    def remember(self, department: str, message_id: str, disposition: str, digest: str, at: datetime) -> bool:
        """Note that a message has been handled; False, and nothing changed, when that was noted before."""
        handled = Handled(department, message_id, disposition, digest, at)
        return HANDLED.insert(self._database, handled, "DO NOTHING") == 1

    def failures(self, department: str) -> dict[str, tuple[int, datetime, datetime]]:
        """Return (attempts, first, last) of the failed attempts at a department's messages, by their ids."""
        found = FAILURES.find(self._database, "department = ?", department)
        return {each.message_id: (each.attempts, each.first_at, each.last_at) for each in found}

    def fail(self, department: str, message_id: str, at: datetime) -> int:
        """Count a failed attempt and return how many there are now."""
        one_more = "DO UPDATE SET attempts = bus_failures.attempts + 1, last_at = excluded.last_at"
        with self._database.transaction():
            first = Failures(department, message_id, 1, at, at)
            FAILURES.insert(self._database, first, f"(department, message_id) {one_more}")
            return self.failures(department)[message_id][0]

    def forget_failures(self, department: str, message_id: str) -> None:
        """Start counting anew."""
        self._database.execute(
            "DELETE FROM bus_failures WHERE department = ? AND message_id = ?", (department, message_id)
        )

    def enqueue(self, name: str, sender: str, recipient: str, data: bytes, at: datetime) -> None:
        """Note a letter to be delivered once this transaction is committed; the same letter again changes nothing.

        Raises MessageConflict for the same name with other content.
        """
        digest = hashlib.sha256(data).hexdigest()
        letter = Letter(name, sender, recipient, digest, data, at)
        is_new = LETTERS.insert(self._database, letter, "(name) DO NOTHING") == 1
        if not is_new and self._sent(name) != (sender, recipient, digest):
            raise MessageConflict(f"{name} was sent before with other content; it stays as it was.")

    def _sent(self, name: str) -> tuple[str, ...]:
        row = self._database.row("SELECT sender, recipient, digest FROM bus_letters WHERE name = ?", (name,))
        return tuple(row or ())

    def pending(self, limit: int, *, besides: Sequence[str] = ()) -> list[tuple[str, str, str, bytes]]:
        """Return the (name, sender, recipient, data) of committed letters not delivered yet, oldest first.

        Letters to the departments `besides` are left out.
        """
        which = "published_at IS NULL" + (f" AND recipient NOT IN ({marks(besides)})" if besides else "")
        rows = self._database.rows(
            f"SELECT name, sender, recipient, data FROM bus_letters WHERE {which} ORDER BY number LIMIT ?",  # noqa: S608 - only marks
            (*besides, limit),
        )
        return [(row["name"], row["sender"], row["recipient"], row["data"]) for row in rows]

    def published(self, names: list[str], at: datetime) -> None:
        """Note that letters are delivered; their text lives on in the files."""
        which = f"published_at IS NULL AND name IN ({marks(names)})"
        self._database.execute(
            f"UPDATE bus_letters SET published_at = ?, data = NULL WHERE {which}",  # noqa: S608 - only marks
            (iso(at), *names),
        )

    def first_today(self, cause: str, day: date) -> bool:
        """Tell whether this cause comes up for the first time on `day`, and note it."""
        return CAUSES.insert(self._database, Cause(cause, day), "DO NOTHING") == 1
