"""Single files: write, flush, compare, and move without overwriting.

A power cut takes unflushed names and contents. A torn file is empty or ends in zeros.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Final

from Departments.core.logs import make_logger
from Departments.core.platform import files, system
from Departments.core.platform.disk_trouble import find_mend
from Departments.core.platform.rights import PRIVATE, Rights, open_new
from Departments.messaging.names import number_names

_BINARY: Final[int] = getattr(os, "O_BINARY", 0)
READING: Final[int] = (
    os.O_RDONLY | _BINARY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
)
#: Windows flushes only what is open for writing.
_FLUSH_WINDOWS, _FLUSH_POSIX = os.O_RDWR | _BINARY, os.O_RDONLY
_NOT_FOLLOWING: Final = {"follow_symlinks": False} if os.link in os.supports_follow_symlinks else {}
NOT_FILES: Final = frozenset({errno.ELOOP, errno.EMLINK, errno.ENXIO, errno.EISDIR})

logger = make_logger(__name__)


@dataclass
class HardLinks:
    """Whether files get second names by hard links, or by copies: after the first refusal, by copies."""

    enabled: bool = True

    def refuse(self, error: OSError) -> None:
        """Use copies from now on. Raises `error` if it does not concern links."""
        if isinstance(error, FileExistsError | FileNotFoundError) or files.is_in_use(error):
            raise error
        if find_mend(error, Path()) is not None:
            raise error
        self.enabled = False
        logger.info("No hard links here (%s); files are copied instead", files.describe(error))


def moment_at(mtime: float) -> datetime | None:
    """Return a file's time (UTC); None outside the calendar."""
    try:
        return datetime.fromtimestamp(mtime, UTC)
    except (OSError, ValueError, OverflowError):
        return None


def file_time(path: Path) -> datetime | None:
    """Return the time of a file (UTC), None if it is gone or has none."""
    try:
        return moment_at(path.stat().st_mtime)
    except OSError:
        return None


def write_new(path: str, data: bytes, *, flush: bool, rights: Rights = PRIVATE) -> None:
    """Create a new file with `data`. Raises FileExistsError if the name is taken."""
    descriptor = open_new(path, rights)
    try:
        written, whole = os.write(descriptor, data), len(data)
        while written < whole:
            written += os.write(descriptor, memoryview(data)[written:])
        if flush:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: str) -> None:
    """Flush a folder's entries. Windows cannot open folders, and need not."""
    if not system.WINDOWS:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sync_file(path: str) -> None:
    """Flush one file's contents. Skips links, pipes and files closed to us."""
    if stat.S_ISREG(os.lstat(path).st_mode):
        with suppress(PermissionError):
            flags = _FLUSH_WINDOWS if system.WINDOWS else _FLUSH_POSIX
            descriptor = files.open_descriptor(path, flags)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def link_new(source: str, target: str, links: HardLinks, rights: Rights = PRIVATE) -> None:
    """Give a file a second, new name: a hard link where possible, else a copy.

    Raises FileExistsError if the name is taken. The target is never visible half-written.
    """
    if links.enabled:
        try:
            files.link(source, target)
        except OSError as error:
            links.refuse(error)
        else:
            return
    _copy_new(source, target, rights)


def _copy_new(source: str, target: str, rights: Rights) -> None:
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
    copy = f"{source}.copy.tmp"
    files.discard(copy)
    try:
        write_new(copy, files.read_bytes(source), flush=False, rights=rights)
        files.rename(copy, target)
    except OSError:
        with suppress(OSError):
            files.discard(copy)
        raise


class Copy(Enum):
    """How much a path holds of given bytes."""

    MISSING = "missing"
    WHOLE = "whole"
    TORN = "torn"  # by a power cut: a beginning, the rest missing or zeros
    OTHER = "other"


def compare(path: str, data: bytes) -> Copy:
    """Compare a path with bytes. A stranger's file may be a pipe without an end, huge, or vanish meanwhile."""
    try:
        if not hasattr(os, "O_NOFOLLOW") and os.path.islink(path):
            return Copy.OTHER
        found = files.retry(_read_beginning, path, len(data) + 1)
    except (FileNotFoundError, NotADirectoryError):
        return Copy.MISSING
    except OSError as error:
        if error.errno in NOT_FILES:
            return Copy.OTHER
        raise
    if found == data:
        return Copy.WHOLE
    is_torn = len(found) <= len(data) and data.startswith(found.rstrip(b"\0"))
    return Copy.TORN if is_torn else Copy.OTHER


def _read_beginning(path: str, most: int) -> bytes:
    """Read up to `most` bytes of a file. Raises OSError, EISDIR for what is not a file."""
    descriptor = os.open(path, READING)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        return read_up_to(descriptor, most)
    finally:
        os.close(descriptor)


def find_free_name(folder: str, name: str, *, besides: str) -> str:
    """Return the first free form of `name` in `folder`. The same bytes as `besides` count as free."""
    paths = ((free, os.path.join(folder, free)) for free in number_names(name))
    return next(free for free, path in paths if not os.path.lexists(path) or has_same_bytes(path, besides))


def has_same_bytes(first: str, second: str) -> bool:
    """Return True if two paths are regular files with the same bytes. Raises OSError while one is in use."""
    try:
        one, two = os.lstat(first), os.lstat(second)
        regular = stat.S_ISREG(one.st_mode) and stat.S_ISREG(two.st_mode)
        return regular and one.st_size == two.st_size and files.read_bytes(first) == files.read_bytes(second)
    except OSError as error:
        if files.is_in_use(error):
            raise
        return False


def flush_nothing(path: str) -> None:
    """Flush nothing."""


def move_new(source: str, target: str, links: HardLinks, flush: Callable[[str], None] = flush_nothing) -> bool:
    """Move a file to a new name. Returns False if the name has other bytes.

    A target with the same bytes takes the place of both. Link and unlink overwrite nothing. Folders, and file systems
    without links, need a rename. So does Windows: there a rename overwrites nothing, and a read-only file cannot be
    unlinked. `flush` makes the new name durable before the old one goes.
    """
    if links.enabled and not system.WINDOWS:
        try:
            files.link(source, target, **_NOT_FOLLOWING)
        except FileExistsError:
            return _join(source, target, flush)
        except OSError as error:
            if not os.path.isdir(source):
                links.refuse(error)
        else:
            flush(target)
            files.unlink(source)
            return True
    try:
        if not os.path.lexists(target):
            files.rename(source, target)
            flush(target)
            return True
    except FileExistsError:  # taken at this very moment
        pass
    return _join(source, target, flush)


def _join(source: str, target: str, flush: Callable[[str], None]) -> bool:
    same = has_same_bytes(source, target)
    if same:
        flush(target)
        files.unlink(source)
    return same


def read_up_to(descriptor: int, size: int) -> bytes:
    """Read up to `size` bytes of an open file."""
    data = os.read(descriptor, size)
    while len(data) < size and (more := os.read(descriptor, size - len(data))):
        data += more
    return data
