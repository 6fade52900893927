"""Whether a workspace can work: each diagnosis is one sentence with its mend. Nothing is changed or sent."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from Departments.bootstrap import Choices, Desk, open_desk
from Departments.core.errors import BadInput, DepartmentsError, LedgerError, UnreadableMessage
from Departments.core.platform.disk_trouble import raise_if_read_only
from Departments.ledger.sqlite import VERSION, check_unlocked, look_into
from Departments.messaging import codec, lookup
from Departments.migration.pythons import OLDEST, find_lacking
from Departments.migration.record import MigrationState, find_record
from Departments.migration.survey import PACKAGE

#: So many files are named.
NAMED: Final = 3


class Health(StrEnum):
    """How a diagnosis is."""

    OK = "ok"
    WARNING = "warning"
    TROUBLE = "trouble"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing that was looked at."""

    health: Health
    topic: str
    sentence: str


def examine(workspace: Path, choices: Choices, *, ask_broker: bool) -> list[Diagnosis]:
    """Look at a workspace: Python, code, settings, limits, ledger, messages, broker."""
    desk = open_desk(workspace, choices)
    try:
        looks: tuple[Callable[[Desk], Iterator[Diagnosis]], ...] = (_python, _code, _files, _ledger, _messages)
        found = [diagnosis for look in looks for diagnosis in _carefully(look, desk)]
        if not any(f.health is Health.TROUBLE and f.topic in {"settings", "limits"} for f in found):
            found += _carefully(_broker if ask_broker else _broker_unasked, desk)
    finally:
        desk.close()
    return found


def _carefully(look: Callable[[Desk], Iterator[Diagnosis]], desk: Desk) -> list[Diagnosis]:
    found: list[Diagnosis] = []
    try:
        found.extend(look(desk))
    except DepartmentsError as error:
        found.append(Diagnosis(Health.TROUBLE, look.__name__.strip("_"), error.sentence))
    return found


def _python(_: Desk) -> Iterator[Diagnosis]:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < OLDEST:
        yield Diagnosis(Health.TROUBLE, "python", f"Python {version} is too old; use 3.11 or newer.")
    lacking = find_lacking()
    if lacking:
        wanted = " ".join(f'"{each}"' for each in lacking)
        yield Diagnosis(
            Health.TROUBLE, "python", f'{sys.executable} lacks packages: "{sys.executable}" -m pip install {wanted}'
        )
    else:
        yield Diagnosis(Health.OK, "python", f"Python {version} has all that the desk needs.")


def _code(desk: Desk) -> Iterator[Diagnosis]:
    folder = desk.workspace / "Departments"
    if folder.is_dir() and folder.resolve() != PACKAGE and (folder / "Executive" / "ceo.py").is_file():
        theirs = not (folder / "bootstrap.py").is_file()
        if theirs and (folder / "__init__.py").is_file():
            problem = "is the older system's and hides ours from scripts beside it"
            yield Diagnosis(
                Health.WARNING, "code", f"{folder} {problem}; run `departments migrate {desk.workspace} --apply`."
            )
        elif theirs:
            yield Diagnosis(
                Health.WARNING, "code", f"{folder} is the older system's; ours come first where both have a module."
            )
    record = find_record(desk.workspace)
    if record is not None and record.state is not MigrationState.APPLIED:
        flag = "--undo" if record.state is MigrationState.UNDOING else "--apply"
        mend = f"run `departments migrate {desk.workspace} {flag}`"
        yield Diagnosis(Health.TROUBLE, "code", f"A migration was interrupted ({record.folder.name}); {mend}.")
    yield Diagnosis(Health.OK, "code", f"The desk's code is in {PACKAGE}.")


def _files(desk: Desk) -> Iterator[Diagnosis]:
    for topic, read in (("settings", lambda: desk.settings), ("limits", lambda: desk.limits)):
        try:
            read()
        except DepartmentsError as error:
            yield Diagnosis(Health.TROUBLE, topic, error.sentence)
        else:
            yield Diagnosis(Health.OK, topic, f"The {topic} can be read.")


def _ledger(desk: Desk) -> Iterator[Diagnosis]:
    path = desk.ledger_path
    if not path.is_file():
        yield Diagnosis(Health.OK, "ledger", f"{path} will be made by the first run.")
        return
    if not os.access(path, os.W_OK):
        raise_if_read_only(path.parent)
        raise BadInput(path, "", "cannot be written (a right is missing)", "correct its rights")
    check_unlocked(path)
    tables = {str(row[0]) for row in look_into(path, "SELECT name FROM sqlite_master")}
    if "ledger_version" not in tables:
        yield Diagnosis(Health.OK, "ledger", f"{path} gets the desk's tables with the first run.")
        return
    version = int(look_into(path, "SELECT version FROM ledger_version")[0][0])
    if version != VERSION:
        mend = f"run `departments migrate {desk.workspace} --apply`" if version < VERSION else "update the program"
        raise LedgerError(f"{path}: the ledger is of version {version}, this program reads {VERSION}; {mend}.")
    unfinished = look_into(path, "SELECT plan_id FROM desk_executions WHERE ended_at IS NULL")
    for row in unfinished:
        yield Diagnosis(
            Health.WARNING, "ledger", f"The execution of {row[0]} is not finished; run `departments resume`."
        )
    yield Diagnosis(Health.OK, "ledger", f"{path} can be read and written.")


def _messages(desk: Desk) -> Iterator[Diagnosis]:
    root = desk.mailbox.root
    unread, regime = [], 0
    for place in lookup.places(root, ("Inbox",)):
        try:
            regime += codec.decode(place.read(), name=place.name).message_type == "RegimeUpdate"
        except (UnreadableMessage, OSError):
            unread.append(f"{place.department}/{place.name}")
    if unread:
        more = f" and {len(unread) - NAMED} more" if len(unread) > NAMED else ""
        names = ", ".join(unread[:NAMED])
        yield Diagnosis(Health.WARNING, "messages", f"{len(unread)} files cannot be read as messages: {names}{more}.")
    if regime:
        mend = "`departments archive --type RegimeUpdate --older-than 1d` clears old ones"
        yield Diagnosis(Health.WARNING, "messages", f"{regime} regime messages wait in inboxes; {mend}.")
    yield Diagnosis(Health.OK, "messages", f"Messages are in {root}.")


def _broker(desk: Desk) -> Iterator[Diagnosis]:
    account = desk.broker.account()
    answer = f"{desk.broker_row.title} answers: equity ${account.equity:,.2f}, cash ${account.cash:,.2f}."
    yield Diagnosis(Health.OK, "broker", answer)


def _broker_unasked(desk: Desk) -> Iterator[Diagnosis]:
    yield Diagnosis(Health.OK, "broker", f"The broker is {desk.broker_row.title}; `departments doctor` asks it.")
