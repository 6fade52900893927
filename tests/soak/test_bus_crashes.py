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

from Departments.core.clock import SystemClock
from Departments.messaging import codec
from Departments.messaging.mailbox import Durability
from tests.fakes.bus_day import Day, check_that_the_day_is_whole, lay_out, message, run_day
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


def publish_until_cut(workspace: Path, acknowledged: int, durability: Durability) -> None:
    workspace.mkdir()
    day = Day(workspace, 0, durability=durability)
    for number in range(100_000):
        day.bus.publish(message(number))
        os.write(acknowledged, number.to_bytes(4, "big"))


def cut(image: Path, tmp_path: Path, durability: Durability, seconds: float) -> tuple[set[int], set[int]]:
    """Publish, copy the image in the midst of it, and return (acknowledged, found whole on the copy)."""
    reading, writing = os.pipe()
    with mounted(image, tmp_path / "mount") as folder:
        child = forked(lambda: publish_until_cut(folder / "workspace", writing, durability))
        os.close(writing)
        SystemClock().sleep(seconds)
        told, copy = still(child, reading, image)
    with mounted(copy, tmp_path / "after") as folder:
        return told, found_whole(folder / "workspace" / "Messages" / "Inbox" / "TRADING", durability)


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


def found_whole(inbox: Path, durability: Durability) -> set[int]:
    found = set()
    for path in inbox.glob("*.md") if inbox.is_dir() else ():
        number = int(path.stem.rpartition("_")[2], 16)
        if path.read_bytes() == codec.encode(message(number)):
            found.add(number)
        else:
            assert durability == "fast", "a message is visible and not whole"
    return found


@pytest.mark.parametrize("kind", list(MEGABYTES))
@pytest.mark.parametrize("seconds", [0.5, 1.1, 1.9])
def test_after_a_power_cut_every_acknowledged_message_is_there(tmp_path: Path, kind: str, seconds: float) -> None:
    image = tmp_path / "disk.img"
    formatted(image, kind)
    acknowledged, found = cut(image, tmp_path, "full", seconds)
    assert len(acknowledged) > 5
    assert acknowledged <= found


def test_the_power_cut_is_one_because_messages_that_are_not_flushed_are_lost(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    formatted(image, "ext4")
    acknowledged, found = cut(image, tmp_path, "fast", 0.5)
    assert len(acknowledged - found) > len(acknowledged) // 2
