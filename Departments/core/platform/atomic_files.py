"""Write a file atomically: a reader sees all of it or none."""

from __future__ import annotations

import os
from pathlib import Path

from Departments.core.errors import BadInput
from Departments.core.platform.clock import SystemClock

PAUSES = (0.05, 0.1, 0.2, 0.4)  # seconds


def write_atomically(path: Path, text: str) -> None:
    """Replace `path` with `text` (UTF-8, LF). Raises BadInput if the folder cannot be written."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        _replace(temporary, path)
    except OSError as error:
        raise BadInput(path, "", f"cannot be written ({error.strerror})", "check the folder and its rights") from error


def _replace(temporary: Path, path: Path) -> None:
    """Replace an old file by a new one. Windows refuses while a virus scanner, or anybody, has either open."""
    for pause in PAUSES:
        try:
            temporary.replace(path)
        except PermissionError:
            SystemClock().sleep(pause)
        else:
            return
    temporary.replace(path)
