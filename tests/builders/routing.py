"""Routers of a few message types whose payloads nobody reads, for tests of the bus."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from Departments.messaging.catalogue import ANYBODY, CATALOGUE, Catalogue, MessageType, Skip
from Departments.messaging.message import Message
from Departments.messaging.payloads import Payload
from Departments.messaging.router import Commit, Handler, Router


class Unread(Payload):
    """Whatever a message carries, its handler looks at the message itself."""

    @classmethod
    def document_in(cls, message: Message) -> Mapping[str, Any] | None:
        return None


def router_of(department: str, rows: Mapping[str, Callable[[Message], Commit | None] | Skip], **options: Any) -> Router:
    """Return a router with these rows; a handler takes the message alone."""
    types = [
        MessageType(name, Unread, ANYBODY, {department: row if isinstance(row, Skip) else name}, aliases=_aliases(name))
        for name, row in rows.items()
    ]
    handlers = {name: _with_payload(row) for name, row in rows.items() if not isinstance(row, Skip)}
    return Router(department, handlers, catalogue=Catalogue(types), **options)


def _aliases(name: str) -> tuple[str, ...]:
    row = CATALOGUE.find(name)
    return row.aliases if row else ()


def _with_payload(handle: Callable[[Message], Commit | None]) -> Handler:
    return lambda message, _payload: handle(message)
