"""Trouble with a disk: full, out of inodes, over a quota, read-only. It has one error and one exit code.

An error of the system says so by its number, an error of SQLite by its code. Where SQLite's code leaves it open
(it cannot open a file, an input or output failed), the folder is asked by writing a small file there.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

from Departments.core.errors import DepartmentsError, DiskError
from Departments.core.platform import files

ROOM: Final = "make room on its disk"
WRITABLE: Final = "make its disk writable"
CHECK: Final = "check its disk"
RIGHTS: Final = "correct the rights of file and folder"
AGAIN: Final = "run the same command again"
#: POSIX: out of space or inodes, over the quota, a read-only file system.
_NUMBERS: Final = {errno.ENOSPC: ROOM, getattr(errno, "EDQUOT", errno.ENOSPC): ROOM, errno.EROFS: WRITABLE}
#: Windows: ERROR_HANDLE_DISK_FULL, ERROR_DISK_FULL, ERROR_DISK_QUOTA_EXCEEDED, ERROR_WRITE_PROTECT
#: (https://learn.microsoft.com/windows/win32/debug/system-error-codes).
_WINDOWS: Final = {39: ROOM, 112: ROOM, 1295: ROOM, 19: WRITABLE}
#: SQLite's primary result codes (https://www.sqlite.org/rescode.html).
_READONLY, _IOERR, _FULL, _CANTOPEN = 8, 10, 13, 14
_DATABASE: Final = {
    5: "another program keeps it locked",
    6: "another program keeps it locked",
    _READONLY: "it is read-only",
    _IOERR: "its disk failed",
    11: "its content is damaged",
    _FULL: "its disk is full",
    _CANTOPEN: "it cannot be opened",
    26: "it is no SQLite database",
}
PROBE: Final = b"\0" * 65_536  # a little more than the steps in which SQLite's files grow


def find_mend(error: BaseException, place: Path) -> str | None:
    """Return the mend for the disk of `place`, or None if the error has another cause."""
    return next((mend for each in _chain(error) if (mend := _mend_of(each, place)) is not None), None)


def disk_error(place: Path, problem: str, mend: str) -> DiskError:
    """Return the error of a disk in one sentence."""
    return DiskError(f"{place}: {problem}; {mend} and {AGAIN}.")


def raise_for_disk(error: BaseException, place: Path | None = None) -> None:
    """Raise DiskError if the disk of `place`, by default the error's file, is behind an error."""
    if isinstance(error, DiskError):
        raise error
    mend = find_mend(error, place or Path())
    if mend is None:
        return
    if isinstance(error, DepartmentsError):  # a sentence with file and mend already
        raise DiskError(str(error)) from error
    problem = f"cannot be written ({describe_database(error) if isinstance(error, Exception) else error})"
    raise disk_error(place or Path(getattr(error, "filename", None) or "the disk"), problem, mend) from error


def raise_if_read_only(folder: Path) -> None:
    """Raise DiskError if the disk of a folder is mounted read-only. Windows says so at the first write."""
    if sys.platform != "win32" and os.statvfs(folder).f_flag & os.ST_RDONLY:
        raise disk_error(folder, f"cannot be written ({files.describe(OSError(errno.EROFS, ''))})", WRITABLE)


def describe_database(error: Exception) -> str:
    """Return an error of SQLite or of the system in our words."""
    if isinstance(error, OSError):
        return files.describe(error)
    if isinstance(error, UnicodeDecodeError):
        return "its content is damaged"
    name = getattr(error, "sqlite_errorname", None)
    return _DATABASE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF) or (
        f"the database answers {name}" if name and name != "SQLITE_ERROR" else str(error)
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes."""
    following: BaseException | None = error
    while following is not None:
        yield following
        following = following.__cause__


def _mend_of(error: BaseException, place: Path) -> str | None:
    if isinstance(error, DiskError):
        return CHECK
    if isinstance(error, OSError):
        return _WINDOWS.get(getattr(error, "winerror", None) or 0) or _NUMBERS.get(error.errno or 0)
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return None
    known = {_FULL: ROOM, _READONLY: RIGHTS, _IOERR: CHECK}.get(code & 0xFF)
    if code & 0xFF in (_READONLY, _IOERR, _CANTOPEN):
        return _ask(place.parent) or known
    return known


def _ask(folder: Path) -> str | None:
    """Return the mend of a folder that takes no small file, or None."""
    probe = folder / f".departments.{uuid4().hex}.tmp"
    try:
        descriptor = files.open_descriptor(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, PROBE)
        finally:
            os.close(descriptor)
    except OSError as error:
        return _mend_of(error, folder)
    finally:
        with suppress(OSError):
            files.discard(probe)
    return None
