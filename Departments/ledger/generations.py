"""Which moment a ledger is of: a number in the ledger and in a file beside it, one higher with each commit.

The file is written first and in place, inside the transaction, so a kill leaves it equal to the ledger or one ahead.
A power cut may take the file's last numbers, never the ledger's. So a file that is further ahead, or a write-ahead log
that does not fit its database, is a mixture of moments: a copy made file by file while somebody wrote. A copy whose
mark is the older one looks like a power cut, and recovers like after one.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from Departments.core.errors import LedgerError
from Departments.core.platform.disk_trouble import raise_for_disk
from Departments.core.platform.rights import Rights, provide_file

ENDING: Final = ".mark"
#: Digits of a mark: each write has the same length, so a reader never sees half a number.
WIDTH: Final = 12
#: Where page 1 holds the number, `PRAGMA user_version`, big-endian (https://www.sqlite.org/fileformat2.html).
PLACE: Final = 60
FIRST_PAGE: Final = b"\0\0\0\1"
LOG_HEADER: Final = 32
FRAME_HEADER: Final = 24
COPIED: Final = "this is a copy that was made file by file while its desk worked"
RESTORE: Final = "copy the desk by `departments backup` and `departments restore`"
ACCEPT: Final = ", or, if no other desk works on its account, delete %s and run `departments reconcile`"
NUMBER: Final = "PRAGMA user_version"


class GenerationMark:
    """The file beside a ledger with the number of its last commit."""

    def __init__(self, ledger: Path, rights: Rights) -> None:
        self._ledger = ledger
        self._rights = rights
        self.path = ledger.with_name(ledger.name + ENDING)

    def write(self, generation: int) -> None:
        """Write the number of the next commit. Raises LedgerError, DiskError."""
        try:
            provide_file(self.path, self._rights)
            with self.path.open("r+b", buffering=0) as file:
                file.write(b"%0*d\n" % (WIDTH, generation))
        except OSError as error:
            raise_for_disk(error, self.path)
            problem = f"cannot be written ({error.strerror})"
            raise LedgerError(f"{self.path}: {problem}; correct its rights and run the same command again.") from error

    def check(self, read: Callable[..., list[Any]]) -> None:
        """Raise LedgerError if mark, log and database are of moments that no crash leaves together.

        `read` queries the ledger, or its database alone if `immutable`. What is read later can only be ahead. The log
        begins at most one commit after what the database holds, and does not end before it. A ledger without a
        commit is new, whatever mark it finds.
        """
        logged, marked = self._read_log(), self._read()
        held = _first(read(self._ledger, NUMBER, immutable=True)) if logged is not None else None
        now = _first(read(self._ledger, NUMBER))
        if logged is not None and held is not None and now is not None:
            if logged > held + 1:
                self._refuse(f"its log begins at commit {logged}, the file ends at {held}")
            if now < held:
                self._refuse(f"its log ends at commit {now}, the file at {held}")
        if now and marked > now + 1:
            self._refuse(
                f"it is of commit {now}, and {self.path.name} of commit {marked}", f"{ACCEPT % self.path.name}"
            )

    def _refuse(self, moments: str, otherwise: str = "") -> None:
        raise LedgerError(f"{self._ledger}: {moments}: {COPIED}; {RESTORE}{otherwise}.")

    def _read(self) -> int:
        """Return the mark; 0 without one, or with one that a power cut has emptied."""
        try:
            text = self.path.read_bytes()
        except OSError:
            return 0
        return int(text) if text.strip().isdigit() else 0

    def _read_log(self) -> int | None:
        """Return the number in the first page 1 of the log, or None."""
        try:
            with self._ledger.with_name(f"{self._ledger.name}-wal").open("rb") as file:
                return next(_yield_numbers(file), None)
        except OSError:
            return None


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
