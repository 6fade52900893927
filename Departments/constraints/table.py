"""The table of constraints: one row for each rule that can stop an order; nothing is judged without a row here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from Departments.constraints.case import STAGES, Case, Circumstances, Finding, Stage
from Departments.constraints.checks import account, stocks, timing
from Departments.constraints.limits import Group
from Departments.core.orders import Side
from Departments.core.reasons import ReasonCode as Code

BUY: Final = frozenset({Side.BUY})
SELL: Final = frozenset({Side.SELL})
BOTH: Final = BUY | SELL


#: Where most constraints are judged: they need the whole picture, which only planning, review and trading have.
EVERYWHERE: Final[tuple[Stage, ...]] = ("plan", "review", "trade")


@dataclass(frozen=True, slots=True)
class Constraint:
    """One row: a constraint's code and group, the sides it applies to, its check and the keys of the limits it reads.

    `denies_from` is the first stage at which a violation denies; before it the same finding is a warning. An order
    without price is not evaluated where `needs_price`. `of_desk` is the same check where it needs no order: it may
    then stop a whole plan.
    """

    code: Code
    group: Group
    sides: frozenset[Side]
    check: Callable[[Case], Finding]
    keys: tuple[str, ...] = ()
    judged_at: tuple[Stage, ...] = EVERYWHERE
    denies_from: Stage = "plan"
    needs_price: bool = False
    of_desk: Callable[[Circumstances], Finding] | None = None

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
    at: str = "plan review trade",
    needs_price: bool = False,
) -> Constraint:
    """Return a row; `keys` and stages (`at`) are separated by spaces; a key without section is in the group's."""
    names = tuple(key if "." in key else f"{group}.{key}" for key in keys.split())
    judged_at = tuple(stage for stage in STAGES if stage in at.split())
    return Constraint(code, group, sides, check, names, judged_at, judged_at[0], needs_price)


def _desk(
    code: Code, group: Group, check: Callable[[Circumstances], Finding], keys: str = "", *, at: str
) -> Constraint:
    """Return a row that needs no order: it may stop a whole plan."""
    return replace(_row(code, group, BOTH, check, keys, at=at), of_desk=check)


def _warns_until(stage: Stage, row: Constraint) -> Constraint:
    """Return a row whose violations are warnings before `stage`."""
    return replace(row, denies_from=stage)


_REGIMES = " ".join(f"regime_effects.{name}" for name in ("bullish", "neutral", "bearish", "panic", "unknown"))
_MAXIMUM = (
    "max_position_value max_single_position_pct min_position_value min_position_pct "
    "regime_effects.vix_elevated regime_effects.vix_caution market_conditions.vix_elevated_threshold "
    f"market_conditions.vix_caution_threshold market_conditions.vix_panic_threshold {_REGIMES}"
)

# fmt: off
#: Every constraint. SELLs are judged only by what concerns a SELL: what is held, tradability, time, day trades.
#: What passes until the order is sent (opening hours, resting exits that RELEASE frees) denies from `dispatch` or
#: `trade`; what is missing and must not be (`missing_data: deny`) denies from the plan on. The first violation in the
#: order of this table names an order's denial.
CONSTRAINTS: Final[tuple[Constraint, ...]] = (
    _row(Code.SYMBOL_LOCKED, "order", BOTH, timing.symbol_lock, at="dispatch trade"),
    _row(Code.PHASE_ABORTED, "order", BUY, timing.phases_whole, at="dispatch"),
    _desk(Code.LIMITS_CHANGED, "staleness", timing.limits_same, at="approve"),
    _warns_until("dispatch", _desk(Code.MARKET_CLOSED, "timing_rules", timing.market_open, "market_hours_only",
                                   at="plan review dispatch trade")),
    _desk(Code.STALE_PLAN, "staleness", timing.plan_fresh, "plan_max_age_hours", at="review approve dispatch trade"),
    _row(Code.INVALID_QUANTITY, "order", BOTH, account.quantity),
    _row(Code.NO_PRICE, "order", BUY, account.price_known),
    _row(Code.SHORT_POSITION, "order", BUY, account.long_only),
    _row(Code.EQUITY_NOT_POSITIVE, "order", BUY, account.equity_positive),
    _row(Code.NOT_HELD, "order", SELL, account.something_held),
    _row(Code.SELL_EXCEEDS_HOLDING, "order", SELL, account.enough_held),
    _warns_until("trade", _row(Code.SHARES_RESERVED, "order", SELL, account.enough_available)),
    _row(Code.MIN_POSITION_VALUE, "position_limits", BUY, account.minimum_size,
         "min_position_value min_position_pct", needs_price=True),
    _row(Code.MAX_POSITION_VALUE, "position_limits", BUY, account.maximum_size, _MAXIMUM, needs_price=True),
    _row(Code.MAX_POSITIONS_TOTAL, "position_limits", BUY, account.number_of_positions, "max_positions_total"),
    _row(Code.MAX_SECTOR_CONCENTRATION, "position_limits", BUY, account.sector_concentration,
         "max_sector_concentration_pct unknown_sector", needs_price=True),
    _row(Code.MAX_CORRELATED_POSITIONS, "position_limits", BUY, account.correlated_positions,
         "max_correlated_positions correlated_above"),
    _row(Code.CASH_RESERVE, "portfolio_risk", BUY, account.reserve_kept,
         "min_cash_reserve_pct allow_margin", needs_price=True),
    _row(Code.NO_MARGIN, "portfolio_risk", BUY, account.no_margin, "allow_margin", needs_price=True),
    _row(Code.UNSETTLED_FUNDS, "portfolio_risk", BUY, account.settled_funds,
         "settlement.account settlement.spend_unsettled", needs_price=True),
    _row(Code.MAX_PORTFOLIO_HEAT, "portfolio_risk", BUY, account.portfolio_heat,
         "max_portfolio_heat", needs_price=True),
    _row(Code.DRAWDOWN_HALT, "portfolio_risk", BUY, account.drawdown, "max_drawdown_halt_pct"),
    _row(Code.MIN_DAILY_VOLUME, "liquidity_requirements", BUY, stocks.daily_volume, "min_daily_volume_shares"),
    _row(Code.MAX_ORDER_OF_VOLUME, "liquidity_requirements", BUY, stocks.share_of_volume, "max_order_pct_of_volume"),
    _row(Code.MAX_SPREAD, "liquidity_requirements", BUY, stocks.spread, "min_bid_ask_spread_pct"),
    _row(Code.MIN_STOCK_PRICE, "price_constraints", BUY, stocks.price_floor, "min_stock_price", needs_price=True),
    _row(Code.MAX_STOCK_PRICE, "price_constraints", BUY, stocks.price_ceiling, "max_stock_price", needs_price=True),
    _row(Code.MIN_MARKET_CAP, "price_constraints", BUY, stocks.market_cap, "min_market_cap_millions"),
    _row(Code.VIX_PANIC, "market_conditions", BUY, stocks.vix_panic,
         "vix_panic_threshold vix_caution_threshold vix_elevated_threshold regime_effects.vix_caution "
         "regime_effects.vix_elevated"),
    _row(Code.REGIME_HALT, "market_conditions", BUY, stocks.regime_halt, _REGIMES),
    _row(Code.SPY_DRAWDOWN_HALT, "market_conditions", BUY, stocks.spy_drawdown, "max_spy_drawdown_pct"),
    _row(Code.LAST_MINUTES, "timing_rules", BUY, timing.last_minutes, "no_positions_last_minutes",
         at="plan review dispatch trade"),
    _row(Code.TRADING_HALTED, "timing_rules", BOTH, timing.trading_halt, "no_trading_on_halt"),
    _row(Code.NOT_TRADABLE, "timing_rules", BOTH, timing.tradable),
    _row(Code.EARNINGS_DAY, "timing_rules", BUY, timing.earnings_day, "no_earnings_day_trades"),
    _desk(Code.ALREADY_EXECUTED, "order", timing.first_execution, at="dispatch"),
    _warns_until("dispatch", _desk(Code.ONE_EXECUTION_PER_DAY, "timing_rules", timing.one_execution,
                                   "one_execution_per_day", at="plan review dispatch trade")),
    _desk(Code.ACCOUNT_BLOCKED, "order", timing.account_open, at="dispatch"),
    _warns_until("approve", _row(Code.PRICE_MOVED, "staleness", BOTH, timing.price_near,
                                 "deployment.price_buffer_pct", at="review approve")),
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
