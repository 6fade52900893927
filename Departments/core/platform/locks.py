"""Mutexes between processes, as locks of the operating system: a crash releases them.

One execution at a time holds a workspace and its account. A disk without file locks is an error; there is no fallback
to lock files, which survive a crash.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

from Departments import __version__
from Departments.core.errors import BadInput, FileInUse, WorkspaceBusy
from Departments.core.moments import show_moment
from Departments.core.platform import files
from Departments.core.platform.disk_trouble import raise_for_disk
from Departments.core.platform.places import Mutexes, find_mutexes
from Departments.core.platform.rights import PRIVATE, Rights, make_folder, provide_file

WAIT: Final = 0.2  # seconds: a look holds the mutex of executions for a moment


class ProcessLock:
    """A file lock of one process, shared within it. `busy` is what others are told, `mend` what they can do."""

    def __init__(self, path: Path, busy: str, rights: Rights = PRIVATE, mend: str = "wait until it ends") -> None:
        from filelock import FileLock  # noqa: PLC0415 - takes as long to import as all of typer

        self._path = path
        self._busy = busy
        self._mend = mend
        self._rights = rights
        self._noted_at = 0
        self._lock = FileLock(path, thread_local=False, preserve_lock_file=True)  # forbids that fallback

    @property
    def is_held(self) -> bool:
        """Return whether this object holds the lock."""
        return bool(self._lock.is_locked)

    def take(self, *, wait: float = 0.0) -> None:
        """Take the lock within `wait` seconds; make its folder.

        Raises WorkspaceBusy, BadInput, DiskError, FileInUse.
        """
        from filelock import Timeout  # noqa: PLC0415

        try:
            make_folder(self._path.parent, self._rights)
            provide_file(self._path, self._rights)
            files.retry(lambda: self._lock.acquire(timeout=wait))
            self._note_holder()
        except Timeout as error:
            raise self._describe_holder() from error
        except OSError as error:
            raise_for_disk(error, self._path)
            if files.is_in_use(error):
                raise FileInUse(self._path) from error
            problem = f"the lock cannot be written ({files.describe(error)})"
            raise BadInput(
                self._path, "", problem, "correct the rights there, or use a disk with file locks"
            ) from error

    @property
    def _note(self) -> Path:
        """The file with version and process of the last holder. On Windows nobody can read a locked file itself."""
        return self._path.with_suffix(".version")

    def _note_holder(self) -> None:
        """Note this process, unless it was the last one that did.

        The note is written over: a file that was emptied goes to the disk when it is closed (`auto_da_alloc`,
        https://docs.kernel.org/admin-guide/ext4.html).
        """
        with suppress(OSError):
            if not self._noted_at or self._note.stat().st_mtime_ns != self._noted_at:
                provide_file(self._note, self._rights)
                with files.open_file(self._note, "r+b") as file:
                    file.write(f"{__version__}\n{os.getpid()}\n".encode())
                    file.truncate()
                self._noted_at = self._note.stat().st_mtime_ns

    def _describe_holder(self) -> WorkspaceBusy:
        """Return the error that names the holder: its process, since when, and another version of the program."""
        try:
            version, process, *_ = [*files.read_bytes(self._note).decode(errors="replace").split("\n"), ""]
            since = datetime.fromtimestamp(self._note.stat().st_mtime, UTC)
        except OSError:
            return WorkspaceBusy(f"{self._busy}; {self._mend}.")
        who = f" (process {process.strip()}, since {show_moment(since)})" if process.strip() else ""
        other = f" It runs version {version}, and this is {__version__}: restart it after an upgrade."
        text = f"{self._busy}{who}; {self._mend}.{'' if version in {'', __version__} else other}"
        return WorkspaceBusy(text, since, process.strip())

    def release(self) -> None:
        """Release the lock."""
        self._lock.release()


@contextmanager
def execution_lock(workspace: Path, rights: Rights = PRIVATE, mutexes: Mutexes | None = None) -> Iterator[None]:
    """Hold the workspace for one execution. Raises WorkspaceBusy if another process holds it; BadInput."""
    path = (mutexes or find_mutexes(workspace)).path("execution")
    with _hold(path, f"{workspace}: another execution is running here", rights):
        yield


@contextmanager
def account_lock(folder: Path, broker: str, account_id: str, rights: Rights = PRIVATE) -> Iterator[None]:
    """Hold an account for one execution. All workspaces share `folder`.

    The file's name is a hash, so it does not reveal the account. Accounts without an id share one lock. Raises
    WorkspaceBusy if another process holds it, BadInput if the lock cannot be written.
    """
    name = sha256(f"{broker} {account_id}".encode()).hexdigest()[:32]
    busy = f"another workspace is executing on the same account ({broker})"
    with _hold(folder / f".departments-{name}.lock", busy, rights):
        yield


@contextmanager
def _hold(path: Path, busy: str, rights: Rights) -> Iterator[None]:
    lock = ProcessLock(path, busy, rights)
    lock.take(wait=WAIT)
    try:
        yield
    finally:
        lock.release()
