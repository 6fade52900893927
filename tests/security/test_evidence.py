"""Evidence stays: what the desk sent and handled can be compared with its ledger."""

from __future__ import annotations

import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
    assert say(capsys, "archive", "--older-than", "0m", "--workspace", folder).code == 0
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


def test_a_letter_that_a_neighbour_took_out_of_its_inbox_is_not_missed(folder: Path, capsys: Capture) -> None:
    files(folder, "Inbox", "COMPLIANCE")[0].unlink()
    assert audit(folder, capsys) == (0, CLEAN)


@pytest.mark.parametrize(("box", "other"), [("Archive", "Outbox"), ("Outbox", "Dead_Letter")])
def test_a_letter_in_the_wrong_box_is_lost_and_added(folder: Path, capsys: Capture, box: str, other: str) -> None:
    department = "TRADING" if box == "Archive" else "EXECUTIVE"
    path = files(folder, box, department)[0]
    place = folder / MESSAGES / other / department
    place.mkdir(parents=True, exist_ok=True)
    path.rename(place / path.name)
    code, found = audit(folder, capsys)
    assert (code, found["altered"]) == (1, [])
    assert [Path(each).name for each in found["lost"] + found["added"]] == [path.name] * 2


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


def approval_of(folder: Path) -> Path:
    return files(folder, "Archive", "TRADING", "ExecutiveApproval")[0]


def put_text(folder: Path, place: str) -> str:
    path = folder / MESSAGES / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("from: EXECUTIVE", encoding="utf-8")
    return place


def put_link(folder: Path) -> str:
    path = folder / MESSAGES / "Inbox" / "TRADING" / "MSG_EXECUTIVE_20251110T150600Z_deadbeef.md"
    path.symlink_to(approval_of(folder))
    return f"Inbox/TRADING/{path.name}"


def copy_to(place: str, name: str = "") -> Callable[[Path], str]:
    def put(folder: Path) -> str:
        source = approval_of(folder)
        path = folder / MESSAGES / place / (name or source.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.read_bytes())
        return f"{place}/{path.name}"

    return put


@pytest.mark.parametrize(
    ("put", "words"),
    [
        (lambda folder: put_text(folder, "Inbox/TRADING/note.txt"), "is no message"),
        (lambda folder: put_text(folder, "Inbox/TRADING/.hidden.md"), "is no message"),
        (lambda folder: put_text(folder, "Outbox/EXECUTIVE/order"), "is no message"),
        (lambda folder: put_text(folder, "Archive/2025-11-10/TRADING/note.md.reason.yaml"), "is no message"),
        (lambda folder: put_text(folder, "Dead_Letter/TRADING/note.md.reason.yaml"), "is no message"),
        (lambda folder: put_text(folder, "Inbox/stray.md"), "is in no message folder"),
        (lambda folder: put_text(folder, "Inbox/TRADING/deeper/stray.md"), "is in no message folder"),
        (lambda folder: put_text(folder, "Archive/2025-11-10/stray.md"), "is in no message folder"),
        (lambda folder: put_text(folder, "stray.md"), "is in no box"),
        (lambda folder: put_text(folder, "Elsewhere/TRADING/stray.md").partition("/")[0], "is in no box"),
        (lambda folder: put_text(folder, "Inbox/TRADING/x.md/y.md").rpartition("/")[0], "is a folder, not a file"),
        (put_link, "is a symbolic link, not a file"),
        (copy_to("Archive/2025-11-10/OPERATIONS"), "is one more copy of"),
        (copy_to("Archive/2025-11-11/TRADING"), "is one more copy of"),
        (copy_to("Inbox/TRADING"), "is one more copy of"),
        (copy_to("Inbox/RISK"), "is one more copy of"),
        (copy_to("Dead_Letter/TRADING"), "is one more copy of"),
        (copy_to("Archive/2025-11-10/TRADING", "MSG_EXECUTIVE_20251110T150600Z_deadbeef.md"), "is one more copy of"),
        (copy_to("Inbox/TRADING", "letter.txt"), "is one more copy of"),
    ],
)
def test_whatever_was_added_is_named(folder: Path, capsys: Capture, put: Callable[[Path], str], words: str) -> None:
    place = put(folder)
    code, found = audit(folder, capsys)
    assert (code, found) == (1, CLEAN | {"added": [place]})
    assert f"added: {place} {words}" in " ".join(say(capsys, "messages", "audit", "--workspace", folder).out.split())


def test_letters_that_have_changed_names_are_named(folder: Path, capsys: Capture) -> None:
    one, other, *_ = files(folder, "Archive", "TRADING", "ExecutiveApproval")
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)
    code, found = audit(folder, capsys)
    assert (code, found["lost"], found["added"]) == (1, [], [])
    assert sorted(Path(each).name for each in found["altered"]) == sorted((one.name, other.name))
    assert f"it has the bytes of {other.name}" in say(capsys, "messages", "audit", "--workspace", folder).out


def test_a_letter_with_a_wrong_name_is_lost_under_its_own(folder: Path, capsys: Capture) -> None:
    path = approval_of(folder)
    path.rename(path.with_name("MSG_EXECUTIVE_20251110T150600Z_deadbeef.md"))
    code, found = audit(folder, capsys)
    assert (code, found["altered"], len(found["lost"]), len(found["added"])) == (1, [], 1, 1)


def test_a_packed_archive_is_compared_like_its_files(folder: Path, capsys: Capture) -> None:
    name = approval_of(folder).name
    assert say(capsys, "archive", "--pack", "2025-11", "--workspace", folder).code == 0
    assert audit(folder, capsys) == (0, CLEAN)
    path = folder / MESSAGES / "Archive" / "2025-11.zip"
    with zipfile.ZipFile(path) as opened:
        members = {member: opened.read(member) for member in opened.namelist()}
    with zipfile.ZipFile(path, "w") as opened:
        for member, data in members.items():
            opened.writestr(member, data + b"more" * (name in member))
        opened.writestr("2025-11-10/TRADING/note.txt", b"x")
    code, found = audit(folder, capsys)
    assert (code, found["lost"]) == (1, [])
    assert found["altered"] == [f"Archive/2025-11.zip!2025-11-10/TRADING/{name}"]
    assert found["added"] == ["Archive/2025-11.zip!2025-11-10/TRADING/note.txt"]


def test_a_damaged_pack_is_named_with_what_is_lost_in_it(folder: Path, capsys: Capture) -> None:
    path = folder / MESSAGES / "Archive" / "2025-10.zip"
    path.write_bytes(b"no zip")
    assert audit(folder, capsys) == (1, CLEAN | {"added": ["Archive/2025-10.zip"]})


def test_dead_letters_of_every_kind_are_as_the_ledger_has_them(tmp_path: Path, capsys: Capture) -> None:
    folder = workspace(tmp_path / "ws")
    inbox = deliver_briefing(folder).parent
    (inbox / "empty.md").touch()
    (inbox / "link.md").symlink_to(folder / "elsewhere")
    (inbox / "folder.md").mkdir()
    (inbox / f"{'long' * 60}.md").write_text("no message", encoding="utf-8")
    (inbox / "huge.md").write_bytes(b"x" * 10_000_001)
    assert say(capsys, *run_of(folder)).code == 1
    dead = sorted((folder / MESSAGES / "Dead_Letter" / "OPERATIONS").iterdir())
    assert len(dead) == 10, [path.name for path in dead]
    assert audit(folder, capsys) == (0, CLEAN)
    for name in ("empty.md", "link.md"):
        assert say(capsys, "dead-letters", "drop", name, "--workspace", folder).code == 0
    assert audit(folder, capsys) == (0, CLEAN)
    dead[-1].rename(dead[-1].with_name("x.md.reason.yaml"))
    assert audit(folder, capsys) == (1, CLEAN | {"added": ["Dead_Letter/OPERATIONS/x.md.reason.yaml"]})
    text = next(path for path in dead if path.name.startswith("long") and path.suffix == ".md")
    other = put_text(folder, f"Archive/2025-11-10/OPERATIONS/{text.name}")
    assert f"Archive/2025-11-10/OPERATIONS/{text.name}" in audit(folder, capsys)[1]["added"], other
    reason = next(path for path in dead if path.name == "huge.md.reason.yaml")
    (reason.parent / "deeper").mkdir()
    reason.rename(reason.parent / "deeper" / reason.name)
    code, found = audit(folder, capsys)
    assert (code, "Dead_Letter/OPERATIONS/deeper/huge.md.reason.yaml" in found["added"]) == (1, True)


def test_what_a_file_manager_leaves_in_a_folder_is_no_difference(folder: Path, capsys: Capture) -> None:
    for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
        put_text(folder, f"Inbox/TRADING/{name}")
    assert audit(folder, capsys) == (0, CLEAN)


def test_copies_of_a_neighbours_message_are_one_message(tmp_path: Path, capsys: Capture) -> None:
    folder = workspace(tmp_path / "ws")
    path = deliver_briefing(folder)
    path.with_name("Briefing (1).md").write_bytes(path.read_bytes())
    assert say(capsys, *run_of(folder)).code == 0
    assert audit(folder, capsys) == (0, CLEAN)


def test_a_copy_of_a_handled_message_in_another_inbox_is_added(folder: Path, capsys: Capture) -> None:
    path = files(folder, "Archive", "OPERATIONS", "from: RESEARCH")[0]
    deliver(folder, "TRADING", path.name, path.read_bytes())
    assert audit(folder, capsys) == (1, CLEAN | {"added": [f"Inbox/TRADING/{path.name}"]})


def test_what_neighbours_send_is_not_ours_to_prove_before_it_is_handled(folder: Path, capsys: Capture) -> None:
    text = files(folder, "Archive", "OPERATIONS", "from: RESEARCH")[0].read_text(encoding="utf-8")
    deliver(folder, "OPERATIONS", "MSG_RESEARCH_20251111T150509Z_00000001.md", text.replace("0badcafe", "00000001"))
    assert audit(folder, capsys) == (0, CLEAN)


def test_a_ledger_where_nothing_can_be_written_is_compared_all_the_same(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect: Callable[..., sqlite3.Connection] = sqlite3.connect

    def refuse_new_files(place: str, **options: Any) -> sqlite3.Connection:
        if "immutable=1" not in place:
            return connect((folder / "nowhere" / "x.db").as_uri() + "?mode=ro", **options)
        return connect(place, **options)

    for beside in ("-wal", "-shm"):
        (folder / f"sentinel.db{beside}").unlink(missing_ok=True)
    monkeypatch.setattr(sqlite3, "connect", refuse_new_files)
    assert audit(folder, capsys) == (0, CLEAN)


@pytest.mark.parametrize("content", [b"", b"no database, whatever its name says" * 99, None])
def test_a_ledger_that_cannot_be_read_is_never_an_empty_one(
    folder: Path, capsys: Capture, content: bytes | None
) -> None:
    ledger = folder / "sentinel.db"
    for beside in ("", "-wal", "-shm"):
        (folder / f"sentinel.db{beside}").unlink(missing_ok=True)
    ledger.mkdir() if content is None else ledger.write_bytes(content)
    said = say(capsys, "messages", "audit", "--workspace", folder)
    assert (said.code, said.out) == (3, "")
    assert "sentinel.db" in said.err


def test_the_audit_of_a_day_or_a_plan_names_its_own_differences_only(folder: Path, capsys: Capture) -> None:
    path = files(folder, "Archive", "TRADING", "ExecutiveApproval")[0]
    plan_id = next(iter(sorted((folder / "Reports").glob("PLAN_*.md")))).stem
    path.write_bytes(path.read_bytes() + b"\nmore\n")
    assert audit(folder, capsys, "2025-11-10")[0] == 1
    assert audit(folder, capsys, plan_id)[0] == 1
    for nothing in ("2025-11-09", "PLAN_X"):
        said = say(capsys, "messages", "audit", nothing, "--workspace", folder)
        assert (said.code, "0 files compared: no message is of this day or plan" in said.err) == (2, True)


def test_the_audit_of_a_part_counts_its_own_files(folder: Path, capsys: Capture) -> None:
    plan_id = next(iter(sorted((folder / "Reports").glob("PLAN_*.md")))).stem
    (folder / MESSAGES / "Archive" / "2025-11-08" / "TRADING").mkdir(parents=True)
    (folder / MESSAGES / "Archive" / "2025-11-08" / "TRADING" / "note.txt").write_text("x", encoding="utf-8")

    def count(*which: str) -> int:
        return int(say(capsys, "messages", "audit", *which, "--workspace", folder, "--json").document["files"])

    assert count("2025-11-08") == 1
    assert 1 < count(plan_id) < count("2025-11-10") == count() - 1


def test_the_outbox_keeps_what_was_sent_when_a_waiting_file_is_edited(folder: Path, capsys: Capture) -> None:
    waiting = [path for path in (folder / MESSAGES / "Inbox").rglob("*.md") if path.parent.name != "TRADING"]
    for path in waiting:
        with path.open("r+b") as file:
            file.write(b"XXXX")
    _, found = audit(folder, capsys)
    assert sorted(Path(each).name for each in found["altered"]) == sorted(path.name for path in waiting)
    assert all(each.startswith("Inbox") for each in found["altered"])
