"""Why a symbol is bought, sold or skipped: by the command line."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.builders.commands import AT, Said, contents, deliver_briefing, plan_file, run_of, say
from tests.builders.desk import candidate, plan, trade, workspace

D = Decimal
Capture = pytest.CaptureFixture[str]
STATE: dict[str, Any] = {
    "cash": 100_000,
    "positions": {"BRK-B": {"qty": 10, "avg_entry_price": 470, "current_price": 480}},
    "prices": {"ALKS": "32.66", "COMM": "17.02", "AXTA": 28.64, "SN": 96.19},
}
ROWS = [
    candidate("ALKS", 79.6, 32.66, "Health"),
    candidate("COMM", 77.8, 17.02, "Tech"),
    candidate("AXTA", 51.5, 28.64, "Basics"),
]


@pytest.fixture
def folder(tmp_path: Path, capsys: Capture) -> Path:
    """A workspace after its first day: ALKS and COMM are bought, AXTA is too weak."""
    made = workspace(tmp_path, state=STATE)
    deliver_briefing(made, ROWS)
    assert say(capsys, *run_of(made)).code == 0
    return made


def ask(capsys: Capture, folder: Path, *words: str | Path) -> Said:
    return say(capsys, "explain", *words, "--workspace", folder, "--at", AT)


def test_a_weak_candidate_has_its_score_rank_and_what_is_missing(folder: Path, capsys: Capture) -> None:
    found = ask(capsys, folder, "AXTA", "--json").document
    assert (found["decision"], found["code"], found["day"]) == ("SKIPPED", "SCORE_BELOW_THRESHOLD", "2025-11-10")
    assert (found["score"], found["rank"], found["of"]) == ("51.5", 3, 3)
    least = next(row for row in found["limits"] if row["key"] == "deployment.min_score")
    assert D(found["gap"]["by"]) == D(str(least["value"])) - D("51.5") > 0
    assert [row["key"] for row in found["limits"] if row["state"] == "binds"] == ["deployment.min_score"]
    assert [(row["kind"], row["status"]) for row in found["history"]] == [("skipped", "SCORE_BELOW_THRESHOLD")]


def test_a_bought_symbol_has_its_plan_and_its_orders(folder: Path, capsys: Capture) -> None:
    found = ask(capsys, folder, "alks", "--json").document
    assert (found["decision"], found["rank"], found["gap"]) == ("BUY", 1, None)
    planned, order = found["history"][:2]
    assert (planned["kind"], planned["side"], planned["status"]) == ("planned", "BUY", "filled")
    assert (order["kind"], order["shares"]) == ("order", planned["shares"])
    assert order["status"] == f"filled, {planned['shares']} filled"
    cap = next(row for row in found["limits"] if row["key"] == "deployment.max_auto_position_pct")
    assert int(cap["dollars"].strip("$").replace(",", "")) > 1_000


def test_a_person_reads_sentences_and_two_tables(folder: Path, capsys: Capture) -> None:
    said = ask(capsys, folder, "AXTA")
    assert said.code == 0
    assert "Score 51.5, rank 3 of 3 in MSG_RESEARCH_20251110T150509Z_0badcafe" in said.out
    assert "Skipped AXTA - score 51.5 is under" in said.out
    assert "What it would take: SCORE_BELOW_THRESHOLD: 51.5 beside a bound of 55: 3.5 more" in said.out
    assert "Limits of a BUY" in said.out
    assert "History of AXTA" in said.out


def test_an_unknown_symbol_is_one_sentence_that_names_what_is_known(folder: Path, capsys: Capture) -> None:
    said = ask(capsys, folder, "ALK")
    assert (said.code, said.out) == (2, "")
    (sentence,) = said.sentences
    assert "no plan, order, holding or briefing names ALK; known are ALKS, " in sentence
    assert {"AXTA", "COMM"} <= set(sentence.rstrip(".").replace(",", "").split())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("AXTA", "--day", "tomorrow"), "--day: 'tomorrow' is not a day; write it like 2025-11-10."),
        (("AXTA", "--day", "2025-11-07"), "the ledger has no plan of 2025-11-07; days that know AXTA: 2025-11-10."),
        (("../x",), "'../x' is not a symbol; name the symbol like UPS or BRK.B."),
        (("AXTA", "--plan", "none.json"), "none.json"),
    ],
)
def test_bad_words_are_one_sentence(folder: Path, capsys: Capture, words: tuple[str, ...], sentence: str) -> None:
    said = ask(capsys, folder, *words)
    assert (said.code, said.out, len(said.sentences)) == (2, "", 1)
    assert sentence in said.sentences[0]


@pytest.mark.parametrize("spelling", ["BRK-B", "BRK.B", "brk-b"])
def test_every_spelling_is_the_same_symbol(folder: Path, capsys: Capture, spelling: str) -> None:
    path = plan_file(folder, plan(trade("BRK-B", "SELL", 10, 480), trade("SN", "BUY", 50, 96.19)))
    found = ask(capsys, folder, spelling, "--plan", path, "--json").document
    assert (found["symbol"], found["decision"]) == ("BRK.B", "SELL")
    assert found["under_limits_of_plan"] is False


def test_a_holding_that_no_plan_names_is_known(folder: Path, capsys: Capture) -> None:
    found = ask(capsys, folder, "BRK-B", "--json").document
    assert (found["symbol"], found["decision"], found["history"]) == ("BRK.B", "NOT_NAMED", [])


def test_a_candidate_of_the_morning_is_known_before_any_plan(tmp_path: Path, capsys: Capture) -> None:
    folder = workspace(tmp_path, state=STATE)
    given: list[str | Path] = [
        "--plan",
        plan_file(folder, plan(trade("SN", "BUY", 50, 96.19))),
        "--exchange-state",
        folder / "state.yaml",
    ]
    assert say(capsys, "plan", "--workspace", folder, "--at", "2025-11-10T15:01:00Z", *given).code == 0
    with closing(sqlite3.connect(folder / "sentinel.db")) as ledger, ledger:
        ledger.execute("DELETE FROM desk_plans")
    deliver_briefing(folder, ROWS)
    found = ask(capsys, folder, "COMM", "--json").document
    assert (found["decision"], found["rank"], found["history"]) == ("NO_PLAN", 2, [])


def test_it_changes_no_file_but_the_logs_of_the_ledger(folder: Path, capsys: Capture) -> None:
    before = contents(folder)
    ask(capsys, folder, "AXTA")
    ask(capsys, folder, "SN", "--day", "2025-11-10")
    assert contents(folder) == before


def test_outside_a_workspace_it_says_so(tmp_path: Path, capsys: Capture) -> None:
    said = ask(capsys, tmp_path, "AXTA")
    assert said.code == 2
    assert "is not a workspace" in said.err


@pytest.mark.parametrize(
    ("reason", "takes"),
    [
        ("MAX_AUTO_POSITION: value=1022.5 maximum=944", "1022.5 beside a bound of 944: 78.5 less"),
        ("MIN_TRADE_VALUE: value=300 least=1000 held=500", "300 beside a bound of 1000: 700 more"),
        ("REBALANCE_BAND: value=300 least=1000 held=500", "300 beside a bound of 1000: 700 more"),
        ("MAX_POSITIONS_TOTAL: maximum=20", "must no longer hold"),
        ("PRICE_MISMATCH: planned=10 price=12 maximum=0.1", "must no longer hold"),
    ],
)
def test_a_gap_is_told_only_where_the_plan_recorded_both_numbers(
    folder: Path, capsys: Capture, reason: str, takes: str
) -> None:
    line = {"ticker": "SN", "code": reason.partition(":")[0], "reason": reason}
    path = plan_file(folder, plan(trade("ALKS", "BUY", 10, 32.66)) | {"skipped": [line]})
    assert takes in ask(capsys, folder, "SN", "--plan", path, "--json").document["takes"]


def test_what_it_takes_is_found_by_planning_again(tmp_path: Path, capsys: Capture) -> None:
    limits = {"position_limits": {"max_positions_total": 1}, "deployment": {"min_positions": 1}}
    folder = workspace(tmp_path, state={"cash": 100_000, "prices": STATE["prices"]}, limits=limits)
    deliver_briefing(folder, ROWS)
    assert say(capsys, *run_of(folder)).code == 0
    found = ask(capsys, folder, "COMM", "--json").document
    assert found["openings"] == ["with max_positions_total 2 instead of 1"]
    assert found["takes"].endswith("Planned again, it is bought with max_positions_total 2 instead of 1")
    assert ask(capsys, folder, "AXTA", "--json").document["openings"] == []
