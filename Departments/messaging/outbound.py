"""The outbox: letters are committed with their decision, and delivered after the commit.

The commit makes them durable; their files are written without flushes. The ledger keeps their text until the files are
durable, too, and the next start delivers lost letters again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from Departments.core import departments
from Departments.core.errors import MessageConflict, PublishError
from Departments.core.logs import make_logger
from Departments.core.platform import files
from Departments.core.platform.clock import Clock
from Departments.core.platform.disk_trouble import find_mend
from Departments.messaging import codec
from Departments.messaging.lookup import index_row
from Departments.messaging.message import Message
from Departments.messaging.names import add_number, shorten
from Departments.messaging.ports import Journal, Letter, Storage

BATCH: Final = 50  # letters delivered together
NOTED: Final = 10  # deliveries noted together
ROOMY: Final = 140  # characters of a name to which a number can be added

logger = make_logger(__name__)


def letter_of(message: Message) -> Letter:
    """Write a message as a letter. Raises PublishError for one that can never be written."""
    letter = Letter(message.name, message.sender, message.recipient, codec.encode(message))
    letter.check()
    return letter


class Outbound:
    """The transactional outbox."""

    def __init__(self, mailbox: Storage, journal: Journal, clock: Clock) -> None:
        self._mailbox = mailbox
        self._journal = journal
        self._clock = clock
        self._waiting = BATCH  # an upper bound; includes letters of earlier runs
        self._is_restored = False
        self._gone: set[str] = set()  # delivered, but not noted yet
        self._held_up: dict[str, PublishError] = {}  # by recipient: the error that holds up its letters
        self._told: set[str] = set()  # recipients that were named since a letter reached them

    def enqueue(self, message: Message) -> None:
        """Put a message into the outbox, inside the transaction of its decision."""
        self._enqueue(message)

    def _enqueue(self, message: Message) -> Letter | None:
        """Put a message into the outbox. Returns its letter; None for one that was put there before."""
        letter = letter_of(message)
        if len(self._gone) >= NOTED:
            self.note_delivered()
        _, _, parent, plan = index_row(message, letter.name)
        self._waiting += 1
        return letter if self._journal.enqueue(*letter, self._clock.now(), parent=parent, plan=plan) else None

    @property
    def has_full_batch(self) -> bool:
        """Return True if the waiting letters may fill a batch."""
        return self._waiting >= BATCH

    def publish(self, messages: Sequence[Message]) -> None:
        """Commit messages and deliver them. An undeliverable one is withdrawn, as if never sent.

        Raises MessageConflict, PublishError.
        """
        has_others = self._waiting > 0
        with self._journal.transaction():
            letters = [self._enqueue(message) for message in messages]
        new = [] if has_others or len(letters) > BATCH else list(filter(None, letters))
        with suppress(PublishError):  # of any letter; ours are checked next
            self.deliver_pending(new if len(new) == len(letters) else ())
        for message in messages:
            if message.recipient in self._held_up and self._withdraw(message.name):
                raise self._held_up[message.recipient]

    def _withdraw(self, name: str) -> bool:
        """Forget an undelivered letter. Returns False for a delivered one."""
        if name in self._gone:
            return False
        with self._journal.transaction():
            return self._journal.withdraw(name)

    def deliver_pending(self, known: Sequence[Letter] = ()) -> int:
        """Deliver all committed letters and return their number. `known` are all of them; else the journal is asked.

        The first call restores letters that a power cut took. Letters to an unreachable department wait and hold up no
        others. So do letters to our own departments while another program holds a file. Raises PublishError, at the
        end, for any other error of ours: the desk cannot go on then.
        """
        delivered, self._held_up = 0, {}
        again = self._restore()
        if not self._waiting:
            self.note_delivered()
        while self._waiting:
            letters = known or self._list_undelivered()
            gone = self._deliver(letters, again=again)
            self._gone.update(gone)
            delivered += len(gone)
            self._waiting = BATCH if len(letters) >= BATCH and not known else 0
            if self._waiting:
                self.note_delivered()
        self._report_held_up()
        return delivered

    def _list_undelivered(self) -> list[Letter]:
        """Return the next committed letters that may not be delivered, a batch at most."""
        rows = self._journal.pending(BATCH + len(self._gone), besides=list(self._held_up))
        return [Letter(*row) for row in rows if row[0] not in self._gone]

    def note_delivered(self) -> None:
        """Note the deliveries. Called in the transaction of a letter for several of them, and when nothing else waits.

        After a kill the next start checks the unnoted ones once more: their copies in the Outbox prove them.
        """
        if self._gone:
            self._journal.mark_published(sorted(self._gone), self._clock.now())
            self._gone = set()

    def _restore(self) -> bool:
        """Deliver the missing and torn letters of earlier runs again, once.

        Returns True if this call did it.
        """
        if self._is_restored:
            return False
        for letters in self._unsettled_batches():
            self._deliver(letters, again=True)
        self._is_restored = not self._held_up
        return True

    def _unsettled_batches(self) -> Iterator[list[Letter]]:
        """Yield delivered letters without durable files, in batches."""
        after, is_last = 0, False
        while not is_last:
            rows = self._journal.list_unsettled(after, BATCH)
            is_last = len(rows) < BATCH
            if rows:
                after = rows[-1][0]
                yield [Letter(*row[1:]) for row in rows]

    def _deliver(self, letters: Sequence[Letter], *, again: bool = False) -> list[str]:
        """Deliver letters together, or one by one after a failure. Returns the delivered names."""
        if letters and not self._held_up:
            with suppress(MessageConflict, PublishError):
                self._mailbox.publish(letters, again=again)
                self._told.difference_update(letter.recipient for letter in letters)
                return [letter.name for letter in letters]
        return [letter.name for letter in letters if self._deliver_alone(letter, again=again)]

    def _deliver_alone(self, letter: Letter, *, again: bool) -> bool:
        """Deliver one letter. A failure holds up its recipient."""
        if letter.recipient in self._held_up:
            return False
        try:
            name = self._deliver_beside(letter, again=again)
        except PublishError as error:
            self._held_up[letter.recipient] = error
            return False
        if name != letter.name:
            self._settle([letter.name] if self._mailbox.flush([letter._replace(name=name)]) else [])
        return True

    def _deliver_beside(self, letter: Letter, *, again: bool) -> str:
        """Deliver one letter, under a numbered name if its own has other content. Returns the name.

        The recipient then finds two messages with one id, handles one and sets the other aside: nothing is lost.
        """
        name, number = letter.name, 1
        while True:
            try:
                self._mailbox.publish([letter._replace(name=name)], again=again)
            except MessageConflict as error:
                number += 1
                name = add_number(shorten(letter.name, ROOMY), number)
                logger.error("%s The new one is delivered as %s", error, name)  # noqa: TRY400 - no traceback needed
            else:
                return name

    def _report_held_up(self) -> None:
        if self._held_up:
            self._waiting = 1
        for recipient, error in self._held_up.items():
            if recipient not in self._told:
                self._told.add(recipient)
                logger.warning("Messages to %s wait until they can be delivered: %s", recipient, error)
        for recipient, error in self._held_up.items():
            is_lasting = recipient in departments.OURS and not files.is_in_use(error)
            if is_lasting or _is_of_our_disk(error):
                raise error

    # --- settling ---

    def settle(self) -> None:
        """Flush the files of delivered letters. The ledger then drops their text.

        Letters in our own inboxes wait until they are handled: their files still move.
        """
        self.note_delivered()
        self._waiting = max(self._waiting, 1)  # those of another process that was killed
        waiting = {name for department in departments.OURS for name in self._mailbox.waiting(department)}
        safe: list[str] = []
        for letters in self._unsettled_batches():
            with suppress(OSError):  # a file or folder vanished: the next settle tries again
                safe += self._mailbox.flush([letter for letter in letters if letter.name not in waiting])
        self._settle(safe)

    def _settle(self, names: Sequence[str]) -> None:
        if names:
            with self._journal.transaction():
                self._journal.settle(names)

    def forget(self) -> None:
        """Drop the letters committed so far."""
        with self._journal.transaction():
            while rows := self._journal.pending(BATCH):
                self._journal.mark_published([row[0] for row in rows], self._clock.now())
            for letters in self._unsettled_batches():
                self._journal.settle([letter.name for letter in letters])


def _is_of_our_disk(error: PublishError) -> bool:
    """Return True if our own disk, not the recipient's folder, refused a letter: it is written in our folder first."""
    cause = error.__cause__
    place = (cause.filename2 or cause.filename or "") if isinstance(cause, OSError) else ""
    return find_mend(error, Path()) is not None and (not place or Path(place).parent.name == ".tmp")
