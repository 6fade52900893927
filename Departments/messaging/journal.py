"""What the bus must remember durably. The ledger keeps it in SQLite; `MemoryJournal` is the in-memory twin.

Only built-in types cross this port, so that the ledger need not know messaging nor messaging the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import date, datetime
from itertools import islice
from typing import Any, Protocol

from Departments.core.errors import MessageConflict


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


class MemoryJournal:
    """The journal for tests and measurements: forgets everything with the process."""

    def __init__(self) -> None:
        self._handled: dict[tuple[str, str], tuple[str, str]] = {}
        self._failures: dict[tuple[str, str], tuple[int, datetime, datetime]] = {}
        self._letters: dict[str, tuple[str, str, bytes]] = {}
        self._pending: dict[str, None] = {}
        self._causes: dict[tuple[str, date], None] = {}
        self._undo: list[Callable[[], object]] | None = None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Undo everything inside when it fails."""
        if self._undo is not None:
            yield
            return
        self._undo = []
        try:
            yield
        except BaseException:
            for step in reversed(self._undo):
                step()
            raise
        finally:
            self._undo = None

    def disposition(self, department: str, message_id: str) -> tuple[str, str] | None:
        """Return (disposition, digest) of a handled message."""
        return self._handled.get((department, message_id))

    def dispositions(self, department: str, message_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Return (disposition, digest) by the ids of handled messages."""
        return {each: done for each in message_ids if (done := self.disposition(department, each))}

    def remember(self, department: str, message_id: str, disposition: str, digest: str, at: datetime) -> bool:  # noqa: ARG002
        """Note that a message has been handled."""
        if (department, message_id) in self._handled:
            return False
        self._put(self._handled, (department, message_id), (disposition, digest))
        return True

    def failures(self, department: str) -> dict[str, tuple[int, datetime, datetime]]:
        """Return (attempts, first, last) by message id."""
        return {message_id: failed for (owner, message_id), failed in self._failures.items() if owner == department}

    def fail(self, department: str, message_id: str, at: datetime) -> int:
        """Count a failed attempt."""
        attempts, first, _ = self._failures.get((department, message_id), (0, at, at))
        self._put(self._failures, (department, message_id), (attempts + 1, first, at))
        return attempts + 1

    def forget_failures(self, department: str, message_id: str) -> None:
        """Start counting anew."""
        if (department, message_id) in self._failures:
            self._put(self._failures, (department, message_id), None)

    def enqueue(self, name: str, sender: str, recipient: str, data: bytes, at: datetime) -> None:  # noqa: ARG002
        """Note a letter to be delivered."""
        if name not in self._letters:
            self._put(self._letters, name, (sender, recipient, data))
            self._put(self._pending, name, ())
        elif self._letters[name] != (sender, recipient, data):
            raise MessageConflict(f"{name} was sent before with other content; it stays as it was.")

    def pending(self, limit: int, *, besides: Sequence[str] = ()) -> list[tuple[str, str, str, bytes]]:
        """Return committed letters not delivered yet."""
        found = ((name, *self._letters[name]) for name in self._pending)
        return list(islice((row for row in found if row[2] not in besides), limit))

    def published(self, names: list[str], at: datetime) -> None:  # noqa: ARG002
        """Note that letters are delivered."""
        for name in names:
            self._put(self._pending, name, None)

    def first_today(self, cause: str, day: date) -> bool:
        """Tell whether this cause comes up for the first time on `day`."""
        first = (cause, day) not in self._causes
        self._put(self._causes, (cause, day), ())
        return first

    def _put(self, table: dict[Any, Any], key: Any, value: Any) -> None:
        """Set a value, or remove it for None, in a way that can be undone."""
        before = table.get(key)
        if self._undo is not None:
            self._undo.append(lambda: _set(table, key, before))
        _set(table, key, value)


def _set(table: dict[Any, Any], key: Any, value: Any) -> None:
    if value is None:
        table.pop(key, None)
    else:
        table[key] = value
