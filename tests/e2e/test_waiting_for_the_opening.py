"""`run --wait-for-open` waits for the opening, counts down, and then does the day."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders.commands import Said, deliver_briefing, plan_file, say
from tests.builders.desk import two_and_two, workspace

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return workspace(tmp_path)


def run_at(folder: Path, capsys: Capture, at: str, *more: str | Path) -> Said:
    words: list[str | Path] = ["run", "--workspace", folder, "--at", at, "--approve", "auto", "--json"]
    return say(capsys, *words, "--exchange-state", folder / "state.yaml", *more)


def test_the_run_waits_for_the_opening_and_counts_down(folder: Path, capsys: Capture) -> None:
    early = plan_file(folder, {**two_and_two(), "generated_at": "2025-11-10T14:00:00Z"})
    said = run_at(folder, capsys, "2025-11-10T14:05:30Z", "--wait-for-open", "--plan", early)
    assert (said.code, said.document["status"]) == (0, "COMPLETED")
    lines = [line.partition(" in ")[2] for line in said.err.splitlines() if "The market opens on" in line]
    assert lines[0] == "0:24:30"
    assert lines[-1] == "0:00:30"
    assert min(phase["started_at"] for phase in said.document["phases"]) >= "2025-11-10T14:30:00"


def test_the_setting_does_what_the_option_does(folder: Path, capsys: Capture) -> None:
    settings = folder / "config" / "settings.yaml"
    settings.write_text(settings.read_text(encoding="utf-8") + "wait_for_open: true\n", encoding="utf-8")
    early = plan_file(folder, {**two_and_two(), "generated_at": "2025-11-10T14:00:00Z"})
    assert run_at(folder, capsys, "2025-11-10T14:05:30Z", "--plan", early).code == 0


@pytest.mark.parametrize(
    ("at", "why"),
    [("2025-11-28T18:30:00Z", "a half day is over"), ("2025-11-08T15:00:00Z", "Saturday")],
)
def test_a_weekend_is_not_waited_for(folder: Path, capsys: Capture, at: str, why: str) -> None:
    deliver_briefing(folder)
    said = run_at(folder, capsys, at, "--wait-for-open")
    assert "The market opens on" not in said.err, why
    assert said.code == 5 or said.document["status"] == "FAILED"


def test_without_the_option_a_closed_market_ends_the_run_with_a_code_of_its_own(folder: Path, capsys: Capture) -> None:
    said = run_at(folder, capsys, "2025-11-10T14:05:30Z", "--plan", plan_file(folder))
    assert (said.code, said.document["status"]) == (5, "MARKET_CLOSED")
