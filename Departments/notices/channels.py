"""The ways of telling people. Each runs a program with a time limit, so none can hold up a day."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from Departments.core.documents import json_text
from Departments.core.errors import DepartmentsError
from Departments.core.platform.files import describe
from Departments.core.platform.processes import EndedProgram, run_program, split_command
from Departments.core.settings import NotifySettings
from Departments.notices import notice_runner
from Departments.notices.notice import Notice

ADDRESSES: Final = "DEPARTMENTS_NOTIFY_URLS"  # the variable with apprise's addresses: they hold passwords
HEARTBEAT: Final = "DEPARTMENTS_HEARTBEAT_URL"
NO_APPRISE: Final = 'apprise is not installed; install it with: pip install "departments[notify]"'


class NotTold(DepartmentsError):  # noqa: N818 - the fact
    """A channel did not take a notice. Its text names no address. `is_silent` if it took too long."""

    def __init__(self, problem: str, *, is_silent: bool = False) -> None:
        super().__init__(problem)
        self.is_silent = is_silent


class Channel(Protocol):
    """The port to one way of telling."""

    @property
    def name(self) -> str:
        """Return its name for the log."""

    def send(self, notice: Notice) -> None:
        """Send a notice. Raises NotTold."""


@dataclass(frozen=True, slots=True)
class CommandChannel:
    """A program of the user: it gets the notice as JSON on its standard input, and works in `folder`."""

    command: str | Sequence[str]
    folder: Path
    seconds: float
    name: str = "notify.command"

    def send(self, notice: Notice) -> None:
        """Run the program. Raises NotTold."""
        ended = _run(split_command(self.command), self.folder, self.seconds, json_text(dict(notice.document())))
        if ended.code != 0:
            raise NotTold(f"it failed with exit code {ended.code}")


@dataclass(frozen=True, slots=True)
class AppriseChannel:
    """Mail, messengers and webhooks by apprise: addresses of the environment, and those of a file."""

    addresses: str
    file: Path | None
    folder: Path
    seconds: float
    name: str = "apprise"

    def send(self, notice: Notice) -> None:
        """Send to every address. Raises NotTold with the kinds of those that failed."""
        given = {
            "urls": self.addresses,
            "file": None if self.file is None else str(find_address_file(self.file, self.folder)),
            "title": notice.title,
            "body": notice.body,
            "attachment": notice.attachment,
        }
        ended = run_notice(given, self.folder, self.seconds)
        if ended.code == notice_runner.NO_APPRISE:
            raise NotTold(NO_APPRISE)
        if ended.code == notice_runner.NO_ADDRESS:
            raise NotTold(f"it has no address that apprise can read; correct {ADDRESSES} or notify.file")
        if ended.code != notice_runner.SENT:
            raise NotTold(f"it was not sent to {_name_failed(ended.output)}")


def list_channels(settings: NotifySettings, workspace: Path, addresses: str) -> Iterator[Channel]:
    """Yield the channels of the settings; `addresses` are apprise's."""
    if addresses or settings.file is not None:
        yield AppriseChannel(addresses, settings.file, workspace, settings.timeout)
    if settings.command is not None:
        yield CommandChannel(settings.command, workspace, settings.timeout)


def find_address_file(path: Path, workspace: Path) -> Path:
    """Return the file of addresses. Raises NotTold for one inside the workspace: copies of it would hold passwords."""
    found = (workspace / path.expanduser()).resolve()
    if found.is_relative_to(workspace.resolve()):
        raise NotTold("notify.file is inside the workspace, where backups copy its passwords; move it out")
    if not found.is_file():
        raise NotTold(f"there is no file {found}; correct notify.file in config/settings.yaml")
    return found


def run_notice(given: Mapping[str, Any], folder: Path, seconds: float) -> EndedProgram:
    """Run the program that sends or pings, without the addresses in its environment. Raises NotTold."""
    words = [sys.executable, str(Path(notice_runner.__file__).resolve())]
    return _run(words, folder, seconds, json.dumps(dict(given)))


def _run(words: Sequence[str], folder: Path, seconds: float, given: str) -> EndedProgram:
    hidden = {name: "" for name in (ADDRESSES, HEARTBEAT) if name in os.environ}
    try:
        ended = run_program(words, folder, seconds, given.encode(), {"PYTHONIOENCODING": "utf-8", **hidden})
    except OSError as error:
        raise NotTold(f"it cannot be started ({describe(error)})") from error
    if ended.code is None:
        raise NotTold(f"it took longer than {seconds:g} seconds and was ended", is_silent=True)
    return ended


def _name_failed(output: str) -> str:
    """Return the kinds of the addresses that failed: the answer is of our own program."""
    try:
        failed = [str(kind) for kind in json.loads(output)["failed"]]
    except (ValueError, KeyError, TypeError):
        return "any address"
    return ", ".join(failed)
