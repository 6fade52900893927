"""The day's newest briefing decides, odd or not: one bad entry is set aside alone, an unusable one buys nothing."""

from contextlib import closing
from pathlib import Path

import pytest

from tests.builders.commands import AT, BRIEFING, Said, candidates, deliver_briefing, plan_file, run_of, say
from tests.builders.desk import briefing, deliver, desk, workspace

Capture = pytest.CaptureFixture[str]
NEWER = "MSG_RESEARCH_20251110T150530Z_0badcaff"
WEAK = {"ticker": "CTVA", "quantity": 190, "current_price": 64.64, "research_composite_score": 30}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return workspace(tmp_path / "ws")


def newer(text: str, sender: str = "RESEARCH") -> str:
    """A briefing as one that was written 21 seconds later."""
    later = text.replace(BRIEFING.removesuffix(".md"), NEWER).replace("T15:05:09.000000Z", "T15:05:30.000000Z")
    return later.replace("from: RESEARCH", f"from: {sender}")


def sides(said: Said) -> set[tuple[str, str]]:
    return {(o["side"], o["ticker"]) for p in said.document["phases"] for o in p["orders"] if o["side"]}


def plan_of(folder: Path, capsys: Capture) -> Said:
    state = folder / "state.yaml"
    return say(capsys, "plan", "--workspace", folder, "--exchange-state", state, "--at", AT, "--json")


def skips(said: Said) -> dict[str, tuple[str, str]]:
    return {s["ticker"]: (s["code"], s["reason"]) for s in said.document["plan"]["skipped"]}


def test_a_day_with_nothing_to_buy_sells_what_is_weak(folder: Path, capsys: Capture) -> None:
    deliver(folder, "OPERATIONS", BRIEFING, briefing([], [WEAK]))
    said = say(capsys, *run_of(folder, "--json"))
    assert (said.code, said.document["status"]) == (0, "COMPLETED")
    assert ("SELL", "CTVA") in sides(said)
    assert "BUY" not in {side for side, _ in sides(said)}


@pytest.mark.parametrize("number", ["NaN", "Infinity", '"abc"', "-5"])
def test_one_bad_number_is_one_skip_by_name_in_a_whole_run_too(folder: Path, capsys: Capture, number: str) -> None:
    bad = candidates()[0]
    text = briefing(candidates()).replace(
        f'"composite_score": {bad["composite_score"]}', f'"composite_score": {number}'
    )
    deliver(folder, "OPERATIONS", BRIEFING, text)
    said = say(capsys, *run_of(folder, "--json"))
    assert (said.code, said.document["status"]) == (0, "COMPLETED")
    assert [s["code"] for s in said.document["skipped"] if s["ticker"] == bad["ticker"]] == ["INVALID_CANDIDATE"]


UNUSABLE = {
    "a VIX of zero": (briefing(candidates(), vix=0), ["market_conditions.vix", "0 is not positive"]),
    "a VIX that is no number": (
        briefing(candidates()).replace('"vix": 18.0', '"vix": NaN'),
        ["market_conditions.vix", "NaN", "give a number"],
    ),
    "no candidates": (briefing([]).replace("candidates", "canditates"), ["candidates", "missing"]),
    "a broken JSON block": (
        briefing(candidates()).replace('"vix": 18.0', '"spy_drawdown_pct": .15'),
        ["payload", "line", "correct the JSON"],
    ),
    "no JSON block": (briefing(candidates()).replace("```json", "```"), ["candidates", "missing"]),
    "a date of another form": (
        briefing(candidates()).replace('"date": "2025-11-10"', '"date": "10.11.2025"'),
        ["market_conditions.date", "write it as 2025-11-10"],
    ),
    "the date of another day": (
        briefing(candidates()).replace('"date": "2025-11-10"', '"date": "2025-11-07"'),
        ["market_conditions.date", "2025-11-07"],
    ),
}


@pytest.mark.parametrize("case", UNUSABLE)
@pytest.mark.parametrize("box", ["Inbox/OPERATIONS", "Outbox/RESEARCH"])
def test_an_unusable_newest_briefing_buys_nothing_and_no_older_one_is_traded(
    folder: Path, capsys: Capture, case: str, box: str
) -> None:
    text, words = UNUSABLE[case]
    deliver_briefing(folder)
    there = folder / "Messages_Between_Departments" / box / f"{NEWER}.md"
    there.parent.mkdir(parents=True, exist_ok=True)
    there.write_text(newer(text), encoding="utf-8")
    said = say(capsys, *run_of(folder))
    assert said.code == 1
    (sentence,) = said.sentences
    assert [w for w in (str(there), *words, "No older briefing") if w not in sentence] == []
    assert not (folder / "simulated_exchange.db").exists()


def test_an_unusable_briefing_decides_as_a_dead_letter_too_until_a_person_drops_it(
    folder: Path, capsys: Capture
) -> None:
    deliver_briefing(folder)
    deliver(folder, "OPERATIONS", f"{NEWER}.md", newer(briefing(candidates(), vix=0)))
    with closing(desk(folder)) as there:
        there.operations.process_inbox()
    assert (folder / "Messages_Between_Departments" / "Dead_Letter" / "OPERATIONS" / f"{NEWER}.md").exists()
    said = say(capsys, *run_of(folder))
    assert said.code == 1
    assert "market_conditions.vix" in said.err
    assert say(capsys, "dead-letters", "drop", NEWER, "--workspace", folder).code == 0
    assert "BUY" in {side for side, _ in sides(say(capsys, *run_of(folder, "--json")))}


def test_a_briefing_of_a_stranger_decides_nothing(folder: Path, capsys: Capture) -> None:
    deliver_briefing(folder)
    deliver(folder, "OPERATIONS", f"{NEWER}.md", newer(briefing(candidates(), vix=0), sender="MALLORY"))
    assert "BUY" in {side for side, _ in sides(say(capsys, *run_of(folder, "--json")))}


def test_contradictory_newer_briefings_are_not_passed_over_for_an_older_one(folder: Path, capsys: Capture) -> None:
    deliver_briefing(folder)
    deliver(folder, "OPERATIONS", f"{NEWER}.md", newer(briefing(candidates())))
    deliver(folder, "OPERATIONS", f"{NEWER} (1).md", newer(briefing(candidates(), vix=14)))
    said = say(capsys, *run_of(folder, "--json"))
    assert (said.code, said.document["phases"]) == (1, [])
    assert f"{NEWER} (1).md" in said.err
    again = say(capsys, *run_of(folder, "--json"))
    assert (again.code, again.document["phases"]) == (1, [])


def test_the_newer_of_two_usable_briefings_is_traded_wherever_it_is(folder: Path, capsys: Capture) -> None:
    deliver_briefing(folder)
    outbox = folder / "Messages_Between_Departments" / "Outbox" / "RESEARCH"
    outbox.mkdir(parents=True)
    (outbox / f"{NEWER}.md").write_text(newer(briefing([], [WEAK])), encoding="utf-8")
    said = say(capsys, *run_of(folder, "--json"))
    assert {side for side, _ in sides(said)} == {"SELL"}


NUMBERS = ("NaN", "Infinity", "-Infinity", '"abc"', "-5", "true", '"NaN"', "[]", "1e400", "{}")
SECTORS = ("5", "true", "NaN", '["Energy"]')
KEYS = ("current_price", "composite_score", "average_volume", "market_cap")


def test_one_bad_value_sets_one_candidate_aside_by_name(folder: Path, capsys: Capture) -> None:
    odd: list[tuple[str, str, object]] = [(key, number, "HERE") for key in KEYS for number in NUMBERS]
    odd += [("sector", sector, "HERE") for sector in SECTORS]
    odd += [("fundamental", sector, {"sector": "HERE"}) for sector in SECTORS]
    rows = [
        {"ticker": f"ODD{n}", "composite_score": 70, "current_price": 17.58, key: value}
        for n, (key, _, value) in enumerate(odd)
    ]
    text = briefing([*candidates(), *rows])
    for _, written, _ in odd:
        text = text.replace('"HERE"', written, 1)
    deliver(folder, "OPERATIONS", BRIEFING, text)
    said = plan_of(folder, capsys)
    found = skips(said)
    for n, (key, written, _) in enumerate(odd):
        code, reason = found[f"ODD{n}"]
        named = "sector" if key == "fundamental" else key
        assert (code, named in reason) == ("INVALID_CANDIDATE", True), (key, written)
    assert {t["ticker"] for t in said.document["plan"]["trades"] if t["action"] == "BUY"} >= {"ALKS", "COMM"}


@pytest.mark.parametrize("flag", ['"yes"', "1", '"true"', '"no"', "0", "NaN"])
def test_a_flag_that_is_neither_true_nor_false_is_named(folder: Path, capsys: Capture, flag: str) -> None:
    text = briefing(candidates(), [{**WEAK, "research_composite_score": 80, "mandatory_sell": "HERE"}])
    deliver(folder, "OPERATIONS", BRIEFING, text.replace('"HERE"', flag))
    said = plan_of(folder, capsys)
    assert said.code == 0
    code, reason = skips(said)["CTVA"]
    assert code == "INVALID_CANDIDATE"
    assert "mandatory_sell" in reason


def test_a_drawdown_that_may_be_a_share_of_one_is_asked_about(folder: Path, capsys: Capture) -> None:
    deliver(folder, "OPERATIONS", BRIEFING, briefing(candidates(), conditions={"spy_drawdown_pct": 0.15}))
    notes = plan_of(folder, capsys).document["plan"]["notes"]
    (note,) = [line for line in notes if "spy_drawdown_pct" in line]
    assert "0.15 counts as 0.15 %; if 15 % is meant, write 15" in note


def test_a_given_plan_is_judged_without_a_briefing_that_cannot_be_used(folder: Path, capsys: Capture) -> None:
    deliver(folder, "OPERATIONS", BRIEFING, briefing(candidates(), vix=0))
    said = say(capsys, *run_of(folder, "--json", "--plan", plan_file(folder)))
    assert ("SELL", "CTVA") in sides(said)
