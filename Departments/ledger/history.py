"""The desk's recent past as the constraint engine wants it: today's execution, today's sides, past day trades."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from Departments.core.history import TradingHistory
from Departments.core.trading_calendar import trading_day
from Departments.ledger.orders import OrderRecords
from Departments.ledger.plans import PlanRecords

LOOK_BACK = timedelta(days=60)  # more than the longest day-trade window of 30 trading days


def recent_history(
    plans: PlanRecords,
    orders: OrderRecords,
    now: datetime,
    plan_generated_at: datetime | None,
    held: Collection[str] | None,
) -> TradingHistory:
    """Gather the history up to `now` from the records; the stops are those of `held` alone, where it is named."""
    today = trading_day(now)
    executed = plans.executions(today)
    return TradingHistory(
        executed_plan_today=executed[-1].plan_id if executed else None,
        same_day_sides=orders.sides_on(today),
        day_trades=tuple(orders.day_trades_since(today - LOOK_BACK)),
        plan_generated_at=plan_generated_at,
        stops=orders.stops(held),
    )
