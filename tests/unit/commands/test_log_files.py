"""The log file: full files are put aside and the oldest goes, whoever has one of them open."""

import io
from datetime import timedelta
from pathlib import Path

import pytest

from Departments.commands.log_files import PARTS, CopiedStream, LogWriter, remove_old
from tests.builders.desk import MORNING
from tests.fakes.windows import Windows


def write_lines(path: Path, count: int) -> None:
    """Write numbered lines of ten bytes, as one run each."""
    for number in range(count):
        log = LogWriter(path, full=20)
        log.write(f"line {number:04d}\n")
        log.close()


def test_a_full_file_is_put_aside_and_the_oldest_goes(tmp_path: Path) -> None:
    write_lines(tmp_path / "run.log", 2 * (PARTS + 2) + 1)
    names = ["run.log", *(f"run.log.{number}" for number in range(1, PARTS + 1))]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert (tmp_path / "run.log").read_text(encoding="utf-8") == "line 0014\n"
    assert (tmp_path / "run.log.1").read_text(encoding="utf-8") == "line 0012\nline 0013\n"
    assert (tmp_path / f"run.log.{PARTS}").read_text(encoding="utf-8") == "line 0004\nline 0005\n"


def test_a_long_run_begins_a_new_file_between_two_texts(tmp_path: Path) -> None:
    log = LogWriter(tmp_path / "run.log", full=20)
    out, err = CopiedStream(io.StringIO(), log), CopiedStream(io.StringIO(), log)
    for stream in (out, err, out, err, out):
        stream.write("12345678 ä\n")
    log.close()
    sizes = [
        len((tmp_path / name).read_text(encoding="utf-8").splitlines())
        for name in ("run.log.2", "run.log.1", "run.log")
    ]
    assert sizes == [2, 2, 1]


def test_a_file_that_another_program_has_open_grows_on_and_loses_nothing(tmp_path: Path) -> None:
    path, windows = tmp_path / "run.log", Windows(tmp_path)
    log = LogWriter(path, full=20)
    windows.held.add(str(path))
    with windows.in_force():
        for number in range(5):
            log.write(f"line {number:04d}\n")
        windows.held.clear()
        log.write("line 0005\n")
        log.write("line 0006\n")
    log.close()
    text = "".join(each.read_text(encoding="utf-8") for each in (tmp_path / "run.log.1", path))
    assert text == "".join(f"line {number:04d}\n" for number in range(7))


@pytest.mark.parametrize("form", ["departments_{}.log", "departments_{}.jsonl"])
def test_files_of_days_long_ago_are_removed_with_their_parts(tmp_path: Path, form: str) -> None:
    for day in ("2025-08-11", "2025-08-12", "2025-11-10"):
        for part in ("", ".1"):
            (tmp_path / (form.format(day) + part)).touch()
    (tmp_path / "departments.txt").touch()
    remove_old(tmp_path, form, MORNING + timedelta(hours=1))
    assert not list(tmp_path.glob("*2025-08-11*"))
    assert len(list(tmp_path.iterdir())) == 5
