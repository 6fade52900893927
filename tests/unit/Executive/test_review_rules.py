"""The review's recommendation follows written rules: APPROVE, HOLD with its line, REJECT with its rule."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from Departments.constraints.engine import check_plan
from Departments.constraints.headroom import headroom
from Departments.constraints.limit_groups import ReviewRules
from Departments.constraints.limits import Limits
from Departments.core.facts import NO_READINGS, PlanFacts
from Departments.core.plans import Trade, TradingPlan
from Departments.core.regimes import MarketView, Regime
from Departments.Executive.review import Outlook, Review, read_review, review
from Departments.Executive.review_facts import Past, compare_trades
from tests.builders.limits import NOW, Changes, book, buy, facts, known, market, position, regime, sell

D = Decimal


def reviewed(
    *orders: Trade,
    there: Changes | None = None,
    rules: dict[str, Any] | None = None,
    last_run: date | None = None,
    deployment: str = "0.90",
    made: dict[str, Any] | None = None,
    limited: dict[str, Any] | None = None,
    **past: Any,
) -> Review:
    plan = TradingPlan("PLAN_1", NOW, orders, deployment=D(deployment), extra=made or {})
    limits = Limits.model_validate({"review": rules or {}, **(limited or {})})
    seen = replace(facts(there or {}), plan=PlanFacts.of(plan))
    verdict = check_plan(orders, seen, limits, "review")
    return review(plan, Outlook(verdict, seen, (), (), headroom(verdict.facts, limits), Past(last_run, **past)), limits)


def rules_of(found: Review) -> set[str]:
    return {fact.rule for fact in found.facts if fact.rule}


ELEVEN = {"locks": {f"L{n}": "the broker knows a fill that the ledger does not" for n in range(11)}}
NOTHING: Any = {"average_volume": None, "market_cap": None, "bid": None, "ask": None, "halted": None, "tradable": None}
BLIND = market(known(**NOTHING, earnings_known=False, earnings_on=None, price_at=None)) | {"peak_equity": None}
BLIND |= {"readings": NO_READINGS}
GLOOMY = {**BLIND, "regime": regime(Regime.BEARISH)}
FULL = book(position("HELD", 600, 100), cash=D(40_000))
OVER = book(position("HELD", 400, 100), cash=D(60_000))  # 40 % in one position
NAMES = ("ALKS", "COMM", "AXTA")
SWAPPED = (sell("HELD", 600, 100), *(buy(name, 600, sector=f"Sector {name}") for name in NAMES))
ALL_KNOWN = market(known("HELD", price=D(100)), *(known(name, sector=f"Sector {name}") for name in NAMES))
VIEWS = (MarketView.of(regime(Regime.BULLISH)), MarketView.of(regime(Regime.PANIC)))
MISSED = {
    "deployment_goal": {"target_met": False, "binding": "MAX_AUTO_POSITION"},
    "research": {"candidates": 16},
}
CASES: dict[str, tuple[tuple[Trade, ...], dict[str, Any], str, dict[str, Any]]] = {
    "an empty plan": ((), {}, "review.hold_nothing_traded", {"hold_nothing_traded": False}),
    "eleven locked symbols": ((buy(),), {"there": ELEVEN}, "review.hold_locked_symbols", {"hold_locked_symbols": 12}),
    "a panic": (
        (sell("HELD", 100, 100),),
        {"there": {**FULL, **market(known("HELD", price=D(100)), regime=regime(Regime.PANIC))}},
        "review.hold_panic",
        {"hold_panic": False},
    ),
    "limits without data": (
        (buy(),),
        {"there": BLIND},
        "review.hold_unevaluated_pct",
        {"hold_unevaluated_pct": D(1)},
    ),
    "most of the account turned over": (
        SWAPPED,
        {"there": {**FULL, **ALL_KNOWN}},
        "review.hold_turnover_pct",
        {"hold_turnover_pct": D("0.6")},
    ),
    "a limit that stays exceeded": (
        (),
        {"there": OVER},
        "review.hold_exceeded",
        {"hold_exceeded": False, "hold_nothing_traded": False},
    ),
    "many concerns": (
        (buy(price="29.5"),),
        {"there": GLOOMY, "deployment": "0.2"},
        "review.hold_concerns",
        {"hold_concerns": 9, "hold_unevaluated_pct": D(1)},
    ),
    "little of the money invested": (
        (buy(),),
        {"made": MISSED},
        "review.hold_idle_pct",
        {"hold_idle_pct": D("0.95")},
    ),
    "contradicting views": (
        (),
        {"there": {**market(known()), "views": VIEWS}},
        "review.hold_contradicting_regimes",
        {"hold_contradicting_regimes": False},
    ),
    "a week without a run": (
        (buy(),),
        {"last_run": date(2025, 10, 1)},
        "review.hold_days_since_last_run",
        {"hold_days_since_last_run": 60},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_asks_for_a_person_holds_the_plan_and_names_its_line(case: str) -> None:
    orders, given, rule, loosened = CASES[case]
    found = reviewed(*orders, **given)
    assert (found.recommendation, rule in rules_of(found)) == ("HOLD", True)
    assert found.quality_rating <= 5
    assert found.words[1] == "REVIEW CAREFULLY BEFORE APPROVAL"
    assert any(line.startswith("HOLD: ") and line.endswith(rule) for line in found.concerns)
    assert rule not in rules_of(reviewed(*orders, rules=loosened, **given))


def test_each_further_line_lowers_the_rating() -> None:
    one = reviewed(buy(), there=ELEVEN).quality_rating
    assert reviewed(buy(), there=ELEVEN, last_run=date(2025, 10, 1)).quality_rating < one


def test_an_order_that_breaks_a_limit_rejects_the_plan_whatever_else_is_good() -> None:
    found = reviewed(buy(qty=2))
    assert (found.recommendation, found.quality_rating <= 3) == ("REJECT", True)
    assert "MIN_POSITION_VALUE" in found.concerns[0]


def test_little_of_the_money_invested_names_deployment_and_the_limit_that_binds() -> None:
    line = next(line for line in reviewed(buy(), made=MISSED).concerns if line.startswith("HOLD: "))
    assert line == (
        "HOLD: deployment of today's money: 7.2% of $50,000, MAX_AUTO_POSITION binds (limit at least 40.0%), "
        "by review.hold_idle_pct"
    )


HALF = tuple(buy(f"S{n}", 125, sector=f"Sector {n}") for n in range(3))  # $11,250 of $24,000
BIG = tuple(buy(f"S{n}", 250, sector=f"Sector {n}") for n in range(3))  # $22,500 of $50,000
INTENDED: dict[str, tuple[tuple[Trade, ...], dict[str, Any]]] = {
    "a briefing without candidates": ((sell(),), {"made": MISSED | {"research": {"candidates": None}}}),
    "given sizes": ((buy(),), {"made": MISSED | {"deployment_goal": {"binding": "SIZES_KEPT"}}}),
    "an exact proposal": ((buy(),), {"made": MISSED | {"proposal": {"status": "FOLLOWED", "mode": "exact"}}}),
    "a halt of all BUYs": ((sell(),), {"made": MISSED | {"deployment_goal": {"binding": "DRAWDOWN_HALT"}}}),
    "a plan of another program": ((buy(),), {}),
    "a target that is met": ((buy(),), {"made": MISSED | {"deployment_goal": {"binding": ""}}}),
    "enough of the money": (BIG, {"made": MISSED}),
    "the first day of a ramp": ((buy(),), {"made": MISSED, "limited": {"deployment": {"ramp_days": 20}}}),
    "little new money": (HALF, {"made": MISSED, "limited": {"deployment": {"max_new_per_day": D("0.24")}}}),
    "an account near its target": (
        (buy(),),
        {"made": MISSED, "there": book(*(position(f"H{n}", 160, 100) for n in range(5)), cash=D(20_000))},
    ),
    "a panic without BUYs": (
        (sell(),),
        {"made": MISSED, "there": market(known("HELD", price=D(50)), regime=regime(Regime.PANIC))},
    ),
    "no size between minimum and maximum": (
        (sell(),),
        {"made": MISSED, "limited": {"position_limits": {"min_position_pct": D("0.08")}}},
    ),
    "no room for positions": ((buy(),), {"made": MISSED, "limited": {"position_limits": {"max_positions_total": 2}}}),
}


@pytest.mark.parametrize("case", INTENDED)
def test_money_that_is_idle_by_intent_or_by_the_day_holds_no_plan(case: str) -> None:
    orders, given = INTENDED[case]
    assert "review.hold_idle_pct" not in rules_of(reviewed(*orders, **given))


def test_half_sizes_are_measured_by_half_the_target() -> None:
    there = market(known("ALKS"), known("HELD", sector="Energy"), regime=regime(Regime.UNKNOWN))
    shown = {fact.name: fact.value for fact in reviewed(buy(), made=MISSED, there=there).facts}
    assert shown["deployment of today's money"].startswith("9.0% of $40,000")


def test_facts_stand_beside_their_limits() -> None:
    lines = {fact.name: fact for fact in reviewed(buy(), deployment="0.9").facts}
    assert lines["names in"].value == "ALKS"
    assert lines["names out"].value == "none"
    assert (lines["turnover"].value, lines["turnover"].limit) == ("0.0%", "50.0%")
    assert lines["locked symbols"].value == "none"
    assert lines["limits not evaluated"].value.startswith("0 of ")
    assert lines["trading days since the last run"].value == "the first run"
    assert (lines["positions after"].value, lines["positions after"].limit) == ("2", "20")
    assert (lines["largest position (HELD)"].value, lines["largest position (HELD)"].limit) == ("$5,000", "$25,000")
    assert (lines["sector Healthcare"].value, lines["sector Healthcare"].limit) == ("3.6%", "40.0%")
    assert lines["cash after"].limit == "at least $10,000"
    assert lines["portfolio heat"].limit == "$8,000"
    assert lines["expected spread"].value == "$1, half the spread of each order"
    assert lines["oldest price"].value == "5 minutes"


def test_every_rule_of_the_limits_has_a_case() -> None:
    assert {rule for _, _, rule, _ in CASES.values()} == {f"review.{name}" for name in ReviewRules.model_fields}


def test_a_plan_to_approve_has_six_at_least_and_an_empty_one_no_more() -> None:
    loose = {"hold_nothing_traded": False, "hold_unevaluated_pct": D(1), "hold_concerns": 9}
    many = reviewed(buy(price="29.5"), there=GLOOMY, rules=loose, deployment="0.2")
    assert (many.recommendation, many.quality_rating) == ("APPROVE", 6)
    assert reviewed(rules=loose).quality_rating == 6


def test_the_last_plan_stands_beside_this_one() -> None:
    earlier = (sell("UPS", 70, 94), buy("ALKS", 100), buy("COMM", 210), sell("DVN", 225, 34))
    now = (sell("UPS", 30, 94), buy("ALKS", 120), sell("COMM", 210, 17), buy("SN", 37))
    assert compare_trades(earlier, now) == (
        "in: BUY 37 SN; out: SELL 225 DVN; other side: COMM BUY 210, now SELL 210; "
        "other size: ALKS BUY 100, now 120, UPS SELL 70, now 30"
    )
    assert compare_trades(now, now) == "the same trades"
    last = TradingPlan("PLAN_0", NOW - timedelta(days=3), earlier)
    lines = {fact.name: fact.value for fact in reviewed(buy(), plan=last).facts}
    assert lines["against the plan of 2025-11-07"].startswith("out: ")
    assert "this is the first plan" in {fact.value for fact in reviewed(buy()).facts}


def test_fees_are_expected_as_the_last_days_had_them() -> None:
    lines = {fact.name: fact.value for fact in reviewed(buy(), fee_rate=D("0.0000278")).facts}
    assert lines["expected fees"] == "$0.10, by 0.0028% of what the last 90 days traded"


def test_a_review_is_read_back_as_it_was_written_and_nothing_else_is() -> None:
    found = reviewed(buy(), there=ELEVEN)
    assert read_review(found.document()) == found
    for other in (None, "9/10", {"facts": 3}, {**found.document(), "quality_rating": "good"}):
        assert read_review(other) is None
