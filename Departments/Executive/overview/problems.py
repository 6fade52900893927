"""What a person has to look at, each with its mend, and the exit code that says so to a monitor. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from Departments.core.halts import UNHALT
from Departments.core.moments import show_moment
from Departments.core.money import count_noun
from Departments.core.statuses import ExecutionStatus
from Departments.core.trading_calendar import is_trading_day, trading_day
from Departments.Executive.overview.standing import DeskStanding, Problem, Progress
from Departments.Executive.remainder import FOLLOW
from Departments.Executive.reporting.issues import drop_mend

FINE, LOOK, CLOSED = 0, 1, 5
RESUME: Final = "finish it by: departments resume"
LOOK_AGAIN: Final = "departments status --watch shows how it goes on"
RERUN: Final = "start departments run, and look at the schedule"
ACCEPT: Final = "check it at the broker, then departments reconcile --accept {0}"
DELIVER: Final = (
    "deliver a DailyBriefing to Messages_Between_Departments/Inbox/OPERATIONS, or departments run --briefing FILE"
)


def find_problems(standing: DeskStanding) -> list[Problem]:
    """Return what a person has to look at, the most urgent first."""
    return [
        *standing.troubles,
        *_list_issues(standing),
        *_list_runs(standing),
        *_list_unprotected(standing),
        *(Problem(drop_mend(each.sentence), ACCEPT.format(each.symbol or "CASH")) for each in standing.differences),
        *_list_morning(standing),
    ]


def exit_code_of(standing: DeskStanding, problems: list[Problem]) -> int:
    """Return 1 if a person has to look, else 5 while the market is closed, else 0."""
    if problems:
        return LOOK
    return FINE if standing.has_open_market else CLOSED


def _list_issues(standing: DeskStanding) -> Iterator[Problem]:
    issues = standing.issues
    yield from (Problem(each["sentence"], UNHALT) for each in issues.halts)
    for lock in issues.locks:
        yield Problem(f"{lock['ticker']} is locked: {lock['reason']}", lock["mend"])
    for letter in issues.dead_letters:
        what = f"dead letter {letter['department']}/{letter['file']}: {letter['code']}: {letter['reason'].rstrip('.')}"
        yield Problem(what, letter["mend"])


def _list_runs(standing: DeskStanding) -> Iterator[Problem]:
    progress, last = standing.progress, standing.last_run
    if progress is not None and not progress.is_alive:
        yield Problem(progress.sentence, RESUME)
    elif standing.letters_waiting and progress is None:
        yield Problem(f"{count_noun(standing.letters_waiting, 'committed message', 'wait')} for delivery", RESUME)
    is_todays = last is not None and last.trading_day == trading_day(standing.now)
    if last is not None and is_todays and last.status is ExecutionStatus.COMPLETED_WITH_ISSUES:
        yield Problem(f"{last.plan_id} ended with issues", f"read Reports/{last.plan_id}.md")
    yield from (Problem(sentence, FOLLOW) for sentence in standing.open_ends)
    if standing.overdue_since is not None:
        yield describe_overdue(standing.overdue_since, progress)


def describe_overdue(due: datetime, progress: Progress | None) -> Problem:
    """Return that no run has ended by the time it was due: it was not begun, runs still, or was interrupted."""
    what = f"no run has ended today; one was due by {show_moment(due)}"
    if progress is None or progress.run.by_hand:
        return Problem(what, RERUN)
    return Problem(f"{what}: {progress.sentence}", LOOK_AGAIN if progress.is_alive else RESUME)


def _list_unprotected(standing: DeskStanding) -> Iterator[Problem]:
    if standing.progress is not None and standing.progress.is_alive:
        return  # PROTECT comes last
    for holding in standing.holdings:
        if holding.unprotected > 0:
            what = f"{holding.position.symbol}: {count_noun(holding.unprotected, 'share', 'have')} no live exits"
            yield Problem(what, "the next departments run gives them exits")


def _list_morning(standing: DeskStanding) -> Iterator[Problem]:
    """Yield what keeps the day's run from working, while the market is open and no run has ended."""
    plan, briefing = standing.plan, standing.briefing
    if plan is not None and plan.is_waiting and plan.approvals and plan.approved_at is None and not plan.is_old:
        names = ", ".join(approval.approved_by for approval in plan.approvals)
        mend = f"another user: departments approve {plan.plan.plan_id}"
        yield Problem(f"{plan.plan.plan_id} needs two approvals; it has one, by {names}", mend)
    is_done = standing.progress is not None or standing.runs_today > 0
    is_approved = plan is not None and plan.is_waiting and plan.approved_at is not None and not plan.is_old
    if is_done or is_approved or not is_trading_day(trading_day(standing.now)):
        return
    if briefing.trouble:
        yield Problem(briefing.trouble.rstrip("."), "deliver a newer one")
    elif not briefing.message_id and not briefing.is_made_by_hook and standing.has_open_market:
        yield Problem("there is no briefing of today", DELIVER)
