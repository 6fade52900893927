"""The table that a person wants before the first morning: ours beside what was done, and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from Departments.core.errors import BadInput
from Departments.migration.own_days import rehearse_days
from tests.builders.commands import say
from tests.builders.desk import write_yaml
from tests.builders.existing import existing_project, read_tree

LIMITS = {"position_limits": {"min_position_pct": 0.025, "max_positions_total": 30}}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = existing_project(tmp_path, keys="live")  # nobody reads them
    write_yaml(root / "Config" / "hard_constraints.yaml", LIMITS)
    return root


def test_each_day_shows_what_was_done_and_what_ours_would_have_done(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = read_tree(project)
    said = say(capsys, "migrate", project, "--rehearse", "3", "--json")
    assert said.code == 0
    assert read_tree(project) == before
    days = said.document["days"]
    assert [day["date"] for day in days] == ["2026-03-04", "2026-03-05", "2026-03-06"]
    first = days[0]
    assert (first["cash"], first["account"]) == ("18068.34", "recorded")
    assert first["done"] == [
        "BUY 139 BBIO, traded",
        "BUY 506 CVE, denied (min_cash_reserve_pct)",
        "BUY 519 BANC, denied (min_cash_reserve_pct)",
    ]
    assert first["ours"] == ["BUY 71 BBIO, filled", "BUY 256 CVE, filled"]
    assert first["why"] == ["no BUY BANC: SCORE_BELOW_THRESHOLD: score=50 minimum=55"]
    assert days[1]["ours"] == []
    assert days[1]["why"][0].startswith("no BUY CVE: MIN_POSITION_VALUE")


def test_a_person_sees_a_table(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = say(capsys, "migrate", project, "--rehearse", "1")
    assert said.code == 0
    assert "Done then" in said.out
    assert "2026-03-06" in said.out
    assert "\\n" not in said.out


def test_a_day_without_a_recorded_account_says_what_is_assumed(project: Path, tmp_path: Path) -> None:
    (project / "sentinel.db").unlink()
    (days, failed) = rehearse_days(project, 1, tmp_path / "days")
    assert failed == []
    assert days[0].account == "recorded at the end of the day"
    (project / "automated_trading_results_2026-03-06.json").write_text("[", encoding="utf-8")
    (days, failed) = rehearse_days(project, 1, tmp_path / "others")
    assert days[0].account == "not recorded: equity of $100,000 assumed"


def test_odd_plan_files_stop_no_rehearsal(project: Path, tmp_path: Path) -> None:
    (project / "proposed_trades_2026-03-06.json").write_text('{"orders": []}', encoding="utf-8")
    (project / "proposed_trades_soon.json").write_text("{", encoding="utf-8")
    (days, _) = rehearse_days(project, 1, tmp_path / "days")
    assert days[0].done == ()


@pytest.mark.parametrize("count", [0, -3])
def test_no_number_of_days_is_refused(project: Path, tmp_path: Path, count: int) -> None:
    with pytest.raises(BadInput, match="--rehearse"):
        rehearse_days(project, count, tmp_path / "days")
