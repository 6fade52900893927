"""`departments migrate` and `departments doctor`: into the project of an older system, and whether a desk can work."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table

from Departments.bootstrap import Choices
from Departments.commands.consoles import escape_text, open_console
from Departments.commands.frame import print_json, show_logs
from Departments.commands.inputs import make_clock
from Departments.commands.options import AsJson, At, BrokerOption, Workspace
from Departments.core.errors import BadInput
from Departments.core.money import count_noun
from Departments.core.platform.clock import SystemClock
from Departments.core.platform.places import locate
from Departments.doctor.diagnoses import Diagnosis, Health, examine
from Departments.migration.applying import Applied, apply_migration, list_changes
from Departments.migration.forecast import forecast
from Departments.migration.own_days import RehearsedDay, rehearse_days
from Departments.migration.pythons import find_python
from Departments.migration.record import find_record
from Departments.migration.survey import FoundDatabase, Survey, survey_project
from Departments.migration.undoing import undo_migration

Project = Annotated[Path, typer.Argument(help="The folder of the project.")]


def migrate(
    project: Project,
    at: At = None,
    *,
    apply: Annotated[bool, typer.Option("--apply", help="Do it; copies of all that it touches come first.")] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Put everything back; rows and messages since then stay.")
    ] = False,
    rehearse: Annotated[
        int | None, typer.Option(metavar="DAYS", help="Replay so many of its last days on the simulated exchange.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Look at the project of an older system: what is there, what would change, what will be different.

    Nothing is changed without `--apply`. It puts our files over the project's `Departments/` (of modules of the same
    name ours win, the others stay), writes settings for the keys that are there, converts the database and archives
    old regime messages. It can be interrupted and repeated. Stop the schedule and every watcher before. With `--json`:
    `{project, code, databases, configuration, keys, messages, plans, schedules, python, changes, differences}`, or
    `{backup, files, archived, refused, settings, pip, diagnoses}`, or `{backup, restored, removed, set_aside, pip}`.
    `--rehearse` shows day by day what ours would have done beside what was done, and why; keys are not read. With
    `--json`: `{days: [{date, cash, account, done, ours, why}], failed: [{date, file, message}]}`.
    """
    show_logs(SystemClock())
    root, now = locate(project), make_clock(at).now()
    if (apply, undo, rehearse is not None).count(True) > 1:
        raise BadInput("--apply, --undo, --rehearse", "", "cannot be given together", "choose one of them")
    if rehearse is not None:
        return _rehearse(root, rehearse, as_json=as_json)
    if undo:
        return _undo(root, now, as_json=as_json)
    if apply:
        return _apply(root, now, as_json=as_json)
    survey = survey_project(root)
    if as_json:
        print_json(_document(survey))
    else:
        _show(survey)
    return 0


def _apply(root: Path, now: Any, *, as_json: bool) -> int:
    done = apply_migration(root, now)
    python = survey_project(root).python
    diagnoses = examine(root, Choices(), ask_broker=False)
    if as_json:
        changed = {"backup": str(done.backup), "files": done.files, "archived": done.archived, "refused": done.refused}
        more = {"settings": str(done.settings), "pip": python.pip_line, "diagnoses": _list_diagnoses(diagnoses)}
        print_json({**changed, **more})
    else:
        _show_applied(done)
        if python.moved:
            names = ", ".join(f"{have} ({need} is needed)" for have, need in python.moved)
            _print(f"The next line changes the version of {names}; everything else stays as it is installed.")
        if python.pip_line:
            _print("Install what this project's Python lacks:")
            _print(python.pip_line)
        show_diagnoses(diagnoses)
    return 1 if done.refused or has_trouble(diagnoses) else 0


def _undo(root: Path, now: Any, *, as_json: bool) -> int:
    done, removal = undo_migration(root, now), find_python(root).removal
    if as_json:
        counts = {"restored": done.restored, "removed": done.removed, "set_aside": done.set_aside}
        print_json({"backup": str(done.backup), **counts, "pip": removal})
        return 0
    _print(f"{count_noun(done.restored, 'file', 'are')} the project's again; {done.removed} of ours removed.")
    _print("The database keeps the rows of the days in between, and the messages stay.")
    if done.set_aside:
        _print(f"{count_noun(len(done.set_aside), 'unhandled instruction', 'are')} in the archive; none will be sent.")
    if removal:
        _print("Our package is installed in the project's Python, and its modules still come first. Remove it:")
        _print(removal)
    return 0


def _rehearse(root: Path, count: int, *, as_json: bool) -> int:
    show_logs(SystemClock(), logging.ERROR)  # the days' own lines would hide the table
    with tempfile.TemporaryDirectory(prefix="departments-rehearsal-", ignore_cleanup_errors=True) as folder:
        days, failed = rehearse_days(root, count, Path(folder))
    if as_json:
        print_json({"days": [day.document() for day in days], "failed": [each.document() for each in failed]})
    else:
        _show_days(days)
        for each in failed:
            _print(f"Not run {each.day}: {each.message}")
    return max((each.exit_code for each in failed), default=0)


def _show_days(days: Sequence[RehearsedDay]) -> None:
    table = Table(box=box.SIMPLE, show_lines=True)
    for name in ("Day", "Cash", "Done then", "Ours", "Why"):
        table.add_column(name, overflow="fold")
    for day in days:
        cash = f"${day.cash:,.2f}" + ("" if day.account == "recorded" else f" ({day.account})")
        columns = (day.done or ("nothing is recorded",), day.ours or ("nothing",), day.why)
        table.add_row(str(day.day), cash, *("\n".join(map(escape_text, lines)) for lines in columns))
    open_console().print(table)


def _show_applied(done: Applied) -> None:
    _print(f"Copies of everything that was touched are in {done.backup}.")
    _print(f"{count_noun(done.files, 'file', 'are')} in place; the settings are {done.settings}.")
    if done.archived:
        _print(f"{count_noun(done.archived, 'old regime message', 'are')} archived.")
    for name in done.refused:
        _print(f"Not archived, the system refuses to move it: {name}")


def _show(survey: Survey) -> None:
    _print(f"Project {survey.root}")
    _print_list("It has", _list_found(survey))
    _print_list("--apply would", list_changes(survey))
    _print_list("What will be different", forecast(survey))
    record = find_record(survey.root)
    if record is not None:
        _print(
            f"A migration of {record.begun_at[:10]} is there ({record.state}): --apply refreshes it, --undo takes it "
            "back."
        )


def _list_found(survey: Survey) -> Iterable[str]:
    code = survey.code
    yield f"{count_noun(len(code.replaced), 'module')} replaced by ours: {_name_some(code.replaced)}"
    yield f"{count_noun(len(code.stays), 'module')} kept: {_name_some(code.stays)}"
    if code.is_ours:
        yield "files of this program in Departments/ already"
    if code.has_own_init:
        yield "a Departments/__init__.py of its own, which hides an installed `departments`; --apply replaces it"
    yield from (_describe_database(each, survey) for each in survey.databases)
    yield from (f"configuration {path}" for path in survey.configuration)
    yield survey.access_problem or _describe_keys(survey)
    yield from survey.notes
    kinds = sorted({kind for _, kind in survey.messages.counts})
    counts = ", ".join(f"{kind} {survey.messages.count(kind)}" for kind in kinds)
    yield f"{count_noun(survey.messages.total, 'message')}: {counts or 'none'}"
    if survey.messages.unreadable:
        count = count_noun(len(survey.messages.unreadable), "unreadable file")
        yield f"{count}: {_name_some(survey.messages.unreadable)}"
    yield f"{count_noun(len(survey.plans), 'plan')}: {_name_some(survey.plans)}"
    yield from _describe_python(survey)


def _describe_database(found: FoundDatabase, survey: Survey) -> str:
    if found.problem:
        return found.problem
    rows = ", ".join(f"{name} {count}" for name, count in found.tables.items() if count)
    used = "" if found == survey.ledger else f" (not used: the scripts and the desk use {survey.ledger_path})"
    version = f", a ledger of ours of version {found.version}" if found.version else ""
    return f"database {found.path}{version}{used}: {rows or 'no rows'}"


def _describe_keys(survey: Survey) -> str:
    kinds = {
        "paper": f"keys of a paper account in {survey.access.source}",
        "live": f"keys in {survey.access.source} for an account with real money: --apply refuses them",
    }
    return kinds.get(survey.access.kind, "no keys: the desk trades on the simulated exchange")


def _describe_python(survey: Survey) -> Iterable[str]:
    python = survey.python
    version = ".".join(map(str, python.version)) or python.problem
    yield f"Python {version} at {python.path}"
    if python.is_too_old:
        yield "this Python is too old: the desk needs 3.11 or newer"
    if python.pip_line:
        yield f"packages it lacks: {python.pip_line}"


def _document(survey: Survey) -> dict[str, Any]:
    messages = [
        {"folder": folder, "type": kind, "count": count} for (folder, kind), count in survey.messages.counts.items()
    ]
    return {
        "project": str(survey.root),
        "code": {
            "replaced": survey.code.replaced,
            "stays": survey.code.stays,
            "own_init": survey.code.has_own_init,
            "is_ours": survey.code.is_ours,
        },
        "databases": [
            {"path": str(d.path), "version": d.version, "tables": dict(d.tables), "problem": d.problem}
            for d in survey.databases
        ],
        "configuration": [str(path) for path in survey.configuration],
        "keys": {"kind": survey.access.kind, "source": survey.access.source, "problem": survey.access_problem},
        "messages": messages,
        "unreadable": survey.messages.unreadable,
        "plans": survey.plans,
        "schedules": survey.schedules,
        "python": {
            "path": str(survey.python.path),
            "version": ".".join(map(str, survey.python.version)),
            "pip": survey.python.pip_line,
            "problem": survey.python.problem,
        },
        "notes": survey.notes,
        "changes": list(list_changes(survey)),
        "differences": list(forecast(survey)),
    }


def doctor(
    workspace: Workspace = Path(), broker: BrokerOption = None, at: At = None, *, as_json: AsJson = False
) -> int:
    """Check whether a workspace can work, line by line with the mend. Send nothing, and leave nothing behind.

    Python and packages, rights and durable writes, disk, mutexes, sync clients, calendar, file events, code, settings,
    limits, ledger, messages, briefing, schedule, halt, keys, account and its gates, clock, prices. The exit code is 1
    if there is trouble; a warning does not change it. With `--json`: `[{health, topic, sentence}]`.
    """
    show_logs(SystemClock())
    diagnoses = examine(workspace, Choices(clock=make_clock(at), broker=broker), ask_broker=True)
    if as_json:
        print_json(_list_diagnoses(diagnoses))
    else:
        show_diagnoses(diagnoses)
    return 1 if has_trouble(diagnoses) else 0


def has_trouble(diagnoses: Iterable[Diagnosis]) -> bool:
    """Return True if something is in the way."""
    return any(diagnosis.health is Health.TROUBLE for diagnosis in diagnoses)


def show_diagnoses(diagnoses: Sequence[Diagnosis]) -> None:
    """Print a line for each diagnosis."""
    for diagnosis in diagnoses:
        _print(f"{diagnosis.health:8} {diagnosis.topic:11} {diagnosis.sentence}")


def _list_diagnoses(diagnoses: Iterable[Diagnosis]) -> list[dict[str, str]]:
    return [{"health": str(f.health), "topic": f.topic, "sentence": f.sentence} for f in diagnoses]


def _name_some(names: Sequence[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _print_list(title: str, lines: Iterable[str]) -> None:
    _print("")
    _print(f"{title}:")
    for line in lines:
        _print(f"  - {line}")


def _print(line: str) -> None:
    open_console().print(escape_text(line), soft_wrap=True, highlight=False)


def register(app: typer.Typer) -> None:
    """Add `migrate` and `doctor`."""
    app.command("migrate")(migrate)
    app.command("doctor")(doctor)
