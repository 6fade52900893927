"""The trail of a trailing stop: twice the average true range of 14 days, within 3 and 15 percent."""

from datetime import date, timedelta
from decimal import Decimal as D

import pytest

from Departments.core.quotes import Bar
from Departments.Trading.trails import find_trail

DAY = date(2025, 10, 1)


def bars(count: int, *, width: str, close: str = "100", gap: str = "0") -> list[Bar]:
    half = D(width) / 2
    return [
        Bar(
            "ALKS",
            DAY + timedelta(days=n),
            D(close),
            D(close) + half + D(gap),
            D(close) - half + D(gap),
            D(close),
            D(1),
        )
        for n in range(count)
    ]


@pytest.mark.parametrize(
    ("width", "trail"), [("2", "4.00"), ("1.5", "3.00"), ("0.5", "3.00"), ("7.5", "15.00"), ("20", "15.00")]
)
def test_the_trail_is_two_average_true_ranges_within_its_bounds(width: str, trail: str) -> None:
    assert find_trail(bars(15, width=width), D("0.08")) == D(trail)


def test_a_gap_is_part_of_the_true_range() -> None:
    assert find_trail(bars(15, width="2", gap="3"), D("0.08")) == D("8.00")


@pytest.mark.parametrize("count", [0, 1, 14])
def test_without_fifteen_days_the_stop_loss_counts(count: int) -> None:
    assert find_trail(bars(count, width="2"), D("0.08")) == D("8.00")


def test_only_the_last_days_count() -> None:
    assert find_trail([*bars(30, width="10"), *bars(15, width="2")], D("0.08")) == D("4.00")
