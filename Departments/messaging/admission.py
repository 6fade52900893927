"""Admission: who may send a message, and what proves it. Every pass over an inbox asks here before it acts.

The word after `from:` proves nothing: whoever can write a file writes it. What our departments decide is a letter in
the ledger, so the ledger's id and digest prove it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from Departments.core.departments import EXECUTIVE, OURS
from Departments.core.errors import BadInput, NotDecidedHere, SenderNotAllowed
from Departments.core.safe_text import make_safe
from Departments.core.settings import MessagesSettings
from Departments.messaging.catalogue import ANYBODY, CATALOGUE, MessageType, Proof
from Departments.messaging.message import Message
from Departments.messaging.names import department_of

Instructions = Literal["decided", "signed", "unproven"]
UNPROVEN_WARNING = (
    "Instructions are not proven (trading.instructions: unproven): "
    "whoever can write into the inbox of TRADING trades this account"
)


class Signatures(Protocol):
    """Checks the signatures that messages carry."""

    def is_signed_by(self, message: Message, department: str) -> bool:
        """Return True if the message carries a valid signature of this department."""
        ...


class NoSignatures:
    """Knows no key, so no signature is valid."""

    def is_signed_by(self, message: Message, department: str) -> bool:  # noqa: ARG002 - the port's parameters
        """Return False."""
        return False


@dataclass(frozen=True, slots=True)
class Admission:
    """Admits messages by the catalogue's columns `senders` and `proof`.

    `senders` replaces the catalogue's senders of a type; `instructions` is the evidence asked of the Executive's.
    """

    senders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    instructions: Instructions = "decided"
    signatures: Signatures = field(default_factory=NoSignatures)

    def check(self, row: MessageType, message: Message, *, is_letter: bool) -> None:
        """Raise SenderNotAllowed or NotDecidedHere. `is_letter`: the ledger holds its very bytes as our letter."""
        self.check_sender(row, message)
        if row.proof is Proof.DECIDED and not is_letter and not self.is_trusted(message):
            raise NotDecidedHere(
                f"{message.message_id} calls itself a {row.name} of {make_safe(message.sender)}, but the ledger does "
                "not hold it as sent; nothing was done; find out who wrote it, then drop it"
            )

    def check_sender(self, row: MessageType, message: Message) -> None:
        """Raise SenderNotAllowed for a type from anybody but its senders."""
        if not self.may_send(row, message.sender):
            raise SenderNotAllowed(
                f"{message.message_id} is a {row.name} from {make_safe(message.sender)[:80]!r}, "
                f"which only {', '.join(self.senders_of(row)) or 'nobody'} may send; {_mend(row)}"
            )

    def check_file(self, message: Message, source: str) -> None:
        """Raise BadInput naming `source` for a file whose sender may not send its type."""
        row = CATALOGUE.find(message.message_type)
        if row is not None and not self.may_send(row, message.sender):
            problem = f"{make_safe(message.sender)[:80]!r} may not send a {row.name}"
            raise BadInput(source, "from", problem, _mend(row))

    def may_send(self, row: MessageType, sender: str) -> bool:
        """Return True if a department may send a type. Names are read as people write them."""
        return row.senders == ANYBODY or department_of(sender) in self.senders_of(row)

    def senders_of(self, row: MessageType) -> tuple[str, ...]:
        """Return the senders of a type. Settings cannot exclude our own departments."""
        named = self.senders.get(row.name)
        if named is None:
            return row.senders
        ours = tuple(name for name in row.senders if name in OURS)
        return tuple(dict.fromkeys((*ours, *named)))

    def is_signed(self, message: Message) -> bool:
        """Return True if a message carries a valid signature of its sender."""
        return self.signatures.is_signed_by(message, department_of(message.sender))

    def is_trusted(self, message: Message) -> bool:
        """Return True if an instruction counts without a decision in the ledger, by setting."""
        if department_of(message.sender) != EXECUTIVE or self.instructions == "decided":
            return False
        return self.instructions == "unproven" or self.is_signed(message)


def check_types(settings: MessagesSettings, path: Path) -> None:
    """Raise BadInput, naming the file of the settings, for a type that the catalogue does not have.

    Senders can be chosen only for types that others write, too.
    """
    for name in settings.senders:
        row = CATALOGUE.find(name)
        if row is None or row.name != name or row.is_ours:
            problem = "only our own departments write this type" if row and row.is_ours else "there is no such type"
            chosen = ", ".join(sorted(row.name for row in CATALOGUE if not row.is_ours))
            raise BadInput(path, f"messages.senders.{name}", problem, f"name one of {chosen}")
    known = [row.name for row in CATALOGUE]
    for name in settings.require_signature:
        if name not in known:
            problem = f"there is no message type {name!r}"
            raise BadInput(path, "messages.require_signature", problem, f"name some of {', '.join(known)}")


def _mend(row: MessageType) -> str:
    if row.is_ours:
        return "find out who wrote it, then drop it"
    return f"if it is wanted, add the sender to messages.senders.{row.name} in config/settings.yaml and retry it"
