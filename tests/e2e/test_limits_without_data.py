"""A limit without its data is seen in plan, report and review; one that never had any is named once a week."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from Departments.core.trading_calendar import next_trading_day
from tests.builders.commands import AT, candidates, deliver_briefing, run_of, say
from tests.builders.desk import briefing, candidate, deliver, workspace

MONDAY = date(2025, 11, 10)
STATE: dict[str, Any] = {"cash": 100_000, "prices": {"ALKS": "32.66", "COMM": "17.02", "AXTA": 28.64, "SN": 96.19}}
Capture = pytest.CaptureFixture[str]


def test_plan_report_and_review_name_it(tmp_path: Path, capsys: Capture) -> None:
    folder = workspace(tmp_path, state=STATE)
    deliver_briefing(folder, candidates())
    rows: list[str | Path] = ["--workspace", folder, "--at", AT, "--exchange-state", folder / "state.yaml"]
    shown = say(capsys, "plan", *rows)
    assert "Not evaluated: MIN_MARKET_CAP: no market capitalisation (ALKS, AXTA, COMM, SN)" in " ".join(
        shown.out.split()
    )
    done = say(capsys, *run_of(folder, "--json")).document
    assert "MIN_MARKET_CAP: no market capitalisation (ALKS, AXTA, COMM, SN)" in done["not_evaluated"]
    report = (folder / "Reports" / f"{done['plan_id']}.md").read_text(encoding="utf-8")
    assert "no market capitalisation (ALKS, AXTA" in report.partition("## Not evaluated")[2].partition("\n## ")[0]


def plan_on(day: date, folder: Path, capsys: Capture, **known: Any) -> list[str]:
    """Plan on a day and return the notes about limits without data."""
    text = briefing([candidate("ALKS", 79.6, 32.66, "Health", **known)], day=day.isoformat())
    deliver(folder, "OPERATIONS", f"MSG_RESEARCH_{day:%Y%m%d}T150509Z_0badcafe.md", text)
    state = folder / "state.yaml"
    said = say(capsys, "plan", "--workspace", folder, "--at", f"{day}T15:05:42Z", "--exchange-state", state, "--json")
    return [note for note in said.document["plan"]["notes"] if note.startswith("MIN_MARKET_CAP")]


def test_one_that_lacked_its_data_for_ten_days_is_named_once_a_week(tmp_path: Path, capsys: Capture) -> None:
    folder = workspace(tmp_path, state=STATE)
    days = [MONDAY, *(next_trading_day(MONDAY, n) for n in range(1, 14))]  # no trading on Thanksgiving
    named = {day: plan_on(day, folder, capsys) for day in days}
    assert [day.isoformat() for day, notes in named.items() if notes] == ["2025-11-21", "2025-11-28"]
    said = "MIN_MARKET_CAP: not evaluated on any of 10 days with a plan, since 2025-11-10 (no market cap"
    assert named[date(2025, 11, 21)][0].startswith(said)


def test_one_plan_with_the_data_begins_the_count_anew(tmp_path: Path, capsys: Capture) -> None:
    folder = workspace(tmp_path, state=STATE)
    days = [MONDAY, *(next_trading_day(MONDAY, n) for n in range(1, 10))]
    notes = [plan_on(day, folder, capsys, **({"market_cap": 9e9} if day == days[1] else {})) for day in days]
    assert not any(notes)
