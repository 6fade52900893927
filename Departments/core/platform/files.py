"""Access to files that another program may have open: one retry for every operation.

On Windows a virus scanner, an indexer or a sync client opens a file for a moment. Meanwhile the system refuses to
open, rename, replace or remove it: ERROR_SHARING_VIOLATION (32), ERROR_LOCK_VIOLATION (33), or ERROR_ACCESS_DENIED
(5), which also means a missing right
(https://learn.microsoft.com/windows/win32/debug/system-error-codes--0-499-). Network shares answer EBUSY. Each
operation here waits up to two seconds for the other program, then raises the system's error.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

from Departments.core.platform.clock import SystemClock

Result = TypeVar("Result")
Values = ParamSpec("Values")
AnyPath = str | Path

PAUSES: Final = (0.05, 0.1, 0.2, 0.4, 0.5, 0.75)  # seconds
_IN_USE: Final = frozenset({32, 33})
_DENIED: Final = 5
#: The errors that files, folders and programs meet (https://docs.python.org/3/library/errno.html).
_WORDS: Final[Mapping[int, str]] = {
    errno.ENOENT: "there is no such file or folder",
    errno.EACCES: "its rights do not allow it",
    errno.EPERM: "its rights do not allow it",
    errno.EISDIR: "it is a folder",
    errno.ENOTDIR: "a part of its path is a file",
    errno.EEXIST: "it exists already",
    errno.ENOTEMPTY: "the folder is not empty",
    errno.ENOSPC: "its disk is full",
    getattr(errno, "EDQUOT", -1): "the quota of its disk is used up",
    errno.EROFS: "its disk is read-only",
    errno.EIO: "its disk failed",
    errno.EFBIG: "the file is larger than the system allows",
    errno.ENAMETOOLONG: "its name is too long",
    errno.EMFILE: "this program has too many open files",
    errno.ENFILE: "the system has too many open files",
    errno.EXDEV: "it is on another disk",
    errno.ELOOP: "its links lead in a circle",
    errno.ENOEXEC: "it is no program",
    errno.E2BIG: "it has too many arguments",
    errno.ENOMEM: "the memory is full",
    errno.EINVAL: "the system does not accept its name",
    errno.EPIPE: "its reader has ended",
    errno.EADDRINUSE: "another program listens there",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.ECONNREFUSED: "nothing listens there",
    errno.ETIMEDOUT: "there is no answer in time",
}
ROOM: Final = 120  # characters of a workspace's path that leave room for every name of ours below it


def is_in_use(error: BaseException) -> bool:
    """Return True if another program has a file open: the error, or its cause, passes when that program closes it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and (getattr(cause, "winerror", None) in _IN_USE or cause.errno == errno.EBUSY):
            return True
        cause = cause.__cause__
    return False


def lengthen(path: str) -> str:
    r"""Return the long form (`\\?\`) of an absolute path of Windows that leaves too little room for names below it.

    Without it Windows ends paths at 259 characters
    (https://learn.microsoft.com/windows/win32/fileio/maximum-file-path-limitation).
    """
    if len(path) <= ROOM or path.startswith("\\\\?\\"):
        return path
    return f"\\\\?\\UNC\\{path[2:]}" if path.startswith("\\\\") else f"\\\\?\\{path}"


def shorten(path: str) -> str:
    r"""Return a path without the long form of Windows, as people write it."""
    if path.startswith("\\\\?\\UNC\\"):
        return f"\\\\{path[8:]}"
    return path.removeprefix("\\\\?\\")


def describe(error: OSError) -> str:
    """Return an error of the system in our words: its own differ between systems and languages."""
    if is_in_use(error):
        return "another program keeps it open"
    number = error.errno or 0
    return _WORDS.get(number) or f"the system answers {_name(error)}"


def _name(error: OSError) -> str:
    winerror = getattr(error, "winerror", None)
    return f"error {winerror}" if winerror else errno.errorcode.get(error.errno or 0, type(error).__name__)


def retry(work: Callable[Values, Result], *values: Values.args, **named: Values.kwargs) -> Result:
    """Do the work, again after each pause while another program may have the file open. Raises OSError."""
    for pause in PAUSES:
        try:
            return work(*values, **named)
        except OSError as error:
            if not _may_pass(error):
                raise
        SystemClock().sleep(pause)
    return work(*values, **named)


def _may_pass(error: OSError) -> bool:
    return is_in_use(error) or getattr(error, "winerror", None) == _DENIED


def open_file(path: AnyPath, mode: str = "rb", buffering: int = -1) -> Any:
    """Open a binary file. Raises OSError."""
    return retry(open, path, mode, buffering)  # the caller closes it


def open_descriptor(path: AnyPath, flags: int, mode: int = 0o777) -> int:
    """Open a file by the system's flags and return its descriptor. Raises OSError."""
    return retry(os.open, path, flags, mode)


def read_bytes(path: AnyPath) -> bytes:
    """Read a whole file. Raises OSError."""
    return retry(_read, path)


def _read(path: AnyPath) -> bytes:
    with open(path, "rb", 0) as file:
        return file.read()


def replace(source: AnyPath, target: AnyPath) -> None:
    """Give a file a name, in place of the file that has it. Raises OSError."""
    retry(os.replace, source, target)


def rename(source: AnyPath, target: AnyPath) -> None:
    """Give a file or folder a free name. POSIX replaces a file that has it. Raises OSError."""
    retry(os.rename, source, target)


def link(source: AnyPath, target: AnyPath, **options: Any) -> None:
    """Give a file a second name. Raises FileExistsError if the name is taken, OSError."""
    retry(os.link, source, target, **options)


def unlink(path: AnyPath) -> None:
    """Remove a file. Raises FileNotFoundError, OSError."""
    retry(os.unlink, path)


def discard(path: AnyPath) -> None:
    """Remove a file, if there is one. Raises OSError."""
    with suppress(FileNotFoundError):
        unlink(path)
