"""The Executive's own look at a plan: the same constraint engine, on the account as it is now."""

from __future__ import annotations

from datetime import datetime

from Departments.brokers.base import Broker
from Departments.brokers.snapshot import book_of, symbol_facts
from Departments.constraints.engine import PlanVerdict, check_plan
from Departments.constraints.limits import Limits
from Departments.core.market import MarketFacts
from Departments.core.plans import TradingPlan
from Departments.core.portfolio import ProposedOrder
from Departments.ledger.ledger import Ledger


def checked(plan: TradingPlan, broker: Broker, ledger: Ledger, limits: Limits, now: datetime) -> PlanVerdict:
    """Judge every order of a plan on the projected account. Raises BrokerUnavailable."""
    sectors = ledger.sectors()
    facts = symbol_facts(broker, [t.ticker for t in plan.trades], sectors)
    market = MarketFacts.of_day(now, facts, ledger.regimes.latest_assessment(now))
    orders = [
        ProposedOrder(t.ticker, t.side, t.qty, facts[t.ticker].price or t.price, t.sector, plan_id=plan.plan_id)
        for t in plan.trades
    ]
    history = ledger.history(now, plan_generated_at=plan.generated_at)
    return check_plan(orders, book_of(broker, sectors), market, limits, history, stage="review")
