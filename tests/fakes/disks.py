"""Disks in trouble: small file systems of their own, and system calls that fail as those of a full disk do."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class SmallDisk:
    """A file system of its own below `root`."""

    root: Path

    def leave(self, kilobytes: int) -> None:
        """Fill it up to so many kilobytes."""
        free = shutil.disk_usage(self.root).free
        (self.root / "filler").write_bytes(b"\0" * max(0, free - kilobytes * 1024))

    def leave_inodes(self, number: int) -> None:
        """Leave room for so many more files and folders."""
        if sys.platform != "win32":
            facts = os.statvfs(self.root)
            self.remount(f"nr_inodes={facts.f_files - facts.f_ffree + number}")

    def make_room(self) -> None:
        """Remove what fills it."""
        (self.root / "filler").unlink(missing_ok=True)
        self.remount("nr_inodes=100000")

    def remount(self, options: str) -> None:
        """Change an option of the mount."""
        subprocess.run(["mount", "-o", f"remount,{options}", self.root], check=True)  # noqa: S607


@contextmanager
def small_disk(root: Path) -> Iterator[SmallDisk]:
    """Mount a file system of 16 MB in memory; skip the test where this user may not."""
    may_mount = sys.platform == "linux" and shutil.which("mount") is not None and os.geteuid() == 0
    if not may_mount:
        pytest.skip("only root may mount a file system, on Linux")
    root.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "none", os.fspath(root)]
    mounted = subprocess.run(command, check=False, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no file system may be mounted here ({mounted.stderr.strip()})")
    try:
        yield SmallDisk(root)
    finally:
        subprocess.run(["umount", "--lazy", root], check=True)  # noqa: S607


#: The calls of `os` that need room on a disk.
CALLS = ("link", "mkdir", "open", "rename", "replace", "write")


class FailingDisk:
    """Counts what needs the disk of `folder`, and lets it fail from the `first` time on; 0 is never."""

    def __init__(self, folder: Path, number: int, code: int, first: int) -> None:
        self.folder = os.fspath(folder)
        self.number = number
        self.code = code
        self.first = first
        self.asked = 0

    def is_full(self) -> bool:
        """Count one more use of the disk; return True if it fails."""
        self.asked += 1
        return 0 < self.first <= self.asked

    def wrap(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return a call of `os` that fails when the disk is full, for paths below the folder and for open files."""

        def wrapped(*arguments: Any, **options: Any) -> Any:
            place = arguments[-1] if call.__name__ in {"link", "rename", "replace"} else arguments[0]
            writes = call.__name__ != "open" or arguments[1] & (os.O_WRONLY | os.O_CREAT | os.O_RDWR)
            ours = isinstance(place, int) or os.fspath(place).startswith(self.folder)
            if writes and ours and self.is_full():
                where = None if isinstance(place, int) else os.fspath(place)
                raise OSError(self.number, os.strerror(self.number), where)
            return call(*arguments, **options)

        return wrapped


@contextmanager
def failing_disk(
    folder: Path, *, first: int = 0, number: int = errno.ENOSPC, code: int = sqlite3.SQLITE_FULL
) -> Iterator[FailingDisk]:
    """Let the system's and SQLite's writes fail from the `first` one on, as they do on a disk in trouble."""
    disk = FailingDisk(folder, number, code, first)

    class Connection(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            if not sql.startswith(("SELECT", "PRAGMA", "ROLLBACK")) and disk.is_full():
                error = sqlite3.OperationalError("the disk of the test is full")
                error.sqlite_errorcode = disk.code
                raise error
            return super().execute(sql, *values)

    def connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
        return original(*arguments, **options, factory=Connection)

    original = sqlite3.connect
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", connect)
        for name in CALLS:
            patch.setattr(os, name, disk.wrap(getattr(os, name)))
        yield disk
