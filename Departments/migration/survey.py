"""What is in a project: code, database, configuration, keys, messages, plans, schedules, Python. Reading only."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from Departments.brokers.registry import Access, find_access
from Departments.core.errors import BadInput, DepartmentsError, LedgerError, UnreadableMessage
from Departments.core.platform.programs import find_programs
from Departments.core.platform.text_files import config_file
from Departments.ledger.sqlite import OLDEST, VERSION, describe_damage, look_into
from Departments.messaging import lookup
from Departments.migration.pythons import ProjectPython, find_python
from Departments.migration.record import find_ledger, has_table
from Departments.plumbing import MESSAGES

#: Our package, and the scripts that go beside a project's own.
PACKAGE: Final = Path(__file__).resolve().parents[1]
SCRIPTS: Final = ("run_daily_ceo.py", "watch_inbox.py", "archive_old_messages.py")
SCHEDULES: Final = ("*.bat", "*.cmd", "*.vbs", "*.ps1", "crontab*", "*.service", "*.timer")
TRADING_TABLE: Final = "trading_orders"


@dataclass(frozen=True, slots=True)
class FoundCode:
    """The modules of a project's `Departments/`: those that ours replace, and those that stay."""

    replaced: tuple[str, ...] = ()
    stays: tuple[str, ...] = ()
    has_own_init: bool = False
    is_ours: bool = False


@dataclass(frozen=True, slots=True)
class FoundDatabase:
    """A database with the rows of its tables. `version` is that of a ledger of ours; `problem` why it is not read."""

    path: Path
    tables: Mapping[str, int]
    version: int | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class FoundMessages:
    """Messages by folder and type, and the files that cannot be read."""

    counts: Mapping[tuple[str, str], int]
    unreadable: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """Return the number of files."""
        return sum(self.counts.values()) + len(self.unreadable)

    def count(self, message_type: str, box: str = "") -> int:
        """Count the messages of a type, in all boxes or in one."""
        return sum(n for (place, kind), n in self.counts.items() if kind == message_type and place.startswith(box))


@dataclass(frozen=True, slots=True)
class Survey:
    """A project as it is."""

    root: Path
    code: FoundCode
    databases: Sequence[FoundDatabase]
    configuration: Sequence[Path]
    access: Access
    access_problem: str
    notes: Sequence[str]
    messages: FoundMessages
    plans: Sequence[str]
    schedules: Sequence[str]
    python: ProjectPython
    ledger_path: Path

    @property
    def ledger(self) -> FoundDatabase | None:
        """Return the database of the desk, or None."""
        return next((each for each in self.databases if each.path == self.ledger_path), None)


def survey_project(root: Path) -> Survey:
    """Look at a project and change nothing. Raises BadInput for a folder that is none."""
    if not root.is_dir():
        raise BadInput(root, "", "there is no such folder", "name the folder of the project")
    code = _find_code(root)
    messages = _find_messages(root)
    ledger_path = find_ledger(root)
    databases = [_look_into(path) for path in _list_databases(root, ledger_path)]
    if not (
        code.replaced or code.stays or messages.total or any(TRADING_TABLE in d.tables or d.version for d in databases)
    ):
        problem = f"has neither Departments/ nor {MESSAGES} nor a database with {TRADING_TABLE}"
        raise BadInput(root, "", problem, "name the folder of the project")
    access, problem = _find_keys(root)
    names = ("hard_constraints.yaml", "compliance_config.yaml", "settings.yaml")
    return Survey(
        root,
        code,
        databases,
        [path for path in (config_file(root, name) for name in names) if path.is_file()],
        access,
        problem,
        [*_note_config(root), *_note_programs(root)],
        messages,
        sorted(path.name for path in root.glob("proposed_trades_*.json")),
        list_schedules(root),
        find_python(root),
        ledger_path,
    )


def has_older_code(survey: Survey) -> bool:
    """Return True if the project's code is still the older system's own."""
    return bool(survey.code.replaced) and not survey.code.is_ours


def list_our_files() -> dict[str, Path]:
    """Return the files that go into a project, by their path in it."""
    found = {
        f"Departments/{path.relative_to(PACKAGE).as_posix()}": path
        for path in sorted(PACKAGE.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    inside, beside = PACKAGE / "default_scripts", PACKAGE.parent / "scripts"
    scripts = inside if inside.is_dir() else beside
    return found | {f"scripts/{name}": scripts / name for name in SCRIPTS if (scripts / name).is_file()}


def _find_code(root: Path) -> FoundCode:
    folder, ours = root / "Departments", list_our_files()
    theirs = [path.relative_to(root).as_posix() for path in sorted(folder.rglob("*.py")) if path.is_file()]
    replaced = tuple(name for name in theirs if name in ours)
    return FoundCode(
        replaced,
        tuple(name for name in theirs if name not in ours),
        (folder / "__init__.py").is_file() and not (folder / "bootstrap.py").is_file(),
        (folder / "bootstrap.py").is_file(),
    )


def _list_databases(root: Path, ledger: Path) -> list[Path]:
    """Return the SQLite files of a project, in its folder and one below, and the ledger."""
    found = {*root.glob("*.db"), *root.glob("*/*.db"), *root.glob("*.sqlite*"), ledger}
    return sorted(path for path in found if path.is_file() and not path.parent.name.startswith("Before_Departments"))


def _look_into(path: Path) -> FoundDatabase:
    try:
        names = [str(row[0]) for row in look_into(path, "SELECT name FROM sqlite_master WHERE type = 'table'")]
        tables = {name: _count_rows(path, name) for name in sorted(names) if not name.startswith("sqlite_")}
        return FoundDatabase(path, tables, read_version(path))
    except LedgerError as error:
        return FoundDatabase(path, {}, problem=error.sentence)


def _count_rows(path: Path, name: str) -> int:
    quoted = name.replace('"', '""')
    return int(look_into(path, f'SELECT count(*) FROM "{quoted}"')[0][0])  # noqa: S608 - a quoted name


def read_version(path: Path) -> int | None:
    """Return the version of a ledger of ours. None before its tables are made. Raises LedgerError."""
    rows = look_into(path, "SELECT version FROM ledger_version") if has_table(path, "ledger_version") else []
    version = rows[0][0] if rows else 0
    if not isinstance(version, int):
        raise describe_damage(path, f"its version is {version!r:.40}")
    if version == 0 and has_table(path, "desk_plans"):
        raise describe_damage(path, "its version is missing")
    return version or None


def check_version(path: Path, version: int) -> None:
    """Raise LedgerError for the version of a ledger that this program can neither read nor convert."""
    if version > VERSION:
        problem = f"newer than this program knows ({VERSION}); update the program"
    elif version < OLDEST:
        problem = f"older than this program can convert ({OLDEST}); move it away and see `departments reconcile`"
    else:
        return
    raise LedgerError(f"{path}: the ledger is of version {version}, {problem}.")


def _find_keys(root: Path) -> tuple[Access, str]:
    try:
        return find_access(root), ""
    except DepartmentsError as error:
        return Access("none"), error.sentence


def _note_config(root: Path) -> Iterator[str]:
    path = root / "config.py"
    if not path.is_file():
        return
    try:
        statements = ast.parse(path.read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return  # the keys' own sentence names it
    if any(isinstance(statement, ast.Raise) for statement in statements):
        yield f"{path}: it raises when it is imported; the desk reads its keys without running it, your modules cannot"


def list_schedules(root: Path) -> list[str]:
    """Return the names of the files by which a project's own scripts are started."""
    return sorted(path.name for pattern in SCHEDULES for path in root.glob(pattern))


def _note_programs(root: Path) -> Iterator[str]:
    for program in find_programs(root):
        yield f"{program.script} is running (process {program.pid}): --apply and --undo wait for its end"


def _find_messages(root: Path) -> FoundMessages:
    counts: Counter[tuple[str, str]] = Counter()
    unreadable = []
    for place in lookup.places(root / MESSAGES):
        try:
            kind = place.decode().message_type
        except (UnreadableMessage, OSError):
            unreadable.append(f"{place.box}/{place.department}/{place.name}")
        else:
            counts[f"{place.box}/{place.department}", kind] += 1
    return FoundMessages(dict(sorted(counts.items())), tuple(unreadable))
