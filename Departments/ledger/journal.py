"""The memory of the message bus in the ledger's file: handled ids, failed attempts, letters, an index."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from operator import attrgetter
from pathlib import Path
from typing import Final

from Departments.core.errors import MessageConflict
from Departments.core.moments import iso
from Departments.ledger.database import Database, FoundRow
from Departments.ledger.sqlite import query_existing
from Departments.ledger.tables import Table, marks


@dataclass(frozen=True, slots=True)
class Handled:
    """A handled message: its disposition, and the digest of its bytes."""

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
    """A message of ours with its parent and plan. Its `data` is kept until its file is safe."""

    name: str
    sender: str
    recipient: str
    parent_message_id: str | None
    plan_id: str | None
    digest: str
    data: bytes | None
    enqueued_at: datetime
    published_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Indexed:
    """A handled message of somebody else: its file, its id, its parent and plan."""

    name: str
    message_id: str
    parent_message_id: str | None
    plan_id: str | None


@dataclass(frozen=True, slots=True)
class SetAside:
    """An unhandled message under its name in the inbox, and when a person accepted or removed it.

    `reported_in` is the plan whose report names it.
    """

    department: str
    name: str
    digest: str
    message_id: str
    code: str
    sentence: str
    set_aside_at: datetime
    accepted_at: datetime | None = None
    removed_at: datetime | None = None
    reported_in: str | None = None


@dataclass(frozen=True, slots=True)
class Cause:
    """A cause of trouble on a day."""

    cause: str
    day: date


HANDLED: Final = Table("bus_handled", Handled, rules=("PRIMARY KEY (department, message_id)",), clustered=True)
FAILURES: Final = Table("bus_failures", Failures, rules=("PRIMARY KEY (department, message_id)",), clustered=True)
LETTERS: Final = Table(
    "bus_letters",
    SentLetter,
    identity="number",
    rules=("UNIQUE (name)",),
    indexes=("CREATE INDEX bus_letters_unsettled ON bus_letters (published_at, number) WHERE data IS NOT NULL",),
)
CAUSES: Final = Table("bus_causes", Cause, rules=("PRIMARY KEY (cause, day)",), clustered=True)
SET_ASIDE: Final = Table(
    "bus_dead_letters",
    SetAside,
    rules=("PRIMARY KEY (department, name, digest)",),
    indexes=("CREATE INDEX bus_dead_letters_open ON bus_dead_letters (set_aside_at) WHERE removed_at IS NULL",),
)
INDEX: Final = Table("bus_index", Indexed, rules=("PRIMARY KEY (name, message_id)",), clustered=True)
TABLES: Final = (HANDLED, FAILURES, LETTERS, INDEX, CAUSES, SET_ASIDE)

#: Every message that the ledger knows: strangers' and ours. The name of one of ours is its id and `.md`.
ALL_INDEXED: Final = (
    f"SELECT {INDEX.columns} FROM {INDEX.name} UNION ALL "  # noqa: S608 - our names
    "SELECT name, substr(name, 1, length(name) - 3), parent_message_id, plan_id FROM bus_letters"
)
#: (department, name in the inbox, digest, message id, code, sentence, moment, moment of its acceptance)
DeadLetterRow = tuple[str, str, str, str, str, str, datetime, datetime | None]
#: (file name, message id, parent's id, plan id)
IndexRow = tuple[str, str, str | None, str | None]
AT_ONCE: Final = 500  # ids in one question; older SQLite takes 999 values at most (https://www.sqlite.org/limits.html)


class LedgerJournal:
    """The bus's journal in SQLite. Every method raises LedgerBusy, or LedgerError for an unusable file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def transaction(self) -> AbstractContextManager[None]:
        """Commit everything inside together; an inner transaction joins the outer one."""
        return self._database.transaction()

    def disposition(self, department: str, message_id: str) -> tuple[str, str] | None:
        """Return (disposition, digest of the bytes) of a handled message, or None."""
        return self.dispositions(department, [message_id]).get(message_id)

    def dispositions(self, department: str, message_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Return (disposition, digest of the bytes) of the handled ones, by their ids."""
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
        """Note a handled message. Returns False, and changes nothing, for one noted before."""
        handled = Handled(department, message_id, disposition, digest, at)
        return HANDLED.insert(self._database, handled, "DO NOTHING") == 1

    def failures(self, department: str) -> dict[str, tuple[int, datetime, datetime]]:
        """Return (attempts, first, last) of a department's failed messages, by their ids."""
        found = FAILURES.find(self._database, "department = ?", department)
        return {each.message_id: (each.attempts, each.first_at, each.last_at) for each in found}

    def count_failure(self, department: str, message_id: str, at: datetime) -> int:
        """Count a failed attempt and return their number."""
        one_more = "DO UPDATE SET attempts = bus_failures.attempts + 1, last_at = excluded.last_at"
        with self._database.transaction():
            first = Failures(department, message_id, 1, at, at)
            FAILURES.insert(self._database, first, f"(department, message_id) {one_more}")
            return self.failures(department)[message_id][0]

    def forget_failures(self, department: str, message_id: str) -> None:
        """Forget the failed attempts at a message."""
        self._database.execute(
            "DELETE FROM bus_failures WHERE department = ? AND message_id = ?", (department, message_id)
        )

    def enqueue(
        self,
        name: str,
        sender: str,
        recipient: str,
        data: bytes,
        at: datetime,
        *,
        parent: str | None = None,
        plan: str | None = None,
    ) -> bool:
        """Note a letter, with its parent and plan for the index, for delivery after the commit.

        The same letter again changes nothing: False. Raises MessageConflict for the same name with other content.
        """
        digest = hashlib.sha256(data).hexdigest()
        letter = SentLetter(name, sender, recipient, parent, plan, digest, data, at)
        is_new = LETTERS.insert(self._database, letter, "(name) DO NOTHING") == 1
        if not is_new and self._find_sent(name) != (sender, recipient, digest):
            raise MessageConflict(f"{name} was sent before with other content; it stays as it was.")
        return is_new

    def _find_sent(self, name: str) -> tuple[str, ...]:
        row = self._database.row("SELECT sender, recipient, digest FROM bus_letters WHERE name = ?", (name,))
        return tuple(row or ())

    def withdraw(self, name: str) -> bool:
        """Forget an undelivered letter. Returns False for a delivered one."""
        which = "name = ? AND published_at IS NULL"
        return self._database.execute(f"DELETE FROM bus_letters WHERE {which}", (name,)) == 1  # noqa: S608 - only marks

    def pending(self, limit: int, *, besides: Sequence[str] = ()) -> list[tuple[str, str, str, bytes]]:
        """Return the (name, sender, recipient, data) of undelivered letters, oldest first.

        It leaves out letters to the departments `besides`.
        """
        which = "data IS NOT NULL AND published_at IS NULL" + (
            f" AND recipient NOT IN ({marks(besides)})" if besides else ""
        )
        rows = self._database.rows(
            f"SELECT name, sender, recipient, data FROM bus_letters WHERE {which} ORDER BY number LIMIT ?",  # noqa: S608 - only marks
            (*besides, limit),
        )
        return [self._read_letter(row) for row in rows]

    def _read_letter(self, row: FoundRow) -> tuple[str, str, str, bytes]:
        name, sender, recipient, data = (
            LETTERS.convert(self._database, c, row[c]) for c in ("name", "sender", "recipient", "data")
        )
        return name, sender, recipient, data

    def mark_published(self, names: Sequence[str], at: datetime) -> None:
        """Note delivered letters, without a flush. A power cut may take the note; they are delivered again then."""
        which = f"published_at IS NULL AND name IN ({marks(names)})"
        with self._database.transaction(durable=False):
            self._database.execute(f"UPDATE bus_letters SET published_at = ? WHERE {which}", (iso(at), *names))  # noqa: S608 - only marks

    def list_unsettled(self, after: int, limit: int) -> list[tuple[int, str, str, str, bytes]]:
        """Return delivered letters whose files may not be safe yet, oldest first.

        Each is (number, name, sender, recipient, data) with a number greater than `after`.
        """
        next_ones = (
            "SELECT number FROM bus_letters WHERE data IS NOT NULL AND published_at IS NOT NULL AND +number > ? "
            "ORDER BY +number LIMIT ?"  # the plus keeps the planner from walking through all letters ever sent
        )
        rows = self._database.rows(
            f"SELECT number, name, sender, recipient, data FROM bus_letters WHERE number IN ({next_ones}) "  # noqa: S608 - our words
            "ORDER BY number",
            (after, limit),
        )
        return [(row["number"], *self._read_letter(row)) for row in rows]

    def settle(self, names: Sequence[str]) -> None:
        """Note letters with safe files, and drop their text here."""
        for start in range(0, len(names), AT_ONCE):
            asked = names[start : start + AT_ONCE]
            LETTERS.update(self._database, {"data": None}, f"name IN ({marks(asked)})", *asked)

    def digests_of(self, names: Sequence[str]) -> dict[str, str]:
        """Return the digests of our letters among some file names."""
        found: dict[str, str] = {}
        for start in range(0, len(names), AT_ONCE):
            asked = names[start : start + AT_ONCE]
            rows = self._database.rows(
                f"SELECT name, digest FROM bus_letters WHERE name IN ({marks(asked)})",  # noqa: S608 - only marks
                asked,
            )
            found |= {row["name"]: row["digest"] for row in rows}
        return found

    # --- dead letters ---

    def note_dead_letter(self, row: DeadLetterRow) -> None:
        """Note a dead letter. The same file again replaces the row."""
        SET_ASIDE.replace(self._database, SetAside(*row), "department, name, digest")

    def dead_letters(self) -> list[DeadLetterRow]:
        """Return the dead letters that nobody has retried or dropped, oldest first."""
        columns = "department, name, digest, message_id, code, sentence, set_aside_at, accepted_at"
        rows = SET_ASIDE.find(self._database, "removed_at IS NULL", order="set_aside_at, department, name")
        take = attrgetter(*columns.split(", "))
        return [take(row) for row in rows]

    def dead_letters_in(self, plan_id: str | None) -> list[SetAside]:
        """Return the dead letters in the report of a plan; for None those that nobody looked at and no report names."""
        unseen = "reported_in IS NULL AND accepted_at IS NULL AND removed_at IS NULL"
        which, values = (unseen, []) if plan_id is None else ("reported_in = ?", [plan_id])
        return SET_ASIDE.find(self._database, which, *values, order="set_aside_at, department, name")

    def list_unseen_dead_letters(self) -> list[SetAside]:
        """Return the dead letters that nobody has looked at, whether a report has named them or not."""
        unseen = "accepted_at IS NULL AND removed_at IS NULL"
        return SET_ASIDE.find(self._database, unseen, order="set_aside_at, department, name")

    def report_dead_letters(self, plan_id: str) -> None:
        """Note that the report of a plan names the dead letters that nobody has looked at."""
        which = "reported_in IS NULL AND accepted_at IS NULL AND removed_at IS NULL"
        SET_ASIDE.update(self._database, {"reported_in": plan_id}, which)

    def accept_dead_letter(self, department: str, name: str, digest: str, at: datetime) -> bool:
        """Note that a person has looked at a dead letter. Returns False for an unknown or removed one."""
        return self._settle_dead_letter({"accepted_at": at}, department, name, digest)

    def remove_dead_letter(self, department: str, name: str, digest: str, at: datetime) -> bool:
        """Note that a person has retried or dropped a dead letter. Returns False for an unknown or removed one."""
        return self._settle_dead_letter({"removed_at": at}, department, name, digest)

    def _settle_dead_letter(self, change: dict[str, datetime], *key: str) -> bool:
        which = "department = ? AND name = ? AND digest = ? AND removed_at IS NULL"
        return SET_ASIDE.update(self._database, change, which, *key) == 1

    # --- index ---

    def note(self, rows: Iterable[IndexRow]) -> None:
        """Enter strangers' messages into the index. A known message keeps its first entry."""
        for row in rows:
            INDEX.insert(self._database, Indexed(*row), "DO NOTHING")

    def index(self) -> list[IndexRow]:
        """Return the whole index."""
        return [(row[0], row[1], row[2], row[3]) for row in self._database.rows(ALL_INDEXED)]

    def find_letters_of(self, plan_id: str) -> list[SentLetter]:
        """Return our messages about a plan, oldest first."""
        return LETTERS.find(self._database, "plan_id = ?", plan_id, order="number")

    def note_cause(self, cause: str, day: date) -> bool:
        """Note a cause. Returns True if it is new on `day`."""
        return CAUSES.insert(self._database, Cause(cause, day), "DO NOTHING") == 1

    def forget_cause(self, cause: str, day: date) -> None:
        """Forget a cause of a day."""
        self._database.execute("DELETE FROM bus_causes WHERE cause = ? AND day = ?", (cause, day.isoformat()))


def read_index(ledger: Path) -> list[IndexRow]:
    """Return the index of a ledger's file and change nothing; empty without a file.

    Raises LedgerError, DiskError for one that cannot be read.
    """
    return query_existing(ledger, ALL_INDEXED) if ledger.exists() else []


#: (what, department, name or message id, digest, moment) of everything committed about files.
CommittedRow = tuple[str, str, str, str, str]


def read_committed(ledger: Path) -> list[CommittedRow]:
    """Return all letters (`sent`, `received`), handled messages and dead letters of a ledger's file; changes nothing.

    The departments of a letter are its sender and its recipient. `removed` is a dead letter that a person took away.
    Raises LedgerError, DiskError for a ledger that cannot be read.
    """
    rows = query_existing(
        ledger,
        "SELECT 'sent', sender, name, digest, enqueued_at FROM bus_letters WHERE published_at IS NOT NULL "
        "UNION ALL SELECT 'received', recipient, name, digest, enqueued_at FROM bus_letters "
        "WHERE published_at IS NOT NULL "
        "UNION ALL SELECT 'handled', department, message_id, digest, handled_at FROM bus_handled "
        "UNION ALL SELECT CASE WHEN removed_at IS NULL THEN 'dead' ELSE 'removed' END, department, name, digest, "
        "set_aside_at FROM bus_dead_letters",
    )
    return [(row[0], row[1], row[2], row[3], row[4]) for row in rows]
