"""A plan is made, looked at, approved, and then executed as it is."""

import json
from pathlib import Path

import pytest

from Departments.cli import run_command
from tests.builders.desk import two_and_two, workspace

PLAN = "PLAN_20251110_150000"


@pytest.fixture
def planned(tmp_path: Path) -> Path:
    folder = workspace(tmp_path)
    (folder / "plan.json").write_text(json.dumps(two_and_two()), encoding="utf-8")
    made = called("plan", folder, "--plan", str(folder / "plan.json"), "--exchange-state", str(folder / "state.yaml"))
    assert made == 0
    return folder


def called(command: str, folder: Path, *more: str, at: str = "2025-11-10T15:06:00Z") -> int:
    return run_command([command, *more, "--workspace", str(folder), "--at", at])


def test_run_executes_the_plan_that_was_approved(planned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert called("approve", planned, PLAN) == 0
    capsys.readouterr()
    assert called("run", planned, "--json", at="2025-11-10T15:10:00Z") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["plan_id"], document["status"]) == (PLAN, "COMPLETED")


def test_an_approved_plan_that_is_too_old_is_not_executed(planned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert called("approve", planned, PLAN) == 0
    called("run", planned, at="2025-11-10T20:10:00Z")
    told = capsys.readouterr()
    assert "was approved and is not executed: it is" in told.err
    assert "Sent " not in told.err


def test_a_second_execution_of_the_day_needs_force_and_another_plan(
    planned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    called("approve", planned, PLAN)
    assert called("run", planned) == 0
    other = two_and_two() | {"plan_id": "PLAN_20251110_150500", "trades": two_and_two()["trades"][1:2]}
    (planned / "other.json").write_text(json.dumps(other), encoding="utf-8")
    second = ("--plan", str(planned / "other.json"), "--approve", "auto", "--json")
    capsys.readouterr()
    assert called("run", planned, *second, at="2025-11-10T15:20:00Z") == 0
    assert json.loads(capsys.readouterr().out)["status"] == "ALREADY_EXECUTED"
    assert called("run", planned, *second, "--force", at="2025-11-10T15:21:00Z") == 0
    assert json.loads(capsys.readouterr().out)["plan_id"] == "PLAN_20251110_150500"
    again = ("--plan", str(planned / "plan.json"), "--approve", "auto", "--json", "--force")
    assert called("run", planned, *again, at="2025-11-10T15:22:00Z") == 0
    assert json.loads(capsys.readouterr().out)["status"] == "ALREADY_EXECUTED"
