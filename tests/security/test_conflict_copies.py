"""Files of one message id with different contents, as sync clients and attackers leave them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from Departments.bootstrap import open_desk
from tests.builders.commands import AT, BRIEFING, Said, candidates, deliver_briefing, run_of, say
from tests.builders.desk import briefing, candidate, deliver, workspace

MESSAGES = "Messages_Between_Departments"
ID = BRIEFING.removesuffix(".md")
EVIL = briefing([candidate("CVE", 99, 17.58)])
Capture = pytest.CaptureFixture[str]

COPIES = (
    f"{ID} (1).md",
    f"{ID}-LAPTOP.md",
    f"{ID} (conflicted copy 2025-11-07).md",
    f"{ID} (Anna's conflicted copy).md",
    f"{ID}.sync-conflict-20251107-101500-ABCDEFG.md",
    f"{ID.lower()}.md",
    f"{ID}.MD",
    f"Copy of {ID}.md",
    f"0{ID}.md",
    "MSG_RESEARCH_20251110T000000Z_00000000.md",
    "MSG_RESEARCH_20251110T235959Z_ffffffff.md",
    "briefing.md",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return workspace(tmp_path / "ws")


def bought(said: Said) -> set[str]:
    return {order["ticker"] for phase in said.document["phases"] for order in phase["orders"] if order["side"] == "BUY"}


def dead(said: Said) -> dict[str, str]:
    return {each["file"]: each["code"] for each in said.document["dead_letters"]}


@pytest.mark.parametrize("name", COPIES)
def test_neither_of_two_contradictory_briefings_is_planned_from_and_both_are_named(
    folder: Path, capsys: Capture, name: str
) -> None:
    deliver_briefing(folder)
    deliver(folder, "OPERATIONS", name, EVIL)
    said = say(capsys, *run_of(folder, "--json"))
    assert said.code == 1
    assert said.document["phases"] == []
    listed = say(capsys, "dead-letters", "list", "--workspace", folder, "--json").document["dead_letters"]
    assert {each["file"]: each["code"] for each in listed} == {BRIEFING: "CONTRADICTION", name: "CONTRADICTION"}
    assert all(each in said.err for each in (BRIEFING, name))


def test_a_person_drops_the_wrong_file_and_retries_the_right_one(folder: Path, capsys: Capture) -> None:
    deliver_briefing(folder)
    deliver(folder, "OPERATIONS", COPIES[0], EVIL)
    say(capsys, *run_of(folder))
    early = say(capsys, "dead-letters", "retry", BRIEFING, "--workspace", folder)
    assert (early.code, COPIES[0] in early.err, "drop the wrong one first" in early.err) == (2, True, True)
    assert say(capsys, "dead-letters", "drop", COPIES[0], "--workspace", folder).code == 0
    assert say(capsys, "dead-letters", "retry", BRIEFING, "--workspace", folder).code == 0
    said = say(capsys, *run_of(folder, "--json"))
    assert said.code == 0
    assert "CVE" not in bought(said)
    assert bought(said)


def test_what_a_sync_client_brings_again_is_not_acted_on_either(folder: Path, capsys: Capture) -> None:
    deliver_briefing(folder)
    deliver(folder, "OPERATIONS", COPIES[0], EVIL)
    say(capsys, *run_of(folder))
    deliver(folder, "OPERATIONS", COPIES[1], EVIL)
    said = say(capsys, *run_of(folder, "--json"))
    assert (said.code, said.document["phases"]) == (1, [])


@pytest.mark.parametrize("name", COPIES[:4])
def test_identical_copies_are_one_message(folder: Path, capsys: Capture, name: str) -> None:
    path = deliver_briefing(folder)
    deliver(folder, "OPERATIONS", name, path.read_bytes())
    said = say(capsys, *run_of(folder, "--json"))
    assert (said.code, dead(said)) == (0, {})
    assert bought(said)
    archived = [path.name for path in (folder / MESSAGES / "Archive").rglob("*.md") if path.parent.name == "OPERATIONS"]
    assert BRIEFING in archived


def test_a_copy_that_comes_after_the_original_was_handled_changes_nothing(folder: Path, capsys: Capture) -> None:
    deliver_briefing(folder)
    first = say(capsys, "plan", "--workspace", folder, "--exchange-state", folder / "state.yaml", "--at", AT)
    assert first.code == 0
    deliver(folder, "OPERATIONS", COPIES[0], EVIL)
    said = say(capsys, *run_of(folder, "--json"))
    assert said.code == 1
    assert dead(said) == {COPIES[0]: "MESSAGE_CONFLICT"}
    assert said.document["status"] == "COMPLETED_WITH_ISSUES"
    assert "CVE" not in bought(said)
    assert bought(said)


def test_a_dropped_briefing_in_the_archive_is_not_planned_from(folder: Path, capsys: Capture) -> None:
    deliver_briefing(folder)
    archive = folder / MESSAGES / "Archive" / "2025-11-10" / "OPERATIONS"
    archive.mkdir(parents=True)
    (archive / "MSG_RESEARCH_20251110T150540Z_ffffffff.md").write_text(
        EVIL.replace("0badcafe", "ffffffff").replace("T15:05:09.0", "T15:05:40.0"), encoding="utf-8"
    )
    assert "CVE" not in bought(say(capsys, *run_of(folder, "--json")))


def test_contradictory_briefings_in_the_outbox_of_research_are_not_planned_from(folder: Path, capsys: Capture) -> None:
    outbox = folder / MESSAGES / "Outbox" / "RESEARCH"
    outbox.mkdir(parents=True)
    (outbox / BRIEFING).write_text(briefing(candidates()), encoding="utf-8")
    (outbox / COPIES[0]).write_text(EVIL, encoding="utf-8")
    said = say(capsys, *run_of(folder, "--json"))
    assert (said.code == 0, said.document["phases"]) == (False, [])
    assert "different contents" in said.err


@pytest.mark.parametrize("fence", ["```json", "```JSON", "~~~json", "``` json", "````json", "```json5", "```json x=1"])
def test_two_different_payloads_in_one_message_are_refused(folder: Path, capsys: Capture, fence: str) -> None:
    path = deliver_briefing(folder)
    end = fence[:4] if fence.startswith("````") else fence[:3]
    with path.open("a", encoding="utf-8") as file:
        file.write(f'\n{fence}\n{{"candidates": []}}\n{end}\n')
    said = say(capsys, *run_of(folder, "--json"))
    assert said.code != 0
    assert "two different JSON payloads" in said.err
    assert not said.document["phases"]


def test_a_payload_that_is_said_twice_is_one(folder: Path, capsys: Capture) -> None:
    path = deliver_briefing(folder)
    text = path.read_text(encoding="utf-8")
    path.write_text(text + text[text.index("```json") :], encoding="utf-8")
    assert bought(say(capsys, *run_of(folder, "--json")))


@pytest.mark.parametrize("name", ["{id} (1).md", "{id}.md", "copy.md"])
def test_an_altered_copy_of_what_the_desk_sent_is_a_dead_letter(folder: Path, capsys: Capture, name: str) -> None:
    deliver_briefing(folder)
    assert say(capsys, *run_of(folder)).code == 0
    sent = next(path for path in (folder / MESSAGES / "Outbox" / "REGIME_DETECTION").glob("*.md"))
    text = sent.read_text(encoding="utf-8")
    assert "to: OPERATIONS" in text or "to: EXECUTIVE" in text
    recipient = "OPERATIONS" if "to: OPERATIONS" in text else "EXECUTIVE"
    copy = name.format(id=sent.stem)
    deliver(folder, recipient, copy, text.replace("BULLISH", "PANIC") + "\n")
    with closing(open_desk(folder)) as desk:
        desk.work()
    listed = say(capsys, "dead-letters", "list", "--workspace", folder, "--json").document["dead_letters"]
    assert {each["file"]: each["code"] for each in listed} == {copy: "NOT_DECIDED_HERE"}
    said = say(capsys, *run_of(folder, "--json"))
    assert (said.code, dead(said)) == (1, {copy: "NOT_DECIDED_HERE"})
