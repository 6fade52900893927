"""The groups of `config/hard_constraints.yaml` and how their values are read: shares, amounts, counts, flags.

Shares are parts of one (0.25 is 25 %), money is in dollars. The shipped file explains every key to its reader.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from Departments.core.money import BEYOND_REASON
from Departments.core.readers import read_symbol
from Departments.core.settings import Section

Policy = Literal["allow", "warn", "deny"]
Group = Literal[
    "order",
    "position_limits",
    "portfolio_risk",
    "liquidity_requirements",
    "price_constraints",
    "market_conditions",
    "timing_rules",
    "staleness",
]


def _share(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool) and 1 < value <= 100:
        raise ValueError(f"a share is a part of one; write {value / 100:g} for {value:g} %")
    return _number(value)


def _band(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 1:
        raise ValueError(f"a band of {value:g} stops all rebalancing; write less than 1 (0.25 is 25 %)")
    return _number(value)


def _number(value: Any) -> Any:
    if isinstance(value, str | bool):
        raise ValueError(f"must be a number (found {value!r}); write it without quotes")  # noqa: TRY004 - for pydantic
    return value


def _truth(value: Any) -> Any:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false (found {value!r}); write one of them")  # noqa: TRY004 - for pydantic
    return value


def _empty(value: Any) -> Any:
    return {} if value is None else value


Share = Annotated[Decimal, BeforeValidator(_share), Field(ge=0, le=1)]
PositiveShare = Annotated[Decimal, BeforeValidator(_share), Field(gt=0, le=1)]
Band = Annotated[Decimal, BeforeValidator(_band), Field(ge=0)]
Factor = Annotated[Decimal, BeforeValidator(_number), Field(ge=0, le=1)]
Amount = Annotated[Decimal, BeforeValidator(_number), Field(ge=0, le=BEYOND_REASON)]
Count = Annotated[int, BeforeValidator(_number), Field(ge=0)]
Flag = Annotated[bool, BeforeValidator(_truth)]
Free = Annotated[Any, BeforeValidator(_empty)]


def _read_symbols(value: Any) -> Any:
    rows = value or ()
    if not isinstance(rows, list | tuple):
        raise ValueError(f"is not a list of symbols (found {value!r}); write [GME, AMC]")  # noqa: TRY004 - for pydantic
    return tuple(map(read_symbol, rows))


Symbols = Annotated[tuple[str, ...], BeforeValidator(_read_symbols)]


class PositionLimits(Section):
    """The size of one position, and the number of positions."""

    min_position_value: Amount = Decimal(1000)
    min_position_pct: Share = Decimal("0.03")
    max_position_value: Amount | None = None
    max_single_position_pct: PositiveShare = Decimal("0.25")
    max_positions_total: Count = 20
    max_sector_concentration_pct: PositiveShare = Decimal("0.40")
    sector_maxima: dict[str, PositiveShare] = Field(default_factory=dict)
    unknown_sector: Literal["own_bucket", "each_by_itself"] = "each_by_itself"
    max_correlated_positions: Count = 5
    correlated_above: Share = Decimal("0.70")


class PortfolioRisk(Section):
    """The risk of the whole portfolio."""

    max_portfolio_heat: Share = Decimal("0.08")
    min_cash_reserve_pct: Share = Decimal("0.10")
    max_drawdown_halt_pct: Share = Decimal("0.15")
    allow_margin: Flag = False


class LiquidityRequirements(Section):
    """The liquidity of a stock. Volumes in shares a day."""

    min_daily_volume_shares: Amount = Decimal(500_000)
    max_order_pct_of_volume: Share = Decimal("0.10")
    min_bid_ask_spread_pct: Share = Decimal("0.02")


class PriceConstraints(Section):
    """The price and size of a stock. Prices in dollars, market capitalisation in millions.

    The mismatch is a share of the plan's price.
    """

    min_stock_price: Amount = Decimal(5)
    max_stock_price: Amount | None = None
    max_price_mismatch_pct: Share = Decimal("0.20")
    min_market_cap_millions: Amount = Decimal(1000)


class MarketConditions(Section):
    """The thresholds of the VIX (points) and of the S&P 500's drawdown."""

    vix_panic_threshold: Amount = Decimal(40)
    vix_caution_threshold: Amount = Decimal(30)
    vix_elevated_threshold: Amount = Decimal(20)
    max_spy_drawdown_pct: Share = Decimal("0.10")


class RegimeEffects(Section):
    """The size of BUYs in each market: 1 as usual, 0.5 half, 0 no BUYs. The smallest factor counts."""

    bullish: Factor = Decimal(1)
    neutral: Factor = Decimal(1)
    bearish: Factor = Decimal(1)
    panic: Factor = Decimal(0)
    unknown: Factor = Decimal("0.5")
    vix_elevated: Factor = Decimal(1)
    vix_caution: Factor = Decimal("0.5")


class TimingRules(Section):
    """The times of trading. Minutes before the actual close, early closes included."""

    market_hours_only: Flag = True
    no_positions_last_minutes: Annotated[Count, Field(le=390)] = 15
    no_trading_on_halt: Flag = True
    no_earnings_day_trades: Flag = True
    one_execution_per_day: Flag = True
    max_manual_orders_per_day: Count = 10
    reopen_pause_hours: Annotated[Amount, Field(le=168)] = Decimal(0)


class RestrictedSymbols(Section):
    """Symbols that are never bought."""

    blocklist: Symbols = ()


class Staleness(Section):
    """The maximum ages of plans and prices, in hours."""

    plan_max_age_hours: Annotated[Amount, Field(gt=0, le=1_000_000)] = Decimal(4)
    price_max_age_hours: Annotated[Amount, Field(gt=0, le=1_000_000)] = Decimal(4)


class Settlement(Section):
    """The settlement of a SELL's proceeds. Only a cash account waits for it."""

    account: Literal["margin", "cash"] = "margin"
    days: Annotated[Count, Field(le=5)] = 1
    spend_unsettled: Flag = False


class DayTrades(Section):
    """The number of day trades. `window_days` are trading days."""

    limit: Count | None = 3
    window_days: Annotated[Count, Field(ge=1, le=30)] = 5
    exempt_equity: Amount | None = Decimal(25_000)
    allow_same_day_rebuy: Flag = False


class Deployment(Section):
    """The goals of Operations within the limits. Scores from 0 to 100."""

    target_pct: Share = Decimal("0.90")
    min_positions: Count = 12
    too_small: Literal["raise", "skip"] = "raise"
    max_auto_position_pct: PositiveShare = Decimal("0.08")
    min_trade_value: Amount = Decimal(500)
    min_trade_pct: Share = Decimal("0.01")
    rebalance_band_pct: Band = Decimal("0.25")
    min_score: Annotated[Amount, Field(le=100)] = Decimal(55)
    sell_below_score: Annotated[Amount, Field(le=100)] = Decimal(55)
    price_buffer_pct: Annotated[Share, Field(lt=1)] = Decimal("0.01")
    max_new_per_day: PositiveShare | None = None
    ramp_days: Annotated[Count, Field(le=250)] = 0
    ramp_from: date | None = None


class ReviewRules(Section):
    """When a review says HOLD: a person should look. Shares of one, numbers of symbols and of days."""

    hold_turnover_pct: PositiveShare = Decimal("0.50")
    hold_idle_pct: PositiveShare = Decimal("0.60")
    hold_unevaluated_pct: PositiveShare = Decimal("0.25")
    hold_locked_symbols: Annotated[Count, Field(ge=1)] = 1
    hold_days_since_last_run: Annotated[Count, Field(ge=1)] = 7
    hold_concerns: Annotated[Count, Field(ge=1)] = 5
    hold_exceeded: Flag = True
    hold_panic: Flag = True
    hold_contradicting_regimes: Flag = True
    hold_nothing_traded: Flag = True


class MissingData(Section):
    """The policy for missing data, for each group of constraints."""

    position_limits: Policy = "allow"
    portfolio_risk: Policy = "warn"
    liquidity_requirements: Policy = "warn"
    price_constraints: Policy = "warn"
    market_conditions: Policy = "warn"
    timing_rules: Policy = "warn"
    staleness: Policy = "warn"

    def of(self, group: Group) -> Policy:
        """Return the policy of a group. An order without price or quantity is always denied."""
        policy: Policy = getattr(self, group, "deny")
        return policy
