"""The in-memory twin of the mailbox, for tests and measurements; it passes the same contract suite as the files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from Departments.core.errors import MessageConflict, UnreadableMessage
from Departments.messaging import codec
from Departments.messaging.files import Found, State
from Departments.messaging.mailbox import INBOX, OUTBOX, Letter, checked
from Departments.messaging.message import Message
from Departments.messaging.names import is_message_name, numbered

Box = dict[tuple[str, ...], bytes]


class MemoryMailbox:
    """Keeps (department, name) → bytes for each box; forgets everything with the process."""

    def __init__(self, *, max_bytes: int = 10_000_000) -> None:
        self.max_bytes = max_bytes
        self.inbox: Box = {}
        self.outbox: Box = {}
        self.archived: Box = {}
        self.dead: Box = {}
        self.reasons: dict[tuple[str, str], str] = {}

    def publish(self, letters: Sequence[Letter]) -> None:
        """Deliver letters; all or none."""
        taken: Box = {}
        for letter in map(checked, letters):
            for box, store, owner in ((OUTBOX, self.outbox, letter.sender), (INBOX, self.inbox, letter.recipient)):
                first = taken.setdefault((box, owner, letter.name), letter.data)
                if store.get((owner, letter.name), first) != letter.data:
                    raise MessageConflict(f"{letter.name} was published before with other content; it stays as it was.")
        for letter in letters:
            if (letter.sender, letter.name) not in self.outbox:
                self.inbox[letter.recipient, letter.name] = letter.data
                self.outbox[letter.sender, letter.name] = letter.data

    def put(self, department: str, name: str, data: bytes) -> None:
        """Lay a file into an inbox as a writer outside the project does."""
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

    def archive(self, department: str, name: str, day: str) -> str:
        """Move a handled message to the archive of a day."""
        data = self.inbox.pop((department, name))
        free, number = name, 1
        while self.archived.get((day, department, free), data) != data:
            number += 1
            free = numbered(name, number)
        self.archived[day, department, free] = data
        return free

    def set_aside(self, department: str, name: str, reason: str) -> str:
        """Move a message to the dead letters."""
        free, number = name, 1
        while (department, free) in self.dead:
            number += 1
            free = numbered(name, number)
        self.dead[department, free] = self.inbox.pop((department, name))
        self.reasons[department, free] = reason
        return free

    def settle(self) -> None:
        """Do nothing: what lies here is never half-written."""

    @contextmanager
    def holding(self, department: str, *, wait: float) -> Iterator[bool]:  # noqa: ARG002
        """Hold nothing: nobody else can reach this mailbox."""
        yield True

    def find(self, message_id: str) -> Message | None:
        """Return a message wherever it lies."""
        for box in (self.inbox, self.outbox, self.archived, self.dead):
            for (*_, name), data in box.items():
                try:
                    message = codec.decode(data, name=name)
                except UnreadableMessage:
                    continue
                if message.message_id == message_id:
                    return message
        return None
