"""The table of constraints: one row each, and nothing is judged that has no row here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from Departments.constraints.case import STAGES, Case, Finding, Stage
from Departments.constraints.checks import market, orders, positions, risk, stocks, timing
from Departments.constraints.limits import Group
from Departments.core.orders import Side
from Departments.core.reasons import ReasonCode as Code

BUY: Final = frozenset({Side.BUY})
SELL: Final = frozenset({Side.SELL})
BOTH: Final = BUY | SELL


@dataclass(frozen=True, slots=True)
class Constraint:
    """One row: a constraint's code and group, the sides it applies to, its check and the keys of the limits it reads.

    `denies_from` is the first stage at which a violation denies; before it the same finding is a warning. An order
    without price is not evaluated where `needs_price`.
    """

    code: Code
    group: Group
    sides: frozenset[Side]
    check: Callable[[Case], Finding]
    keys: tuple[str, ...] = ()
    denies_from: Stage = "plan"
    needs_price: bool = False

    def find(self, case: Case) -> Finding:
        """Judge one order."""
        if self.needs_price and (case.order.price is None or case.order.price <= 0):
            return case.lacks(self.code, "price")
        return self.check(case)

    def denies_at(self, stage: Stage) -> bool:
        """Tell whether a violation denies at `stage`."""
        return STAGES.index(stage) >= STAGES.index(self.denies_from)


def _row(
    code: Code,
    group: Group,
    sides: frozenset[Side],
    check: Callable[[Case], Finding],
    keys: str = "",
    *,
    denies_from: Stage = "plan",
    needs_price: bool = False,
) -> Constraint:
    """Return a row; `keys` are separated by spaces; one without section stands in the group."""
    names = tuple(key if "." in key else f"{group}.{key}" for key in keys.split())
    return Constraint(code, group, sides, check, names, denies_from, needs_price)


_REGIMES = " ".join(f"regime_effects.{name}" for name in ("bullish", "neutral", "bearish", "panic", "unknown"))
_MAXIMUM = (
    "max_position_value max_single_position_pct min_position_value min_position_pct "
    "regime_effects.vix_elevated regime_effects.vix_caution market_conditions.vix_elevated_threshold "
    f"market_conditions.vix_caution_threshold market_conditions.vix_panic_threshold {_REGIMES}"
)

# fmt: off
#: Every constraint. SELLs are judged only by what concerns a SELL: what is held, tradability, time, day trades.
#: What passes until the order is sent (opening hours, resting exits that RELEASE frees) denies from `trade`; what is
#: missing and must not be (`missing_data: deny`) denies from the plan on.
CONSTRAINTS: Final[tuple[Constraint, ...]] = (
    _row(Code.INVALID_QUANTITY, "order", BOTH, orders.quantity),
    _row(Code.NO_PRICE, "order", BUY, orders.price_known),
    _row(Code.SHORT_POSITION, "order", BUY, orders.long_only),
    _row(Code.EQUITY_NOT_POSITIVE, "order", BUY, risk.equity_positive),
    _row(Code.NOT_HELD, "order", SELL, orders.something_held),
    _row(Code.SELL_EXCEEDS_HOLDING, "order", SELL, orders.enough_held),
    _row(Code.SHARES_RESERVED, "order", SELL, orders.enough_available, denies_from="trade"),
    _row(Code.MIN_POSITION_VALUE, "position_limits", BUY, positions.minimum_size,
         "min_position_value min_position_pct", needs_price=True),
    _row(Code.MAX_POSITION_VALUE, "position_limits", BUY, positions.maximum_size, _MAXIMUM, needs_price=True),
    _row(Code.MAX_POSITIONS_TOTAL, "position_limits", BUY, positions.number_of_positions, "max_positions_total"),
    _row(Code.MAX_SECTOR_CONCENTRATION, "position_limits", BUY, positions.sector_concentration,
         "max_sector_concentration_pct unknown_sector", needs_price=True),
    _row(Code.MAX_CORRELATED_POSITIONS, "position_limits", BUY, positions.correlated_positions,
         "max_correlated_positions correlated_above"),
    _row(Code.CASH_RESERVE, "portfolio_risk", BUY, risk.reserve_kept,
         "min_cash_reserve_pct allow_margin", needs_price=True),
    _row(Code.NO_MARGIN, "portfolio_risk", BUY, risk.no_margin, "allow_margin", needs_price=True),
    _row(Code.UNSETTLED_FUNDS, "portfolio_risk", BUY, risk.settled_funds,
         "settlement.account settlement.spend_unsettled", needs_price=True),
    _row(Code.MAX_PORTFOLIO_HEAT, "portfolio_risk", BUY, risk.portfolio_heat, "max_portfolio_heat", needs_price=True),
    _row(Code.DRAWDOWN_HALT, "portfolio_risk", BUY, risk.drawdown, "max_drawdown_halt_pct"),
    _row(Code.MIN_DAILY_VOLUME, "liquidity_requirements", BUY, stocks.daily_volume, "min_daily_volume_shares"),
    _row(Code.MAX_ORDER_OF_VOLUME, "liquidity_requirements", BUY, stocks.share_of_volume, "max_order_pct_of_volume"),
    _row(Code.MAX_SPREAD, "liquidity_requirements", BUY, stocks.spread, "min_bid_ask_spread_pct"),
    _row(Code.MIN_STOCK_PRICE, "price_constraints", BUY, stocks.price_floor, "min_stock_price", needs_price=True),
    _row(Code.MAX_STOCK_PRICE, "price_constraints", BUY, stocks.price_ceiling, "max_stock_price", needs_price=True),
    _row(Code.MIN_MARKET_CAP, "price_constraints", BUY, stocks.market_cap, "min_market_cap_millions"),
    _row(Code.VIX_PANIC, "market_conditions", BUY, market.vix_panic,
         "vix_panic_threshold vix_caution_threshold vix_elevated_threshold regime_effects.vix_caution "
         "regime_effects.vix_elevated"),
    _row(Code.REGIME_HALT, "market_conditions", BUY, market.regime_halt, _REGIMES),
    _row(Code.SPY_DRAWDOWN_HALT, "market_conditions", BUY, market.spy_drawdown, "max_spy_drawdown_pct"),
    _row(Code.MARKET_CLOSED, "timing_rules", BOTH, timing.market_open, "market_hours_only", denies_from="trade"),
    _row(Code.LAST_MINUTES, "timing_rules", BUY, timing.last_minutes, "no_positions_last_minutes"),
    _row(Code.TRADING_HALTED, "timing_rules", BOTH, timing.halted, "no_trading_on_halt"),
    _row(Code.NOT_TRADABLE, "timing_rules", BOTH, timing.tradable),
    _row(Code.EARNINGS_DAY, "timing_rules", BUY, timing.earnings_day, "no_earnings_day_trades"),
    _row(Code.ONE_EXECUTION_PER_DAY, "timing_rules", BOTH, timing.one_execution, "one_execution_per_day",
         denies_from="trade"),
    _row(Code.STALE_PLAN, "staleness", BOTH, timing.plan_fresh, "plan_max_age_hours", denies_from="review"),
    _row(Code.STALE_PRICE, "staleness", BUY, timing.price_fresh, "price_max_age_hours plan_max_age_hours"),
    _row(Code.DAY_TRADE_LIMIT, "timing_rules", SELL, timing.day_trade_limit,
         "day_trades.limit day_trades.window_days day_trades.exempt_equity"),
    _row(Code.SAME_DAY_ROUND_TRIP, "timing_rules", BUY, timing.same_day_round_trip, "day_trades.allow_same_day_rebuy"),
)
# fmt: on

#: What reads the keys that no constraint reads: a section, or one key of it.
READ_ELSEWHERE: Final[Mapping[str, str]] = {
    "deployment": "what Operations aims at within the limits",
    "missing_data": "what the engine does with a constraint it cannot evaluate",
    "settlement.days": "until when the proceeds of a SELL count as unsettled, where the broker does not tell",
    "kelly_criterion": "kept for other tools, no constraint reads it",
    "risk_score_gates": "kept for other tools, no constraint reads it",
    "correlation_limits": "kept for other tools, no constraint reads it",
    "technical_filters": "kept for other tools, no constraint reads it",
    "violation_actions": "kept for other tools, no constraint reads it",
}
