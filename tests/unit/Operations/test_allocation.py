from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from Departments.core.reasons import ReasonCode
from Departments.Operations.allocation import allocate
from Departments.Operations.deployment import find_binding
from Departments.Operations.filling import Filling, Pick, Room

D = Decimal


def pick(symbol: str, price: Any = 10, score: Any = 70, sector: str = "S", **changes: Any) -> Pick:
    """A stock that may have between $3,000 and $8,000."""
    cost = D(str(price))
    bounds = {"least": -(-3000 // cost), "most": 8000 // cost} | {k: D(v) for k, v in changes.items() if k != "opens"}
    return Pick(symbol, (-D(str(score)), symbol), cost, sector=sector, opens=changes.get("opens", True), **bounds)


def room(money: Any = 90_000, goal: Any = 90_000, **changes: Any) -> Room:
    wide: dict[str, Any] = {
        "places": 20,
        "sectors": dict.fromkeys(("S", "T", "U"), D(40_000)),
        "minimum": D(3000),
    } | changes
    return Room(D(str(money)), D(str(goal)), **wide)


def values(found: Filling, picks: Iterable[Pick]) -> dict[str, int]:
    return {p.symbol: int(found.shares[p.symbol] * p.price) for p in picks if p.symbol in found.shares}


def code(found: Filling, symbol: str) -> ReasonCode:
    return found.left_out[symbol].code


def test_a_respected_proposal_is_topped_up_before_another_candidate_comes_in() -> None:
    picks = [pick("A", score=60, wanted=350), pick("B", score=90)]
    found = allocate(picks, room(goal=8000))
    assert values(found, picks) == {"A": 8000}
    assert code(found, "B") is ReasonCode.DEPLOYMENT_TARGET


def test_top_ups_go_in_score_order() -> None:
    picks = [pick("A", score=60, wanted=300), pick("B", score=90, wanted=300)]
    assert values(allocate(picks, room(goal=9000)), picks) == {"B": 6000, "A": 3000}


def test_another_candidate_comes_in_only_when_top_ups_do_not_reach_the_target() -> None:
    picks = [pick("A", wanted=300), pick("B", score=90), pick("C", score=80)]
    found = allocate(picks, room(goal=12_000))
    assert values(found, picks) == {"A": 8000, "B": 4000}


def test_a_top_up_gives_way_to_a_position_of_the_minimum_where_only_that_reaches_the_target() -> None:
    picks = [pick("A", wanted=300), pick("B")]
    assert values(allocate(picks, room(goal=9_000)), picks) == {"A": 6000, "B": 3000}


def test_proposals_are_never_cut_under_what_was_proposed_while_there_is_money() -> None:
    picks = [pick("A", wanted=500), pick("B", score=99)]
    found = allocate(picks, room(goal=8100))
    assert values(found, picks)["A"] >= 5000


def test_without_proposals_positions_come_to_one_level() -> None:
    picks = [pick(t) for t in "ABC"]
    assert values(allocate(picks, room(goal=15_000, aim=3)), picks) == {"A": 5000, "B": 5000, "C": 5000}


def test_as_many_positions_are_opened_as_are_aimed_at_though_fewer_would_do() -> None:
    picks = [pick(t) for t in "ABCDE"]
    assert len(allocate(picks, room(goal=12_000, aim=0)).shares) == 2
    assert len(allocate(picks, room(goal=12_000, aim=4)).shares) == 4


def test_the_level_counts_what_is_held_already() -> None:
    picks = [pick("A", least=1, held=3000, opens=False), pick("B")]
    assert values(allocate(picks, room(goal=9000, aim=1)), picks) == {"A": 3000, "B": 6000}


def test_a_candidate_the_money_cannot_bring_to_the_minimum_is_left_out_with_what_is_left_for_it() -> None:
    picks = [pick(t, most=300) for t in "ABC"]
    found = allocate(picks, room(money=8000))
    assert values(found, picks) == {"A": 3000, "B": 3000}
    assert found.left_out["C"].values == {"value": "2000", "minimum": "3000"}


def test_what_is_held_above_the_minimum_already_is_left_out_for_want_of_money_and_not_as_too_small() -> None:
    picks = [pick("A", score=90, wanted=800), pick("B", price=20, least=1, held=5000, wanted=10, opens=False)]
    found = allocate(picks, room(money=8010))
    assert values(found, picks) == {"A": 8000}
    assert code(found, "B") is ReasonCode.CASH_RESERVE


def test_money_that_buys_no_share_of_what_is_not_full_is_what_keeps_the_target_from_being_reached() -> None:
    picks = [pick("A", score=90, wanted=800), pick("B", price=200, least=1, held=5000, wanted=10, opens=False)]
    limited = room(money=8110, goal=8100)
    assert find_binding(limited, allocate(picks, limited), (), D(0)).code is ReasonCode.CASH_RESERVE


def test_a_full_sector_is_named_with_its_room() -> None:
    picks = [pick("A"), pick("B"), pick("C", sector="T")]
    found = allocate(picks, room(sectors={"S": D(5000), "T": D(5000)}))
    assert values(found, picks) == {"A": 5000, "C": 5000}
    assert found.left_out["B"].values == {"sector": "S", "room": "2000"}


def test_a_candidate_of_a_sector_that_can_take_no_more_dollars_takes_no_place_from_another() -> None:
    picks = [*(pick(f"S{n}", score=90) for n in range(6)), pick("T", score=60, sector="T")]
    found = allocate(picks, room(goal=30_000, places=6, sectors={"S": D(24_000), "T": D(9_000)}))
    assert values(found, picks) == dict.fromkeys(("S0", "S1", "S2", "T"), 7500)
    assert found.left_out["S3"].code is ReasonCode.MAX_SECTOR_CONCENTRATION


def test_no_more_places_are_taken_than_there_are_but_held_positions_need_none() -> None:
    picks = [pick("A"), pick("B"), pick("C", opens=False)]
    found = allocate(picks, room(places=1))
    assert set(found.shares) == {"A", "C"}
    assert code(found, "B") is ReasonCode.MAX_POSITIONS_TOTAL


def test_lower_scores_are_taken_where_the_best_ones_would_leave_capital_idle() -> None:
    """Two places: the two best share one small sector, a third in another sector deploys much more."""
    picks = [pick("A", score=90), pick("B", score=80), pick("C", score=60, sector="T")]
    found = allocate(picks, room(goal=16_000, places=2, sectors={"S": D(8000), "T": D(8000)}))
    assert values(found, picks) == {"A": 8000, "C": 8000}


def test_a_hundred_better_ones_in_a_full_sector_do_not_hide_the_others() -> None:
    crowd = [pick(f"S{n}", score=90) for n in range(300)]
    picks = [*crowd, *(pick(f"T{n}", score=60, sector="T") for n in range(8))]
    found = allocate(picks, room(goal=70_000, places=10, aim=10, sectors={"S": D(30_000), "T": D(40_000)}))
    assert found.spent == 70_000


def test_one_more_share_carries_the_sum_over_the_target_where_the_money_covers_it() -> None:
    picks = [pick("A", price=7)]
    assert values(allocate(picks, room(money=9000, goal=5000)), picks) == {"A": 5005}
    assert values(allocate(picks, room(money=5000, goal=9000)), picks) == {"A": 4998}


def test_nothing_to_reach_means_nothing_to_buy() -> None:
    found = allocate([pick("A")], room(goal=0))
    assert (dict(found.shares), code(found, "A")) == ({}, ReasonCode.DEPLOYMENT_TARGET)


def test_money_that_runs_out_before_the_target_is_named_by_what_limits_it() -> None:
    picks = [pick(t) for t in "AB"]
    found = allocate(picks, room(money=5000, money_bound=ReasonCode.MAX_PORTFOLIO_HEAT))
    assert code(found, "B") is ReasonCode.MAX_PORTFOLIO_HEAT


def test_no_candidates_is_an_empty_allocation() -> None:
    assert allocate([], room()).shares == {}


def test_unlimited_money_still_stops_at_the_target() -> None:
    picks = [pick(t) for t in "ABC"]
    assert sum(values(allocate(picks, room(money="Infinity", goal=10_000)), picks).values()) == 10_000


def test_equal_scores_are_ordered_by_symbol_whatever_the_order_of_the_input() -> None:
    picks = [pick(t) for t in "ABCDEFG"]
    found = allocate(picks, room(goal=12_000))
    assert allocate(picks[::-1], room(goal=12_000)) == found
    assert set(found.shares) == {"A", "B"}


# --- the last dollars ---


def test_a_candidate_that_fills_the_money_better_takes_the_place_of_one_that_cannot() -> None:
    """$3,900: one share of A costs $3,000, B's come at $1,300."""
    picks = [pick("A", price=3000, least=1, most=2), pick("B", price=1300, score=60, least=3, most=6)]
    assert values(allocate(picks, room(money=3900)), picks) == {"B": 3900}


def test_shares_of_one_are_given_up_for_shares_of_another_where_that_leaves_less_idle() -> None:
    """$9,100: four A at $1,000 and five B at $1,020 make 9,100; no other pair of numbers comes as near."""
    picks = [pick("A", price=1000, least=3, most=6), pick("B", price=1020, least=3, most=6)]
    assert values(allocate(picks, room(money=9100)), picks) == {"A": 4000, "B": 5100}


def test_a_respected_proposal_is_not_given_up_for_the_last_dollars() -> None:
    picks = [pick("A", price=3000, least=1, most=2, wanted=1), pick("B", price=1300, score=60, least=3, most=6)]
    assert values(allocate(picks, room(money=3900)), picks) == {"A": 3000}


def test_no_position_is_cut_under_its_least_for_the_last_dollars() -> None:
    """$6,500: two A and five B would use all of it, but two A are too few."""
    picks = [pick("A", price=1000, least=3, most=6), pick("B", price=900, least=3, most=6)]
    assert values(allocate(picks, room(money=6500)), picks) == {"A": 3000, "B": 2700}


def test_the_last_dollars_never_overfill_a_sector_nor_open_a_place_too_many() -> None:
    picks = [pick("A", price=3000, least=1, most=1), pick("B", price=500, sector="T", least=6, most=9)]
    full = room(money=6500, sectors={"S": D(3000), "T": D(2900)})
    assert values(allocate(picks, full), picks) == {"A": 3000}
    assert len(allocate(picks, room(money=6500, places=1)).shares) == 1
