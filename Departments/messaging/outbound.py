"""Sending: letters are committed with the decision that made them, and delivered after the commit."""

from __future__ import annotations

import logging
from collections.abc import Container
from typing import Final

from Departments.core import departments
from Departments.core.clock import Clock
from Departments.core.errors import MessageConflict, PublishError
from Departments.messaging import codec
from Departments.messaging.message import Message
from Departments.messaging.names import numbered, shortened
from Departments.messaging.ports import Journal, Letter, Storage, checked

BATCH: Final = 50  # letters delivered per flush
ROOMY: Final = 140  # characters of a name to which a number can be added

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
        self._held_up: dict[str, PublishError] = {}  # by recipient: what keeps letters from them

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
        """Publish everything enqueued and committed, and return how many letters that were.

        Letters to a department that cannot be reached wait and hold up no others. Raises PublishError, at the end, when
        it is one that this desk works as: it could not go on.
        """
        delivered, before, self._held_up = 0, self._held_up, {}
        while self._waiting:
            rows = self._journal.pending(BATCH, besides=list(self._held_up))
            gone = self._deliver([Letter(*row) for row in rows]) if rows else []
            if gone:
                with self._journal.transaction():
                    self._journal.published(gone, self._clock.now())
            delivered += len(gone)
            self._waiting = BATCH if len(rows) == BATCH else 0
        self._tell_held_up(before)
        return delivered

    def _deliver(self, letters: list[Letter]) -> list[str]:
        """Deliver letters together, one by one where that fails, and return the names of those that are gone."""
        try:
            self._mailbox.publish(letters)
        except (MessageConflict, PublishError):
            return [letter.name for letter in letters if self._is_gone(letter)]
        return [letter.name for letter in letters]

    def _is_gone(self, letter: Letter) -> bool:
        """Deliver one letter and tell whether that was possible; after a failure the recipient is not tried again."""
        try:
            if letter.recipient not in self._held_up:
                self._deliver_beside(letter)
        except PublishError as error:
            self._held_up[letter.recipient] = error
        return letter.recipient not in self._held_up

    def _deliver_beside(self, letter: Letter) -> None:
        """Deliver one letter, under a numbered name where its own is taken by something else.

        Its recipient then finds two messages of one id, handles one and sets the other aside: nothing is lost unseen.
        """
        name, number, is_delivered = letter.name, 1, False
        while not is_delivered:
            try:
                self._mailbox.publish([letter._replace(name=name)])
                is_delivered = True
            except MessageConflict as error:
                number += 1
                name = numbered(shortened(letter.name, ROOMY), number)
                logger.error("%s The new one is delivered as %s", error, name)  # noqa: TRY400 - the traceback tells no more

    def _tell_held_up(self, before: Container[str]) -> None:
        if self._held_up:
            self._waiting = 1
        for recipient, error in self._held_up.items():
            if recipient not in before:
                logger.warning("Messages to %s wait until they can be delivered: %s", recipient, error)
        for recipient in departments.OURS:
            if recipient in self._held_up:
                raise self._held_up[recipient]
