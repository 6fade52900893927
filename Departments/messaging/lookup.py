"""Where messages lie: every box of the folder, archived months in zip files included. Reading only."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from Departments.core.errors import UnreadableMessage
from Departments.messaging import codec
from Departments.messaging.message import Message
from Departments.messaging.names import is_message_name

BOXES: Final = ("Inbox", "Outbox", "Archive", "Dead_Letter")
MAX_BYTES: Final = 20_000_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where one file lies. `box` is the folder, `department` whose, `day` and `pack` only for archived ones."""

    box: str
    department: str
    name: str
    path: Path
    day: str = ""
    member: str = ""

    def read(self) -> bytes:
        """Return the bytes, at most `MAX_BYTES` of them."""
        if not self.member:
            with self.path.open("rb") as file:
                return file.read(MAX_BYTES)
        with zipfile.ZipFile(self.path) as pack, pack.open(self.member) as file:
            return file.read(MAX_BYTES)

    def __str__(self) -> str:
        return f"{self.path}!{self.member}" if self.member else str(self.path)


@dataclass(frozen=True, slots=True)
class Located:
    """A readable message and where it lies."""

    message: Message
    place: Place


def places(root: Path) -> Iterator[Place]:
    """Yield every message file below the folder `Messages_Between_Departments`, links left out."""
    for box in BOXES:
        yield from _archive(root / box) if box == "Archive" else _box(root / box, box)


def _box(folder: Path, box: str, day: str = "") -> Iterator[Place]:
    for department in _folders(folder):
        for path in sorted(department.iterdir()):
            if is_message_name(path.name) and path.is_file() and not path.is_symlink():
                yield Place(box, department.name, path.name, path, day)


def _archive(folder: Path) -> Iterator[Place]:
    for day in _folders(folder):
        yield from _box(day, "Archive", day.name)
    for pack in sorted(folder.glob("*.zip")):
        yield from _packed(pack)


def _packed(pack: Path) -> Iterator[Place]:
    with zipfile.ZipFile(pack) as members:
        for member in sorted(members.namelist()):
            day, _, rest = member.partition("/")
            department, _, name = rest.partition("/")
            if is_message_name(name):
                yield Place("Archive", department, name, pack, day, member)


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())


def read(place: Place) -> Message | None:
    """Read the message at a place, None when it is gone or unreadable."""
    try:
        return codec.decode(place.read(), name=place.name)
    except (UnreadableMessage, OSError, zipfile.BadZipFile, KeyError):
        return None


def find_all(root: Path, message_id: str) -> list[Located]:
    """Return every copy of a message: by its file's name first, by its id in all files where that finds nothing."""
    by_name = _located(place for place in places(root) if place.name == f"{message_id}.md")
    return by_name or [found for found in everything(root) if found.message.message_id == message_id]


def find(root: Path, message_id: str) -> Located | None:
    """Return one copy of a message, None when there is none of this id."""
    found = find_all(root, message_id)
    return found[0] if found else None


def everything(root: Path) -> Iterator[Located]:
    """Yield every readable message with its place."""
    yield from _located(places(root))


def _located(some: Iterator[Place]) -> list[Located]:
    return [Located(message, place) for place in some if (message := read(place))]
