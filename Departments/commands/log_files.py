"""The log file of a run that nobody watches: everything that it would have shown.

`--log-file auto` is `logs/departments_<date>.log` in the workspace, by the date in New York. The scripts choose it when
they have no terminal, as under Task Scheduler.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Final, TextIO

import typer

from Departments.core.errors import BadInput
from Departments.core.platform import files
from Departments.core.platform.clock import SystemClock
from Departments.core.platform.places import locate
from Departments.core.platform.rights import PRIVATE, make_folder, provide_file
from Departments.core.trading_calendar import EASTERN

AUTO: Final = "auto"
KEPT: Final = timedelta(days=90)
LogFile = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Write all output to this file too; auto names it by the day."),
]


class CopiedStream(io.TextIOBase):
    """A stream whose text also goes into a log file. Trouble with that file does not end the run."""

    def __init__(self, stream: TextIO, log: TextIO) -> None:
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
            self._log.flush()
        return self._stream.write(text)

    def flush(self) -> None:
        """Flush both."""
        with suppress(OSError, ValueError):
            self._log.flush()
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
    now = SystemClock().now().astimezone(EASTERN)
    folder = locate(workspace) / "logs"
    path = folder / f"departments_{now:%Y-%m-%d}.log" if choice == AUTO else Path(choice)
    try:
        make_folder(path.parent, PRIVATE)
        provide_file(path, PRIVATE)
        log = io.TextIOWrapper(files.open_file(path, "ab"), encoding="utf-8", errors="replace", newline="")
    except OSError as error:
        mend = "name another file or correct the rights of its folder"
        raise BadInput(path, "", f"the log cannot be written ({files.describe(error)})", mend) from error
    log.write(f"--- {now:%Y-%m-%d %H:%M:%S} New York: departments {_join(sys.argv[1:])}\n")
    sys.stdout, sys.stderr = CopiedStream(sys.stdout, log), CopiedStream(sys.stderr, log)
    if choice == AUTO:
        _remove_old(folder, now)


def end_log() -> None:
    """Stop copying."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, CopiedStream):
            setattr(sys, name, stream.close_log())


def _join(words: Sequence[str]) -> str:
    return " ".join(f'"{word}"' if " " in word else word for word in words)


def _remove_old(folder: Path, now: datetime) -> None:
    oldest = f"departments_{now - KEPT:%Y-%m-%d}.log"
    for path in folder.glob("departments_????-??-??.log"):
        if path.name < oldest:
            with suppress(OSError):
                files.unlink(path)
