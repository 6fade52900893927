"""Locks of the operating system: a crash releases them. One execution at a time, in a workspace and on an account.

Never a file that only its owner can remove: where the system has no file locks, the error says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final

from Departments.core.errors import BadInput, WorkspaceBusy

LOCK_NAME: Final = ".departments.lock"


class ProcessLock:
    """A lock on a file, for one process and whoever asks within it. `busy` is the sentence for all others."""

    def __init__(self, path: Path, busy: str) -> None:
        from filelock import FileLock  # noqa: PLC0415 - takes as long to import as all of typer

        self._path = path
        self._busy = busy
        self._lock = FileLock(path, thread_local=False, preserve_lock_file=True)  # or it would fall back to such a file

    @property
    def is_held(self) -> bool:
        """Tell whether this very object holds the lock."""
        return bool(self._lock.is_locked)

    def take(self, *, wait: float = 0.0) -> None:
        """Take the lock within `wait` seconds; its folder is made. Raises WorkspaceBusy, BadInput."""
        from filelock import Timeout  # noqa: PLC0415

        try:
            self._lock.acquire(timeout=wait)
        except Timeout as error:
            raise WorkspaceBusy(self._busy) from error
        except OSError as error:
            problem = f"the lock cannot be written ({error.strerror})"
            raise BadInput(
                self._path, "", problem, "correct the rights there, or use a disk with file locks"
            ) from error

    def release(self) -> None:
        """Let go of the lock."""
        self._lock.release()


@contextmanager
def execution_lock(workspace: Path) -> Iterator[None]:
    """Hold the workspace for one execution. Raises WorkspaceBusy when another process holds it, BadInput."""
    with _hold(workspace / LOCK_NAME, f"{workspace}: another execution is running here; wait until it has ended."):
        yield


@contextmanager
def account_lock(folder: Path, broker: str, account_id: str) -> Iterator[None]:
    """Hold an account for one execution; `folder` is the one in which every workspace looks.

    The file's name is a hash and tells nothing of the account; accounts without an id share one lock. Raises
    WorkspaceBusy when another process holds it, BadInput where the lock cannot be written.
    """
    name = sha256(f"{broker} {account_id}".encode()).hexdigest()[:32]
    busy = f"another workspace is executing on the same account ({broker}); wait until it has ended."
    with _hold(folder / f".departments-{name}.lock", busy):
        yield


@contextmanager
def _hold(path: Path, busy: str) -> Iterator[None]:
    lock = ProcessLock(path, busy)
    lock.take()
    try:
        yield
    finally:
        lock.release()
