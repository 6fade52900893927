"""The audit: every file in the boxes compared with what the ledger committed. Reads, changes nothing.

The ledger holds the digest of each letter that our departments sent, of each message they handled and of each dead
letter. A file is *altered* (its place and name are known, its bytes are not), *lost* (it should be there) or *added*
(the ledger knows nothing of it, or it is one more copy). What neighbours keep in their own folders, and what waits
from them, is not ours to prove and only counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Final, NamedTuple

from Departments.core.departments import OURS
from Departments.messaging.evidence_files import NOTHING, EvidenceFile, read_evidence
from Departments.messaging.folders import ARCHIVE, DEAD_LETTER, INBOX, OUTBOX
from Departments.messaging.mailbox import REASON
from Departments.messaging.names import LONGEST, department_of, is_form_of, shorten

ALTERED, LOST, ADDED = "altered", "lost", "added"
#: What file managers leave in a folder that a person opened.
OF_THE_SYSTEM: Final = frozenset({".ds_store", "thumbs.db", "desktop.ini"})


class Slot(Enum):
    """The owner of a file: each letter has one at its sender and one at its recipient."""

    SENT = (OUTBOX, ARCHIVE)
    RECEIVED = (INBOX, DEAD_LETTER, ARCHIVE)


class Expected(NamedTuple):
    """One file that the ledger committed: whose it is, its name, and its bytes' digest.

    A neighbour may have taken the file, or a person (`may_be_gone`). What was no file when it was set aside
    (`is_dead`) has the digest NOTHING.
    """

    slot: Slot
    department: str
    name: str
    digest: str
    day: date
    may_be_gone: bool = False
    is_dead: bool = False


class Difference(NamedTuple):
    """One file that differs from the ledger."""

    kind: str
    place: str
    name: str
    day: date | None
    plan_id: str | None
    sentence: str


class Compared(NamedTuple):
    """One compared file. `is_outside`: it is not ours to prove."""

    name: str
    day: date | None
    plan_id: str | None
    is_outside: bool


@dataclass
class Audit:
    """The result: the compared files and the differences."""

    compared: list[Compared] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)

    @property
    def files(self) -> int:
        """Return the number of compared files, those from outside included."""
        return len(self.compared)

    @property
    def outside(self) -> int:
        """Return the number of files that are not ours to prove."""
        return sum(each.is_outside for each in self.compared)

    def limit(self, day: date | None, plan_id: str | None, names: frozenset[str]) -> Audit:
        """Return the part of a day, or of a plan: the files that have `names` or name the plan."""

        def is_wanted(each: Compared | Difference) -> bool:
            is_of_plan = plan_id is None or each.name in names or each.plan_id == plan_id
            return is_of_plan and (day is None or each.day == day)

        return Audit(list(filter(is_wanted, self.compared)), list(filter(is_wanted, self.differences)))


@dataclass
class _Wanted:
    """One file that must be there, once in its slot and under one of its names."""

    slot: Slot
    department: str
    digest: str
    names: set[str]
    day: date
    may_be_gone: bool
    is_there: bool = False

    def fits(self, file: EvidenceFile) -> bool:
        return file.box in self.slot.value and any(is_form_of(file.name, name) for name in self.names)

    @property
    def name(self) -> str:
        return min(self.names)


def audit(root: Path, expected: Iterable[Expected]) -> Audit:
    """Compare every file below `root` with what is expected."""
    expected = list(expected)
    comparison = _Comparison(expected)
    files = list(read_evidence(root))
    rest = [file for file in files if not comparison.take(file)]
    for file in rest:
        comparison.judge(file)
    comparison.find_lost()
    found = comparison.found
    found.differences.sort(key=lambda each: (each.kind, each.place))
    return found


class _Comparison:
    """Files beside expectations. First all files that fit are taken; then the rest is judged."""

    def __init__(self, expected: Iterable[Expected]) -> None:
        self.found = Audit()
        self._wanted: dict[tuple[str, str], list[_Wanted]] = {}
        self._dead: dict[str, set[str]] = {}
        for each in expected:
            if each.is_dead:
                self._dead.setdefault(each.department, set()).update(_names_of(each))
            if each.digest != NOTHING:
                self._add(each)
        everything = [one for some in self._wanted.values() for one in some]
        self._named: dict[tuple[str, str], list[_Wanted]] = {}
        self._ours = {one.digest for one in everything if one.slot is Slot.SENT}
        self._of_digest: dict[str, _Wanted] = {one.digest: one for one in everything}
        for one in everything:
            for name in one.names:
                self._named.setdefault((one.department, name), []).append(one)
        self._altered: set[int] = set()

    def _add(self, each: Expected) -> None:
        """Join the expectations of one file: a letter that was received, handled or set aside is one file."""
        group = self._wanted.setdefault((each.department, each.digest), [])
        for one in group:
            if one.slot is each.slot:
                one.names |= _names_of(each)
                one.may_be_gone = one.may_be_gone and each.may_be_gone
                return
        group.append(
            _Wanted(each.slot, each.department, each.digest, _names_of(each), each.day, may_be_gone=each.may_be_gone)
        )

    def take(self, file: EvidenceFile) -> bool:
        """Let a file that is as the ledger has it fill its slot. Returns False for any other."""
        group = self._wanted.get((file.department, file.digest), ())
        one = next((each for each in group if not each.is_there and each.fits(file)), None)
        if one is not None:
            one.is_there = True
            self._count(replace(file, day=one.day))
        return one is not None

    def judge(self, file: EvidenceFile) -> None:
        """Note the kind of a file without a slot: altered, added, or none of our business."""
        namesakes = [one for one in self._named.get((file.department, file.name), ()) if file.box in one.slot.value]
        missing = next((one for one in namesakes if not one.is_there and one.digest != file.digest), None)
        is_outside = missing is None and self._is_outside(file)
        self._count(file, is_outside=is_outside)
        if missing is not None:
            self._altered.add(id(missing))
            self._note(ALTERED, file, f"is not as the ledger has it{self._describe_bytes(file)}", missing.day)
        elif not is_outside:
            self._note(ADDED, file, self._describe_added(file), file.day)

    def _is_outside(self, file: EvidenceFile) -> bool:
        """Return True for a file of the desk known by its name alone, and for a neighbour's."""
        return (
            file.name.lower() in OF_THE_SYSTEM
            or self._is_dead_letter(file)
            or (file.digest not in self._of_digest and _is_a_neighbours(file))
            or self._is_a_copy_of_a_neighbours(file)
        )

    def _is_a_copy_of_a_neighbours(self, file: EvidenceFile) -> bool:
        """Return True for the bytes of a handled message of a neighbour: its copies are one message."""
        group = self._wanted.get((file.department, file.digest), ())
        return file.digest not in self._ours and any(file.box in one.slot.value for one in group)

    def _is_dead_letter(self, file: EvidenceFile) -> bool:
        """Return True for a dead letter with unreadable bytes, and for the reason beside one."""
        names = self._dead.get(file.department, ())
        if file.box not in {DEAD_LETTER, ARCHIVE} or file.is_stray:
            return False
        head, ending, _ = file.name.partition(REASON.rpartition(".")[0])
        if ending:
            return any(is_form_of(head, name) for name in names)
        is_known = (file.department, file.name) in self._named
        return not is_known and any(is_form_of(file.name, name) for name in names)

    def _describe_bytes(self, file: EvidenceFile) -> str:
        other = self._of_digest.get(file.digest)
        return f": it has the bytes of {other.name}" if other else f": it {file.problem}" if file.problem else ""

    def _describe_added(self, file: EvidenceFile) -> str:
        known = self._of_digest.get(file.digest)
        if known is not None:
            return f"is one more copy of {known.name} of {known.department}"
        if file.problem:
            return f"{file.problem}; the ledger does not know it"
        return f"claims to be from {file.sender or 'nobody'}; the ledger does not know it"

    def find_lost(self) -> None:
        """Note the files missing in all their boxes."""
        for one in (one for some in self._wanted.values() for one in some):
            if not (one.is_there or one.may_be_gone or id(one) in self._altered):
                where, boxes = f"{one.department}/{one.name}", ", ".join(one.slot.value)
                self.found.differences.append(
                    Difference(LOST, where, one.name, one.day, None, f"is in none of {boxes}")
                )

    def _count(self, file: EvidenceFile, *, is_outside: bool = False) -> None:
        self.found.compared.append(Compared(file.name, file.day, file.plan_id, is_outside))

    def _note(self, kind: str, file: EvidenceFile, sentence: str, day: date | None) -> None:
        self.found.differences.append(Difference(kind, file.place, file.name, day, file.plan_id, sentence))


def _names_of(each: Expected) -> set[str]:
    """Return the possible names of a file without a number; a dead letter's leaves room for its reason's."""
    return {each.name, shorten(each.name, LONGEST - len(REASON) - len(".999999"))} if each.is_dead else {each.name}


def _is_a_neighbours(file: EvidenceFile) -> bool:
    """Return True for a neighbour's file in a neighbour's place: in their own folders, messages in any inbox."""
    sender = department_of(file.sender)
    if not file.department or sender in OURS:
        return False
    return file.department not in OURS or (file.box == INBOX and bool(sender) and not file.is_stray)


def count_kinds(differences: Iterable[Difference]) -> Iterator[tuple[str, int]]:
    """Yield (kind, number) of the differences, each kind once."""
    found = list(differences)
    yield from ((kind, sum(each.kind == kind for each in found)) for kind in (ALTERED, LOST, ADDED))
