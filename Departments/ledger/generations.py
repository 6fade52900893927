"""Which moment a ledger is of: a number in the ledger and in two files, one higher with each commit.

One file is beside the ledger and has every number, the other is in the folder of messages and has every fourth. Both
are written first, inside the transaction, so a kill leaves them equal to the ledger or one ahead, the second behind by
three at most. A power cut may take a file's last numbers, never the ledger's. So a file that is further ahead, or a
write-ahead log that does not fit its database, is a mixture of moments: a copy made file by file while somebody wrote.
The file among the messages also names the boot of the machine and the place of the folder. Of the same boot it is not
further behind: no power cut was between. A folder at another place is a copy, or was moved: that is said.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from Departments.core.errors import LedgerError
from Departments.core.logs import make_logger
from Departments.core.platform import files, system
from Departments.core.platform.disk_trouble import raise_for_disk
from Departments.core.platform.rights import Rights, open_new, provide_file

ENDING: Final = ".mark"
#: The second mark, in the folder of messages; it is made only where that folder is.
AMONG_MESSAGES: Final = Path("Messages_Between_Departments", ".mark")
#: Another value after each start of the machine (https://man7.org/linux/man-pages/man5/proc_sys_kernel.5.html).
BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
UNKNOWN: Final = "-"
#: Of so many commits one is in the second mark, and a process's first.
EVERY: Final = 4
#: Digits of a mark: each write has the same length, so a reader never sees half a number.
WIDTH: Final = 12
#: Where page 1 holds the number, `PRAGMA user_version`, big-endian (https://www.sqlite.org/fileformat2.html).
PLACE: Final = 60
FIRST_PAGE: Final = b"\0\0\0\1"
LOG_HEADER: Final = 32
FRAME_HEADER: Final = 24
ELSEWHERE: Final = (
    "%s is a copy of %s, or was moved from there. Two desks must not trade one account: "
    "stop the other, and see `departments reconcile`"
)
COPIED: Final = "this is a copy that was made file by file while its desk worked"
RESTORE: Final = "copy the desk by `departments backup` and `departments restore`"
AT_WORK: Final = (
    "this is a copy of %s in the middle of an execution, and that workspace is still there; "
    "finish the execution there, or, if this one takes its place, move the other away"
)
ACCEPT: Final = ", or, if no other desk works on its account, delete %s and run `departments reconcile`"
RIGHTS: Final = "correct its rights and run the same command again"
NUMBER: Final = "PRAGMA user_version"
_WRITING: Final[int] = os.O_WRONLY | getattr(os, "O_BINARY", 0)


log = make_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Second:
    """What the mark among the messages says: the commit, the boot, the folder's number and its path."""

    number: int = 0
    boot: str = UNKNOWN
    folder: str = ""
    path: str = ""

    def is_elsewhere(self, place: str) -> bool:
        """Return True if neither the path nor the number of the folder is that of `place`.

        A moved folder keeps its number, and a container, another machine or a sync client may keep the path only.
        """
        folder, _, path = place.partition(" ")
        same_number = folder == self.folder and not folder.endswith(":0")
        return bool(self.path) and not same_number and os.path.normcase(path) != os.path.normcase(self.path)


class GenerationMark:
    """The two files with the number of a ledger's last commit. `unfinished` queries executions that have not ended."""

    def __init__(self, ledger: Path, rights: Rights, unfinished: str = "") -> None:
        self._ledger = ledger
        self._unfinished = unfinished
        self._rights = rights
        self.path = ledger.with_name(ledger.name + ENDING)
        self._second = ledger.parent / AMONG_MESSAGES
        self._messages = self._second.parent
        self._has_second = False
        self._temporary = os.fspath(self._second.with_name(f"{AMONG_MESSAGES.name}.tmp"))
        self._boot, self._place = _read_boot(), _name_place(ledger.parent)
        self._ending = f" {self._boot} {self._place}\n".encode("utf-8", "replace")

    def write(self, generation: int) -> None:
        """Write the number of the next commit, of each fourth into both marks. Raises LedgerError, DiskError."""
        number = b"%0*d" % (WIDTH, generation)
        self._write_first(number + b"\n")
        if (not self._has_second or generation % EVERY == 0) and self._messages.is_dir():
            self._write_second(number + self._ending)

    def _write_second(self, text: bytes) -> None:
        """Write the mark among the messages. A process makes it anew once: a linked copy of it keeps its moment.

        Where it cannot be written it is removed: an old one of this boot would look like a copy's. A kill between
        removal and rename leaves none, until the next process's first commit.
        """
        try:
            if self._has_second:
                with suppress(FileNotFoundError):
                    return _overwrite(self._second, text)
            self._replace_second(text)
        except PermissionError:  # Windows, while somebody has it open
            with suppress(OSError):
                files.discard(self._second)
        except OSError as error:
            raise_for_disk(error, self._second)
            raise LedgerError(f"{self._second}: cannot be written ({files.describe(error)}); {RIGHTS}.") from error

    def _replace_second(self, text: bytes) -> None:
        temporary = self._temporary
        try:
            descriptor = open_new(temporary, self._rights)
        except FileExistsError:  # of an earlier kill
            files.discard(temporary)
            descriptor = open_new(temporary, self._rights)
        try:
            os.write(descriptor, text)
        finally:
            os.close(descriptor)
        # ext4 sends a file to the disk at once if it takes another's place: ten times as slow.
        if not system.WINDOWS:
            files.discard(self._second)
        files.replace(temporary, self._second)
        self._has_second = True

    def _write_first(self, text: bytes) -> None:
        try:
            try:
                _overwrite(self.path, text)
            except FileNotFoundError:
                provide_file(self.path, self._rights)
                _overwrite(self.path, text)
        except OSError as error:
            raise_for_disk(error, self.path)
            raise LedgerError(f"{self.path}: cannot be written ({files.describe(error)}); {RIGHTS}.") from error

    def check(self, read: Callable[..., list[Any]]) -> None:
        """Raise LedgerError if mark, log and database are of moments that no crash leaves together.

        `read` queries the ledger, or its database alone if `immutable`. What is read later can only be ahead. The log
        begins at most one commit after what the database holds, and does not end before it. A ledger without a
        commit is new, whatever mark it finds.
        """
        before = _first(read(self._ledger, NUMBER))
        logged, marked = self._read_log(), _read_number(self.path)
        second = self._read_second() if self.path.exists() else _Second()  # a person accepts by deleting the first
        held = _first(read(self._ledger, NUMBER, immutable=True)) if logged is not None else None
        now = _first(read(self._ledger, NUMBER))
        if logged is not None and held is not None and now is not None:
            if logged > held + 1:
                self._refuse(f"its log begins at commit {logged}, the file ends at {held}")
            if now < held:
                self._refuse(f"its log ends at commit {now}, the file at {held}")
        for name, number in ((self.path.name, marked), (AMONG_MESSAGES.as_posix(), second.number)):
            if now and number > now + 1:
                self._refuse_mark(name, now, number)
        if before and second.number + EVERY <= before and second.boot == self._boot != UNKNOWN:
            self._refuse_mark(AMONG_MESSAGES.as_posix(), before, second.number)
        if now and second.is_elsewhere(self._place):
            self._refuse_work(Path(second.path), read)
            log.warning(ELSEWHERE, self._ledger.parent, second.path)

    def _refuse_work(self, original: Path, read: Callable[..., list[Any]]) -> None:
        """Raise LedgerError for a copy in the middle of an execution: its original may finish it."""
        is_there = (original / self._ledger.name).exists()
        if is_there and self._unfinished and _first(read(self._ledger, self._unfinished)):
            raise LedgerError(f"{self._ledger}: {AT_WORK % original}.")

    def _refuse_mark(self, name: str, now: int, number: int) -> None:
        self._refuse(f"it is of commit {now}, and {name} of commit {number}", ACCEPT % self.path.name)

    def _refuse(self, moments: str, otherwise: str = "") -> None:
        raise LedgerError(f"{self._ledger}: {moments}: {COPIED}; {RESTORE}{otherwise}.")

    def _read_second(self) -> _Second:
        """Return what the mark among the messages says; nothing without one, or after a power cut."""
        try:
            parts = files.read_bytes(self._second).partition(b"\n")[0].decode("utf-8", "replace").split(" ", 3)
        except OSError:
            return _Second()
        is_whole = len(parts) == 4 and parts[0].isdigit()
        return _Second(int(parts[0]), *parts[1:]) if is_whole else _Second()

    def _read_log(self) -> int | None:
        """Return the number in the first page 1 of the log, or None."""
        try:
            with files.open_file(self._ledger.with_name(f"{self._ledger.name}-wal")) as file:
                return next(_yield_numbers(file), None)
        except OSError:
            return None


def _overwrite(path: Path, text: bytes) -> None:
    """Write over the beginning of a file. Raises FileNotFoundError without one, OSError."""
    descriptor = files.open_descriptor(path, _WRITING)
    try:
        os.write(descriptor, text)
    finally:
        os.close(descriptor)


def _read_number(path: Path) -> int:
    """Return the number in a mark; 0 without one, or with one that a power cut has emptied."""
    try:
        text = files.read_bytes(path)
    except OSError:
        return 0
    return int(text) if text.strip().isdigit() else 0


def _read_boot() -> str:
    """Return what names the running boot of this machine, UNKNOWN where the system has no such name."""
    try:
        return BOOT.read_text(encoding="ascii").strip() or UNKNOWN
    except (OSError, ValueError):
        return UNKNOWN


def _name_place(folder: Path) -> str:
    """Return a folder's number in the system and its path. The number is 0:0 where the system has none."""
    try:
        facts = folder.stat()
    except OSError:
        return f"0:0 {folder.absolute()}"
    return f"{facts.st_dev}:{facts.st_ino} {folder.resolve()}"


def _first(rows: list[Any]) -> int | None:
    return int(rows[0][0]) if rows else None


def _yield_numbers(file: BinaryIO) -> Iterator[int]:
    """Yield the number in each copy of page 1 that the log holds."""
    header = file.read(LOG_HEADER)
    if len(header) < LOG_HEADER:
        return
    page_size, salts = struct.unpack(">I", header[8:12])[0], header[16:24]
    while len(entry := file.read(FRAME_HEADER)) == FRAME_HEADER and entry[8:16] == salts:
        page = file.read(page_size)
        if entry[:4] == FIRST_PAGE and len(page) == page_size:
            yield int(struct.unpack(">I", page[PLACE : PLACE + 4])[0])
