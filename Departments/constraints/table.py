"""The table of constraints: one row for each rule that can stop an order. There are no other rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from Departments.constraints.case import STAGES, Case, Circumstances, Finding, Stage
from Departments.constraints.checks import account, stocks, timing
from Departments.constraints.limit_groups import Group
from Departments.core.orders import Side
from Departments.core.reasons import ReasonCode as Code

BUY: Final = frozenset({Side.BUY})
SELL: Final = frozenset({Side.SELL})
BOTH: Final = BUY | SELL


#: The stages of most constraints. Only planning, review and trading have all facts.
EVERYWHERE: Final[tuple[Stage, ...]] = ("plan", "review", "trade")


@dataclass(frozen=True, slots=True)
class Constraint:
    """One row: a constraint's code, group, sides, check, and its keys of the limits.

    A violation denies from the stage `denies_from` on; before it the same finding is a warning. With `needs_price`, an
    order without a price is not evaluated. `desk_check` is the check without an order: it may stop a whole plan.
    """

    code: Code
    group: Group
    sides: frozenset[Side]
    check: Callable[[Case], Finding]
    keys: tuple[str, ...] = ()
    judged_at: tuple[Stage, ...] = EVERYWHERE
    denies_from: Stage = "plan"
    needs_price: bool = False
    desk_check: Callable[[Circumstances], Finding] | None = None

    def judge(self, case: Case) -> Finding:
        """Judge one order."""
        if self.needs_price and (case.order.price is None or case.order.price <= 0):
            return case.leave_open(self.code, "price")
        return self.check(case)

    def denies_at(self, stage: Stage) -> bool:
        """Return whether a violation denies at `stage`."""
        return STAGES.index(stage) >= STAGES.index(self.denies_from)


def _row(
    code: Code,
    group: Group,
    sides: frozenset[Side],
    check: Callable[[Case], Finding],
    keys: str = "",
    *,
    at: str = "plan review trade",
    needs_price: bool = False,
) -> Constraint:
    """Build a row. Spaces separate `keys` and stages (`at`). A key without a section is in the group's."""
    names = tuple(key if "." in key else f"{group}.{key}" for key in keys.split())
    judged_at = tuple(stage for stage in STAGES if stage in at.split())
    return Constraint(code, group, sides, check, names, judged_at, judged_at[0], needs_price)


def _desk_row(
    code: Code, group: Group, check: Callable[[Circumstances], Finding], keys: str = "", *, at: str
) -> Constraint:
    """Build a row without an order: it may stop a whole plan."""
    return replace(_row(code, group, BOTH, check, keys, at=at), desk_check=check)


def _warn_until(stage: Stage, row: Constraint) -> Constraint:
    """Make a row's violations warnings before `stage`."""
    return replace(row, denies_from=stage)


#: The stages of what the prices of fills may break.
AND_FILLED: Final = "plan review trade fill"
_REGIMES = " ".join(f"regime_effects.{name}" for name in ("bullish", "neutral", "bearish", "panic", "unknown"))
_MAXIMUM = (
    "max_position_value max_single_position_pct min_position_value min_position_pct "
    "regime_effects.vix_elevated regime_effects.vix_caution market_conditions.vix_elevated_threshold "
    f"market_conditions.vix_caution_threshold market_conditions.vix_panic_threshold {_REGIMES}"
)

# fmt: off
#: Every constraint. Few concern a SELL: the holding, tradability, time, day trades. Violations that may pass before
#: the order is sent (opening hours, resting exits before RELEASE) deny from `dispatch` or `trade` on. Missing data
#: under `missing_data: deny` denies from the plan on. The first violation in this order names an order's denial.
CONSTRAINTS: Final[tuple[Constraint, ...]] = (
    _row(Code.SYMBOL_LOCKED, "order", BOTH, timing.check_lock, at="dispatch trade"),
    _desk_row(Code.ACCOUNT_SHARED, "order", timing.check_desk_lock, at="dispatch trade"),
    _warn_until("dispatch", _row(Code.DESK_HALTED, "order", BOTH, timing.check_desk_halt,
                                 at="plan review dispatch trade")),
    _row(Code.PHASE_ABORTED, "order", BUY, timing.check_phases, at="dispatch"),
    _desk_row(Code.LIMITS_CHANGED, "staleness", timing.check_limits, at="approve"),
    _warn_until("dispatch", _desk_row(Code.MARKET_CLOSED, "timing_rules", timing.check_market_hours,
                                      "market_hours_only", at="plan review dispatch trade")),
    _desk_row(Code.STALE_PLAN, "staleness", timing.check_plan_age, "plan_max_age_hours",
              at="review approve dispatch trade"),
    _row(Code.INVALID_QUANTITY, "order", BOTH, account.check_quantity),
    _row(Code.NO_PRICE, "order", BUY, account.check_price),
    _row(Code.SHORT_POSITION, "order", BUY, account.check_not_short),
    _row(Code.EQUITY_NOT_POSITIVE, "order", BUY, account.check_equity),
    _row(Code.NOT_HELD, "order", SELL, account.check_held),
    _row(Code.SELL_EXCEEDS_HOLDING, "order", SELL, account.check_enough_held),
    _warn_until("trade", _row(Code.SHARES_RESERVED, "order", SELL, account.check_available)),
    _row(Code.BLOCKED_SYMBOL, "order", BUY, timing.check_blocklist, "restricted_symbols.blocklist"),
    _row(Code.MIN_POSITION_VALUE, "position_limits", BUY, account.check_minimum_size,
         "min_position_value min_position_pct deployment.price_buffer_pct", needs_price=True),
    _row(Code.MAX_POSITION_VALUE, "position_limits", BUY, account.check_maximum_size, _MAXIMUM,
         at=AND_FILLED, needs_price=True),
    _row(Code.MAX_POSITIONS_TOTAL, "position_limits", BUY, account.check_number_of_positions, "max_positions_total",
         at=AND_FILLED),
    _row(Code.MAX_SECTOR_CONCENTRATION, "position_limits", BUY, account.check_sector,
         "max_sector_concentration_pct sector_maxima unknown_sector", at=AND_FILLED, needs_price=True),
    _row(Code.MAX_CORRELATED_POSITIONS, "position_limits", BUY, account.check_correlation,
         "max_correlated_positions correlated_above"),
    _row(Code.CASH_RESERVE, "portfolio_risk", BUY, account.check_reserve,
         "min_cash_reserve_pct allow_margin", at=AND_FILLED, needs_price=True),
    _row(Code.NO_MARGIN, "portfolio_risk", BUY, account.check_margin, "allow_margin", needs_price=True),
    _row(Code.UNSETTLED_FUNDS, "portfolio_risk", BUY, account.check_settlement,
         "settlement.account settlement.spend_unsettled", needs_price=True),
    _row(Code.NEW_MONEY_LIMIT, "portfolio_risk", BUY, account.check_new_money,
         "deployment.max_new_per_day deployment.ramp_days deployment.ramp_from", at="plan review", needs_price=True),
    _row(Code.MAX_PORTFOLIO_HEAT, "portfolio_risk", BUY, account.check_heat,
         "max_portfolio_heat", at=AND_FILLED, needs_price=True),
    _row(Code.DRAWDOWN_HALT, "portfolio_risk", BUY, account.check_drawdown, "max_drawdown_halt_pct"),
    _row(Code.MIN_DAILY_VOLUME, "liquidity_requirements", BUY, stocks.check_volume, "min_daily_volume_shares"),
    _row(Code.MAX_ORDER_OF_VOLUME, "liquidity_requirements", BUY, stocks.check_share_of_volume,
         "max_order_pct_of_volume"),
    _row(Code.MAX_SPREAD, "liquidity_requirements", BUY, stocks.check_spread, "min_bid_ask_spread_pct"),
    _row(Code.MIN_STOCK_PRICE, "price_constraints", BUY, stocks.check_price_floor, "min_stock_price", needs_price=True),
    _row(Code.MAX_STOCK_PRICE, "price_constraints", BUY, stocks.check_price_ceiling,
         "max_stock_price", needs_price=True),
    _row(Code.PRICE_MISMATCH, "price_constraints", BOTH, stocks.check_price_mismatch, "max_price_mismatch_pct",
         at="plan review dispatch trade"),
    _row(Code.MIN_MARKET_CAP, "price_constraints", BUY, stocks.check_market_cap, "min_market_cap_millions"),
    _row(Code.VIX_PANIC, "market_conditions", BUY, stocks.check_vix,
         "vix_panic_threshold vix_caution_threshold vix_elevated_threshold regime_effects.vix_caution "
         "regime_effects.vix_elevated", at="plan review dispatch trade"),
    _row(Code.REGIME_HALT, "market_conditions", BUY, stocks.check_regime, _REGIMES, at="plan review dispatch trade"),
    _row(Code.SPY_DRAWDOWN_HALT, "market_conditions", BUY, stocks.check_spy_drawdown, "max_spy_drawdown_pct",
         at="plan review dispatch trade"),
    _row(Code.LAST_MINUTES, "timing_rules", BUY, timing.check_last_minutes, "no_positions_last_minutes",
         at="plan review dispatch trade"),
    _row(Code.TRADING_HALTED, "timing_rules", BOTH, timing.check_halt, "no_trading_on_halt"),
    _row(Code.NOT_TRADABLE, "timing_rules", BOTH, timing.check_tradable),
    _row(Code.EARNINGS_DAY, "timing_rules", BUY, timing.check_earnings_day, "no_earnings_day_trades"),
    _desk_row(Code.ALREADY_EXECUTED, "order", timing.check_first_execution, at="dispatch"),
    _warn_until("dispatch", _desk_row(Code.ONE_EXECUTION_PER_DAY, "timing_rules", timing.check_one_execution,
                                      "one_execution_per_day", at="plan review dispatch trade")),
    _desk_row(Code.MANUAL_ORDER_LIMIT, "timing_rules", timing.check_manual_orders, "max_manual_orders_per_day",
              at="dispatch"),
    _desk_row(Code.SECOND_PERSON, "order", timing.check_persons, at="dispatch"),
    _desk_row(Code.ACCOUNT_BLOCKED, "order", timing.check_account, at="dispatch"),
    _warn_until("approve", _row(Code.PRICE_MOVED, "staleness", BOTH, timing.check_price_move,
                                "deployment.price_buffer_pct", at="review approve")),
    _row(Code.STALE_PRICE, "staleness", BUY, timing.check_price_age, "price_max_age_hours plan_max_age_hours"),
    _row(Code.DAY_TRADE_LIMIT, "timing_rules", SELL, timing.check_day_trades,
         "day_trades.limit day_trades.window_days day_trades.exempt_equity"),
    _row(Code.SAME_DAY_ROUND_TRIP, "timing_rules", BUY, timing.check_round_trip, "day_trades.allow_same_day_rebuy"),
    _row(Code.REOPEN_PAUSE, "timing_rules", BUY, timing.check_reopening, "reopen_pause_hours"),
    # the last row: only a BUY that lacks nothing else waits for a quote
    _row(Code.NO_FRESH_QUOTE, "order", BUY, stocks.check_fresh_quote, at="dispatch"),
)
# fmt: on

#: What stops every BUY at once; the first found explains why nothing is bought.
BUY_HALTS: Final = (
    Code.EQUITY_NOT_POSITIVE,
    Code.VIX_PANIC,
    Code.REGIME_HALT,
    Code.SPY_DRAWDOWN_HALT,
    Code.DRAWDOWN_HALT,
    Code.LAST_MINUTES,
)

#: The readers of the keys that no constraint reads: a section, or one key of it.
READ_ELSEWHERE: Final[Mapping[str, str]] = {
    "deployment": "the goals of Operations within the limits",
    "review": "the rules by which a review says HOLD",
    "missing_data": "the engine's policy for a constraint without its data",
    "settlement.days": "the days until a SELL's proceeds settle, if the broker gives no number",
    "kelly_criterion": "kept for other tools, no constraint reads it",
    "risk_score_gates": "kept for other tools, no constraint reads it",
    "correlation_limits": "kept for other tools, no constraint reads it",
    "technical_filters": "kept for other tools, no constraint reads it",
    "violation_actions": "kept for other tools, no constraint reads it",
}
