"""A file is replaced as a whole or not at all, also where somebody has it open for a moment."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from Departments.core.errors import BadInput
from Departments.core.platform.atomic_files import write_atomically


def refusing(times: int, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Let the system refuse to replace a file so many times, as Windows does while anybody has it open."""
    tried: list[Path] = []
    replace: Callable[[Path, Path], Path] = Path.replace

    def refused(source: Path, target: Path) -> Path:
        tried.append(target)
        if len(tried) <= times:
            raise PermissionError(13, "the file is used by another process", str(target))
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", refused)
    return tried


def test_a_file_is_replaced_as_a_whole_in_utf_8_with_plain_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "report.md"
    write_atomically(path, "first\n")
    write_atomically(path, "start − end\n")
    assert path.read_bytes() == "start − end\n".encode()
    assert [p.name for p in path.parent.iterdir()] == ["report.md"]


def test_a_file_that_somebody_has_open_for_a_moment_is_replaced_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = refusing(2, monkeypatch)
    write_atomically(tmp_path / "report.md", "text\n")
    assert (tmp_path / "report.md").read_text(encoding="utf-8") == "text\n"
    assert len(tried) == 3


def test_a_file_that_stays_open_is_one_clear_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing(1000, monkeypatch)
    with pytest.raises(BadInput, match=r"report\.md: cannot be written \(the file is used by another process\)"):
        write_atomically(tmp_path / "report.md", "text\n")


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
