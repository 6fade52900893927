"""The desk's recent past as the constraint engine wants it: today's execution, today's sides, past day trades."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta

from Departments.core.history import TradingHistory
from Departments.core.orders import Side
from Departments.core.trading_calendar import trading_day
from Departments.ledger.orders import FillRecord, OrderRecords
from Departments.ledger.plans import PlanRecords

LOOK_BACK = timedelta(days=60)  # more than the longest day-trade window of 30 trading days


def recent_history(
    plans: PlanRecords, orders: OrderRecords, now: datetime, plan_generated_at: datetime | None
) -> TradingHistory:
    """Gather the history up to `now` from the records."""
    today = trading_day(now)
    sides = _sides_by_day(orders.fills_since(now - LOOK_BACK))
    executed = plans.executions(today)
    return TradingHistory(
        executed_plan_today=executed[-1].plan_id if executed else None,
        same_day_sides={symbol: frozenset(both) for (day, symbol), both in sides.items() if day == today},
        day_trades=tuple(sorted(day for (day, _), both in sides.items() if len(both) == len(Side))),
        plan_generated_at=plan_generated_at,
        stops=orders.stops(),
    )


def _sides_by_day(fills: Iterable[FillRecord]) -> dict[tuple[date, str], set[Side]]:
    found: dict[tuple[date, str], set[Side]] = {}
    for fill in fills:
        found.setdefault((trading_day(fill.filled_at), fill.ticker), set()).add(fill.side)
    return found
