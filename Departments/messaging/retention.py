"""Moves old messages to the archive, and packs old archive months into zip files.

Safe to interrupt and to repeat: every move is one rename, and a pack is complete and verified before its files are
removed. Nothing is overwritten, and a busy inbox is left alone.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from Departments.core.errors import BadInput, UnreadableMessage, WorkspaceBusy
from Departments.core.platform import files
from Departments.core.platform.rights import Rights, open_successor
from Departments.core.platform.steps import announce
from Departments.core.readers import read_age
from Departments.core.settings import RetentionSettings
from Departments.core.trading_calendar import trading_day
from Departments.messaging import lookup
from Departments.messaging.disk import file_time, sync_file, sync_folder
from Departments.messaging.folders import ARCHIVE, INBOX
from Departments.messaging.mailbox import Mailbox
from Departments.messaging.names import moment_in, number_names

UNREADABLE: Final = "(unreadable)"
MOVED, WOULD_MOVE, IN_USE, GONE, REFUSED = "moved", "would move", "in use", "gone", "refused by the system"
NO_TIME: Final = datetime.max.replace(tzinfo=UTC)  # of a file that is gone, or whose time is outside the calendar
_MONTH: Final = re.compile(r"\d{4}-(0[1-9]|1[0-2])\Z")


@dataclass(frozen=True, slots=True)
class Rules:
    """The choice of messages to archive. An empty filter passes everything."""

    older_than: timedelta
    types: frozenset[str] = frozenset()
    departments: frozenset[str] = frozenset()
    boxes: tuple[str, ...] = ("Inbox", "Outbox")

    @classmethod
    def of(cls, settings: RetentionSettings) -> Rules:
        """Build the rules from `retention:` in the settings. Raises BadInput."""
        return cls(
            older_than=age_of(settings.older_than, "config/settings.yaml", "retention.older_than"),
            types=frozenset(settings.types),
            departments=frozenset(name.upper() for name in settings.departments),
            boxes=settings.boxes,
        )


@dataclass(frozen=True, slots=True)
class Move:
    """One file to archive under `day`, with its type, its time and its outcome."""

    box: str
    department: str
    name: str
    message_type: str
    moment: datetime
    day: str
    outcome: str = WOULD_MOVE


def age_of(text: str, source: str, key: str = "") -> timedelta:
    """Read an age such as 30m, 12h, 7d or 2w. Raises BadInput."""
    try:
        return read_age(text)
    except ValueError as error:
        raise BadInput(source, key, *str(error).split("; ", 1)) from error


def find_due(root: Path, rules: Rules, now: datetime) -> list[Move]:
    """Return the messages older than the rules allow, oldest first. Changes nothing."""
    asked = (p for p in lookup.places(root, rules.boxes) if not rules.departments or p.department in rules.departments)
    limit = now - rules.older_than
    chosen = [move for move in map(_move, asked) if move.moment < limit and _has_type(move, rules)]
    return sorted(chosen, key=lambda move: (move.moment, move.box, move.department, move.name))


def archive(mailbox: Mailbox, moves: Sequence[Move]) -> Iterator[Move]:
    """Carry out moves, one rename each, and yield each with its outcome."""
    busy: dict[str, bool] = {}
    for move in moves:
        if move.box != INBOX:
            yield _carry_out(mailbox, move)
        elif busy.get(move.department):
            yield replace(move, outcome=IN_USE)
        else:
            try:
                with mailbox.holding(move.department, wait=0):
                    done = _carry_out(mailbox, move)
            except WorkspaceBusy:
                busy[move.department] = True
                done = replace(move, outcome=IN_USE)
            yield done


def _has_type(move: Move, rules: Rules) -> bool:
    return not rules.types or move.message_type in rules.types


def _move(place: lookup.Place) -> Move:
    try:
        message = place.decode()
        kind, moment = message.message_type, message.timestamp
    except (UnreadableMessage, OSError):
        kind, moment = UNREADABLE, moment_in(place.name) or place.written_at() or NO_TIME
    return Move(place.box, place.department, place.name, kind, moment, _day_of(moment).isoformat())


def _day_of(moment: datetime) -> date:
    try:
        return trading_day(moment)
    except OverflowError:  # the first hours of the year 1 have no date in America
        return moment.date()


def _carry_out(mailbox: Mailbox, move: Move) -> Move:
    try:
        mailbox.relocate(
            (move.box, move.department, move.name), (ARCHIVE, move.day, move.department), move.name, label="retire"
        )
    except FileNotFoundError:
        return replace(move, outcome=GONE)
    except PermissionError:  # no right to it, or somebody has it open on Windows
        return replace(move, outcome=REFUSED)
    return replace(move, outcome=MOVED)


# --- packing ---


@dataclass(frozen=True, slots=True)
class Packed:
    """The zip file of a month, and the number of files added to it."""

    pack: Path
    files: int


def pack(mailbox: Mailbox, month: str, now: datetime, *, dry_run: bool = False) -> Packed:
    """Pack the archive of a month (YYYY-MM) into `Archive/<month>.zip`, new or existing.

    `dry_run` only counts, and changes nothing. Raises BadInput for a month that is not over, WorkspaceBusy while
    another process packs.
    """
    if not _MONTH.match(month):
        raise BadInput("--pack", "", f"{month!r} is not a month", "write for example 2025-10")
    if month >= trading_day(now).isoformat()[:7]:
        raise BadInput("--pack", "", f"{month} is not over yet", "name an earlier month")
    folder = mailbox.root / ARCHIVE
    target = folder / f"{month}.zip"
    with mailbox.holding("archive", wait=0):
        sources = sorted(filter(_can_be_packed, folder.glob(f"{month}-??/*/*")))
        if sources and not dry_run:
            _write_pack(mailbox, target, sources)
            _remove(mailbox, sources)
        if not dry_run:
            _tidy(mailbox, [*folder.glob(f"{month}-??/*/"), *folder.glob(f"{month}-??/")])
    return Packed(target, len(sources))


def _can_be_packed(path: Path) -> bool:
    """Return True if a zip can hold a file: a regular one with a valid name."""
    return path.is_file() and not path.is_symlink() and path.name == path.name.encode("utf-8", "replace").decode()


def _write_pack(mailbox: Mailbox, target: Path, sources: Sequence[Path]) -> None:
    temporary = target.with_suffix(".zip.tmp")
    with announce(mailbox.step, "pack"):
        try:
            _fill(temporary, target, sources, mailbox.rights)
        except BaseException:
            files.discard(temporary)  # leave no half pack on a full disk
            raise
        files.replace(temporary, target)
        sync_folder(str(target.parent))


def _fill(temporary: Path, target: Path, sources: Sequence[Path], rights: Rights) -> None:
    with open_successor(target, temporary, rights) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        known = _copy_members(target, new) if target.exists() else set()
        for path in sources:
            _add(new, path.relative_to(target.parent).as_posix(), path, known)
    with zipfile.ZipFile(temporary) as written:
        broken = written.testzip()
    if broken is not None:
        raise BadInput(target, broken, "the pack could not be written correctly", "check the disk and repeat")
    sync_file(str(temporary))


def _copy_members(old: Path, new: zipfile.ZipFile) -> set[str]:
    try:
        with zipfile.ZipFile(old) as members:
            for member in members.infolist():
                new.writestr(member, members.read(member), zipfile.ZIP_DEFLATED)
    except lookup.DAMAGED as error:
        raise BadInput(old, "", "is damaged, or no zip file", "move it away and repeat") from error
    return set(new.namelist())


def _add(new: zipfile.ZipFile, name: str, path: Path, known: set[str]) -> None:
    data = files.read_bytes(path)
    free = next(each for each in number_names(name) if each not in known or new.read(each) == data)
    if free in known:
        return
    known.add(free)
    new.writestr(zipfile.ZipInfo(free, _zip_time(path)), data, zipfile.ZIP_DEFLATED)


def _zip_time(path: Path) -> tuple[int, int, int, int, int, int]:
    """Return the file's time, or the nearest one in the range of zip files."""
    at = file_time(path) or NO_TIME
    moment = (at.year, at.month, at.day, at.hour, at.minute, at.second)
    return min(max(moment, (1980, 1, 1, 0, 0, 0)), (2107, 12, 31, 23, 59, 58))


def _remove(mailbox: Mailbox, sources: Sequence[Path]) -> None:
    with announce(mailbox.step, "pack.remove"):
        for path in sources:
            files.unlink(path)


def _tidy(mailbox: Mailbox, folders: Sequence[Path]) -> None:
    """Remove empty folders, also those of an earlier kill."""
    for folder in folders:
        with suppress(OSError), announce(mailbox.step, "pack.tidy"):
            folder.rmdir()
