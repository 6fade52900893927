"""The bus publishes messages, and consumes inboxes with a router.

A handler's effect and its letters share one transaction; the letters are delivered after it (a transactional outbox).
So a kill anywhere loses nothing and repeats nothing with effect.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from Departments.core.errors import NotSigned, PublishError
from Departments.core.platform.clock import Clock
from Departments.core.settings import MessagingSettings
from Departments.messaging.admission import Admission
from Departments.messaging.catalogue import CATALOGUE
from Departments.messaging.codec import encode
from Departments.messaging.inbound import ConsumeReport, Pass
from Departments.messaging.message import Message
from Departments.messaging.outbound import Outbound
from Departments.messaging.ports import Journal, Storage
from Departments.messaging.router import Router
from Departments.messaging.signing import SignatureRule
from Departments.messaging.waiting import Contradictions, read_waiting

__all__ = ["Bus", "ConsumeReport", "never"]


def never() -> bool:
    """Never stop."""
    return False


class Bus:
    """Publishes and consumes messages. One instance serves one thread."""

    def __init__(
        self,
        mailbox: Storage,
        journal: Journal,
        clock: Clock,
        settings: MessagingSettings,
        admission: Admission | None = None,
        *,
        signatures: SignatureRule | None = None,
    ) -> None:
        self.mailbox = mailbox
        self.journal = journal
        self.clock = clock
        self.settings = settings
        self.admission = admission or Admission()
        self.signatures = signatures or SignatureRule()
        self._outbound = Outbound(mailbox, journal, clock)

    def enqueue(self, message: Message) -> None:
        """Put a message into the outbox, inside the transaction of its decision.

        The committed text is sent. The same message again changes nothing. Raises MessageConflict for the same id with
        other content, PublishError for a message that can never be written.
        """
        self._outbound.enqueue(message)

    def deliver_pending(self) -> int:
        """Deliver all committed letters and return their number.

        Called after each commit and at start-up, so a kill between commit and delivery loses nothing. A letter that
        cannot be delivered stays in the outbox; PublishError is raised if its recipient is one of our departments.
        """
        return self._outbound.deliver_pending()

    def settle(self) -> None:
        """Flush the files of delivered letters. Called at start-up and every few minutes, far from any order."""
        self._outbound.settle()

    def forget_letters(self) -> None:
        """Drop the letters committed so far: a copy of a ledger repeats no letters of the original."""
        self._outbound.forget()

    def close(self) -> None:
        """Note the last deliveries. Without this note the next start checks them once more."""
        self._outbound.note_delivered()

    def publish(self, message: Message) -> None:
        """Commit and send one message now, outside any other transaction. It is durable on return.

        The same message again changes nothing. Raises MessageConflict and PublishError; then nothing was sent.
        """
        self.publish_all([message])

    def publish_all(self, messages: list[Message]) -> None:
        """Commit and send several messages together. Raises as `publish` does."""
        self._outbound.publish(messages)

    def consume(
        self,
        department: str,
        router: Router,
        *,
        wait: float = 10.0,
        patient: bool = True,
        batch: int = 1,
        stop: Callable[[], bool] = never,
    ) -> ConsumeReport:
        """Handle all waiting messages of an inbox in the order of their times.

        If another consumer holds a filled inbox for `wait` seconds, WorkspaceBusy is raised. `stop` is asked between
        messages. Messages that must wait (a passing failure, a file still being written) stay. A `patient` pass waits a
        quarter of a second for files that are too young; any other pass leaves them for the next one. `batch` messages
        share a commit: more than one is faster, but a handler then does not see the uncommitted effects of its batch.
        Messages about one subject of the router never share one.
        """
        self.deliver_pending()
        names = self.mailbox.waiting(department)
        if not names:
            return ConsumeReport(department)
        with self.mailbox.holding(department, wait=wait) as was_ours:
            if not was_ours:  # another consumer may have been at work
                names = self.mailbox.waiting(department)
            reading = Pass(
                self.mailbox, self.journal, self._outbound, self.clock, self.settings.max_attempts,
                department, router, self.admission, patient, batch, stop, self.signatures,
            )  # fmt: skip
            return reading.run(names)

    def waiting(self, department: str) -> list[Message]:
        """Return the readable messages of an inbox in the order of handling.

        Leaves out what a pass would not act on: a letter of ours that was altered, contradictions, and what lacks its
        signature.
        """
        names = self.mailbox.waiting(department)
        files = [file for name in names if (file := read_waiting(self.mailbox, department, name))]
        readable = [(file, file.message) for file in files if isinstance(file.message, Message)]
        sent = self.journal.digests_of([file.letter_name for file, _ in readable])
        contradictions = Contradictions(self.mailbox, self.journal, department, self.signatures)
        messages = []
        for file, message in readable:
            if file.letter_name in sent:
                is_fit = sent[file.letter_name] == file.digest
            else:
                is_fit = self.is_signed(message) and not contradictions.find(file)
            if is_fit:
                messages.append(message)
        return sorted(messages, key=_order)

    def is_signed(self, message: Message) -> bool:
        """Return True if a message has the signature it needs."""
        row = CATALOGUE.find(message.message_type)
        try:
            self.signatures.check(message, message.message_type if row is None else row.name)
        except NotSigned:
            return False
        return True

    def list_contradictions(self, department: str) -> dict[str, list[str]]:
        """Return the contradictory ids of an inbox, waiting or set aside, each with the names of its files."""
        return Contradictions(self.mailbox, self.journal, department, self.signatures).list_all()

    def is_proven(self, message: Message) -> bool:
        """Return True if the ledger holds a message as our letter, or its sender has signed it."""
        sent = self.journal.digests_of([message.name]).get(message.name)
        if sent is not None:
            with suppress(PublishError):
                if sent == hashlib.sha256(encode(message)).hexdigest():
                    return True
        return self.admission.is_signed(message)

    def find(self, message_id: str) -> Message | None:
        """Find a message in any box. Returns None without one of this id."""
        return self.mailbox.find(message_id, self.journal.index())


def _order(message: Message) -> tuple[datetime, str]:
    return message.timestamp, message.message_id
