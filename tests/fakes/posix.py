"""What only POSIX systems have; elsewhere the test that asks for it is skipped."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

if sys.platform != "win32":
    import resource


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """Let this process write no file beyond `size` bytes, as a full disk or a quota does."""
    if sys.platform == "win32":
        pytest.skip("Windows has no limit on the size of a process's files")
    else:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, old)


def most_memory() -> int:
    """Return the most memory this process has ever used, in kilobytes."""
    if sys.platform == "win32":
        pytest.skip("Windows does not tell the most memory used in this way")
    else:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most // 1024 if sys.platform == "darwin" else most


def pipe_at(path: Path) -> None:
    """Make a named pipe."""
    if sys.platform == "win32":
        pytest.skip("Windows has no pipes in folders")
    else:
        os.mkfifo(path)


@contextmanager
def socket_at(name: str) -> Iterator[None]:
    """Make a socket in the current folder; whole paths may be too long for one."""
    if sys.platform == "win32":
        pytest.skip("Windows has no sockets in folders")
    else:
        with socket.socket(socket.AF_UNIX) as unix:
            unix.bind(name)
            yield


@contextmanager
def write_protected(folder: Path) -> Iterator[None]:
    """Let nobody make files in a folder; for root, whom rights do not stop, by the file system's own attribute."""
    if sys.platform == "win32":
        pytest.skip("Windows does not protect folders in this way")
    else:
        folder.chmod(0o555)
        root = os.access(folder, os.W_OK)
        if root and not (shutil.which("chattr") and _chattr("+i", folder) == 0):
            pytest.skip("this user may write everywhere")
        try:
            yield
        finally:
            if root:
                _chattr("-i", folder)
            folder.chmod(0o755)


@contextmanager
def closed(path: Path) -> Iterator[None]:
    """Let this user read nothing of a file or folder."""
    if sys.platform == "win32":
        pytest.skip("Windows does not close files in this way")
    else:
        before = path.stat().st_mode
        path.chmod(0)
        try:
            if os.access(path, os.R_OK):
                pytest.skip("this user may read everything")
            yield
        finally:
            path.chmod(before)


def _chattr(change: str, folder: Path) -> int:
    return subprocess.run(["chattr", change, folder], check=False, capture_output=True).returncode  # noqa: S607
