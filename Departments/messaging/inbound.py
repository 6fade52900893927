"""One pass over one inbox: read, act, settle.

The life of a message: it waits in the Inbox until its effect is committed. The effect and "this id is handled" are one
transaction. Then it is archived for good.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Final, NamedTuple

from Departments.core.errors import (
    BadInput,
    Contradiction,
    LedgerError,
    MessageConflict,
    NotDecidedHere,
    UnreadableMessage,
)
from Departments.core.logs import make_logger
from Departments.core.moments import stamp
from Departments.core.platform.clock import Clock
from Departments.core.platform.disk_trouble import raise_for_disk
from Departments.core.reasons import ReasonCode
from Departments.core.safe_text import make_safe
from Departments.core.trading_calendar import trading_day
from Departments.messaging import failures
from Departments.messaging.admission import Admission
from Departments.messaging.catalogue import Skip
from Departments.messaging.disk import State
from Departments.messaging.failures import TRANSIENT
from Departments.messaging.lookup import index_row
from Departments.messaging.message import Message
from Departments.messaging.names import stamp_in
from Departments.messaging.outbound import Outbound
from Departments.messaging.ports import Journal, Storage
from Departments.messaging.router import Commit, Route, Router
from Departments.messaging.signatures import digest_of_content
from Departments.messaging.signing import SignatureRule
from Departments.messaging.waiting import Contradictions, WaitingFile, encodable, read_waiting, refuse

HANDLED: Final = "handled"
SKIPPED: Final = "skipped"
GROUP: Final = 1_000  # messages of one second that are sorted by their exact time
LONGEST_PAUSE: Final = 60.0
LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
A_MOMENT: Final = timedelta(seconds=0.1)  # until a file that is being written is looked at again

logger = make_logger(__name__)


@dataclass(frozen=True, slots=True)
class ConsumeReport:
    """The counts of one pass over an inbox. `retry_at` is the next time a waiting message is due."""

    department: str
    handled: int = 0
    skipped: int = 0
    dead_lettered: int = 0
    duplicates: int = 0
    left: int = 0
    retry_at: datetime | None = None

    @property
    def total(self) -> int:
        """Return the number of files the pass read."""
        return self.handled + self.skipped + self.dead_lettered + self.duplicates + self.left


def pause(attempts: int) -> timedelta:
    """Return the wait after the n-th failed attempt: 1, 2, 4 … seconds, at most a minute."""
    return timedelta(seconds=min(LONGEST_PAUSE, 2.0 ** min(attempts - 1, 10)))


class _Acted(NamedTuple):
    """A handled message with its effect, not committed yet."""

    item: WaitingFile
    message: Message
    commit: Commit | None
    outcome: str


class _HandledMeanwhileError(Exception):
    """Somebody else handled the message meanwhile: a pass within ours, or one past a broken lock."""


@dataclass
class Pass:
    """One pass over one inbox, under its lock."""

    mailbox: Storage
    journal: Journal
    outbound: Outbound
    clock: Clock
    max_attempts: int
    department: str
    router: Router
    admission: Admission
    patient: bool
    batch: int
    stop: Callable[[], bool]
    signatures: SignatureRule

    def __post_init__(self) -> None:
        self.counts = dict.fromkeys(("handled", "skipped", "dead_lettered", "duplicates", "left"), 0)
        self.retry_at: datetime | None = None
        self.failures = self.journal.failures(self.department)
        self.ahead: list[WaitingFile] = []  # read, but not looked up yet
        self.known: dict[str, tuple[str, str] | None] = {}  # by message id: (disposition, digest)
        self.sent: dict[str, str] = {}  # by name: digests of our own letters
        self.young: list[WaitingFile] = []  # unfinished, or too young to be condemned
        self.copies: list[WaitingFile] = []  # under other names than their ids, which wait, too
        self.contradictions = Contradictions(self.mailbox, self.journal, self.department, self.signatures)

    @cached_property
    def day(self) -> date:
        """The trading day of the pass: its messages are archived there."""
        return trading_day(self.clock.now())

    def run(self, names: list[str]) -> ConsumeReport:
        """Handle the named files once, and too young ones a second time. Copies under other names come last."""
        self.names = frozenset(names)
        for items in self._read(names):
            self._settle([*filter(None, map(self._act, items))])
        for _ in self.young:
            self._leave(self.clock.now() + A_MOMENT)
        self._deliver()
        if self.counts["skipped"]:
            logger.info("%s: %d messages archived as skipped", self.department, self.counts["skipped"])
        return ConsumeReport(self.department, **self.counts, retry_at=self.retry_at)

    # --- read ---

    def _read(self, names: list[str]) -> Iterator[list[WaitingFile]]:
        """Yield batches, one a commit. Files that were too young come again after one quiet period."""
        yield from self._batches(self._read_in_order(names))
        if self.patient and self.young and not self.stop():
            young, self.young = self.young, []
            self.mailbox.wait_until_quiet()
            yield from self._batches(self._read_in_order([item.name for item in young]))
        copies, self.copies = self.copies, []
        if copies:
            self.names = frozenset(self.mailbox.waiting(self.department)) - {item.name for item in copies}
            yield from self._batches(self._read_in_order([item.name for item in copies]))
            for _ in self.copies:  # their originals still wait
                self._leave(self.clock.now() + pause(1))

    def _batches(self, items: Iterator[WaitingFile]) -> Iterator[list[WaitingFile]]:
        """Yield batches of distinct ids: a repeated id must find its first message committed."""
        batch: dict[str, WaitingFile] = {}
        for item in items:
            if self.stop():
                return
            if item.key in batch:
                yield list(batch.values())
                batch.clear()
            batch[item.key] = item
            if len(batch) == self.batch:
                yield list(batch.values())
                batch.clear()
        yield list(batch.values())

    def _read_in_order(self, names: list[str]) -> Iterator[WaitingFile]:
        """Yield the waiting files by time, then id. Reads headers second by second, never all at once."""
        groups: dict[str, list[str]] = {}
        for name in names:
            groups.setdefault(stamp_in(name) or self._stamp_of(name), []).append(name)
        for second in sorted(groups):
            group = sorted(groups[second])
            for start in range(0, len(group), GROUP):
                yield from self._read_second(group[start : start + GROUP])

    def _stamp_of(self, name: str) -> str:
        item = self._look(name)
        return stamp(item.message.timestamp) if item and isinstance(item.message, Message) else ""

    def _read_second(self, names: list[str]) -> list[WaitingFile]:
        """Read messages of one second."""
        items = [item for name in names if (item := self._look(name))]
        messages = [item.message for item in items if isinstance(item.message, Message)]
        self.ahead += [item for item in items if isinstance(item.message, Message)]
        self.router.prepare(messages)
        return sorted(items, key=_order_of) if len(items) > 1 else items

    def _look(self, name: str) -> WaitingFile | None:
        return read_waiting(self.mailbox, self.department, name)

    # --- act ---

    def _act(self, item: WaitingFile) -> _Acted | None:
        """Run a message's handler. Returns None without anything to commit, and after a stop."""
        message = None if self.stop() else self._accept(item)
        if message is None:
            return None
        try:
            if self._is_settled(item, message):
                return None
            row = self._admit(item, message)
            if isinstance(row, Skip):
                logger.debug("%s: %s skipped: %s", self.department, message.message_id, row.reason)
                return _Acted(item, message, None, SKIPPED)
            return _Acted(item, message, row.handler(message, row.payload.of(message)), HANDLED)
        except TRANSIENT as error:
            self._retry(item, message, error)
        except Exception as error:  # noqa: BLE001 - an error of any handler must not stop the next message
            self._condemn(item, error)
        return None

    def _admit(self, item: WaitingFile, message: Message) -> Route | Skip:
        """Return the row of a message. Raises MessageError for one that this inbox does not admit."""
        row, kind = self.router.row_for(message), self.router.find_type(message)
        if kind is not None:
            is_letter = self._is_ours(item)
            self.admission.check(kind, message, is_letter=is_letter)
        return row

    def _accept(self, item: WaitingFile) -> Message | None:
        """Return the message of a finished file. Leaves an unfinished one, condemns an unreadable one."""
        if item.found.state is State.GROWING and not self._is_committed(item):
            self.young.append(item)
        elif isinstance(item.message, UnreadableMessage):
            self._condemn(item, item.message)
        else:
            return item.message
        return None

    def _is_committed(self, item: WaitingFile) -> bool:
        """Return True if the file holds a letter of ours: it is finished then, however young."""
        self._look_up()
        return self._is_ours(item)

    def _is_settled(self, item: WaitingFile, message: Message) -> bool:
        """Return True if there is nothing to do now: the file waits, or its message was handled before.

        Raises MessageError for a file that is not the message it claims to be.
        """
        if self._postpone(message) or self._wait_for_original(item, message):
            return True
        self._check_letter(item)
        if self._archive_duplicate(item, message):
            return True
        if not self._is_ours(item):
            self.signatures.check(message, self.router.type_of(message))
        return self._check_rivals(item)

    def _wait_for_original(self, item: WaitingFile, message: Message) -> bool:
        """Put a file behind the one that is named by its id. Returns True if that one waits."""
        if item.name == message.name or message.name not in self.names:
            return False
        self.copies.append(item)
        return True

    def _check_letter(self, item: WaitingFile) -> None:
        """Raise NotDecidedHere if the ledger holds other bytes under the id: the file was altered, or forged."""
        self._look_up()
        if self.sent.get(item.letter_name, item.digest) != item.digest:
            raise NotDecidedHere(
                f"{make_safe(item.name)} has the id {make_safe(item.key)} and other contents than the desk sent under "
                "it; nothing of it was acted on, so look who wrote it, then drop it"
            )

    def _check_rivals(self, item: WaitingFile) -> bool:
        """Return True if a file must wait for another one that is being written. Raises Contradiction."""
        rivals = [] if self._is_ours(item) else self.contradictions.find(item)
        if any(rival.is_growing for rival in rivals):
            self.young.append(item)
            return True
        try:
            refuse(item, rivals, is_signed=self.contradictions.is_signed(item))
        except Contradiction:
            self.contradictions.note(item)
            raise
        return False

    def _archive_duplicate(self, item: WaitingFile, message: Message) -> bool:
        """Archive a message handled before, without a second effect. Returns True if it was one."""
        done = self._disposition(message.message_id)
        if done is None:
            return False
        if done[1] != item.digest:
            self.signatures.check(message, self.router.type_of(message))
        self._check_same(item, message, done)
        self._archive(item, "duplicates")
        return True

    def _check_same(self, item: WaitingFile, message: Message, done: tuple[str, str]) -> None:
        if done[1] != item.digest and not self._says_same(item, message, done[1]):
            raise MessageConflict(f"{message.message_id} was {done[0]} before with other content")
        logger.info("%s: %s was %s before; no second effect", self.department, message.message_id, done[0])

    def _says_same(self, item: WaitingFile, message: Message, digest: str) -> bool:
        """Return True if a file is a copy of the handled message, saved with other bytes."""
        copies = self.mailbox.find_copies(message.message_id, self.journal.index())
        return any(
            hashlib.sha256(copy.source).hexdigest() == digest and digest_of_content(copy.source) == item.content
            for copy in copies
        )

    def _disposition(self, message_id: str) -> tuple[str, str] | None:
        """Return (disposition, digest) of an id. Asks once for all messages ahead, and anew for a repeated id."""
        if message_id not in self.known:
            self._look_up(message_id)
        return self.known.pop(message_id)

    def _look_up(self, *message_ids: str) -> None:
        """Ask the journal about ids, and about all messages ahead."""
        ahead, self.ahead = self.ahead, []
        asked = [*message_ids, *(each.key for each in ahead)]
        if asked:
            self.known |= dict.fromkeys(asked) | self.journal.dispositions(self.department, asked)
            self.sent |= self.journal.digests_of([each.letter_name for each in ahead])

    # --- settle ---

    def _settle(self, acted: list[_Acted]) -> None:
        """Commit the effects of a batch with its handled ids, then archive. Retries a failed batch one by one."""
        if not acted:
            return
        error = self._commit(acted)
        for each in acted:
            self._close(each, self._commit([each]) if error and len(acted) > 1 else error)

    def _commit(self, acted: list[_Acted]) -> Exception | None:
        """Commit effects. Returns the error of a failed commit."""
        try:
            with self.journal.transaction():
                for each in acted:
                    if each.commit is not None:
                        each.commit()
                    self._remember(each)
        except Exception as error:  # noqa: BLE001 - as above
            return error
        return None

    def _remember(self, acted: _Acted) -> None:
        message_id = acted.message.message_id
        if not self.journal.remember(self.department, message_id, acted.outcome, acted.item.digest, self.clock.now()):
            raise _HandledMeanwhileError
        if message_id in self.failures:
            self.journal.forget_failures(self.department, message_id)
        self._index(acted.item)

    def _index(self, item: WaitingFile) -> None:
        """Enter a stranger's message into the index. Our own letters entered it when they were sent."""
        if not self._is_ours(item) and isinstance(item.message, Message):
            self.journal.note([index_row(item.message, item.name)])

    def _is_ours(self, item: WaitingFile) -> bool:
        return self.sent.get(item.letter_name) == item.digest

    def _close(self, acted: _Acted, error: Exception | None) -> None:
        """Archive a committed message. Retries or condemns a failed one."""
        if isinstance(error, _HandledMeanwhileError):
            error = self._compare_with_other(acted)
            acted = acted._replace(outcome="duplicates")
        if error is None:
            self._archive(acted.item, acted.outcome)
        elif isinstance(error, TRANSIENT):
            self._retry(acted.item, acted.message, error)
        else:
            self._condemn(acted.item, error)

    def _compare_with_other(self, acted: _Acted) -> Exception | None:
        """Return the error if somebody else handled the id with other content, else None."""
        try:
            done = self.journal.disposition(self.department, acted.message.message_id)
            self._check_same(acted.item, acted.message, done or ("", ""))
        except (*TRANSIENT, MessageConflict) as error:
            return error
        return None

    def _archive(self, item: WaitingFile, outcome: str) -> None:
        """Archive a committed message. After a failure the next pass archives it."""
        self.counts[outcome] += 1
        if self.outbound.has_full_batch:
            self._deliver()
        try:
            day, flush = self.day.isoformat(), not self._is_ours(item)
            kept = self.mailbox.archive(self.department, item.name, day, flush=flush)
        except TRANSIENT as error:
            raise_for_disk(error)
            logger.warning("%s: %s is handled, but not archived yet: %s", self.department, item.name, error)
            self._leave(self.clock.now() + pause(1))
            return
        if kept != item.name:
            logger.warning("%s: %s is archived as %s, the name was taken", self.department, item.name, kept)

    def _deliver(self) -> None:
        """Deliver the letters of the pass together. After a failure the next pass delivers them."""
        try:
            self.outbound.deliver_pending()
        except TRANSIENT as error:
            raise_for_disk(error)
            logger.warning("%s: its letters wait: %s", self.department, error)
            self._schedule(self.clock.now() + pause(1))

    # --- what cannot be handled now ---

    def _postpone(self, message: Message) -> bool:
        """Leave a failed message until its next attempt is due. Returns True if it waits."""
        failure = self.failures.get(message.message_id)
        if failure is None:
            return False
        due, now = failure[2] + pause(failure[0]), self.clock.now()
        if due <= now or now < failure[2]:  # or somebody set the clock back
            return False
        self._leave(due)
        return True

    def _leave(self, due: datetime) -> None:
        self.counts["left"] += 1
        self._schedule(due)

    def _schedule(self, due: datetime) -> None:
        self.retry_at = due if self.retry_at is None else min(self.retry_at, due)

    def _retry(self, item: WaitingFile, message: Message, error: Exception) -> None:
        raise_for_disk(error)
        now = self.clock.now()
        attempts = 1
        with suppress(LedgerError):  # a locked ledger cannot count, and is not the message's fault
            attempts = self.journal.count_failure(self.department, message.message_id, now)
        logger.warning("%s: %s failed (attempt %d): %s", self.department, message.message_id, attempts, error)
        if attempts >= self.max_attempts:
            self._set_aside(item, error, attempts)
        else:
            self._leave(now + pause(attempts))

    def _condemn(self, item: WaitingFile, error: Exception) -> None:
        raise_for_disk(error)
        if item.found.state is State.WHOLE or not isinstance(error, UnreadableMessage | BadInput):
            self._set_aside(item, error, 1)
        else:
            self.young.append(item)

    # --- dead letters ---

    def _set_aside(self, item: WaitingFile, error: Exception, attempts: int) -> None:
        """Escalate once per cause and day, write the reason, move the file. In this order a kill loses nothing."""
        ours = isinstance(item.message, Message) and self.router.is_for_us(item.message)
        code = failures.code_of(error, ours=ours)
        try:
            self._escalate(error, code, item)
            self.outbound.deliver_pending()
            self.mailbox.set_aside(self.department, item.name, self._reason(item, code, error, attempts))
        except TRANSIENT as trouble:
            raise_for_disk(trouble)
            logger.warning("%s: %s (%s) stays for now: %s", self.department, item.name, code, trouble)
            self._leave(self.clock.now() + pause(1))
            return
        logger.error("%s: %s is set aside: %s: %s", self.department, item.name, code, error)
        self.counts["dead_lettered"] += 1

    def _reason(self, item: WaitingFile, code: ReasonCode, error: Exception, attempts: int) -> str:
        now = self.clock.now()
        tried = self.journal.failures(self.department).get(item.key, (attempts, now, now))
        return failures.reason_text(self.department, item.name, item.key, code, error, tried=tried, digest=item.digest)

    def _escalate(self, error: Exception, code: ReasonCode, item: WaitingFile) -> None:
        with self.journal.transaction():
            self._index(item)
            self.journal.note_dead_letter(
                (
                    self.department,
                    encodable(item.name),
                    item.digest,
                    item.key,
                    str(code),
                    encodable(str(error) or type(error).__name__),
                    self.clock.now(),
                    None,
                )
            )
            if self.journal.note_cause(f"{self.department}:{code}", self.day):
                self.outbound.enqueue(
                    failures.escalation(self.department, item.name, code, error, now=self.clock.now(), day=self.day)
                )


def _order_of(item: WaitingFile) -> tuple[datetime, str, bool, str]:
    """Order by time, then id; the file that is named by its id comes first."""
    if isinstance(item.message, Message):
        return item.message.timestamp, item.message.message_id, item.name != item.message.name, item.name
    return LONG_AGO, item.name, False, item.name
