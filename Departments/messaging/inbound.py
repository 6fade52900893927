"""One pass over one inbox: in what order, who handles each message, and what becomes of its file.

The life of a message: it lies in the Inbox until its effect is committed; the effect and "this id is handled" are one
transaction; then it is archived; then nothing else can happen to it.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Final, NamedTuple

from Departments.core.clock import Clock, stamp
from Departments.core.errors import (
    BadInput,
    LedgerError,
    MessageConflict,
    UnreadableMessage,
)
from Departments.core.reasons import ReasonCode
from Departments.core.trading_calendar import trading_day
from Departments.messaging import codec, failures
from Departments.messaging.catalogue import Skip
from Departments.messaging.disk import Found, State
from Departments.messaging.failures import TRANSIENT
from Departments.messaging.message import Message
from Departments.messaging.names import shown, stamp_in
from Departments.messaging.outbound import Outbound
from Departments.messaging.ports import Journal, Storage
from Departments.messaging.router import Commit, Router

HANDLED: Final = "handled"
SKIPPED: Final = "skipped"
GROUP: Final = 1_000  # messages of one second that are sorted by their exact time
LONGEST_PAUSE: Final = 60.0
LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
A_MOMENT: Final = timedelta(seconds=0.1)  # until a file that is being written is looked at again

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ConsumeReport:
    """What one pass over an inbox came to. `retry_at` is when something that had to wait is due again."""

    department: str
    handled: int = 0
    skipped: int = 0
    dead_lettered: int = 0
    duplicates: int = 0
    left: int = 0
    retry_at: datetime | None = None

    @property
    def total(self) -> int:
        """Return how many files the pass looked at."""
        return self.handled + self.skipped + self.dead_lettered + self.duplicates + self.left


def pause(attempts: int) -> timedelta:
    """Return how long to wait after the n-th failed attempt: 1, 2, 4 … seconds, at most a minute."""
    return timedelta(seconds=min(LONGEST_PAUSE, 2.0 ** min(attempts - 1, 10)))


@dataclass(frozen=True, slots=True)
class Parts:
    """What a pass works with."""

    mailbox: Storage
    journal: Journal
    outbound: Outbound
    clock: Clock
    max_attempts: int


def decoded(name: str, found: Found | None) -> Message | UnreadableMessage | None:
    """Decode what was found of a file; the error is returned, because an unreadable file is a case like any other."""
    if found is None:
        return None
    if found.problem:
        return UnreadableMessage(f"{name} {found.problem}")
    try:
        return codec.decode(found.data, name=name)
    except UnreadableMessage as error:
        return error


class _Item(NamedTuple):
    """One waiting file: its name, what was read of it, and the message or why there is none."""

    name: str
    found: Found
    message: Message | UnreadableMessage

    @property
    def key(self) -> str:
        """Return the id that its failures and its effect are remembered under."""
        key = self.message.message_id if isinstance(self.message, Message) else self.name
        return key.encode("utf-8", "replace").decode()  # a name need not be valid text, what the ledger stores must be

    @property
    def digest(self) -> str:
        """Return what tells its bytes from others under the same id."""
        return hashlib.sha256(self.found.data).hexdigest()


class _Acted(NamedTuple):
    """A message whose handler has done its work and whose effect is to be committed."""

    item: _Item
    message: Message
    commit: Commit | None
    outcome: str


class _HandledMeanwhileError(Exception):
    """Somebody else handled the message since we asked: a pass within ours, or where locks do not hold."""


class Pass:
    """One pass over one inbox, under its lock."""

    def __init__(
        self, parts: Parts, department: str, router: Router, *, settle: bool, batch: int, stop: Callable[[], bool]
    ) -> None:
        self.mailbox, self.journal, self.outbound = parts.mailbox, parts.journal, parts.outbound
        self.clock = parts.clock
        self.max_attempts = parts.max_attempts
        self.department = department
        self.router = router
        self.settle = settle
        self.batch = batch
        self.stop = stop
        self.counts = dict.fromkeys(("handled", "skipped", "dead_lettered", "duplicates", "left"), 0)
        self.retry_at: datetime | None = None
        self.failures = parts.journal.failures(department)
        self.ahead: list[str] = []
        self.known: dict[str, tuple[str, str] | None] = {}
        self.unsettled: list[_Item] = []
        self.acted: list[_Acted] = []

    @cached_property
    def day(self) -> date:
        """The trading day of the pass, on which its messages are archived."""
        return trading_day(self.clock.now())

    def run(self, names: list[str]) -> ConsumeReport:
        """Handle the waiting files of these names once, then look again at what was too young to be judged."""
        for item in self._items(names):
            if self.stop():
                break
            self._handle(item)
        self._commit()
        self._judge_unsettled()
        self._deliver()
        if self.counts["skipped"]:
            logger.info("%s: %d messages archived as skipped", self.department, self.counts["skipped"])
        return ConsumeReport(self.department, **self.counts, retry_at=self.retry_at)

    # --- order ---

    def _items(self, names: list[str]) -> Iterator[_Item]:
        """Yield the waiting files by time, then id; headers are read second by second, never all at once."""
        groups: dict[str, list[str]] = {}
        timeless = []
        for name in names:
            stamp = stamp_in(name)
            if stamp is None:
                timeless.append(name)
            else:
                groups.setdefault(stamp, []).append(name)
        for name in timeless:
            groups.setdefault(self._stamp_of(name), []).append(name)
        for stamp in sorted(groups):
            yield from self._sorted(sorted(groups[stamp]))

    def _stamp_of(self, name: str) -> str:
        item = self._read(name)
        return stamp(item.message.timestamp) if item and isinstance(item.message, Message) else ""

    def _sorted(self, names: list[str]) -> Iterator[_Item]:
        for start in range(0, len(names), GROUP):
            items = [item for name in names[start : start + GROUP] if (item := self._read(name))]
            self.ahead, self.known = [item.key for item in items if isinstance(item.message, Message)], {}
            self.router.prepare(item.message for item in items if isinstance(item.message, Message))
            yield from sorted(items, key=_item_order) if len(items) > 1 else items

    def _read(self, name: str) -> _Item | None:
        found = self.mailbox.look(self.department, name)
        message = decoded(name, found)
        return None if found is None or message is None else _Item(name, found, message)

    # --- one message ---

    def _handle(self, item: _Item) -> None:
        if item.found.state is State.GROWING:
            self.unsettled.append(item)
        elif isinstance(item.message, UnreadableMessage):
            self._condemn(item, item.message)
        else:
            self._take(item, item.message)

    def _take(self, item: _Item, message: Message) -> None:
        try:
            if self._is_due(message):
                self._attempt(item, message)
        except TRANSIENT as error:
            self._retry(item, message, error)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises, the next message is handled
            self._condemn(item, error)

    def _attempt(self, item: _Item, message: Message) -> None:
        if any(each.message.message_id == message.message_id for each in self.acted):
            self._commit()  # the same id again within a batch must find itself remembered
        done = self._disposition(message.message_id)
        if done is None:
            self.acted.append(_Acted(item, message, *self._act(message)))
            if len(self.acted) >= self.batch:
                self._commit()
        elif done[1] == item.digest:
            logger.info("%s: %s was %s before; no second effect", self.department, message.message_id, done[0])
            self._finish(item, "duplicates")
        else:
            raise MessageConflict(f"{message.message_id} was {done[0]} before with other content")

    def _disposition(self, message_id: str) -> tuple[str, str] | None:
        """Tell how an id was handled: asked once for all the messages ahead, and anew for an id that comes again."""
        if message_id not in self.known:
            asked, self.ahead = [message_id, *self.ahead], []
            self.known |= dict.fromkeys(asked) | self.journal.dispositions(self.department, asked)
        return self.known.pop(message_id)

    def _act(self, message: Message) -> tuple[Commit | None, str]:
        row = self.router.row_for(message)
        if isinstance(row, Skip):
            logger.debug("%s: %s skipped: %s", self.department, message.message_id, row.reason)
            return None, SKIPPED
        return row(message), HANDLED

    def _commit(self) -> None:
        """Make the effects of a batch and "these ids are handled" one transaction, then archive; else one by one."""
        acted, self.acted = self.acted, []
        if not acted:
            return
        try:
            with self.journal.transaction():
                for each in acted:
                    if each.commit is not None:
                        each.commit()
                    self._remember(each)
        except Exception as error:  # noqa: BLE001 - as above
            self._not_committed(acted, error)
        else:
            for each in acted:
                self._finish(each.item, each.outcome)

    def _remember(self, acted: _Acted) -> None:
        message_id = acted.message.message_id
        if not self.journal.remember(self.department, message_id, acted.outcome, acted.item.digest, self.clock.now()):
            raise _HandledMeanwhileError
        if message_id in self.failures:
            self.journal.forget_failures(self.department, message_id)

    def _not_committed(self, acted: list[_Acted], error: Exception) -> None:
        if len(acted) > 1:
            for each in acted:
                self.acted = [each]
                self._commit()
        elif isinstance(error, _HandledMeanwhileError):
            self._take(acted[0].item, acted[0].message)
        elif isinstance(error, TRANSIENT):
            self._retry(acted[0].item, acted[0].message, error)
        else:
            self._condemn(acted[0].item, error)

    def _finish(self, item: _Item, outcome: str) -> None:
        """Archive after the effect is committed; what fails here is made up for by the next pass."""
        self.counts[outcome] += 1
        if self.outbound.many_wait:
            self._deliver()
        try:
            kept = self.mailbox.archive(self.department, item.name, self.day.isoformat())
        except TRANSIENT as error:
            logger.warning("%s: %s is handled, but: %s", self.department, item.name, error)
            self._leave(self.clock.now() + pause(1))
            return
        if kept != item.name:
            logger.warning("%s: %s is archived as %s, the name was taken", self.department, item.name, kept)

    def _deliver(self) -> None:
        """Deliver what the effects of the pass send, together; what fails here is made up for by the next pass."""
        try:
            self.outbound.deliver_pending()
        except TRANSIENT as error:
            logger.warning("%s: what it sends waits: %s", self.department, error)
            self._again_at(self.clock.now() + pause(1))

    # --- what cannot be handled now ---

    def _is_due(self, message: Message) -> bool:
        failure = self.failures.get(message.message_id)
        if failure is None:
            return True
        due, now = failure[2] + pause(failure[0]), self.clock.now()
        if due <= now or now < failure[2]:  # the clock was set back, and nobody knows how long ago that was
            return True
        self._leave(due)
        return False

    def _leave(self, due: datetime) -> None:
        self.counts["left"] += 1
        self._again_at(due)

    def _again_at(self, due: datetime) -> None:
        self.retry_at = due if self.retry_at is None else min(self.retry_at, due)

    def _retry(self, item: _Item, message: Message, error: Exception) -> None:
        now = self.clock.now()
        attempts = 1
        with suppress(LedgerError):  # a locked ledger cannot count; then it is not the message's fault either
            attempts = self.journal.fail(self.department, message.message_id, now)
        logger.warning("%s: %s failed (attempt %d): %s", self.department, message.message_id, attempts, error)
        if attempts >= self.max_attempts:
            self._set_aside(item, error, attempts)
        else:
            self._leave(now + pause(attempts))

    def _condemn(self, item: _Item, error: Exception) -> None:
        if item.found.state is State.WHOLE or not isinstance(error, UnreadableMessage | BadInput):
            self._set_aside(item, error, 1)
        else:
            self.unsettled.append(item)

    def _judge_unsettled(self) -> None:
        """Give young files one quiet period; what did not change is judged, the rest waits for the next pass."""
        if self.settle and self.unsettled and not self.stop():
            young, self.unsettled = self.unsettled, []
            self.mailbox.settle()
            for before in young:
                self._judge(before)
            self._commit()
        for _ in self.unsettled:
            self._leave(self.clock.now() + A_MOMENT)

    def _judge(self, before: _Item) -> None:
        item = self._read(before.name)
        if item is not None:
            self._handle(item)

    # --- dead letters ---

    def _set_aside(self, item: _Item, error: Exception, attempts: int) -> None:
        """Escalate once per cause and day, write the reason, move the file: in this order a kill loses nothing."""
        ours = isinstance(item.message, Message) and self.router.is_for_us(item.message)
        code = failures.code_of(error, ours=ours)
        try:
            self._escalate(error, code, item.name)
            self.outbound.deliver_pending()
            self.mailbox.set_aside(self.department, item.name, self._reason(item, code, error, attempts))
        except TRANSIENT as trouble:
            logger.warning("%s: %s (%s) stays for now: %s", self.department, shown(item.name), code, trouble)
            self._leave(self.clock.now() + pause(1))
            return
        logger.error("%s: %s is set aside: %s: %s", self.department, shown(item.name), code, shown(str(error)))
        self.counts["dead_lettered"] += 1

    def _reason(self, item: _Item, code: ReasonCode, error: Exception, attempts: int) -> str:
        now = self.clock.now()
        tried = self.journal.failures(self.department).get(item.key, (attempts, now, now))
        return failures.reason_text(self.department, item.name, item.key, code, error, tried=tried)

    def _escalate(self, error: Exception, code: ReasonCode, name: str) -> None:
        with self.journal.transaction():
            if self.journal.first_today(f"{self.department}:{code}", self.day):
                self.outbound.enqueue(
                    failures.escalation(self.department, name, code, error, now=self.clock.now(), day=self.day)
                )


def _item_order(item: _Item) -> tuple[datetime, str]:
    if isinstance(item.message, Message):
        return item.message.timestamp, item.message.message_id
    return LONG_AGO, item.name
