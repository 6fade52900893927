"""What the doctor looks at in a workspace: code, configuration, ledger, messages, briefing, schedule."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from Departments.bootstrap import Desk
from Departments.core.errors import BadInput, DepartmentsError, LedgerError, UnreadableMessage
from Departments.core.moments import parse_iso
from Departments.core.money import count_noun
from Departments.core.platform.disk_trouble import raise_if_read_only
from Departments.doctor.diagnoses import Diagnosis, Look, ok, trouble, warning
from Departments.ledger.ledger import TABLES
from Departments.ledger.sqlite import VERSION, check_unlocked, describe_damage, look_into
from Departments.messaging import lookup
from Departments.messaging.failures import list_dead_letters
from Departments.migration.record import MigrationState, find_ledger, find_record, has_table
from Departments.migration.survey import PACKAGE, check_version, list_schedules, read_version

#: So many files are named.
NAMED: Final = 3
CLOCK_IS_BEHIND: Final = timedelta(minutes=1)


def look_at_code(desk: Desk) -> Iterator[Diagnosis]:
    """Name the code that runs, and a migration that was interrupted."""
    folder = desk.workspace / "Departments"
    if folder.is_dir() and folder.resolve() != PACKAGE and (folder / "Executive" / "ceo.py").is_file():
        theirs = not (folder / "bootstrap.py").is_file()
        if theirs and (folder / "__init__.py").is_file():
            problem = "is the older system's and hides ours from scripts beside it"
            yield warning("code", f"{folder} {problem}; run `departments migrate {desk.workspace} --apply`.")
        elif theirs:
            yield warning("code", f"{folder} is the older system's; ours come first where both have a module.")
    record = find_record(desk.workspace)
    if record is not None and record.state is not MigrationState.APPLIED:
        flag = "--undo" if record.state is MigrationState.UNDOING else "--apply"
        mend = f"run `departments migrate {desk.workspace} {flag}`"
        yield trouble("code", f"A migration was interrupted ({record.folder.name}); {mend}.")
    yield ok("code", f"The desk's code is in {PACKAGE}.")


def look_at_files(desk: Desk) -> Iterator[Diagnosis]:
    """Read settings and limits."""
    for topic, read in (("settings", lambda: desk.settings), ("limits", lambda: desk.limits)):
        try:
            read()
        except DepartmentsError as error:
            yield trouble(topic, error.sentence)
        else:
            yield ok(topic, f"The {topic} can be read.")


def look_at_ledger(desk: Desk) -> Iterator[Diagnosis]:
    """Look whether the ledger can be written, is of this version, whole and finished."""
    path = desk.ledger_path
    if not path.is_file():
        yield ok("ledger", f"{path} will be made by the first run.")
        return
    if not os.access(path, os.W_OK):
        raise_if_read_only(path.parent)
        raise BadInput(path, "", "cannot be written (a right is missing)", "correct its rights")
    check_unlocked(path)
    version = read_version(path)
    if version is None:
        yield ok("ledger", f"{path} gets the desk's tables with the first run.")
        return
    check_version(path, version)
    if version < VERSION:
        mend = f"run `departments migrate {desk.workspace} --apply`"
        raise LedgerError(f"{path}: the ledger is of version {version}, this program reads {VERSION}; {mend}.")
    yield from _look_at_executions(desk, path)
    damage = [str(row[0]) for row in look_into(path, "PRAGMA quick_check(1)") if row[0] != "ok"]
    if damage:
        raise LedgerError(f"{path}: the content is damaged ({damage[0]}); restore a backup: departments restore.")
    _check_rows(path)
    yield ok("ledger", f"{path} can be read and written, and is whole.")
    last = look_into(path, "SELECT max(ended_at) FROM desk_executions")[0][0]
    if last and parse_iso(last) - desk.clock.now() > CLOCK_IS_BEHIND:
        yield trouble("clock", f"The last run ended at {last}, after now; set the machine's clock right.")


@dataclass(frozen=True, slots=True)
class _File:
    """A ledger that is only looked at."""

    path: Path

    def describe_damage(self, problem: str) -> LedgerError:
        """Return the error of content that cannot be read, with the mend."""
        return describe_damage(self.path, problem)


def _check_rows(path: Path) -> None:
    """Read every row of a ledger. Raises LedgerBusy, LedgerError for a missing table or a damaged row."""
    file = _File(path)
    for table in TABLES:
        for row in look_into(path, f"SELECT {table.columns} FROM {table.name}"):  # noqa: S608 - our names
            table.read(file, row)


def _look_at_executions(desk: Desk, path: Path) -> Iterator[Diagnosis]:
    for (plan_id,) in look_into(path, "SELECT plan_id FROM desk_executions WHERE ended_at IS NULL"):
        if desk.is_executing():
            yield ok("ledger", f"{plan_id} is being executed.")
        else:
            yield warning("ledger", f"The execution of {plan_id} is not finished; run `departments resume`.")


def look_at_scripts(desk: Desk) -> Iterator[Diagnosis]:
    """Name a ledger that the scripts of an older system do not open. Raises BadInput."""
    path, opened = desk.ledger_path, find_ledger(desk.workspace)
    if path != opened:
        mend = 'write state_dir: "." into the settings'
        yield warning("ledger", f"The ledger is {path}, and the project's scripts open {opened}; {mend}.")


def look_at_messages(desk: Desk) -> Iterator[Diagnosis]:
    """Read what waits in the inboxes; count old regime messages and dead letters."""
    root = desk.mailbox.root
    unread, regime = [], 0
    for place in lookup.places(root, ("Inbox",)):
        try:
            regime += place.decode().message_type == "RegimeUpdate"
        except (UnreadableMessage, OSError):
            unread.append(f"{place.department}/{place.name}")
    if unread:
        more = f" and {len(unread) - NAMED} more" if len(unread) > NAMED else ""
        names = ", ".join(unread[:NAMED])
        yield warning("messages", f"{count_noun(len(unread), 'file')} cannot be read as messages: {names}{more}.")
    if regime:
        mend = "`departments archive --type RegimeUpdate --older-than 1d` clears old ones"
        yield warning("messages", f"{count_noun(regime, 'regime message', 'wait')} in inboxes; {mend}.")
    yield ok("messages", f"Messages are in {root}.")
    dead = list_dead_letters(root)
    if dead:
        count = count_noun(len(dead), "dead letter", "need")
        yield warning("messages", f"{count} a person; see `departments dead-letters list`.")


def look_at_briefing(desk: Desk) -> Iterator[Diagnosis]:
    """Say where the day's briefing comes from."""
    try:
        view = desk.find_briefing(desk.clock.now())
    except DepartmentsError:  # the settings, named already
        return
    if view.trouble:
        yield warning("briefing", f"The newest briefing cannot be used: {view.trouble}")
    elif view.message_id:
        yield ok("briefing", f"Today's briefing is {view.message_id}.")
    elif view.is_made_by_hook:
        yield ok("briefing", "The hook operations.briefing makes the day's briefing.")
    else:
        place = "Messages_Between_Departments/Inbox/OPERATIONS"
        yield warning("briefing", f"There is no briefing of today; deliver a DailyBriefing to {place}.")


def look_at_schedule(desk: Desk) -> Iterator[Diagnosis]:
    """Say when the run begins by the settings, and whether a schedule file is there."""
    try:
        run_at = desk.settings.schedule.run_at
    except DepartmentsError:
        return
    files = [name for name in SCHEDULES if (desk.workspace / "config" / "schedule" / name).is_file()]
    files += list_schedules(desk.workspace)
    when = "" if run_at is None else f" at {run_at:%H:%M} New York time"
    if files:
        yield ok("schedule", f"The day's run is planned{when} ({', '.join(files)}).")
    else:
        mend = "`departments init --schedule systemd`, `cron` or `windows` writes it"
        yield warning("schedule", f"No file of a schedule starts the day's run{when}; {mend}.")


def look_at_halt(desk: Desk) -> Iterator[Diagnosis]:
    """Name a halt by a person."""
    path = desk.ledger_path
    if path.is_file() and has_table(path, "desk_halts"):
        for scope, reason in look_into(path, "SELECT scope, reason FROM desk_halts WHERE lifted_at IS NULL"):
            yield warning("halt", f"A person halted the desk ({scope}): {reason}; end it by: departments unhalt.")


#: What `departments init --schedule` writes.
SCHEDULES: Final = ("departments.timer", "crontab.txt", "daily-run.xml")
LOOKS: Final[tuple[Look, ...]] = (
    look_at_code,
    look_at_files,
    look_at_ledger,
    look_at_scripts,
    look_at_messages,
    look_at_briefing,
    look_at_schedule,
    look_at_halt,
)
