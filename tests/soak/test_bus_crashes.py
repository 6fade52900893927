"""The bus under every kill and every power cut that the machine can make."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from Departments.core.platform.clock import SystemClock
from Departments.messaging import codec, disk
from Departments.messaging.mailbox import Durability, Mailbox
from Departments.messaging.message import Message
from tests.fakes.bus_day import Day, check_that_the_day_is_whole, effects, lay_out, message, run_day
from tests.fakes.killing import KILL, in_a_child, killed_at

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL"),
]
MEGABYTES = {"ext4": 64, "xfs": 320, "btrfs": 160}


@pytest.mark.parametrize("batch", [False, True])
def test_killed_at_each_announcement_the_day_ends_as_if_it_had_not_been(tmp_path: Path, *, batch: bool) -> None:
    workspace, labels = tmp_path / "workspace", tmp_path / "labels.json"

    def record() -> None:
        heard: list[str] = []
        run_day(workspace, 2, heard.append, batch=batch, durability="full")
        labels.write_text(json.dumps(heard), encoding="utf-8")

    lay_out(workspace)
    assert in_a_child(record) == 0
    for number, label in enumerate(json.loads(labels.read_text(encoding="utf-8"))):
        shutil.rmtree(workspace)
        lay_out(workspace)
        again = partial(run_day, workspace, 2, killed_at(number), batch=batch, durability="full")
        assert in_a_child(again) == KILL, label
        assert in_a_child(partial(run_day, workspace, 2, batch=batch)) == 0, label
        check_that_the_day_is_whole(workspace, 2)


def test_killed_at_two_hundred_random_moments_the_day_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    rng, kills, length = random.Random(20251110), 0, 0.5
    for number in range(1_000):
        workspace = tmp_path / str(number)
        lay_out(workspace)
        begun = time.monotonic()
        ended = in_a_child(partial(run_day, workspace, 10), killed_after=rng.uniform(0, length))
        if ended == 0:
            length = 0.9 * (time.monotonic() - begun)
        kills += ended == KILL
        assert in_a_child(partial(run_day, workspace, 10)) == 0
        check_that_the_day_is_whole(workspace, 10)
        shutil.rmtree(workspace)
        if kills == 200:
            return
    pytest.fail(f"only {kills} kills hit a running day")


def test_killed_again_and_again_the_day_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    rng, workspace = random.Random(7), tmp_path / "workspace"
    lay_out(workspace)
    for _ in range(40):
        in_a_child(partial(run_day, workspace, 200), killed_after=rng.uniform(0.05, 0.3))
    assert in_a_child(partial(run_day, workspace, 200)) == 0
    check_that_the_day_is_whole(workspace, 200)


# --- power cuts ---


def tool(*command: str) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@contextmanager
def mounted(image: Path, folder: Path) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    if not tool("mount", "-o", "loop", str(image), str(folder)):
        pytest.skip("file systems cannot be loop-mounted here")
    try:
        yield folder
    finally:
        for _ in range(100):
            if tool("umount", str(folder)):  # busy until the kernel has put the killed child away
                break
            SystemClock().sleep(0.05)


def formatted(image: Path, kind: str) -> None:
    with image.open("wb") as file:
        file.truncate(MEGABYTES[kind] * 1_000_000)
    force = "-F" if kind == "ext4" else "-f"
    if not shutil.which(f"mkfs.{kind}") or not tool(f"mkfs.{kind}", "-q", force, str(image)):
        pytest.skip(f"{kind} file systems cannot be made here")


Work = Callable[[Path, int], None]


def publish_until_cut(workspace: Path, acknowledged: int, *, durability: Durability = "full") -> None:
    day = Day(workspace, 0, durability=durability)
    for number in range(100_000):
        day.bus.publish(message(number))
        os.write(acknowledged, number.to_bytes(4, "big"))


def drop(inbox: Path, name: str, data: bytes) -> None:
    """Put a file into an inbox as a stranger does who cares: flushed, and the folder too."""
    disk.write_new(os.fspath(inbox / name), data, flush=True)
    disk.sync_folder(os.fspath(inbox))


def live_until_cut(workspace: Path, acknowledged: int) -> None:
    """Let strangers drop messages and rubbish, publish, and handle everything, again and again."""
    inbox = workspace / "Messages" / "Inbox" / "TRADING"
    inbox.mkdir(parents=True)
    day = Day(workspace, 0)
    for number in range(100_000):
        drop(inbox, dropped(number).name, codec.encode(dropped(number)))
        drop(inbox, rubbish(number), b"rubbish")
        day.bus.publish(message(number))
        os.write(acknowledged, number.to_bytes(4, "big"))
        handle_everything(day)
        if number % 10 == 9:
            day.bus.settle()


def dropped(number: int) -> Message:
    return message(20_000 + number, sender="RISK")


def rubbish(number: int) -> str:
    return f"RUBBISH_20251110T150912Z_{number:08x}.md"


def handle_everything(day: Day) -> None:
    for department in ("TRADING", "PORTFOLIO", "EXECUTIVE"):
        day.bus.consume(department, day.rows[department])


@contextmanager
def cut(image: Path, tmp_path: Path, work: Work, seconds: float) -> Iterator[tuple[set[int], Path]]:
    """Work, copy the image in the midst of it, and yield what was acknowledged and the workspace on the copy."""
    reading, writing = os.pipe()
    with mounted(image, tmp_path / "mount") as folder:
        (folder / "workspace").mkdir()
        child = forked(lambda: work(folder / "workspace", writing))
        os.close(writing)
        SystemClock().sleep(seconds)
        told, copy = still(child, reading, image)
    with mounted(copy, tmp_path / "after") as folder:
        yield told, folder / "workspace"


def begin_again(workspace: Path) -> Day:
    """Start the desk, which delivers what is committed: durability has one owner, the ledger."""
    day = Day(workspace, 0)
    day.bus.deliver_pending()
    day.bus.settle()
    return day


def forked(work: Callable[[], None]) -> int:
    if sys.platform != "win32":
        child = os.fork()
        if child == 0:
            try:
                work()
            finally:
                os._exit(1)
        return child
    raise AssertionError("there is no fork here")


def still(child: int, reading: int, image: Path) -> tuple[set[int], Path]:
    """Stop the child, copy the image as it lies there, and return what was acknowledged by then, and the copy."""
    if sys.platform != "win32":
        os.kill(child, signal.SIGSTOP)
        os.set_blocking(reading, False)
        copy = image.with_name("cut.img")
        shutil.copyfile(image, copy)
        told = drained(reading)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return told, copy
    raise AssertionError("no process can be stopped here")


def drained(reading: int) -> set[int]:
    data = b""
    try:
        while more := os.read(reading, 65_536):
            data += more
    except BlockingIOError:
        pass
    os.close(reading)
    return {int.from_bytes(data[at : at + 4], "big") for at in range(0, len(data), 4)}


def found_whole(workspace: Path, *, all_are: bool = True) -> set[int]:
    found = set()
    for path in (workspace / "Messages" / "Inbox" / "TRADING").glob("*.md"):
        number = int(path.stem.rpartition("_")[2], 16)
        if path.read_bytes() == codec.encode(message(number)):
            found.add(number)
        else:
            assert not all_are, "a message is visible and not whole"
    return found


@pytest.mark.parametrize("kind", list(MEGABYTES))
@pytest.mark.parametrize("seconds", [0.5, 1.1, 1.9])
def test_after_a_power_cut_every_acknowledged_message_is_there(tmp_path: Path, kind: str, seconds: float) -> None:
    image = tmp_path / "disk.img"
    formatted(image, kind)
    with cut(image, tmp_path, publish_until_cut, seconds) as (acknowledged, workspace):
        begin_again(workspace).database.close()
        assert len(acknowledged) > 5
        assert acknowledged <= found_whole(workspace)


def test_the_power_cut_is_one_because_messages_that_are_not_flushed_are_lost_until_the_desk_starts(
    tmp_path: Path,
) -> None:
    image = tmp_path / "disk.img"
    formatted(image, "ext4")
    with cut(image, tmp_path, partial(publish_until_cut, durability="fast"), 0.5) as (acknowledged, workspace):
        assert len(acknowledged - found_whole(workspace, all_are=False)) > len(acknowledged) // 2


@pytest.mark.parametrize("kind", list(MEGABYTES))
@pytest.mark.parametrize("seconds", [0.7, 1.3, 2.4])
def test_after_a_power_cut_nothing_is_lost_that_was_archived_or_set_aside(
    tmp_path: Path, kind: str, seconds: float
) -> None:
    image = tmp_path / "disk.img"
    formatted(image, kind)
    with cut(image, tmp_path, live_until_cut, seconds) as (acknowledged, workspace):
        day = begin_again(workspace)
        handle_everything(day)
        day.bus.settle()
        day.database.close()
        check_that_nothing_is_lost(workspace, acknowledged)
        assert acknowledged


def check_that_nothing_is_lost(workspace: Path, acknowledged: set[int]) -> None:
    """Every acknowledged message had its effect once; every file lies whole where it belongs."""
    root, done = workspace / "Messages", effects(workspace)
    for number in acknowledged:
        for each in (message(number), dropped(number)):
            assert done["TRADING", each.message_id] == 1
            assert whole(root / "Archive", each, "TRADING"), each.name
        assert whole(root / "Outbox", message(number), "EXECUTIVE")
        report = message(10_000 + number, "PORTFOLIO", "execution", "TRADING")
        assert whole(root / "Outbox", report, "TRADING")
        assert whole(root / "Archive", report, "PORTFOLIO")
        assert (root / "Dead_Letter" / "TRADING" / rubbish(number)).read_bytes() == b"rubbish"
    for path in root.rglob("MSG_*.md"):
        codec.decode(path.read_bytes(), name=path.name)
    assert max(done.values()) == 1


def whole(box: Path, each: Message, department: str) -> bool:
    """Return whether every copy that a department has of a message is whole, and there is one."""
    copies = [path for path in box.rglob(each.name) if path.parent.name == department]
    return bool(copies) and all(path.read_bytes() == codec.encode(each) for path in copies)


MOVES: dict[str, Callable[[Mailbox], str]] = {
    "archive": lambda mailbox: mailbox.archive("TRADING", "x.md", "2025-11-10"),
    "dead letter": lambda mailbox: mailbox.bury("TRADING", "x.md", "code: X\n"),
    "retire": lambda mailbox: mailbox.relocate(
        ("Inbox", "TRADING", "x.md"), ("Archive", "2025-11-10", "TRADING"), "x.md", label="retire"
    ),
}


def moved_before_a_cut(tmp_path: Path, kind: str, move: str, durability: Durability) -> list[bytes]:
    """Move a stranger's message, let the next one be dropped, cut the power, and return what is left of the first."""
    image = tmp_path / "disk.img"
    formatted(image, kind)
    with mounted(image, tmp_path / "mount") as folder:
        inbox = folder / "Inbox" / "TRADING"
        inbox.mkdir(parents=True)
        drop(inbox, "x.md", b"stranger")
        tool("sync")
        MOVES[move](Mailbox(folder, durability=durability))
        drop(inbox, "y.md", b"the next one")
        copy = image.with_name("cut.img")
        shutil.copyfile(image, copy)
    with mounted(copy, tmp_path / "after") as folder:
        return [path.read_bytes() for path in folder.rglob("x.md")]


@pytest.mark.parametrize("kind", list(MEGABYTES))
@pytest.mark.parametrize("move", list(MOVES))
def test_after_a_power_cut_a_message_that_has_just_moved_is_there(tmp_path: Path, kind: str, move: str) -> None:
    assert moved_before_a_cut(tmp_path, kind, move, "full") == [b"stranger"]


def test_the_move_is_flushed_because_btrfs_loses_one_that_is_not(tmp_path: Path) -> None:
    assert moved_before_a_cut(tmp_path, "btrfs", "archive", "fast") == []
