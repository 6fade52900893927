"""One execution at a time in a workspace: an operating system lock that a crash releases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from Departments.core.errors import WorkspaceBusy

LOCK_NAME = ".departments.lock"


@contextmanager
def execution_lock(workspace: Path) -> Iterator[None]:
    """Hold the workspace for one execution. Raises WorkspaceBusy when another process holds it."""
    lock = FileLock(workspace / LOCK_NAME)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise WorkspaceBusy(f"{workspace}: another execution is running here; wait until it has ended.") from error
    try:
        yield
    finally:
        lock.release()
