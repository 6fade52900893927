"""Which messages must be signed, and by whom: the desk's side of `signatures`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from Departments.core.errors import NotSigned
from Departments.core.safe_text import make_safe
from Departments.messaging.message import Message
from Departments.messaging.names import department_of
from Departments.messaging.signatures import SHORTEST, is_signed_with, key_variable, keys_of


@dataclass(frozen=True, slots=True)
class SignatureRule:
    """The types with a required signature, and the keys.

    A signature counts for the department after `from:`. A wrong one is refused for every type, if its sender has a key
    here. The desk's own letters need none: the ledger holds them.
    """

    types: frozenset[str] = frozenset()
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def is_signed_by(self, message: Message, department: str) -> bool:
        """Return True if a message carries a valid signature of this department."""
        keys = keys_of(department, self.environment) if "signature" in message.extra else ()
        return bool(keys) and is_signed_with(message.source, keys)

    def is_signed(self, message: Message) -> bool:
        """Return True if a message carries a valid signature of its sender."""
        return self.is_signed_by(message, department_of(message.sender))

    def check(self, message: Message, message_type: str) -> None:
        """Raise NotSigned unless a message has the signature it needs."""
        problem = self.find_problem(message)
        if problem and (message_type in self.types or (self._has_key(message) and "signature" in message.extra)):
            raise NotSigned(f"{make_safe(message.message_id)} {problem}; it had no effect")

    def find_problem(self, message: Message) -> str:
        """Return the fault of a message's signature, empty for a valid one."""
        sender = department_of(message.sender)
        keys = keys_of(sender, self.environment)
        if not keys:
            mend = f"set {make_safe(key_variable(sender))} to {SHORTEST} characters or more"
            return f"cannot be verified: there is no key of {make_safe(sender)} here; {mend}"
        if "signature" not in message.extra:
            return f"is not signed; its sender signs it with departments messages sign FILE --as {make_safe(sender)}"
        if is_signed_with(message.source, keys):
            return ""
        return (
            f"has a signature that is not {make_safe(sender)}'s for this text; ask {make_safe(sender)} for the original"
        )

    def _has_key(self, message: Message) -> bool:
        return bool(keys_of(department_of(message.sender), self.environment))
