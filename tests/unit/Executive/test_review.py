"""The review speaks from facts: what is put to work, what is left of the limits, what is not known, and the market."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from Departments.constraints.engine import check_plan
from Departments.constraints.headroom import headroom
from Departments.constraints.limits import Limits
from Departments.core.facts import PlanFacts
from Departments.core.orders import Side
from Departments.core.plans import Trade, TradingPlan
from Departments.core.regimes import Regime
from Departments.Executive.review import Outlook, Review, review
from tests.builders.limits import NOW, Changes, book, buy, facts, known, market, position, regime, sell

D = Decimal
PLAN = TradingPlan("PLAN_1", NOW, (Trade("ALKS", Side.BUY, D(120), D(30)),), deployment=D("0.90"))


def reviewed(*orders: Trade, plan: TradingPlan = PLAN, there: Changes | None = None) -> Review:
    """Review a plan of these orders on a day on which everything is known."""
    seen = replace(facts(there or {}), plan=PlanFacts.of(plan))
    verdict = check_plan(orders or (buy(),), seen, Limits(), "review")
    return review(plan, Outlook(verdict, seen, (), (), headroom(verdict.facts, Limits())), Limits())


def test_a_plan_without_a_flaw_is_a_ten_to_approve() -> None:
    found = reviewed()
    assert (found.quality_rating, found.recommendation, found.concerns) == (10, "APPROVE", ())
    assert "every order passes every limit that could be evaluated" in found.strengths
    assert "90.0% of equity is invested" in found.strengths


def test_a_violation_rejects_the_plan_and_names_order_and_numbers() -> None:
    found = reviewed(buy(qty=2))
    assert found.recommendation == "REJECT"
    assert found.quality_rating == 3
    assert found.concerns[0] == "ALKS: MIN_POSITION_VALUE: value=60 minimum=3000"


LOW = replace(PLAN, deployment=D("0.50"))
PLANNED_LOWER = replace(PLAN, trades=(replace(PLAN.trades[0], price=D("29.5")),))
NEARLY_ONE_SECTOR = book(position("HELD", 395, 100))
OVERDRAWN = book(position("HELD", 100, 50), cash=D(-2_000))


@pytest.mark.parametrize(
    ("given", "concern"),
    [
        ({"plan": LOW}, "only 50.0% of equity is invested (target 90.0%)"),
        (
            {"there": NEARLY_ONE_SECTOR},
            "Energy uses nearly all of position_limits.max_sector_concentration_pct",
        ),
        ({"there": OVERDRAWN}, "HOLD: cash after: -$1,900 (limit at least $10,000), by review.hold_exceeded"),
        ({"there": market(known(market_cap=None))}, "not evaluated, because data is missing: MIN_MARKET_CAP"),
        ({"there": market(regime=regime(Regime.BEARISH))}, "the market regime is BEARISH"),
        (
            {"there": market(regime=regime(Regime.UNKNOWN))},
            "the market regime is unknown; its careful sizes apply",
        ),
        (
            {"there": market(known(price_at=NOW - timedelta(hours=5)))},
            "prices are more than 4 hours old: ALKS",
        ),
        ({"there": market(known(price_at=None))}, "the age of these prices is unknown: ALKS"),
        ({"plan": PLANNED_LOWER}, "prices have moved more than 1.0% against the plan: ALKS"),
    ],
)
def test_each_fact_that_speaks_against_a_plan_is_a_concern(given: dict[str, Any], concern: str) -> None:
    sells_only = given.get("there") in (NEARLY_ONE_SECTOR, OVERDRAWN)
    found = reviewed(*((sell(qty=1, price=100),) if sells_only else ()), **given)
    assert concern in found.concerns
    asking = sum(line.startswith("HOLD") for line in found.concerns)
    assert found.quality_rating == (6 - asking if asking else 10 - len(found.concerns))
