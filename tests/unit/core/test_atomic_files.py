"""A file is replaced as a whole or not at all, also where somebody has it open for a moment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from Departments.core.errors import BadInput, FileInUse
from Departments.core.platform.atomic_files import write_atomically
from tests.fakes.windows import Windows


def test_a_file_is_replaced_as_a_whole_in_utf_8_with_plain_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "report.md"
    write_atomically(path, "first\n")
    write_atomically(path, "start − end\n")
    assert path.read_bytes() == "start − end\n".encode()
    assert [p.name for p in path.parent.iterdir()] == ["report.md"]


def test_a_file_that_somebody_has_open_for_a_moment_is_replaced_after_it(tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    with Windows(tmp_path, rate=0.3, seed=1).in_force() as windows:
        for number in range(20):
            write_atomically(path, f"text {number}\n")
    assert path.read_text(encoding="utf-8") == "text 19\n"
    assert windows.met["replace"] > 2


def test_a_file_that_stays_open_is_one_clear_sentence(tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    write_atomically(path, "old\n")
    with Windows(tmp_path).in_force() as windows:
        windows.held.add(str(path))
        with pytest.raises(FileInUse, match=r"report\.md: another program keeps it open; close that program, or wait"):
            write_atomically(path, "new\n")
    assert [each.name for each in tmp_path.iterdir()] == ["report.md"]
    assert path.read_text(encoding="utf-8") == "old\n"


def test_a_folder_that_is_a_file_is_one_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "Reports").write_bytes(b"")
    with pytest.raises(BadInput, match=r"cannot be written"):
        write_atomically(tmp_path / "Reports" / "report.md", "text\n")


def test_a_file_is_flushed_before_it_takes_the_place_of_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, fsync, flushed = tmp_path / "report.md", os.fsync, list[tuple[int, bytes]]()
    path.write_bytes(b"old")

    def note(descriptor: int) -> None:
        fsync(descriptor)
        flushed.append((os.fstat(descriptor).st_ino, path.read_bytes()))

    monkeypatch.setattr(os, "fsync", note)
    write_atomically(path, "new")
    assert flushed == [(path.stat().st_ino, b"old")]
    assert path.read_bytes() == b"new"
