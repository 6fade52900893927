"""A lock is the system's: it is held by one, a crash lets go of it, and no file of its owner's stands in for it."""

import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from Departments.core.errors import WorkspaceBusy
from Departments.core.platform.locks import ProcessLock

HELD_AND_DEAD = """
import os, sys
from pathlib import Path
from Departments.core.platform.locks import ProcessLock
ProcessLock(Path(sys.argv[1]), "busy").take()
os._exit(77)
"""


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    one, two = (ProcessLock(tmp_path / "a.lock", "somebody is at work") for _ in range(2))
    one.take()
    with pytest.raises(WorkspaceBusy, match="somebody is at work"):
        two.take()
    assert (one.is_held, two.is_held) == (True, False)
    one.release()
    two.take()
    assert (one.is_held, two.is_held) == (False, True)
    two.release()


def test_a_crash_releases_the_lock(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HELD_AND_DEAD, str(tmp_path / "a.lock")]
    assert subprocess.run(command, check=False).returncode == 77
    lock = ProcessLock(tmp_path / "a.lock", "busy")
    lock.take()
    lock.release()


def test_others_who_lock_the_same_file_are_kept_out(tmp_path: Path) -> None:
    with FileLock(tmp_path / "a.lock", preserve_lock_file=True), pytest.raises(WorkspaceBusy):
        ProcessLock(tmp_path / "a.lock", "busy").take()
