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


def test_the_run_waits_for_its_time_in_new_york_after_the_opening(folder: Path, capsys: Capture) -> None:
    deliver_briefing(folder)
    said = run_at(folder, capsys, "2025-11-10T14:00:10Z", "--wait-for-open", "--not-before", "10:00")
    assert (said.code, said.document["status"]) == (0, "COMPLETED")
    assert "The run begins on 2025-11-10 10:00 EST, in 0:59:50" in said.err
    assert min(phase["started_at"] for phase in said.document["phases"])[:16] == "2025-11-10T15:00"


def test_before_the_opening_the_run_waits_for_both(folder: Path, capsys: Capture) -> None:
    deliver_briefing(folder)
    said = run_at(folder, capsys, "2025-11-10T14:00:00Z", "--wait-for-open", "--not-before", "9:20")
    assert min(phase["started_at"] for phase in said.document["phases"])[:16] == "2025-11-10T14:30"


@pytest.mark.parametrize(
    ("at", "why"),
    [
        ("2025-11-27T20:45:00Z", "Thanksgiving, 18 hours before the next opening"),
        ("2025-11-29T14:00:00Z", "Saturday"),
        ("2025-11-10T22:00:00Z", "a start that was late, after the close"),
    ],
)
def test_a_scheduled_run_waits_for_no_other_day(folder: Path, capsys: Capture, at: str, why: str) -> None:
    said = run_at(folder, capsys, at, "--wait-for-open", "--not-before", "15:45")
    assert (said.code, said.document["status"]) == (5, "MARKET_CLOSED"), why
    assert " in " not in "".join(line for line in said.err.splitlines() if "begins on" in line or "opens on" in line)


@pytest.mark.parametrize("text", ["25:00", "10", "10:60", "soon", ""])
def test_a_time_that_is_none_is_refused_before_the_day_begins(folder: Path, capsys: Capture, text: str) -> None:
    said = run_at(folder, capsys, "2025-11-10T14:00:00Z", "--not-before", text)
    assert said.code == 2
    assert f'--not-before: {text!r} is no time of a day; write it like "10:30", in New York time.' in said.err


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
