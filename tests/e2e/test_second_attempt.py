"""A second run of the day finishes what the first left, buys only the rest, and says what is left and why."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.builders.commands import Said, deliver_briefing, fault_file, plan_file, run_of, say
from tests.builders.desk import briefing, candidate, deliver, desk, plan, trade, two_and_two, workspace
from tests.invariants.promises import Promises

Capture = pytest.CaptureFixture[str]
LATE = "2025-11-10T15:20:00Z"
SILENT_BUY = {"call": "submit", "symbol": "ALKS", "side": "BUY", "do": "partial_then_silence", "part": 0.4}
REFUSED = {"call": "submit", "symbol": "CTVA", "do": "refuse", "message": "asset is not active"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return workspace(tmp_path)


def run_first(folder: Path, capsys: Capture, *faults: dict[str, Any]) -> Said:
    spoiled: list[str | Path] = ["--exchange-faults", fault_file(folder, *faults)] if faults else []
    return say(capsys, *run_of(folder, "--json", "--plan", plan_file(folder), *spoiled))


def run_again(folder: Path, capsys: Capture, *more: str | Path) -> Said:
    words: list[str | Path] = ["run", "--workspace", folder, "--at", LATE, "--approve", "auto", "--json"]
    return say(capsys, *words, *more)


def filled(document: dict[str, Any], symbol: str) -> list[tuple[int, str, str]]:
    orders = [(p["attempt"], o) for p in document["phases"] if p["name"] in {"SELL", "BUY"} for o in p["orders"]]
    return [(attempt, o["planned_qty"], o["filled_qty"]) for attempt, o in orders if o["ticker"] == symbol]


def test_a_buy_that_filled_in_part_is_bought_only_for_the_rest(folder: Path, capsys: Capture) -> None:
    first = run_first(folder, capsys, SILENT_BUY)
    assert (first.code, first.document["status"]) == (1, "COMPLETED_WITH_ISSUES")
    assert [(row["ticker"], row["qty"], row["code"]) for row in first.document["left"]] == [
        ("ALKS", "90", "PHASE_TIMEOUT")
    ]
    again = run_again(folder, capsys)
    assert (again.code, again.document["status"]) == (0, "COMPLETED")
    assert again.document["plan_id"] == first.document["plan_id"]
    assert filled(again.document, "ALKS") == [(1, "150", "60"), (2, "90", "90")]
    assert filled(again.document, "COMM") == [(1, "250", "250")]
    assert again.document["left"] == []
    assert again.document["cash_identity"]["holds"]
    assert [(a["attempt"], a["status"]) for a in again.document["attempts"]] == [
        (1, "COMPLETED_WITH_ISSUES"),
        (2, "COMPLETED"),
    ]
    report = (folder / "Reports" / f"{first.document['plan_id']}.md").read_text(encoding="utf-8")
    assert "## BUY (attempt 2)" in report
    assert "**Attempt 1**: " in report
    third = run_again(folder, capsys)
    assert (third.code, third.document["status"]) == (0, "ALREADY_EXECUTED")
    assert "no trade of it is left" in third.document["message"]
    Promises(folder).check()


def test_a_report_that_a_kill_kept_from_telling_of_the_second_attempt_is_written(folder: Path, capsys: Capture) -> None:
    first = run_first(folder, capsys, SILENT_BUY)
    path = folder / "Reports" / f"{first.document['plan_id']}.md"
    old = path.read_text(encoding="utf-8")
    run_again(folder, capsys)
    new = path.read_text(encoding="utf-8")
    path.write_text(old, encoding="utf-8")
    run_again(folder, capsys)
    assert path.read_text(encoding="utf-8") == new


def test_what_does_not_pass_by_itself_is_named_and_the_day_s_code_stays(folder: Path, capsys: Capture) -> None:
    first = run_first(folder, capsys, REFUSED)
    assert first.code == 1
    again = run_again(folder, capsys)
    assert (again.code, again.document["exit_code"], again.document["status"]) == (1, 1, "ALREADY_EXECUTED")
    assert "left: SELL 190 CTVA" in again.document["message"]
    assert "COMPLETED_WITH_ISSUES" in again.document["message"]
    assert "--force" in again.document["message"]
    assert [row["ticker"] for row in again.document["left"]] == ["CTVA"]
    assert again.document["phases"] == []


def test_a_plan_that_is_too_old_by_now_is_not_finished(folder: Path, capsys: Capture) -> None:
    run_first(folder, capsys, SILENT_BUY)
    again = run_again(folder, capsys, "--at", "2025-11-10T20:10:00Z")
    assert (again.code, again.document["status"]) == (1, "ALREADY_EXECUTED")
    assert "left: BUY 90 ALKS" in again.document["message"]
    assert "STALE_PLAN" in again.document["message"]


def test_nothing_is_finished_while_another_plan_is_given(folder: Path, capsys: Capture) -> None:
    run_first(folder, capsys, SILENT_BUY)
    other = folder / "other.json"
    plan_file(folder, plan(trade("AXTA", "BUY", 120, 28.64), plan_id="PLAN_20251110_150300")).rename(other)
    again = run_again(folder, capsys, "--plan", other)
    assert (again.code, again.document["status"]) == (1, "ALREADY_EXECUTED")
    assert "left: BUY 90 ALKS" in again.document["message"]


def test_a_newer_briefing_that_was_not_used_is_named_with_the_option(folder: Path, capsys: Capture) -> None:
    run_first(folder, capsys)
    text = briefing([]).replace("T150509Z_0badcafe", "T151500Z_0badcafe").replace("T15:05:09", "T15:15:00")
    deliver(folder, "OPERATIONS", "MSG_RESEARCH_20251110T151500Z_0badcafe.md", text)
    again = run_again(folder, capsys)
    assert again.code == 0
    assert (
        "The newer briefing MSG_RESEARCH_20251110T151500Z_0badcafe (2025-11-10 10:15 EST) was not used"
        in (again.document["message"])
    )
    assert "--force" in again.document["message"]


def test_a_plan_without_trades_is_nothing_to_do_and_leaves_the_day_free(folder: Path, capsys: Capture) -> None:
    deliver_briefing(folder, [candidate("CVE", 42, 17.58)])
    for _ in range(2):
        said = say(capsys, *run_of(folder, "--json", "--approve", "ask"))
        assert (said.code, said.document["status"]) == (0, "NOTHING_TO_DO")
        assert "has no trades" in said.document["message"]
    later = run_again(folder, capsys, "--plan", plan_file(folder, two_and_two()))
    assert (later.code, later.document["status"]) == (0, "COMPLETED")
    assert len(list((folder / "Reports").glob("*.md"))) == 2


def test_a_script_that_executes_again_starts_a_further_attempt_as_a_second_run_does(folder: Path) -> None:
    with closing(desk(folder, faults={"faults": [SILENT_BUY]})) as opened:
        opened.ceo.current_plan, opened.ceo.plan_approved = two_and_two(), True
        first = opened.ceo.handle_user_request("execute_plan")
        again = opened.ceo.handle_user_request("execute_plan")
        third = opened.ceo.handle_user_request("execute_plan")
    assert first["document"]["status"] == "COMPLETED_WITH_ISSUES"
    assert (again["status"], again["document"]["status"]) == ("EXECUTION_INITIATED", "COMPLETED")
    assert filled(again["document"], "ALKS") == [(1, "150", "60"), (2, "90", "90")]
    assert (third["status"], third["code"]) == ("ERROR", "ALREADY_EXECUTED")
    assert "no trade of it is left" in third["message"]
    Promises(folder).check()


def test_a_symbol_without_a_price_is_named_with_its_mend_in_plan_and_report(folder: Path, capsys: Capture) -> None:
    unknown = [trade("NVDA", "BUY", 10, 100), {"ticker": "NVDB", "action": "BUY", "shares": 5, "composite_score": 70}]
    document = plan(trade("ALKS", "BUY", 150, 32.66), *unknown)
    made = say(capsys, *run_of(folder, "--json", "--plan", plan_file(folder, document))).document
    for symbol in ("NVDA", "NVDB"):
        sentence = f"The simulated exchange knows no price of {symbol}; add it to the briefing or to --prices FILE"
        assert any(note.startswith(sentence) for note in made["plan_notes"])
        assert sentence in (folder / "Reports" / f"{made['plan_id']}.md").read_text(encoding="utf-8")
    assert not any("no price of ALKS" in note for note in made["plan_notes"])
