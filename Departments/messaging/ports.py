"""What the bus needs from outside: a place for messages, and a durable memory.

The folder and the ledger implement them; the in-memory twins pass the same contract suites.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime
from functools import lru_cache
from typing import NamedTuple, Protocol

from Departments.core.errors import PublishError
from Departments.core.identifiers import is_safe_name
from Departments.messaging.disk import Found
from Departments.messaging.message import Message


class Letter(NamedTuple):
    """A message ready to be stored: its file's name, who sends it to whom, and its bytes."""

    name: str
    sender: str
    recipient: str
    data: bytes


def checked(letter: Letter) -> Letter:
    """Return the letter. Raises PublishError when its id or a department could not be the name of a file anywhere."""
    if is_safe_name(letter.name) and _is_safe_department(letter.sender) and _is_safe_department(letter.recipient):
        return letter
    words = {"id": letter.name, "sender": letter.sender, "recipient": letter.recipient}
    word, text = next((word, text) for word, text in words.items() if not is_safe_name(text))
    raise PublishError(f"{letter.name[:80]!r}: the {word} {text[:80]!r} cannot be the name of a file")


_is_safe_department = lru_cache(maxsize=256)(is_safe_name)


class Storage(Protocol):
    """What the bus asks of a mailbox; one contract suite holds the files and the in-memory twin to it."""

    def publish(self, letters: Sequence[Letter]) -> None:
        """Deliver letters, all durable when this returns. Raises PublishError or MessageConflict."""
        ...

    def waiting(self, department: str) -> list[str]:
        """Return the names waiting in an inbox, in no particular order."""
        ...

    def look(self, department: str, name: str) -> Found | None:
        """Read one waiting file; None when it is gone."""
        ...

    def archive(self, department: str, name: str, day: str) -> str:
        """Move a handled message to the archive of `day` (YYYY-MM-DD) and return its name there."""
        ...

    def set_aside(self, department: str, name: str, reason: str) -> str:
        """Move a message to the dead letters, its reason beside it, and return its name there."""
        ...

    def settle(self) -> None:
        """Wait until a file that nobody touches meanwhile counts as finished."""
        ...

    def find(self, message_id: str) -> Message | None:
        """Return a message wherever it lies, None when there is none of this id."""
        ...

    def holding(self, department: str, *, wait: float) -> AbstractContextManager[bool]:
        """Hold the one lock of an inbox, and tell whether it was ours already. Raises WorkspaceBusy after `wait` s."""
        ...


class Journal(Protocol):
    """Handled ids, failures, and letters that are committed but not delivered yet."""

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

    def fail(self, department: str, message_id: str, at: datetime) -> int:
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

    def pending(self, limit: int, *, besides: Sequence[str] = ()) -> list[tuple[str, str, str, bytes]]:
        """Return the (name, sender, recipient, data) of committed letters not delivered yet, oldest first.

        Letters to the departments `besides` are left out.
        """
        ...

    def published(self, names: list[str], at: datetime) -> None:
        """Note that letters are delivered."""
        ...

    def first_today(self, cause: str, day: date) -> bool:
        """Tell whether this cause comes up for the first time on `day`, and note it."""
        ...
