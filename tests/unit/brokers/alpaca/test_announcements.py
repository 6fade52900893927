"""Announced splits and new symbols, from both of Alpaca's lists."""

from __future__ import annotations

from datetime import date
from decimal import Decimal as D
from typing import Any

import pytest

from Departments.brokers.alpaca.announcements import read_announcements, read_corporate_actions
from Departments.core.activities import ActivityKind

DAY, BEFORE = date(2025, 11, 11), date(2025, 11, 6)
SPLIT: dict[str, Any] = {
    "id": "be3c368a-4c7c-4384-808e-f02c9f5a8afe",
    "corporate_action_id": "F58684224_XY37",
    "ca_type": "split",
    "ca_sub_type": "stock_split",
    "initiating_symbol": "XSP",
    "target_symbol": "XSP",
    "ex_date": "2025-11-11",
    "payable_date": "2025-11-10",
    "cash": "0",
    "old_rate": "1",
    "new_rate": "10",
}
RENAME = SPLIT | {"ca_type": "merger", "initiating_symbol": "SQ", "target_symbol": "XYZ", "new_rate": "1"}


def announced(*rows: Any) -> list[tuple[ActivityKind, str, D | None, str]]:
    found, _ = read_announcements(rows, {"XSP", "SQ", "XYZ"}, BEFORE, DAY)
    return [(a.kind, a.symbol, a.ratio, a.new_symbol) for a in found]


def test_an_announced_split_has_its_ratio_and_its_day() -> None:
    assert announced(SPLIT) == [(ActivityKind.SPLIT, "XSP", D(10), "")]
    assert announced(SPLIT | {"new_rate": 1, "old_rate": 8.0}) == [(ActivityKind.SPLIT, "XSP", D("0.125"), "")]


@pytest.mark.parametrize(
    "row",
    [
        SPLIT | {"ex_date": "2025-11-12"},  # tomorrow
        SPLIT | {"ex_date": "2025-11-05"},
        SPLIT | {"initiating_symbol": "GLW", "target_symbol": "GLW"},
        SPLIT | {"ca_type": "dividend", "cash": "0.5"},
        SPLIT | {"new_rate": "1"},
        RENAME | {"cash": "12.5"},  # a merger for cash
        RENAME | {"new_rate": "0.5"},  # a merger for other shares
    ],
)
def test_what_is_no_split_of_today_is_none(row: dict[str, Any]) -> None:
    assert announced(row) == []


def test_an_exchange_of_one_share_for_one_is_a_new_symbol_either_way() -> None:
    assert announced(RENAME) == [(ActivityKind.RENAME, "SQ", None, "XYZ"), (ActivityKind.RENAME, "XYZ", None, "SQ")]


@pytest.mark.parametrize("odd", [None, "x", {}, SPLIT | {"ex_date": "soon"}, SPLIT | {"new_rate": "ten"}, [SPLIT]])
def test_an_odd_row_is_named_and_spoils_no_other(odd: Any) -> None:
    found, unreadable = read_announcements([odd, SPLIT], {"XSP"}, BEFORE, DAY)
    assert [a.symbol for a in found] == ["XSP"]
    assert len(unreadable) == (0 if odd == {} else 1)


@pytest.mark.parametrize("is_nested", [True, False])
def test_the_market_data_has_a_list_for_each_kind(*, is_nested: bool) -> None:
    lists = {
        "forward_splits": [{"id": "1", "symbol": "XSP", "new_rate": 10, "old_rate": 1, "ex_date": "2025-11-11"}],
        "name_changes": [{"id": "2", "old_symbol": "SQ", "new_symbol": "XYZ", "process_date": "2025-11-10"}],
        "cash_dividends": [{"id": "3", "symbol": "XSP", "rate": 0.2, "ex_date": "2025-11-11"}],
        "reverse_splits": None,
    }
    answer = {"corporate_actions": lists} if is_nested else lists
    found, unreadable = read_corporate_actions(answer, {"XSP", "XYZ"}, BEFORE, DAY)
    assert [(a.kind, a.symbol, a.ratio, a.new_symbol) for a in found] == [
        (ActivityKind.SPLIT, "XSP", D(10), ""),
        (ActivityKind.RENAME, "SQ", None, "XYZ"),
    ]
    assert not unreadable
    assert len({a.id for a in found}) == 2
