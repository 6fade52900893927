"""What every mailbox promises: the folder of files, with and without hard links, and the in-memory twin."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from Departments.core.errors import BadInput, MessageConflict, PublishError, WorkspaceBusy
from Departments.messaging.mailbox import Mailbox
from Departments.messaging.ports import Letter, Storage
from tests.fakes.memory import MemoryMailbox

LETTER = Letter("MSG_A_20251110T150912Z_1.md", "EXECUTIVE", "TRADING", b"one")
Make = Callable[[], Storage]


@pytest.fixture(params=["files", "files without links", "fast files", "memory"])
def mailbox(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    makes: dict[str, Make] = {
        "files": lambda: Mailbox(tmp_path, quiet=0),
        "files without links": lambda: Mailbox(tmp_path, quiet=0, hard_links=False),
        "fast files": lambda: Mailbox(tmp_path, durability="fast", quiet=0),
        "memory": MemoryMailbox,
    }
    return makes[request.param]()


def data_of(mailbox: Storage, name: str, department: str = "TRADING") -> bytes:
    found = mailbox.look(department, name)
    assert found is not None
    return found.data


def test_a_published_letter_waits_whole_in_the_inbox(mailbox: Storage) -> None:
    mailbox.publish([LETTER])
    found = mailbox.look("TRADING", LETTER.name)
    assert mailbox.waiting("TRADING") == [LETTER.name]
    assert found is not None
    assert (found.data, found.problem) == (b"one", "")


def test_an_inbox_that_nobody_wrote_to_is_empty(mailbox: Storage) -> None:
    assert mailbox.waiting("RISK") == []
    assert mailbox.look("RISK", "x.md") is None


def test_publishing_the_same_again_changes_nothing(mailbox: Storage) -> None:
    mailbox.publish([LETTER])
    mailbox.publish([LETTER])
    assert mailbox.waiting("TRADING") == [LETTER.name]


def test_publishing_the_same_after_it_was_handled_does_not_deliver_it_again(mailbox: Storage) -> None:
    mailbox.publish([LETTER])
    mailbox.archive("TRADING", LETTER.name, "2025-11-10")
    mailbox.publish([LETTER])
    assert mailbox.waiting("TRADING") == []


def test_publishing_the_same_id_with_other_content_is_a_conflict(mailbox: Storage) -> None:
    mailbox.publish([LETTER])
    with pytest.raises(MessageConflict, match="other content"):
        mailbox.publish([Letter(LETTER.name, "EXECUTIVE", "TRADING", b"two")])
    assert data_of(mailbox, LETTER.name) == b"one"


def test_a_file_of_a_stranger_under_the_same_name_is_not_overwritten(mailbox: Storage) -> None:
    mailbox.publish([LETTER])
    with pytest.raises(MessageConflict):
        mailbox.publish([Letter(LETTER.name, "RISK", "TRADING", b"two")])
    assert data_of(mailbox, LETTER.name) == b"one"


@pytest.mark.parametrize(
    "bad",
    ["../../x.md", "a/b.md", "a\\b.md", "a:b.md", "", ".hidden.md", "x" * 200, "a\0.md", "CON.md", "nul", "Lpt1.a.md"],
)
def test_a_name_that_is_not_safe_everywhere_is_refused(mailbox: Storage, bad: str) -> None:
    with pytest.raises(PublishError):
        mailbox.publish([Letter(bad, "EXECUTIVE", "TRADING", b"one")])
    with pytest.raises(PublishError):
        mailbox.publish([Letter(LETTER.name, "EXECUTIVE", bad, b"one")])
    with pytest.raises(PublishError):
        mailbox.publish([Letter(LETTER.name, bad, "TRADING", b"one")])


def test_many_letters_are_published_at_once(mailbox: Storage) -> None:
    letters = [Letter(f"MSG_{i}.md", "EXECUTIVE", f"D{i % 3}", bytes([i])) for i in range(10)]
    mailbox.publish(letters)
    assert sorted(name for d in ("D0", "D1", "D2") for name in mailbox.waiting(d)) == [x.name for x in letters]


def test_a_conflict_among_many_letters_leaves_all_of_them_unsent(mailbox: Storage) -> None:
    mailbox.publish([Letter("MSG_B.md", "RISK", "TRADING", b"one")])
    with pytest.raises(MessageConflict):
        mailbox.publish([Letter(name, "EXECUTIVE", "TRADING", b"two") for name in ("MSG_A.md", "MSG_B.md")])
    assert mailbox.waiting("TRADING") == ["MSG_B.md"]


@pytest.mark.parametrize("change", [{"recipient": "RISK"}, {"sender": "RISK"}])
def test_letters_of_one_batch_that_conflict_are_all_unsent(mailbox: Storage, change: dict[str, str]) -> None:
    with pytest.raises(MessageConflict):
        mailbox.publish([LETTER, LETTER._replace(data=b"two", **change)])
    assert mailbox.waiting("TRADING") == mailbox.waiting("RISK") == []


def test_an_archived_message_has_left_the_inbox(mailbox: Storage) -> None:
    mailbox.publish([LETTER])
    assert mailbox.archive("TRADING", LETTER.name, "2025-11-10") == LETTER.name
    assert mailbox.waiting("TRADING") == []


def test_an_archived_name_is_never_overwritten(mailbox: Storage) -> None:
    mailbox.publish([Letter("MSG_A.md", "EXECUTIVE", "TRADING", b"one")])
    mailbox.archive("TRADING", "MSG_A.md", "2025-11-10")
    mailbox.publish([Letter("MSG_A.md", "RISK", "TRADING", b"two")])
    assert mailbox.archive("TRADING", "MSG_A.md", "2025-11-10") == "MSG_A.2.md"


def test_a_dead_letter_has_left_the_inbox_and_is_never_overwritten(mailbox: Storage) -> None:
    mailbox.publish([Letter("MSG_A.md", "EXECUTIVE", "TRADING", b"one")])
    assert mailbox.bury("TRADING", "MSG_A.md", "code: X\n") == "MSG_A.md"
    mailbox.publish([Letter("MSG_A.md", "RISK", "TRADING", b"two")])
    assert mailbox.bury("TRADING", "MSG_A.md", "code: X\n") == "MSG_A.2.md"
    assert mailbox.waiting("TRADING") == []


def test_an_inbox_can_be_held_again_after_it_was_released(mailbox: Storage) -> None:
    for _ in range(2):
        with mailbox.holding("TRADING", wait=0), mailbox.holding("TRADING", wait=0) as was_ours:
            assert was_ours


def test_temporary_files_that_nobody_touches_are_cleaned_away_by_the_next_publisher(tmp_path: Path) -> None:
    Mailbox(tmp_path).publish([LETTER])
    old, new = tmp_path / ".tmp" / "old", tmp_path / ".tmp" / "new"
    old.write_bytes(b"")
    new.write_bytes(b"")
    os.utime(old, (0, 0))
    Mailbox(tmp_path).publish([Letter("MSG_B.md", "EXECUTIVE", "TRADING", b"two")])
    assert not old.exists()
    assert new.exists()


def test_what_a_killed_process_of_the_same_number_left_behind_is_in_nobodys_way(tmp_path: Path) -> None:
    left: dict[Path, bytes] = {}

    def look(label: str) -> None:
        if label == "after:publish.write":
            left.update({path: path.read_bytes() for path in (tmp_path / ".tmp").iterdir()})

    mailbox = Mailbox(tmp_path, step=look)
    mailbox.publish([LETTER])
    assert left
    for path, data in left.items():  # as if it had been killed there
        path.write_bytes(data)
    mailbox.__init__(tmp_path)  # type: ignore[misc] # the next process, whose memory is laid out as the last one's was
    mailbox.publish([LETTER._replace(name="MSG_B_20251110T150912Z_1.md")])
    assert len(mailbox.waiting("TRADING")) == 2


def test_a_folder_that_was_taken_away_is_made_again(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path)
    mailbox.publish([LETTER])
    shutil.rmtree(tmp_path)
    mailbox.publish([LETTER])
    assert mailbox.waiting("TRADING") == [LETTER.name]
    mailbox.archive("TRADING", LETTER.name, "2025-11-10")
    assert (tmp_path / "Archive" / "2025-11-10" / "TRADING" / LETTER.name).exists()


def test_a_message_in_inbox_and_archive_after_a_kill_is_one_again(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path)
    mailbox.publish([LETTER])
    archived = tmp_path / "Archive" / "2025-11-10" / "TRADING" / LETTER.name
    archived.parent.mkdir(parents=True)
    archived.hardlink_to(tmp_path / "Inbox" / "TRADING" / LETTER.name)
    assert mailbox.archive("TRADING", LETTER.name, "2025-11-10") == LETTER.name
    assert mailbox.waiting("TRADING") == []
    assert [path.name for path in archived.parent.iterdir()] == [LETTER.name]


def test_a_dead_letter_in_both_places_after_a_kill_is_one_again(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path)
    mailbox.publish([LETTER])
    dead = tmp_path / "Dead_Letter" / "TRADING" / LETTER.name
    dead.parent.mkdir(parents=True)
    dead.hardlink_to(tmp_path / "Inbox" / "TRADING" / LETTER.name)
    assert mailbox.bury("TRADING", LETTER.name, "code: X\n") == LETTER.name
    assert sorted(path.name for path in dead.parent.iterdir()) == [LETTER.name, f"{LETTER.name}.reason.yaml"]


def test_whoever_edits_a_waiting_letter_does_not_change_the_senders_copy(tmp_path: Path) -> None:
    Mailbox(tmp_path).publish([LETTER])
    with (tmp_path / "Inbox" / "TRADING" / LETTER.name).open("r+b") as file:
        file.write(b"two")
    assert (tmp_path / "Outbox" / "EXECUTIVE" / LETTER.name).read_bytes() == LETTER.data
    assert list((tmp_path / ".tmp").iterdir()) == []


def test_a_scanner_that_has_the_new_file_open_does_not_stop_its_publication(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(source: str, target: str) -> None:  # as Windows does while any name of the file is open
        raise PermissionError(errno.EACCES, "the file is used by another process", source)

    monkeypatch.setattr(os, "replace", refused)
    Mailbox(tmp_path).publish([LETTER])
    for folder in (tmp_path / "Inbox" / "TRADING", tmp_path / "Outbox" / "EXECUTIVE"):
        assert (folder / LETTER.name).read_bytes() == LETTER.data
    assert list((tmp_path / ".tmp").iterdir()) == []


def test_an_inbox_is_held_by_one_process_at_a_time(tmp_path: Path) -> None:
    with Mailbox(tmp_path).holding("TRADING", wait=0) as was_ours:
        assert not was_ours
        with pytest.raises(WorkspaceBusy, match="another process handles the inbox of TRADING"):
            Mailbox(tmp_path).holding("TRADING", wait=0).__enter__()
        with Mailbox(tmp_path).holding("RISK", wait=0):
            pass


def test_a_lock_that_cannot_be_taken_is_reported_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / ".locks" / "TRADING.lock").mkdir(parents=True)
    with pytest.raises(BadInput, match=r"TRADING\.lock: the lock cannot be written .*use a disk with file locks"):
        Mailbox(tmp_path).holding("TRADING", wait=0).__enter__()


class Flushes:
    """Notes the inode of every flush, and whether a path was there at that moment."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
        self.seen: list[tuple[int, bool]] = []
        fsync = os.fsync

        def note(descriptor: int) -> None:
            fsync(descriptor)
            self.seen.append((os.fstat(descriptor).st_ino, path.exists()))

        monkeypatch.setattr(os, "fsync", note)


@pytest.mark.parametrize("count", [1, 5])
def test_publishing_flushes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    flushes = Flushes(monkeypatch, tmp_path)
    Mailbox(tmp_path).publish([Letter(f"MSG_{n}.md", "EXECUTIVE", "TRADING", b"text") for n in range(count)])
    assert flushes.seen == []


def test_archiving_a_letter_of_ours_flushes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mailbox, flushes = Mailbox(tmp_path), Flushes(monkeypatch, tmp_path)
    mailbox.publish([LETTER])
    mailbox.archive("TRADING", LETTER.name, "2025-11-10", flush=False)
    assert flushes.seen == []


def move_of(mailbox: Mailbox, kind: str) -> Callable[[], str]:
    here, there = ("Inbox", "TRADING", "x.md"), ("Archive", "2025-11-10", "TRADING")
    return {
        "archive": lambda: mailbox.archive("TRADING", "x.md", "2025-11-10"),
        "dead letter": lambda: mailbox.bury("TRADING", "x.md", "code: X\n"),
        "retire": lambda: mailbox.relocate(here, there, "x.md", label="retire"),
    }[kind]


@pytest.mark.parametrize("kind", ["archive", "dead letter", "retire"])
def test_what_a_stranger_dropped_is_flushed_at_its_new_place_before_it_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    dropped = tmp_path / "Inbox" / "TRADING" / "x.md"
    dropped.parent.mkdir(parents=True)
    dropped.write_bytes(b"text")
    file, flushes = dropped.stat().st_ino, Flushes(monkeypatch, dropped)
    move_of(Mailbox(tmp_path), kind)()
    (folder,) = {path.parent for path in tmp_path.rglob("x.md")}
    new = [each.stat().st_ino for each in (folder, *folder.parents) if each.is_relative_to(tmp_path)]
    assert not dropped.exists()
    assert {file, *new} <= {inode for inode, was_there in flushes.seen if was_there}


@pytest.mark.parametrize("kind", ["archive", "dead letter", "retire"])
def test_where_nothing_is_to_be_flushed_a_stranger_file_moves_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    dropped = tmp_path / "Inbox" / "TRADING" / "x.md"
    dropped.parent.mkdir(parents=True)
    dropped.write_bytes(b"text")
    flushes = Flushes(monkeypatch, dropped)
    move_of(Mailbox(tmp_path, durability="fast"), kind)()
    assert flushes.seen == []


@pytest.mark.parametrize("torn", [b"", b"o", b"o\0\0", b"\0\0\0", None])
@pytest.mark.parametrize("moved", ["Inbox", "Archive/2025-11-10", "Dead_Letter"])
def test_what_a_power_cut_left_of_a_letter_is_restored(tmp_path: Path, torn: bytes | None, moved: str) -> None:
    mailbox, received = Mailbox(tmp_path), tmp_path / moved / "TRADING" / LETTER.name
    mailbox.publish([LETTER])
    received.parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "Inbox" / "TRADING" / LETTER.name).rename(received)
    for path in (received, tmp_path / "Outbox" / "EXECUTIVE" / LETTER.name):
        path.unlink()
        if torn is not None:
            path.write_bytes(torn)
    Mailbox(tmp_path).publish([LETTER], again=True)
    places = [received] if torn is not None else [tmp_path / "Inbox" / "TRADING" / LETTER.name]
    assert [path.read_bytes() for path in places] == [b"one"]
    assert (tmp_path / "Outbox" / "EXECUTIVE" / LETTER.name).read_bytes() == b"one"
    assert len(list(tmp_path.rglob(LETTER.name))) == 2
    assert list((tmp_path / ".tmp").iterdir()) == []


@pytest.mark.parametrize("moved", ["Inbox", "Archive/2025-11-10", "Dead_Letter", "elsewhere"])
def test_a_letter_that_was_delivered_is_left_where_it_is(mailbox: Storage, tmp_path: Path, moved: str) -> None:
    mailbox.publish([LETTER])
    if isinstance(mailbox, Mailbox):
        (tmp_path / moved / "TRADING").mkdir(parents=True, exist_ok=True)
        (tmp_path / "Inbox" / "TRADING" / LETTER.name).rename(tmp_path / moved / "TRADING" / LETTER.name)
    before = mailbox.waiting("TRADING")
    mailbox.publish([LETTER], again=True)
    assert mailbox.waiting("TRADING") == before


def test_a_letter_whose_copies_are_archived_both_is_not_delivered_again(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path)
    mailbox.publish([LETTER])
    mailbox.archive("TRADING", LETTER.name, "2025-11-10")
    kept, archive = ("Outbox", "EXECUTIVE", LETTER.name), ("Archive", "2025-11-10", "EXECUTIVE")
    mailbox.relocate(kept, archive, LETTER.name, label="retire")
    (tmp_path / "Archive" / "2025-11.zip").write_bytes(b"")
    Mailbox(tmp_path).publish([LETTER], again=True)
    assert mailbox.waiting("TRADING") == []
    assert not (tmp_path / "Outbox" / "EXECUTIVE" / LETTER.name).exists()


def test_something_else_under_the_name_of_a_letter_is_not_taken_for_a_torn_copy(tmp_path: Path) -> None:
    waiting = tmp_path / "Inbox" / "TRADING" / LETTER.name
    waiting.parent.mkdir(parents=True)
    waiting.write_bytes(b"two")
    with pytest.raises(MessageConflict):
        Mailbox(tmp_path).publish([LETTER], again=True)
    assert waiting.read_bytes() == b"two"


def test_flushed_letters_are_safe_and_letters_without_a_senders_copy_are_not(mailbox: Storage) -> None:
    mailbox.publish([LETTER])
    assert mailbox.flush([LETTER, LETTER._replace(name="MSG_B.md")]) == [LETTER.name]


@pytest.mark.parametrize("archived", [True, False])
def test_a_letter_is_flushed_with_every_folder_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, archived: bool
) -> None:
    mailbox = Mailbox(tmp_path)
    mailbox.publish([LETTER])
    if archived:
        mailbox.archive("TRADING", LETTER.name, "2025-11-10", flush=False)
    flushes = Flushes(monkeypatch, tmp_path)
    mailbox.flush([LETTER])
    copies = list(tmp_path.rglob(LETTER.name))
    wanted = {path.stat().st_ino for copy in copies for path in (copy, copy.parent, copy.parent.parent)}
    assert len(copies) == 2
    assert wanted <= {inode for inode, _ in flushes.seen}


@pytest.mark.parametrize("count", [1, 2, 5])
def test_when_a_disk_takes_no_more_nothing_of_any_letter_is_visible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    mailbox, write, writes = Mailbox(tmp_path), os.write, itertools.count(1)
    mailbox.publish([Letter("MSG_A.md", "EXECUTIVE", "TRADING", b"text")])

    def fail(descriptor: int, data: bytes) -> int:
        if next(writes) == count:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", fail)
    letters = [Letter(f"MSG_{n}.md", "EXECUTIVE", "TRADING", b"text") for n in range(count)]
    with pytest.raises(PublishError, match="its disk is full"):
        mailbox.publish(letters)
    assert mailbox.waiting("TRADING") == ["MSG_A.md"]
    assert list((tmp_path / ".tmp").iterdir()) == []
    mailbox.publish(letters)
    assert len(mailbox.waiting("TRADING")) == count + 1
