"""Waiting for the market's opening, with a countdown in the log."""

from __future__ import annotations

from datetime import timedelta

from Departments.bootstrap import Desk
from Departments.core.logs import make_logger
from Departments.core.moments import show_moment
from Departments.core.trading_calendar import trading_day

log = make_logger(__name__)

LONGEST_WAIT = timedelta(hours=18)  # from the evening to the next morning, and over no day without trading


def await_opening(desk: Desk) -> None:
    """Sleep until the market opens, by the broker's clock.

    A market that opens in more than LONGEST_WAIT is not waited for, and neither is one whose day was executed.
    """
    if desk.ledger.plans.find_executed(trading_day(desk.clock.now())):
        return
    while True:
        hours = desk.hours.read()
        now = desk.clock.now() + desk.hours.offset()
        left = hours.next_open - now
        if hours.is_open_at(now) or not timedelta() < left <= LONGEST_WAIT:
            return
        log.info("The market opens on %s, in %s", show_moment(hours.next_open), write_countdown(left))
        desk.clock.sleep(min(left, find_pause(left)).total_seconds())


def find_pause(left: timedelta) -> timedelta:
    """Return the time to the next line of a countdown with some time `left`."""
    return timedelta(minutes=15) if left > timedelta(minutes=20) else timedelta(minutes=1)


def write_countdown(left: timedelta) -> str:
    """Write a time as hours, minutes and seconds, 1:02:03."""
    minutes, seconds = divmod(int(left.total_seconds()), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
