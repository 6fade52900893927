"""The log for programs: JSON lines in `logs/` of the workspace, a file for each day in New York.

Each line has `at` (UTC), `level`, `room` and `text`, and as far as they are known `plan`, `phase`, `symbol`, `message`
and `order`. Files older than 90 days are removed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from Departments.bootstrap import Choices, Desk, open_desk
from Departments.commands.log_files import remove_old
from Departments.core.errors import DepartmentsError
from Departments.core.logs import list_subjects, make_logger
from Departments.core.moments import iso
from Departments.core.platform import files
from Departments.core.platform.clock import Clock, SystemClock
from Departments.core.platform.rights import Rights, make_folder, provide_file
from Departments.core.platform.users import name_user
from Departments.core.trading_calendar import trading_day

log = make_logger(__name__)

ALWAYS: Final = ("at", "level", "room", "text")  # the keys of every line
DAMAGED: Final = "damaged"  # the key of a line that cannot be read
FOLDER: Final = "logs"
NAME: Final = "departments_{}.jsonl"
ANY: Final = "departments_????-??-??.jsonl"


class JsonLines(logging.Handler):
    """Appends each record to the file of its day. Trouble with the file ends nothing."""

    def __init__(self, folder: Path, clock: Clock, rights: Rights) -> None:
        super().__init__(logging.DEBUG)
        self._folder = folder
        self._clock = clock
        self._rights = rights
        self._ready: Path | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line. Several processes append to one file, each line at once."""
        now = self._clock.now()
        path = self._folder / NAME.format(trading_day(now).isoformat())
        with suppress(Exception):
            self._prepare(path, now)
            line = json.dumps(describe_record(record, now), ensure_ascii=False) + "\n"
            with files.open_file(path, "ab") as file:
                file.write(line.encode("utf-8", "replace"))

    def note(self, command: str, what: str = "", level: int = logging.INFO, error: Exception | None = None) -> None:
        """Write a line about a command of this user. `error` is an unexpected one: its traceback is kept."""
        trace = None if error is None else (type(error), error, error.__traceback__)
        names = (command, name_user(), f": {what}" if what else "")
        record = log.makeRecord("Departments.commands", level, "", 0, "departments %s, by %s%s", names, trace)
        log.filter(record)
        self.handle(record)

    def _prepare(self, path: Path, now: datetime) -> None:
        """Make the file of a new day, and remove old ones."""
        if self._ready == path:
            return
        make_folder(self._folder, self._rights)
        provide_file(path, self._rights)
        remove_old(self._folder, NAME, now)
        self._ready = path


def describe_record(record: logging.LogRecord, now: datetime) -> dict[str, str]:
    """Return a record as one line of JSON has it."""
    room = record.name.partition(".")[2] or record.name
    trace = {"trace": record.exc_text} if record.exc_text else {}
    line = {"at": iso(now), "level": record.levelname, "room": room, "text": record.getMessage()}
    return {**line, **{name: str(value) for name, value in list_subjects(record).items()}, **trace}


@contextmanager
def keep_lines(desk: Desk, command: str) -> Iterator[None]:
    """Write the log of a command that changes something, as JSON lines, too: first who gave it, last why it failed.

    A rehearsal writes none.
    """
    if desk.choices.rehearsal is not None:
        yield
        return
    logger = logging.getLogger("Departments")  # noqa: TID251 - the parent of all, which has only handlers
    handler = JsonLines(desk.workspace / FOLDER, desk.clock, desk.rights)
    handler.note(command)
    logger.addHandler(handler)
    try:
        yield
    except DepartmentsError as error:
        handler.note(command, f"failed: {error.sentence}", logging.ERROR)
        raise
    except Exception as error:
        handler.note(command, f"failed: {type(error).__name__}", logging.ERROR, error)
        raise
    finally:
        logger.removeHandler(handler)


def note_change(workspace: Path, command: str, what: str, clock: Clock | None = None) -> None:
    """Write the one line of a command that needs no desk, after its change."""
    desk = open_desk(workspace, Choices(clock=clock or SystemClock()))
    with suppress(DepartmentsError):  # settings that cannot be read say not whose the file is
        JsonLines(desk.workspace / FOLDER, desk.clock, desk.rights).note(command, what)


@dataclass(frozen=True, slots=True)
class LineFilter:
    """Which lines are wanted, by what they are about; empty for all."""

    plan: str = ""
    symbol: str = ""
    message: str = ""

    def takes(self, line: Mapping[str, Any]) -> bool:
        """Return whether a line is wanted. A damaged one is if its text has the words."""
        wanted = {"plan": self.plan, "symbol": self.symbol, "message": self.message}
        if DAMAGED in line:
            return all(value in line[DAMAGED] for value in wanted.values())
        return all(not value or line.get(name) == value for name, value in wanted.items())

    @property
    def is_empty(self) -> bool:
        """Return whether every line is wanted."""
        return not (self.plan or self.symbol or self.message)


def list_files(workspace: Path) -> list[Path]:
    """Return the files of lines, oldest first."""
    return sorted((workspace / FOLDER).glob(ANY))


def read_lines(path: Path, start: int = 0) -> tuple[list[dict[str, Any]], int]:
    """Return the whole lines of a file from a byte on, and the byte after them. A damaged one has its text alone."""
    data = files.read_bytes(path)[start:]
    end = data.rfind(b"\n") + 1
    return [_read_line(line) for line in data[:end].split(b"\n") if line.strip()], start + end


def _read_line(line: bytes) -> dict[str, Any]:
    with suppress(ValueError, RecursionError):
        read = json.loads(line)
        if isinstance(read, dict) and all(isinstance(read.get(name), str) for name in ALWAYS):
            return read
    return {DAMAGED: line.decode("utf-8", "replace").strip()}
