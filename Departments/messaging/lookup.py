"""Where messages lie: every box of the folder, archived months in zip files included. Reading only."""

from __future__ import annotations

import logging
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

from Departments.core.errors import UnreadableMessage
from Departments.messaging import codec
from Departments.messaging.message import Message
from Departments.messaging.names import is_message_name, stem

BOXES: Final = ("Inbox", "Outbox", "Archive", "Dead_Letter")
MAX_BYTES: Final = 20_000_000
#: What reading a pack may raise that somebody damaged or made with other tools.
DAMAGED: Final = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, RuntimeError, OSError)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where one file lies. `box` is the folder, `department` whose, `day` and `pack` only for archived ones."""

    box: str
    department: str
    name: str
    path: Path
    day: str = ""
    member: str = ""

    def read(self, pack: zipfile.ZipFile | None = None) -> bytes:
        """Return the bytes, at most `MAX_BYTES` of them; `pack` is the opened one that the file lies in."""
        with self.path.open("rb") if pack is None else pack.open(self.member) as file:
            return file.read(MAX_BYTES)

    def __str__(self) -> str:
        return f"{self.path}!{self.member}" if self.member else str(self.path)


@dataclass(frozen=True, slots=True)
class Located:
    """A readable message, where it lies, and its text as it stands there."""

    message: Message
    place: Place
    text: str


def places(root: Path, boxes: Iterable[str] = BOXES) -> Iterator[Place]:
    """Yield every message file in the boxes of the folder `Messages_Between_Departments`, links left out."""
    for box in boxes:
        yield from _archive(root / box) if box == "Archive" else _box(root / box, box)


def _box(folder: Path, box: str, day: str = "") -> Iterator[Place]:
    for department in folders(folder):
        for path in entries(department):
            if is_message_name(path.name) and path.is_file() and not path.is_symlink():
                yield Place(box, department.name, path.name, path, day)


def _archive(folder: Path) -> Iterator[Place]:
    for day in folders(folder):
        yield from _box(day, "Archive", day.name)
    for pack in sorted(folder.glob("*.zip")):
        yield from _packed(pack)


def _packed(pack: Path) -> Iterator[Place]:
    try:
        with zipfile.ZipFile(pack) as opened:
            members = sorted(opened.namelist())
    except DAMAGED as error:
        logger.warning("%s cannot be read (%s); what it holds is left out", pack, error)
        return
    for member in members:
        day, _, rest = member.partition("/")
        department, _, name = rest.partition("/")
        if is_message_name(name):
            yield Place("Archive", department, name, pack, day, member)


def folders(folder: Path) -> list[Path]:
    """Return the folders in a folder, in order, links left out."""
    return [path for path in entries(folder) if path.is_dir() and not path.is_symlink()]


def entries(folder: Path) -> list[Path]:
    """Return what lies in a folder, in order; nothing where it is none, is closed to us or was taken away meanwhile."""
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except PermissionError as error:
        logger.warning("%s cannot be looked into (%s); what it holds is left out", folder, error.strerror)
        return []


def named(root: Path, message_id: str) -> Iterator[Place]:
    """Yield the files that are named after a message, readable or not."""
    return (place for place in places(root) if stem(place.name) == message_id)


def find_all(root: Path, message_id: str) -> list[Located]:
    """Return every copy of a message: by its file's name first, by its id in all files where that finds nothing."""
    by_name = list(_located(named(root, message_id)))
    return by_name or [found for found in everything(root) if found.message.message_id == message_id]


def find(root: Path, message_id: str) -> Located | None:
    """Return one copy of a message, None when there is none of this id."""
    found = find_all(root, message_id)
    return found[0] if found else None


def everything(root: Path) -> Iterator[Located]:
    """Yield every readable message with its place."""
    return _located(places(root))


def _located(some: Iterable[Place]) -> Iterator[Located]:
    """Read places one after the other; a pack is opened once for all of it."""
    for pack, members in groupby(some, key=lambda place: place.path if place.member else None):
        with nullcontext() if pack is None else zipfile.ZipFile(pack) as opened:
            for place in members:
                if found := _read(place, opened):
                    yield Located(found.message, place, found.text)


def _read(place: Place, pack: zipfile.ZipFile | None) -> codec.Decoded | None:
    """Read the message at a place, None when it is gone or unreadable."""
    try:
        return codec.examine(place.read(pack), name=place.name)
    except (UnreadableMessage, *DAMAGED):
        return None
