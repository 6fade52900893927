"""When the day's run is due, by the settings: in New York time, on trading days. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

from Departments.core.settings import ScheduleSettings
from Departments.core.trading_calendar import EASTERN, is_trading_day, next_trading_day, trading_day


def find_next_run(schedule: ScheduleSettings, now: datetime) -> datetime | None:
    """Return the next moment (UTC) at which a run is due, None without a schedule."""
    if schedule.run_at is None:
        return None
    today = trading_day(now)
    due = find_moment(today, schedule.run_at)
    return due if is_trading_day(today) and now < due else find_moment(next_trading_day(today), schedule.run_at)


def find_overdue(schedule: ScheduleSettings, now: datetime) -> datetime | None:
    """Return the moment (UTC) by which a run of today was due to end, if it has passed; None else."""
    today = trading_day(now)
    if schedule.overdue_by is None or not is_trading_day(today):
        return None
    due = find_moment(today, schedule.overdue_by)
    return due if now >= due else None


def find_moment(day: date, at: time) -> datetime:
    """Return a time in New York on a day, as UTC."""
    return datetime.combine(day, at, EASTERN).astimezone(UTC)
