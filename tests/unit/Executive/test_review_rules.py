"""The review's recommendation follows written rules: APPROVE, HOLD with its line, REJECT with its rule."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from Departments.constraints.engine import check_plan
from Departments.constraints.headroom import headroom
from Departments.constraints.limits import Limits
from Departments.core.facts import NO_READINGS, PlanFacts
from Departments.core.plans import Trade, TradingPlan
from Departments.core.regimes import MarketView, Regime
from Departments.Executive.review import Outlook, Review, review
from tests.builders.limits import NOW, Changes, book, buy, facts, known, market, position, regime, sell

D = Decimal


def reviewed(
    *orders: Trade, there: Changes | None = None, rules: dict[str, Any] | None = None, last_run: date | None = None
) -> Review:
    plan = TradingPlan("PLAN_1", NOW, orders, deployment=D("0.90"))
    limits = Limits.model_validate({"review": rules or {}})
    seen = replace(facts(there or {}), plan=PlanFacts.of(plan))
    verdict = check_plan(orders, seen, limits, "review")
    return review(plan, Outlook(verdict, seen, (), (), headroom(verdict.facts, limits), last_run), limits)


def rules_of(found: Review) -> set[str]:
    return {fact.rule for fact in found.facts if fact.rule}


ELEVEN = {"locks": {f"L{n}": "the broker knows a fill that the ledger does not" for n in range(11)}}
NOTHING: Any = {"average_volume": None, "market_cap": None, "bid": None, "ask": None, "halted": None, "tradable": None}
BLIND = market(known(**NOTHING, earnings_known=False, earnings_on=None, price_at=None)) | {"peak_equity": None}
BLIND |= {"readings": NO_READINGS}
FULL = book(position("HELD", 600, 100), cash=D(40_000))
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
    assert found.quality_rating <= 6
    assert any(line.startswith("HOLD: ") and line.endswith(rule) for line in found.concerns)
    assert rule not in rules_of(reviewed(*orders, rules=loosened, **given))


def test_each_further_line_lowers_the_rating() -> None:
    one = reviewed(buy(), there=ELEVEN).quality_rating
    assert reviewed(buy(), there=ELEVEN, last_run=date(2025, 10, 1)).quality_rating < one


def test_an_order_that_breaks_a_limit_rejects_the_plan_whatever_else_is_good() -> None:
    found = reviewed(buy(qty=2))
    assert (found.recommendation, found.quality_rating <= 3) == ("REJECT", True)
    assert "MIN_POSITION_VALUE" in found.concerns[0]


def test_facts_stand_beside_their_limits() -> None:
    lines = {fact.name: fact for fact in reviewed(buy()).facts}
    assert lines["names in"].value == "ALKS"
    assert lines["names out"].value == "none"
    assert (lines["turnover"].value, lines["turnover"].limit) == ("0.0%", "50.0%")
    assert lines["locked symbols"].value == "none"
    assert lines["limits not evaluated"].value.startswith("0 of ")
    assert lines["trading days since the last run"].value == "the first run"
    assert lines["max_positions_total"].limit == "20"


def test_views_that_contradict_each_other_hold_the_plan() -> None:
    views = (MarketView.of(regime(Regime.BULLISH)), MarketView.of(regime(Regime.PANIC)))
    found = reviewed(there={**market(known()), "views": views})
    assert "review.hold_contradicting_regimes" in rules_of(found)
