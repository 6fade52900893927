"""Small things that misled a person once: each is a fact here."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.builders.commands import AT, deliver_briefing, plan_file, run_of, say
from tests.builders.desk import deliver, workspace

Capture = pytest.CaptureFixture[str]
JUNK = "MSG_JUNK_20251110T100000Z_00000001.md"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return workspace(tmp_path / "ws")


def test_watching_a_folder_that_is_no_workspace_leaves_nothing_there(tmp_path: Path, capsys: Capture) -> None:
    said = say(capsys, "watch", "--workspace", tmp_path)
    assert said.code == 2
    assert "is not a workspace" in said.err
    assert list(tmp_path.iterdir()) == []


def branches(tree: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for child in tree["children"]:
        yield tree, child
        yield from branches(child)


def test_no_reply_is_dated_before_what_it_answers_and_no_order_is_called_a_trade(folder: Path, capsys: Capture) -> None:
    ran = say(capsys, *run_of(folder, "--plan", plan_file(folder), "--json"))
    assert ran.code == 0
    trees = say(capsys, "trace", ran.document["plan_id"], "--workspace", folder, "--json").document["trees"]
    pairs = [pair for tree in trees for pair in branches(tree)]
    assert len(pairs) > 4
    times = [[datetime.fromisoformat(m["timestamp"]) for m in pair] for pair in pairs]
    assert [pair for pair in times if pair[1] < pair[0]] == []
    log = next(folder.rglob("Outbox/TRADING/*.md"))
    notes = [path.read_text(encoding="utf-8") for path in log.parent.glob("*.md")]
    assert any("# Order Submitted: CTVA" in note and "message_type: log" in note for note in notes)
    assert [note for note in notes if "Trade Executed" in note] == []


def test_an_unknown_plan_cannot_be_approved_and_the_newest_are_named(folder: Path, capsys: Capture) -> None:
    wrong: list[str | Path] = ["approve", "PLAN_20251110_000000", "--workspace", folder, "--at", AT]
    none = say(capsys, *wrong)
    assert (none.code, "there is no such plan; make one: departments plan" in none.err) == (2, True)
    made = say(capsys, "plan", "--workspace", folder, "--exchange-state", folder / "state.yaml", "--at", AT,
               "--plan", plan_file(folder), "--json").document["plan"]["plan_id"]  # fmt: skip
    known = say(capsys, *wrong)
    assert (known.code, f"name one of {made}" in known.err) == (2, True)


def test_a_dead_letter_does_not_spoil_every_check_of_the_messages(folder: Path, capsys: Capture) -> None:
    deliver_briefing(folder)
    dead = folder / "Messages_Between_Departments" / "Dead_Letter" / "OPERATIONS"
    dead.mkdir(parents=True)
    (dead / JUNK).write_text("no message", encoding="utf-8")
    said = say(capsys, "messages", "check", "--workspace", folder, "--json")
    assert (said.code, said.document["files"], said.document["dead_letters"]) == (0, 1, 1)
    assert "1 dead letter;" in say(capsys, "messages", "check", "--workspace", folder).out
    assert say(capsys, "messages", "check", dead, "--workspace", folder).code == 1
    deliver(folder, "OPERATIONS", JUNK, "no message")
    assert say(capsys, "messages", "check", "--workspace", folder).code == 1


@pytest.mark.parametrize("address", [None, "https://paper-api.alpaca.markets"])
def test_live_without_a_live_account_is_refused(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, address: str | None
) -> None:
    more: list[str] = []
    if address:
        for name in ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY"):
            monkeypatch.setenv(name, "PKTEST00000000000000")
        monkeypatch.setenv("APCA_API_BASE_URL", address)
        more = ["--broker", "alpaca"]
    deliver_briefing(folder)
    (folder / "state.yaml").unlink()
    words = [word for word in run_of(folder, *more, "--live") if not address or word not in {"--at", AT}]
    said = say(capsys, *words)
    assert (said.code, said.sentences[-1].startswith("--live: ")) == (2, True)


def test_the_archive_names_unread_mail_of_departments_that_are_not_of_this_desk(folder: Path, capsys: Capture) -> None:
    text = f"---\nmessage_id: M\nfrom: OPERATIONS\nto: RISK\ntimestamp: '{AT}'\nmessage_type: Note\n---\nHello\n"
    deliver(folder, "RISK", "MSG_OPERATIONS_20251110T100000Z_00000002.md", text)
    dry = say(capsys, "archive", "--workspace", folder, "--dry-run")
    assert "Unread mail of RISK, which is no department of this desk: 1" in dry.out
    done = say(capsys, "archive", "--workspace", folder, "--json")
    assert done.document["unread_of_neighbours"] == {"RISK": 1}


def test_an_unknown_department_is_no_empty_inbox_and_no_empty_archive(folder: Path, capsys: Capture) -> None:
    deliver(folder, "RISK_2", JUNK, "no message")
    for command in (["inbox"], ["archive", "--dry-run", "--department"]):
        said = say(capsys, *command, "tradng", "--workspace", folder)
        assert (said.code, "TRADNG: there is no such department; name one of" in said.err) == (2, True)
        assert say(capsys, *command, "risk_2", "--workspace", folder).code == 0


def test_a_reason_without_its_file_is_listed_and_can_be_dropped(folder: Path, capsys: Capture) -> None:
    deliver(folder, "OPERATIONS", JUNK, "no message at all")
    say(capsys, *run_of(folder, "--plan", plan_file(folder)))
    (dead,) = folder.rglob(f"Dead_Letter/OPERATIONS/{JUNK}")
    dead.rename(dead.with_name("kept for later.txt"))
    listed = say(capsys, "dead-letters", "list", "--workspace", folder, "--json").document["dead_letters"]
    assert {each["file"]: each["is_gone"] for each in listed} == {"kept for later.txt": False, JUNK: True}
    back = say(capsys, "dead-letters", "retry", JUNK, "--workspace", folder)
    assert (back.code, "only its reason is left" in back.err) == (2, True)
    assert say(capsys, "dead-letters", "drop", JUNK, "--workspace", folder).code == 0
    left = say(capsys, "dead-letters", "list", "--workspace", folder, "--json").document["dead_letters"]
    assert [each["file"] for each in left] == ["kept for later.txt"]
