"""Reads files that anybody wrote, finished or not, and tells how far each is written."""

from __future__ import annotations

import errno
import os
import signal
import stat
import sys
from datetime import datetime
from enum import Enum
from typing import Final, NamedTuple

from Departments.core.platform import files, system
from Departments.core.platform.clock import Clock
from Departments.messaging.disk import NOT_FILES, READING, moment_at, read_up_to

if sys.platform == "linux":
    import fcntl

REMEMBERED: Final = 10_000  # young files whose looks are remembered
UNCERTAIN: Final = 8  # times the quiet period, where the system cannot name every writer


class State(Enum):
    """How far a file is written."""

    WHOLE = "whole"  # untouched for the quiet period
    CLOSED = "closed"  # nobody has it open, but its writer may come back: it is young
    GROWING = "growing"  # somebody has it open for writing, or may have
    REFUSED = "refused"  # the system does not let us read it now


class Found(NamedTuple):
    """The bytes and the state of a file. `problem` is why it cannot be a message, for any bytes.

    `error` is the system's refusal to read the file.
    `mtime` is its time in seconds since 1970, None if it is not known.
    """

    data: bytes
    state: State
    problem: str = ""
    error: OSError | None = None
    mtime: float | None = None

    def written_at(self) -> datetime | None:
        """Return the file's time (UTC), None without one."""
        return None if self.mtime is None else moment_at(self.mtime)


class Looker:
    """Reads files of strangers, finished or not.

    A file untouched for `quiet` seconds counts as finished: longer where the system cannot name a file's writers. On
    Windows it cannot name those that share deletion (Node, Rust, git). If the file server's clock differs from ours,
    the time since our own first look counts.
    """

    def __init__(self, *, max_bytes: int, quiet: float, clock: Clock) -> None:
        self._max_bytes = max_bytes
        self.quiet = quiet
        self.uncertain = quiet * UNCERTAIN
        self._clock = clock
        self.longest_wait = quiet if sys.platform == "linux" and not system.WINDOWS else self.uncertain
        self._seen: dict[str, tuple[tuple[int, int], float]] = {}

    def look(self, path: str) -> Found:
        """Read one file of at most `max_bytes`. Follows no link, waits for no pipe.

        Raises FileNotFoundError if the file vanished.
        """
        if not hasattr(os, "O_NOFOLLOW") and os.path.islink(path):
            return Found(b"", State.WHOLE, "is a symbolic link, not a file")
        elsewhere = _is_open_elsewhere(path)
        try:
            descriptor = os.open(path, READING) if elsewhere else files.open_descriptor(path, READING)
            try:
                return self._read(path, descriptor, elsewhere)
            finally:
                os.close(descriptor)
        except FileNotFoundError:
            raise
        except OSError as error:
            if error.errno in NOT_FILES:
                return Found(b"", State.WHOLE, f"is {_kind(os.lstat(path).st_mode)}, not a file")
            state = State.GROWING if elsewhere else State.REFUSED
            return Found(b"", state, f"cannot be read ({files.describe(error)})", error)

    def _read(self, path: str, descriptor: int, elsewhere: bool | None) -> Found:  # noqa: FBT001 - None is unknown
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            return Found(b"", State.WHOLE, f"is {_kind(facts.st_mode)}, not a file")
        is_named = elsewhere is None
        writing = _is_being_written(descriptor) if is_named else elsewhere
        state = self._state(path, facts, writing=writing, is_named=is_named)
        if facts.st_size > self._max_bytes:
            return Found(b"", state, f"is larger than {self._max_bytes} bytes")
        return Found(read_up_to(descriptor, facts.st_size), state, mtime=facts.st_mtime)

    def _state(self, path: str, facts: os.stat_result, *, writing: bool | None, is_named: bool) -> State:
        if writing:
            return State.GROWING
        untouched, is_certain = self._measure_rest(path, facts), is_named and writing is not None
        if untouched >= self.quiet if is_certain else untouched >= self.uncertain:
            return State.WHOLE
        return State.GROWING if writing is None and untouched < self.quiet else State.CLOSED

    def _measure_rest(self, path: str, facts: os.stat_result) -> float:
        """Return the seconds since a file changed, or since we first saw it so."""
        now, signature = self._clock.now().timestamp(), (facts.st_size, facts.st_mtime_ns)
        age = now - facts.st_mtime_ns / 1e9
        if age >= self.uncertain:
            return age
        before, since = self._seen.get(path, (None, now))
        if before == signature:
            return max(age, now - since)
        if len(self._seen) >= REMEMBERED:  # most are handled by now
            self._seen.clear()
        self._seen[path] = signature, now
        return age


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    return "a folder" if stat.S_ISDIR(mode) else "a device or pipe"


def _is_open_elsewhere(path: str) -> bool | None:
    """Return True if anybody has the file open: Windows refuses to rename it then. None elsewhere."""
    if not system.WINDOWS:
        return None
    try:
        os.rename(path, path)
    except PermissionError:
        return True
    return False


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
