from datetime import UTC, date, datetime, timedelta

import holidays
import pytest

from Departments.core.trading_calendar import (
    PUBLIC,
    is_half_day,
    is_open,
    is_trading_day,
    next_close,
    next_open,
    next_trading_day,
    session,
    trading_day,
)


@pytest.mark.parametrize(
    "day", [date(2025, 11, 8), date(2025, 11, 27), date(2025, 12, 25), date(2026, 4, 3), date(2025, 1, 9)]
)
def test_weekends_holidays_and_days_of_mourning_do_not_trade(day: date) -> None:
    assert not is_trading_day(day)


def test_the_day_after_thanksgiving_closes_at_one() -> None:
    assert is_half_day(date(2025, 11, 28))
    assert session(date(2025, 11, 28)) == (
        datetime(2025, 11, 28, 14, 30, tzinfo=UTC),
        datetime(2025, 11, 28, 18, 0, tzinfo=UTC),
    )


def test_hours_follow_daylight_saving_time() -> None:
    assert session(date(2025, 7, 7))[0] == datetime(2025, 7, 7, 13, 30, tzinfo=UTC)
    assert session(date(2025, 11, 10))[0] == datetime(2025, 11, 10, 14, 30, tzinfo=UTC)


def test_a_session_of_a_day_without_trading_is_an_error() -> None:
    with pytest.raises(ValueError, match="not a trading day"):
        session(date(2025, 11, 9))


def test_the_opening_minute_is_open_and_the_closing_minute_is_not() -> None:
    opens, closes = session(date(2025, 11, 10))
    assert is_open(opens)
    assert not is_open(closes)


def test_late_evening_in_utc_is_still_the_exchanges_day() -> None:
    assert trading_day(datetime(2025, 11, 11, 2, 0, tzinfo=UTC)) == date(2025, 11, 10)


def test_the_next_open_and_close_skip_the_weekend() -> None:
    friday_evening = datetime(2025, 11, 7, 22, 0, tzinfo=UTC)
    assert next_open(friday_evening) == datetime(2025, 11, 10, 14, 30, tzinfo=UTC)
    assert next_close(friday_evening) == datetime(2025, 11, 10, 21, 0, tzinfo=UTC)
    assert next_trading_day(date(2025, 11, 26)) == date(2025, 11, 28)


def test_the_days_are_those_of_the_package() -> None:
    for year in (2001, 2025, 2026):
        holiday = set(holidays.financial_holidays("NYSE", years=year, categories=(PUBLIC,)))
        weekdays = (date(year, 1, 1) + timedelta(days=n) for n in range(365))
        assert {day for day in weekdays if day.weekday() < 5 and not is_trading_day(day)} <= holiday
        assert not any(is_trading_day(day) for day in holiday)
