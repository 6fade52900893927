"""Which handler, or skip: one visible table for each department."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from Departments.core.errors import UnroutableMessage
from Departments.messaging.message import ALIASES, Message
from Departments.messaging.names import department_of

Commit = Callable[[], None]
"""What has to become durable in the ledger, run in the one transaction that also remembers the message's id."""

Handler = Callable[[Message], Commit | None]
"""Does what must be done in the outside world, idempotently by message id, and returns what is to be committed."""


@dataclass(frozen=True, slots=True)
class Skip:
    """A message type that a department receives and does not act on, and why."""

    reason: str


def _unprepared(messages: Iterable[Message]) -> None:
    """Take messages as they come."""


class Router:
    """The table of one department: message type → handler, or `Skip` with a reason.

    `prepare` is told of messages that lie in the inbox together before the first of them is handled, so that what they
    need can be asked for at once; it must not fail, and some of them may never be handled.
    """

    def __init__(
        self,
        department: str,
        rows: Mapping[str, Handler | Skip],
        *,
        aliases: Mapping[str, str] = ALIASES,
        prepare: Callable[[Iterable[Message]], None] = _unprepared,
    ) -> None:
        self.department = department
        self.rows = dict(rows)
        self.aliases = dict(aliases)
        self.prepare = prepare

    def is_for_us(self, message: Message) -> bool:
        """Tell whether the message is addressed to this department."""
        return message.recipient == self.department or department_of(message.recipient) == self.department

    def kind_of(self, message: Message) -> str:
        """Return the type of a message, under which it has its row."""
        return self.aliases.get(message.message_type, message.message_type)

    def row_for(self, message: Message) -> Handler | Skip:
        """Return what becomes of a message. Raises UnroutableMessage when it is misaddressed or of no known type."""
        if not self.is_for_us(message):
            raise UnroutableMessage(
                f"{message.message_id} is addressed to {message.recipient!r} and lies in the inbox of {self.department}"
            )
        try:
            return self.rows[self.kind_of(message)]
        except KeyError as error:
            raise UnroutableMessage(
                f"{message.message_id} is a {message.message_type!r}, which {self.department} has no handler for"
            ) from error
