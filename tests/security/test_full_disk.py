"""A disk in trouble ends every command with exit code 3, and the same command ends the day once it is mended."""

import errno
import io
import logging
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from Departments.cli import run_command
from Departments.core.platform.disk_trouble import find_mend
from tests.builders.commands import Said, say
from tests.builders.second_day import (
    AGAIN,
    BOUGHT,
    BUYING,
    LATER,
    SELLING,
    ends_in_one_sentence,
    ends_well,
    interrupt,
    nothing_is_traded_twice,
    run_at,
)
from tests.fakes.disks import SmallDisk, failing_disk, small_disk
from tests.fakes.moments import when_it_says
from tests.invariants.scenarios import NEXT_DAY

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk") as mounted:
        yield mounted


def moved_to(disk: SmallDisk, folder: Path) -> Path:
    """Put a workspace on the small disk."""
    return Path(shutil.copytree(folder, disk.root / "ws"))


def ends_with_three_or_well(said: Said, *words: str) -> bool:
    """Check the end of a day on a disk in trouble; return True if the trouble ended it."""
    if said.code == 3:
        ends_in_one_sentence(said, 3, AGAIN, *words)
        return True
    ends_well(said)
    return False


def the_day_goes_on(folder: Path, capsys: Capture) -> None:
    said = say(capsys, *run_at(folder, LATER))
    if said.document["status"] != "ALREADY_EXECUTED":  # the trouble came after its end
        ends_well(said)
    assert list((folder / "Reports").glob("*.md"))
    nothing_is_traded_twice(folder)


# --- a file system that is filled ---


def live_at_level(disk: SmallDisk, folder: Path, capsys: Capture, kilobytes: int) -> bool:
    disk.leave(kilobytes)
    stopped = ends_with_three_or_well(say(capsys, *run_at(folder)), "make room")
    disk.make_room()
    the_day_goes_on(folder, capsys)
    return stopped


@pytest.mark.parametrize("kilobytes", [0, 200, 460])
def test_a_disk_full_at_any_level_ends_the_day_with_three_and_room_ends_it_well(
    disk: SmallDisk, folder_of_the_second_day: Path, capsys: Capture, kilobytes: int
) -> None:
    assert live_at_level(disk, moved_to(disk, folder_of_the_second_day), capsys, kilobytes)


@pytest.mark.soak
@pytest.mark.parametrize("kilobytes", range(0, 800, 20))
def test_a_disk_full_at_forty_levels_ends_the_day_with_three_and_room_ends_it_well(
    disk: SmallDisk, folder_of_the_second_day: Path, capsys: Capture, kilobytes: int
) -> None:
    live_at_level(disk, moved_to(disk, folder_of_the_second_day), capsys, kilobytes)


@pytest.mark.parametrize("inodes", [3, 17])
def test_a_disk_out_of_inodes_ends_the_day_with_three(
    disk: SmallDisk, folder_of_the_second_day: Path, capsys: Capture, inodes: int
) -> None:
    folder = moved_to(disk, folder_of_the_second_day)
    disk.leave_inodes(inodes)
    assert ends_with_three_or_well(say(capsys, *run_at(folder)), "make room")
    disk.make_room()
    the_day_goes_on(folder, capsys)


@pytest.mark.parametrize("moment", [None, BUYING])
def test_a_disk_that_became_read_only_ends_the_day_with_three(
    disk: SmallDisk, folder_of_the_second_day: Path, capsys: Capture, moment: str | None
) -> None:
    folder = moved_to(disk, folder_of_the_second_day)
    if moment is not None:
        with when_it_says(moment, interrupt):
            say(capsys, *run_at(folder))
    disk.remount("ro")
    ends_in_one_sentence(say(capsys, *run_at(folder, LATER)), 3, AGAIN, "make its disk writable")
    disk.remount("rw")
    the_day_goes_on(folder, capsys)


@pytest.mark.parametrize(
    "command",
    [("plan", "--plan", "plan.json"), ("resume",), ("reconcile",), ("regime",)],
)
def test_no_command_calls_a_read_only_disk_bad_input(
    disk: SmallDisk, folder_of_the_second_day: Path, capsys: Capture, command: tuple[str, ...]
) -> None:
    folder = moved_to(disk, folder_of_the_second_day)
    disk.remount("ro")
    name, *more = (str(folder / part) if part.endswith(".json") else part for part in command)
    said = say(capsys, name, "--workspace", folder, "--at", NEXT_DAY.isoformat(), *more)
    disk.remount("rw")
    assert said.code in {0, 3}
    assert said.code == 0 or ("make its disk writable" in said.err and AGAIN in said.err)


# --- calls that fail ---


@pytest.fixture(scope="module")
def uses(second_morning: Path, tmp_path_factory: pytest.TempPathFactory) -> int:
    """Return how often an undisturbed day needs its disk."""
    folder = Path(shutil.copytree(second_morning, tmp_path_factory.mktemp("counted") / "ws"))
    silence, logger = io.StringIO(), logging.getLogger("Departments")
    before = logger.handlers[:], logger.level, logger.propagate
    with failing_disk(folder) as disk, redirect_stdout(silence), redirect_stderr(silence):
        run_command([str(word) for word in run_at(folder)])
    logger.handlers[:], logger.level, logger.propagate = before
    return disk.asked


@pytest.mark.parametrize("quarter", range(4))
def test_whatever_call_a_full_disk_refuses_the_day_ends_with_three(
    folder_of_the_second_day: Path, capsys: Capture, uses: int, quarter: int
) -> None:
    folder = folder_of_the_second_day
    assert uses > 300
    with failing_disk(folder, first=1 + quarter * (uses - 1) // 4):
        assert ends_with_three_or_well(say(capsys, *run_at(folder)), "make room")
    the_day_goes_on(folder, capsys)


@pytest.mark.soak
@pytest.mark.parametrize("part", range(120))
def test_whatever_call_a_full_disk_refuses_the_day_ends_with_three_at_many_calls(
    folder_of_the_second_day: Path, capsys: Capture, uses: int, part: int
) -> None:
    folder = folder_of_the_second_day
    with failing_disk(folder, first=1 + part * (uses - 1) // 120):
        assert ends_with_three_or_well(say(capsys, *run_at(folder)), "make room")
    the_day_goes_on(folder, capsys)


@pytest.mark.parametrize(
    ("moment", "number", "code", "mend"),
    [
        (SELLING, errno.EDQUOT, sqlite3.SQLITE_IOERR, "make room"),
        (BOUGHT, errno.EDQUOT, sqlite3.SQLITE_FULL, "make room"),
        (BUYING, errno.EROFS, sqlite3.SQLITE_READONLY, "make its disk writable"),
    ],
)
def test_a_quota_and_a_read_only_disk_in_the_middle_of_a_day_end_it_with_three(
    folder_of_the_second_day: Path, capsys: Capture, moment: str, number: int, code: int, mend: str
) -> None:
    folder = folder_of_the_second_day
    with failing_disk(folder, number=number, code=code) as disk:

        def refuse() -> None:
            disk.first = 1

        with when_it_says(moment, refuse):
            said = say(capsys, *run_at(folder))
    ends_in_one_sentence(said, 3, mend, AGAIN)
    the_day_goes_on(folder, capsys)


# --- what the numbers mean ---


def of_windows(number: int) -> OSError:
    error = OSError(errno.EIO, "The disk is full")
    error.winerror = number  # type: ignore[attr-defined, unused-ignore]
    return error


@pytest.mark.parametrize(
    ("number", "mend"), [(112, "make room"), (39, "make room"), (1295, "make room"), (19, "writable")]
)
def test_windows_numbers_of_a_disk_in_trouble_are_known(tmp_path: Path, number: int, mend: str) -> None:
    assert mend in (find_mend(of_windows(number), tmp_path) or "")


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOENT, errno.EIO, errno.ENAMETOOLONG])
def test_other_numbers_of_the_system_are_no_trouble_of_the_disk(tmp_path: Path, number: int) -> None:
    assert find_mend(OSError(number, os.strerror(number)), tmp_path) is None


def test_a_ledger_that_cannot_be_opened_on_a_good_disk_is_no_trouble_of_the_disk(tmp_path: Path) -> None:
    error = sqlite3.OperationalError("unable to open database file")
    error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
    assert find_mend(error, tmp_path / "sentinel.db") is None
    assert list(tmp_path.iterdir()) == []
