"""Waiting for the time of the day's run and for the market's opening, with a countdown in the log."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from Departments.bootstrap import Desk
from Departments.core.errors import BadInput
from Departments.core.logs import make_logger
from Departments.core.moments import show_moment
from Departments.core.readers import read_time_of_day
from Departments.core.trading_calendar import is_trading_day, trading_day
from Departments.Executive.overview.due_runs import find_moment

log = make_logger(__name__)

LONGEST_WAIT = timedelta(hours=18)  # from the evening to the next morning, and over no day without trading


def read_earliest(text: str | None) -> time | None:
    """Read `--not-before`. Raises BadInput."""
    try:
        return None if text is None else read_time_of_day(text)
    except ValueError as error:
        raise BadInput("--not-before", "", *str(error).split("; ", 1)) from error


def wait(desk: Desk, earliest: time | None, *, for_open: bool) -> None:
    """Sleep until the `earliest` time of the run, if one is given, and then for the opening, if it is wanted."""
    if earliest is not None:
        await_time(desk, earliest)
    if for_open:
        await_opening(desk, today=earliest is not None)


def await_time(desk: Desk, earliest: time) -> None:
    """Sleep until a time in New York, by the broker's clock, on a trading day without a finished run."""
    while _may_run_today(desk):
        now = _find_now(desk)
        due = find_moment(trading_day(now), earliest)
        if now >= due:
            return
        _sleep(desk, now, due, "The run begins")


def await_opening(desk: Desk, *, today: bool = False) -> None:
    """Sleep until the market opens, by the broker's clock.

    A market that opens in more than LONGEST_WAIT is not waited for, nor one that opens on another day if it has to be
    `today`, nor one whose day was executed.
    """
    if desk.ledger.plans.find_executed(trading_day(desk.clock.now())):
        return
    while True:
        hours = desk.hours.read()
        now = _find_now(desk)
        is_near = timedelta() < hours.next_open - now <= LONGEST_WAIT
        is_wanted = not today or trading_day(hours.next_open) == trading_day(now)
        if hours.is_open_at(now) or not (is_near and is_wanted):
            return
        _sleep(desk, now, hours.next_open, "The market opens")


def _may_run_today(desk: Desk) -> bool:
    today = trading_day(desk.clock.now())
    return is_trading_day(today) and not desk.ledger.plans.find_executed(today)


def _find_now(desk: Desk) -> datetime:
    return desk.clock.now() + desk.hours.offset()


def _sleep(desk: Desk, now: datetime, until: datetime, what: str) -> None:
    """Sleep until the next line of the countdown."""
    left = until - now
    log.info("%s on %s, in %s", what, show_moment(until), write_countdown(left))
    desk.clock.sleep(min(left, find_pause(left)).total_seconds())


def find_pause(left: timedelta) -> timedelta:
    """Return the time to the next line of a countdown with some time `left`."""
    return timedelta(minutes=15) if left > timedelta(minutes=20) else timedelta(minutes=1)


def write_countdown(left: timedelta) -> str:
    """Write a time as hours, minutes and seconds, 1:02:03."""
    minutes, seconds = divmod(int(left.total_seconds()), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
