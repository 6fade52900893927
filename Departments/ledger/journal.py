"""What the message bus must remember, in the ledger's file: handled ids, failed attempts, undelivered letters."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime
from typing import Final

from Departments.core.clock import iso, parse_iso
from Departments.core.errors import MessageConflict
from Departments.ledger.database import Database
from Departments.ledger.values import marks

MIGRATION: Final = """
CREATE TABLE bus_handled (
    department TEXT NOT NULL,
    message_id TEXT NOT NULL,
    disposition TEXT NOT NULL,
    digest TEXT NOT NULL,
    handled_at TEXT NOT NULL,
    PRIMARY KEY (department, message_id)
) WITHOUT ROWID;

CREATE TABLE bus_failures (
    department TEXT NOT NULL,
    message_id TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    first_at TEXT NOT NULL,
    last_at TEXT NOT NULL,
    PRIMARY KEY (department, message_id)
) WITHOUT ROWID;

CREATE TABLE bus_letters (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    sender TEXT NOT NULL,
    recipient TEXT NOT NULL,
    digest TEXT NOT NULL,
    data BLOB,
    enqueued_at TEXT NOT NULL,
    published_at TEXT
);

CREATE INDEX bus_letters_pending ON bus_letters (number) WHERE published_at IS NULL;

CREATE TABLE bus_causes (
    cause TEXT NOT NULL,
    day TEXT NOT NULL,
    PRIMARY KEY (cause, day)
) WITHOUT ROWID;
"""

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
        done = self._database.execute(
            "INSERT INTO bus_handled VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (department, message_id, disposition, digest, iso(at)),
        )
        return done.rowcount == 1

    def failures(self, department: str) -> dict[str, tuple[int, datetime, datetime]]:
        """Return (attempts, first, last) of the failed attempts at a department's messages, by their ids."""
        rows = self._database.rows("SELECT * FROM bus_failures WHERE department = ?", (department,))
        return {
            str(row["message_id"]): (int(row["attempts"]), parse_iso(row["first_at"]), parse_iso(row["last_at"]))
            for row in rows
        }

    def fail(self, department: str, message_id: str, at: datetime) -> int:
        """Count a failed attempt and return how many there are now."""
        with self._database.transaction():
            self._database.execute(
                "INSERT INTO bus_failures VALUES (?, ?, 1, ?, ?) ON CONFLICT (department, message_id) "
                "DO UPDATE SET attempts = attempts + 1, last_at = excluded.last_at",
                (department, message_id, iso(at), iso(at)),
            )
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
        done = self._database.execute(
            "INSERT INTO bus_letters (name, sender, recipient, digest, data, enqueued_at) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (name) DO NOTHING",
            (name, sender, recipient, digest, data, iso(at)),
        )
        if done.rowcount == 0 and self._sent(name) != (sender, recipient, digest):
            raise MessageConflict(f"{name} was sent before with other content; it stays as it was.")

    def _sent(self, name: str) -> tuple[str, ...]:
        row = self._database.row("SELECT sender, recipient, digest FROM bus_letters WHERE name = ?", (name,))
        return tuple(row or ())

    def pending(self, limit: int, *, besides: Sequence[str] = ()) -> list[tuple[str, str, str, bytes]]:
        """Return the (name, sender, recipient, data) of committed letters not delivered yet, oldest first.

        Letters to the departments `besides` are left out.
        """
        which = f"published_at IS NULL AND recipient NOT IN ({marks(besides)})"
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
        done = self._database.execute("INSERT OR IGNORE INTO bus_causes VALUES (?, ?)", (cause, day.isoformat()))
        return done.rowcount == 1
