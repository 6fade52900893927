"""Stores messages: one file each, under Inbox, Outbox, Archive and Dead_Letter of one folder.

A letter is delivered by: two temporary files, exclusive link of the first into the recipient's Inbox, rename of the
second into the sender's Outbox. So a copy in the Outbox proves the delivery and keeps its text whatever becomes of the
other, no file is ever visible half-written, and none is ever overwritten. Our own letters are durable in the ledger and
need no flush here. Strangers' files are flushed at their new place before they leave the old one.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

from Departments.core.errors import MessageConflict, PublishError
from Departments.core.logs import make_logger
from Departments.core.platform import files
from Departments.core.platform.clock import Clock, SystemClock
from Departments.core.platform.locks import ProcessLock
from Departments.core.platform.places import Mutexes
from Departments.core.platform.rights import PRIVATE, Rights
from Departments.core.platform.steps import Step, no_step
from Departments.messaging import disk, lookup
from Departments.messaging.disk import Copy
from Departments.messaging.folders import STALE, Folders, list_entries
from Departments.messaging.message import Message
from Departments.messaging.names import LONGEST, is_message_name, moment_in, number_names, shorten
from Departments.messaging.ports import IndexRow, Letter

Durability = Literal["full", "fast"]

INBOX: Final = "Inbox"
OUTBOX: Final = "Outbox"
ARCHIVE: Final = "Archive"
DEAD_LETTER: Final = "Dead_Letter"
REASON: Final = ".reason.yaml"
QUIET: Final = 0.25  # seconds a stranger's file must be untouched before it is condemned
A_DAY: Final = timedelta(days=1)

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
        self._looker = disk.Looker(max_bytes=max_bytes, quiet=quiet, clock=self._clock)
        self._mutexes = mutexes or Mutexes(root / ".locks")
        self._locks: dict[str, ProcessLock] = {}
        self._folders = Folders(root, flushes=durability == "full", step=step, rights=rights)
        self._is_clean = False

    # --- publishing ---

    def publish(self, letters: Sequence[Letter], *, again: bool = False) -> None:
        """Put letters into their folders, unflushed. Leaves delivered letters alone.

        A sender's copy in the Outbox proves the delivery. `again` also mends copies torn by a power cut, in any box.
        Raises MessageConflict for a name with other content, PublishError if the system refuses; nothing of the
        refused letter is visible then.
        """
        try:
            for letter in letters:
                letter.check()
            undelivered = self._mend if again else self._is_fresh
            fresh = [letter for letter in letters if undelivered(letter)]
            if fresh:
                self._check_before(fresh)
                self._folders.retry_without_folder(lambda: self._deliver(fresh))
        except OSError as error:
            raise PublishError(_sentence(error, letters, self._folders.base)) from error

    def _deliver(self, letters: Sequence[Letter]) -> None:
        received: dict[str, Letter] = {}
        sent: dict[str, Letter] = {}
        try:
            self._write(letters, received, sent)
            for path, letter in received.items():
                with self._folders.announce("publish.deliver"):
                    self._link(path, self._inbox_path(letter), letter)
            self._keep(sent)
        finally:
            self._drop([*received, *sent])

    def _is_fresh(self, letter: Letter) -> bool:
        """Return True if the sender has no whole copy yet. Raises MessageConflict if it has another message."""
        path = self._outbox_path(letter)
        return not os.path.lexists(path) or not self._has_copy(path, letter)

    def _outbox_path(self, letter: Letter) -> str:
        return f"{self._folders.make(OUTBOX, letter.sender)}{os.sep}{letter.name}"

    def _inbox_path(self, letter: Letter) -> str:
        return f"{self._folders.make(INBOX, letter.recipient)}{os.sep}{letter.name}"

    def _check_before(self, letters: Sequence[Letter]) -> None:
        """Raise foreseeable errors before any letter is delivered."""
        if len(letters) > 1:
            self._check_together(letters)
        for folder in {self._folders.make(OUTBOX, letter.sender) for letter in letters}:
            if not os.access(folder, os.W_OK) and os.path.isdir(folder):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), folder)

    def _check_together(self, letters: Sequence[Letter]) -> None:
        taken: dict[str, bytes] = {}
        for letter in letters:
            waiting = self._folders.path(INBOX, letter.recipient, letter.name)
            self._has_copy(waiting, letter)
            for path in (waiting, self._folders.path(OUTBOX, letter.sender, letter.name)):
                if taken.setdefault(path, letter.data) != letter.data:
                    raise _conflict(letter)

    def _has_copy(self, path: str, letter: Letter) -> bool:
        """Return True if a whole copy is there. Raises MessageConflict for other content."""
        found = disk.compare(path, letter.data)
        if found is Copy.OTHER:
            raise _conflict(letter)
        return found is Copy.WHOLE

    def _write(self, letters: Sequence[Letter], *copies: dict[str, Letter]) -> None:
        """Write a temporary file of each letter for each of the `copies`, and enter it there first."""
        if not self._is_clean:
            self.clean()
        with self._folders.announce("publish.write"):
            for temporary in copies:
                for letter in letters:
                    path = self._folders.name_temporary()
                    temporary[path] = letter
                    disk.write_new(path, letter.data, flush=False, rights=self.rights)

    def _link(self, path: str, target: str, letter: Letter) -> None:
        """Give a letter its name in an inbox. Replaces a torn copy."""
        try:
            disk.link_new(path, target, self._links, self.rights)
        except FileExistsError:
            if not self._has_copy(target, letter):
                disk.link_new(path, f"{path}.again.tmp", self._links, self.rights)
                files.replace(f"{path}.again.tmp", target)

    def _keep(self, temporary: dict[str, Letter]) -> None:
        """Turn temporary files into the senders' copies."""
        for path, letter in list(temporary.items()):
            target = self._outbox_path(letter)
            with self._folders.announce("publish.keep"):
                try:
                    files.replace(path, target)  # over a torn copy at most, see _is_fresh
                except PermissionError:  # Windows, while a virus scanner has the file open
                    self._link(path, target, letter)
                else:
                    del temporary[path]

    def _drop(self, temporary: Sequence[str]) -> None:
        with self._folders.announce("publish.drop"):
            for path in temporary:
                with suppress(OSError):
                    files.unlink(path)

    # --- after a power cut ---

    def _mend(self, letter: Letter) -> bool:
        """Complete a letter after a kill or a power cut. Returns True if it is not delivered."""
        is_sent = self._has_copy(self._outbox_path(letter), letter)  # raises if it has another message
        if is_sent and disk.compare(self._inbox_path(letter), letter.data) is Copy.WHOLE:
            return False
        is_sent = is_sent or self.has_sent(letter)
        received = [path for path in self._recipient_paths(letter) if self._mend_copy(path, letter)]
        if received and not is_sent:
            self._folders.retry_without_folder(lambda: self._keep(self._write_one(letter)))
        return not is_sent and not received

    def _mend_copy(self, path: str, letter: Letter) -> bool:
        """Replace a torn copy. Returns True if a whole copy is there now."""
        found = disk.compare(path, letter.data)
        if found is Copy.TORN:
            logger.warning("%s was torn by a power cut and is restored", path)
            (temporary,) = self._write_one(letter)
            with self._folders.announce("publish.mend"):
                files.replace(temporary, path)
        return found in (Copy.WHOLE, Copy.TORN)

    def _write_one(self, letter: Letter) -> dict[str, Letter]:
        temporary: dict[str, Letter] = {}
        self._write([letter], temporary)
        return temporary

    def _sender_paths(self, letter: Letter) -> list[str]:
        """Return the possible paths of the sender's copy."""
        return self._paths(letter, letter.sender, OUTBOX)

    def _recipient_paths(self, letter: Letter) -> list[str]:
        """Return the possible paths of a received letter: waiting, set aside, or archived."""
        return self._paths(letter, letter.recipient, INBOX, DEAD_LETTER)

    def _paths(self, letter: Letter, department: str, *boxes: str) -> list[str]:
        first = _day_before(letter.name)
        days = [
            (ARCHIVE, day.name)
            for day in list_entries(self._folders.path(ARCHIVE))
            if day.name >= first and day.is_dir()
        ]
        return [self._folders.path(*folder, department, letter.name) for folder in (*((box,) for box in boxes), *days)]

    # --- making letters safe ---

    def has_sent(self, letter: Letter) -> bool:
        """Return True if the sender has a whole copy: it proves the delivery."""
        return any(disk.compare(path, letter.data) is Copy.WHOLE for path in self._sender_paths(letter))

    def flush(self, letters: Sequence[Letter]) -> list[str]:
        """Flush letters and their folders. Returns the names with a whole sender's copy."""
        safe, folders = [], set[str]()
        for letter in letters:
            sent, received = (
                [path for path in paths if disk.compare(path, letter.data) is Copy.WHOLE]
                for paths in (self._sender_paths(letter), self._recipient_paths(letter))
            )
            if sent:
                safe.append(letter.name)
                folders |= {os.path.dirname(path) for path in (*sent, *received)}
                for path in (*sent, *received) if self._folders.flushes else ():
                    disk.sync_file(path)
        for folder in sorted(folders):
            self._folders.flush_folder(folder)
        return safe

    def clean(self, *, stale: float = STALE) -> int:
        """Remove temporary files untouched for `stale` seconds. Returns their number."""
        self._is_clean = True
        return self._folders.clean(self._clock, stale=stale)

    # --- consuming ---

    def waiting(self, department: str) -> list[str]:
        """Return the names waiting in an inbox, in no particular order."""
        try:
            return list(filter(is_message_name, os.listdir(self._folders.path(INBOX, department))))
        except FileNotFoundError:
            return []

    def look(self, department: str, name: str) -> disk.Found | None:
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


@lru_cache(maxsize=256)
def _day_before(name: str) -> str:
    """Return the day before a message's stamp, the first of its archive. Empty without a stamp."""
    moment = moment_in(name)
    return (moment - A_DAY).date().isoformat() if moment else ""


def _conflict(letter: Letter) -> MessageConflict:
    return MessageConflict(f"{letter.name} was published before with other content; it stays as it was.")


def _sentence(error: OSError, letters: Sequence[Letter], folder: str) -> str:
    place, problem = error.filename2 or error.filename or folder, files.describe(error)
    what = f"the message {letters[0].name[:80]}" if len(letters) == 1 else f"one of {len(letters)} messages"
    return (
        f"{place}: {what} cannot be written ({problem}); nothing of it is visible; "
        "make room there or correct the rights, and run the same command again."
    )
