"""Watches inboxes: reads one when a file arrives, and all of them by the clock.

An event only causes a look. The observer starts before the backlog is handled, so no file is missed. A rescan every few
moments covers lost events, an overflowing queue and network shares. Only inboxes are observed, and messages leave them
by link and unlink: a move to an unobserved folder holds up every later event by half a second.
"""

from __future__ import annotations

import os
import queue
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from watchdog.events import FileClosedEvent, FileCreatedEvent, FileMovedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver
from watchdog.observers.polling import PollingObserver

from Departments.core.errors import DepartmentsError, WorkspaceBusy
from Departments.core.logs import make_logger
from Departments.core.platform import files
from Departments.core.platform.rights import PRIVATE, Rights, make_folder
from Departments.messaging.bus import Bus, ConsumeReport
from Departments.messaging.folders import INBOX
from Departments.messaging.names import is_message_name
from Departments.messaging.router import Router

ZERO: Final = timedelta(0)
SETTLING: Final = timedelta(minutes=5)  # between two flushes of delivered letters
ARRIVALS: Final[list[type[FileSystemEvent]]] = [FileClosedEvent, FileCreatedEvent, FileMovedEvent]

logger = make_logger(__name__)


@dataclass(frozen=True, slots=True)
class Watched:
    """One watched department: its router, and its work besides reading (such as tracking orders)."""

    router: Router
    besides: Callable[[], object] = field(default=lambda: None)


def hear() -> BaseObserver:
    """Return the system's file events. Raises OSError if it gives none."""
    return Observer()


def try_events() -> str:
    """Begin and end the system's file events, and return their name, such as InotifyObserver. Raises OSError."""
    observer = hear()
    observer.start()
    observer.stop()
    observer.join()
    return type(observer).__name__


def poll_every(seconds: float) -> Callable[[], BaseObserver]:
    """Return what looks every few seconds instead of hearing events."""
    return partial(PollingObserver, timeout=seconds)


class Watcher:
    """Consumes inboxes as messages arrive, until it is stopped. Works in the thread that calls `run`.

    `rescan` is in seconds. `events` makes the source of file events. `on_report` takes the report of each pass,
    `notify` sentences for a person at the terminal.
    """

    def __init__(  # noqa: PLR0913 - one parameter for each setting
        self,
        bus: Bus,
        root: Path,
        departments: Sequence[Watched],
        *,
        rescan: float = 1.0,
        events: Callable[[], BaseObserver] = hear,
        rights: Rights = PRIVATE,
        notify: Callable[[str], None] = logger.info,
        on_report: Callable[[ConsumeReport], None] = lambda _: None,
    ) -> None:
        self._bus = bus
        self._root = root
        self._watched: Mapping[str, Watched] = {each.router.department: each for each in departments}
        self._rescan = rescan
        self._events = events
        self._rights = rights
        self._notify = notify
        self._on_report = on_report
        self._arrivals: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._stopping = False
        self._held: list[str] = []
        self._waiting_for: set[str] = set()
        self._looked: datetime | None = None
        self._settled: datetime | None = None
        self._due: datetime | None = None

    def stop(self) -> None:
        """Finish the message in hand, then return from `run`. Safe in a signal handler and another thread."""
        self._stopping = True
        self._arrivals.put("")

    def run(self) -> None:
        """Watch until `stop` is called.

        Each inbox is held all the while. The others are watched while one is taken by another process.
        """
        with ExitStack() as stack:
            self._observe(stack)
            while not self._stopping:
                if self._seconds_until_look() <= 0:
                    self._take_turns(stack)
                    self._look_everywhere()
                for department in self._await_arrivals():
                    self._look(department)

    def _take_turns(self, stack: ExitStack) -> None:
        """Take every free inbox, and report each busy one once."""
        taken, busy = [], []
        for department in self._watched:
            if department not in self._held:
                try:
                    stack.enter_context(self._bus.mailbox.holding(department, wait=0))
                    taken.append(department)
                except WorkspaceBusy:
                    busy.append(department)
        self._held += taken
        for department in busy:
            if department not in self._waiting_for:
                self._notify(f"Another process handles the inbox of {department}; waiting for its turn to end")
        self._waiting_for = set(busy)
        if taken:
            self._notify(f"Watching {', '.join(taken)}")

    def _observe(self, stack: ExitStack) -> None:
        inboxes = [self._root / INBOX / department for department in self._watched]
        for inbox in inboxes:
            make_folder(inbox, self._rights)
        try:
            observer = self._events()
            for inbox in inboxes:
                observer.schedule(_Arrivals(self._arrivals), str(inbox), event_filter=ARRIVALS)
            observer.start()
        except OSError as error:
            reason = files.describe(error)
            logger.warning("The system gives no file events (%s); inboxes are read every %g s", reason, self._rescan)
            return
        stack.callback(observer.join)
        stack.callback(observer.stop)

    def _seconds_until_look(self) -> float:
        """Return the seconds until the next look at everything: the rescan, or a message that is due."""
        now = self._bus.clock.now()
        if self._looked is None or now < self._looked:  # the clock was set back
            return 0
        rest = self._rescan - (now - self._looked).total_seconds()
        return rest if self._due is None else min(rest, (self._due - now).total_seconds())

    def _await_arrivals(self) -> set[str]:
        """Wait for messages, at most until the next look. Returns their departments, among ours."""
        departments = set()
        with suppress(queue.Empty):
            departments.add(self._arrivals.get(timeout=max(0, self._seconds_until_look())))
            while not self._arrivals.empty():
                departments.add(self._arrivals.get())
        return departments & set(self._held)

    def _look_everywhere(self) -> None:
        self._looked, self._due = self._bus.clock.now(), None
        for department in self._held:
            self._look(department)
            if not self._stopping:
                self._try(self._watched[department].besides)
        if self._settled is None or not ZERO <= self._looked - self._settled < SETTLING:
            self._settled = self._looked
            self._try(self._bus.settle)

    def _look(self, department: str) -> None:
        if self._stopping:
            return
        watched = self._watched[department]
        self._try(lambda: self._consume(department, watched.router))

    def _consume(self, department: str, router: Router) -> None:
        report = self._bus.consume(department, router, patient=False, stop=lambda: self._stopping)
        if report.retry_at is not None:
            self._due = report.retry_at if self._due is None else min(self._due, report.retry_at)
        if report.total > report.left:
            self._on_report(report)

    def _try(self, work: Callable[[], object]) -> None:
        """Do the work. Trouble with the ledger or the disk does not end the watch: the messages are still there."""
        try:
            work()
        except (DepartmentsError, OSError) as error:
            logger.warning("%s; trying again at the next look", error)


class _Arrivals(FileSystemEventHandler):
    """Notes departments with new files."""

    def __init__(self, arrivals: queue.SimpleQueue[str]) -> None:
        self._arrivals = arrivals

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Note the department of an inbox with a new message file.

        A rename to itself is our own look at the file's writers.
        """
        if event.src_path == event.dest_path:
            return
        parts = Path(os.fsdecode(event.dest_path or event.src_path)).parts
        if len(parts) > 3 and parts[-3] == INBOX and is_message_name(parts[-1]):
            self._arrivals.put(parts[-2])
