"""Bad input: one sentence that names file, key and mend, exit code 2, and nothing half-done."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.builders.commands import BRIEFING, candidates, contents, deliver_briefing, plan_file, run_of, say
from tests.builders.desk import briefing, deliver, plan, trade, workspace, write_yaml

Spoil = Callable[[Path], Sequence[str | Path]]


def text(path: Path, words: str | bytes) -> Path:
    path.write_bytes(words.encode() if isinstance(words, str) else words)
    return path


def limits(words: str | bytes) -> Spoil:
    return lambda folder: [text(folder / "config" / "hard_constraints.yaml", words)][1:]


def settings(words: str) -> Spoil:
    return lambda folder: [text(folder / "config" / "settings.yaml", words)][1:]


def state(document: dict[str, Any]) -> Spoil:
    return lambda folder: [write_yaml(folder / "state.yaml", document)][1:]


def plan_of(document: Any) -> Spoil:
    return lambda folder: ["--plan", text(folder / "plan.json", json.dumps(document))]


def given(*options: str) -> Spoil:
    return lambda folder: list(options)


def briefing_file(words: str, name: str = BRIEFING) -> Spoil:
    return lambda folder: ["--briefing", text(folder / name, words)]


def no_limits(folder: Path) -> list[str | Path]:
    (folder / "config" / "hard_constraints.yaml").unlink()
    return []


def folder_as_briefing(folder: Path) -> list[str | Path]:
    return ["--briefing", folder]


def report_folder_is_a_file(folder: Path) -> list[str | Path]:
    text(folder / "Reports", "")
    return []


BOTH = {"ticker": "UPS", "shares": 10, "allocated_capital": 900, "position_id": 3, "current_price": 93.58}
NEITHER = {"ticker": "UPS", "shares": 10, "current_price": 93.58}
HELD = {"avg_entry_price": 93, "current_price": 94}
CASES: dict[str, tuple[Spoil, list[str]]] = {
    "limits missing": (no_limits, ["hard_constraints.yaml", "no such file", "departments init"]),
    "limits malformed": (limits("a: [1\nb: 2"), ["hard_constraints.yaml", "line 2", "close it with ]"]),
    "limits not UTF-8": (limits(b"a: \xff"), ["hard_constraints.yaml", "UTF-8", "save"]),
    "limits unknown key": (
        limits("position_limits: {max_positons: 3}"),
        ["hard_constraints.yaml: position_limits.max_positons", "not a known key", "remove it"],
    ),
    "settings malformed": (settings("a: : b"), ["settings.yaml", "line 1", "correct the indent"]),
    "settings unknown key": (
        settings("phases: {sell: {timout: 3}}"),
        ["settings.yaml: phases.sell.timout", "not a known key", "remove it"],
    ),
    "settings wrong value": (settings("approve: maybe"), ["settings.yaml: approve", "'maybe'", "write one of these"]),
    "state negative": (
        state({"cash": 1, "positions": {"UPS": {"qty": -5, **HELD}}}),
        ["state.yaml: positions.UPS.qty", "-5", "give zero or more"],
    ),
    "state without cash": (state({"positions": {}}), ["state.yaml: cash", "missing", "state the cash"]),
    "state missing": (given("--exchange-state", "gone.yaml"), ["gone.yaml", "no such file", "name another"]),
    "faults missing": (given("--exchange-faults", "gone.yaml"), ["gone.yaml", "no such file", "name another"]),
    "time wrong": (given("--at", "yesterday"), ["--at", "'yesterday'", "write 2025"]),
    "time at the beginning of all": (given("--at", "0001-01-01T00:00:00Z"), ["--at", "'0001-01-01T", "write 2025"]),
    "plan missing": (given("--plan", "gone.json"), ["gone.json", "no such file"]),
    "plan not JSON": (lambda f: ["--plan", f / "state.yaml"], ["state.yaml", "not JSON", "correct it"]),
    "plan is a list": (plan_of([1]), ["plan.json", "keys and values", "write"]),
    "plan without trades": (plan_of({"a": 1}), ["plan.json: trades", "missing", "list the trades"]),
    "plan contradictory": (plan_of(plan(BOTH)), ["plan.json: trades[0]", "both", "add action"]),
    "plan undecided": (plan_of(plan(NEITHER)), ["plan.json: trades[0]", "neither", "add action"]),
    "plan both ways": (
        plan_of(plan(trade("UPS", "SELL", 10, 93), trade("UPS", "BUY", 10, 93))),
        ["plan.json: trades[1]", "already a SELL", "one trade"],
    ),
    "plan id a path": (plan_of(plan(plan_id="../../x")), ["plan.json: plan_id", "name of a file", "name the plan"]),
    "plan made from nonsense": (plan_of(plan() | {"made_from": [1]}), ["plan.json: made_from", "remove it"]),
    "plan too old": (
        plan_of(plan(trade("CTVA", "SELL", 10, 64)) | {"generated_at": "2025-11-10T11:05:00Z"}),
        ["plan.json: generated_at", "more than 4 hours ago", "--at 2025-11-10T11:05:00"],
    ),
    "briefing missing": (given("--briefing", "gone.md"), ["gone.md", "no such file", "DailyBriefing"]),
    "briefing a folder": (folder_as_briefing, ["cannot be read", "name a DailyBriefing"]),
    "briefing no message": (briefing_file("hello"), [BRIEFING, "not a message", "name a DailyBriefing"]),
    "briefing another message": (
        briefing_file(briefing([]).replace("DailyBriefing", "TradeOrder")),
        [f"{BRIEFING}: message_type", "TradeOrder", "name a DailyBriefing"],
    ),
    "briefing without candidates": (
        briefing_file(briefing([]).replace("candidates", "canditates")),
        [f"{BRIEFING}: candidates", "missing", "[] for nothing to buy"],
    ),
    "briefing of another day": (
        briefing_file(briefing([{"ticker": "ALKS", "composite_score": 70}], day="2025-11-07")),
        [f"{BRIEFING}: market_conditions.date", "2025-11-07", "give today's briefing"],
    ),
    "report folder a file": (report_folder_is_a_file, ["Reports", "is a file", "move"]),
    "state beside Alpaca": (given("--broker", "alpaca"), ["--exchange-state", "simulated", "leave it out"]),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_sentence_naming_file_key_and_mend(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = workspace(tmp_path / "ws")
    deliver_briefing(folder)
    spoil, words = CASES[case]
    options = spoil(folder)
    before = contents(folder)
    said = say(capsys, *run_of(folder, *options))
    shutil.rmtree(folder / "logs", ignore_errors=True)  # the failure is logged
    assert said.code == 2
    assert said.out == ""
    (sentence,) = said.sentences
    assert [w for w in words if w not in sentence] == []
    assert contents(folder) == before


def test_a_workspace_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    below_a_file = text(tmp_path / "file", "") / "ws"
    said = say(capsys, "run", "--workspace", below_a_file, "--approve", "auto")
    assert said.code == 2
    assert str(below_a_file) in said.err
    assert len(said.sentences) == 1


def test_a_workspace_without_any_briefing_names_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = workspace(tmp_path)
    said = say(capsys, *run_of(folder))
    assert said.code == 2
    (sentence,) = said.sentences
    assert all(w in sentence for w in ("OPERATIONS", "no DailyBriefing", "Outbox/RESEARCH", "--briefing FILE"))
    (asked,) = (folder / "Messages_Between_Departments" / "Inbox" / "RESEARCH").glob("*.md")
    assert "CandidateRequest" in asked.read_text(encoding="utf-8")
    assert f"RESEARCH is asked for it ({asked.stem})" in said.err


def test_a_waiting_briefing_without_candidates_stays_where_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = workspace(tmp_path)
    waiting = deliver(folder, "OPERATIONS", BRIEFING, briefing(candidates()).replace("candidates", "canditates"))
    said = say(capsys, *run_of(folder))
    assert said.code == 1
    assert f"{waiting}: candidates" in said.err
    assert waiting.exists()
    assert not (folder / "simulated_exchange.db").exists()


def test_alpaca_without_credentials_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    folder = workspace(tmp_path)
    fresh = plan_file(folder, plan(trade("CTVA", "SELL", 10, 64)) | {"generated_at": "2999-01-01T00:00:00Z"})
    said = say(capsys, "run", "--workspace", folder, "--broker", "alpaca", "--plan", fresh, "--approve", "auto")
    assert said.code == 2
    assert "APCA_API_KEY_ID" in said.err
    assert len(said.sentences) == 1


def test_alpaca_and_a_simulated_clock_exclude_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = workspace(tmp_path)
    (folder / "state.yaml").unlink()
    said = say(capsys, *run_of(folder, "--plan", plan_file(folder), "--broker", "alpaca"))
    assert said.code == 2
    assert "--at" in said.err


def test_an_error_is_one_json_document_too_where_one_is_wanted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = workspace(tmp_path)
    said = say(capsys, *run_of(folder, "--plan", "gone.json", "--json"))
    assert said.code == said.document["error"]["exit_code"] == 2
    assert said.document["error"]["source"] == "gone.json"
    assert said.document["error"]["sentence"] == said.document["message"]
    assert said.document["status"] == "FAILED"
    assert said.document["message"] in said.err
