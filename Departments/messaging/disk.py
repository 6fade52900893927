"""Single files: write, flush, move without overwriting, and detect writers.

A power cut takes unflushed names and contents. A torn file is empty or ends in zeros.
"""

from __future__ import annotations

import errno
import os
import signal
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from typing import Final, NamedTuple

from Departments.core.platform.clock import Clock
from Departments.core.platform.rights import PRIVATE, Rights, open_new
from Departments.messaging.names import number_names

if sys.platform == "linux":
    import fcntl

_BINARY: Final[int] = getattr(os, "O_BINARY", 0)
_READ: Final[int] = (
    os.O_RDONLY | _BINARY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
)
#: Windows flushes only what is open for writing.
_FLUSH: Final = (os.O_RDWR if sys.platform == "win32" else os.O_RDONLY) | _BINARY
_NOT_FOLLOWING: Final = {"follow_symlinks": False} if os.link in os.supports_follow_symlinks else {}
_NOT_FILES: Final = frozenset({errno.ELOOP, errno.EMLINK, errno.ENXIO, errno.EISDIR})
_NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS, errno.EINVAL})
_RENAMES_SAFELY: Final = sys.platform == "win32"
REMEMBERED: Final = 10_000  # young files whose looks are remembered


class State(Enum):
    """How far a file is written."""

    WHOLE = "whole"  # untouched for the quiet period
    CLOSED = "closed"  # nobody has it open, but its writer may come back: it is young
    GROWING = "growing"  # somebody has it open for writing, or may have


class Found(NamedTuple):
    """The bytes and the state of a file. `problem` is why it cannot be a message, for any bytes."""

    data: bytes
    state: State
    problem: str = ""


def write_new(path: str, data: bytes, *, flush: bool, rights: Rights = PRIVATE) -> None:
    """Create a new file with `data`. Raises FileExistsError if the name is taken."""
    descriptor = open_new(path, rights)
    try:
        written = os.write(descriptor, data)
        while written < len(data):
            written += os.write(descriptor, memoryview(data)[written:])
        if flush:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: str) -> None:
    """Flush a folder's entries. Windows cannot open folders, and need not."""
    if sys.platform != "win32":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sync_file(path: str) -> None:
    """Flush one file's contents. Skips links, pipes and files closed to us."""
    if stat.S_ISREG(os.lstat(path).st_mode):
        with suppress(PermissionError):
            descriptor = os.open(path, _FLUSH)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def link_new(source: str, target: str, *, hard_links: bool, rights: Rights = PRIVATE) -> None:
    """Give a file a second, new name: a hard link where possible, else a copy.

    Raises FileExistsError if the name is taken. The target is never visible half-written.
    """
    if hard_links:
        try:
            os.link(source, target)
        except OSError as error:
            if isinstance(error, FileExistsError) or error.errno not in _NO_LINKS:
                raise
        else:
            return
    _copy_new(source, target, rights)


def _copy_new(source: str, target: str, rights: Rights) -> None:
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
    copy = f"{source}.copy"
    with suppress(FileNotFoundError):
        os.unlink(copy)
    try:
        write_new(copy, read_bytes(source), flush=False, rights=rights)
        os.rename(copy, target)
    except OSError:
        with suppress(OSError):
            os.unlink(copy)
        raise


def read_bytes(path: str) -> bytes:
    """Read a whole file."""
    with open(path, "rb") as file:
        return file.read()


class Copy(Enum):
    """How much a path holds of given bytes."""

    MISSING = "missing"
    WHOLE = "whole"
    TORN = "torn"  # by a power cut: a beginning, the rest missing or zeros
    OTHER = "other"


def compare(path: str, data: bytes) -> Copy:
    """Compare a path with bytes. A stranger's file may be a pipe without an end, huge, or vanish meanwhile."""
    try:
        facts = os.lstat(path)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > len(data):
            return Copy.OTHER
        found = read_bytes(path)
    except (FileNotFoundError, NotADirectoryError):
        return Copy.MISSING
    if found == data:
        return Copy.WHOLE
    return Copy.TORN if data.startswith(found.rstrip(b"\0")) else Copy.OTHER


def find_free_name(folder: str, name: str, *, besides: str) -> str:
    """Return the first free form of `name` in `folder`. The same bytes as `besides` count as free."""
    paths = ((free, os.path.join(folder, free)) for free in number_names(name))
    return next(free for free, path in paths if not os.path.lexists(path) or has_same_bytes(path, besides))


def has_same_bytes(first: str, second: str) -> bool:
    """Return True if two paths are regular files with the same bytes."""
    try:
        one, two = os.lstat(first), os.lstat(second)
        regular = stat.S_ISREG(one.st_mode) and stat.S_ISREG(two.st_mode)
        return regular and one.st_size == two.st_size and read_bytes(first) == read_bytes(second)
    except OSError:
        return False


def flush_nothing(path: str) -> None:
    """Flush nothing."""


def move_new(source: str, target: str, *, hard_links: bool, flush: Callable[[str], None] = flush_nothing) -> bool:
    """Move a file to a new name. Returns False if the name has other bytes.

    A target with the same bytes takes the place of both. Link and unlink overwrite nothing. Folders, and file systems
    without links, need a rename. So does Windows: there a rename overwrites nothing, and a read-only file cannot be
    unlinked. `flush` makes the new name durable before the old one goes.
    """
    if hard_links and not _RENAMES_SAFELY:
        try:
            os.link(source, target, **_NOT_FOLLOWING)
        except FileExistsError:
            return _join(source, target, flush)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
        else:
            flush(target)
            os.unlink(source)
            return True
    try:
        if not os.path.lexists(target):
            os.rename(source, target)
            flush(target)
            return True
    except FileExistsError:  # taken at this very moment
        pass
    return _join(source, target, flush)


def _join(source: str, target: str, flush: Callable[[str], None]) -> bool:
    same = has_same_bytes(source, target)
    if same:
        flush(target)
        os.unlink(source)
    return same


class Looker:
    """Reads files of strangers, finished or not.

    Some systems cannot name a file's writers: there a file untouched for `quiet` seconds counts as finished. If the
    file server's clock differs from ours, the time since our own first look counts.
    """

    def __init__(self, *, max_bytes: int, quiet: float, clock: Clock) -> None:
        self._max_bytes = max_bytes
        self._quiet = quiet
        self._clock = clock
        self._seen: dict[str, tuple[tuple[int, int], float]] = {}

    def look(self, path: str) -> Found:
        """Read one file of at most `max_bytes`. Follows no link, waits for no pipe.

        Raises OSError if the file vanished.
        """
        if not hasattr(os, "O_NOFOLLOW") and os.path.islink(path):
            return Found(b"", State.WHOLE, "is a symbolic link, not a file")
        elsewhere = _is_open_elsewhere(path)
        try:
            descriptor = os.open(path, _READ)
        except PermissionError as error:
            state = self._state(path, os.lstat(path), writing=bool(elsewhere))
            return Found(b"", state, f"cannot be read ({error.strerror})")
        except OSError as error:
            if error.errno not in _NOT_FILES:
                raise
            return Found(b"", State.WHOLE, f"is {_kind(os.lstat(path).st_mode)}, not a file")
        try:
            return self._read(path, descriptor, elsewhere)
        finally:
            os.close(descriptor)

    def _read(self, path: str, descriptor: int, elsewhere: bool | None) -> Found:  # noqa: FBT001 - None is unknown
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            return Found(b"", State.WHOLE, f"is {_kind(facts.st_mode)}, not a file")
        state = self._state(path, facts, writing=_is_being_written(descriptor) if elsewhere is None else elsewhere)
        if facts.st_size > self._max_bytes:
            return Found(b"", state, f"is larger than {self._max_bytes} bytes")
        return Found(_read_up_to(descriptor, facts.st_size), state)

    def _state(self, path: str, facts: os.stat_result, *, writing: bool | None) -> State:
        if writing:
            return State.GROWING
        if self._is_untouched(path, facts):
            return State.WHOLE
        return State.GROWING if writing is None else State.CLOSED

    def _is_untouched(self, path: str, facts: os.stat_result) -> bool:
        now, signature = self._clock.now().timestamp(), (facts.st_size, facts.st_mtime_ns)
        if now - facts.st_mtime_ns / 1e9 >= self._quiet:
            return True
        before, since = self._seen.get(path, (None, now))
        if before == signature:
            return now - since >= self._quiet
        if len(self._seen) >= REMEMBERED:  # most are handled by now
            self._seen.clear()
        self._seen[path] = signature, now
        return False


def _read_up_to(descriptor: int, size: int) -> bytes:
    data = os.read(descriptor, size)
    while len(data) < size and (more := os.read(descriptor, size - len(data))):
        data += more
    return data


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    return "a folder" if stat.S_ISDIR(mode) else "a device or pipe"


def _is_open_elsewhere(path: str) -> bool | None:
    """Return True if anybody has the file open: Windows refuses to rename it then. None elsewhere."""
    is_open = None
    if sys.platform == "win32":
        try:
            os.rename(path, path)
            is_open = False
        except PermissionError:
            is_open = True
    return is_open


def _is_being_written(descriptor: int) -> bool | None:
    """Return True if anybody has the file open for writing: Linux refuses a read lease then.

    A writer opening the file during these microseconds waits, and we get a signal; SIGURG is ignored by default.
    None where the system or the file system has no leases.
    """
    is_written = None
    if sys.platform == "linux":
        try:
            fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
            is_written = False
        except OSError as error:
            is_written = True if error.errno == errno.EAGAIN else None
    return is_written
