"""One pass over one inbox: read, act, settle.

The life of a message: it waits in the Inbox until its effect is committed. The effect and "this id is handled" are one
transaction. Then it is archived for good.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Final, NamedTuple

from Departments.core.errors import (
    Contradiction,
    MessageConflict,
    UnreadableMessage,
)
from Departments.core.logs import log_about, make_logger
from Departments.core.money import count_noun
from Departments.core.platform.clock import Clock
from Departments.core.platform.disk_trouble import raise_for_disk
from Departments.core.trading_calendar import trading_day
from Departments.messaging.admission import Admission
from Departments.messaging.catalogue import Skip
from Departments.messaging.failures import TRANSIENT, DeadLetterBox
from Departments.messaging.looker import State
from Departments.messaging.memory import EarlierOutcome, MessageMemory
from Departments.messaging.message import Message
from Departments.messaging.outbound import Outbound
from Departments.messaging.ports import Journal, Storage
from Departments.messaging.retries import Retries, pause
from Departments.messaging.router import Commit, Route, Router
from Departments.messaging.setbacks import Setbacks
from Departments.messaging.signing import SignatureRule
from Departments.messaging.waiting import Contradictions, WaitingFile, read_in_order, refuse

HANDLED: Final = "handled"
SKIPPED: Final = "skipped"
A_MOMENT: Final = timedelta(seconds=0.1)  # until a file that is being written is looked at again
LONGEST_WAIT: Final = timedelta(seconds=1)  # of an effect for the others of its batch, beside a slow broker

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
        self.counts = dict.fromkeys(("handled", "skipped", "duplicates"), 0)
        self.memory = MessageMemory(self.mailbox, self.journal, self.department)
        self.setbacks = Setbacks(
            self.clock,
            Retries(self.journal, self.department),
            DeadLetterBox(self.mailbox, self.journal, self.outbound, self.department, self.memory.index),
            self.max_attempts,
            self.router.is_for_us,
        )
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
            acted, since = list[_Acted](), self.clock.now()
            for item in items:
                acted += filter(None, [self._act(item)])
                since = self._commit_late(acted, since)
            self._settle(acted)
        for _ in self.setbacks.young:
            self.setbacks.leave(A_MOMENT)
        self._deliver()
        if self.counts["skipped"]:
            logger.info("%s: %s archived as skipped", self.department, count_noun(self.counts["skipped"], "message"))
        met = self.setbacks
        return ConsumeReport(
            self.department, **self.counts, dead_lettered=met.dead_lettered, left=met.left, retry_at=met.retry_at
        )

    def _commit_late(self, acted: list[_Acted], since: datetime) -> datetime:
        """Commit the effects of a batch so far if the first has waited for LONGEST_WAIT. Return when the wait began."""
        if not acted or timedelta() <= self.clock.now() - since < LONGEST_WAIT:
            return since
        self._settle(acted)
        acted.clear()
        return self.clock.now()

    # --- read ---

    def _read(self, names: list[str]) -> Iterator[list[WaitingFile]]:
        """Yield batches, one a commit. Files that were too young come again after one quiet period."""
        yield from self._batches(self._in_order(names))
        if self.patient and self.setbacks.young and not self.stop():
            young, self.setbacks.young = self.setbacks.young, []
            self.mailbox.wait_until_quiet()
            yield from self._batches(self._in_order([item.name for item in young]))
        copies, self.copies = self.copies, []
        if copies:
            self.names = frozenset(self.mailbox.waiting(self.department)) - {item.name for item in copies}
            yield from self._batches(self._in_order([item.name for item in copies]))
            for _ in self.copies:  # their originals still wait
                self.setbacks.leave(pause(1))

    def _batches(self, items: Iterator[WaitingFile]) -> Iterator[list[WaitingFile]]:
        """Yield batches of distinct ids and subjects: a repeated one must find its first message committed."""
        batch: list[WaitingFile] = []
        taken = set[str]()
        for item in items:
            if self.stop():
                return
            names = self._name_apart(item)
            if len(batch) == self.batch or not taken.isdisjoint(names):
                yield batch
                batch, taken = [], set()
            batch.append(item)
            taken.update(names)
        yield batch

    def _name_apart(self, item: WaitingFile) -> tuple[str, ...]:
        """Return what no two files of a batch have in common: the id, and the subject if there is one."""
        subject = self.router.subject(item.message) if self.batch > 1 and isinstance(item.message, Message) else ""
        return (f"id {item.key}", subject) if subject else (f"id {item.key}",)

    def _in_order(self, names: list[str]) -> Iterator[WaitingFile]:
        return read_in_order(self.mailbox, self.department, names, self._prepare)

    def _prepare(self, items: list[WaitingFile]) -> None:
        """Name the next messages to memory and router."""
        self.memory.expect(items)
        self.router.prepare([item.message for item in items if isinstance(item.message, Message)])

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
            payload = row.payload.of(message)
            plan_id, symbol = (getattr(payload, name, None) for name in ("plan_id", "symbol"))
            with log_about(message=message.message_id, plan=plan_id, symbol=symbol):
                return _Acted(item, message, row.handler(message, payload), HANDLED)
        except TRANSIENT as error:
            self.setbacks.retry(item, error)
        except Exception as error:  # noqa: BLE001 - an error of any handler must not stop the next message
            self.setbacks.condemn(item, error)
        return None

    def _admit(self, item: WaitingFile, message: Message) -> Route | Skip:
        """Return the row of a message. Raises MessageError for one that this inbox does not admit."""
        row, kind = self.router.row_for(message), self.router.find_type(message)
        if kind is not None:
            self.admission.check(kind, message, is_letter=self.memory.is_ours(item))
        return row

    def _accept(self, item: WaitingFile) -> Message | None:
        """Return the message of a finished file. Leaves an unfinished one, condemns an unreadable one.

        A letter of ours is finished, however young its file.
        """
        if item.found.state is State.GROWING and not self.memory.is_ours(item):
            self.setbacks.young.append(item)
        elif item.found.state is State.REFUSED:
            self.setbacks.retry_reading(item)
        elif isinstance(item.message, UnreadableMessage):
            self.setbacks.condemn(item, item.message)
        else:
            return item.message
        return None

    def _is_settled(self, item: WaitingFile, message: Message) -> bool:
        """Return True if there is nothing to do now: the file waits, or its message was handled before.

        Raises MessageError for a file that is not the message it claims to be.
        """
        if self.setbacks.postpone(message.message_id) or self._wait_for_original(item, message):
            return True
        self.memory.check_letter(item)
        if self._archive_duplicate(item, message):
            return True
        if not self.memory.is_ours(item):
            self.signatures.check(message, self.router.type_of(message))
        return self._check_rivals(item)

    def _wait_for_original(self, item: WaitingFile, message: Message) -> bool:
        """Put a file behind the one that is named by its id. Returns True if that one waits."""
        if item.name == message.name or message.name not in self.names:
            return False
        self.copies.append(item)
        return True

    def _check_rivals(self, item: WaitingFile) -> bool:
        """Return True if a file must wait for another one that is being written. Raises Contradiction."""
        rivals = [] if self.memory.is_ours(item) else self.contradictions.find(item)
        if not rivals:
            return False
        if any(rival.is_growing for rival in rivals):
            self.setbacks.young.append(item)
            return True
        try:
            refuse(item, rivals, is_signed=self.contradictions.is_signed(item))
        except Contradiction:
            self.contradictions.note(item)
            raise
        return False

    def _archive_duplicate(self, item: WaitingFile, message: Message) -> bool:
        """Archive a message handled before, without a second effect. Returns True if it was one."""
        done = self.memory.find_handled(message.message_id)
        if done is None:
            return False
        if done.digest != item.digest:
            self.signatures.check(message, self.router.type_of(message))
        self.memory.check_same(item, done)
        self._archive(item, "duplicates")
        return True

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
        self.setbacks.forget(message_id)
        self.memory.index(acted.item)

    def _close(self, acted: _Acted, error: Exception | None) -> None:
        """Archive a committed message. Retries or condemns a failed one."""
        if isinstance(error, _HandledMeanwhileError):
            error = self._compare_with_other(acted)
            acted = acted._replace(outcome="duplicates")
        if error is None:
            self._archive(acted.item, acted.outcome)
        elif isinstance(error, TRANSIENT):
            self.setbacks.retry(acted.item, error)
        else:
            self.setbacks.condemn(acted.item, error)

    def _compare_with_other(self, acted: _Acted) -> Exception | None:
        """Return the error if somebody else handled the id with other content, else None."""
        try:
            done = self.journal.disposition(self.department, acted.message.message_id)
            self.memory.check_same(acted.item, EarlierOutcome(*done) if done else None)
        except (*TRANSIENT, MessageConflict) as error:
            return error
        return None

    def _archive(self, item: WaitingFile, outcome: str) -> None:
        """Archive a committed message. After a failure the next pass archives it."""
        self.counts[outcome] += 1
        if self.outbound.has_full_batch:
            self._deliver()
        try:
            day, flush = self.day.isoformat(), not self.memory.is_ours(item)
            kept = self.mailbox.archive(self.department, item.name, day, flush=flush)
        except TRANSIENT as error:
            raise_for_disk(error)
            logger.warning("%s: %s is handled, but not archived yet: %s", self.department, item.name, error)
            self.setbacks.leave(pause(1))
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
            self.setbacks.come_again(pause(1))
