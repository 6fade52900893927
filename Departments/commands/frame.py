"""What commands share: the desk, its log on standard error, and one JSON document on standard output."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from Departments.bootstrap import MESSAGES, Choices, Desk, open_desk
from Departments.commands.log_lines import keep_lines
from Departments.core.departments import ALL
from Departments.core.documents import json_pieces
from Departments.core.errors import BadInput, DepartmentsError, LedgerError
from Departments.core.moments import show_time
from Departments.core.platform import files
from Departments.core.platform.clock import Clock
from Departments.core.platform.disk_trouble import raise_for_disk
from Departments.core.platform.places import locate


class DeskFormatter(logging.Formatter):
    """Formats log lines with the desk's Eastern time: a replayed day reads like that day."""

    def __init__(self, clock: Clock, *, with_rooms: bool = False) -> None:
        super().__init__("%(message)s")
        self._clock = clock
        self._with_rooms = with_rooms

    def format(self, record: logging.LogRecord) -> str:
        """Return `10:05:42 EST message`, with the level from warnings on, and the room where it is wanted."""
        level = "" if record.levelno < logging.WARNING else f"{record.levelname}: "
        room = f"[{record.name.partition('.')[2]}] " if self._with_rooms else ""
        return f"{show_time(self._clock.now())} {level}{room}{super().format(record)}"


class StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to what standard error is at the moment: a live view takes its place for a while."""

    @property
    def stream(self) -> TextIO:
        """Return standard error."""
        return sys.stderr

    @stream.setter
    def stream(self, _stream: TextIO) -> None:
        """Keep to standard error."""


def show_logs(clock: Clock, level: int = logging.INFO) -> None:
    """Send the package's log to standard error."""
    handler = StderrHandler()
    handler.setFormatter(DeskFormatter(clock, with_rooms=level <= logging.DEBUG))
    handler.addFilter(_is_new_at_the_terminal)
    logger = logging.getLogger("Departments")  # noqa: TID251 - the parent of all, which has only handlers
    logger.handlers[:] = [handler]
    handler.setLevel(level)
    logger.setLevel(min(level, logging.INFO))  # a file of the log has the lines that are not shown, too
    logger.propagate = False


def _is_new_at_the_terminal(record: logging.LogRecord) -> bool:
    """Return False for a notice that was told: the command prints all that it says."""
    return record.levelno >= logging.WARNING or not record.name.startswith("Departments.notices")


@contextmanager
def use_desk(workspace: Path, choices: Choices | None = None, level: int = logging.INFO) -> Iterator[Desk]:
    """Yield the desk of a workspace with its log on standard error. Close it at the end.

    An error gets the dead letters and locks of the desk, for its document.
    """
    desk = open_desk(workspace, choices)
    show_logs(desk.clock, level)
    try:
        yield desk
    except DepartmentsError as error:
        add_to_failure(error, _find_issues(desk, error))
        raise
    finally:
        desk.close()


@contextmanager
def work_at_desk(
    workspace: Path, command: str, choices: Choices | None = None, level: int = logging.INFO
) -> Iterator[Desk]:
    """Yield the desk for a command that changes something: its log is kept as JSON lines, too."""
    with use_desk(workspace, choices, level) as desk, keep_lines(desk, command):
        yield desk


def add_to_failure(error: BaseException, more: Mapping[str, Any]) -> None:
    """Add keys to the document of a failed command; they are beside its error."""
    error.issues = {**getattr(error, "issues", {}), **more}  # type: ignore[attr-defined]


def _find_issues(desk: Desk, error: DepartmentsError) -> dict[str, Any]:
    """Return the dead letters and locks of a desk, none where its ledger is the error."""
    from Departments.Executive.reporting.issues import find_issues  # noqa: PLC0415 - only for a failed command

    with suppress(DepartmentsError):
        if not isinstance(error, LedgerError) and desk.ledger_path.is_file():
            return find_issues(desk.ledger).lists
    return {}


def find_messages(workspace: Path) -> Path:
    """Return the folder of a workspace's messages."""
    return locate(workspace) / MESSAGES


def check_department(name: str, root: Path, source: str) -> str:
    """Return a department's name in capitals. Raises BadInput for one that is unknown and has no folder of messages."""
    wanted = name.upper()
    if wanted not in ALL and not any((root / box / wanted).is_dir() for box in ("Inbox", "Outbox")):
        raise BadInput(source, wanted, "there is no such department", f"name one of {', '.join(ALL)}")
    return wanted


def print_json(document: Any) -> None:
    """Print one document to standard output."""
    sys.stdout.writelines(json_pieces(document))
    sys.stdout.write("\n")


def reason_of(error: Exception) -> str:
    """Return the reason of a failed read, without the path."""
    return files.describe(error) if isinstance(error, OSError) else str(error)


@contextmanager
def document_failures() -> Iterator[None]:
    """Give the document of a failed day the keys of every other day, beside its error.

    An error of the system with a disk behind it becomes a DiskError.
    """
    try:
        with _name_disk_trouble():
            yield
    except DepartmentsError as error:
        from Departments.Executive.reporting.document import unexecuted_document  # noqa: PLC0415 - only for a failed day

        failed = unexecuted_document("FAILED", None, error.sentence) | {"exit_code": error.exit_code}
        error.issues = {**failed, **error.issues}
        raise


@contextmanager
def _name_disk_trouble() -> Iterator[None]:
    """Raise DiskError for an error of the system with the disk behind it."""
    try:
        yield
    except OSError as error:
        raise_for_disk(error)
        raise
