"""The log file of a run that nobody watches: everything that it would have shown.

`--log-file auto` is `logs/departments_<date>.log` in the workspace, by the date in New York. The scripts choose it when
they have no terminal, as under Task Scheduler.

A full file becomes `<file>.1`, the one before it `<file>.2`, and so on. The files named by the day are removed after 90
days, those of the log for programs (`log_lines.py`) too.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final, TextIO

import typer

from Departments.core.errors import BadInput
from Departments.core.moments import show_moment
from Departments.core.platform import files
from Departments.core.platform.clock import SystemClock
from Departments.core.platform.places import locate
from Departments.core.platform.rights import PRIVATE, make_folder, provide_file
from Departments.core.trading_calendar import trading_day

AUTO: Final = "auto"
KEPT: Final = timedelta(days=90)
FULL: Final = 5 * 1024 * 1024  # bytes
PARTS: Final = 5  # full files that are kept beside the current one
LogFile = Annotated[
    str | None,
    typer.Option(
        metavar="FILE", help="Write all output to this file too; auto names it by the day. At 5 MB a new one begins."
    ),
]


class LogWriter:
    """Appends text to a log file, and begins a new one when it is full.

    Where the full file cannot be renamed, as on Windows while another program has it open, it grows on.
    """

    def __init__(self, path: Path, *, full: int = FULL) -> None:
        """Open the file. Raises OSError."""
        self._path = path
        self._step = full
        self._full = full
        self._file = self._open()

    def write(self, text: str) -> None:
        """Append text. Raises OSError."""
        if self._file.seekable() and self._file.tell() >= self._full:
            self._begin_anew()
        self._file.write(text.encode("utf-8", "replace"))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _open(self) -> io.FileIO:
        provide_file(self._path, PRIVATE)
        file: io.FileIO = files.open_file(self._path, "ab", 0)
        return file

    def _begin_anew(self) -> None:
        self._file.close()
        try:
            put_aside(self._path)
            self._full = self._step
        except OSError:
            self._full += self._step
        self._file = self._open()


class CopiedStream(io.TextIOBase):
    """A stream whose text also goes into a log file. Trouble with that file does not end the run."""

    def __init__(self, stream: TextIO, log: LogWriter) -> None:
        self._stream = stream
        self._log = log

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Return the encoding of the stream."""
        return self._stream.encoding

    def isatty(self) -> bool:
        """Return whether the stream is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Return the stream's descriptor."""
        return self._stream.fileno()

    def write(self, text: str) -> int:
        """Write text to both."""
        with suppress(OSError, ValueError):
            self._log.write(text)
        return self._stream.write(text)

    def flush(self) -> None:
        """Flush the stream; the log has every text at once."""
        self._stream.flush()

    def close_log(self) -> TextIO:
        """Close the log file and return the stream."""
        with suppress(OSError):
            self._log.close()
        return self._stream


def keep_log(choice: str | None, workspace: Path) -> None:
    """Copy both streams into the chosen log file from now on. Raises BadInput for one that cannot be written."""
    if choice is None or not workspace.is_dir():  # the command refuses a workspace that is not there
        return
    now = SystemClock().now()
    folder = locate(workspace) / "logs"
    path = folder / f"departments_{trading_day(now)}.log" if choice == AUTO else Path(choice)
    try:
        make_folder(path.parent, PRIVATE)
        log = LogWriter(path)
        log.write(f"--- {show_moment(now, seconds=True)}: departments {_join(sys.argv[1:])}\n")
    except OSError as error:
        mend = "name another file or correct the rights of its folder"
        raise BadInput(path, "", f"the log cannot be written ({files.describe(error)})", mend) from error
    sys.stdout, sys.stderr = CopiedStream(sys.stdout, log), CopiedStream(sys.stderr, log)
    if choice == AUTO:
        remove_old(folder, "departments_{}.log", now)


def end_log() -> None:
    """Stop copying."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, CopiedStream):
            setattr(sys, name, stream.close_log())


def _join(words: Sequence[str]) -> str:
    return " ".join(f'"{word}"' if " " in word else word for word in words)


def put_aside(path: Path) -> None:
    """Rename a full file to `<file>.1`, and those before it; the oldest is replaced. Raises OSError."""
    names = [path, *(path.with_name(f"{path.name}.{number}") for number in range(1, PARTS + 1))]
    for newer, older in reversed(list(pairwise(names))):
        if newer.exists():
            files.replace(newer, older)


def remove_old(folder: Path, form: str, now: datetime) -> None:
    """Remove the files of days more than 90 days ago. `form` is their name with {} for the day."""
    oldest = form.format(trading_day(now) - KEPT)
    for path in folder.glob(form.format("????-??-??") + "*"):
        if path.name < oldest:
            with suppress(OSError):
                files.unlink(path)
