"""Stores messages: one file each, under Inbox, Outbox, Archive and Dead_Letter of one folder.

Our own letters are durable in the ledger and need no flush here. Strangers' files are flushed at their new place before
they leave the old one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from Departments.core.logs import make_logger
from Departments.core.platform import files
from Departments.core.platform.clock import Clock, SystemClock
from Departments.core.platform.locks import ProcessLock
from Departments.core.platform.places import Mutexes
from Departments.core.platform.rights import PRIVATE, Rights
from Departments.core.platform.steps import Step, no_step
from Departments.messaging import disk, lookup
from Departments.messaging.delivery import Delivery
from Departments.messaging.folders import ARCHIVE, DEAD_LETTER, INBOX, STALE, Folders, list_entries
from Departments.messaging.looker import Found, Looker
from Departments.messaging.message import Message
from Departments.messaging.names import LONGEST, is_message_name, number_names, shorten
from Departments.messaging.ports import IndexRow, Letter

Durability = Literal["full", "fast"]

REASON: Final = ".reason.yaml"
QUIET: Final = 0.25  # seconds a stranger's file must be untouched before it is condemned

logger = make_logger(__name__)


class Mailbox:
    """The folder `Messages_Between_Departments`.

    `durability` full flushes strangers' files when they move; fast leaves flushing to the system. `hard_links` is off
    for shares without them. `clock` is the file system's clock, never a simulated one.
    """

    def __init__(  # noqa: PLR0913 - one parameter for each property of the file system
        self,
        root: Path,
        *,
        durability: Durability = "full",
        step: Step = no_step,
        max_bytes: int = 10_000_000,
        quiet: float = QUIET,
        hard_links: bool = True,
        mutexes: Mutexes | None = None,
        clock: Clock | None = None,
        rights: Rights = PRIVATE,
    ) -> None:
        self.root = root
        self.quiet = quiet
        self.step = step
        self._links = disk.HardLinks(hard_links)
        self.rights = rights
        self._clock = clock or SystemClock()
        self._looker = Looker(max_bytes=max_bytes, quiet=quiet, clock=self._clock)
        self._mutexes = mutexes or Mutexes(root / ".locks")
        self._locks: dict[str, ProcessLock] = {}
        self._folders = Folders(root, flushes=durability == "full", step=step, rights=rights)
        self._delivery = Delivery(self._folders, self._links, self._clock, rights)

    # --- letters ---

    def publish(self, letters: Sequence[Letter], *, again: bool = False) -> None:
        """Put letters into their folders. See `Delivery.publish`."""
        self._delivery.publish(letters, again=again)

    def has_sent(self, letter: Letter) -> bool:
        """Return True if the sender has a whole copy: it proves the delivery."""
        return self._delivery.has_sent(letter)

    def flush(self, letters: Sequence[Letter]) -> list[str]:
        """Flush letters and their folders. Returns the names with a whole sender's copy."""
        return self._delivery.flush(letters)

    def clean(self, *, stale: float = STALE) -> int:
        """Remove temporary files untouched for `stale` seconds. Returns their number."""
        return self._delivery.clean(stale=stale)

    # --- consuming ---

    def waiting(self, department: str) -> list[str]:
        """Return the names waiting in an inbox, in no particular order."""
        try:
            return list(filter(is_message_name, os.listdir(self._folders.path(INBOX, department))))
        except FileNotFoundError:
            return []

    def look(self, department: str, name: str) -> Found | None:
        """Read one waiting file. Returns None if it is gone."""
        try:
            return self._looker.look(self._folders.path(INBOX, department, name))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def archive(self, department: str, name: str, day: str, *, flush: bool = True) -> str:
        """Move a handled message to `Archive/<day>/<department>/`. Returns its name there."""
        return self.relocate((INBOX, department, name), (ARCHIVE, day, department), name, label="archive", flush=flush)

    def relocate(
        self, source: Sequence[str], folder: Sequence[str], name: str, *, label: str, flush: bool = True
    ) -> str:
        """Move a file within the mailbox as step `label`. Returns its new name.

        Nothing is overwritten: a name taken by other content gets a number, the same bytes are joined.
        Files leave by link and unlink: half a move holds up a watcher's queue of events.
        """
        return self._folders.retry_without_folder(
            lambda: self._relocate(self._folders.path(*source), self._folders.make(*folder), name, label, flush=flush)
        )

    def _relocate(self, here: str, there: str, name: str, label: str, *, flush: bool) -> str:
        make_durable = self._folders.flush_place if flush else disk.flush_nothing
        with self._folders.announce(label):
            return next(
                free
                for free in number_names(name)
                if disk.move_new(here, f"{there}{os.sep}{free}", self._links, make_durable)
            )

    def bury(self, department: str, name: str, reason: str) -> str:
        """Move a message to `Dead_Letter/<department>/` beside its reason. Returns its name there."""
        source, folder = (INBOX, department, name), (DEAD_LETTER, department)
        fitting = shorten(name, LONGEST - len(REASON) - len(".999999"))
        free = disk.find_free_name(self._folders.make(*folder), fitting, besides=self._folders.path(*source))
        temporary = self._folders.name_temporary()
        with self._folders.announce("dead_letter.reason"):
            disk.write_new(
                temporary, reason.encode("utf-8", "replace"), flush=self._folders.flushes, rights=self.rights
            )
            files.replace(temporary, self._folders.path(*folder, free + REASON))
        return self.relocate(source, folder, free, label="dead_letter.move")

    def dead_names(self, department: str) -> list[str]:
        """Return the names among the dead letters of a department, in no particular order."""
        return [
            entry.name
            for entry in list_entries(self._folders.path(DEAD_LETTER, department))
            if is_message_name(entry.name)
        ]

    def wait_until_quiet(self) -> None:
        """Wait until an untouched file counts as finished."""
        self._clock.sleep(self._looker.longest_wait * 1.05)

    @contextmanager
    def holding(self, department: str, *, wait: float) -> Iterator[bool]:
        """Hold the one lock of an inbox. The system releases it when the process ends.

        Yields True if it was ours already: then an earlier look at the inbox is still true. Raises WorkspaceBusy if
        another process holds it for longer than `wait` seconds, BadInput.
        """
        if department not in self._locks:
            busy, mend = f"another process handles the inbox of {department}", "wait for it or stop it"
            self._locks[department] = ProcessLock(self._mutexes.path(department), busy, self.rights, mend)
        lock = self._locks[department]
        if lock.is_held:  # by ourselves: one instance serves one thread
            yield True
            return
        with self._folders.announce("lock"):
            lock.take(wait=wait)
        try:
            yield False
        finally:
            lock.release()

    def find(self, message_id: str, index: Sequence[IndexRow] = ()) -> Message | None:
        """Find a message in any box, packed archives included. Returns None without one."""
        found = self.find_copies(message_id, index)
        return found[0] if found else None

    def find_copies(self, message_id: str, index: Sequence[IndexRow] = ()) -> list[Message]:
        """Return all readable copies of a message, packed archives included."""
        return [found.message for found in lookup.find_all(self.root, message_id, index)]
