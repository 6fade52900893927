"""What the doctor says about a workspace, and with which exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from Departments.ledger.ledger import Ledger
from tests.builders.commands import say
from tests.builders.desk import workspace
from tests.builders.existing_messages import FOLDER
from tests.unit.ledger.test_conversion import older_ledger


def healths(document: list[dict[str, str]]) -> dict[str, str]:
    return {row["topic"]: row["health"] for row in document}


@pytest.fixture
def folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    root = workspace(tmp_path)
    assert say(capsys, "plan", "--workspace", root, "--exchange-state", root / "state.yaml").code == 2  # no briefing
    return root


def test_a_workspace_in_order_has_no_trouble(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    say(capsys, "exchange", "init", folder / "state.yaml", "--workspace", folder)
    said = say(capsys, "doctor", "--workspace", folder, "--json")
    assert said.code == 0
    assert set(healths(said.document).values()) == {"ok"}  # type: ignore[arg-type]
    assert {row["topic"] for row in said.document} >= {"python", "settings", "limits", "ledger", "messages", "broker"}  # type: ignore[index]


def test_wrong_limits_are_trouble(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "config" / "hard_constraints.yaml").write_text("position_limits: {min_value: 3}\n", encoding="utf-8")
    said = say(capsys, "doctor", "--workspace", folder)
    assert said.code == 1
    assert "trouble  limits" in said.out


def test_an_older_ledger_names_the_command_that_converts_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in folder.glob("sentinel.db*"):
        path.unlink()
    older_ledger(folder / "sentinel.db", 14)
    said = say(capsys, "doctor", "--workspace", folder)
    assert said.code == 1
    assert "version 14" in said.out
    assert "migrate" in said.out


def test_an_unfinished_execution_and_odd_files_are_warnings(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    say(capsys, "exchange", "init", folder / "state.yaml", "--workspace", folder)
    ledger = Ledger(folder / "sentinel.db")
    with ledger.transaction():
        ledger._db.execute("INSERT INTO desk_plans VALUES ('P', '', '', '', '{}', '', NULL, 0)")
        ledger._db.execute(
            "INSERT INTO desk_executions (plan_id, trading_day, started_at, status, equity, cash_before, reserve, "
            "fees, by_hand, attempt) VALUES ('P', '', '', '', '0', '0', '0', '0', 0, 1)"
        )
    ledger.close()
    inbox = folder / FOLDER / "Inbox" / "TRADING"
    inbox.mkdir(parents=True, exist_ok=True)
    (inbox / "odd.md").write_text("nothing", encoding="utf-8")
    said = say(capsys, "doctor", "--workspace", folder)
    assert said.code == 0
    assert "The execution of P is not finished; run `departments resume`" in said.out
    assert "1 files cannot be read as messages: TRADING/odd.md" in said.out
