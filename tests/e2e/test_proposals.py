"""Optimisers decide or hint: exact proposals, hints, refused ones, and the two example programs."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.builders.commands import AT, BRIEFING, Said, candidates, deliver_briefing, run_of, say
from tests.builders.desk import ROOT, briefing, deliver, workspace

Capture = pytest.CaptureFixture[str]
EXAMPLES = ROOT / "docs" / "examples"
PROPOSAL = "MSG_RESEARCH_20251110T150520Z_0badcab1"
WEAK = {"ticker": "CTVA", "quantity": 190, "current_price": 64.64, "research_composite_score": 30}
REQUIRED = {"messaging": {"durability": "fast"}, "operations": {"proposal": "required"}}


def propose(folder: Path, payload: dict[str, Any], name: str = PROPOSAL, at: str = "2025-11-10T15:05:20Z") -> Path:
    text = (
        f"---\nmessage_id: {name}\nfrom: RESEARCH\nto: OPERATIONS\ntimestamp: '{at}'\nmessage_type: PlanProposal\n"
        f"---\n```json\n{json.dumps(payload)}\n```\n"
    )
    return deliver(folder, "OPERATIONS", f"{name}.md", text)


def plan_of(folder: Path, capsys: Capture, at: str = AT) -> Said:
    state = folder / "state.yaml"
    return say(capsys, "plan", "--workspace", folder, "--exchange-state", state, "--at", at, "--json")


def trades(said: Said) -> dict[tuple[str, str], float]:
    return {(t["action"], t["ticker"]): t["shares"] for t in said.document["plan"]["trades"]}


def skips(said: Said) -> dict[str, str]:
    return {s["ticker"]: s["code"] for s in said.document["plan"]["skipped"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    there = workspace(tmp_path / "ws")
    deliver(there, "OPERATIONS", BRIEFING, briefing(candidates(), [WEAK]))
    return there


EXACT: list[tuple[dict[str, Any], int]] = [
    ({"ticker": "ALKS", "shares": 110}, 110),
    ({"ticker": "ALKS", "allocated_capital": 3600}, 110),  # 3,600 / 32.66 = 110.2
    ({"ticker": "ALKS", "weight": 0.036}, 110),  # of 100,043
    ({"ticker": "ALKS", "weight": 0.2}, 612),  # more than Operations gives by itself, within the position's limit
]


@pytest.mark.parametrize(("pick", "shares"), EXACT)
def test_an_exact_proposal_is_bought_as_it_is_and_nothing_beside_it(
    folder: Path, capsys: Capture, pick: dict[str, Any], shares: int
) -> None:
    propose(folder, {"mode": "exact", "picks": [pick]})
    said = plan_of(folder, capsys)
    assert said.code == 0
    assert trades(said) == {("BUY", "ALKS"): shares}
    assert not any("missed" in note for note in said.document["plan"]["notes"])


def test_limits_cut_an_exact_proposal_and_add_nothing(folder: Path, capsys: Capture) -> None:
    picks = [{"ticker": "ALKS", "weight": 0.9}, {"ticker": "AXTA", "shares": 20}, {"ticker": "CVE", "shares": 200}]
    propose(folder, {"mode": "exact", "picks": picks})
    said = plan_of(folder, capsys)
    found = trades(said)
    assert set(found) == {("BUY", "ALKS"), ("BUY", "CVE")}
    assert found["BUY", "ALKS"] * 32.66 <= 0.25 * 100_044
    assert found["BUY", "CVE"] == 200
    assert skips(said)["AXTA"] == "MIN_POSITION_VALUE"


def test_an_exact_proposal_sells_what_it_names_and_what_a_person_demands(folder: Path, capsys: Capture) -> None:
    propose(folder, {"mode": "exact", "picks": [], "sells": [{"ticker": "DVN", "shares": 25}]})
    assert trades(plan_of(folder, capsys)) == {("SELL", "DVN"): 25}


def test_a_hint_comes_first_and_operations_goes_on(folder: Path, capsys: Capture) -> None:
    propose(folder, {"mode": "hint", "picks": [{"ticker": "ALKS", "shares": 110}]})
    found = trades(plan_of(folder, capsys))
    assert ("SELL", "CTVA") in found
    assert len(found) > 2


def test_a_pick_that_is_refused_is_not_bought_by_another_door(folder: Path, capsys: Capture) -> None:
    picks = [{"ticker": "ALKS", "current_price": 30}, {"ticker": "ALKS", "current_price": 31}, {"ticker": "SN"}]
    propose(folder, {"picks": picks})
    said = plan_of(folder, capsys)
    assert ("BUY", "ALKS") not in trades(said)
    assert ("BUY", "SN") in trades(said)
    assert skips(said)["ALKS"] == "DUPLICATE_TICKER"


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "weights above the whole": (
        {"mode": "exact", "picks": [{"ticker": t, "weight": 0.6} for t in ("ALKS", "SN")]},
        "add up to 1.2",
    ),
    "a misspelt key": ({"mod": "exact", "picks": [{"ticker": "ALKS", "shares": 10}]}, "did you mean `mode`?"),
    "a misspelt size": ({"mode": "exact", "picks": [{"ticker": "ALKS", "wieght": 0.1}]}, "wieght"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_proposal_leaves_a_plan_that_says_so_and_ends_with_1(
    folder: Path, capsys: Capture, case: str
) -> None:
    payload, words = REFUSED[case]
    propose(folder, payload)
    said = plan_of(folder, capsys)
    assert said.code == 1
    (note,) = [line for line in said.document["plan"]["notes"] if "proposal is refused" in line]
    assert words in note
    assert ("BUY", "ALKS") in trades(said)
    assert plan_of(folder, capsys).code == 1  # it is a dead letter now
    executed = say(capsys, *run_of(folder, "--json"))
    assert (executed.code, executed.document["status"]) == (1, "COMPLETED_WITH_ISSUES")
    assert any("proposal is refused" in note for note in executed.document["plan_notes"])


@pytest.mark.parametrize("case", [None, *REFUSED])
def test_where_a_proposal_is_required_there_is_no_plan_without_one(
    tmp_path: Path, capsys: Capture, case: str | None
) -> None:
    folder = workspace(tmp_path / "ws", settings=REQUIRED)
    deliver_briefing(folder)
    words = "operations.proposal: required"
    if case is not None:
        payload, words = REFUSED[case]
        propose(folder, payload)
    for command in (plan_of(folder, capsys), say(capsys, *run_of(folder))):
        assert (command.code, command.out.count("PLAN_")) == (1, 0)
        assert words in command.err


def test_where_a_proposal_is_required_a_usable_one_is_followed(tmp_path: Path, capsys: Capture) -> None:
    folder = workspace(tmp_path / "ws", settings=REQUIRED)
    deliver_briefing(folder)
    propose(folder, {"mode": "exact", "picks": [{"ticker": "ALKS", "shares": 110}]})
    said = plan_of(folder, capsys)
    assert (said.code, trades(said)) == (0, {("BUY", "ALKS"): 110})


def test_the_newest_proposal_decides_and_no_older_one_takes_its_place(folder: Path, capsys: Capture) -> None:
    propose(folder, {"mode": "exact", "picks": [{"ticker": "SN", "shares": 40}]})
    newer = PROPOSAL.replace("150520Z", "150530Z")
    propose(folder, {"mode": "exact", "picks": [{"ticker": "SN"}]}, newer, "2025-11-10T15:05:30Z")
    said = plan_of(folder, capsys)
    assert said.code == 1
    assert "No older proposal" in " ".join(said.document["plan"]["notes"])


@pytest.mark.parametrize(
    ("until", "followed"),
    [("2025-11-11", True), ("2025-11-11T14:00:00Z", False), (None, False), ("2025-11-10", False), ("2025-12-01", True)],
)
def test_a_proposal_holds_for_its_day_or_until_it_says(
    tmp_path: Path, capsys: Capture, until: str | None, *, followed: bool
) -> None:
    folder = workspace(tmp_path / "ws")
    payload = {"mode": "exact", "picks": [{"ticker": "ALKS", "shares": 110}]} | (
        {"valid_until": until} if until else {}
    )
    deliver_briefing(folder)
    propose(folder, payload)
    assert trades(plan_of(folder, capsys)) == {("BUY", "ALKS"): 110}
    later = briefing(candidates(), day="2025-11-11")
    deliver(folder, "OPERATIONS", BRIEFING.replace("20251110", "20251111"), later)
    said = plan_of(folder, capsys, "2025-11-11T15:10:00Z")
    assert (trades(said) == {("BUY", "ALKS"): 110}) is followed


def give(*arguments: str | Path) -> Path:
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], check=True, capture_output=True, encoding="utf-8", cwd=EXAMPLES
    )
    return Path(done.stdout.strip())


@pytest.mark.parametrize("mode", ["exact", "hint"])
def test_the_examples_write_what_the_desk_plans_from(tmp_path: Path, capsys: Capture, mode: str) -> None:
    folder = workspace(tmp_path / "ws")
    scores, holdings = tmp_path / "scores.csv", tmp_path / "holdings.csv"
    scores.write_text(
        "ticker,score,price,sector\nALKS,80,32.66,Healthcare\nSN,70,96.19,Technology\nAXTA,60,28.64,Basic Materials\n"
        "COMM,abc,17.02,Technology\n",
        encoding="utf-8",
    )
    holdings.write_text("ticker,score,price\nCTVA,30,64.64\n", encoding="utf-8")
    at = ("--at", "2025-11-10T15:05:09+00:00")
    message = give("research.py", folder, scores, holdings, "--vix", "18", "--spy", "1.1", *at)
    scores.write_text(scores.read_text(encoding="utf-8").replace("COMM,abc,17.02,Technology\n", ""), encoding="utf-8")
    if mode == "exact":
        message = give("research.py", folder, scores, holdings, "--vix", "18", "--at", "2025-11-10T15:05:12+00:00")
        give("optimizer.py", folder, message, "--mode", mode, "--names", "2", "--at", "2025-11-10T15:05:20+00:00")
    said = plan_of(folder, capsys)
    assert said.code == 0
    if mode == "exact":
        assert set(trades(said)) == {("BUY", "ALKS"), ("BUY", "SN")}
    else:
        assert ("SELL", "CTVA") in trades(said)
        assert skips(said)["COMM"] == "INVALID_CANDIDATE"


@pytest.mark.parametrize("name", ["optimizer.py", "research.py"])
def test_an_example_is_short(name: str) -> None:
    assert len((EXAMPLES / name).read_text(encoding="utf-8").splitlines()) < 60
