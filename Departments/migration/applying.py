"""Puts the desk into a project. Each step is safe to interrupt and to repeat; the copies come before every change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

from Departments.core.errors import BadInput
from Departments.core.moments import iso
from Departments.core.platform.disk_trouble import raise_for_disk
from Departments.core.platform.steps import Step, announce, no_step
from Departments.ledger.ledger import Ledger
from Departments.ledger.sqlite import copy_database, look_into
from Departments.messaging import retention
from Departments.messaging.mailbox import Mailbox
from Departments.messaging.retention import REFUSED, Move, Rules
from Departments.migration.record import (
    MigrationRecord,
    MigrationState,
    begin_record,
    digest,
    drop_bytecode,
    find_record,
    hold_project,
    keep_edited,
    put_file,
)
from Departments.migration.research import find_briefing_hook
from Departments.migration.survey import PACKAGE, Survey, check_version, list_our_files, survey_project
from Departments.plumbing import LEDGER_FILE

#: Regime messages older than this are archived, as the incident report's quick fix asks.
OLD: Final = timedelta(hours=24)
_SETTINGS = """# Written by `departments migrate` on {day}. What is not here has its default;
# docs/migration.md says what is different from the system before.
"""
_BROKER: Final = """
broker:
  name: alpaca              # the keys in {source} are those of a paper account
"""

_HOOK: Final = """
operations:
  briefing:                 # the project's Research makes the day's briefing
{keys}"""


@dataclass(frozen=True, slots=True)
class Applied:
    """A finished migration: its backup folder, the files put, the messages archived and those that could not be."""

    backup: Path
    files: int
    archived: int
    refused: tuple[str, ...]
    settings: Path


def apply_migration(root: Path, now: datetime, step: Step = no_step) -> Applied:
    """Carry out the migration of a project, or finish and refresh one.

    Raises BadInput for what a person has to mend first, WorkspaceBusy, LedgerError, DiskError.
    """
    survey = survey_project(root)
    check_version(survey.ledger)
    _check_keys(survey)
    try:
        with hold_project(root, step) as mailbox:
            record = find_record(root) or begin_record(root, now)
            if record.state is MigrationState.UNDOING:
                raise BadInput(record.folder, "", "an undo was interrupted", "finish it by --undo, then apply again")
            return _Migration(record, survey, now, step).run(mailbox)
    except OSError as error:
        raise_for_disk(error, root)
        raise BadInput(root, "", f"cannot be written ({error.strerror})", "correct its rights and run again") from error


def _check_keys(survey: Survey) -> None:
    if survey.access_problem:
        raise BadInput("keys", "", survey.access_problem.rstrip("."), "mend them first: the desk's broker follows them")
    if survey.access.kind == "live":
        problem = "the keys are for an account with real money, and nothing trades live by default"
        mend = "put the keys and APCA_API_BASE_URL of a paper account there"
        raise BadInput(survey.access.source, "APCA_API_BASE_URL", problem, mend)


@dataclass
class _Migration:
    """One run of the steps."""

    record: MigrationRecord
    survey: Survey
    now: datetime
    step: Step

    def run(self, mailbox: Mailbox) -> Applied:
        """Take the steps that are left, and those that refresh what is there."""
        sources = self._sources()
        self._save_theirs(sources)
        for name, data in sources.items():
            self._put(name, data)
        self._drop_stale(sources)
        with announce(self.step, "migrate.convert"):
            Ledger(self.record.root / LEDGER_FILE, step=self.step, convert=True).close()
        done = self._archive(mailbox)
        refused = tuple(f"{move.box}/{move.department}/{move.name}" for move in done if move.outcome == REFUSED)
        self.record.save(MigrationState.APPLIED)
        moved = sum(move.outcome == retention.MOVED for move in done)
        return Applied(self.record.folder, len(self.record.ours), moved, refused, self.record.root / self._settings())

    # --- files ---

    def _sources(self) -> dict[str, bytes]:
        """Return what goes into the project: our files, limits and settings where there are none."""
        root = self.record.root
        folder = root / "Departments"
        is_wanted = folder.is_dir() and folder != PACKAGE  # a desk has no code of its own; or its copy runs this
        found = {name: path.read_bytes() for name, path in list_our_files().items()} if is_wanted else {}
        place = self._config_folder()
        if self._is_wanted(f"{place}/hard_constraints.yaml"):
            found[f"{place}/hard_constraints.yaml"] = _read_default("hard_constraints.yaml")
        if self._is_wanted(self._settings()):
            found[self._settings()] = self._write_settings().encode()
        return found

    def _is_wanted(self, name: str) -> bool:
        """Return True for a file of ours that is not there yet; one that is there is a person's."""
        return not (self.record.root / name).exists()

    def _config_folder(self) -> str:
        """Return the folder of the configuration as the project spells it."""
        names = {path.name for path in self.record.root.iterdir() if path.is_dir() and path.name.lower() == "config"}
        return names.pop() if names and "config" not in names else "config"

    def _settings(self) -> str:
        return f"{self._config_folder()}/settings.yaml"

    def _write_settings(self) -> str:
        access, hook = self.survey.access, find_briefing_hook(self.record.root)
        text = _SETTINGS.format(day=iso(self.now)[:10])
        text += _BROKER.format(source=Path(access.source).name) if access.kind == "paper" else ""
        if hook is not None:
            keys = "".join(f"    {name}: {json.dumps(value, ensure_ascii=False)}\n" for name, value in hook.items())
            text += _HOOK.format(keys=keys)
        return text

    def _save_theirs(self, names: dict[str, bytes]) -> None:
        """Copy what will be replaced. Before SAVED nothing is replaced, so all of it is copied anew."""
        record, root = self.record, self.record.root
        is_first = record.state is MigrationState.BEGUN
        if is_first:
            record.ours = {name: sha256(data).hexdigest() for name, data in names.items()}
        new = [name for name in names if is_first or name not in record.theirs]
        if not (is_first or new):
            return
        if is_first:
            record.folders = _list_missing_folders(root, names)
            self._save_database()
        for name in new:
            record.theirs[name] = digest(root / name)
            if record.theirs[name]:
                put_file(record.place_of_copy(name), (root / name).read_bytes(), self.step, "migrate.save")
        record.save(MigrationState.SAVED if is_first else record.state)

    def _save_database(self) -> None:
        record, ledger = self.record, self.record.root / LEDGER_FILE
        record.save()
        if not ledger.is_file():
            return
        record.journal = str(look_into(ledger, "PRAGMA journal_mode")[0][0])
        target = record.folder / LEDGER_FILE
        temporary = target.with_name(f".{target.name}.tmp")
        temporary.unlink(missing_ok=True)
        with announce(self.step, "migrate.database"):
            copy_database(ledger, temporary)
            temporary.replace(target)

    def _put(self, name: str, data: bytes) -> None:
        path = self.record.root / name
        if not path.is_file() or path.read_bytes() != data:
            keep_edited(self.record, name)
            put_file(path, data, self.step, "migrate.put")
            drop_bytecode(path)
        self.record.ours[name] = digest(path)

    def _drop_stale(self, names: dict[str, bytes]) -> None:
        """Remove modules that an older migration put and this program no longer has."""
        if not any(name.startswith("Departments/") for name in names):
            return
        for name in [each for each in self.record.ours if each.startswith("Departments/") and each not in names]:
            path = self.record.root / name
            if not self.record.theirs.get(name) and digest(path) == self.record.ours[name]:
                path.unlink(missing_ok=True)
            del self.record.ours[name]

    # --- messages ---

    def _archive(self, mailbox: Mailbox) -> list[Move]:
        rules = Rules(OLD, types=frozenset({"RegimeUpdate"}), boxes=("Inbox",))
        due = retention.find_due(mailbox.root, rules, self.now)
        known = {tuple(pair) for pair in self.record.moves}
        pairs = [(f"Inbox/{m.department}/{m.name}", f"Archive/{m.day}/{m.department}/{m.name}") for m in due]
        self.record.moves += [list(pair) for pair in pairs if pair not in known]
        self.record.save()
        return list(retention.archive(mailbox, due))


def _list_missing_folders(root: Path, names: dict[str, bytes]) -> list[str]:
    """Return the folders that are made for files, deepest first."""
    found = {parent for name in names for parent in Path(name).parents if not (root / parent).exists()}
    return sorted((path.as_posix() for path in found), key=lambda name: -name.count("/"))


def _read_default(name: str) -> bytes:
    inside = PACKAGE / "default_config"
    return ((inside if inside.is_dir() else PACKAGE.parent / "config") / name).read_bytes()


def list_changes(survey: Survey) -> Iterator[str]:
    """Yield a sentence about each thing that --apply would do."""
    if (survey.root / "Departments").is_dir():
        count = len(list_our_files())
        yield f"put {count} files of ours into {survey.root}, over {len(survey.code.replaced)} of the project's"
        yield f"keep {len(survey.code.stays)} modules of the project beside them, importable as before"
    if not any(path.name == "settings.yaml" for path in survey.configuration):
        broker = "Alpaca's paper account" if survey.access.kind == "paper" else "the simulated exchange"
        hook = ", with the project's Research for the day's briefing" if find_briefing_hook(survey.root) else ""
        yield f"write settings.yaml for {broker}{hook}"
    if survey.ledger is not None:
        made = "convert the desk's own tables" if survey.ledger.version else "add the desk's own tables"
        yield f"{made} in {survey.ledger.path.name}; no row of the project is changed"
    old = survey.messages.count("RegimeUpdate", "Inbox")
    if old:
        yield f"archive up to {old} old regime messages that wait in inboxes"
    yield "copy everything that it touches into one dated folder first; --undo puts it back"
