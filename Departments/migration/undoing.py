"""Takes the desk out of a project. Files and messages come back; rows and messages of the days in between stay."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from Departments.core.errors import BadInput
from Departments.core.platform import files
from Departments.core.platform.disk_trouble import raise_for_disk
from Departments.core.platform.rights import make_folder
from Departments.core.platform.steps import Step, announce, no_step
from Departments.core.trading_calendar import trading_day
from Departments.ledger.sqlite import look_into, set_journal
from Departments.messaging.mailbox import Mailbox
from Departments.migration.record import (
    CODE,
    MigrationRecord,
    MigrationState,
    digest,
    drop_bytecode,
    drop_folder,
    find_ledger,
    find_record,
    has_table,
    hold_project,
    keep_edited,
    put_file,
)


@dataclass(frozen=True, slots=True)
class Undone:
    """A migration that was taken back: its folder, and the instructions of ours that were put aside."""

    backup: Path
    restored: int
    removed: int
    set_aside: tuple[str, ...]


def undo_migration(root: Path, now: datetime, step: Step = no_step) -> Undone:
    """Put back what a migration changed, or finish that. Raises BadInput, WorkspaceBusy, LedgerError, DiskError."""
    if not root.is_dir():
        raise BadInput(root, "", "there is no such folder", "name the folder of the project")
    record = find_record(root)
    if record is None:
        raise BadInput(
            root, "", "no migration of it can be undone", "only `departments migrate` with --apply makes one"
        )
    try:
        with hold_project(root, now, step) as mailbox:
            undone = _undo(record, mailbox, now, step)
    except OSError as error:
        raise_for_disk(error, root)
        raise BadInput(
            root, "", f"cannot be written ({files.describe(error)})", "correct its rights and run again"
        ) from error
    return undone


def _undo(record: MigrationRecord, mailbox: Mailbox, now: datetime, step: Step) -> Undone:
    record.save(MigrationState.UNDOING)
    set_aside = _set_instructions_aside(record.root, mailbox, now)
    for was, became in record.moves:
        _move_back(mailbox.root, became, was, step)
    ledger = find_ledger(record.root)
    if record.journal and ledger.is_file():
        set_journal(ledger, record.journal)
    restored = removed = 0
    for name, theirs in record.theirs.items():
        if theirs:
            restored += _restore(record, name, step)
        else:
            removed += _remove(record, name, step)
    for name in record.folders:
        drop_folder(record.root / name)
    record.save(MigrationState.UNDONE)
    return Undone(record.folder, restored, removed, set_aside)


def _set_instructions_aside(root: Path, mailbox: Mailbox, now: datetime) -> tuple[str, ...]:
    """Archive instructions of ours that nobody has handled: the older system would take them for its own."""
    ledger, names = find_ledger(root), set[str]()
    if ledger.is_file() and has_table(ledger, "bus_letters"):
        names = {str(row[0]) for row in look_into(ledger, "SELECT name FROM bus_letters")}
    day = trading_day(now).isoformat()
    found = sorted(path.name for path in (mailbox.root / "Inbox" / "TRADING").glob("*.md") if path.name in names)
    for name in found:
        mailbox.relocate(("Inbox", "TRADING", name), ("Archive", day, "TRADING"), name, label="retire")
    return tuple(found)


def _move_back(folder: Path, became: str, was: str, step: Step) -> None:
    source, target = folder / became, folder / was
    if source.is_file() and not target.exists():
        make_folder(target.parent, CODE)
        with announce(step, "undo.message"):
            files.rename(source, target)
        with suppress(OSError):  # it is not empty
            source.parent.rmdir()
            source.parent.parent.rmdir()


def _restore(record: MigrationRecord, name: str, step: Step) -> bool:
    path, kept = record.root / name, record.place_of_copy(name)
    if digest(path) == record.theirs[name]:
        return True
    if not kept.is_file():
        raise BadInput(kept, "", "the copy of a file of the project is gone", "put it back, then run --undo again")
    keep_edited(record, name)
    put_file(path, files.read_bytes(kept), step, "undo.restore")
    drop_bytecode(path)
    return True


def _remove(record: MigrationRecord, name: str, step: Step) -> bool:
    path = record.root / name
    if not path.is_file():
        return False
    keep_edited(record, name)
    with announce(step, "undo.remove"):
        files.discard(path)
    drop_bytecode(path)
    return True
