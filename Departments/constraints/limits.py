"""`config/hard_constraints.yaml` as typed values: the limits of the desk.

Every key has a default, so a file with the older keys alone is complete. Shares are parts of one (0.25 is 25 %),
money is in dollars. The shipped file explains every key to its reader.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, PrivateAttr, model_validator

from Departments.core.errors import BadInput
from Departments.core.money import BEYOND_REASON, plain
from Departments.core.platform.text_files import config_file, read_yaml
from Departments.core.settings import Section
from Departments.core.validation import validate

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
        raise ValueError(f"a band of {value:g} would leave every holding alone; write less than 1, 0.25 is 25 %")
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
    if not isinstance(rows, list | tuple) or not all(isinstance(row, str) and row.strip() for row in rows):
        raise ValueError(f"is not a list of symbols (found {value!r}); write [GME, AMC]")
    return tuple(row.strip().upper() for row in rows)


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


class ReviewRules(Section):
    """When a review says HOLD: a person should look. Shares of one, numbers of symbols and of days."""

    hold_turnover_pct: PositiveShare = Decimal("0.50")
    hold_unevaluated_pct: PositiveShare = Decimal("0.25")
    hold_locked_symbols: Annotated[Count, Field(ge=1)] = 1
    hold_days_since_last_run: Annotated[Count, Field(ge=1)] = 7
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


#: Keys that say something of the file, and limit nothing.
ABOUT_THE_FILE: Final = frozenset(
    {"version", "last_updated", "updated_by", "last_reviewed", "description", "notes", "metadata", "author", "owner"}
)


class Limits(Section):
    """All groups of `config/hard_constraints.yaml`.

    The last five groups belong to other parts of the users' system. Their content is kept and counts in the
    fingerprint; no constraint reads it.
    """

    position_limits: PositionLimits = PositionLimits()
    portfolio_risk: PortfolioRisk = PortfolioRisk()
    liquidity_requirements: LiquidityRequirements = LiquidityRequirements()
    price_constraints: PriceConstraints = PriceConstraints()
    market_conditions: MarketConditions = MarketConditions()
    regime_effects: RegimeEffects = RegimeEffects()
    timing_rules: TimingRules = TimingRules()
    restricted_symbols: RestrictedSymbols = RestrictedSymbols()
    staleness: Staleness = Staleness()
    settlement: Settlement = Settlement()
    day_trades: DayTrades = DayTrades()
    deployment: Deployment = Deployment()
    review: ReviewRules = ReviewRules()
    missing_data: MissingData = MissingData()
    kelly_criterion: Free = Field(default_factory=dict)
    risk_score_gates: Free = Field(default_factory=dict)
    correlation_limits: Free = Field(default_factory=dict)
    technical_filters: Free = Field(default_factory=dict)
    violation_actions: Free = Field(default_factory=dict)

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _fill_empty_groups(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {key: value for key, value in data.items() if value is not None and key not in ABOUT_THE_FILE}

    @model_validator(mode="after")
    def _fit_default_goals(self) -> Self:
        # A file may tighten a limit and leave out a goal. Then the default goal gives way.
        goals, sizes = self.deployment, self.position_limits
        most = 1 - self.portfolio_risk.min_cash_reserve_pct
        places = int(most / sizes.min_position_pct) if sizes.min_position_pct else goals.min_positions
        fitting = {
            "target_pct": min(goals.target_pct, most),
            "min_positions": min(goals.min_positions, sizes.max_positions_total, places),
            "max_auto_position_pct": max(goals.max_auto_position_pct, sizes.min_position_pct),
            "min_trade_pct": min(goals.min_trade_pct, goals.max_auto_position_pct),
        }
        if sizes.max_position_value is not None:
            fitting["min_trade_value"] = min(goals.min_trade_value, sizes.max_position_value)
        update = {key: value for key, value in fitting.items() if key not in goals.model_fields_set}
        object.__setattr__(self, "deployment", goals.model_copy(update=update))
        return self

    @property
    def origins(self) -> Mapping[str, str]:
        """Return the other file that each key comes from. All others are from the limits' own file, or defaults."""
        return self._origins

    def with_values(self, values: Mapping[str, Any], origin: str) -> Limits:
        """Return the limits with other values by key, such as `position_limits.max_position_value`, from a file."""
        groups = {key.partition(".")[0] for key in values}
        named = {
            group: {k.partition(".")[2]: v for k, v in values.items() if k.startswith(f"{group}.")} for group in groups
        }
        changed = {group: getattr(self, group).model_copy(update=named[group]) for group in groups}
        merged = self.model_copy(update=changed)
        object.__setattr__(merged, "_origins", {**self._origins, **dict.fromkeys(values, origin)})
        return merged

    @property
    def allow_margin(self) -> bool:
        """Return whether cash may go below the reserve and below zero."""
        return self.portfolio_risk.allow_margin

    @property
    def fingerprint(self) -> str:
        """Return a hash of every value. Number formats and the order of keys do not change it."""
        text = json.dumps(_canonical(self.model_dump()), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _canonical(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(inner) for inner in value]
    return plain(value) if isinstance(value, Decimal) else str(value)


def find_contradictions(limits: Limits) -> Iterator[tuple[str, str, str]]:
    """Yield (key, problem, mend) for each impossible combination of values."""
    yield from _find_crossed(limits)
    goals, reserve = limits.deployment, limits.portfolio_risk.min_cash_reserve_pct
    if goals.target_pct + reserve > 1:
        problem = f"a target of {plain(goals.target_pct)} and a cash reserve of {plain(reserve)} are more than 1"
        mend = f"lower it to {plain(1 - reserve)} or lower portfolio_risk.min_cash_reserve_pct"
        yield "deployment.target_pct", problem, mend
    smallest = goals.min_positions * limits.position_limits.min_position_pct
    if smallest > 1 - reserve:
        problem = f"{goals.min_positions} positions of at least min_position_pct do not fit beside the cash reserve"
        yield "deployment.min_positions", problem, "lower it or lower position_limits.min_position_pct"


#: Pairs of keys: the first must not exceed the second.
ORDERED_KEYS = (
    ("position_limits.min_position_value", "position_limits.max_position_value"),
    ("position_limits.min_position_pct", "position_limits.max_single_position_pct"),
    ("position_limits.min_position_pct", "deployment.max_auto_position_pct"),
    ("position_limits.min_position_pct", "position_limits.max_sector_concentration_pct"),
    ("deployment.min_positions", "position_limits.max_positions_total"),
    ("deployment.min_trade_value", "position_limits.max_position_value"),
    ("deployment.min_trade_pct", "deployment.max_auto_position_pct"),
    ("price_constraints.min_stock_price", "price_constraints.max_stock_price"),
    ("market_conditions.vix_elevated_threshold", "market_conditions.vix_caution_threshold"),
    ("market_conditions.vix_caution_threshold", "market_conditions.vix_panic_threshold"),
)


def _find_crossed(limits: Limits) -> Iterator[tuple[str, str, str]]:
    for low, high in ORDERED_KEYS:
        least, most = value_at(limits, low), value_at(limits, high)
        if least is not None and most is not None and least > most:
            problem = f"{plain(Decimal(least))} is more than {high} ({plain(Decimal(most))})"
            yield low, problem, f"lower it or raise {high}"


def value_at(limits: Limits, key: str) -> Any:
    """Return the value of a key such as `position_limits.min_position_pct`."""
    group, _, name = key.partition(".")
    return getattr(getattr(limits, group), name)


def load_limits(path: Path) -> Limits:
    """Read a limits file. Raises BadInput for a missing file, wrong keys or values, or a contradiction."""
    limits = validate(Limits, read_yaml(path), path, name_all=True)
    raise_for_contradictions(limits, path)
    return limits


def raise_for_contradictions(limits: Limits, path: Path) -> None:
    """Raise BadInput for the first impossible combination of values."""
    for key, problem, mend in find_contradictions(limits):
        raise BadInput(path, key, problem, mend)


def limits_file(workspace: Path) -> Path:
    """Return the path of a workspace's limits."""
    return config_file(workspace, "hard_constraints.yaml")
