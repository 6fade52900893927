"""What the message bus must remember, in the ledger's file: handled ids, failed attempts, letters, an index."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final

from Departments.core.errors import MessageConflict
from Departments.ledger.database import Database
from Departments.ledger.sqlite import read_only
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
class SentLetter:
    """A message of ours; its `data` is kept until the files hold it safely."""

    name: str
    sender: str
    recipient: str
    digest: str
    data: bytes | None
    enqueued_at: datetime
    published_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Indexed:
    """A message that was sent or handled: its file, its id, and what it is tied to."""

    name: str
    message_id: str
    parent_message_id: str | None
    plan_id: str | None


@dataclass(frozen=True, slots=True)
class Cause:
    """A cause of trouble that came up on a day."""

    cause: str
    day: date


HANDLED: Final = Table("bus_handled", Handled, rules=("PRIMARY KEY (department, message_id)",), clustered=True)
FAILURES: Final = Table("bus_failures", Failures, rules=("PRIMARY KEY (department, message_id)",), clustered=True)
LETTERS: Final = Table(
    "bus_letters",
    SentLetter,
    identity="number",
    rules=("UNIQUE (name)",),
    indexes=(
        "CREATE INDEX bus_letters_pending ON bus_letters (number) WHERE published_at IS NULL",
        "CREATE INDEX bus_letters_unsettled ON bus_letters (number) WHERE data IS NOT NULL",
    ),
)
CAUSES: Final = Table("bus_causes", Cause, rules=("PRIMARY KEY (cause, day)",), clustered=True)
INDEX: Final = Table("bus_index", Indexed, rules=("PRIMARY KEY (name, message_id)",), clustered=True)
TABLES: Final = (HANDLED, FAILURES, LETTERS, INDEX, CAUSES)

ALL_INDEXED: Final = f"SELECT {INDEX.columns} FROM {INDEX.name}"  # noqa: S608 - our names
#: (file name, message id, id of the parent, plan id)
IndexRow = tuple[str, str, str | None, str | None]
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
            found |= {row["message_id"]: (row["disposition"], row["digest"]) for row in rows}
        return found

    def remember(self, department: str, message_id: str, disposition: str, digest: str, at: datetime) -> bool:
        """Note that a message has been handled; False, and nothing changed, when that was noted before."""
        handled = Handled(department, message_id, disposition, digest, at)
        return HANDLED.insert(self._database, handled, "DO NOTHING") == 1

    def failures(self, department: str) -> dict[str, tuple[int, datetime, datetime]]:
        """Return (attempts, first, last) of the failed attempts at a department's messages, by their ids."""
        found = FAILURES.find(self._database, "department = ?", department)
        return {each.message_id: (each.attempts, each.first_at, each.last_at) for each in found}

    def count_failure(self, department: str, message_id: str, at: datetime) -> int:
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
        letter = SentLetter(name, sender, recipient, digest, data, at)
        is_new = LETTERS.insert(self._database, letter, "(name) DO NOTHING") == 1
        if not is_new and self._sent(name) != (sender, recipient, digest):
            raise MessageConflict(f"{name} was sent before with other content; it stays as it was.")

    def _sent(self, name: str) -> tuple[str, ...]:
        row = self._database.row("SELECT sender, recipient, digest FROM bus_letters WHERE name = ?", (name,))
        return tuple(row or ())

    def withdraw(self, name: str) -> bool:
        """Forget a letter that was not delivered: nothing was sent. False for one that was."""
        which = "name = ? AND published_at IS NULL"
        is_gone = self._database.execute(f"DELETE FROM bus_letters WHERE {which}", (name,)) == 1  # noqa: S608 - only marks
        if is_gone:
            self._database.execute("DELETE FROM bus_index WHERE name = ?", (name,))
        return is_gone

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

    def mark_published(self, names: Sequence[str], at: datetime) -> None:
        """Note that letters are delivered, without a flush: what a power cut takes of it is delivered again."""
        which = f"published_at IS NULL AND name IN ({marks(names)})"
        with self._database.transaction(durable=False):
            LETTERS.update(self._database, {"published_at": at}, which, *names)

    def list_unsettled(self, after: int, limit: int) -> list[tuple[int, str, str, str, bytes]]:
        """Return delivered letters that the files may not hold safely yet, oldest first.

        Each is (number, name, sender, recipient, data) with a number greater than `after`.
        """
        rows = self._database.rows(
            "SELECT number, name, sender, recipient, data FROM bus_letters "
            "WHERE data IS NOT NULL AND published_at IS NOT NULL AND number > ? ORDER BY number LIMIT ?",
            (after, limit),
        )
        return [(row["number"], row["name"], row["sender"], row["recipient"], row["data"]) for row in rows]

    def settle(self, names: Sequence[str]) -> None:
        """Note that the files hold these letters safely; their text is kept there only."""
        LETTERS.update(self._database, {"data": None}, f"name IN ({marks(names)})", *names)

    def digests_of(self, names: Sequence[str]) -> dict[str, str]:
        """Return the digests of those names that were letters of ours."""
        found: dict[str, str] = {}
        for start in range(0, len(names), AT_ONCE):
            asked = names[start : start + AT_ONCE]
            rows = self._database.rows(
                f"SELECT name, digest FROM bus_letters WHERE name IN ({marks(asked)})",  # noqa: S608 - only marks
                asked,
            )
            found |= {row["name"]: row["digest"] for row in rows}
        return found

    # --- index ---

    def note(self, rows: Iterable[IndexRow]) -> None:
        """Enter messages into the index; a message that is known stays as it was noted first."""
        for row in rows:
            INDEX.insert(self._database, Indexed(*row), "DO NOTHING")

    def index(self) -> list[IndexRow]:
        """Return the whole index."""
        return [(row[0], row[1], row[2], row[3]) for row in self._database.rows(ALL_INDEXED)]

    def note_cause(self, cause: str, day: date) -> bool:
        """Tell whether this cause comes up for the first time on `day`, and note it."""
        return CAUSES.insert(self._database, Cause(cause, day), "DO NOTHING") == 1


def read_index(ledger: Path) -> list[IndexRow]:
    """Return the index of a ledger's file and change nothing; empty where no such file can be read."""
    return read_only(ledger, ALL_INDEXED)
