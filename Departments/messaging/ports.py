"""What the bus needs from outside: a place for messages, and a durable memory.

The folder and the ledger implement them; the in-memory twins pass the same contract suites. Durability has one owner,
the journal: a letter is durable when the transaction that enqueues it is committed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime
from functools import lru_cache
from typing import NamedTuple, Protocol

from Departments.core.errors import PublishError
from Departments.core.identifiers import is_safe_name
from Departments.messaging.disk import Found
from Departments.messaging.message import Message

#: (file name, message id, id of the parent, plan id) of a message that the journal knows.
IndexRow = tuple[str, str, str | None, str | None]


class Letter(NamedTuple):
    """A message ready to be stored: its file's name, who sends it to whom, and its bytes."""

    name: str
    sender: str
    recipient: str
    data: bytes

    def check(self) -> None:
        """Raise PublishError when the id or a department could not be the name of a file anywhere."""
        for word, text, is_safe in (
            ("id", self.name, is_safe_name),
            ("sender", self.sender, _is_safe_department),
            ("recipient", self.recipient, _is_safe_department),
        ):
            if not is_safe(text):
                raise PublishError(f"{self.name[:80]!r}: the {word} {text[:80]!r} cannot be the name of a file")


_is_safe_department = lru_cache(maxsize=256)(is_safe_name)


class Storage(Protocol):
    """What the bus asks of a mailbox; one contract suite holds the folder and the in-memory twin to it."""

    def publish(self, letters: Sequence[Letter], *, again: bool = False) -> None:
        """Put letters into their folders; one that was delivered before is left as it is.

        `again` mends what a power cut left of earlier deliveries. Raises MessageConflict for a name that holds
        something else, PublishError for what the system refuses.
        """
        ...

    def flush(self, letters: Sequence[Letter]) -> list[str]:
        """Flush delivered letters at their places; return the names of those that are safe now."""
        ...

    def waiting(self, department: str) -> list[str]:
        """Return the names waiting in an inbox, in no particular order."""
        ...

    def look(self, department: str, name: str) -> Found | None:
        """Read one waiting file; None when it is gone."""
        ...

    def archive(self, department: str, name: str, day: str, *, flush: bool = True) -> str:
        """Move a handled message to the archive of `day` (YYYY-MM-DD) and return its name there.

        `flush` makes the new place durable before the message leaves the old one.
        """
        ...

    def set_aside(self, department: str, name: str, reason: str) -> str:
        """Move a message to the dead letters, its reason beside it, durably; return its name there."""
        ...

    def wait_until_quiet(self) -> None:
        """Wait until a file that nobody touches meanwhile counts as finished."""
        ...

    def find(self, message_id: str, index: Sequence[IndexRow] = ()) -> Message | None:
        """Return a message wherever it is, None when there is none of this id. `index` saves reading what it names."""
        ...

    def holding(self, department: str, *, wait: float) -> AbstractContextManager[bool]:
        """Hold the one lock of an inbox; yields True if it was ours already. Raises WorkspaceBusy after `wait` s."""
        ...


class Journal(Protocol):
    """Handled ids, failures, letters, and an index of all messages. Only built-in types cross this port."""

    def transaction(self) -> AbstractContextManager[None]:
        """Make everything inside one commit; an inner transaction joins the outer one."""
        ...

    def disposition(self, department: str, message_id: str) -> tuple[str, str] | None:
        """Return (disposition, digest of the bytes) of a message that was handled, None for one that was not."""
        ...

    def dispositions(self, department: str, message_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Return (disposition, digest of the bytes) of those messages that were handled, by their ids."""
        ...

    def remember(self, department: str, message_id: str, disposition: str, digest: str, at: datetime) -> bool:
        """Note that a message has been handled; False, and nothing changed, when that was noted before."""
        ...

    def failures(self, department: str) -> dict[str, tuple[int, datetime, datetime]]:
        """Return (attempts, first, last) of the failed attempts at a department's messages, by their ids."""
        ...

    def count_failure(self, department: str, message_id: str, at: datetime) -> int:
        """Count a failed attempt and return how many there are now."""
        ...

    def forget_failures(self, department: str, message_id: str) -> None:
        """Start counting anew: the message is handled, or a person wants it tried again."""
        ...

    def enqueue(self, name: str, sender: str, recipient: str, data: bytes, at: datetime) -> None:
        """Note a letter to be delivered once this transaction is committed; the same letter again changes nothing.

        Raises MessageConflict for the same name with other content.
        """
        ...

    def withdraw(self, name: str) -> bool:
        """Forget a letter that was not delivered: nothing was sent. False for one that was."""
        ...

    def pending(self, limit: int, *, besides: Sequence[str] = ()) -> list[tuple[str, str, str, bytes]]:
        """Return the (name, sender, recipient, data) of committed letters not delivered yet, oldest first.

        Letters to the departments `besides` are left out.
        """
        ...

    def mark_published(self, names: Sequence[str], at: datetime) -> None:
        """Note that letters are delivered; a power cut may take the note, and they are delivered again."""
        ...

    def list_unsettled(self, after: int, limit: int) -> list[tuple[int, str, str, str, bytes]]:
        """Return delivered letters that the files may not hold safely yet, oldest first.

        Each is (number, name, sender, recipient, data) with a number greater than `after`.
        """
        ...

    def settle(self, names: Sequence[str]) -> None:
        """Note that the files hold these letters safely; their text is kept there only."""
        ...

    def digests_of(self, names: Sequence[str]) -> dict[str, str]:
        """Return the digests of those names that were letters of ours."""
        ...

    def note(self, rows: Iterable[IndexRow]) -> None:
        """Enter messages into the index; a message that is known stays as it was noted first."""
        ...

    def index(self) -> list[IndexRow]:
        """Return the whole index."""
        ...

    def note_cause(self, cause: str, day: date) -> bool:
        """Note a cause; True if it comes up for the first time on `day`."""
        ...
