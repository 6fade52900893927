"""Evidence stays: what the desk sent and handled can be compared with its ledger."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders.commands import deliver_briefing, run_of, say
from tests.builders.desk import deliver, workspace

MESSAGES = "Messages_Between_Departments"
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path, capsys: Capture) -> Path:
    folder = workspace(tmp_path / "ws")
    deliver_briefing(folder)
    assert say(capsys, *run_of(folder)).code == 0
    return folder


def audit(folder: Path, capsys: Capture, *which: str) -> tuple[int, dict[str, list[str]]]:
    said = say(capsys, "messages", "audit", *which, "--workspace", folder, "--json")
    return said.code, {kind: [each["file"] for each in said.document[kind]] for kind in ("altered", "lost", "added")}


def files(folder: Path, box: str, department: str, text: str = "") -> list[Path]:
    found = (path for path in (folder / MESSAGES / box).rglob("*.md") if path.parent.name == department)
    return sorted(path for path in found if text in path.read_text(encoding="utf-8"))


CLEAN: dict[str, list[str]] = {"altered": [], "lost": [], "added": []}


def test_a_day_that_nobody_touched_is_as_the_ledger_has_it(folder: Path, capsys: Capture) -> None:
    assert audit(folder, capsys) == (0, CLEAN)
    assert say(capsys, "archive", "--older-than", "0m", "--workspace", folder, "--yes").code in {0, 2}
    assert audit(folder, capsys) == (0, CLEAN)


@pytest.mark.parametrize(
    ("box", "department"),
    [("Outbox", "EXECUTIVE"), ("Archive", "TRADING"), ("Archive", "OPERATIONS"), ("Inbox", "COMPLIANCE")],
)
def test_an_altered_file_is_named_whoever_has_it(folder: Path, capsys: Capture, box: str, department: str) -> None:
    path = files(folder, box, department)
    path[0].write_bytes(path[0].read_bytes() + b"\nmore\n")
    code, found = audit(folder, capsys)
    assert (code, found["lost"], found["added"]) == (1, [], [])
    assert [Path(each).name for each in found["altered"]] == [path[0].name]
    assert say(capsys, "messages", "audit", "--workspace", folder).out.count("1 altered, 0 lost, 0 added") == 1


@pytest.mark.parametrize(("box", "department"), [("Outbox", "EXECUTIVE"), ("Archive", "TRADING")])
def test_a_lost_file_is_named(folder: Path, capsys: Capture, box: str, department: str) -> None:
    path = files(folder, box, department)[0]
    path.unlink()
    code, found = audit(folder, capsys)
    assert (code, found["altered"], found["added"]) == (1, [], [])
    assert [Path(each).name for each in found["lost"]] == [path.name]


@pytest.mark.parametrize(
    "place", ["Outbox/EXECUTIVE", "Archive/2025-11-10/TRADING", "Inbox/TRADING", "Inbox/RISK", "Dead_Letter/TRADING"]
)
def test_an_added_file_is_named(folder: Path, capsys: Capture, place: str) -> None:
    text = files(folder, "Archive", "TRADING", "ExecutiveApproval")[0].read_text(encoding="utf-8")
    path = folder / MESSAGES / place / "MSG_EXECUTIVE_20251110T150600Z_deadbeef.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.replace("SELL", "BUY") + "\n", encoding="utf-8")
    code, found = audit(folder, capsys)
    assert (code, found["altered"], found["lost"]) == (1, [], [])
    assert [Path(each).name for each in found["added"]] == [path.name]


def test_what_neighbours_send_is_not_ours_to_prove_before_it_is_handled(folder: Path, capsys: Capture) -> None:
    text = files(folder, "Archive", "OPERATIONS", "from: RESEARCH")[0].read_text(encoding="utf-8")
    deliver(folder, "OPERATIONS", "MSG_RESEARCH_20251111T150509Z_00000001.md", text.replace("0badcafe", "00000001"))
    assert audit(folder, capsys) == (0, CLEAN)


def test_the_audit_of_a_day_or_a_plan_names_its_own_differences_only(folder: Path, capsys: Capture) -> None:
    path = files(folder, "Archive", "TRADING", "ExecutiveApproval")[0]
    plan_id = next(iter(sorted((folder / "Reports").glob("PLAN_*.md")))).stem
    path.write_bytes(path.read_bytes() + b"\nmore\n")
    assert audit(folder, capsys, "2025-11-10")[0] == 1
    assert audit(folder, capsys, plan_id)[0] == 1
    assert audit(folder, capsys, "2025-11-09") == (0, CLEAN)
    unknown = say(capsys, "messages", "audit", "PLAN_X", "--workspace", folder)
    assert (unknown.code, "no message is of this day or plan" in unknown.err) == (2, True)


def test_the_outbox_keeps_what_was_sent_when_a_waiting_file_is_edited(folder: Path, capsys: Capture) -> None:
    waiting = [path for path in (folder / MESSAGES / "Inbox").rglob("*.md") if path.parent.name != "TRADING"]
    for path in waiting:
        with path.open("r+b") as file:
            file.write(b"XXXX")
    _, found = audit(folder, capsys)
    assert sorted(Path(each).name for each in found["altered"]) == sorted(path.name for path in waiting)
    assert all(each.startswith("Inbox") for each in found["altered"])
