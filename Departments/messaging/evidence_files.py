"""Every file in the boxes for the audit: messages and all else, hidden, packed or at a wrong depth. Reading only."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Final

from Departments.core.errors import UnreadableMessage
from Departments.core.platform import files
from Departments.core.trading_calendar import trading_day
from Departments.messaging import codec
from Departments.messaging.folders import ARCHIVE
from Departments.messaging.lookup import BOXES, DAMAGED, MAX_BYTES, read_members
from Departments.messaging.names import is_message_name
from Departments.messaging.tracing import plan_of

NOTHING: Final = hashlib.sha256(b"").hexdigest()
#: What is beside the boxes and holds no message.
BESIDE: Final = frozenset({".tmp", ".locks", ".mark", ".mark.new", "README.md"})
NO_MESSAGE: Final = "is no message"
UNREADABLE: Final = "cannot be read ({})"


@dataclass(frozen=True, slots=True)
class EvidenceFile:
    """One file in a box. `place` is its path for a person, below the folder of messages.

    `digest` is empty, and `problem` says why, for what is no file or cannot be read. A stray file (`is_stray`) is
    where no message belongs.
    """

    place: str
    box: str
    department: str
    name: str
    day: date | None = None
    digest: str = ""
    problem: str = ""
    sender: str = ""
    plan_id: str | None = None
    is_stray: bool = False


def read_evidence(root: Path) -> Iterator[EvidenceFile]:
    """Yield every file in the folder of messages, packed members included."""
    for entry in _scan(root):
        if entry.name in BOXES and entry.is_dir(follow_symlinks=False):
            yield from _read_box(root, entry.name)
        elif entry.name not in BESIDE:
            yield EvidenceFile(entry.name, "", "", entry.name, problem="is in no box", is_stray=True)


def _read_box(root: Path, box: str) -> Iterator[EvidenceFile]:
    depth = 3 if box == ARCHIVE else 2
    for path, problem in _walk(root / box, depth):
        parts = path.relative_to(root / box).parts
        if problem:
            yield replace(_place(box, parts, depth), problem=problem)
        elif box == ARCHIVE and len(parts) == 1 and path.suffix == ".zip":
            yield from _read_pack(path, f"{box}/{path.name}", depth)
        else:
            yield _read(path, _place(box, parts, depth))


def _walk(folder: Path, depth: int) -> Iterator[tuple[Path, str]]:
    """Yield (path, problem) of all but folders. A folder that is called like a message is one of its own."""
    try:
        entries = _scan(folder)
    except OSError as error:
        yield folder, UNREADABLE.format(files.describe(error))
        return
    for entry in entries:
        path = folder / entry.name
        if entry.is_symlink():
            yield path, "is a symbolic link, not a file"
        elif entry.is_dir():
            if depth == 1 and is_message_name(entry.name):
                yield path, "is a folder, not a file"
            else:
                yield from _walk(path, depth - 1)
        else:
            yield path, "" if entry.is_file() else "is a device or pipe, not a file"


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except FileNotFoundError:
        return []


def _place(box: str, parts: tuple[str, ...], depth: int, within: str = "") -> EvidenceFile:
    """Return a file's place: [day,] department, name. Other depths are stray."""
    place = f"{within}!{'/'.join(parts)}" if within else "/".join((box, *parts))
    is_stray = len(parts) != depth
    department = parts[depth - 2] if len(parts) >= depth else ""
    day = _day(parts[0]) if box == ARCHIVE else None
    return EvidenceFile(place, box, department, parts[-1] if parts else box, day, is_stray=is_stray)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _read(path: Path, file: EvidenceFile) -> EvidenceFile:
    try:
        with path.open("rb") as opened:
            data = opened.read(MAX_BYTES)
    except OSError as error:
        return replace(file, problem=UNREADABLE.format(files.describe(error)))
    return _describe(file, data)


def _read_pack(path: Path, within: str, depth: int) -> Iterator[EvidenceFile]:
    try:
        for member, data in read_members(path):
            file = _place(ARCHIVE, tuple(member.split("/")), depth, within)
            yield replace(file, problem="is damaged") if data is None else _describe(file, data)
    except DAMAGED as error:
        yield EvidenceFile(within, ARCHIVE, "", path.name, problem=UNREADABLE.format(error), is_stray=True)


def _describe(file: EvidenceFile, data: bytes) -> EvidenceFile:
    """Add the facts in the bytes. Only a message name makes a message, and only in its place."""
    file = replace(file, digest=hashlib.sha256(data).hexdigest())
    if file.is_stray:
        return replace(file, problem="is in no message folder")
    if not is_message_name(file.name):
        return replace(file, problem=NO_MESSAGE)
    try:
        message = codec.decode(data, name=file.name)
    except UnreadableMessage:
        return replace(file, problem=NO_MESSAGE)
    day = file.day or trading_day(message.timestamp)
    return replace(file, day=day, sender=message.sender, plan_id=plan_of(message))
