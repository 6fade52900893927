"""Locks of the operating system: whoever holds one is at work, and a crash lets go of it.

Never a file that only its owner can remove: where the system has no file locks, that is said.
"""

from __future__ import annotations

from pathlib import Path

from Departments.core.errors import BadInput, WorkspaceBusy


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
