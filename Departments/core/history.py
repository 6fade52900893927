"""What the desk itself has done lately, as a value: the ledger knows it, the constraint engine judges by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal

from Departments.core.orders import Side


@dataclass(frozen=True, slots=True)
class TradingHistory:
    """The desk's recent past. Nothing in it is nothing done.

    `executed_plan_today` is the plan executed (or being executed) on the exchange's day; `same_day_sides` maps a
    symbol to the sides filled today; `day_trades` holds the day of each past day trade, one entry per trade;
    `plan_generated_at` is when the order's plan was made; `stops` maps a symbol to its live protective stop price.
    """

    executed_plan_today: str | None = None
    same_day_sides: Mapping[str, frozenset[Side]] = field(default_factory=dict)
    day_trades: tuple[date, ...] = ()
    plan_generated_at: datetime | None = None
    stops: Mapping[str, Decimal] = field(default_factory=dict)

    def after(self, day: date, symbol: str, side: Side, stop_price: Decimal | None = None) -> TradingHistory:
        """Return the history as it will be when an order of `day` has filled, with its new stop where it has one."""
        before = self.same_day_sides.get(symbol, frozenset())
        turned = bool(before) and side not in before
        return replace(
            self,
            same_day_sides={**self.same_day_sides, symbol: before | {side}},
            day_trades=(*self.day_trades, day) if turned else self.day_trades,
            stops=self.stops if stop_price is None else {**self.stops, symbol: stop_price},
        )
