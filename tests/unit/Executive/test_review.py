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
from Departments.core.market import MarketFacts
from Departments.core.orders import Side
from Departments.core.plans import Trade, TradingPlan
from Departments.core.portfolio import Book, ProposedOrder
from Departments.core.regimes import Regime
from Departments.Executive.judgement import Judgement
from Departments.Executive.review import Review, review
from tests.builders.limits import NOW, book, buy, history, known, market, position, regime, sell

D = Decimal
PLAN = TradingPlan("PLAN_1", NOW, (Trade("ALKS", Side.BUY, D(120), D(30)),), deployment=D("0.90"))


def reviewed(
    *orders: ProposedOrder,
    plan: TradingPlan = PLAN,
    there: Book | None = None,
    facts: MarketFacts | None = None,
    **drifted: Any,
) -> Review:
    """Review a plan of these orders on a day on which everything is known."""
    seen, rules = facts or market(), Limits()
    verdict = check_plan(orders or (buy(),), there or book(), seen, rules, history(), stage="review")
    judgement = Judgement(
        verdict, there or book(), seen, (), (), headroom(verdict.book, seen, rules, verdict.history), drifted
    )
    return review(plan, judgement, rules)


def test_a_plan_without_a_flaw_is_a_ten_to_approve() -> None:
    found = reviewed()
    assert (found.quality_rating, found.recommendation, found.concerns) == (10, "APPROVE", ())
    assert "every order passes every limit that could be evaluated" in found.strengths
    assert "90.0% of equity is put to work" in found.strengths


def test_a_violation_rejects_the_plan_and_names_order_and_numbers() -> None:
    found = reviewed(buy(qty=2))
    assert found.recommendation == "REJECT"
    assert found.quality_rating == 7
    assert found.concerns[0] == "ALKS: MIN_POSITION_VALUE: value=60 minimum=3000"


LOW = replace(PLAN, deployment=D("0.50"))
NEARLY_ONE_SECTOR = book(position("HELD", 395, 100))
OVERDRAWN = book(position("HELD", 100, 50), cash=D(-2_000))


@pytest.mark.parametrize(
    ("given", "concern"),
    [
        ({"plan": LOW}, "only 50.0% of equity is put to work (target 90.0%)"),
        (
            {"there": NEARLY_ONE_SECTOR},
            "Energy leaves hardly any of position_limits.max_sector_concentration_pct",
        ),
        ({"there": OVERDRAWN}, "portfolio_risk.min_cash_reserve_pct stays exceeded by $11,900"),
        ({"facts": market(known(market_cap=None))}, "not evaluated for want of data: MIN_MARKET_CAP"),
        ({"facts": market(regime=regime(Regime.BEARISH))}, "the market regime is BEARISH"),
        (
            {"facts": market(regime=regime(Regime.UNKNOWN))},
            "the market regime is unknown, so the careful branch applies",
        ),
        (
            {"facts": market(known(price_at=NOW - timedelta(hours=5)))},
            "prices are more than 4 hours old: ALKS",
        ),
        ({"facts": market(known(price_at=None))}, "nobody knows how old the prices are: ALKS"),
        ({"ALKS": D("0.02")}, "prices have moved more than 1.0% against the plan: ALKS"),
    ],
)
def test_each_fact_that_speaks_against_a_plan_is_a_concern(given: dict[str, Any], concern: str) -> None:
    sells_only = "there" in given
    found = reviewed(*((sell(qty=1, price=100),) if sells_only else ()), **given)
    assert concern in found.concerns
    assert found.quality_rating == 10 - len(found.concerns)
