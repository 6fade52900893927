from __future__ import annotations

from decimal import Decimal

from Departments.constraints.headroom import Headroom, headroom
from Departments.core.portfolio import Position
from tests.builders.limits import Changes, book, facts, limits, market, position


def rows(*held: Position, day: Changes | None = None) -> dict[str, Headroom]:
    found = headroom(facts(book(*held), day or {}), limits())
    return {row.key.partition(".")[2]: row for row in found}


def test_headroom_is_what_each_limit_leaves() -> None:
    left = rows()
    assert {key: row.left for key, row in left.items()} == {
        "min_cash_reserve_pct": 50_000,
        "max_positions_total": 19,
        "max_single_position_pct": 20_000,
        "max_sector_concentration_pct": 35_000,
        "max_portfolio_heat": 7_600,
    }
    assert left["max_positions_total"].unit == "positions"


def test_the_largest_position_and_the_largest_sector_are_named() -> None:
    left = rows(position("A", 100, 50), position("B", 100, 90), position("C", 100, 80, sector="Utilities"))
    assert (left["max_single_position_pct"].about, left["max_single_position_pct"].used) == ("B", Decimal(9_000))
    assert (left["max_sector_concentration_pct"].about, left["max_sector_concentration_pct"].used) == (
        "Energy",
        Decimal(14_000),
    )
    assert left["max_portfolio_heat"].about == "3 stops unknown"


def test_a_careful_day_leaves_less_for_a_position() -> None:
    assert rows(day=market(vix=Decimal(35)))["max_single_position_pct"].bound == 12_500


def test_a_limit_that_is_exceeded_already_has_negative_headroom() -> None:
    assert rows(position("A", 1000, 50))["max_single_position_pct"].left == -25_000


def test_nothing_held_uses_nothing() -> None:
    empty = headroom(facts(book(positions={})), limits())
    assert [row.used for row in empty] == [60_000, 0, 0, 0, 0]
