"""`departments overdue`: tell people that no run of today has ended."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from Departments.bootstrap import Choices, Desk
from Departments.commands.consoles import open_console
from Departments.commands.frame import print_json, work_at_desk
from Departments.commands.inputs import make_clock
from Departments.commands.options import AsJson, At, Workspace
from Departments.core.errors import BadInput
from Departments.core.moments import iso
from Departments.core.readers import read_time_of_day
from Departments.core.settings import ScheduleSettings
from Departments.core.trading_calendar import trading_day
from Departments.Executive.overview.due_runs import find_overdue
from Departments.Executive.overview.problems import describe_overdue
from Departments.Executive.overview.reading import find_progress
from Departments.Executive.overview.standing import run_document
from Departments.notices.notice import Notice, NoticeEvent

HELP = """Tell people that no run of today has ended, once a day. Send nothing else.

Let the system's scheduler start it a little after `--by`, on every weekday: on days without trading, before `--by`, and
after a run it says nothing. Without `--by` it takes `schedule.overdue_by` of the settings. Exit code 1 if a run is
overdue.
"""


def overdue(
    workspace: Workspace = Path(),
    by: Annotated[str | None, typer.Option(metavar="TIME", help="The time in New York, such as 10:30.")] = None,
    at: At = None,
    *,
    as_json: AsJson = False,
) -> int:
    """Look whether a run of today has ended."""
    with work_at_desk(workspace, "overdue", Choices(clock=make_clock(at))) as desk:
        schedule = _read_schedule(desk, by)
        now = desk.clock.now()
        due, is_done = find_overdue(schedule, now), _has_ended(desk)
        late, progress = None, find_progress(desk.ledger, desk.is_executing)
        if due is not None and not is_done:
            late = describe_overdue(due, progress)
            cause = "run" if progress is None else f"run, {progress.state}"
            lines = (_capitalise(late.text), f"Workspace: {desk.workspace}")
            desk.announcer.tell(Notice(NoticeEvent.OVERDUE, cause, "The day's run is overdue", lines))
    if as_json:
        times = {"at": iso(now), "due": None if due is None else iso(due)}
        running = None if progress is None else run_document(progress.run) | {"alive": progress.is_alive}
        states = {"ended": is_done, "overdue": late is not None, "running": running}
        print_json(times | states | {"sentence": None if late is None else late.text})
    else:
        sentence = late.text if late else "A run of today has ended." if is_done else "No run is due by now."
        open_console().print(_capitalise(sentence), markup=False, highlight=False, soft_wrap=True)
    return int(late is not None)


def _capitalise(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"


def _read_schedule(desk: Desk, by: str | None) -> ScheduleSettings:
    schedule = desk.settings.schedule
    if by is not None:
        try:
            return schedule.model_copy(update={"overdue_by": read_time_of_day(by)})
        except ValueError as error:
            raise BadInput("--by", "", *str(error).split("; ", 1)) from error
    if schedule.overdue_by is None:
        raise BadInput("--by", "", "nobody says when a run is overdue", "write departments overdue --by 10:30")
    return schedule


def _has_ended(desk: Desk) -> bool:
    runs = desk.ledger.plans.executions(trading_day(desk.clock.now()))
    return any(run.ended_at is not None and not run.by_hand for run in runs)


def register(app: typer.Typer) -> None:
    """Add `overdue`."""
    app.command("overdue", help=HELP)(overdue)
