"""The audit: every message file compared with what the ledger committed. Reads, changes nothing.

The ledger holds the digest of each letter that our departments sent, of each message they handled and of each dead
letter. A file is *altered* (its place and name are known, its bytes are not), *lost* (it should be there) or *added*
(the ledger knows nothing of it). What neighbours keep in their own folders, and what waits from them, is not ours to
prove and only counted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final, NamedTuple

from Departments.core.departments import OURS
from Departments.core.errors import UnreadableMessage
from Departments.core.trading_calendar import trading_day
from Departments.messaging import codec, lookup
from Departments.messaging.lookup import Place
from Departments.messaging.message import Message
from Departments.messaging.names import department_of
from Departments.messaging.tracing import plan_of

ALTERED, LOST, ADDED = "altered", "lost", "added"
SENT: Final = ("Outbox", "Archive")
RECEIVED: Final = ("Inbox", "Archive", "Dead_Letter")


class Expected(NamedTuple):
    """One file that the ledger committed: where it may be, and its bytes' digest.

    A neighbour may have taken the file (`may_be_gone`).
    """

    boxes: tuple[str, ...]
    department: str
    name: str
    digest: str
    day: date
    may_be_gone: bool = False


class Difference(NamedTuple):
    """One file that is not as the ledger has it."""

    kind: str
    place: str
    name: str
    day: date | None
    plan_id: str | None
    sentence: str


class _File(NamedTuple):
    place: Place
    digest: str
    message: Message | None


@dataclass
class Audit:
    """The result: the number of files, of those from outside, and the differences."""

    files: int = 0
    outside: int = 0
    differences: list[Difference] = field(default_factory=list)

    def limit(self, day: date | None, plan_id: str | None, names: frozenset[str]) -> Audit:
        """Return the differences of a day, or of a plan: those whose files have `names` or tell the plan."""
        found = [
            each
            for each in self.differences
            if (day is None or each.day == day) and (plan_id is None or each.name in names or each.plan_id == plan_id)
        ]
        return Audit(self.files, self.outside, found)


def audit(root: Path, expected: Iterable[Expected]) -> Audit:
    """Compare every message file below `root` with what is expected."""
    found = Audit()
    files: dict[str, list[_File]] = {}
    for each in _read(root):
        files.setdefault(each.place.department, []).append(each)
        found.files += 1
    once: dict[object, Expected] = {}  # a letter that was received and handled is one file
    for one in expected:
        once.setdefault((one.boxes, one.department, one.digest), one)
    wanted = list(once.values())
    altered = set(_find_missing(wanted, files, found))
    explained = {(each.department, each.digest) for each in wanted}
    for file in (file for some in files.values() for file in some):
        if (file.place.department, file.digest) in explained or file.place in altered:
            continue
        if _is_from_outside(file):
            found.outside += 1
        else:
            found.differences.append(_describe_added(file))
    found.differences.sort(key=lambda each: (each.kind, each.place))
    return found


def _find_missing(wanted: Iterable[Expected], files: Mapping[str, list[_File]], found: Audit) -> Iterator[Place]:
    """Note what is altered or lost. Yields the places of altered files."""
    there = {(file.place.box, file.place.department, file.digest) for some in files.values() for file in some}
    named: dict[tuple[str, str], list[_File]] = {}
    for file in (file for some in files.values() for file in some):
        named.setdefault((file.place.department, file.place.name), []).append(file)
    for each in wanted:
        if any((box, each.department, each.digest) in there for box in each.boxes):
            continue
        others = [file for file in named.get((each.department, each.name), ()) if file.place.box in each.boxes]
        for file in others:
            found.differences.append(_difference(ALTERED, str(file.place), each, "is not as the ledger has it", file))
            yield file.place
        if not others and not each.may_be_gone:
            where = f"{each.department}/{each.name}"
            found.differences.append(_difference(LOST, where, each, f"is in none of {', '.join(each.boxes)}"))


def _difference(kind: str, place: str, each: Expected, sentence: str, file: _File | None = None) -> Difference:
    plan_id = plan_of(file.message) if file and file.message else None
    return Difference(kind, place, each.name, each.day, plan_id, sentence)


def _describe_added(file: _File) -> Difference:
    message, day = file.message, date.fromisoformat(file.place.day) if _is_day(file.place.day) else None
    if message is not None:
        day = day or trading_day(message.timestamp)
    plan_id, sender = (plan_of(message), message.sender) if message else (None, "nobody")
    sentence = f"claims to be from {sender}; the ledger does not know it"
    return Difference(ADDED, str(file.place), file.place.name, day, plan_id, sentence)


def _is_day(text: str) -> bool:
    try:
        return bool(date.fromisoformat(text))
    except ValueError:
        return False


def _is_from_outside(file: _File) -> bool:
    """Return True for a neighbour's message where neighbours put theirs: their own folders, and any inbox."""
    sender = department_of(file.message.sender) if file.message else ""
    is_theirs = file.place.department not in OURS
    return sender not in OURS and (is_theirs or (file.place.box == "Inbox" and bool(sender)))


def _read(root: Path) -> Iterator[_File]:
    for place, data in lookup.read_bytes(lookup.places(root)):
        yield _File(place, hashlib.sha256(data).hexdigest(), _decode(data, place.name))


def _decode(data: bytes, name: str) -> Message | None:
    try:
        return codec.decode(data, name=name)
    except UnreadableMessage:
        return None
