"""The folders of a mailbox: made when they are first used, with a room for temporary files, and flushed on request."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Final, TypeVar

from Departments.core.platform import files
from Departments.core.platform.clock import Clock
from Departments.core.platform.rights import Rights, make_folder
from Departments.core.platform.steps import Step, announce
from Departments.messaging import disk

Result = TypeVar("Result")

INBOX: Final = "Inbox"
OUTBOX: Final = "Outbox"
ARCHIVE: Final = "Archive"
DEAD_LETTER: Final = "Dead_Letter"
TEMPORARY: Final = ".tmp"
STALE: Final = 3_600.0  # seconds after which a temporary file belongs to nobody


class Folders:
    """The folders below `root`. Without `flushes`, flushing is left to the system."""

    def __init__(self, root: Path, *, flushes: bool, step: Step, rights: Rights) -> None:
        self.flushes = flushes
        self.base = os.fspath(root)
        self._step = step
        self._rights = rights
        self._made: dict[tuple[str, ...], str] = {}
        self._flushed: set[str] = set()  # folders with a durable name
        self._sequence = 0
        self._mark = secrets.token_hex(8)  # in a container, process numbers repeat after a kill

    def path(self, *parts: str) -> str:
        """Return a path below the root."""
        return os.sep.join((self.base, *parts))

    def make(self, *parts: str) -> str:
        """Return one of our folders, made at its first use."""
        path = self._made.get(parts)
        if path is None:
            path = self.path(*parts)
            if not os.path.isdir(path):
                with self.announce("folder"):
                    make_folder(Path(path), self._rights)
            self._made[parts] = path
        return path

    def retry_without_folder(self, work: Callable[[], Result]) -> Result:
        """Do the work, and once more if somebody removed one of our folders."""
        try:
            return work()
        except FileNotFoundError:
            self._made.clear()
            self._flushed.clear()
            return work()

    def announce(self, label: str) -> AbstractContextManager[None]:
        """Announce a durable step."""
        return announce(self._step, label)

    # --- temporary files ---

    def name_temporary(self) -> str:
        """Return the path of a new temporary file, unique among threads and processes."""
        self._sequence += 1
        return f"{self.make(TEMPORARY)}{os.sep}{os.getpid()}-{threading.get_ident()}-{self._mark}-{self._sequence}.tmp"

    def clean(self, clock: Clock, *, stale: float = STALE) -> int:
        """Remove temporary files untouched for `stale` seconds. Returns their number."""
        now, removed = clock.now().timestamp(), 0
        for entry in list_entries(self.path(TEMPORARY)):
            with suppress(OSError):
                if now - entry.stat(follow_symlinks=False).st_mtime >= stale:
                    with self.announce("publish.clean"):
                        files.unlink(entry.path)
                    removed += 1
        return removed

    # --- flushing ---

    def flush_folder(self, path: str) -> None:
        """Flush a folder's entries, and once also those of its parents."""
        if self.flushes:
            disk.sync_folder(path)
            if path not in self._flushed and path.startswith(self.base):
                self._flushed.add(path)
                self.flush_folder(os.path.dirname(path))

    def flush_place(self, path: str) -> None:
        """Flush a file and its folder's entries."""
        if self.flushes:
            disk.sync_file(path)
            self.flush_folder(os.path.dirname(path))


def list_entries(folder: str) -> list[os.DirEntry[str]]:
    """List the entries of a folder, none of a missing one."""
    try:
        with os.scandir(folder) as found:
            return list(found)
    except FileNotFoundError:
        return []
