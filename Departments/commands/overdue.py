"""`departments overdue`: tell people that no run of today has ended."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from Departments.bootstrap import Choices, Desk
from Departments.commands.consoles import open_console
from Departments.commands.frame import print_json, work_at_desk
from Departments.commands.inputs import make_clock
from Departments.commands.options import AsJson, At, Workspace
from Departments.core.errors import BadInput
from Departments.core.moments import iso, show_moment
from Departments.core.settings import ScheduleSettings
from Departments.core.trading_calendar import trading_day
from Departments.core.validation import validate
from Departments.Executive.overview.due_runs import find_overdue
from Departments.Executive.overview.problems import RERUN
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
        due, now = find_overdue(schedule, desk.clock.now()), desk.clock.now()
        is_done = _has_ended(desk)
        is_late = due is not None and not is_done
        if due is not None and is_late:
            desk.announcer.tell(_announce(desk, show_moment(due)))
    document = {"at": iso(now), "due": None if due is None else iso(due), "ended": is_done, "overdue": is_late}
    return _show(document, as_json=as_json)


def _read_schedule(desk: Desk, by: str | None) -> ScheduleSettings:
    schedule = desk.settings.schedule
    if by is not None:
        schedule = validate(ScheduleSettings, {"overdue_by": by}, Path("--by"))
    if schedule.overdue_by is None:
        raise BadInput("--by", "", "nobody says when a run is overdue", "write departments overdue --by 10:30")
    return schedule


def _has_ended(desk: Desk) -> bool:
    runs = desk.ledger.plans.executions(trading_day(desk.clock.now()))
    return any(run.ended_at is not None and not run.by_hand for run in runs)


def _announce(desk: Desk, due: str) -> Notice:
    running = desk.ledger.plans.find_unfinished()
    state = "none was begun" if running is None else f"{running.plan_id} was begun and has not ended"
    what = f"No run of today has ended by {due}: {state}; {RERUN}."
    lines = (what, f"Workspace: {desk.workspace}")
    return Notice(NoticeEvent.OVERDUE, "run", "The day's run is overdue", lines)


def _show(document: dict[str, Any], *, as_json: bool) -> int:
    if as_json:
        print_json(document)
    elif document["overdue"]:
        open_console().print(f"No run of today has ended; {RERUN}.")
    elif document["ended"]:
        open_console().print("A run of today has ended.")
    else:
        open_console().print("No run is due by now.")
    return int(document["overdue"])


def register(app: typer.Typer) -> None:
    """Add `overdue`."""
    app.command("overdue", help=HELP)(overdue)
