"""Puts the desk into a project. Each step is safe to interrupt and to repeat; the copies come before every change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

from Departments.core.errors import BadInput
from Departments.core.money import count_noun
from Departments.core.platform import files
from Departments.core.platform.disk_trouble import raise_for_disk
from Departments.core.platform.places import claim_state
from Departments.core.platform.steps import Step, announce, no_step
from Departments.core.trading_calendar import trading_day
from Departments.ledger.ledger import Ledger
from Departments.ledger.sqlite import copy_database, look_into
from Departments.messaging import retention
from Departments.messaging.mailbox import Mailbox
from Departments.messaging.retention import REFUSED, Move, Rules
from Departments.migration.configuring import (
    RAMP_DAYS,
    limits_name,
    may_ramp,
    settings_name,
    write_limits,
    write_settings,
)
from Departments.migration.project_hooks import find_hooks, find_optimiser
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
from Departments.migration.survey import (
    PACKAGE,
    Survey,
    check_version,
    has_older_code,
    list_our_files,
    survey_project,
)

#: Regime messages older than this are archived, as the incident report's quick fix asks.
OLD: Final = timedelta(hours=24)


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
    if survey.ledger is not None and survey.ledger.version is not None:
        check_version(survey.ledger_path, survey.ledger.version)
    _check_keys(survey)
    if survey.python.is_too_old:
        version = ".".join(map(str, survey.python.version))
        raise BadInput(survey.python.path, "", f"is Python {version}, and the desk needs 3.11 or newer", "install one")
    try:
        with hold_project(root, now, step) as mailbox:
            record = find_record(root) or begin_record(root, now)
            if record.state is MigrationState.UNDOING:
                raise BadInput(record.folder, "", "an undo was interrupted", "finish it by --undo, then apply again")
            return _Migration(record, survey, now, step).run(mailbox)
    except OSError as error:
        raise_for_disk(error, root)
        raise BadInput(
            root, "", f"cannot be written ({files.describe(error)})", "correct its rights and run again"
        ) from error


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
        _check_places(self.record.root, sources)
        self._save_theirs(sources)
        for name, data in sources.items():
            self._put(name, data)
        self._drop_stale(sources)
        with announce(self.step, "migrate.convert"):
            self._convert()
        done = self._archive(mailbox)
        refused = tuple(f"{move.box}/{move.department}/{move.name}" for move in done if move.outcome == REFUSED)
        self.record.save(MigrationState.APPLIED)
        moved = sum(move.outcome == retention.MOVED for move in done)
        settings = self.record.root / settings_name(self.record.root)
        return Applied(self.record.folder, len(self.record.ours), moved, refused, settings)

    def _convert(self) -> None:
        """Make the desk's own tables, or bring an older ledger of ours up to date."""
        ledger = self.survey.ledger_path
        if ledger.parent != self.record.root:
            claim_state(ledger.parent, self.record.root)
        Ledger(ledger, step=self.step, convert=True).close()

    # --- files ---

    def _sources(self) -> dict[str, bytes]:
        """Return what goes into the project: our files, limits and settings where there are none."""
        root = self.record.root
        folder = root / "Departments"
        is_wanted = folder.is_dir() and folder != PACKAGE  # a desk has no code of its own; or its copy runs this
        found = {name: path.read_bytes() for name, path in list_our_files().items()} if is_wanted else {}
        return found | self._configuration()

    def _configuration(self) -> dict[str, bytes]:
        """Return the limits and settings that are not there yet; a file that is there is a person's."""
        root, today = self.record.root, trading_day(self.now)
        limits = write_limits(root, today if self._is_ramp_wanted(limits_name(root)) else None)
        found = {} if limits is None else {limits_name(root): limits}
        if not (root / settings_name(root)).exists():
            found[settings_name(root)] = write_settings(self.survey, today)
        return found

    def _is_ramp_wanted(self, name: str) -> bool:
        """Return True until the first migration of an older system's code has put its ramp there."""
        record = self.record
        if record.state is MigrationState.BEGUN:
            return has_older_code(self.survey)
        return record.state is MigrationState.SAVED and name in record.theirs

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
            record.folders = []
            self._save_database()
        record.folders = _deepest_first({*record.folders, *_find_missing_folders(root, new)})
        for name in new:
            record.theirs[name] = digest(root / name)
            if record.theirs[name]:
                put_file(record.place_of_copy(name), files.read_bytes(root / name), self.step, "migrate.save")
        record.save(MigrationState.SAVED if is_first else record.state)

    def _save_database(self) -> None:
        record, ledger = self.record, self.survey.ledger_path
        record.save()
        if not ledger.is_file():
            return
        record.journal = str(look_into(ledger, "PRAGMA journal_mode")[0][0])
        target = record.folder / ledger.name
        temporary = target.with_name(f".{target.name}.tmp")
        files.discard(temporary)
        with announce(self.step, "migrate.database"):
            copy_database(ledger, temporary)
            files.replace(temporary, target)

    def _put(self, name: str, data: bytes) -> None:
        path = self.record.root / name
        if not path.is_file() or files.read_bytes(path) != data:
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
                files.discard(path)
            del self.record.ours[name]

    # --- messages ---

    def _archive(self, mailbox: Mailbox) -> list[Move]:
        rules = Rules(OLD, types=frozenset({"RegimeUpdate"}), boxes=("Inbox",))
        due = retention.find_due(mailbox.root, rules, self.now)
        known = {tuple(pair) for pair in self.record.moves}
        pairs = [(f"Inbox/{m.department}/{m.name}", f"Archive/{m.day}/{m.department}/{m.name}") for m in due]
        # a name that is taken in the archive is of another message: no undo may bring that one back
        is_free = {pair: not (mailbox.root / pair[1]).exists() for pair in pairs}
        self.record.moves += [list(pair) for pair in pairs if pair not in known and is_free[pair]]
        self.record.save()
        return list(retention.archive(mailbox, due))


def _find_missing_folders(root: Path, names: Iterable[str]) -> set[str]:
    """Return the folders that are made for files."""
    parents = {parent for name in names for parent in Path(name).parents}
    return {parent.as_posix() for parent in parents if not (root / parent).exists()}


def _deepest_first(folders: Iterable[str]) -> list[str]:
    return sorted(folders, key=lambda name: (-name.count("/"), name))


def _check_places(root: Path, names: Iterable[str]) -> None:
    """Raise BadInput for a folder in the place of a file of ours, or the other way round."""
    for path in (root / name for name in names):
        if path.is_dir():
            raise BadInput(path, "", "is a folder, and a file of ours goes there", "move it away")
        blocking = next((p for p in path.parents if p != root and p.is_relative_to(root) and p.is_file()), None)
        if blocking is not None:
            raise BadInput(blocking, "", "is a file, and a folder of ours goes there", "move it away")


def list_changes(survey: Survey) -> Iterator[str]:
    """Yield a sentence about each thing that --apply would do."""
    if (survey.root / "Departments").is_dir():
        count = count_noun(len(list_our_files()), "file")
        yield f"put {count} of ours into {survey.root}, over {len(survey.code.replaced)} of the project's"
        yield f"keep {count_noun(len(survey.code.stays), 'module')} of the project beside them, importable as before"
    if not any(path.name == "settings.yaml" for path in survey.configuration):
        broker = "Alpaca's paper account" if survey.access.kind == "paper" else "the simulated exchange"
        yield f"write settings.yaml for {broker}{_describe_hooks(survey.root)}"
    if has_older_code(survey) and may_ramp(survey.root):
        yield f"write deployment.ramp_days: {RAMP_DAYS} into hard_constraints.yaml, for the first days of trading"
    if survey.ledger is not None:
        made = "convert the desk's own tables" if survey.ledger.version else "add the desk's own tables"
        yield f"{made} in {survey.ledger.path.name}; no row of the project is changed"
    old = survey.messages.count("RegimeUpdate", "Inbox")
    if old:
        yield f"archive {count_noun(old, 'old regime message')} waiting in inboxes, or fewer"
    yield "copy everything that it touches into one dated folder first; --undo puts it back"


def _describe_hooks(root: Path) -> str:
    hooks = find_hooks(root)
    names = {"briefing": "Research for the day's briefing", "enrich": "News for its scores"}
    given = ", with the project's " + " and ".join(names[name] for name in hooks) if hooks else ""
    return given + (", and its optimiser switched off" if find_optimiser(root) is not None else "")
