"""What every command stands in: a desk that is closed in the end, and one JSON document on standard output."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from Departments.bootstrap import MESSAGES, Choices, Desk, open_desk
from Departments.commands.logs import show_logs
from Departments.core.documents import json_text
from Departments.core.errors import BadInput, DepartmentsError


@contextmanager
def desk_of(workspace: Path, choices: Choices | None = None) -> Iterator[Desk]:
    """Yield the desk of a workspace, its log on standard error; what it opened is closed in the end."""
    desk = open_desk(workspace.resolve(), choices)
    show_logs(desk.clock)
    try:
        yield desk
    finally:
        desk.close()


def messages_of(workspace: Path) -> Path:
    """Return the folder of a workspace's messages. Raises BadInput in a folder that is none.

    That nothing waits and nothing is old would reassure whoever started a command in the wrong place.
    """
    folder = workspace.resolve()
    if not any((folder / part).is_dir() for part in (MESSAGES, "config", "Config")):
        raise BadInput(folder, "", "this is no workspace", f"name the folder with config and {MESSAGES} by --workspace")
    return folder / MESSAGES


def print_json(document: Any) -> None:
    """Print one document, and nothing else goes to standard output."""
    sys.stdout.write(json_text(document) + "\n")


def reason_of(error: Exception) -> str:
    """Return why a file cannot be read, without its path where the system says both."""
    return (isinstance(error, OSError) and error.strerror) or str(error)


@contextmanager
def errors_as_json(*, wanted: bool) -> Iterator[None]:
    """Where one document of the day's job is `wanted` on standard output, say there too what went wrong."""
    try:
        yield
    except DepartmentsError as error:
        if wanted:
            from Departments.Executive.reporting.document import unexecuted_document  # noqa: PLC0415 - only for a failed day

            print_json(unexecuted_document("FAILED", None, error.sentence) | {"exit_code": error.exit_code})
        raise
