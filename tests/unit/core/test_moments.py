"""Moments as text: for people always New York's time with its zone, in winter and in summer."""

from datetime import UTC, datetime, timedelta

import pytest

from Departments.core.moments import parse_iso, show_day, show_moment, show_shortly, show_span, show_text, show_time

WINTER = datetime(2025, 11, 10, 15, 5, 42, tzinfo=UTC)
SUMMER = datetime(2025, 7, 1, 2, 30, tzinfo=UTC)  # still June in New York


def test_a_moment_for_people_has_new_yorks_day_and_zone() -> None:
    assert show_moment(WINTER) == "2025-11-10 10:05 EST"
    assert show_moment(SUMMER, seconds=True) == "2025-06-30 22:30:00 EDT"
    assert show_time(WINTER) == "10:05:42 EST"
    assert show_shortly(SUMMER) == "30 Jun 22:30 EDT"
    assert show_day(SUMMER) == "30 Jun 2025"


@pytest.mark.parametrize(
    ("since", "length", "shown"),
    [
        (WINTER, timedelta(seconds=5), "10:05:42 to 10:05:47 EST"),
        (WINTER, timedelta(days=1), "10 Nov 10:05:42 to 11 Nov 10:05:42 EST"),
        (SUMMER, timedelta(minutes=89), "22:30:00 to 23:59:00 EDT"),
        (datetime(2025, 11, 2, 5, 30, tzinfo=UTC), timedelta(hours=1), "01:30:00 EDT to 01:30:00 EST"),
    ],
)
def test_a_span_has_days_if_there_are_two_and_zones_if_there_are_two(
    since: datetime, length: timedelta, shown: str
) -> None:
    assert show_span(since, since + length) == shown


@pytest.mark.parametrize("moment", [WINTER, SUMMER, datetime(2025, 11, 2, 6, 30, tzinfo=UTC)])
def test_what_people_read_is_read_back(moment: datetime) -> None:
    assert parse_iso(show_moment(moment, seconds=True)) == moment
    assert parse_iso(f"{moment:%Y-%m-%d %H:%M:%S} UTC") == moment


def test_a_text_that_is_no_moment_stays_as_it_is() -> None:
    assert show_text("2025-11-10T15:05:42Z") == "2025-11-10 10:05 EST"
    assert show_text("soon") == "soon"
    assert show_text(None) == show_text("") == "unknown"
