"""A mail server on loopback that keeps what it gets."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from typing import Any

import pytest


@dataclass
class Inbox:
    """What came in, and the address of the server for apprise."""

    address: str = ""
    messages: list[Message] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        self.messages.append(message_from_bytes(envelope.content))
        return "250 OK"


@contextmanager
def receiving_mail() -> Iterator[Inbox]:
    """Yield the inbox of a mail server; skip without aiosmtpd."""
    controllers = pytest.importorskip("aiosmtpd.controller")
    inbox, port = Inbox(), _find_port()
    server = controllers.Controller(inbox, hostname="127.0.0.1", port=port)
    server.start()
    try:
        inbox.address = f"mailto://127.0.0.1:{port}?from=desk@example.com&to=ann@example.com&mode=insecure"
        yield inbox
    finally:
        server.stop()


def _find_port() -> int:
    """Return a free port: the server asks itself for an answer before it has one."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
