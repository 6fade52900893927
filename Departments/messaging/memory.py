"""What the journal knows of the messages of one pass: whether each was handled before, and whether it is our letter."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from Departments.core.errors import MessageConflict, NotDecidedHere
from Departments.core.logs import make_logger
from Departments.core.safe_text import make_safe
from Departments.messaging.lookup import index_row
from Departments.messaging.message import Message
from Departments.messaging.ports import Journal, Storage
from Departments.messaging.signatures import digest_of_content
from Departments.messaging.waiting import WaitingFile

logger = make_logger(__name__)


class EarlierOutcome(NamedTuple):
    """An id handled before: what became of it (handled, skipped), and the digest of its bytes."""

    disposition: str
    digest: str


class MessageMemory:
    """The journal, asked about all messages ahead at once."""

    def __init__(self, mailbox: Storage, journal: Journal, department: str) -> None:
        self._mailbox = mailbox
        self._journal = journal
        self._department = department
        self._ahead: list[WaitingFile] = []  # read, but not looked up yet
        self._known: dict[str, tuple[str, str] | None] = {}  # by message id
        self._sent: dict[str, str] = {}  # by name: digests of our own letters

    def expect(self, items: list[WaitingFile]) -> None:
        """Name the next messages: one question will be about all of them."""
        self._ahead += items

    def find_handled(self, message_id: str) -> EarlierOutcome | None:
        """Return the outcome of an id, None for a new one. A repeated id is asked about anew."""
        if message_id not in self._known:
            self._look_up(message_id)
        done = self._known.pop(message_id)
        return None if done is None else EarlierOutcome(*done)

    def is_ours(self, item: WaitingFile) -> bool:
        """Return True if a file holds a letter of ours, byte for byte."""
        if self._ahead:
            self._look_up()
        return self._sent.get(item.letter_name) == item.digest

    def check_letter(self, item: WaitingFile) -> None:
        """Raise NotDecidedHere if the ledger holds other bytes under the id: the file was altered, or forged."""
        self._look_up()
        if self._sent.get(item.letter_name, item.digest) != item.digest:
            raise NotDecidedHere(
                f"{make_safe(item.name)} has the id {make_safe(item.key)} and other contents than the desk sent under "
                "it; it had no effect; find out who wrote it, then drop it"
            )

    def check_same(self, item: WaitingFile, done: EarlierOutcome | None) -> None:
        """Raise MessageConflict unless a file says the same as the message handled under its id."""
        handled = done or EarlierOutcome("", "")
        if handled.digest != item.digest and not self._has_copy(item, handled.digest):
            raise MessageConflict(f"{item.key} was {handled.disposition} before with other content")
        logger.info("%s: %s was %s before; no second effect", self._department, item.key, handled.disposition)

    def _has_copy(self, item: WaitingFile, digest: str) -> bool:
        """Return True if a file is a copy of the handled message, saved with other bytes."""
        copies = self._mailbox.find_copies(item.key, self._journal.index())
        return any(
            hashlib.sha256(copy.source).hexdigest() == digest and digest_of_content(copy.source) == item.content
            for copy in copies
        )

    def index(self, item: WaitingFile) -> None:
        """Enter a stranger's message into the index. Our own letters entered it when they were sent."""
        if not self.is_ours(item) and isinstance(item.message, Message):
            self._journal.note([index_row(item.message, item.name)])

    def _look_up(self, *message_ids: str) -> None:
        """Ask the journal about ids, and about all messages ahead."""
        ahead, self._ahead = self._ahead, []
        asked = [*message_ids, *(each.key for each in ahead)]
        if asked:
            self._known |= dict.fromkeys(asked) | self._journal.dispositions(self._department, asked)
            self._sent |= self._journal.digests_of([each.letter_name for each in ahead])
