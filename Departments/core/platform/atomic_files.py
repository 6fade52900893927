"""Write a file atomically: a reader sees all of it or none."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from Departments.core.errors import BadInput
from Departments.core.platform.clock import SystemClock
from Departments.core.platform.disk_trouble import raise_for_disk
from Departments.core.platform.rights import PRIVATE, Rights, make_folder, open_successor

PAUSES = (0.05, 0.1, 0.2, 0.4)  # seconds


def write_atomically(path: Path, text: str, rights: Rights = PRIVATE) -> None:
    """Replace `path` with `text` (UTF-8, LF); a file that is there keeps its rights.

    Raises BadInput for an unwritable folder, DiskError for trouble with its disk.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        make_folder(path.parent, rights)
        with open_successor(path, temporary, rights) as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        _replace(temporary, path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise_for_disk(error, path)
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
