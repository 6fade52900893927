"""Old messages leave for the archive, months are packed, and everything stays findable."""

from __future__ import annotations

import json
import os
import sys
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from freezegun import freeze_time

from Departments.cli import run_command
from Departments.core.errors import BadInput
from Departments.core.platform.clock import SystemClock
from Departments.core.platform.places import find_mutexes
from Departments.core.settings import MessagingSettings, RetentionSettings
from Departments.ledger.ledger import Ledger
from Departments.messaging import codec, lookup, retention, tracing
from Departments.messaging.bus import Bus
from Departments.messaging.mailbox import Mailbox
from Departments.messaging.message import Message, body_with
from tests.builders.routing import router_of
from tests.fakes.memory import MemoryJournal

pytestmark = pytest.mark.filterwarnings("error")
TODAY = "2025-11-20T15:00:00Z"


ORDER = {"ticker": "ACME", "action": "BUY", "shares": 3}
PAYLOADS: dict[str, dict[str, Any]] = {"ExecutiveApproval": ORDER, "RegimeUpdate": {"regime": "BULLISH"}}


def message(
    number: int, at: str, *, kind: str = "ExecutiveApproval", parent: str | None = None, to: str = "TRADING"
) -> Message:
    moment = datetime.fromisoformat(at)
    return Message(
        message_id=f"MSG_EXECUTIVE_{moment:%Y%m%dT%H%M%SZ}_{number:08x}",
        sender="EXECUTIVE",
        recipient=to,
        timestamp=moment,
        message_type=kind,
        body=body_with(f"# {kind} {number}", {**PAYLOADS.get(kind, {}), "plan_id": f"PLAN_{number}"}),
        parent_message_id=parent,
    )


OLD = message(1, "2025-11-10T15:09:12+00:00")
NEW = message(2, "2025-11-19T15:09:12+00:00")
REGIME = message(3, "2025-11-10T15:09:12+00:00", kind="RegimeUpdate", to="OPERATIONS")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    bus = bus_of(tmp_path)
    for each in (OLD, NEW, REGIME):
        bus.publish(each)
    return tmp_path


def bus_of(workspace: Path) -> Bus:
    mailbox = Mailbox(workspace / "Messages_Between_Departments", durability="fast", quiet=0)
    return Bus(mailbox, MemoryJournal(), SystemClock(), MessagingSettings())


def root_of(workspace: Path) -> Path:
    return workspace / "Messages_Between_Departments"


def files(workspace: Path) -> set[str]:
    root = root_of(workspace)
    return {path.relative_to(root).as_posix() for path in root.rglob("*.md")}


def command(workspace: Path, *arguments: str) -> int:
    return run_command([*arguments, "--workspace", str(workspace)])


def answer(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


@freeze_time(TODAY)
def test_messages_older_than_the_limit_leave_inbox_and_outbox_for_the_archive_of_their_date(workspace: Path) -> None:
    assert command(workspace, "archive", "--older-than", "7d") == 0
    assert files(workspace) == {
        f"Archive/2025-11-10/EXECUTIVE/{OLD.name}",
        f"Archive/2025-11-10/TRADING/{OLD.name}",
        f"Archive/2025-11-10/EXECUTIVE/{REGIME.name}",
        f"Archive/2025-11-10/OPERATIONS/{REGIME.name}",
        f"Inbox/TRADING/{NEW.name}",
        f"Outbox/EXECUTIVE/{NEW.name}",
    }


@freeze_time(TODAY)
def test_a_dry_run_prints_the_same_table_and_moves_nothing(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(workspace)
    command(workspace, "archive", "--dry-run", "--json")
    dry = answer(capsys)
    assert files(workspace) == before
    command(workspace, "archive", "--json")
    wet = answer(capsys)
    assert (dry["dry_run"], wet["dry_run"]) == (True, False)
    moves = [{**each, "outcome": "moved"} for each in dry["moves"]]
    assert moves == wet["moves"]
    assert len(moves) == 4


@freeze_time(TODAY)
def test_a_second_run_has_nothing_left_to_do(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command(workspace, "archive")
    after = files(workspace)
    capsys.readouterr()
    command(workspace, "archive", "--json")
    assert answer(capsys)["moves"] == []
    assert files(workspace) == after


@freeze_time(TODAY)
@pytest.mark.parametrize(
    ("options", "moved"),
    [
        (("--type", "RegimeUpdate"), {("Inbox", "OPERATIONS"), ("Outbox", "EXECUTIVE")}),
        (("--department", "trading"), {("Inbox", "TRADING")}),
        (("--box", "Outbox"), {("Outbox", "EXECUTIVE")}),
        (("--box", "outbox"), {("Outbox", "EXECUTIVE")}),
        (("--older-than", "2w"), set()),
        (("--older-than", "12h"), {("Inbox", "OPERATIONS"), ("Inbox", "TRADING"), ("Outbox", "EXECUTIVE")}),
    ],
)
def test_filters_narrow_what_leaves(
    workspace: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], moved: set[tuple[str, str]]
) -> None:
    command(workspace, "archive", "--json", *options)
    moves = answer(capsys)["moves"]
    assert {(each["box"], each["department"]) for each in moves} == moved


@freeze_time(TODAY)
def test_the_settings_say_what_leaves_without_options(workspace: Path) -> None:
    (workspace / "config").mkdir()
    (workspace / "config" / "settings.yaml").write_text(
        "retention:\n  older_than: 2d\n  types: [RegimeUpdate]\n  departments: [operations]\n  boxes: [Inbox]\n",
        encoding="utf-8",
    )
    command(workspace, "archive")
    assert f"Archive/2025-11-10/OPERATIONS/{REGIME.name}" in files(workspace)
    assert {f"Inbox/TRADING/{OLD.name}", f"Outbox/EXECUTIVE/{REGIME.name}"} < files(workspace)


@freeze_time(TODAY)
def test_the_age_comes_from_the_message_then_the_name_then_the_file(tmp_path: Path) -> None:
    inbox = root_of(tmp_path) / "Inbox" / "TRADING"
    inbox.mkdir(parents=True)
    (inbox / "MSG_X_20251119T000000Z_1.md").write_bytes(codec.encode(OLD))
    (inbox / "MSG_X_20251110T000000Z_2.md").write_bytes(b"unreadable, old by its name")
    (inbox / "old.md").write_bytes(b"unreadable, old by its file")
    os.utime(inbox / "old.md", (1_762_000_000, 1_762_000_000))  # 2025-11-01
    (inbox / "new.md").write_bytes(b"unreadable, new by its file")
    os.utime(inbox / "new.md", (1_763_600_000, 1_763_600_000))  # 2025-11-20
    command(tmp_path, "archive")
    assert files(tmp_path) == {
        "Archive/2025-11-10/TRADING/MSG_X_20251119T000000Z_1.md",
        "Archive/2025-11-09/TRADING/MSG_X_20251110T000000Z_2.md",  # midnight UTC is the evening before in New York
        "Archive/2025-11-01/TRADING/old.md",
        "Inbox/TRADING/new.md",
    }


@freeze_time(TODAY)
def test_nothing_in_the_archive_is_overwritten(workspace: Path) -> None:
    taken = root_of(workspace) / "Archive" / "2025-11-10" / "TRADING" / OLD.name
    taken.parent.mkdir(parents=True)
    taken.write_bytes(b"something else")
    command(workspace, "archive")
    assert taken.read_bytes() == b"something else"
    assert taken.with_name(OLD.name.replace(".md", ".2.md")).read_bytes() == codec.encode(OLD)


@freeze_time(TODAY)
def test_an_inbox_that_is_being_worked_on_is_left_alone(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Mailbox(root_of(workspace), mutexes=find_mutexes(workspace)).holding("TRADING", wait=0):
        command(workspace, "archive", "--json")
    outcomes = {(m["box"], m["department"]): m["outcome"] for m in answer(capsys)["moves"]}
    assert outcomes["Inbox", "TRADING"] == "in use"
    assert outcomes["Inbox", "OPERATIONS"] == "moved"
    assert f"Inbox/TRADING/{OLD.name}" in files(workspace)


@freeze_time(TODAY)
def test_a_vanished_file_is_reported_and_does_not_stop_the_rest(workspace: Path) -> None:
    mailbox = Mailbox(root_of(workspace))
    moves = retention.find_due(mailbox.root, retention.Rules.of(RetentionSettings()), SystemClock().now())
    (root_of(workspace) / "Inbox" / "TRADING" / OLD.name).unlink()
    outcomes = {(m.box, m.department): m.outcome for m in retention.archive(mailbox, moves)}
    assert outcomes["Inbox", "TRADING"] == "gone"
    assert outcomes["Inbox", "OPERATIONS"] == "moved"


@freeze_time(TODAY)
def test_an_archived_copy_and_the_outbox_copy_of_a_message_to_oneself_are_joined(tmp_path: Path) -> None:
    own = message(9, "2025-11-10T15:09:12+00:00", to="EXECUTIVE")
    bus = bus_of(tmp_path)
    bus.publish(own)
    with freeze_time("2025-11-10T16:00:00Z"):
        bus.consume("EXECUTIVE", router_of("EXECUTIVE", {"ExecutiveApproval": lambda _: None}))
    command(tmp_path, "archive")
    assert files(tmp_path) == {f"Archive/2025-11-10/EXECUTIVE/{own.name}"}


@pytest.mark.parametrize("text", ["7", "d", "-1d", "1y", "", "100000000d"])
def test_an_age_that_is_none_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(BadInput, match="is not an age; write for example 12h, 7d or 2w"):
        retention.age_of(text, "--older-than")


@freeze_time(TODAY)
def test_a_message_of_the_first_day_of_all_time_is_archived_like_any_other(workspace: Path) -> None:
    first = Message("MSG_FIRST", "RISK", "TRADING", datetime(1, 1, 1, tzinfo=UTC), "log", "")
    (root_of(workspace) / "Inbox" / "TRADING" / first.name).write_bytes(codec.encode(first))
    assert command(workspace, "archive") == 0
    assert f"Archive/0001-01-01/TRADING/{first.name}" in files(workspace)


@freeze_time(TODAY)
def test_moves_are_shown_even_if_the_rest_fails(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocked = root_of(workspace) / "Archive" / "2025-11-10" / "TRADING"
    blocked.parent.mkdir(parents=True)
    blocked.write_bytes(b"a file where a folder should be")
    assert command(workspace, "archive", "--json") == 2
    out = capsys.readouterr()
    moved = {(move["box"], move["department"]) for move in json.loads(out.out)["moves"]}
    assert ("Inbox", "OPERATIONS") in moved
    assert len(out.err.strip().splitlines()) == 1


# --- packing ---


@freeze_time(TODAY)
def test_a_packed_month_is_one_file_and_still_readable(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command(workspace, "archive")
    with freeze_time("2025-12-01T15:00:00Z"):
        assert command(workspace, "archive", "--pack", "2025-11") == 0
    capsys.readouterr()
    assert not any(name.startswith("Archive/") for name in files(workspace))
    assert [path.name for path in (root_of(workspace) / "Archive").iterdir()] == ["2025-11.zip"]
    assert command(workspace, "show", OLD.message_id, "--json") == 0
    document = answer(capsys)
    assert document["body"] == OLD.body
    assert all("2025-11.zip!2025-11-10/" in place for place in document["places"])


def test_a_dry_run_of_packing_tells_the_number_and_changes_nothing(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with freeze_time("2025-12-02T15:00:00Z"):
        command(workspace, "archive", "--older-than", "7d")
        before = files(workspace)
        capsys.readouterr()
        assert command(workspace, "archive", "--pack", "2025-11", "--dry-run", "--json") == 0
        assert (answer(capsys)["files"], files(workspace)) == (6, before)
        command(workspace, "archive", "--pack", "2025-11", "--json")
        assert (answer(capsys)["files"], files(workspace)) == (6, set())


@freeze_time("2025-12-02T15:00:00Z")
@pytest.mark.parametrize("option", [("--type", "log"), ("--department", "RISK"), ("--box", "Inbox")])
def test_packing_a_part_of_a_month_is_refused(
    workspace: Path, capsys: pytest.CaptureFixture[str], option: tuple[str, str]
) -> None:
    assert command(workspace, "archive", "--pack", "2025-11", *option) == 2
    assert capsys.readouterr().err == "--pack: a month is packed as a whole; leave the other filters out.\n"


def test_packing_again_removes_the_empty_folders_that_a_kill_left(tmp_path: Path) -> None:
    for folder in ("2025-11-10/TRADING", "2025-11-11", "2025-12-01/TRADING"):
        (root_of(tmp_path) / "Archive" / folder).mkdir(parents=True)
    assert retention.pack(Mailbox(root_of(tmp_path)), "2025-11", datetime(2025, 12, 2, tzinfo=UTC)).files == 0
    assert [path.name for path in (root_of(tmp_path) / "Archive").iterdir()] == ["2025-12-01"]


def test_packing_again_adds_what_came_later_and_keeps_both_of_a_name(tmp_path: Path) -> None:
    mailbox = Mailbox(root_of(tmp_path))
    later = datetime(2025, 12, 2, tzinfo=UTC)
    folder = mailbox.root / "Archive" / "2025-11-10" / "TRADING"
    for texts in ((b"one",), (b"one",), (b"two",)):
        folder.mkdir(parents=True, exist_ok=True)
        for text in texts:
            (folder / "x.md").write_bytes(text)
        retention.pack(mailbox, "2025-11", later)
    with zipfile.ZipFile(mailbox.root / "Archive" / "2025-11.zip") as members:
        found = {name: members.read(name) for name in members.namelist()}
    assert found == {"2025-11-10/TRADING/x.md": b"one", "2025-11-10/TRADING/x.2.md": b"two"}


def test_packing_a_month_without_files_makes_nothing(tmp_path: Path) -> None:
    mailbox = Mailbox(root_of(tmp_path))
    done = retention.pack(mailbox, "2025-10", datetime(2025, 12, 2, tzinfo=UTC))
    assert (done.files, done.pack.exists()) == (0, False)


@pytest.mark.parametrize("month", ["2025-11", "2025-12", "2026-01", "november", "2025-13", "../x"])
def test_a_month_that_is_not_over_or_no_month_is_refused(tmp_path: Path, month: str) -> None:
    with pytest.raises(BadInput):
        retention.pack(Mailbox(root_of(tmp_path)), month, datetime(2025, 11, 30, 12, tzinfo=UTC))


def test_odd_times_and_names_do_not_keep_a_month_from_being_packed(tmp_path: Path) -> None:
    mailbox = Mailbox(root_of(tmp_path))
    folder = mailbox.root / "Archive" / "2025-11-10" / "TRADING"
    folder.mkdir(parents=True)
    for name, moment in (("early.md", 0), ("late.md", 6e9)):
        (folder / name).write_bytes(b"x")
        os.utime(folder / name, (moment, moment))
    if sys.platform == "linux":
        (folder / os.fsdecode(b"odd\xff.md")).write_bytes(b"x")
    assert retention.pack(mailbox, "2025-11", datetime(2025, 12, 2, tzinfo=UTC)).files == 2
    with zipfile.ZipFile(mailbox.root / "Archive" / "2025-11.zip") as members:
        assert [member.date_time[0] for member in members.infolist()] == [1980, 2107]


def test_a_damaged_pack_is_never_replaced_and_leaves_nothing_behind(tmp_path: Path) -> None:
    mailbox = Mailbox(root_of(tmp_path))
    folder = mailbox.root / "Archive" / "2025-11-10" / "TRADING"
    folder.mkdir(parents=True)
    (folder / "x.md").write_bytes(b"x")
    damaged = mailbox.root / "Archive" / "2025-11.zip"
    damaged.write_bytes(b"damaged")
    with pytest.raises(BadInput, match=r"is damaged, or no zip file; move it away and repeat"):
        retention.pack(mailbox, "2025-11", datetime(2025, 12, 2, tzinfo=UTC))
    assert damaged.read_bytes() == b"damaged"
    assert {path.name for path in damaged.parent.iterdir()} == {"2025-11.zip", "2025-11-10"}
    assert (folder / "x.md").exists()


# --- looking ---


@pytest.mark.parametrize("kind", ["no zip", "a folder", "rotten"])
def test_a_damaged_pack_hides_only_what_it_holds(
    workspace: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    pack = root_of(workspace) / "Archive" / "2025-01.zip"
    pack.parent.mkdir(exist_ok=True)
    if kind == "no zip":
        pack.write_bytes(b"no zip")
    elif kind == "a folder":
        pack.mkdir()
    else:
        with zipfile.ZipFile(pack, "w", zipfile.ZIP_DEFLATED) as members:
            members.writestr("2025-01-02/TRADING/x.md", codec.encode(OLD) * 50)
        pack.write_bytes(pack.read_bytes()[:60] + b"\xff" * 20 + pack.read_bytes()[80:])
    for arguments in (("show", OLD.message_id), ("trace", OLD.message_id), ("inbox",), ("archive",)):
        assert command(workspace, *arguments) == 0
    assert command(workspace, "show", "MSG_NOBODY") == 2
    capsys.readouterr()
    assert ("2025-01.zip cannot be read" in caplog.text) == (kind != "rotten")


def test_a_pack_is_opened_once_however_many_messages_it_holds(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack = root_of(workspace) / "Archive" / "2025-01.zip"
    pack.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(pack, "w") as members:
        for number in range(20):
            packed = message(number, "2025-01-02T15:00:00+00:00")
            members.writestr(f"2025-01-02/TRADING/{packed.name}", codec.encode(packed))
    opened = []

    class Counted(zipfile.ZipFile):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            opened.append(arguments)
            super().__init__(*arguments, **options)

    monkeypatch.setattr(zipfile, "ZipFile", Counted)
    assert len(everything(workspace)) == 26
    assert len(opened) == 2  # once for the names, once for the contents


def test_check_counts_what_is_readable_and_names_what_is_not(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root_of(workspace) / "Inbox" / "TRADING" / "odd.md").write_bytes(b"odd")
    assert command(workspace, "messages", "check", "--json") == 1
    document = answer(capsys)
    assert (document["files"], document["readable"]) == (7, 6)
    assert document["by_type"] == {"ExecutiveApproval": 4, "RegimeUpdate": 2}
    assert document["by_format"] == {"front matter, utf-8": 6}
    (only,) = document["unreadable"]
    assert only["file"].endswith("odd.md")
    assert "neither front matter" in only["reason"]


def test_check_of_one_readable_file_ends_with_zero(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = root_of(workspace) / "Inbox" / "TRADING" / OLD.name
    assert command(workspace, "messages", "check", str(path)) == 0
    assert "1 of 1 file can be read" in capsys.readouterr().out


def test_check_names_what_is_wrong_with_a_payload(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = replace(OLD, message_id="MSG_BAD", body=body_with("# Bad", {**ORDER, "shars": 4}))
    path = root_of(workspace) / "Inbox" / "TRADING" / bad.name
    path.write_bytes(codec.encode(bad))
    assert command(workspace, "messages", "check", "--json") == 1
    document = answer(capsys)
    assert (document["files"], document["readable"], document["unreadable"]) == (7, 7, [])
    reason = "MSG_BAD.md: shars: is not a known key; did you mean `shares`? Correct its name or remove it."
    assert document["invalid"] == [{"file": str(path), "reason": reason}]
    assert command(workspace, "messages", "check") == 1
    assert "did you mean `shares`? Correct its name or remove it." in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("kind", ["FinalReport", "ExecutiveApproval", "execution_request"])
def test_the_schema_of_a_type_is_json(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["messages", "schema", kind]) == 0
    one = answer(capsys)
    assert run_command(["messages", "schema"]) == 0
    name = "ExecutiveApproval" if kind == "execution_request" else kind
    assert one == answer(capsys)[name]


def test_the_schema_of_an_approval_names_its_keys(capsys: pytest.CaptureFixture[str]) -> None:
    run_command(["messages", "schema", "ExecutiveApproval"])
    found = answer(capsys)
    assert found["required"] == ["ticker", "action", "shares"]
    assert found["additionalProperties"] is False


def test_the_schema_of_no_type_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["messages", "schema", "Gossip"]) == 2
    assert "Gossip: there is no such message type; name one of DailyBriefing" in capsys.readouterr().err


def test_check_of_nothing_is_one_sentence(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(workspace, "messages", "check", "nowhere") == 2
    assert "there is no such file or folder" in capsys.readouterr().err


def test_inbox_shows_what_waits_in_the_order_of_handling(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root_of(workspace) / "Inbox" / "TRADING" / "odd.md").write_bytes(b"odd")
    command(workspace, "inbox", "trading", "--json")
    rows = answer(capsys)["waiting"]
    assert [(row["file"], bool(row["problem"])) for row in rows] == [
        ("odd.md", True),
        (OLD.name, False),
        (NEW.name, False),
    ]
    command(workspace, "inbox")
    assert NEW.name in capsys.readouterr().out


def test_show_prints_the_message_as_it_is_written(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(workspace, "show", OLD.name) == 0
    assert codec.encode(OLD).decode() in capsys.readouterr().out


def test_show_prints_what_is_read_but_never_written(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = codec.encode(OLD).decode().replace("\n---\n", "\nkey: !!binary aGVsbG8=\n1: {2: 3}\n---\n", 1)
    (root_of(workspace) / "Inbox" / "TRADING" / "MSG_ODD.md").write_text(text, encoding="cp1252", newline="\r\n")
    assert command(workspace, "show", "MSG_ODD") == 0
    assert text in capsys.readouterr().out


def test_show_finds_an_id_whose_file_has_another_name(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = Message("ODD", "RISK", "TRADING", OLD.timestamp, "log", "[bold]text[/bold]")
    (root_of(workspace) / "Inbox" / "TRADING" / "other.md").write_bytes(codec.encode(odd))
    assert command(workspace, "show", "ODD") == 0
    assert "[bold]text[/bold]" in capsys.readouterr().out


def test_show_finds_a_file_by_its_name_however_its_ending_is_written(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = Message("ODD", "RISK", "TRADING", OLD.timestamp, "log", "text")
    (root_of(workspace) / "Inbox" / "TRADING" / "OTHER.MD").write_bytes(codec.encode(odd))
    assert command(workspace, "show", "OTHER.MD") == command(workspace, "show", "OTHER") == 0
    assert "message_id: ODD" in capsys.readouterr().out


def test_show_does_not_deny_a_file_that_cannot_be_read(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root_of(workspace) / "Inbox" / "TRADING" / "odd.md").write_bytes(b"odd")
    assert command(workspace, "show", "odd.md") == 2
    assert "odd.md: cannot be read as a message; see `departments messages check`." in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [("show", "MSG_NOBODY"), ("trace", "PLAN_NOBODY"), ("dead-letters", "show", "x")])
def test_what_does_not_exist_is_one_sentence(
    workspace: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert command(workspace, *arguments) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("archive",),
        ("archive", "--pack", "2025-01"),
        ("inbox",),
        ("messages", "check"),
        ("show", "x"),
        ("trace", "x"),
        ("dead-letters", "list"),
        ("dead-letters", "retry", "x"),
        ("regime",),
    ],
)
def test_outside_a_workspace_no_command_reassures_or_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert command(tmp_path, *arguments) == 2
    assert capsys.readouterr().err.startswith(f"{tmp_path}: is not a workspace: it has neither config nor")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "config").mkdir()
    assert command(tmp_path, "archive") == command(tmp_path, "inbox") == 0


def test_trace_shows_what_came_of_what(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bus = bus_of(workspace)
    child = message(5, "2025-11-10T15:09:14+00:00", kind="execution", parent=OLD.message_id, to="PORTFOLIO")
    bus.publish(child)
    bus.publish(message(6, "2025-11-10T15:09:15+00:00", kind="log", parent=child.message_id, to="COMPLIANCE"))
    for wanted in ("PLAN_1", OLD.message_id, child.message_id):
        command(workspace, "trace", wanted, "--json")
        (tree,) = answer(capsys)["trees"]
        assert tree["message_id"] == OLD.message_id
        assert [t["message_type"] for t in tree["children"]] == ["execution"]
        assert [t["message_type"] for t in tree["children"][0]["children"]] == ["log"]
    command(workspace, "trace", "PLAN_1")
    out = capsys.readouterr().out
    assert "2025-11-10 10:09:15 EST +3.000 s" in out


def test_dead_letters_are_listed_shown_retried_and_dropped(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bus = bus_of(workspace)
    router = router_of("TRADING", {})
    assert bus.consume("TRADING", router).dead_lettered == 2
    command(workspace, "dead-letters", "list", "--json")
    letters = answer(capsys)["dead_letters"]
    assert [(x["file"], x["code"]) for x in letters] == [(OLD.name, "UNKNOWN_TYPE"), (NEW.name, "UNKNOWN_TYPE")]
    command(workspace, "dead-letters", "show", OLD.message_id)
    out = capsys.readouterr().out
    assert "which TRADING has no handler for" in out
    assert "# ExecutiveApproval 1" in out
    assert command(workspace, "dead-letters", "retry", OLD.message_id) == 0
    assert command(workspace, "dead-letters", "drop", NEW.name) == 0
    assert f"Inbox/TRADING/{OLD.name}" in files(workspace)
    assert list((root_of(workspace) / "Dead_Letter" / "TRADING").iterdir()) == []
    archived = {path.name for path in (root_of(workspace) / "Archive").rglob("*") if path.is_file()}
    assert archived == {NEW.name, f"{NEW.name}.reason.yaml", f"{OLD.name}.reason.yaml"}
    handler = router_of("TRADING", {"ExecutiveApproval": lambda _: None})
    assert bus.consume("TRADING", handler).handled == 1


def everything(workspace: Path) -> list[lookup.Located]:
    return list(lookup.read_all(lookup.places(root_of(workspace))))


def test_a_chain_without_end_is_cut_and_a_circle_is_walked_once() -> None:
    chain = [
        message(n, "2025-11-10T15:09:12+00:00", parent=f"MSG_EXECUTIVE_20251110T150912Z_{n - 1:08x}")
        for n in range(3_000)
    ]
    (branch,) = tracing.trees(chain, chain[200].message_id)
    shown = [branch.message.message_id]
    while branch.children:
        (branch,) = branch.children
        shown.append(branch.message.message_id)
    assert chain[200].message_id in shown
    assert len(shown) <= 2 * tracing.GENERATIONS + 1
    circle = [message(0, "2025-11-10T15:09:12+00:00", parent=chain[1].message_id), chain[1]]
    assert len(tracing.trees(circle, chain[1].message_id)) == 1


def test_every_place_is_seen_once(workspace: Path) -> None:
    assert len(everything(workspace)) == 6


# --- the index ---


@pytest.fixture
def indexed(tmp_path: Path) -> Path:
    """A workspace with a ledger: one letter handled, one waiting, and a stranger's message handled."""
    ledger = Ledger(tmp_path / "sentinel.db")
    mailbox = Mailbox(root_of(tmp_path), durability="fast", quiet=0)
    bus = Bus(mailbox, ledger.journal, SystemClock(), MessagingSettings())
    bus.publish(OLD)
    (root_of(tmp_path) / "Inbox" / "TRADING" / "stranger.md").write_bytes(codec.encode(ANSWER))
    report = bus.consume("TRADING", router_of("TRADING", {"ExecutiveApproval": lambda *_: None}))
    assert report.handled == 2
    bus.publish(NEW)
    bus.close()
    ledger.close()
    return tmp_path


ANSWER = message(4, "2025-11-10T15:09:13+00:00", parent=OLD.message_id)
LATER = message(5, "2025-11-20T15:09:13+00:00", parent=ANSWER.message_id)


def read_by(monkeypatch: pytest.MonkeyPatch, workspace: Path, *arguments: str) -> set[str]:
    """Run a command and return the names of the files that it read."""
    read, examine = set[str](), codec.examine

    def note(data: bytes, *, name: str, **more: Any) -> codec.Decoded:
        read.add(name)
        return examine(data, name=name, **more)

    with monkeypatch.context() as patch:
        patch.setattr(codec, "examine", note)
        assert command(workspace, *arguments) == 0
    return read


@pytest.mark.parametrize(
    ("arguments", "read"),
    [
        (("show", OLD.message_id), {OLD.name}),
        (("show", ANSWER.message_id), {"stranger.md"}),
        (("trace", OLD.message_id), {OLD.name, "stranger.md"}),
        (("trace", "PLAN_4"), {OLD.name, "stranger.md"}),
        (("trace", NEW.message_id), {NEW.name}),
    ],
)
def test_show_and_trace_read_only_what_they_show(
    indexed: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], read: set[str]
) -> None:
    assert read_by(monkeypatch, indexed, *arguments) == read


def test_what_a_stranger_has_just_dropped_is_traced_too(indexed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root_of(indexed) / "Inbox" / "TRADING" / "new.md").write_bytes(codec.encode(LATER))
    (root_of(indexed) / "Inbox" / "RISK").mkdir()
    (root_of(indexed) / "Inbox" / "RISK" / "odd.md").write_bytes(b"odd")
    capsys.readouterr()
    assert command(indexed, "trace", OLD.message_id, "--json") == 0
    (tree,) = answer(capsys)["trees"]
    (child,) = tree["children"]
    assert [child["message_id"], child["children"][0]["message_id"]] == [ANSWER.message_id, LATER.message_id]


def test_a_name_that_is_used_again_hides_no_message(indexed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root_of(indexed) / "Inbox" / "TRADING" / "stranger.md").write_bytes(codec.encode(LATER))
    assert command(indexed, "show", LATER.message_id) == 0
    assert command(indexed, "show", ANSWER.message_id) == 0


def test_a_message_that_was_packed_is_found_by_the_index(indexed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with freeze_time("2026-12-20T15:00:00Z"):
        assert command(indexed, "archive", "--older-than", "7d") == 0
        for day in (root_of(indexed) / "Archive").iterdir():
            assert command(indexed, "archive", "--pack", day.name[:7]) in {0, 2}
    capsys.readouterr()
    assert command(indexed, "trace", OLD.message_id, "--json") == 0
    assert [tree["message_id"] for tree in answer(capsys)["trees"]] == [OLD.message_id]


@pytest.mark.parametrize("data", [b"", b"no database at all, but some text", None])
def test_without_a_ledger_that_can_be_read_all_files_are(
    indexed: Path, data: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    (indexed / "sentinel.db").unlink()
    if data is not None:
        (indexed / "sentinel.db").write_bytes(data)
    assert command(indexed, "trace", ANSWER.message_id, "--json") == 0
    assert [tree["message_id"] for tree in answer(capsys)["trees"]] == [OLD.message_id]


def test_looking_at_messages_makes_no_ledger(workspace: Path) -> None:
    assert command(workspace, "show", OLD.message_id) == command(workspace, "trace", OLD.message_id) == 0
    assert not (workspace / "sentinel.db").exists()


def test_what_is_archived_was_settled_before(indexed: Path) -> None:
    with freeze_time("2026-12-20T15:00:00Z"):
        assert command(indexed, "archive", "--older-than", "7d") == 0
    ledger = Ledger(indexed / "sentinel.db")
    assert [row[1] for row in ledger.journal.list_unsettled(0, 10)] == [NEW.name]  # it waited in an inbox of ours
    ledger.close()


def test_check_reads_no_pipe_and_no_device(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(workspace, "messages", "check", os.devnull) == 2
    assert "there is no such file or folder" in capsys.readouterr().err
