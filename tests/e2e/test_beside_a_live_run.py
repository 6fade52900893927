"""Beside an execution that goes on in another process, every command says so; after a crash it says that."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from Departments.core.platform.locks import execution_lock
from tests.builders.attacks import SHORT_WAITS, interrupt_after_dispatch, target
from tests.builders.commands import AT, Said, say
from tests.builders.desk import write_yaml

Capture = pytest.CaptureFixture[str]
PLAN = "PLAN_20251110_150000"
LATER = "2025-11-10T15:35:00Z"
TOMORROW = "2025-11-11T15:05:42Z"
RUNS = f"{PLAN} is being executed here since 2025-11-10 10:05 EST by process {os.getpid()}; wait until it ends"
BUSY = ["run --approve auto", "resume", "order SELL MSFT 10 --approve auto"]


@pytest.fixture
def interrupted(tmp_path: Path) -> Path:
    """A workspace whose SELLs wait in Trading's inbox, and a program that is told every notice."""
    folder = target(tmp_path / "ws")
    assert interrupt_after_dispatch(folder)
    script = tmp_path / "tell.py"
    keep = f"open({str(tmp_path / 'told')!r}, 'a').write(json.load(sys.stdin)['event'] + chr(10))"
    script.write_text(f"import json, sys; {keep}", encoding="utf-8")
    write_yaml(
        folder / "config" / "settings.yaml", {**SHORT_WAITS, "notify": {"command": [sys.executable, str(script)]}}
    )
    return folder


@contextmanager
def running(folder: Path) -> Iterator[None]:
    """Hold the workspace as a process that executes."""
    with execution_lock(folder):
        yield


def give(capsys: Capture, folder: Path, command: str, at: str = AT) -> Said:
    return say(capsys, *command.split(), "--workspace", folder, "--at", at)


def read_notices(folder: Path) -> list[str]:
    path = folder.parent / "told"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


@pytest.mark.parametrize("command", BUSY)
def test_what_would_execute_names_the_run_and_tells_nobody(interrupted: Path, capsys: Capture, command: str) -> None:
    with running(interrupted):
        said = give(capsys, interrupted, command)
    assert (said.code, said.sentences) == (3, [f"{RUNS}, departments status shows its phase."])
    assert read_notices(interrupted) == []


def test_a_run_that_hangs_since_yesterday_is_told(interrupted: Path, capsys: Capture) -> None:
    with running(interrupted):
        assert give(capsys, interrupted, "run --approve auto", TOMORROW).code == 3
    assert read_notices(interrupted) == ["issue"]


def test_an_order_after_a_crash_says_that_it_was_interrupted(interrupted: Path, capsys: Capture) -> None:
    said = give(capsys, interrupted, "order SELL MSFT 10 --approve auto")
    assert (said.code, said.sentences) == (1, [f"{PLAN} was interrupted; finish it first: departments resume"])


def test_a_run_that_is_late_is_named_with_what_to_do(interrupted: Path, capsys: Capture) -> None:
    late = "No run has ended today; one was due by 2025-11-10 10:30 EST: "
    with running(interrupted):
        said = give(capsys, interrupted, "overdue --by 10:30", LATER)
        mend = "departments status --watch shows how it goes on"
        assert (said.code, said.out) == (1, f"{late}{PLAN} runs since 2025-11-10 10:05 EST; {mend}.\n")
        document = give(capsys, interrupted, "overdue --by 10:30 --json", LATER).document
        assert (document["running"]["plan_id"], document["running"]["alive"]) == (PLAN, True)
    said = give(capsys, interrupted, "overdue --by 10:30", LATER)
    crashed = f"{late}{PLAN}, begun 2025-11-10 10:05 EST, was interrupted; finish it by: departments resume.\n"
    assert (said.code, said.out) == (1, crashed)
    assert read_notices(interrupted) == ["overdue", "overdue"]  # it runs late; then it has crashed


@pytest.mark.parametrize("command", [f"veto {PLAN} CTVA", f"reject {PLAN}"])
def test_a_plan_whose_execution_began_takes_no_objection(interrupted: Path, capsys: Capture, command: str) -> None:
    said = give(capsys, interrupted, command)
    mend = "departments halt stops what it has not sent yet"
    assert (said.code, said.sentences) == (1, [f"the execution of {PLAN} began 2025-11-10 10:05 EST; {mend}"])


def test_the_doctor_knows_a_run_that_goes_on(interrupted: Path, capsys: Capture) -> None:
    with running(interrupted):
        said = give(capsys, interrupted, "doctor")
    assert f"{PLAN} is being executed." in said.out
    assert "departments resume" not in said.out
    assert "departments resume" in give(capsys, interrupted, "doctor").out
