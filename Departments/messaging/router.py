"""Which handler, or skip: the rows of one department, made from the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from Departments.core.errors import UnroutableMessage
from Departments.messaging.catalogue import CATALOGUE, Catalogue, Skip
from Departments.messaging.message import Message
from Departments.messaging.names import department_of
from Departments.messaging.payloads import Payload

Commit = Callable[[], None]
"""What has to become durable in the ledger, run in the one transaction that also remembers the message's id."""

Handler = Callable[[Message, Any], Commit | None]
"""Takes a message and its payload, as the catalogue's model of it.

Does what must be done in the outside world, idempotently by message id, and returns what is to be committed.
"""


@dataclass(frozen=True, slots=True)
class Route:
    """A handler and the model that its payload is read with."""

    handler: Handler
    payload: type[Payload]


def _prepare_nothing(messages: Iterable[Message]) -> None:
    """Take messages as they come."""


class Router:
    """The rows of one department: message type → route, or `Skip` with a reason.

    `handlers` are the department's own, by the names that the catalogue gives them; it must have them all and no
    others. `prepare` is told of messages that wait together before the first of them is handled, so that what they
    need can be asked for at once; it must not fail, and some of them may never be handled.
    """

    def __init__(
        self,
        department: str,
        handlers: Mapping[str, Handler],
        *,
        catalogue: Catalogue = CATALOGUE,
        prepare: Callable[[Iterable[Message]], None] = _prepare_nothing,
    ) -> None:
        self.department = department
        self.handlers = dict(handlers)
        self.prepare = prepare
        self._catalogue = catalogue
        entries = {row.name: (row, row.recipients[department]) for row in catalogue if department in row.recipients}
        wanted = {entry for _, entry in entries.values() if isinstance(entry, str)}
        if wanted != set(handlers):
            raise ValueError(
                f"{department}: the catalogue names {sorted(wanted)}, the department has {sorted(handlers)}"
            )
        self.rows: dict[str, Route | Skip] = {
            name: entry if isinstance(entry, Skip) else Route(handlers[entry], row.payload_for(department))
            for name, (row, entry) in entries.items()
        }

    def is_for_us(self, message: Message) -> bool:
        """Return True if the message is addressed to this department."""
        return message.recipient == self.department or department_of(message.recipient) == self.department

    def type_of(self, message: Message) -> str:
        """Return the type of a message, under which it has its row."""
        row = self._catalogue.find(message.message_type)
        return message.message_type if row is None else row.name

    def row_for(self, message: Message) -> Route | Skip:
        """Return what becomes of a message. Raises UnroutableMessage when it is misaddressed or of no known type."""
        if not self.is_for_us(message):
            raise UnroutableMessage(
                f"{message.message_id} is addressed to {message.recipient!r} and lies in the inbox of {self.department}"
            )
        try:
            return self.rows[self.type_of(message)]
        except KeyError as error:
            raise UnroutableMessage(
                f"{message.message_id} is a {message.message_type!r}, which {self.department} has no handler for"
            ) from error
