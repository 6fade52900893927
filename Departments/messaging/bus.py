"""The bus: publish, and consume with a router. Who handles a message, and what becomes of its file.

What is sent because of a message is committed in the same transaction as its effect and delivered after it (a
transactional outbox), so a kill anywhere loses nothing and repeats nothing with effect.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from Departments.core.platform.clock import Clock
from Departments.core.settings import MessagingSettings
from Departments.messaging.inbound import ConsumeReport, Pass, decode_file
from Departments.messaging.message import Message
from Departments.messaging.outbound import Outbound
from Departments.messaging.ports import Journal, Storage
from Departments.messaging.router import Router

__all__ = ["Bus", "ConsumeReport", "never"]


def never() -> bool:
    """Never stop."""
    return False


class Bus:
    """Publishes and consumes messages. One instance serves one thread."""

    def __init__(self, mailbox: Storage, journal: Journal, clock: Clock, settings: MessagingSettings) -> None:
        self.mailbox = mailbox
        self.journal = journal
        self.clock = clock
        self.settings = settings
        self._outbound = Outbound(mailbox, journal, clock)

    def enqueue(self, message: Message) -> None:
        """Note a message to be delivered, inside the transaction that decides it; the committed text is sent.

        The same message again changes nothing. Raises MessageConflict for the same id with other content and
        PublishError for what can never be written.
        """
        self._outbound.enqueue(message)

    def deliver_pending(self) -> int:
        """Deliver everything enqueued and committed, and return how many letters that were.

        Called after each commit and at start-up, so that a kill between commit and delivery loses nothing. What cannot
        be delivered stays in the outbox, which raises PublishError where it is for one of the desk's own departments.
        """
        return self._outbound.deliver_pending()

    def settle(self) -> None:
        """Flush the files of what was delivered; called at start-up and now and then, far from any order."""
        self._outbound.settle()

    def forget_letters(self) -> None:
        """Deliver nothing that is committed so far: a copy of a ledger repeats no letters of the original."""
        self._outbound.forget()

    def close(self) -> None:
        """Note what was delivered last; without that it is looked at once more by the next start."""
        self._outbound.note_delivered()

    def publish(self, message: Message) -> None:
        """Commit and send one message now, outside any other transaction; it is durable when this returns.

        The same message again changes nothing. Raises MessageConflict and PublishError; nothing was sent then.
        """
        self.publish_all([message])

    def publish_all(self, messages: list[Message]) -> None:
        """Commit and send several messages together; raises as `publish` does."""
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
        """Handle everything that waits in an inbox, in the order of the messages' times, and return what it came to.

        `wait` is how many seconds to wait for another consumer of the inbox before WorkspaceBusy is raised, if anything
        waits there; `stop` is asked between messages. Messages that must wait (a failure that may pass, a file still
        being written) stay; a `patient` pass gives files too young to be judged a quarter of a second, another leaves
        them for the next one. `batch` messages share a commit: more than one is faster, and a handler then does not see
        in the ledger what those before it in its batch are going to commit.
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
                department, router, patient, batch, stop,
            )  # fmt: skip
            return reading.run(names)

    def waiting(self, department: str) -> list[Message]:
        """Return the readable messages waiting in an inbox, in the order they would be handled."""
        names = self.mailbox.waiting(department)
        found = (decode_file(name, self.mailbox.look(department, name)) for name in names)
        return sorted((m for m in found if isinstance(m, Message)), key=_order)

    def find(self, message_id: str) -> Message | None:
        """Return a message from any box, None when there is none of this id."""
        return self.mailbox.find(message_id, self.journal.index())


def _order(message: Message) -> tuple[datetime, str]:
    return message.timestamp, message.message_id
