"""Sending: letters are committed with the decision that made them, and delivered after the commit."""

from __future__ import annotations

import logging
from typing import Final

from Departments.core.clock import Clock
from Departments.core.errors import MessageConflict
from Departments.messaging import codec
from Departments.messaging.journal import Journal
from Departments.messaging.mailbox import Letter, Storage, checked
from Departments.messaging.message import Message

BATCH: Final = 50  # letters delivered per flush

logger = logging.getLogger(__name__)


def letter_of(message: Message) -> Letter:
    """Write a message as the letter a mailbox stores. Raises PublishError for what can never be written."""
    return Letter(message.name, message.sender, message.recipient, codec.encode(message))


class Outbound:
    """The transactional outbox."""

    def __init__(self, mailbox: Storage, journal: Journal, clock: Clock) -> None:
        self._mailbox = mailbox
        self._journal = journal
        self._clock = clock
        self._waiting = BATCH  # at most; letters of a run before this one may be among them

    def enqueue(self, message: Message) -> None:
        """Note a message to be delivered, inside the transaction that decides it."""
        letter = checked(letter_of(message))
        self._journal.enqueue(letter.name, letter.sender, letter.recipient, letter.data, self._clock.now())
        self._waiting += 1

    @property
    def many_wait(self) -> bool:
        """Tell whether so many letters wait that they fill a flush of their own."""
        return self._waiting >= BATCH

    def deliver_pending(self) -> int:
        """Publish everything enqueued and committed, and return how many letters that were. Raises PublishError."""
        delivered = 0
        while self._waiting:
            letters = [Letter(*row) for row in self._journal.pending(BATCH)]
            if letters:
                self._deliver(letters)
                with self._journal.transaction():
                    self._journal.published([letter.name for letter in letters], self._clock.now())
            delivered += len(letters)
            self._waiting = BATCH if len(letters) == BATCH else 0
        return delivered

    def _deliver(self, letters: list[Letter]) -> None:
        try:
            self._mailbox.publish(letters)
        except MessageConflict:
            for letter in letters:
                self._deliver_one(letter)

    def _deliver_one(self, letter: Letter) -> None:
        """Deliver one letter; one that conflicts with a file of somebody else must not hold up the rest for ever."""
        try:
            self._mailbox.publish([letter])
        except MessageConflict as error:
            logger.error("not delivered: %s", error)  # noqa: TRY400 - the traceback tells nothing more
