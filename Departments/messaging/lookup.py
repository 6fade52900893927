"""Finds messages in all boxes, packed months included. Reading only.

File names carry ids, and an index from the ledger names the rest. So of many files it reads only the wanted ones, and
those missing from the index.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

from Departments.core.departments import TRADING
from Departments.core.errors import UnreadableMessage
from Departments.core.logs import make_logger
from Departments.core.moments import stamp
from Departments.core.platform import files
from Departments.messaging import codec
from Departments.messaging.disk import file_time
from Departments.messaging.joining import LONGEST, adopt, is_approval, is_orphan, join_results
from Departments.messaging.message import Message
from Departments.messaging.names import is_message_name, moment_in, stamp_in, stem
from Departments.messaging.ports import IndexRow
from Departments.messaging.tracing import Link, family, link_of, plan_of

BOXES: Final = ("Inbox", "Outbox", "Archive", "Dead_Letter")
MAX_BYTES: Final = 20_000_000
#: Errors of packs that somebody damaged or made with other tools.
DAMAGED: Final = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, RuntimeError, OSError)

logger = make_logger(__name__)


class Place(NamedTuple):
    """The place of one file. `day` and `member` are set for archived files only."""

    box: str
    department: str
    name: str
    folder: str
    day: str = ""
    member: str = ""

    @property
    def path(self) -> Path:
        """Return the path of the file or of its pack."""
        return Path(self.folder) if self.member else Path(self.folder, self.name)

    def read(self, pack: zipfile.ZipFile | None = None) -> bytes:
        """Return at most `MAX_BYTES` of the file. `pack` is its pack, opened."""
        if pack is not None:
            with pack.open(self.member) as member:
                return member.read(MAX_BYTES)
        with files.open_file(self.path) as file:
            size = os.fstat(file.fileno()).st_size
            return bytes(file.read(min(MAX_BYTES, size)))  # `read` takes memory for all that it may read

    def decode(self) -> Message:
        """Read the message of a file. Raises UnreadableMessage, OSError."""
        return codec.decode(self.read(), name=self.name, written_at=self.written_at)

    def written_at(self) -> datetime | None:
        """Return the file's time (UTC); None in a pack, and for a file that is gone or has none."""
        return None if self.member else file_time(self.path)

    def __str__(self) -> str:
        return f"{self.path}!{self.member}" if self.member else str(self.path)


@dataclass(frozen=True, slots=True)
class Located:
    """A readable message, its place and its text."""

    message: Message
    place: Place
    text: str


# --- places ---


def places(root: Path, boxes: Iterable[str] = BOXES) -> Iterator[Place]:
    """Yield every message file in the boxes of the folder `Messages_Between_Departments`, links left out."""
    for box in boxes:
        yield from _archive(root / box) if box == "Archive" else _box(root / box, box)


def _box(folder: Path, box: str, day: str = "") -> Iterator[Place]:
    for department in folders(folder):
        inside, name = str(department), department.name
        files = (entry for entry in _scan(department) if is_message_name(entry.name))
        names = sorted(entry.name for entry in files if entry.is_file(follow_symlinks=False))
        yield from (Place(box, name, each, inside, day) for each in names)


def _archive(folder: Path) -> Iterator[Place]:
    for day in folders(folder):
        yield from _box(day, "Archive", day.name)
    for pack in sorted(folder.glob("*.zip")):
        yield from _pack_places(pack)


def _pack_places(pack: Path) -> Iterator[Place]:
    try:
        with zipfile.ZipFile(pack) as opened:
            members = sorted(opened.namelist())
    except DAMAGED as error:
        logger.warning("%s cannot be read (%s); its files are left out", pack, error)
        return
    for member in members:
        day, _, rest = member.partition("/")
        department, _, name = rest.partition("/")
        if is_message_name(name):
            yield Place("Archive", department, name, str(pack), day, member)


def read_members(pack: Path) -> Iterator[tuple[str, bytes | None]]:
    """Yield (path, bytes) of every member of a pack, None for a damaged one. Raises DAMAGED for a pack that is."""
    with zipfile.ZipFile(pack) as opened:
        for member in sorted(each.filename for each in opened.infolist() if not each.is_dir()):
            try:
                with opened.open(member) as file:
                    data: bytes | None = file.read(MAX_BYTES)
            except DAMAGED:
                data = None
            yield member, data


def folders(folder: Path) -> list[Path]:
    """Return the folders in a folder, in order, links left out."""
    return sorted(Path(entry.path) for entry in _scan(folder) if entry.is_dir(follow_symlinks=False))


def entries(folder: Path) -> list[Path]:
    """Return the entries of a folder, in order. A missing or closed folder has none."""
    return sorted(Path(entry.path) for entry in _scan(folder))


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except PermissionError as error:
        logger.warning("%s cannot be read (%s); its files are left out", folder, files.describe(error))
        return []


# --- finding ---


def index_row(message: Message, name: str) -> IndexRow:
    """Return the index row of a message in the file `name`."""
    return tuple(  # type: ignore[return-value] # four, as listed
        text if text is None or text.isascii() else text.encode("utf-8", "replace").decode()
        for text in (name, message.message_id, message.parent_message_id, plan_of(message))
    )


def find_named(root: Path, message_id: str) -> Iterator[Place]:
    """Yield all files named after a message, readable or not."""
    return (place for place in places(root) if stem(place.name) == message_id)


class Index:
    """The ledger's index by file name. One name may have had several messages."""

    def __init__(self, rows: Iterable[IndexRow]) -> None:
        self._by_name: dict[str, dict[str, IndexRow]] = {}
        for row in rows:
            self._by_name.setdefault(row[0], {})[row[1]] = row

    def rows(self, place: Place) -> Mapping[str, IndexRow] | None:
        """Return the possible messages of a file by id, or None if it must be read.

        A name that is not an id proves nothing before the file was handled: somebody may use it again.
        """
        found = self._by_name.get(place.name)
        is_sure = found and (place.box in {"Outbox", "Archive"} or stem(place.name) in found)
        return found if is_sure else None


def find_all(root: Path, message_id: str, index: Iterable[IndexRow] = ()) -> list[Located]:
    """Return all copies of a message: by file name, by the index, else by reading all unknown files."""
    known = Index(index)
    unknown, wanted = [], []
    for place in places(root):
        rows = known.rows(place)
        if stem(place.name) == message_id or (rows and message_id in rows):
            wanted.append(place)
        elif rows is None:
            unknown.append(place)
    found = list(read_all(wanted))
    return found or [each for each in read_all(unknown) if each.message.message_id == message_id]


def find_related(root: Path, wanted: str, index: Iterable[IndexRow] = ()) -> list[Message]:
    """Return all messages of a message id or a plan id, old results without a parent included.

    Reads only these, files missing from the index, and what such results may be or belong to.
    """
    known, everywhere = Index(index), list(places(root))
    return _add_old_results(everywhere, known, _find_family(everywhere, known, wanted))


def _find_family(everywhere: Iterable[Place], known: Index, wanted: str) -> list[Message]:
    links, files, unknown = dict[str, Link](), dict[str, list[Place]](), list[Place]()
    for place in everywhere:
        rows = known.rows(place)
        if rows is None:
            unknown.append(place)
        for _, message_id, *link in (rows or {}).values():
            links[message_id] = Link(*link)
            files.setdefault(message_id, []).append(place)
    read = _read_by_id(unknown)
    links |= {message_id: link_of(message) for message_id, message in read.items()}
    wanted_ids = family(links, wanted)
    copies = [found.message for key in wanted_ids - read.keys() for found in read_all(files[key])]
    return [*copies, *(read[key] for key in wanted_ids & read.keys())]


def _add_old_results(everywhere: Sequence[Place], known: Index, found: Sequence[Message]) -> list[Message]:
    """Return the messages with the old results, or approvals, that belong to them without naming a parent.

    Reads what Trading wrote around their time, unless the index knows its parent, and then what the Executive wrote,
    unless the index knows an answer to it.
    """
    answered = {m.parent_message_id for m in found if m.sender == TRADING}
    if all(m.message_id in answered for m in found if is_approval(m)) and not any(map(is_orphan, found)):
        return list(found)
    times = [m.timestamp for m in found if is_approval(m) or is_orphan(m)]
    near = _Near(everywhere, known, stamp(min(times) - LONGEST), stamp(max(times) + LONGEST))
    family_messages = {m.message_id: m for m in found}
    messages = _read_by_id(near.list_results()) | family_messages
    if any(map(is_orphan, messages.values())):
        messages = _read_by_id(near.list_approvals()) | messages
    parents = join_results(messages.values(), near.answered)
    roots = {parents.get(each, each) for each in family_messages}
    joined = {*family_messages, *roots, *(child for child, parent in parents.items() if parent in roots)}
    return adopt((message for message_id, message in messages.items() if message_id in joined), parents)


class _Near:
    """The files that the Executive and Trading may have written between two stamps."""

    def __init__(self, everywhere: Sequence[Place], known: Index, first: str, last: str) -> None:
        self._everywhere, self._known, self._first, self._last = everywhere, known, first, last
        self.answered = set[str | None]()  # the parents that the index knows of Trading's files

    def list_results(self) -> list[Place]:
        """Return Trading's files that may name no parent."""
        orphans = []
        for place in self._find("MSG_TRADING_"):
            parents = {row[2] for row in (self._known.rows(place) or {}).values()}
            if parents and all(parents):
                self.answered |= parents
            else:
                orphans.append(place)
        return orphans

    def list_approvals(self) -> list[Place]:
        """Return the Executive's files without an answer in the index."""
        return [
            place
            for place in self._find("MSG_EXECUTIVE_")
            if (rows := self._known.rows(place)) is None or not self.answered.issuperset(rows)
        ]

    def _find(self, beginning: str) -> Iterator[Place]:
        named = (place for place in self._everywhere if place.name.startswith(beginning))
        return (place for place in named if self._first <= _stamp_of(place, self._first) <= self._last)


def _stamp_of(place: Place, otherwise: str) -> str:
    moment = None if stamp_in(place.name) else moment_in(place.name)
    return stamp(moment) if moment else stamp_in(place.name) or otherwise


def _read_by_id(some: Iterable[Place]) -> dict[str, Message]:
    return {found.message.message_id: found.message for found in read_all(some)}


def read_all(some: Iterable[Place]) -> Iterator[Located]:
    """Yield the readable messages at some places. Opens each pack once."""
    for pack, members in groupby(some, key=lambda place: place.folder if place.member else None):
        with nullcontext() if pack is None else zipfile.ZipFile(pack) as opened:
            for place in members:
                if found := _read(place, opened):
                    yield Located(found.message, place, found.text)


def read_bytes(some: Iterable[Place]) -> Iterator[tuple[Place, bytes]]:
    """Yield the bytes at some places, readable as messages or not. Opens each pack once."""
    for pack, members in groupby(some, key=lambda place: place.folder if place.member else None):
        with nullcontext() if pack is None else zipfile.ZipFile(pack) as opened:
            for place in members:
                with suppress(*DAMAGED):  # it is gone
                    yield place, place.read(opened)


def _read(place: Place, pack: zipfile.ZipFile | None) -> codec.Decoded | None:
    """Read the message at a place. Returns None if it is gone or unreadable."""
    try:
        return codec.examine(place.read(pack), name=place.name, written_at=place.written_at)
    except (UnreadableMessage, *DAMAGED):
        return None
