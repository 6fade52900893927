from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from Departments.constraints.limits import Limits
from Departments.core.errors import BadInput
from Departments.core.facts import TradingHistory
from Departments.core.orders import Side
from Departments.core.reasons import ReasonCode
from Departments.messaging.neighbours import Holding
from Departments.messaging.proposal_payloads import read_sells
from Departments.Operations.proposals import SellWish, sell_wishes
from Departments.Operations.selection import describe_holdings, select
from tests.builders.limits import NOW
from tests.builders.operations import TODAY, basis, briefing, candidate, changed, held

ALKS = candidate("ALKS", 30, 74)


def test_sells_are_the_callers_first_then_flagged_then_the_weakest_scores() -> None:
    day = basis(
        held("WEAK", 10, 20, score=Decimal(54)),
        held("WORSE", 10, 20, score=Decimal(30)),
        held("FLAG", 10, 20, score=Decimal(80)),
        held("MUST", 10, 20, score=Decimal(90)),
        held("GOOD", 10, 20, score=Decimal(55)),
        held("UNSCORED", 10, 20),
    )
    found = select(
        briefing(holdings=(Holding(symbol="FLAG", must_sell=True, sell_reason="flagged"),)),
        day,
        wishes=[SellWish("MUST", None, "told to")],
    )
    assert [t.symbol for t in found.sells] == ["MUST", "FLAG", "WORSE", "WEAK"]
    assert [t.reason for t in found.sells] == ["told to", "flagged", "score 30 is under 55", "score 54 is under 55"]


def test_a_holding_is_sold_as_it_is_really_held_fraction_and_all() -> None:
    found = select(briefing(), basis(held("PLD", "40.5", 125, score=Decimal(20))))
    assert [(t.side, t.qty, t.price) for t in found.sells] == [(Side.SELL, Decimal("40.5"), Decimal(125))]


@pytest.mark.parametrize(("wanted", "sold"), [(10, 10), (40, 40), (500, 40), (None, 40)])
def test_no_more_is_sold_than_wanted_nor_than_held(wanted: int | None, sold: int) -> None:
    wish = SellWish("PLD", None if wanted is None else Decimal(wanted), "r")
    found = select(briefing(), basis(held("PLD", 40, 125)), wishes=[wish])
    assert [t.qty for t in found.sells] == [Decimal(sold)]


def test_no_more_of_what_was_bought_today_is_sold_than_the_day_trade_limit_leaves() -> None:
    day = basis(*(held(f"H{n}", 10, 20, score=Decimal(20 + n)) for n in range(3)), cash=5_000)
    bought = {f"H{n}": frozenset({Side.BUY}) for n in range(3)}
    past = TradingHistory(same_day_sides=bought, day_trades=(TODAY,))
    found = select(briefing(), changed(day, history=past))
    assert [t.symbol for t in found.sells] == ["H0", "H1"]
    assert [(s.symbol, str(s.reason)) for s in found.skipped] == [
        ("H2", "DAY_TRADE_LIMIT: made=3 limit=3 window_days=5")
    ]


def test_wishes_for_one_symbol_are_netted_into_one_trade() -> None:
    wishes = [SellWish("PLD", Decimal(10), "a"), SellWish("PLD", Decimal(15), "b")]
    for order in (wishes, wishes[::-1]):
        assert [t.qty for t in select(briefing(), basis(held("PLD", 40, 125)), wishes=order).sells] == [25]


def test_a_wish_for_all_of_a_symbol_outweighs_one_for_some_of_it() -> None:
    wishes = [SellWish("PLD", Decimal(10), "some"), SellWish("PLD", None, "all")]
    assert [t.qty for t in select(briefing(), basis(held("PLD", 40, 125)), wishes=wishes).sells] == [40]


def test_what_is_not_held_is_skipped_with_a_code() -> None:
    found = select(briefing(), basis(), wishes=[SellWish("PLD", None, "r")])
    assert [(s.symbol, s.reason.code) for s in found.skipped] == [("PLD", ReasonCode.NOT_HELD)]


def test_a_short_position_is_neither_sold_nor_bought() -> None:
    day = basis(held("ALKS", -40, 30), candidates=[ALKS])
    found = select(briefing(ALKS), day, wishes=[SellWish("ALKS", None, "r")])
    assert found.sells == ()
    assert found.candidates == ()
    assert ReasonCode.SHORT_POSITION in {s.reason.code for s in found.skipped}


def test_an_untradable_holding_is_reported_once_and_not_planned_again() -> None:
    day = basis(held("IPG", 100, 24, score=Decimal(20)), tradable=False)
    first = select(briefing(), day)
    again = select(briefing(), day, reported=frozenset(first.untradable))
    assert (first.sells, first.untradable) == ((), ("IPG",))
    assert [s.reason.code for s in first.skipped] == [ReasonCode.NOT_TRADABLE]
    assert (again.sells, again.untradable, again.skipped) == ((), (), ())


def test_a_symbol_that_is_sold_is_never_bought_in_the_same_plan() -> None:
    day = basis(held("ALKS", 100, 30, score=Decimal(20)), candidates=[ALKS])
    found = select(briefing(ALKS), day)
    assert [t.symbol for t in found.sells] == ["ALKS"]
    assert found.candidates == ()
    assert [s.reason.code for s in found.skipped] == [ReasonCode.SOLD_IN_THIS_PLAN]


def test_candidates_come_by_score_ties_by_symbol_and_none_under_the_threshold() -> None:
    rows = [candidate("B", 30, 70), candidate("A", 30, 70), candidate("Z", 30, 90), candidate("LOW", 30, "54.9")]
    found = select(briefing(*rows), basis())
    assert [c.symbol for c in found.candidates] == ["Z", "A", "B"]
    low = found.skipped[0]
    assert (low.symbol, str(low.reason)) == ("LOW", "SCORE_BELOW_THRESHOLD: score=54.9 minimum=55")


def test_a_sell_of_a_day_trade_too_many_is_skipped_with_the_limits_code() -> None:
    history = TradingHistory(same_day_sides={"PLD": frozenset({Side.BUY})}, day_trades=(NOW.date(),) * 3)
    limits = Limits.model_validate({"day_trades": {"exempt_equity": None}})
    day = basis(held("PLD", 40, 125, score=Decimal(10)), limits=limits)
    found = select(briefing(), changed(day, history=history))
    assert found.sells == ()
    assert [s.reason.code for s in found.skipped] == [ReasonCode.DAY_TRADE_LIMIT]


def test_a_callers_list_is_read_with_its_reason_and_source() -> None:
    wishes = sell_wishes(
        read_sells([{"ticker": "pld", "action": "SELL", "shares": 40.0, "reason": "weak", "source": "risk"}], "sells")
    )
    assert wishes == (SellWish("PLD", Decimal("40.0"), "weak (risk)"),)


@pytest.mark.parametrize(
    ("wish", "key"),
    [
        ({"ticker": "PLD", "action": "BUY"}, "[0].action"),
        ({"ticker": "../x"}, "[0].ticker"),
        ({"ticker": "PLD", "shares": 0}, "[0].shares"),
        ({"ticker": "PLD", "shares": "many"}, "[0].shares"),
        ("PLD", "[0]"),
    ],
)
def test_a_wish_nobody_can_meet_is_bad_input(wish: Any, key: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_sells([wish], "mandatory_sells")
    assert (caught.value.source, caught.value.key) == ("mandatory_sells", key)


# --- what is held ---


def test_holdings_with_the_score_of_a_candidate_are_candidates() -> None:
    day = basis(
        held("GOOD", 10, 20, score=Decimal(55), sector="Energy"),
        held("HOLD", 10, 20, score=Decimal(60)),
        held("LISTED", 10, 20, score=Decimal(90)),
        held("SOLD", 10, 20, score=Decimal(90)),
        held("SHORT", -10, 20, score=Decimal(90)),
        held("UNSCORED", 10, 20),
    )
    locked = changed(day, locks={"HOLD": "a person must look"})
    listed = candidate("LISTED", 20, 70)
    found = select(briefing(listed), locked, wishes=[SellWish("SOLD", None, "told to")])
    assert [(c.symbol, c.score, c.sector) for c in found.candidates] == [
        ("LISTED", Decimal(70), None),
        ("GOOD", Decimal(55), "Energy"),
    ]
    assert [c.symbol for c in select(briefing(listed), locked, tops_up=False).candidates] == ["LISTED"]


def test_holdings_in_which_briefing_and_account_differ_are_named() -> None:
    day = basis(held("KNOWN", 10, 20), held("LISTED", 10, 20), held("NEW", 10, 20))
    of_the_day = briefing(candidate("LISTED"), holdings=(Holding(symbol="KNOWN"), Holding(symbol="GONE")))
    assert describe_holdings(of_the_day, day) == (
        "Held by the briefing, but not by the account: GONE.",
        "Held by the account, but not in the briefing: NEW.",
    )
    assert describe_holdings(briefing(holdings=(Holding(symbol="KNOWN"),)), basis(held("KNOWN", 10, 20))) == ()
