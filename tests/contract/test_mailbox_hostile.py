"""Ten thousand files that nobody should have put into an inbox, and the few that are worse."""

from __future__ import annotations

import logging
import os
import random
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from Departments.core.errors import MessageConflict, PublishError
from Departments.core.platform.clock import SimulatedClock
from Departments.core.settings import MessagingSettings
from Departments.ledger.journal import TABLES, LedgerJournal
from Departments.ledger.sqlite import SqliteDatabase
from Departments.messaging import codec, disk
from Departments.messaging.bus import Bus
from Departments.messaging.catalogue import Skip
from Departments.messaging.disk import Copy
from Departments.messaging.looker import State
from Departments.messaging.mailbox import Mailbox
from Departments.messaging.message import Message, body_with
from Departments.messaging.ports import Journal, Letter
from tests.builders.routing import router_of
from tests.fakes.memory import MemoryJournal, MemoryMailbox
from tests.fakes.posix import closed, most_memory, no_file_beyond, pipe_at, socket_at, write_protected

NOW = datetime(2025, 11, 10, 15, tzinfo=UTC)
BOMB = "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: [*c,*c]"


def whole() -> bytes:
    return codec.encode(
        Message(
            message_id="MSG_EXECUTIVE_20251110T150912Z_0a1b2c3d",
            sender="EXECUTIVE",
            recipient="TRADING",
            timestamp=NOW,
            message_type="ExecutiveApproval",
            body=body_with("# Executive Approval - BUY ACME", {"ticker": "ACME", "shares": 92, "price": 30.93}),
        )
    )


class Desk:
    def __init__(self, root: Path, journal: Journal | None = None) -> None:
        self.root = root / "Messages_Between_Departments"
        self.inbox = self.root / "Inbox" / "TRADING"
        self.inbox.mkdir(parents=True)
        mailbox = Mailbox(self.root, durability="fast", quiet=0, max_bytes=100_000)
        self.journal = journal or LedgerJournal(SqliteDatabase(root / "sentinel.db", TABLES))
        self.bus = Bus(mailbox, self.journal, SimulatedClock(NOW), MessagingSettings())
        self.router = router_of("TRADING", {"ExecutiveApproval": self.handle, "RegimeUpdate": Skip("not ours")})
        self.handled = 0

    def handle(self, message: Message) -> None:
        payload = message.payload
        assert payload is not None
        self.handled += 1

    def consume(self) -> tuple[int, int, int]:
        report = self.bus.consume("TRADING", self.router)
        assert list(self.inbox.iterdir()) == []
        return report.handled + report.duplicates, report.skipped, report.dead_lettered

    def dead(self) -> list[str]:
        folder = self.root / "Dead_Letter" / "TRADING"
        return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".reason.yaml"))


def mutated(data: bytes, rng: random.Random) -> bytes:
    kind = rng.randrange(7)
    if kind == 0:
        return data[: rng.randrange(len(data))]
    if kind == 1:
        return data[:4] + BOMB.encode() + b"\n" + data[4:]
    if kind == 2:
        return data.replace(b"MSG_EXEC", rng.choice([b"../../x", b"/etc/x", b"C:\\x", b"a/b", b"\\\\host\\x"]))
    if kind == 3:
        return data.replace(b"EXECUTIVE", rng.choice([b"..", b"../..", b"&a", b"'", b'"\\0"', b"[]"]))
    if kind == 4:
        return rng.randbytes(rng.randrange(300))
    flipped = bytearray(data)
    for _ in range(rng.randrange(1, 12)):
        flipped[rng.randrange(len(flipped))] = rng.randrange(256)
    return bytes(flipped)


def strew(desk: Desk, count: int) -> None:
    rng, data = random.Random(20251110), whole()
    for number in range(count):
        (desk.inbox / f"MSG_X_20251110T{number:06d}Z_{number}.md").write_bytes(mutated(data, rng))


def check_that_each_is_handled_or_set_aside(tmp_path: Path, count: int) -> None:
    workspace = tmp_path / "outer" / "workspace"
    workspace.mkdir(parents=True)
    desk = Desk(workspace, MemoryJournal())
    strew(desk, count)
    handled, skipped, dead = desk.consume()
    assert handled + skipped + dead == count
    assert min(handled, dead) > count // 20
    assert len(desk.dead()) == dead
    assert {path.name for path in tmp_path.iterdir()} == {"outer"}
    assert {path.name for path in (tmp_path / "outer").iterdir()} == {"workspace"}
    assert {path.name for path in workspace.iterdir()} == {"Messages_Between_Departments"}


def test_mutated_messages_are_each_handled_or_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    check_that_each_is_handled_or_set_aside(tmp_path, 1_000)


@pytest.mark.soak
def test_ten_thousand_mutated_messages_on_disk_are_each_handled_or_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    check_that_each_is_handled_or_set_aside(tmp_path, 10_000)


@pytest.mark.parametrize("count", [1_000, pytest.param(10_000, marks=pytest.mark.soak)])
def test_mutated_messages_in_memory_are_each_handled_or_set_aside(caplog: pytest.LogCaptureFixture, count: int) -> None:
    caplog.set_level(logging.CRITICAL)
    mailbox, handled = MemoryMailbox(), []
    bus = Bus(mailbox, MemoryJournal(), SimulatedClock(NOW), MessagingSettings())
    rng, data = random.Random(7), whole()
    for number in range(count):
        mailbox.put("TRADING", f"MSG_X_20251110T{number:06d}Z_{number}.md", mutated(data, rng))
    report = bus.consume("TRADING", router_of("TRADING", {"ExecutiveApproval": lambda m: handled.append(m.payload)}))
    assert report.handled + report.duplicates + report.dead_lettered == count
    assert min(report.handled + report.duplicates, report.dead_lettered) > count // 20
    assert len(mailbox.dead) == len(mailbox.reasons) == report.dead_lettered
    assert mailbox.waiting("TRADING") == []


def test_a_body_of_a_hundred_megabytes_is_set_aside_without_being_read(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    with (desk.inbox / "big.md").open("wb") as file:
        file.write(whole())
        file.truncate(100_000_000)
    before = most_memory()
    assert desk.consume() == (0, 0, 1)
    assert most_memory() - before < 20_000  # kilobytes


@pytest.mark.skipif(sys.platform == "win32", reason="links need special rights on Windows")
def test_a_symbolic_link_is_set_aside_and_never_followed(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    secret = tmp_path / "secret.md"
    secret.write_bytes(whole())
    (desk.inbox / "link.md").symlink_to(secret)
    (desk.inbox / "broken.md").symlink_to(tmp_path / "nowhere")
    assert desk.consume() == (0, 0, 2)
    assert desk.dead() == ["broken.md", "link.md"]
    assert secret.read_bytes() == whole()


def test_a_file_that_we_may_not_read_is_set_aside_with_that_reason(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    (desk.inbox / "secret.md").write_bytes(whole())
    with closed(desk.inbox / "secret.md"):
        assert desk.consume() == (0, 0, 1)
        reason = (desk.root / "Dead_Letter" / "TRADING" / "secret.md.reason.yaml").read_text(encoding="utf-8")
        (desk.root / "Dead_Letter" / "TRADING" / "secret.md").rename(desk.inbox / "secret.md")
    assert "cannot be read (its rights do not allow it)" in reason
    assert desk.consume() == (1, 0, 0)


def test_a_folder_named_like_a_message_is_set_aside(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    (desk.inbox / "folder.md" / "inner").mkdir(parents=True)
    assert desk.consume() == (0, 0, 1)
    assert (desk.root / "Dead_Letter" / "TRADING" / "folder.md" / "inner").is_dir()


def test_a_pipe_and_a_socket_do_not_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(tmp_path)
    pipe_at(desk.inbox / "pipe.md")
    monkeypatch.chdir(desk.inbox)
    with socket_at("socket.md"):
        assert desk.consume() == (0, 0, 2)


def test_an_inbox_that_is_a_link_to_elsewhere_is_not_published_through_twice(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.bus.publish(codec.decode(whole(), name="x.md"))
    with pytest.raises(MessageConflict):
        desk.bus.publish(codec.decode(whole().replace(b"ACME", b"EVIL"), name="x.md"))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such names")
def test_a_name_with_odd_characters_is_only_a_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(tmp_path)
    for name in ("a b.md", "ü📈.md", "--rf.md", "$(x).md", "con.md", "a\nb.md"):
        (desk.inbox / name).write_bytes(whole())
    (desk.inbox / os.fsdecode(b"\xff\xfe.md")).write_bytes(b"nothing")
    handled, _, dead = desk.consume()
    assert (handled, dead) == (6, 1)
    assert caplog.messages
    assert all(line.isprintable() for line in caplog.messages)


@pytest.mark.skipif(sys.platform in {"win32", "darwin"}, reason="names are text there")
def test_a_name_that_is_not_text_and_stands_for_the_id_spoils_no_other_message(tmp_path: Path) -> None:
    desk, data = Desk(tmp_path), whole()
    nameless = data.replace(b"message_id: MSG_EXECUTIVE_20251110T150912Z_0a1b2c3d\n", b"")
    (desk.inbox / os.fsdecode(b"\xff_20251110T150912Z_1.md")).write_bytes(nameless)
    (desk.inbox / "MSG_EXECUTIVE_20251110T150912Z_0a1b2c3d.md").write_bytes(data)
    assert desk.consume() == (1, 0, 1)


@pytest.mark.skipif(sys.platform == "win32", reason="paths are too short for it")
def test_the_longest_names_are_set_aside_and_archived_too(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for number, start in enumerate("abab"):
        data = whole().replace(b"0a1b2c3d", str(number).encode())
        (desk.inbox / f"{start * 252}.md").write_bytes(data if start == "a" else b"junk" + data)
        assert desk.consume() == ((1, 0, 0) if start == "a" else (0, 0, 1))
    archived = sorted(path.name for path in (desk.root / "Archive").rglob("*.md"))
    assert archived == [f"{'a' * 250}.2.md", f"{'a' * 252}.md"]
    assert [len(name) for name in desk.dead()] == [238, 236]


def test_a_file_of_a_server_whose_clock_is_ahead_stays_finished_once_it_is(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path, quiet=0.02)
    path = tmp_path / "Inbox" / "TRADING" / "junk.md"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"junk")
    os.utime(path, (4e9, 4e9))
    states = []
    for _ in range(3):
        found = mailbox.look("TRADING", path.name)
        assert found is not None
        states.append(found.state)
        if len(states) == 1:
            mailbox.wait_until_quiet()
    assert states[0] is not State.WHOLE
    assert states[1:] == [State.WHOLE, State.WHOLE]


def test_hidden_and_other_files_are_left_alone(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    names = {".x.md", "notes.txt", "x.md.tmp", "Thumbs.db"}
    for name in names:
        (desk.inbox / name).write_bytes(whole())
    desk.bus.consume("TRADING", desk.router)
    assert {path.name for path in desk.inbox.iterdir()} == names


@pytest.mark.skipif(sys.platform == "win32", reason="rights work differently on Windows")
def test_a_folder_that_cannot_be_made_is_one_clear_sentence_and_nothing_is_visible(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    shutil.rmtree(desk.inbox)
    desk.inbox.write_bytes(b"a file where the inbox should be")
    with pytest.raises(PublishError, match="cannot be written"):
        desk.bus.publish(codec.decode(whole(), name="x.md"))
    assert list(desk.root.rglob("*.md")) == []
    assert list((desk.root / ".tmp").iterdir()) == []


def test_a_disk_that_takes_no_more_is_one_clear_sentence_and_nothing_is_visible(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.bus.publish(codec.decode(whole(), name="x.md"))
    big = Letter("MSG_BIG.md", "EXECUTIVE", "TRADING", b"x" * 3_000_000)
    with (
        no_file_beyond(1_000_000),
        pytest.raises(PublishError, match=r"larger than .*nothing of it is visible"),
    ):
        desk.bus.mailbox.publish([big])
    assert not any("BIG" in path.name for path in desk.root.rglob("*.md"))
    assert list((desk.root / ".tmp").iterdir()) == []


def test_the_folder_that_is_in_the_way_is_named_with_the_mend(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path)
    (tmp_path / "Inbox").mkdir()
    (tmp_path / "Inbox" / "RISK").write_bytes(b"a file where the inbox should be")
    letters = [Letter(f"MSG_{to}.md", "EXECUTIVE", to, b"x") for to in ("TRADING", "RISK")]
    with pytest.raises(PublishError) as caught:
        mailbox.publish(letters)
    assert str(caught.value).startswith(str(tmp_path / "Inbox" / "RISK"))
    assert "one of 2 messages cannot be written" in str(caught.value)
    assert str(caught.value).endswith("make room there or correct the rights, and run the same command again.")


@pytest.mark.parametrize("box", ["Inbox/TRADING", "Outbox/EXECUTIVE"])
@pytest.mark.parametrize("count", [1, 2])
def test_a_pipe_that_has_taken_the_name_of_a_letter_is_a_conflict_and_nobody_waits_for_it(
    tmp_path: Path, box: str, count: int
) -> None:
    (tmp_path / box).mkdir(parents=True)
    pipe_at(tmp_path / box / "MSG_0.md")
    letters = [Letter(f"MSG_{number}.md", "EXECUTIVE", "TRADING", b"x") for number in range(count)]
    with pytest.raises(MessageConflict):
        Mailbox(tmp_path).publish(letters)
    assert [path.name for path in tmp_path.rglob("*.md")] == ["MSG_0.md"]


def test_what_vanished_holds_nothing_and_a_folder_holds_something_else(tmp_path: Path) -> None:
    (tmp_path / "letter.md").write_bytes(b"x")
    names = ("letter.md", "gone.md", ".")
    found = [disk.compare(os.fspath(tmp_path / name), b"x") for name in names]
    assert found == [Copy.WHOLE, Copy.MISSING, Copy.OTHER]


@pytest.mark.parametrize(
    ("held", "found"),
    [
        (b"", Copy.TORN),
        (b"te\0\0", Copy.TORN),
        (b"te", Copy.TORN),
        (b"text\0", Copy.OTHER),
        (bytes(5), Copy.OTHER),
        (b"text and more", Copy.OTHER),
        (b"tExt", Copy.OTHER),
    ],
)
def test_a_torn_copy_is_no_longer_than_the_whole_one(tmp_path: Path, held: bytes, found: Copy) -> None:
    (tmp_path / "copy.md").write_bytes(held)
    assert disk.compare(os.fspath(tmp_path / "copy.md"), b"text") is found


def test_a_link_to_a_whole_copy_is_none(tmp_path: Path) -> None:
    (tmp_path / "whole.md").write_bytes(b"text")
    (tmp_path / "link.md").symlink_to(tmp_path / "whole.md")
    assert disk.compare(os.fspath(tmp_path / "link.md"), b"text") is Copy.OTHER


def test_an_outbox_that_cannot_be_written_keeps_a_message_from_being_sent_at_all(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    outbox = desk.root / "Outbox" / "EXECUTIVE"
    outbox.mkdir(parents=True)
    with (
        write_protected(outbox),
        pytest.raises(PublishError, match=r"rights do not .*nothing of it is visible"),
    ):
        desk.bus.publish(codec.decode(whole(), name="x.md"))
    assert list(desk.root.rglob("*.md")) == []
    assert list(desk.root.glob(".tmp/*")) == []
