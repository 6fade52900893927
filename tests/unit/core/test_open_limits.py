"""Limits without data: counted by days with a plan, named after ten of them, and once a week from then on."""

from __future__ import annotations

from datetime import date, timedelta

from Departments.core.open_limits import OpenLimit, follow_limits

MONDAY = date(2025, 11, 10)
GAP = {"MIN_MARKET_CAP": "market_cap"}


def after(*plans: tuple[int, dict[str, str], set[str]]) -> list[OpenLimit]:
    """Follow plans, each so many days after Monday, and return the state after the last."""
    before: list[OpenLimit] = []
    now: list[OpenLimit] = []
    last = 0
    for day, gaps, judged in plans:
        if day != last:
            before, now, last = now or before, [], day
        now = list(follow_limits(before, now, MONDAY + timedelta(days=day), gaps, judged))
    return now


def days_named(count: int) -> list[int]:
    """Return the days on which a limit that always lacks data is named."""
    named = []
    for last in range(count):
        (found,) = after(*((day, GAP, set()) for day in range(last + 1)))
        if found.named_on == MONDAY + timedelta(days=last):
            named.append(last)
    return named


def test_a_limit_is_named_after_ten_days_and_then_once_a_week() -> None:
    assert days_named(25) == [9, 16, 23]


def test_several_plans_of_a_day_count_once_and_each_of_them_names_it() -> None:
    plans = [(day, GAP, set[str]()) for day in range(10) for _ in range(3)]
    (found,) = after(*plans)
    assert (found.days, found.since, found.named_on) == (10, MONDAY, MONDAY + timedelta(days=9))


def test_one_order_that_it_judged_begins_the_count_anew() -> None:
    nine = [(day, GAP, set[str]()) for day in range(9)]
    (judged,) = after(*nine, (9, {}, {"MIN_MARKET_CAP"}), (9, GAP, set()))
    assert judged.days == 0
    (again,) = after(*nine, (9, {}, {"MIN_MARKET_CAP"}), (10, GAP, set()))
    assert (again.days, again.since) == (1, MONDAY + timedelta(days=10))


def test_a_day_that_does_not_ask_for_the_limit_changes_nothing() -> None:
    nine = [(day, GAP, set[str]()) for day in range(9)]
    (found,) = after(*nine, (9, {}, set()))
    assert (found.days, found.named_on) == (9, None)


def test_the_reminder_says_since_when_what_lacks_and_the_mend() -> None:
    said = OpenLimit("MIN_MARKET_CAP", "market_cap", MONDAY, 12).sentence
    assert said.startswith("MIN_MARKET_CAP: not evaluated on any of 12 days with a plan, since 2025-11-10 (no market_c")
    assert "missing_data" in said
