"""What a day's last wait left in Trading's inbox is handled by the next run of that day, or named."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from Departments.brokers.registry import EXCHANGE_FILE
from tests.builders.attacks import approvals, target
from tests.builders.commands import plan_file, say
from tests.builders.desk import desk, two_and_two

Capture = pytest.CaptureFixture[str]
LATER = "2025-11-10T15:20:42Z"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A day that ended while nobody watched Trading's inbox."""
    folder = target(tmp_path / "ws")
    plan_file(folder)
    with closing(desk(folder, via_watchers=True)) as opened:
        opened.ceo.current_plan, opened.ceo.plan_approved = two_and_two(), True
        opened.ceo.execute_plan()
    assert len(approvals(folder)) == 8  # four orders and their cancels
    return folder


def sent(folder: Path) -> int:
    with closing(sqlite3.connect(folder / EXCHANGE_FILE)) as db:
        return int(db.execute("SELECT count(*) FROM orders WHERE role = 'entry'").fetchone()[0])


def run_later(folder: Path, capsys: Capture, *more: str) -> tuple[int, str]:
    files: list[str | Path] = ["--plan", folder / "plan.json", "--exchange-state", folder / "state.yaml"]
    said = say(capsys, "run", "--workspace", folder, "--at", LATER, "--approve", "auto", *files, *more)
    return said.code, " ".join((said.out + said.err).split())


def test_the_next_run_withdraws_what_waits_for_its_cancel_and_finishes_the_plan(folder: Path, capsys: Capture) -> None:
    code, text = run_later(folder, capsys)
    assert approvals(folder) == []
    assert text.count("is not sent: a cancel request for it waits") == 4
    assert "PLAN_20251110_150000: COMPLETED" in text
    assert (code, sent(folder)) == (0, 4)


def test_the_next_run_sends_what_was_to_be_left_open(folder: Path, capsys: Capture) -> None:
    for path in approvals(folder):
        if "CancelRequest" in path.read_text(encoding="utf-8"):
            path.unlink()
    code, text = run_later(folder, capsys)
    assert approvals(folder) == []
    assert sent(folder) == 4
    assert code == 0 or "departments resume" in text
    assert "its order is still open" not in text or "is still open: wait" in text


def test_a_run_that_leaves_the_inbox_to_a_watcher_names_what_waits(folder: Path, capsys: Capture) -> None:
    code, text = run_later(folder, capsys, "--via-watchers")
    assert (code, len(approvals(folder)), sent(folder)) == (1, 8, 0)
    assert "SELL 190 CTVA of PLAN_20251110_150000 is still open" in text
    assert "departments resume" in text
