"""The inputs of a day, read and checked first: clock, plan file, briefing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from Departments.bootstrap import MESSAGES, Desk
from Departments.constraints.checks.timing import is_plan_old
from Departments.constraints.limits import Limits
from Departments.core.departments import OPERATIONS, RESEARCH
from Departments.core.errors import BadInput, UnreadableMessage
from Departments.core.moments import iso, parse_iso, show_moment, write_offset
from Departments.core.plans import TradingPlan
from Departments.core.platform import files
from Departments.core.platform.clock import Clock, ShiftedClock, SimulatedClock, SystemClock
from Departments.core.platform.text_files import read_json
from Departments.core.trading_calendar import trading_day
from Departments.Executive.day_order import DayOrder, prepare_nothing
from Departments.messaging import codec
from Departments.messaging.message import Message
from Departments.messaging.neighbours import DailyBriefing
from Departments.messaging.payloads import Sizes
from Departments.messaging.plan_documents import plan_from
from Departments.Operations.briefing import briefing_from, refuse_other_days

A_YEAR = timedelta(days=366)
A_BRIEFING = "name a DailyBriefing message"


def make_clock(at: str | None, *, side_by_side: bool = False) -> Clock:
    """Return the machine's clock, or a simulated one from an ISO time on. Raises BadInput.

    Processes `side_by_side` need a time that passes by itself: theirs starts at `at` and runs at real speed.
    """
    if at is None:
        return SystemClock()
    if _lacks_zone(at):
        mend = "write 2025-11-10T10:05:42-05:00 for New York (-04:00 in summer), or 2025-11-10T15:05:42Z for UTC"
        raise BadInput("--at", "", f"{at!r} has no time zone", mend)
    try:
        start = parse_iso(at)
        _ = start - A_YEAR, start + A_YEAR  # dates counted from it must exist, too
        return ShiftedClock(start) if side_by_side else SimulatedClock(start)
    except (ValueError, OverflowError) as error:
        raise BadInput("--at", "", f"{at!r} is not an ISO time", "write 2025-11-10T15:05:42Z") from error


def _lacks_zone(text: str) -> bool:
    """Return whether a text is an ISO time without a zone; what is no time at all is another fault."""
    try:
        return datetime.fromisoformat(write_offset(text)).tzinfo is None
    except ValueError:
        return False


def read_day_order(
    desk: Desk,
    briefing: Path | None,
    plan: Path | None,
    *,
    dry_run: bool,
    sizes: Sizes = "keep",
    fill: bool = False,
) -> DayOrder:
    """Read the start of the day. Raises BadInput.

    The inputs of a new plan are not checked if an execution continues, or if the day already has its own.
    """
    _ = desk.settings, desk.limits
    check_report_folder(desk.workspace / "Reports")
    if plan is None and (fill or sizes != "keep"):
        option = "--fill" if fill else "--sizes"
        raise BadInput(option, "", "needs a plan", "add --plan FILE")
    document = None if plan is None else read_json(plan)
    proposed = None if document is None else plan_from(document, str(plan))
    message = None if briefing is None else read_briefing(briefing)
    may_be_made = not dry_run and desk.settings.operations.briefing.is_set  # then Operations says what is wrong
    if dry_run or not _has_begun(desk, proposed):
        _check(desk, proposed, plan, message, briefing)
        if proposed is None and message is None and not may_be_made:
            _check_waiting(desk, desk.clock.now(), may_come=not dry_run)
    given = (None, None) if message is None else (message.message_id, message.timestamp)
    return DayOrder(given[0], document, dry_run, _delivery(desk, message), briefing_at=given[1], sizes=sizes, fill=fill)


def read_briefing(path: Path) -> Message:
    """Read a DailyBriefing from a file. Raises BadInput."""
    try:
        message = codec.decode(files.read_bytes(path), name=path.name)
    except FileNotFoundError as error:
        raise BadInput(path, "", "there is no such file", A_BRIEFING) from error
    except OSError as error:
        raise BadInput(path, "", f"cannot be read ({files.describe(error)})", A_BRIEFING) from error
    except UnreadableMessage as error:
        raise BadInput(path, "", f"is not a message ({error})", A_BRIEFING) from error
    if message.message_type != "DailyBriefing":
        raise BadInput(path, "message_type", f"is {message.message_type}", A_BRIEFING)
    return message


def check_report_folder(folder: Path) -> None:
    """Raise BadInput if no report can be written there."""
    if folder.exists() and not folder.is_dir():
        raise BadInput(folder, "", "is a file; the reports need a folder there", "move that file away")


def _has_begun(desk: Desk, plan: TradingPlan | None) -> bool:
    if not desk.ledger_path.exists():
        return False
    plans, day = desk.ledger.plans, trading_day(desk.clock.now())
    waiting = plan is None and plans.find_approved(day)
    begun = plans.find_unfinished() or plans.find_executed(day) or waiting
    return bool(begun or (plan and plans.execution(plan.plan_id)))


def _check(desk: Desk, plan: TradingPlan | None, path: Path | None, message: Message | None, file: Path | None) -> None:
    now = desk.clock.now()  # of a briefing only the day counts; no exchange is made for one that is refused
    if message is not None:
        desk.admission.check_file(message, str(file))
        _refuse_unplannable(message, str(file), now)
    if plan is not None:
        # Ages go by the broker's clock. The simulated exchange has the desk's; it is not made for a refused plan.
        moment = now if desk.broker_row.takes_simulated_clock else desk.reader.moment()
        _refuse_stale(plan, str(path), moment, desk.limits)


def _refuse_stale(plan: TradingPlan, source: str, now: datetime, limits: Limits) -> None:
    made = plan.generated_at
    if is_plan_old(limits, made, now):
        problem = (
            f"the plan was made at {show_moment(made)}, more than {limits.staleness.plan_max_age_hours:g} hours ago"
        )
        raise BadInput(source, "generated_at", problem, f"make a new plan, or replay that day with --at {iso(made)}")


def _check_waiting(desk: Desk, now: datetime, *, may_come: bool) -> None:
    """Raise BadInput if Operations will find nothing to plan from, unless a briefing of today `may_come` yet."""
    if desk.bus.list_contradictions(OPERATIONS):
        return  # Operations sets them aside and names them
    try:
        desk.shelf.check_briefing(now, may_come=may_come)  # else Operations asks RESEARCH, and says what is missing
    except BadInput as error:
        path = _path_of(desk, error.source, now)
        raise type(error)(path, error.key, error.problem, error.mend) from error


def _refuse_unplannable(message: Message, source: str, now: datetime) -> None:
    try:
        payload = DailyBriefing.of(message, source)
    except UnreadableMessage as error:
        raise BadInput(source, "payload", str(error), "correct the JSON there") from error
    refuse_other_days(briefing_from(payload, source, at=message.timestamp), trading_day(now))


def _path_of(desk: Desk, source: str, now: datetime) -> str:
    """Return the path of a briefing named by its id, else the source as it is."""
    name, root = f"{source}.md", desk.workspace / MESSAGES
    archive = root / "Archive" / trading_day(now).isoformat() / OPERATIONS
    folders = (root / "Inbox" / OPERATIONS, archive, root / "Dead_Letter" / OPERATIONS, root / "Outbox" / RESEARCH)
    return str(next((f / name for f in folders if (f / name).exists()), source))


def _delivery(desk: Desk, message: Message | None) -> Callable[[], None]:
    return prepare_nothing if message is None else lambda: desk.planner.accept_briefing(message)
