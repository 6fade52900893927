"""The two ports of the bus: a place for messages, and a durable memory.

The folder and the ledger implement them; in-memory twins pass the same contract suites. The journal alone owns
durability: a letter is durable once its transaction is committed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime
from functools import lru_cache
from typing import NamedTuple, Protocol

from Departments.core.errors import PublishError
from Departments.core.identifiers import is_safe_name
from Departments.messaging.looker import Found
from Departments.messaging.message import Message

#: (file name, message id, id of the parent, plan id) of a message that the journal knows.
IndexRow = tuple[str, str, str | None, str | None]
#: (department, name in the inbox, digest, message id, code, sentence, moment, moment of its acceptance).
DeadLetterRow = tuple[str, str, str, str, str, str, datetime, datetime | None]


class Letter(NamedTuple):
    """A written message: the name of its file, its sender and recipient, and its bytes."""

    name: str
    sender: str
    recipient: str
    data: bytes

    def check(self) -> None:
        """Raise PublishError unless id and departments can be file names on any system."""
        for word, text in (("id", self.name), ("sender", self.sender), ("recipient", self.recipient)):
            if not _is_safe(text):
                raise PublishError(f"{self.name[:80]!r}: the {word} {text[:80]!r} cannot be the name of a file")


_is_safe = lru_cache(maxsize=256)(is_safe_name)  # departments come again and again, a name twice


class Storage(Protocol):
    """The mailbox as the bus uses it. One contract suite tests the folder and its in-memory twin."""

    def publish(self, letters: Sequence[Letter], *, again: bool = False) -> None:
        """Put letters into their folders. Leaves delivered letters alone.

        `again` mends copies torn by a power cut. Raises MessageConflict for a name with other content, PublishError if
        the system refuses.
        """
        ...

    def has_sent(self, letter: Letter) -> bool:
        """Return True if the sender has a whole copy: it proves the delivery."""
        ...

    def flush(self, letters: Sequence[Letter]) -> list[str]:
        """Flush delivered letters. Returns the names that are durable now."""
        ...

    def waiting(self, department: str) -> list[str]:
        """Return the names waiting in an inbox, in no particular order."""
        ...

    def look(self, department: str, name: str) -> Found | None:
        """Read one waiting file. Returns None if it is gone."""
        ...

    def archive(self, department: str, name: str, day: str, *, flush: bool = True) -> str:
        """Move a handled message to the archive of `day` (YYYY-MM-DD). Returns its name there.

        `flush` makes the new place durable before the message leaves the old one.
        """
        ...

    def bury(self, department: str, name: str, reason: str) -> str:
        """Move a message durably to the dead letters, beside its reason. Returns its name there."""
        ...

    def dead_names(self, department: str) -> list[str]:
        """Return the names among the dead letters of a department, in no particular order."""
        ...

    def wait_until_quiet(self) -> None:
        """Wait until an untouched file counts as finished."""
        ...

    def find(self, message_id: str, index: Sequence[IndexRow] = ()) -> Message | None:
        """Find a message in any box. Returns None without one. Files in `index` need no reading."""
        ...

    def find_copies(self, message_id: str, index: Sequence[IndexRow] = ()) -> list[Message]:
        """Return all readable copies of a message, in any box. Files in `index` need no reading."""
        ...

    def holding(self, department: str, *, wait: float) -> AbstractContextManager[bool]:
        """Hold the one lock of an inbox. Yields True if it was ours already. Raises WorkspaceBusy after `wait` s."""
        ...


class Journal(Protocol):
    """Handled ids, failures, letters, and an index of all messages. Only built-in types cross this port."""

    def transaction(self) -> AbstractContextManager[None]:
        """Commit everything inside together. An inner transaction joins the outer one."""
        ...

    def disposition(self, department: str, message_id: str) -> tuple[str, str] | None:
        """Return (disposition, digest of the bytes) of a handled message, None for any other."""
        ...

    def dispositions(self, department: str, message_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Return (disposition, digest of the bytes) of the handled messages, by id."""
        ...

    def remember(self, department: str, message_id: str, disposition: str, digest: str, at: datetime) -> bool:
        """Note a handled message. Returns False, and changes nothing, if it was noted before."""
        ...

    def failures(self, department: str) -> dict[str, tuple[int, datetime, datetime]]:
        """Return (attempts, first, last) of a department's failed messages, by id."""
        ...

    def count_failure(self, department: str, message_id: str, at: datetime) -> int:
        """Count a failed attempt and return the new count."""
        ...

    def forget_failures(self, department: str, message_id: str) -> None:
        """Reset the count: the message is handled, or a person tries it again."""
        ...

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
        """Put a letter into the outbox, and with its parent and plan into the index.

        The same letter again changes nothing: False. Raises MessageConflict for the same name with other content.
        """
        ...

    def withdraw(self, name: str) -> bool:
        """Forget an undelivered letter. Returns False for a delivered one."""
        ...

    def pending(self, limit: int, *, besides: Sequence[str] = ()) -> list[tuple[str, str, str, bytes]]:
        """Return (name, sender, recipient, data) of committed, undelivered letters, oldest first.

        Letters to the departments `besides` are left out.
        """
        ...

    def mark_published(self, names: Sequence[str], at: datetime) -> None:
        """Note delivered letters. A power cut may take the note; then they are delivered again."""
        ...

    def list_unsettled(self, after: int, limit: int) -> list[tuple[int, str, str, str, bytes]]:
        """Return delivered letters without durable files, oldest first.

        Each is (number, name, sender, recipient, data) with a number greater than `after`.
        """
        ...

    def settle(self, names: Sequence[str]) -> None:
        """Note letters with durable files. The journal drops their text."""
        ...

    def digests_of(self, names: Sequence[str]) -> dict[str, str]:
        """Return the digests of our own letters among these names."""
        ...

    def note(self, rows: Iterable[IndexRow]) -> None:
        """Enter strangers' messages into the index. A known message keeps its first row."""
        ...

    def index(self) -> list[IndexRow]:
        """Return the whole index."""
        ...

    def note_dead_letter(self, row: DeadLetterRow) -> None:
        """Note a dead letter. The same file again replaces the row."""
        ...

    def dead_letters(self) -> list[DeadLetterRow]:
        """Return the dead letters that nobody has retried or dropped, oldest first."""
        ...

    def accept_dead_letter(self, department: str, name: str, digest: str, at: datetime) -> bool:
        """Note that a person has looked at a dead letter. Returns False for an unknown or removed one."""
        ...

    def remove_dead_letter(self, department: str, name: str, digest: str, at: datetime) -> bool:
        """Note that a person has retried or dropped a dead letter. Returns False for an unknown or removed one."""
        ...

    def note_cause(self, cause: str, day: date) -> bool:
        """Note a cause. Returns True if it is new on `day`."""
        ...
