"""The exchange's calendar: trading days, half days, opening and closing moments (NYSE, Eastern time).

Holidays and early closes come from the `holidays` package's NYSE calendar. The published hours are 9:30 to 16:00, on
half days to 13:00 (https://www.nyse.com/markets/hours-calendars).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache, partial
from importlib.util import module_from_spec, spec_from_file_location
from zoneinfo import ZoneInfo

EASTERN = ZoneInfo("America/New_York")
PUBLIC, HALF_DAY = "public", "half_day"  # the package's names for its two lists
OPEN, CLOSE, EARLY_CLOSE = time(9, 30), time(16, 0), time(13, 0)


@lru_cache(maxsize=64)
def _days(year: int, category: str) -> frozenset[date]:
    return frozenset(_find_calendar()(years=year, categories=(category,)))


@cache
def _find_calendar() -> Callable[..., Iterable[date]]:
    """Return the package's NYSE calendar from its one file: the package itself reads every country first (7 MB)."""
    import holidays  # noqa: PLC0415 - most commands ask for a date, not for holidays

    name = "holidays.financial.ny_stock_exchange"
    spec = spec_from_file_location(name, f"{holidays.__path__[0]}/financial/ny_stock_exchange.py")
    if spec is None or spec.loader is None:
        return partial(holidays.financial_holidays, "NYSE")
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        found: Callable[..., Iterable[date]] = module.NYSE
    except (OSError, ImportError, AttributeError):  # another version of the package has another place for it
        return partial(holidays.financial_holidays, "NYSE")
    return found


def is_trading_day(day: date) -> bool:
    """Return whether the exchange opens on `day`."""
    return day.weekday() < 5 and day not in _days(day.year, PUBLIC)


def is_half_day(day: date) -> bool:
    """Return whether the exchange closes early on `day`, at 13:00 Eastern."""
    return is_trading_day(day) and day in _days(day.year, HALF_DAY)


def session(day: date) -> tuple[datetime, datetime]:
    """Return the opening and closing moment (UTC) of a trading day. Raises ValueError for other days."""
    if not is_trading_day(day):
        raise ValueError(f"{day.isoformat()} is not a trading day")
    close = EARLY_CLOSE if is_half_day(day) else CLOSE
    return (
        datetime.combine(day, OPEN, EASTERN).astimezone(UTC),
        datetime.combine(day, close, EASTERN).astimezone(UTC),
    )


def trading_day(moment: datetime) -> date:
    """Return the exchange's date at `moment`: the Eastern calendar day, trading or not."""
    return moment.astimezone(EASTERN).date()


def is_same_session(day: date, today: date) -> bool:
    """Return whether data of `day` are of `today`: the same day, or no trading day has begun since."""
    return day == today or (day < today and next_trading_day(day) > today)


def next_trading_day(day: date, count: int = 1) -> date:
    """Return the `count`-th trading day after `day`."""
    while count > 0:
        day += timedelta(days=1)
        count -= is_trading_day(day)
    return day


def count_trading_days(first: date, last: date) -> int:
    """Return the number of trading days from `first` to `last`, both included."""
    return sum(is_trading_day(first + timedelta(days=n)) for n in range((last - first).days + 1))


def previous_trading_day(day: date) -> date:
    """Return the last trading day before `day`."""
    day -= timedelta(days=1)
    while not is_trading_day(day):
        day -= timedelta(days=1)
    return day


def is_open(moment: datetime) -> bool:
    """Return whether the regular session runs at `moment`."""
    day = trading_day(moment)
    if not is_trading_day(day):
        return False
    opens, closes = session(day)
    return opens <= moment < closes


def last_close(moment: datetime) -> datetime:
    """Return the last close at or before a moment."""
    day = trading_day(moment)
    is_over = is_trading_day(day) and session(day)[1] <= moment
    return session(day if is_over else previous_trading_day(day))[1]


def next_open(moment: datetime) -> datetime:
    """Return the next opening moment (UTC) strictly after `moment`."""
    day = trading_day(moment)
    if is_trading_day(day) and moment < session(day)[0]:
        return session(day)[0]
    return session(next_trading_day(day))[0]


def next_close(moment: datetime) -> datetime:
    """Return the next closing moment (UTC) strictly after `moment`."""
    day = trading_day(moment)
    if is_trading_day(day) and moment < session(day)[1]:
        return session(day)[1]
    return session(next_trading_day(day))[1]
