"""What a migration has changed: a file in its backup folder, written before each change of the project."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from Departments.core.departments import OURS, TRADING
from Departments.core.documents import json_text
from Departments.core.errors import BadInput, WorkspaceBusy
from Departments.core.moments import iso, stamp
from Departments.core.platform import files
from Departments.core.platform.atomic_files import write_atomically
from Departments.core.platform.locks import execution_lock
from Departments.core.platform.places import find_mutexes, find_state
from Departments.core.platform.programs import find_programs
from Departments.core.platform.rights import PRIVATE, Rights, make_folder, open_successor
from Departments.core.platform.steps import Step, announce, no_step
from Departments.core.platform.text_files import config_file, read_json
from Departments.ledger.sqlite import check_unlocked, look_into
from Departments.messaging.mailbox import Mailbox
from Departments.plumbing import LEDGER_FILE, MESSAGES

FORMAT: Final = 1
#: An instruction this young (seconds) is perhaps about to be handled.
QUIET: Final = 120
FOLDER: Final = "Before_Departments_"
FILE: Final = "migration.json"
#: Where changed files of ours go.
EDITED: Final = "edited_since"
#: Code and settings belong to whoever works on the project.
CODE: Final = Rights(0o644, 0o755, 0o022)


class MigrationState(StrEnum):
    """How far a migration is. Until SAVED nothing of the project has been changed."""

    BEGUN = "begun"
    SAVED = "saved"
    APPLIED = "applied"
    UNDOING = "undoing"
    UNDONE = "undone"


@dataclass
class MigrationRecord:
    """A migration: the digests of the project's files before (empty: there was none) and of those put there.

    `moves` are messages, from and to, below their folder. `folders` were made. `journal` is the database's own mode.
    """

    folder: Path
    begun_at: str
    state: MigrationState = MigrationState.BEGUN
    theirs: dict[str, str] = field(default_factory=dict)
    ours: dict[str, str] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    moves: list[list[str]] = field(default_factory=list)
    journal: str = ""

    @property
    def root(self) -> Path:
        """Return the project."""
        return self.folder.parent

    def place_of_copy(self, name: str) -> Path:
        """Return the place of a file's copy."""
        return self.folder / "files" / name

    def save(self, state: MigrationState | None = None) -> None:
        """Write the record. Raises BadInput, DiskError."""
        self.state = state or self.state
        values = {name: value for name, value in asdict(self).items() if name != "folder"}
        write_atomically(self.folder / FILE, json_text({"format": FORMAT, **values}), PRIVATE)


def begin_record(root: Path, now: datetime) -> MigrationRecord:
    """Return the record of a new migration, with its own folder."""
    return MigrationRecord(root / f"{FOLDER}{stamp(now)}", iso(now))


def find_record(root: Path) -> MigrationRecord | None:
    """Find the newest migration of a project that is not undone. Raises BadInput for a damaged record."""
    found = [_read(path) for path in sorted(root.glob(f"{FOLDER}*/{FILE}"))]
    return next((record for record in reversed(found) if record.state is not MigrationState.UNDONE), None)


def _read(path: Path) -> MigrationRecord:
    document: dict[str, Any] = read_json(path)
    try:
        _ = {FORMAT: ""}[document.pop("format")]
        document["state"] = MigrationState(document["state"])
        names = {each.name for each in fields(MigrationRecord)}
        return MigrationRecord(path.parent, **{name: value for name, value in document.items() if name in names})
    except (KeyError, TypeError, ValueError) as error:
        problem = "is no record of a migration"
        raise BadInput(path, "", problem, "move its folder away; the copies in it are yours") from error


def find_ledger(root: Path) -> Path:
    """Return the ledger of a desk, in the folder that settings or environment name.

    The scripts of an older system open the one in their own folder, so there it is the desk's, too. Raises BadInput for
    settings that name another, or cannot be read.
    """
    state, settings = find_state(root), config_file(root, "settings.yaml")
    if state == root or not (root / "Departments").is_dir():
        return state / LEDGER_FILE
    if settings.exists():
        problem = f"the ledger would be in {state}, and the project's scripts open {LEDGER_FILE} in their own folder"
        raise BadInput(settings, "state_dir", problem, 'write state_dir: "."')
    return root / LEDGER_FILE


@contextmanager
def hold_project(root: Path, now: datetime, step: Step) -> Iterator[Mailbox]:
    """Hold a project against everything that runs; yield its messages.

    Raises WorkspaceBusy while a script of the project, a run or a watcher works, an instruction was written a moment
    ago, or an execution is unfinished; LedgerBusy while another program writes the database; BadInput for a folder that
    cannot be written.
    """
    ledger, folder = find_ledger(root), root / MESSAGES
    mailbox = Mailbox(folder, step=step, mutexes=find_mutexes(root))
    with ExitStack() as stack:
        stack.enter_context(execution_lock(root))
        for department in OURS if folder.is_dir() else ():
            stack.enter_context(mailbox.holding(department, wait=0))
        if ledger.is_dir():
            raise BadInput(ledger, "", "is a folder, and scripts and desk expect a database", "move it away")
        if ledger.is_file():
            check_unlocked(ledger)
            _check_finished(ledger)
        _check_quiet(root, now)
        yield mailbox


def _check_quiet(root: Path, now: datetime) -> None:
    """Raise WorkspaceBusy while programs without our mutexes are at work: those of the older system."""
    for program in find_programs(root):
        problem = f"{program.script} of this project is running (process {program.pid})"
        raise WorkspaceBusy(f"{root}: {problem}; wait for its end or close it.")
    for path in sorted((root / MESSAGES / "Inbox" / TRADING).glob("*.md")):
        age = now.timestamp() - path.stat().st_mtime
        if 0 <= age < QUIET and not path.name.startswith("MSG_REGIME_"):
            problem = f"was written {age:.0f} seconds ago, and nobody has handled it"
            raise WorkspaceBusy(f"{path}: it {problem}; a program may be at work, wait for it and try again.")


def has_table(database: Path, name: str) -> bool:
    """Return True if a database has a table. Raises LedgerError."""
    return bool(look_into(database, f"SELECT 1 FROM sqlite_master WHERE name = '{name}'"))  # noqa: S608 - our names


def _check_finished(ledger: Path) -> None:
    if not has_table(ledger, "desk_executions"):
        return
    unfinished = look_into(ledger, "SELECT plan_id FROM desk_executions WHERE ended_at IS NULL")
    if unfinished:
        raise WorkspaceBusy(f"{ledger}: the execution of {unfinished[0][0]} is not finished; run `departments resume`.")


def digest(path: Path) -> str:
    """Return the digest of a file; empty for none."""
    return sha256(files.read_bytes(path)).hexdigest() if path.is_file() else ""


def put_file(path: Path, data: bytes, step: Step, label: str, rights: Rights = CODE) -> None:
    """Write a file as a whole; one that is there keeps its rights. Raises OSError."""
    make_folder(path.parent, rights)
    temporary = path.with_name(f".{path.name}.tmp")
    with announce(step, label):
        with open_successor(path, temporary, rights) as file:
            file.write(data)
        files.replace(temporary, path)


def keep_edited(record: MigrationRecord, name: str) -> None:
    """Copy a file that somebody has changed since it was put there: nobody's work is deleted."""
    path = record.root / name
    if path.is_file() and digest(path) not in {record.ours.get(name), record.theirs.get(name)}:
        put_file(record.folder / EDITED / name, files.read_bytes(path), no_step, "")


def drop_bytecode(path: Path) -> None:
    """Remove the compiled form of a module."""
    for compiled in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
        files.discard(compiled)


def drop_folder(path: Path) -> None:
    """Remove a folder that holds nothing, or nothing but bytecode."""
    if path.is_dir() and all(each.name == "__pycache__" for each in path.iterdir()):
        shutil.rmtree(path)
