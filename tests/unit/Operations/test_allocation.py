from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from Departments.core.reasons import ReasonCode
from Departments.Operations.allocation import allocate
from Departments.Operations.filling import Filling, Pick, Room

D = Decimal


def pick(symbol: str, price: Any = 10, score: Any = 70, sector: str = "S", **changes: Any) -> Pick:
    """A stock that may have between $3,000 and $8,000."""
    cost = D(str(price))
    bounds: dict[str, Any] = {"least": -(-3000 // cost), "most": 8000 // cost}
    bounds |= {k: D(v) for k, v in changes.items() if k != "opens"}
    return Pick(symbol, (-D(str(score)), symbol), cost, sector=sector, opens=changes.get("opens", True), **bounds)


def room(money: Any = 90_000, goal: Any = 90_000, **changes: Any) -> Room:
    wide: dict[str, Any] = {
        "places": 20,
        "sectors": dict.fromkeys(("S", "T", "U"), D(40_000)),
        "minimum": D(3000),
    } | changes
    return Room(D(str(money)), D(str(goal)), **wide)


def values(found: Filling, picks: Iterable[Pick]) -> dict[str, int]:
    return {p.symbol: int(found.trades[p.symbol].qty * p.price) for p in picks if p.symbol in found.trades}


def code(found: Filling, symbol: str) -> ReasonCode:
    return found.left_out[symbol].code


def test_a_respected_proposal_is_topped_up_before_another_candidate_comes_in() -> None:
    picks = [pick("A", score=60, wanted=350), pick("B", score=90)]
    found = allocate(picks, room(goal=8000))
    assert values(found, picks) == {"A": 8000}
    assert code(found, "B") is ReasonCode.DEPLOYMENT_TARGET


def test_top_ups_are_even() -> None:
    picks = [pick("A", score=60, wanted=300), pick("B", score=90, wanted=400)]
    assert values(allocate(picks, room(goal=9000)), picks) == {"B": 4500, "A": 4500}


def test_the_last_one_taken_may_go_beyond_the_target_by_the_slack_and_no_further() -> None:
    picks = [pick("A", 101, 90), pick("B", 103, 80), pick("C", 104, 70)]
    least = {p.symbol: int(p.least * p.price) for p in picks}
    target = least["A"] + least["B"] - 50
    assert values(allocate(picks, room(goal=target, slack=D(50))), picks) == {"A": least["A"], "B": least["B"]}
    assert values(allocate(picks, room(goal=target, slack=D(49))), picks).keys() == {"A"}
    assert values(allocate(picks, room(money=target, goal=target, slack=D(50))), picks).keys() == {"A"}
    assert values(allocate(picks, room(goal=target + 50, slack=D(9_000))), picks).keys() == {"A", "B"}


def test_another_candidate_comes_in_only_when_top_ups_do_not_reach_the_target() -> None:
    picks = [pick("A", wanted=300), pick("B", score=90), pick("C", score=80)]
    found = allocate(picks, room(goal=12_000))
    assert values(found, picks) == {"A": 6000, "B": 6000}


def test_a_top_up_gives_way_to_a_position_of_the_minimum_where_only_that_reaches_the_target() -> None:
    picks = [pick("A", wanted=600), pick("B")]
    assert values(allocate(picks, room(goal=9_000)), picks) == {"A": 6000, "B": 3000}


def test_proposals_are_never_cut_under_what_was_proposed_while_there_is_money() -> None:
    picks = [pick("A", wanted=500), pick("B", score=99)]
    found = allocate(picks, room(goal=8100))
    assert values(found, picks)["A"] >= 5000


def test_without_proposals_positions_come_to_one_level() -> None:
    picks = [pick(t) for t in "ABC"]
    assert values(allocate(picks, room(goal=15_000)), picks) == {"A": 5000, "B": 5000, "C": 5000}


def test_as_many_positions_are_opened_as_the_money_brings_to_the_minimum() -> None:
    picks = [pick(t, score=90 - n) for n, t in enumerate("ABCDEF")]
    found = allocate(picks, room(goal=14_000))
    assert values(found, picks) == dict.fromkeys("ABCD", 3500)
    assert code(found, "E") is ReasonCode.DEPLOYMENT_TARGET


def test_the_level_counts_what_is_held_already() -> None:
    picks = [pick("A", least=1, held=3000, opens=False), pick("B")]
    assert values(allocate(picks, room(goal=9000)), picks) == {"A": 3000, "B": 6000}


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


def test_a_full_sector_is_named_with_its_room() -> None:
    picks = [pick("A"), pick("B"), pick("C", sector="T")]
    found = allocate(picks, room(sectors={"S": D(5000), "T": D(5000)}))
    assert values(found, picks) == {"A": 5000, "C": 5000}
    assert found.left_out["B"].values == {"sector": "S", "room": "2000"}


def test_a_lower_score_of_another_sector_takes_no_place_from_a_higher_one_that_fits() -> None:
    picks = [*(pick(f"S{n}", score=90) for n in range(6)), pick("T", score=60, sector="T")]
    found = allocate(picks, room(goal=30_000, places=6, sectors={"S": D(24_000), "T": D(9_000)}))
    assert values(found, picks) == {f"S{n}": 4000 for n in range(6)}
    assert code(found, "T") is ReasonCode.MAX_POSITIONS_TOTAL


def test_no_more_places_are_taken_than_there_are_but_held_positions_need_none() -> None:
    picks = [pick("A"), pick("B"), pick("C", opens=False)]
    found = allocate(picks, room(places=1))
    assert set(found.trades) == {"A", "C"}
    assert code(found, "B") is ReasonCode.MAX_POSITIONS_TOTAL


def test_the_best_ones_are_taken_though_lower_scores_would_put_more_to_work() -> None:
    """Two places: the two best share one small sector, a third in another sector would deploy twice as much."""
    picks = [pick("A", score=90), pick("B", score=80), pick("C", score=60, sector="T")]
    found = allocate(picks, room(goal=16_000, places=2, sectors={"S": D(8000), "T": D(8000)}))
    assert values(found, picks) == {"A": 4000, "B": 4000}


def test_a_hundred_better_ones_in_a_full_sector_do_not_hide_the_others() -> None:
    crowd = [pick(f"S{n}", score=90) for n in range(300)]
    picks = [*crowd, *(pick(f"T{n}", score=60, sector="T") for n in range(8))]
    found = allocate(picks, room(goal=60_000, places=18, sectors={"S": D(30_000), "T": D(40_000)}))
    assert found.spent == 60_000
    assert {p.sector for p in found.picks} == {"S", "T"}


def test_one_more_share_carries_the_sum_over_the_target_where_the_money_covers_it() -> None:
    picks = [pick("A", price=7)]
    assert values(allocate(picks, room(money=9000, goal=5000)), picks) == {"A": 5005}
    assert values(allocate(picks, room(money=5000, goal=9000)), picks) == {"A": 4998}


def test_nothing_to_reach_means_nothing_to_buy() -> None:
    found = allocate([pick("A")], room(goal=0))
    assert (dict(found.trades), code(found, "A")) == ({}, ReasonCode.DEPLOYMENT_TARGET)


def test_money_that_runs_out_before_the_target_is_named_by_what_limits_it() -> None:
    picks = [pick("A"), pick("B", price=3500, least=1, most=2)]
    found = allocate(picks, room(money=6100, money_bound=ReasonCode.MAX_PORTFOLIO_HEAT))
    assert values(found, picks) == {"A": 6100}
    assert code(found, "B") is ReasonCode.MAX_PORTFOLIO_HEAT


def test_no_candidates_is_an_empty_allocation() -> None:
    assert allocate([], room()).trades == {}


def test_unlimited_money_still_stops_at_the_target() -> None:
    picks = [pick(t) for t in "ABC"]
    assert sum(values(allocate(picks, room(money="Infinity", goal=10_000)), picks).values()) == 10_000


def test_equal_scores_are_ordered_by_symbol_whatever_the_order_of_the_input() -> None:
    picks = [pick(t) for t in "ABCDEFG"]
    found = allocate(picks, room(goal=12_000))
    assert allocate(picks[::-1], room(goal=12_000)) == found
    assert set(found.trades) == {"A", "B", "C", "D"}


# --- score decides who comes in ---


def test_the_best_candidate_gets_the_last_place_whatever_its_share_costs() -> None:
    """19 holdings, one place: a cheap share would leave $93 less idle than the best candidate's does."""
    picks = [pick("BEST", price=100, score=95), pick("WORST", price="6.43", score=56)]
    found = allocate(picks, room(money=3_099, goal=3_099, places=1))
    assert values(found, picks) == {"BEST": 3_000}
    assert str(found.left_out["WORST"]) == "MAX_POSITIONS_TOTAL: places=1"


def test_the_money_ends_with_the_best_candidate_that_it_does_not_reach() -> None:
    picks = [pick("A", score=90), pick("B", price=3300, score=80, least=1, most=2), pick("C", score=70)]
    found = allocate(picks, room(money=6_200))
    assert values(found, picks) == {"A": 6_200}
    assert found.left_out["C"].sentence == "the money waits for B, whose score is higher"
    assert (code(found, "B"), code(found, "C")) == (ReasonCode.CASH_RESERVE, ReasonCode.CASH_RESERVE)


def test_a_candidate_whose_sector_is_full_does_not_end_the_money_for_the_others() -> None:
    picks = [pick("A", score=90), pick("B", score=80), pick("C", score=70, sector="T")]
    found = allocate(picks, room(money=9_000, sectors={"S": D(4_000), "T": D(9_000)}))
    assert values(found, picks) == {"A": 4_000, "C": 5_000}


@st.composite
def problems(draw: st.DrawFn) -> tuple[list[Pick], Room]:
    """Up to 14 picks of which some are held, and money, places and sectors that bind now and then."""
    cents = st.integers(500, 90_000).map(lambda n: D(n) / 100)
    picks = []
    for n in range(draw(st.integers(1, 14))):
        price, opens = draw(cents), draw(st.integers(0, 3)) > 0
        held = D(0) if opens else D(draw(st.integers(500, 9_000)))
        least = max(D(1), -(-(3_000 - held) // price)) if opens else max(D(1), -(-max(D(1_000), 3_000 - held) // price))
        most = (8_000 - held) // price
        if most >= least:
            rank = (-D(draw(st.integers(55, 100))), f"P{n:02}")
            picks.append(Pick(f"P{n:02}", rank, price, least, most, draw(st.sampled_from("STU")), opens, held))
    sector = st.integers(0, 30_000).map(D)
    money, goal = D(draw(st.integers(0, 60_000))), D(draw(st.integers(0, 60_000)))
    return picks, Room(money, goal, draw(st.integers(0, 12)), {s: draw(sector) for s in "STU"}, D(3_000))


ANY = settings(max_examples=300, deadline=None)


def taken(found: Filling, picks: Iterable[Pick]) -> set[str]:
    """The places: held positions have theirs already."""
    return {p.symbol for p in picks if p.opens and p.symbol in found.trades}


@ANY
@given(problems(), st.integers(1, 20_000))
def test_more_money_never_costs_a_candidate_its_place(problem: tuple[list[Pick], Room], more: int) -> None:
    picks, limited = problem
    richer = replace(limited, money=limited.money + more)
    assert taken(allocate(picks, limited), picks) <= taken(allocate(picks, richer), picks)


@ANY
@given(problems(), st.integers(1, 30), st.integers(0, 13))
def test_a_better_score_never_costs_a_candidate_its_place(
    problem: tuple[list[Pick], Room], better: int, which: int
) -> None:
    picks, limited = problem
    assume(picks)
    mine = picks[which % len(picks)]
    risen = [replace(p, rank=(p.rank[0] - better, p.symbol)) if p is mine else p for p in picks]
    if mine.symbol in taken(allocate(picks, limited), picks):
        assert mine.symbol in taken(allocate(risen, limited), risen)


@ANY
@given(problems())
def test_nobody_is_left_out_whom_the_limits_allow_its_minimum_beside_the_better_ones(
    problem: tuple[list[Pick], Room],
) -> None:
    """The reason of each left out is true: its limit is exceeded by its minimum beside those that score better."""
    picks, limited = problem
    found = allocate(picks, limited)
    better: list[Pick] = []
    for p in sorted((p for p in picks if p.opens), key=lambda p: p.rank):
        if p.symbol in found.trades:
            better.append(p)
            continue
        reason, cost = found.left_out[p.symbol], sum((b.least * b.price for b in better), D(0))
        in_sector = sum((b.least * b.price for b in better if b.sector == p.sector), D(0))
        if reason.code is ReasonCode.MAX_POSITIONS_TOTAL:
            assert len(better) == limited.places
        elif reason.code is ReasonCode.MAX_SECTOR_CONCENTRATION:
            assert in_sector + p.least * p.price > limited.sectors[p.sector]
        else:
            ended = next(q for q in sorted(picks, key=lambda q: q.rank) if q.opens and _is_short(q, found))
            assert cost + ended.least * ended.price > limited.need


def _is_short(pick: Pick, found: Filling) -> bool:
    reason = found.left_out.get(pick.symbol)
    by_place = (ReasonCode.MAX_POSITIONS_TOTAL, ReasonCode.MAX_SECTOR_CONCENTRATION)
    return reason is not None and reason.code not in by_place


@ANY
@given(problems())
def test_no_limit_is_exceeded_and_nobody_gets_less_than_its_least(problem: tuple[list[Pick], Room]) -> None:
    picks, limited = problem
    found = allocate(picks, limited)
    assert found.spent <= limited.money
    for p in found.picks:
        assert p.least <= found.trades[p.symbol].qty <= p.most
    for sector, most in limited.sectors.items():
        assert sum((found.trades[p.symbol].qty * p.price for p in found.picks if p.sector == sector), D(0)) <= most
    assert len(taken(found, picks)) <= limited.places
    assert {p.symbol for p in picks} == set(found.trades) | set(found.left_out)


def test_a_held_position_takes_part_only_if_the_level_brings_it_its_least() -> None:
    held = pick("H", least=100, held=4_000, opens=False)
    assert values(allocate([pick("A"), held], room(goal=4_900)), [pick("A"), held]) == {"A": 4_900}
    assert values(allocate([pick("A"), held], room(goal=6_000)), [pick("A"), held]) == {"A": 5_000, "H": 1_000}


# --- the last dollars ---


def test_a_candidate_that_fills_the_money_better_does_not_take_the_place_of_a_better_one() -> None:
    """$3,900: one share of A costs $3,000, B's come at $1,300."""
    picks = [pick("A", price=3000, least=1, most=2), pick("B", price=1300, score=60, least=3, most=6)]
    assert values(allocate(picks, room(money=3900)), picks) == {"A": 3000}


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
    assert len(allocate(picks, room(money=6500, places=1)).trades) == 1


def test_without_a_single_buy_no_higher_score_is_blamed_for_the_money() -> None:
    found = allocate([pick(s, score=90 - n, least=100) for n, s in enumerate("AB")], room(money=684, minimum=D(500)))
    assert not found.trades
    assert {str(reason.sentence) for reason in found.left_out.values()} == {
        "the least it may cost is $1,000, and only $684 may be spent"
    }
    assert {reason.code for reason in found.left_out.values()} == {ReasonCode.CASH_RESERVE}
