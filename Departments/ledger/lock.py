"""One execution at a time, in a workspace and on an account: operating system locks that a crash releases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from Departments.core.locks import ProcessLock

LOCK_NAME = ".departments.lock"


@contextmanager
def execution_lock(workspace: Path) -> Iterator[None]:
    """Hold the workspace for one execution. Raises WorkspaceBusy when another process holds it, BadInput."""
    with _held(workspace / LOCK_NAME, f"{workspace}: another execution is running here; wait until it has ended."):
        yield


@contextmanager
def account_lock(folder: Path, broker: str, account_id: str) -> Iterator[None]:
    """Hold an account for one execution; `folder` is the one in which every workspace looks.

    The file's name is a hash and tells nothing of the account; accounts without an id share one lock. Raises
    WorkspaceBusy when another process holds it, BadInput where the lock cannot be written.
    """
    name = sha256(f"{broker} {account_id}".encode()).hexdigest()[:32]
    busy = f"another workspace is executing on the same account ({broker}); wait until it has ended."
    with _held(folder / f".departments-{name}.lock", busy):
        yield


@contextmanager
def _held(path: Path, busy: str) -> Iterator[None]:
    lock = ProcessLock(path, busy)
    lock.take()
    try:
        yield
    finally:
        lock.release()
