"""Mutexes between processes, as locks of the operating system: a crash releases them.

One execution at a time holds a workspace and its account. A disk without file locks is an error; there is no fallback
to lock files, which survive a crash.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from Departments import __version__
from Departments.core.errors import BadInput, FileInUse, WorkspaceBusy
from Departments.core.platform import files
from Departments.core.platform.disk_trouble import raise_for_disk
from Departments.core.platform.places import Mutexes, find_mutexes
from Departments.core.platform.rights import PRIVATE, Rights, make_folder, provide_file


class ProcessLock:
    """A file lock of one process, shared within it. `busy` is the error for all others."""

    def __init__(self, path: Path, busy: str, rights: Rights = PRIVATE) -> None:
        from filelock import FileLock  # noqa: PLC0415 - takes as long to import as all of typer

        self._path = path
        self._busy = busy
        self._rights = rights
        self._is_noted = False
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
            self._note_version()
        except Timeout as error:
            raise WorkspaceBusy(f"{self._busy}{self._describe_version()}") from error
        except OSError as error:
            raise_for_disk(error, self._path)
            if files.is_in_use(error):
                raise FileInUse(self._path) from error
            problem = f"the lock cannot be written ({files.describe(error)})"
            raise BadInput(
                self._path, "", problem, "correct the rights there, or use a disk with file locks"
            ) from error

    @property
    def _version_file(self) -> Path:
        return self._path.with_suffix(".version")

    def _note_version(self) -> None:
        """Note the version that took the lock, beside it: nobody can read a locked file on Windows."""
        if not self._is_noted:
            with suppress(OSError):
                self._write_version()
            self._is_noted = True

    def _write_version(self) -> None:
        provide_file(self._version_file, self._rights)
        with files.open_file(self._version_file, "wb") as file:
            file.write(__version__.encode())

    def _describe_version(self) -> str:
        """Return a sentence about the holder, if it runs another version: an upgrade has not reached it."""
        try:
            version = files.read_bytes(self._version_file).decode(errors="replace").strip()
        except OSError:
            return ""
        if version in {"", __version__}:
            return ""
        return f" It runs version {version}, and this is {__version__}: restart it after an upgrade."

    def release(self) -> None:
        """Release the lock."""
        self._lock.release()


@contextmanager
def execution_lock(workspace: Path, rights: Rights = PRIVATE, mutexes: Mutexes | None = None) -> Iterator[None]:
    """Hold the workspace for one execution. Raises WorkspaceBusy if another process holds it; BadInput."""
    path = (mutexes or find_mutexes(workspace)).path("execution")
    with _hold(path, f"{workspace}: another execution is running here; wait until it ends.", rights):
        yield


@contextmanager
def account_lock(folder: Path, broker: str, account_id: str, rights: Rights = PRIVATE) -> Iterator[None]:
    """Hold an account for one execution. All workspaces share `folder`.

    The file's name is a hash, so it does not reveal the account. Accounts without an id share one lock. Raises
    WorkspaceBusy if another process holds it, BadInput if the lock cannot be written.
    """
    name = sha256(f"{broker} {account_id}".encode()).hexdigest()[:32]
    busy = f"another workspace is executing on the same account ({broker}); wait until it ends."
    with _hold(folder / f".departments-{name}.lock", busy, rights):
        yield


@contextmanager
def _hold(path: Path, busy: str, rights: Rights) -> Iterator[None]:
    lock = ProcessLock(path, busy, rights)
    lock.take()
    try:
        yield
    finally:
        lock.release()
