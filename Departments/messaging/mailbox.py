"""How messages are stored: one file each, under Inbox, Outbox, Archive and Dead_Letter of one folder.

A message is published by: temporary file, flush, exclusive link into the recipient's Inbox, flush of that folder,
rename into the sender's Outbox. So the copy in the Outbox says that the delivery is durable, nothing is ever seen
half-written, and nothing is ever overwritten.
"""

from __future__ import annotations

import errno
import os
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Final, Literal, TypeVar

from Departments.core.clock import Clock, SystemClock
from Departments.core.errors import MessageConflict, PublishError
from Departments.core.locks import ProcessLock
from Departments.core.steps import Step, announced, no_step
from Departments.messaging import disk, lookup
from Departments.messaging.message import Message
from Departments.messaging.names import LONGEST, is_message_name, numbered, shortened
from Departments.messaging.ports import Letter, checked

Durability = Literal["full", "fast"]

Result = TypeVar("Result")

INBOX: Final = "Inbox"
OUTBOX: Final = "Outbox"
ARCHIVE: Final = "Archive"
DEAD_LETTER: Final = "Dead_Letter"
REASON: Final = ".reason.yaml"
QUIET: Final = 0.25  # seconds a stranger's file must be untouched before it is condemned
TOGETHER: Final = 32  # letters from which one flush of all that anybody wrote is cheaper than one for each
STALE: Final = 3_600.0  # seconds after which a temporary file belongs to nobody


class Mailbox:
    """The folder `Messages_Between_Departments`.

    `durability` full flushes every publication, fast leaves flushing to the system. `hard_links` is for shares that
    cannot have them. `clock` is the one the file system uses, not a simulated one.
    """

    def __init__(
        self,
        root: Path,
        *,
        durability: Durability = "full",
        step: Step = no_step,
        max_bytes: int = 10_000_000,
        quiet: float = QUIET,
        hard_links: bool = True,
        clock: Clock | None = None,
    ) -> None:
        self.root = root
        self.quiet = quiet
        self._base = os.fspath(root)
        self._flush = durability == "full"
        self.step = step
        self._hard_links = hard_links
        self._clock = clock or SystemClock()
        self._looker = disk.Looker(max_bytes=max_bytes, quiet=quiet, clock=self._clock)
        self._locks: dict[str, ProcessLock] = {}
        self._folders: dict[tuple[str, ...], str] = {}
        self._sequence = 0
        self._mark = secrets.token_hex(8)  # in a container every process has the same number as the one that was killed

    # --- publishing ---

    def publish(self, letters: Sequence[Letter]) -> None:
        """Deliver letters, all durable when this returns; a letter that lies there already is left as it is.

        Raises MessageConflict for a name that exists with other content, PublishError for everything the system
        refuses; nothing of the refused letter is visible then.
        """
        try:
            fresh = [letter for letter in map(checked, letters) if not self._is_published(letter)]
            if fresh:
                self._check_before(fresh)
                self._again_without_folder(lambda: self._publish(fresh))
        except OSError as error:
            raise PublishError(_sentence(error, letters, self._base)) from error

    def _publish(self, letters: Sequence[Letter]) -> None:
        temporary: dict[str, Letter] = {}
        try:
            self._write(letters, temporary)
            self._deliver(temporary)
            self._keep(temporary)
        finally:
            self._drop(temporary)

    def _is_published(self, letter: Letter) -> bool:
        return self._lies_at(f"{self._folder(OUTBOX, letter.sender)}{os.sep}{letter.name}", letter)

    def _check_before(self, letters: Sequence[Letter]) -> None:
        """Refuse before anything is delivered what can be known to fail after the first letter is."""
        if len(letters) > 1:
            self._check_together(letters)
        for folder in {self._folder(OUTBOX, letter.sender) for letter in letters}:
            if not os.access(folder, os.W_OK) and os.path.isdir(folder):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), folder)

    def _check_together(self, letters: Sequence[Letter]) -> None:
        taken: dict[str, bytes] = {}
        for letter in letters:
            waiting = self._path(INBOX, letter.recipient, letter.name)
            self._lies_at(waiting, letter)
            for path in (waiting, self._path(OUTBOX, letter.sender, letter.name)):
                if taken.setdefault(path, letter.data) != letter.data:
                    raise _conflict(letter)

    def _lies_at(self, path: str, letter: Letter) -> bool:
        """Tell whether the letter lies there already. Raises MessageConflict where something else does."""
        found = disk.holds(path, letter.data)
        if found is False:
            raise _conflict(letter)
        return bool(found)

    def _write(self, letters: Sequence[Letter], temporary: dict[str, Letter]) -> None:
        if not self._sequence:
            self.clean()
        folder = self._folder(".tmp")
        together = len(letters) >= TOGETHER
        with self._announced("publish.write"):
            for letter in letters:
                path = self._temporary(folder)
                temporary[path] = letter
                disk.write_new(path, letter.data, flush=self._flush and not together)
            if self._flush and together and not disk.sync_everything_in(folder):
                for path in temporary:
                    disk.sync_file(path)

    def _deliver(self, temporary: dict[str, Letter]) -> None:
        folders = set()
        for path, letter in temporary.items():
            folder = self._folder(INBOX, letter.recipient)
            with self._announced("publish.deliver"):
                self._link(path, f"{folder}{os.sep}{letter.name}", letter)
            folders.add(folder)
        if self._flush:
            with self._announced("publish.flush"):
                for folder in folders:
                    disk.sync_folder(folder)

    def _link(self, path: str, target: str, letter: Letter) -> None:
        try:
            disk.link_new(path, target, hard_links=self._hard_links, flush=self._flush)
        except FileExistsError:
            if not self._lies_at(target, letter):  # handled and archived in this very moment
                self._link(path, target, letter)

    def _keep(self, temporary: dict[str, Letter]) -> None:
        for path, letter in list(temporary.items()):
            target = f"{self._folder(OUTBOX, letter.sender)}{os.sep}{letter.name}"
            with self._announced("publish.keep"):
                try:
                    os.replace(path, target)  # a copy of the same bytes at most, see _is_published
                except PermissionError:  # Windows, while a reader has the Inbox's name for the same file open
                    self._link(path, target, letter)
                else:
                    del temporary[path]

    def _drop(self, temporary: Iterable[str]) -> None:
        for path in temporary:
            with self._announced("publish.drop"), suppress(OSError):
                os.unlink(path)

    def _temporary(self, folder: str) -> str:
        self._sequence += 1
        return f"{folder}{os.sep}{os.getpid()}-{threading.get_ident()}-{self._mark}-{self._sequence}"

    def clean(self, *, stale: float = STALE) -> int:
        """Remove temporary files that nobody has touched for `stale` seconds and return how many they were."""
        now, removed = self._clock.now().timestamp(), 0
        for entry in _entries(self._path(".tmp")):
            with suppress(OSError):
                if now - entry.stat(follow_symlinks=False).st_mtime >= stale:
                    with self._announced("publish.clean"):
                        os.unlink(entry.path)
                    removed += 1
        return removed

    # --- consuming ---

    def waiting(self, department: str) -> list[str]:
        """Return the names waiting in an inbox, in no particular order."""
        try:
            return list(filter(is_message_name, os.listdir(self._path(INBOX, department))))
        except FileNotFoundError:
            return []

    def look(self, department: str, name: str) -> disk.Found | None:
        """Read one waiting file; None when it is gone."""
        try:
            return self._looker.look(self._path(INBOX, department, name))
        except OSError:
            return None

    def archive(self, department: str, name: str, day: str) -> str:
        """Move a handled message to `Archive/<day>/<department>/` and return the name it has there."""
        return self.relocate((INBOX, department, name), (ARCHIVE, day, department), name, label="archive")

    def relocate(self, source: Sequence[str], folder: Sequence[str], name: str, *, label: str) -> str:
        """Move a file within the mailbox, announced as `label`, and return the name it got; nothing is overwritten.

        A name that is taken by other content gets a number; one taken by the same bytes is joined with it.
        Files leave by link and unlink: a watcher's queue of events is held up by a move that it sees only half of.
        """
        return self._again_without_folder(
            lambda: self._relocate(self._path(*source), self._folder(*folder), name, label)
        )

    def _relocate(self, here: str, there: str, name: str, label: str) -> str:
        with self._announced(label):
            number, free = 1, name
            while not disk.move_new(here, f"{there}{os.sep}{free}", hard_links=self._hard_links):
                number += 1
                free = numbered(name, number)
        return free

    def set_aside(self, department: str, name: str, reason: str) -> str:
        """Move a message to `Dead_Letter/<department>/`, its reason beside it, and return its name there."""
        source, folder = (INBOX, department, name), (DEAD_LETTER, department)
        fitting = shortened(name, LONGEST - len(REASON) - len(".999999"))
        free = disk.free_name(self._folder(*folder), fitting, besides=self._path(*source))
        temporary = self._temporary(self._folder(".tmp"))
        with self._announced("dead_letter.reason"):
            disk.write_new(temporary, reason.encode("utf-8", "replace"), flush=self._flush)
            os.replace(temporary, self._path(*folder, free + REASON))
        return self.relocate(source, folder, free, label="dead_letter.move")

    def settle(self) -> None:
        """Wait until a file that nobody touches meanwhile counts as finished."""
        self._clock.sleep(self.quiet * 1.05)

    @contextmanager
    def holding(self, department: str, *, wait: float) -> Iterator[bool]:
        """Hold the one lock of an inbox; the system releases it when the process ends, however it ends.

        Yields whether it was ours already: then what was seen of the inbox before still holds. Raises WorkspaceBusy
        when another process holds it for longer than `wait` seconds, BadInput.
        """
        if department not in self._locks:
            busy = f"another process handles the inbox of {department}; wait for it or stop it."
            self._locks[department] = ProcessLock(Path(self._folder(".locks"), f"{department}.lock"), busy)
        lock = self._locks[department]
        if lock.is_held:  # by ourselves: one instance serves one thread
            yield True
            return
        with self._announced("lock"):
            lock.take(wait=wait)
        try:
            yield False
        finally:
            lock.release()

    def find(self, message_id: str) -> Message | None:
        """Return a message wherever it lies, packed archives included, None when there is none of this id."""
        found = lookup.find(self.root, message_id)
        return found.message if found else None

    # --- places ---

    def _path(self, *parts: str) -> str:
        return os.sep.join((self._base, *parts))

    def _folder(self, *parts: str) -> str:
        """Return a folder of ours, made when it is first needed."""
        path = self._folders.get(parts)
        if path is None:
            path = self._path(*parts)
            if not os.path.isdir(path):
                with self._announced("folder"):
                    disk.make_folder(path, flush=self._flush)
            self._folders[parts] = path
        return path

    def _again_without_folder(self, work: Callable[[], Result]) -> Result:
        """Do the work; once more when a folder that we had made was taken away meanwhile."""
        try:
            return work()
        except FileNotFoundError:
            self._folders.clear()
            return work()

    def _announced(self, label: str) -> AbstractContextManager[None]:
        return announced(self.step, label)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except FileNotFoundError:
        return []


def _conflict(letter: Letter) -> MessageConflict:
    return MessageConflict(f"{letter.name} was published before with other content; it stays as it was.")


def _sentence(error: OSError, letters: Sequence[Letter], folder: str) -> str:
    place, problem = error.filename2 or error.filename or folder, error.strerror or error
    what = f"the message {letters[0].name[:80]}" if len(letters) == 1 else f"one of {len(letters)} messages"
    return (
        f"{place}: {what} cannot be written ({problem}); nothing of it is visible; "
        "make room there or correct the rights, and run the same command again."
    )
