"""Write a file atomically: a reader sees all of it or none."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from Departments.core.errors import BadInput, FileInUse
from Departments.core.platform import files
from Departments.core.platform.disk_trouble import raise_for_disk
from Departments.core.platform.rights import PRIVATE, Rights, make_folder, open_successor


def write_atomically(path: Path, text: str, rights: Rights = PRIVATE) -> None:
    """Replace `path` with `text` (UTF-8, LF); a file that is there keeps its rights.

    Raises BadInput for an unwritable folder, DiskError for trouble with its disk, FileInUse.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        make_folder(path.parent, rights)
        with open_successor(path, temporary, rights) as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        files.replace(temporary, path)
    except OSError as error:
        with suppress(OSError):
            files.discard(temporary)
        raise_for_disk(error, path)
        if files.is_in_use(error):
            raise FileInUse(path) from error
        problem = f"cannot be written ({files.describe(error)})"
        raise BadInput(path, "", problem, "check the folder and its rights") from error
