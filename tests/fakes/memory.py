"""In-memory twins of mailbox and journal, for tests and measurements. They pass the same contract suites."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from hashlib import sha256
from itertools import count, islice
from typing import Any

from Departments.core.errors import MessageConflict, UnreadableMessage
from Departments.messaging import codec
from Departments.messaging.folders import INBOX, OUTBOX
from Departments.messaging.looker import Found, State
from Departments.messaging.message import Message
from Departments.messaging.names import is_message_name, number_names, stem
from Departments.messaging.ports import DeadLetterRow, IndexRow, Letter

Box = dict[tuple[str, ...], bytes]


class MemoryMailbox:
    """Keeps (department, name) → bytes for each box, for the life of the process."""

    def __init__(self, *, max_bytes: int = 10_000_000) -> None:
        self.max_bytes = max_bytes
        self.inbox: Box = {}
        self.outbox: Box = {}
        self.archived: Box = {}
        self.dead: Box = {}
        self.reasons: dict[tuple[str, str], str] = {}

    def publish(self, letters: Sequence[Letter], *, again: bool = False) -> None:
        """Deliver all letters or none."""
        taken: Box = {}
        for letter in letters:
            letter.check()
            for box, store, owner in ((OUTBOX, self.outbox, letter.sender), (INBOX, self.inbox, letter.recipient)):
                first = taken.setdefault((box, owner, letter.name), letter.data)
                if store.get((owner, letter.name), first) != letter.data:
                    raise MessageConflict(f"{letter.name} was published before with other content; it stays as it was.")
        fresh = [letter for letter in letters if (letter.sender, letter.name) not in self.outbox]
        for letter in fresh:
            self.inbox[letter.recipient, letter.name] = letter.data
            self.outbox[letter.sender, letter.name] = letter.data

    def has_sent(self, letter: Letter) -> bool:
        """Return True if the sender has a copy."""
        return self.outbox.get((letter.sender, letter.name)) == letter.data

    def flush(self, letters: Sequence[Letter]) -> list[str]:
        """Return the names of delivered letters."""
        return [letter.name for letter in letters if self.has_sent(letter)]

    def put(self, department: str, name: str, data: bytes) -> None:
        """Drop a file into an inbox, like a stranger."""
        self.inbox[department, name] = data

    def waiting(self, department: str) -> list[str]:
        """Return the names waiting in an inbox."""
        return [name for owner, name in self.inbox if owner == department and is_message_name(name)]

    def look(self, department: str, name: str) -> Found | None:
        """Read one waiting file."""
        data = self.inbox.get((department, name))
        if data is None:
            return None
        problem = f"is larger than {self.max_bytes} bytes" if len(data) > self.max_bytes else ""
        return Found(b"" if problem else data, State.WHOLE, problem)

    def archive(self, department: str, name: str, day: str, *, flush: bool = True) -> str:
        """Move a handled message to the archive of a day."""
        data = self.inbox.pop((department, name))
        free = next(each for each in number_names(name) if self.archived.get((day, department, each), data) == data)
        self.archived[day, department, free] = data
        return free

    def bury(self, department: str, name: str, reason: str) -> str:
        """Move a message to the dead letters."""
        free = next(each for each in number_names(name) if (department, each) not in self.dead)
        self.dead[department, free] = self.inbox.pop((department, name))
        self.reasons[department, free] = reason
        return free

    def dead_names(self, department: str) -> list[str]:
        """Return the names among the dead letters."""
        return [name for owner, name in self.dead if owner == department]

    def wait_until_quiet(self) -> None:
        """Do nothing: no file here is half-written."""

    @contextmanager
    def holding(self, department: str, *, wait: float) -> Iterator[bool]:
        """Hold nothing: nobody else can reach this mailbox."""
        yield True

    def find(self, message_id: str, index: Sequence[IndexRow] = ()) -> Message | None:
        """Find a message in any box."""
        return next(iter(self.find_copies(message_id, index)), None)

    def find_copies(self, message_id: str, index: Sequence[IndexRow] = ()) -> list[Message]:
        """Return all readable copies of a message."""
        found = []
        for box in (self.inbox, self.outbox, self.archived, self.dead):
            for (*_, name), data in box.items():
                try:
                    message = codec.decode(data, name=name)
                except UnreadableMessage:
                    continue
                if message.message_id == message_id:
                    found.append(message)
        return found


class MemoryJournal:
    """The journal in memory, for the life of the process."""

    def __init__(self) -> None:
        self._handled: dict[tuple[str, str], tuple[str, str]] = {}
        self._failures: dict[tuple[str, str], tuple[int, datetime, datetime]] = {}
        self._letters: dict[str, tuple[str, str, bytes]] = {}
        self._pending: dict[str, None] = {}
        self._unsettled: dict[str, int] = {}
        self._numbers = count(1)
        self._index: dict[tuple[str, str], IndexRow] = {}
        self._causes: dict[tuple[str, date], None] = {}
        self._dead: dict[tuple[str, str, str], DeadLetterRow] = {}
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

    def remember(self, department: str, message_id: str, disposition: str, digest: str, at: datetime) -> bool:
        """Note a handled message."""
        if (department, message_id) in self._handled:
            return False
        self._put(self._handled, (department, message_id), (disposition, digest))
        return True

    def failures(self, department: str) -> dict[str, tuple[int, datetime, datetime]]:
        """Return (attempts, first, last) by message id."""
        return {message_id: failed for (owner, message_id), failed in self._failures.items() if owner == department}

    def count_failure(self, department: str, message_id: str, at: datetime) -> int:
        """Count a failed attempt."""
        attempts, first, _ = self._failures.get((department, message_id), (0, at, at))
        self._put(self._failures, (department, message_id), (attempts + 1, first, at))
        return attempts + 1

    def forget_failures(self, department: str, message_id: str) -> None:
        """Start counting anew."""
        if (department, message_id) in self._failures:
            self._put(self._failures, (department, message_id), None)

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
        """Put a letter into the outbox and the index."""
        is_new = name not in self._letters
        if is_new:
            self._put(self._letters, name, (sender, recipient, data))
            self._put(self._pending, name, ())
            self._put(self._unsettled, name, next(self._numbers))
            self._put(self._index, (name, stem(name)), (name, stem(name), parent, plan))
        elif self._letters[name] != (sender, recipient, data):
            raise MessageConflict(f"{name} was sent before with other content; it stays as it was.")
        return is_new

    def withdraw(self, name: str) -> bool:
        """Forget an undelivered letter."""
        if name not in self._pending:
            return False
        for table in (self._pending, self._unsettled, self._letters):
            self._put(table, name, None)
        self._put(self._index, (name, stem(name)), None)
        return True

    def pending(self, limit: int, *, besides: Sequence[str] = ()) -> list[tuple[str, str, str, bytes]]:
        """Return committed, undelivered letters."""
        found = ((name, *self._letters[name]) for name in self._pending)
        return list(islice((row for row in found if row[2] not in besides), limit))

    def mark_published(self, names: Sequence[str], at: datetime) -> None:
        """Note delivered letters."""
        for name in names:
            self._put(self._pending, name, None)

    def list_unsettled(self, after: int, limit: int) -> list[tuple[int, str, str, str, bytes]]:
        """Return delivered, unsettled letters."""
        names = (name for name in self._unsettled if self._unsettled[name] > after and name not in self._pending)
        return [(self._unsettled[name], name, *self._letters[name]) for name in islice(names, limit)]

    def settle(self, names: Sequence[str]) -> None:
        """Note letters with durable files."""
        for name in names:
            self._put(self._unsettled, name, None)

    def digests_of(self, names: Sequence[str]) -> dict[str, str]:
        """Return the digests of our own letters among these names."""
        return {name: sha256(self._letters[name][2]).hexdigest() for name in names if name in self._letters}

    def note(self, rows: Iterable[IndexRow]) -> None:
        """Enter messages into the index."""
        for row in rows:
            if row[:2] not in self._index:
                self._put(self._index, row[:2], row)

    def index(self) -> list[IndexRow]:
        """Return the whole index."""
        return list(self._index.values())

    def note_dead_letter(self, row: DeadLetterRow) -> None:
        """Note a dead letter."""
        self._put(self._dead, row[:3], row)

    def dead_letters(self) -> list[DeadLetterRow]:
        """Return the remaining dead letters."""
        return sorted(self._dead.values(), key=lambda row: (row[6], *row[:2]))

    def accept_dead_letter(self, department: str, name: str, digest: str, at: datetime) -> bool:
        """Accept a dead letter."""
        row = self._dead.get((department, name, digest))
        if row:
            self._put(self._dead, row[:3], (*row[:7], at))
        return row is not None

    def remove_dead_letter(self, department: str, name: str, digest: str, at: datetime) -> bool:
        """Remove a dead letter."""
        known = (department, name, digest) in self._dead
        self._put(self._dead, (department, name, digest), None)
        return known

    def note_cause(self, cause: str, day: date) -> bool:
        """Note a cause. Returns True if it is new on `day`."""
        first = (cause, day) not in self._causes
        self._put(self._causes, (cause, day), ())
        return first

    def _put(self, table: dict[Any, Any], key: Any, value: Any) -> None:
        """Set a value, or remove it for None. A failed transaction undoes it."""
        before = table.get(key)
        if self._undo is not None:
            self._undo.append(lambda: _set(table, key, before))
        _set(table, key, value)


def _set(table: dict[Any, Any], key: Any, value: Any) -> None:
    if value is None:
        table.pop(key, None)
    else:
        table[key] = value
