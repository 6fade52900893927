"""Writing a file so that a reader sees all of it or none of it."""

from __future__ import annotations

import os
from pathlib import Path

from Departments.core.errors import BadInput


def write_atomically(path: Path, text: str) -> None:
    """Replace `path` with `text` (UTF-8, LF). Raises BadInput when the folder cannot be written."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise BadInput(path, "", f"cannot be written ({error.strerror})", "check the folder and its rights") from error
