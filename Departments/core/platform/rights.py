"""The rights of the files and folders that the desk makes; those of existing ones are never changed.

They are given file by file: the process's umask belongs to the scripts that use the desk. Windows has no such bits;
there a file has the rights of its folder.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from Departments.core.platform import files, system

_BINARY: Final[int] = getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True)
class Rights:
    """The permission bits of new files and folders, and those for others to write into a folder."""

    file: int
    folder: int
    foreign: int


PRIVATE: Final = Rights(0o600, 0o700, 0o022)
#: For a group of users: new files belong to the folder's group (setgid), whatever the umask.
SHARED: Final = Rights(0o660, 0o2770, 0o002)


def make_folder(path: Path, rights: Rights) -> None:
    """Make a folder and its missing parents. Raises OSError."""
    missing = [each for each in (path, *path.parents) if not each.is_dir()]
    for folder in reversed(missing):
        try:
            # on Windows 0o700 would close the folder to everybody else
            folder.mkdir(0o777 if system.WINDOWS else rights.folder & 0o777)
        except FileExistsError:
            if not folder.is_dir():
                raise
        else:
            if not system.WINDOWS and rights.folder & 0o077:
                folder.chmod(rights.folder)


def open_new(path: str | Path, rights: Rights) -> int:
    """Create a file and return its descriptor, to write and read. Raises FileExistsError if the name is taken."""
    descriptor = files.open_descriptor(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _BINARY, rights.file)
    if sys.platform != "win32" and not system.WINDOWS and rights.file & 0o077:
        os.fchmod(descriptor, rights.file)
    return descriptor


def open_successor(path: Path, temporary: Path, rights: Rights) -> IO[bytes]:
    """Create the successor of the file `path`, with the same rights.

    It can be read, too. Raises OSError.
    """
    files.discard(temporary)  # of an earlier kill
    descriptor = open_new(temporary, rights)
    if sys.platform != "win32" and not system.WINDOWS:
        with suppress(FileNotFoundError):
            old = path.stat()
            with suppress(PermissionError):
                os.fchown(descriptor, old.st_uid, old.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
    return os.fdopen(descriptor, "w+b")


def provide_file(path: Path, rights: Rights) -> None:
    """Create an empty file unless there is one; SQLite and locks would create it for everybody to read.

    Whoever opens it next finds out why it could not be made.
    """
    with suppress(OSError):
        os.close(open_new(path, rights))


def list_open_folders(folders: Iterable[Path], rights: Rights) -> list[Path]:
    """Return the folders open to the writing of others than the desk's users."""
    if system.WINDOWS:
        return []
    return [folder for folder in folders if folder.is_dir() and folder.stat().st_mode & rights.foreign]
