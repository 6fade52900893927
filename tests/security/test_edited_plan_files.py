"""The file of an approved plan is for reading: an edit changes nothing and is said, in run, plan and report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.builders.commands import AT, deliver_briefing, run_of, say
from tests.builders.desk import workspace

Capture = pytest.CaptureFixture[str]


def fewer(text: str) -> str:
    document = json.loads(text)
    document["trades"][0]["shares"] -= 1
    return json.dumps(document)


EDITS: dict[str, Callable[[str], str]] = {
    "fewer shares": fewer,
    "no trade": lambda text: json.dumps({**json.loads(text), "trades": []}),
    "no JSON": lambda text: text[:100],
    "nothing": lambda _: "",
    "a list": lambda _: "[]",
}


@pytest.fixture
def approved(tmp_path: Path, capsys: Capture) -> Path:
    """Return the file of a plan that was approved and waits for its run."""
    folder = workspace(tmp_path / "ws")
    deliver_briefing(folder)
    words: list[str | Path] = ["--workspace", folder, "--at", AT]
    said = say(capsys, "plan", *words, "--exchange-state", folder / "state.yaml", "--json")
    assert say(capsys, "approve", said.document["plan"]["plan_id"], *words).code == 0
    (path,) = folder.glob("proposed_trades_*.json")
    return path


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_file_changes_nothing_and_is_said(approved: Path, capsys: Capture, edit: str) -> None:
    folder = approved.parent
    planned = json.loads(approved.read_text(encoding="utf-8"))
    approved.write_text(EDITS[edit](approved.read_text(encoding="utf-8")), encoding="utf-8")
    said = say(capsys, "plan", "--workspace", folder, "--at", AT)
    assert f"{approved.name} " in said.err
    said = say(capsys, *run_of(folder, "--json"))
    sent = {order["ticker"]: order["qty"] for order in said.phase("BUY")["orders"]}
    assert sent == {trade["ticker"]: str(trade["shares"]) for trade in planned["trades"]}
    (note,) = (note for note in said.document["plan_notes"] if approved.name in note)
    assert "departments run --plan" in note
    report = (folder / "Reports" / f"{said.document['plan_id']}.md").read_text(encoding="utf-8")
    assert approved.name in report.replace("\\", "")


def test_a_file_that_was_only_written_anew_is_no_edit(approved: Path, capsys: Capture) -> None:
    document = json.loads(approved.read_text(encoding="utf-8"))
    approved.write_text(json.dumps({**document, "seen_by": "risk"}), encoding="utf-8")
    said = say(capsys, *run_of(approved.parent, "--json"))
    assert [note for note in said.document["plan_notes"] if approved.name in note] == []
