"""Splits: a whole ratio with an agreeing price, or an announcement."""

from __future__ import annotations

from datetime import date
from decimal import Decimal as D

import pytest

from Departments.core.activities import Activity, ActivityKind
from Departments.Trading.splits import ChangedHolding, describe_ratio, find_split


def holding(before: str, after: str, paid: str | None, entry: str | None, market: str | None = None) -> ChangedHolding:
    numbers = (None if text is None else D(text) for text in (paid, entry, market))
    return ChangedHolding("XSP", D(before), D(after), *numbers)


def announce(ratio: str | None, qty: str | None) -> Activity:
    numbers = {"ratio": None if ratio is None else D(ratio), "qty": None if qty is None else D(qty)}
    return Activity("1", ActivityKind.SPLIT, "SPLIT", None, date(2025, 11, 11), D(0), "XSP", **numbers)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (holding("44", "440", "120", "12"), "10 for 1"),
        (holding("44", "440", "120", None, "12.9"), "10 for 1"),  # the broker knows no entry price
        (holding("44", "440", "120", "120", "12.1"), "10 for 1"),  # it has not adjusted it
        (holding("44", "4", "12", "120"), "1 for 10"),  # 0.4 were paid in cash
        (holding("44", "4.4", "12", "120"), "1 for 10"),
        (holding("44", "88", None, None, "60"), "2 for 1"),  # no price is known
    ],
)
def test_a_whole_ratio_with_an_agreeing_price_is_a_split(found: ChangedHolding, words: str) -> None:
    split = find_split(found, [], unannounced=True)
    assert split is not None
    assert describe_ratio(split.ratio) == words
    assert find_split(found, [], unannounced=False) is None


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (holding("44", "66", "120", "80"), "3 for 2"),
        (holding("45", "67", "120", "80"), "3 for 2"),  # half a share was paid in cash
        (holding("40", "50", "120", "96"), "5 for 4"),
        (holding("66", "44", "80", "120"), "2 for 3"),
        (holding("60", "45", "30", "40.01"), "3 for 4"),
        (holding("100", "105", "21", "20"), None),  # a stock dividend: both numbers are above 20
    ],
)
def test_another_small_ratio_is_a_split_if_the_entry_price_followed_it_exactly(
    found: ChangedHolding, words: str | None
) -> None:
    split = find_split(found, [], unannounced=True)
    assert (None if split is None else describe_ratio(split.ratio)) == words


def test_two_splits_of_one_symbol_are_one_ratio() -> None:
    split = find_split(holding("44", "264", "120", "20"), [announce("2", None), announce("3", None)], unannounced=False)
    assert split is not None
    assert split.ratio == 6


@pytest.mark.parametrize(
    "found",
    [
        holding("44", "88", "120", "120", "120"),  # bought by hand at the same price
        holding("44", "88", "120", "90", "60"),  # and at half of it
        holding("88", "44", "120", "120", "120"),  # half was sold
        holding("44", "440", "120", "9"),
        holding("44", "66", "120", "81"),  # 3 for 2 needs an announcement, or an entry price that fits exactly
        holding("44", "66", "120", "120", "80"),
        holding("44", "66", None, "80"),
        holding("40", "50", "120", None, "96"),
        holding("44", "0", "120", None),
        holding("0", "44", None, "12"),
        holding("45", "4", None, None, "12"),  # no price, and a fraction: a guess
        holding("44", "440", "120", None, None),
    ],
)
def test_anything_else_is_no_split(found: ChangedHolding) -> None:
    assert find_split(found, [], unannounced=True) is None


@pytest.mark.parametrize(
    ("activity", "found"),
    [
        (announce("1.5", None), holding("44", "66", "120", "80")),
        (announce(None, "22"), holding("44", "66", "120", "80")),
        (announce("0.1", None), holding("44", "4", None, None)),
    ],
)
def test_an_announcement_explains_what_it_says(activity: Activity, found: ChangedHolding) -> None:
    split = find_split(found, [activity], unannounced=False)
    assert split is not None
    assert split.activity_id == "1"


def test_an_announcement_of_something_else_explains_nothing() -> None:
    assert find_split(holding("44", "45", "120", "120"), [announce("10", "396")], unannounced=True) is None
