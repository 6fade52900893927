"""Past days one after the other: accounts, clocks and prices of their own, and the counts a person compares."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from Departments.commands.demo import find_config
from tests.builders import desk as build
from tests.builders.commands import Said, candidates, contents, say

DAY_KEYS = ("date", "planned", "skipped", "denied", "filled", "deployment", "target_met", "binding", "turnover")
TOTAL_KEYS = ("planned", "skipped", "denied", "filled", "deployment", "turnover")
HELD = {"ticker": "CTVA", "quantity": 150.0, "current_price": 64.64, "cost_basis": 9750.0}


def write(folder: Path, day: str, **changes: Any) -> Path:
    """Put a briefing of a day into a folder."""
    holdings = changes.pop("holdings", [{**HELD, "research_composite_score": 70.0}])
    text = build.briefing(candidates(), holdings, day=day, **changes)
    path = folder / f"MSG_RESEARCH_{day.replace('-', '')}T150509Z_0badcafe.md"
    path.write_text(text, encoding="utf-8")
    return path


def replayed(capsys: pytest.CaptureFixture[str], folder: Path, *more: str | Path) -> Said:
    return say(capsys, "replay", folder, "--json", *more)


def rows(said: Said) -> dict[str, Mapping[str, Any]]:
    return {row["date"]: row for row in said.document["days"]}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "days").mkdir()
    return tmp_path / "days"


def test_each_day_is_planned_executed_and_counted(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    write(folder, "2025-11-11")
    write(folder, "2025-11-10")
    said = replayed(capsys, folder)
    assert said.code == 0
    assert tuple(said.document) == ("days", "total")
    assert tuple(said.document["total"]) == TOTAL_KEYS
    assert list(rows(said)) == ["2025-11-10", "2025-11-11"]
    for row in said.document["days"]:
        assert tuple(row) == DAY_KEYS
        assert row["planned"] == row["filled"] == 4
        assert row["denied"] == {}
    total = said.document["total"]
    assert (total["planned"], total["filled"], total["denied"]) == (8, 8, 0)


def test_nothing_is_left_behind_and_nothing_of_the_folder_is_touched(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    write(folder, "2025-11-10")
    before = contents(folder.parent)
    replayed(capsys, folder)
    assert contents(folder.parent) == before


def test_a_named_workspace_keeps_every_days_files(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    write(folder, "2025-11-10")
    said = replayed(capsys, folder, "--workspace", folder.parent / "kept")
    assert list((folder.parent / "kept" / "2025-11-10" / "Reports").iterdir())
    again = replayed(capsys, folder, "--workspace", folder.parent / "kept")
    assert (said.code, again.code) == (0, 2)
    assert "is not empty" in again.sentences[-1]


def test_cash_is_equity_less_what_is_held(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    write(folder, "2025-11-10")
    replayed(capsys, folder, "--equity", "50000", "--workspace", folder.parent / "kept")
    state = json.loads((folder.parent / "kept" / "2025-11-10" / "exchange_state.json").read_text(encoding="utf-8"))
    assert float(state["cash"]) == 50_000 - 150 * 64.64
    assert state["positions"]["CTVA"]["avg_entry_price"] == "65"


def test_the_plan_beside_a_briefing_is_the_days_plan(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    write(folder, "2025-11-10")
    plan = build.plan(build.trade("ALKS", "BUY", 150, 32.66), build.trade("CTVA", "SELL", 150, 64.64))
    (folder / "plans").mkdir()
    (folder / "plans" / "proposed_trades_2025-11-10.json").write_text(json.dumps(plan), encoding="utf-8")
    said = replayed(capsys, folder, "--workspace", folder.parent / "kept")
    assert rows(said)["2025-11-10"]["planned"] == 2
    assert (folder.parent / "kept" / "2025-11-10" / "Reports" / "PLAN_20251110_150000.md").exists()


def test_on_a_day_of_panic_only_sells_go(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    write(folder, "2025-11-10", vix=45, holdings=[{**HELD, "research_composite_score": 40.0}])
    row = rows(replayed(capsys, folder))["2025-11-10"]
    assert (row["planned"], row["filled"], row["denied"], row["binding"]) == (1, 1, {}, "VIX_PANIC")
    assert row["skipped"] == {"VIX_PANIC": 4}


def test_the_row_of_a_closed_day_has_no_plan_and_the_reason(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    write(folder, "2025-11-27")
    row = rows(replayed(capsys, folder))["2025-11-27"]
    assert (row["planned"], row["target_met"], row["binding"]) == (0, False, "MARKET_CLOSED")


@pytest.mark.parametrize("change", ['"vix": "high"', '"vix": {"level": 18'])
def test_a_broken_briefing_is_reported_and_the_others_run(
    capsys: pytest.CaptureFixture[str], folder: Path, change: str
) -> None:
    write(folder, "2025-11-10")
    broken = write(folder, "2025-11-11")
    text = broken.read_text(encoding="utf-8")
    broken.write_text(text.replace('"vix": 18.0', change), encoding="utf-8")
    said = replayed(capsys, folder)
    assert said.code == 2
    assert list(rows(said)) == ["2025-11-10"]
    (failed,) = said.document["failed"]
    assert (failed["date"], failed["file"]) == ("2025-11-11", str(broken))
    assert str(broken) in failed["message"]
    assert said.sentences == [f"Not run 2025-11-11: {failed['message']}"]


def test_entries_that_are_nonsense_do_not_keep_their_day_from_running(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    path = write(folder, "2025-11-10", holdings=["nonsense", {"ticker": 7}, {**HELD, "quantity": "many"}, HELD, HELD])
    path.write_text(path.read_text(encoding="utf-8").replace('"COMM"', '"CO MM"'), encoding="utf-8")
    row = rows(replayed(capsys, folder))["2025-11-10"]
    assert row["denied"] == {}
    assert row["planned"] == row["filled"] == 3
    assert row["skipped"]["INVALID_CANDIDATE"] == 3


@pytest.mark.parametrize("files", [(), ("README.md",)])
def test_a_folder_without_briefings_is_refused(
    capsys: pytest.CaptureFixture[str], folder: Path, files: tuple[str, ...]
) -> None:
    for name in files:
        (folder / name).write_text("# No message\n", encoding="utf-8")
    said = replayed(capsys, folder)
    assert said.code == 2
    assert f"{folder}: holds no DailyBriefing" in said.sentences[-1]


@pytest.mark.parametrize("amount", ["nothing", "0", "-5", "NaN"])
def test_an_equity_that_is_no_amount_is_refused(capsys: pytest.CaptureFixture[str], folder: Path, amount: str) -> None:
    write(folder, "2025-11-10")
    said = replayed(capsys, folder, f"--equity={amount}")
    assert said.code == 2
    assert "--equity" in said.sentences[-1]


def test_a_plan_file_that_cannot_be_read_is_refused_before_anything_runs(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    write(folder, "2025-11-10")
    plan = folder / "proposed_trades_2025-11-10.json"
    plan.write_text("{", encoding="utf-8")
    said = replayed(capsys, folder)
    assert (said.code, list(said.document)) == (2, ["error"])
    assert str(plan) in said.sentences[-1]


def write_earlier(folder: Path, day: str, change: str = "") -> Path:
    """Write a briefing of the day that is older than the day's own, perhaps spoiled."""
    text = build.briefing(candidates(), day=day).replace("T150509Z_0badcafe", "T140509Z_0badcaff")
    text = text.replace("T15:05:09.000000Z", "T14:05:09.000000Z").replace('"vix": 18.0', change or '"vix": 18.0')
    path = folder / f"MSG_RESEARCH_{day.replace('-', '')}T140509Z_0badcaff.md"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("change", ["", '"vix": "high"'])
def test_a_superseded_briefing_is_no_failure(capsys: pytest.CaptureFixture[str], folder: Path, change: str) -> None:
    write(folder, "2025-11-10")
    earlier = write_earlier(folder, "2025-11-10", change)
    said = replayed(capsys, folder)
    assert (said.code, list(rows(said))) == (0, ["2025-11-10"])
    assert said.document["superseded"] == [{"date": "2025-11-10", "file": str(earlier)}]
    assert "failed" not in said.document


def test_an_older_briefing_does_not_take_the_place_of_a_broken_one(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    broken = write(folder, "2025-11-10")
    broken.write_text(broken.read_text(encoding="utf-8").replace('"vix": 18.0', '"vix": 0'), encoding="utf-8")
    write_earlier(folder, "2025-11-10")
    said = replayed(capsys, folder)
    assert (said.code, rows(said)) == (2, {})
    assert [f["file"] for f in said.document["failed"]] == [str(broken)]


def test_days_outside_the_wanted_ones_are_left_out_and_the_others_are_a_table(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    for day in ("2025-11-10", "2025-11-11", "2025-11-12"):
        write(folder, day)
    table = tmp_path / "days.csv"
    said = replayed(capsys, folder, "--from", "2025-11-11", "--to", "2025-11-11", "--csv", table)
    assert list(rows(said)) == ["2025-11-11"]
    head, row = table.read_text(encoding="utf-8").splitlines()
    assert head.startswith("date,planned,filled,denied,deployment")
    assert row.startswith("2025-11-11,")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--from", "yesterday"), "--from: 'yesterday' is not a day"),
        (("--to", "2025-02-30"), "--to: '2025-02-30' is not a day"),
        (("--from", "2025-11-11"), "no briefing is of a day from 2025-11-11 to 2025-11-10"),
        (("--to", "2025-11-09"), "no briefing is of a day from 2025-11-10 to 2025-11-09"),
        (("--csv", "missing/days.csv"), "--csv: "),
        (("--csv", "."), "--csv: . cannot be written"),
    ],
)
def test_options_that_cannot_be_followed_are_refused_before_anything_runs(
    capsys: pytest.CaptureFixture[str], folder: Path, options: tuple[str, ...], named: str
) -> None:
    write(folder, "2025-11-10")
    said = replayed(capsys, folder, *options)
    assert (said.code, list(said.document)) == (2, ["error"])
    assert named in said.sentences[-1]


def test_the_table_counts_superseded_briefings(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    write(folder, "2025-11-10")
    write_earlier(folder, "2025-11-10")
    assert "Superseded by a newer briefing of their day: 1." in say(capsys, "replay", folder).out


def write_limits(folder: Path, old: str = "", new: str = "") -> Path:
    """Write the shipped limits, perhaps changed, to a file beside the days."""
    text = (find_config() / "hard_constraints.yaml").read_text(encoding="utf-8")
    assert old in text
    path = folder.parent / "other.yaml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    return path


SOLD = [{**HELD, "research_composite_score": 40.0}]


def test_two_limits_files_are_compared_over_the_same_days(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    write(folder, "2025-11-10", holdings=SOLD)
    write(folder, "2025-11-11", holdings=SOLD)
    other, table = write_limits(folder, "blocklist: []", "blocklist: [ALKS]"), tmp_path / "days.csv"
    said = replayed(capsys, folder, "--against", other, "--csv", table)
    alone = replayed(capsys, folder).document
    assert said.code == 0
    assert {key: said.document[key] for key in ("days", "total")} == alone
    beside = said.document["against"]
    assert tuple(beside) == ("file", "days", "total", "failed")
    assert (beside["file"], beside["failed"]) == (str(other), [])
    assert [row["date"] for row in beside["days"]] == ["2025-11-10", "2025-11-11"]
    assert not alone["total"]["skipped"]
    assert beside["total"]["skipped"] == {"BLOCKED_SYMBOL": 2}
    assert beside["total"]["deployment"] < alone["total"]["deployment"]
    head, first, second = (line for line in csv.reader(table.read_text(encoding="utf-8").splitlines()))
    row = dict(zip(head, first, strict=True))
    assert (row["skipped"], row["against_skipped"]) == ("", "BLOCKED_SYMBOL 1")
    assert (row["deployment"], row["against_deployment"]) == (
        alone["days"][0]["deployment"],
        beside["days"][0]["deployment"],
    )
    assert second[0] == "2025-11-11"


def test_turnover_is_the_smaller_side_of_the_plan(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    write(folder, "2025-11-10", holdings=SOLD)
    write(folder, "2025-11-11")
    said = replayed(capsys, folder, "--equity", "50000")
    assert [row["turnover"] for row in said.document["days"]] == ["0.1939", "0.0000"]  # 150 x 64.64 of 50,000
    assert said.document["total"]["turnover"] == "0.0970"


def test_the_comparison_is_one_table(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    write(folder, "2025-11-10")
    other = write_limits(folder, "blocklist: []", "blocklist: [ALKS]")
    shown = say(capsys, "replay", folder, "--against", other).out
    assert shown.count("against") == 5
    assert "BLOCKED_SYMBOL 1" in " ".join(shown.split())


def test_the_days_of_both_limits_are_kept(capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path) -> None:
    write(folder, "2025-11-10")
    other = write_limits(folder, "blocklist: []", "blocklist: [ALKS]")
    replayed(capsys, folder, "--against", other, "--workspace", tmp_path / "kept")
    for place in ("2025-11-10", "against/2025-11-10"):
        assert list((tmp_path / "kept" / place / "Reports").iterdir())
    copied = tmp_path / "kept" / "against" / "2025-11-10" / "config" / "hard_constraints.yaml"
    assert copied.read_bytes() == other.read_bytes()


def test_other_limits_that_cannot_be_used_are_refused_before_anything_runs(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    write(folder, "2025-11-10")
    missing = replayed(capsys, folder, "--against", folder / "none.yaml")
    wrong = replayed(capsys, folder, "--against", write_limits(folder, "blocklist: []", "blocked: []"))
    for said, name in ((missing, "none.yaml"), (wrong, "other.yaml")):
        assert (said.code, list(said.document)) == (2, ["error"])
        assert name in said.sentences[0]


@pytest.mark.parametrize("more", [(), ("--against", "config/hard_constraints.yaml")])
def test_the_compliance_file_beside_the_limits_counts(
    capsys: pytest.CaptureFixture[str], folder: Path, more: tuple[str, ...]
) -> None:
    write(folder, "2025-11-10")
    config = Path.cwd() / "config"
    config.mkdir()
    shutil.copy(find_config() / "hard_constraints.yaml", config)
    (config / "compliance_config.yaml").write_text("restricted_tickers: {blocklist: [ALKS]}\n", encoding="utf-8")
    said = replayed(capsys, folder, *more)
    sides = [said.document, *([said.document["against"]] if more else [])]
    assert [side["total"]["skipped"].get("BLOCKED_SYMBOL") for side in sides] == [1] * len(sides)


def settle(text: str) -> Path:
    """Make the folder of the command a workspace with settings."""
    config = Path.cwd() / "config"
    config.mkdir()
    shutil.copy(find_config() / "hard_constraints.yaml", config)
    (config / "settings.yaml").write_text(text, encoding="utf-8")
    return config


@pytest.mark.parametrize("files", ["private", "shared"])
def test_days_never_work_in_the_state_folder_of_the_workspace(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path, files: str
) -> None:
    write(folder, "2025-11-10")
    write(folder, "2025-11-11")
    state = tmp_path / "state"
    settle(f"state_dir: '{state}'\nfiles: {files}\n")
    said = replayed(capsys, folder)
    assert (said.code, list(rows(said))) == (0, ["2025-11-10", "2025-11-11"])
    assert not state.exists()


def test_days_never_work_in_the_folder_of_the_environment(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, "2025-11-10")
    monkeypatch.setenv("DEPARTMENTS_STATE", str(tmp_path / "state"))
    assert replayed(capsys, folder).code == 0
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("written", ["T08:00:00", "T20:59:00", "T23:30:00"])
def test_a_briefing_written_out_of_hours_is_traded_in_the_session_of_its_day(
    capsys: pytest.CaptureFixture[str], folder: Path, written: str
) -> None:
    path = write(folder, "2025-11-10")
    path.write_text(path.read_text(encoding="utf-8").replace("T15:05:09", written), encoding="utf-8")
    assert rows(replayed(capsys, folder))["2025-11-10"]["filled"] == 4
