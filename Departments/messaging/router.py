"""The router finds the handler of a message, or its reason to skip it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from Departments.core.errors import BrokerUnavailable, UnroutableMessage
from Departments.messaging.catalogue import CATALOGUE, Catalogue, MessageType, Skip
from Departments.messaging.message import Message
from Departments.messaging.names import department_of
from Departments.messaging.payloads import Payload

Commit = Callable[[], None]
"""Writes to the ledger, in the transaction that also remembers the message's id."""

Handler = Callable[[Message, Any], Commit | None]
"""Takes a message and its payload, as the catalogue's model of it.

Acts on the outside world, idempotently by message id, and returns the commit of its effect.
"""


@dataclass(frozen=True, slots=True)
class Route:
    """A handler and its model of the payload."""

    handler: Handler
    payload: type[Payload]


def _prepare_nothing(messages: Iterable[Message]) -> None:
    """Do nothing."""


def _find_no_subject(message: Message) -> str:  # noqa: ARG001 - the parameter of a subject
    """Return the empty subject."""
    return ""


def is_acted_on(message: Message, catalogue: Catalogue = CATALOGUE) -> bool:
    """Return True if the recipient of a message does something with it, False if it skips or refuses it."""
    row = catalogue.find(message.message_type)
    return row is not None and isinstance(row.recipients.get(department_of(message.recipient)), str)


def make_skipping_router(department: str, catalogue: Catalogue = CATALOGUE) -> Router:
    """Return a router for an inbox without a message that is acted on; one that comes meanwhile waits."""

    def refuse(message: Message, _: Any) -> Commit | None:
        raise BrokerUnavailable(f"{message.message_id} came while {department} was read-only")

    entries = (row.recipients.get(department) for row in catalogue)
    return Router(department, {entry: refuse for entry in entries if isinstance(entry, str)}, catalogue=catalogue)


class Router:
    """The rows of one department: message type → route, or `Skip` with a reason.

    `handlers` has exactly the names that the catalogue gives this department. `prepare` takes messages that wait
    together, before the first of them is handled, to ask for their data at once. It must not fail, and some of its
    messages may never be handled. Messages about one `subject`, if they have any, never share a commit.
    """

    def __init__(
        self,
        department: str,
        handlers: Mapping[str, Handler],
        *,
        catalogue: Catalogue = CATALOGUE,
        prepare: Callable[[Iterable[Message]], None] = _prepare_nothing,
        subject: Callable[[Message], str] = _find_no_subject,
    ) -> None:
        self.department = department
        self.handlers = dict(handlers)
        self.prepare = prepare
        self.subject = subject
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
        """Return the type of a message, aliases resolved."""
        row = self.find_type(message)
        return message.message_type if row is None else row.name

    def find_type(self, message: Message) -> MessageType | None:
        """Find the catalogue's row of a message's type. Returns None for an unknown type."""
        return self._catalogue.find(message.message_type)

    def row_for(self, message: Message) -> Route | Skip:
        """Return the row of a message. Raises UnroutableMessage if it is misaddressed or of unknown type."""
        if not self.is_for_us(message):
            raise UnroutableMessage(
                f"{message.message_id} is addressed to {message.recipient!r}, but is in the inbox of {self.department}"
            )
        try:
            return self.rows[self.type_of(message)]
        except KeyError as error:
            raise UnroutableMessage(
                f"{message.message_id} is a {message.message_type!r}, which {self.department} has no handler for"
            ) from error

    def read(self, message: Message) -> Payload | None:
        """Return the payload of a message as its handler gets it, None for a skipped type.

        Raises UnroutableMessage, BadInput and UnreadableMessage.
        """
        row = self.row_for(message)
        return None if isinstance(row, Skip) else row.payload.of(message)
