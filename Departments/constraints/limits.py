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
from typing import Any, Final, Self

from pydantic import Field, PrivateAttr, model_validator

from Departments.constraints.limit_groups import (
    DayTrades,
    Deployment,
    Free,
    LiquidityRequirements,
    MarketConditions,
    MissingData,
    PortfolioRisk,
    PositionLimits,
    PriceConstraints,
    RegimeEffects,
    RestrictedSymbols,
    ReviewRules,
    Settlement,
    Staleness,
    TimingRules,
)
from Departments.core.errors import BadInput
from Departments.core.money import plain
from Departments.core.platform.text_files import config_file, read_yaml
from Departments.core.settings import Section
from Departments.core.validation import validate

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
    limits = validate(Limits, read_yaml(path), path)
    raise_for_contradictions(limits, path)
    return limits


def raise_for_contradictions(limits: Limits, path: Path) -> None:
    """Raise BadInput for the first impossible combination of values."""
    for key, problem, mend in find_contradictions(limits):
        raise BadInput(path, key, problem, mend)


def limits_file(workspace: Path) -> Path:
    """Return the path of a workspace's limits."""
    return config_file(workspace, "hard_constraints.yaml")
