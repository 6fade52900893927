"""The hooks of Operations: programs and modules of a user that make, enrich or propose, each with a time limit."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from Departments.core.documents import json_text, parse_json
from Departments.core.errors import DepartmentsError
from Departments.core.logs import make_logger
from Departments.core.moments import iso
from Departments.core.money import count_noun
from Departments.core.platform import files, hook_runner
from Departments.core.platform.files import describe
from Departments.core.platform.processes import EndedProgram, run_program, split_command
from Departments.core.settings import HookSettings, OperationsSettings

log = make_logger(__name__)

NOTHING_TRADED: Final = "nothing was planned, and no older briefing is used"
SHOWN_LINES: Final = 200  # of what a hook writes; the rest is counted
INPUT, OUTPUT = "input.json", "output.json"
NOW: Final = "DEPARTMENTS_NOW"  # the moment for which a hook works, UTC, in its environment


class HookFailed(DepartmentsError):  # noqa: N818 - the word of the settings
    """A hook failed, took too long, or answered what nobody can use."""


@dataclass(frozen=True, slots=True)
class Hook:
    """One hook of the settings, such as `operations.briefing`. It works in the workspace."""

    name: str
    settings: HookSettings
    workspace: Path

    @property
    def is_set(self) -> bool:
        """Return True if the settings name a command or a module."""
        return self.settings.is_set

    def run(self, now: datetime, given: Mapping[str, Any] | None = None) -> Any:
        """Run the hook for a moment. `given` is its input; then it answers a JSON object, else nothing.

        A command reads and answers on its standard streams. Raises HookFailed.
        """
        with TemporaryDirectory() as scratch:
            files = Path(scratch)
            text = "" if given is None else json_text(dict(given))
            ended = self._run(self._words(files, text), text, now)
            is_answer = given is not None and self.settings.command is not None
            self._log(ended.errors if is_answer else f"{ended.output}\n{ended.errors}")
            self._check(ended)
            return None if given is None else self._read(ended, files / OUTPUT)

    def _words(self, files: Path, text: str) -> list[str]:
        settings = self.settings
        if settings.command is not None:
            return split_command(settings.command)
        spec: dict[str, Any] = {"call": settings.module, "arguments": dict(settings.arguments)}
        if text:
            (files / INPUT).write_text(text, encoding="utf-8")
            spec |= {"input": str(files / INPUT), "output": str(files / OUTPUT)}
        return [sys.executable, str(Path(hook_runner.__file__).resolve()), json.dumps(spec, default=str)]

    def _run(self, words: list[str], text: str, now: datetime) -> EndedProgram:
        log.info("%s: %s", self.name, self._what)
        environ = {NOW: iso(now), "PYTHONIOENCODING": "utf-8"}
        try:
            return run_program(words, self.workspace, self.settings.timeout, text.encode(), environ)
        except OSError as error:
            raise self.refuse(f"cannot be started ({describe(error)})") from error

    @property
    def _what(self) -> str:
        command = self.settings.command
        return self.settings.module or (command if isinstance(command, str) else " ".join(command or ()))

    def _log(self, text: str) -> None:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) > SHOWN_LINES:
            log.info("%s: %s not shown", self.name, count_noun(len(lines) - SHOWN_LINES, "earlier line", "are"))
        for line in lines[-SHOWN_LINES:]:
            log.info("%s: %s", self.name, line)

    def _check(self, ended: EndedProgram) -> None:
        if ended.code is None:
            raise self.refuse(f"took longer than {self.settings.timeout:g} seconds and was ended")
        if ended.code != 0:
            last = next((line.strip() for line in reversed(ended.errors.splitlines()) if line.strip()), "")
            raise self.refuse(f"failed with exit code {ended.code}{f' ({last[:200]})' if last else ''}")

    def _read(self, ended: EndedProgram, file: Path) -> Any:
        try:
            text = ended.output if self.settings.module is None else file.read_text(encoding="utf-8")
            answer = parse_json(text)
        except (OSError, ValueError, RecursionError) as error:
            problem = files.describe(error) if isinstance(error, OSError) else str(error)
            raise self.refuse(f"answered no JSON ({problem})") from error
        if not isinstance(answer, dict):
            raise self.refuse("answered JSON that is no object")
        return answer

    def refuse(self, problem: str) -> HookFailed:
        """Return the error about a hook that failed, or whose answer nobody can use."""
        return HookFailed(f"{self.name} ({self._what}) {problem}; {NOTHING_TRADED}")


@dataclass(frozen=True, slots=True)
class Hooks:
    """The hooks of a morning. `wait` (seconds) is for the briefing after its hook has ended.

    Without that hook `wait_for_research` is for what RESEARCH answers: nobody waits unless the settings say how long.
    """

    briefing: Hook
    enrich: Hook
    propose: Hook
    wait: float
    wait_for_research: float

    @classmethod
    def of(cls, settings: OperationsSettings, workspace: Path) -> Hooks:
        """Return the hooks of the settings."""
        briefing = Hook("operations.briefing", settings.briefing, workspace)
        enrich = Hook("operations.enrich", settings.enrich, workspace)
        propose = Hook("operations.propose", settings.propose, workspace)
        wait_for_research = settings.wait if "wait" in settings.model_fields_set else 0
        return cls(briefing, enrich, propose, settings.wait, wait_for_research)
