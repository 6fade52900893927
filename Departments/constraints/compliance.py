"""`Config/compliance_config.yaml` of existing projects: its limits count beside ours, and the stricter of two binds.

The percentages count of equity, as all of ours; the file's own `capital.total` is not used. Keys that stop no order
here are left to the programs that read them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from Departments.constraints.limit_groups import Amount, Flag, PositiveShare, Symbols
from Departments.constraints.limits import Limits, raise_for_contradictions, value_at
from Departments.core.money import plain
from Departments.core.platform.text_files import config_file, read_yaml
from Departments.core.validation import validate

NAME = "compliance_config.yaml"


def _keep_section(value: Any) -> Any:
    return {} if value is None else value


class ComplianceSection(BaseModel):
    """A group of keys of the neighbours' file. Unknown keys are theirs."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ComplianceSizes(ComplianceSection):
    """`position_sizing`: dollars, and a share of equity. Each check may be switched off."""

    max_position_pct: PositiveShare | None = None
    min_position_value: Amount | None = None
    max_position_value: Amount | None = None
    enforce_max_position_pct: Flag = True
    enforce_min_position_value: Flag = True
    enforce_max_position_value: Flag = True


class ComplianceSectors(ComplianceSection):
    """`sector_limits`: shares of equity, for every sector and for single ones."""

    max_concentration_pct: PositiveShare | None = None
    sector_specific: Mapping[str, PositiveShare] = Field(default_factory=dict)
    enforce_max_concentration: Flag = True


class ComplianceRisk(ComplianceSection):
    """`risk_limits`: the loss at all stops, as a share of equity. A single order's was always counted as nothing."""

    max_portfolio_risk_pct: PositiveShare | None = None
    enforce_max_portfolio_risk: Flag = True


class ComplianceSymbols(ComplianceSection):
    """`restricted_tickers`: symbols that are never bought, those excepted from that, the least price of a share."""

    blocklist: Symbols = ()
    allowlist: Symbols = ()
    min_price: Amount | None = None
    enforce_min_price: Flag = True


class ComplianceReopening(ComplianceSection):
    """`duplicate_prevention`: the hours after its sale in which a symbol is not opened again."""

    allow_reopens: Flag = False
    reopen_cooldown_hours: Annotated[Amount, Field(le=168)] | None = None


class ComplianceFile(ComplianceSection):
    """The sections that stop orders."""

    position_sizing: Annotated[ComplianceSizes, BeforeValidator(_keep_section)] = ComplianceSizes()
    sector_limits: Annotated[ComplianceSectors, BeforeValidator(_keep_section)] = ComplianceSectors()
    risk_limits: Annotated[ComplianceRisk, BeforeValidator(_keep_section)] = ComplianceRisk()
    restricted: Annotated[ComplianceSymbols, BeforeValidator(_keep_section)] = Field(
        ComplianceSymbols(), alias="restricted_tickers"
    )
    duplicate_prevention: Annotated[ComplianceReopening, BeforeValidator(_keep_section)] = ComplianceReopening()

    def maxima(self) -> Iterator[tuple[str, Decimal | None]]:
        """Yield (key of our limits, maximum): the smaller of the two binds."""
        sizes, sectors = self.position_sizing, self.sector_limits
        if sizes.enforce_max_position_value:
            yield "position_limits.max_position_value", sizes.max_position_value
        if sizes.enforce_max_position_pct:
            yield "position_limits.max_single_position_pct", sizes.max_position_pct
        if sectors.enforce_max_concentration:
            yield "position_limits.max_sector_concentration_pct", sectors.max_concentration_pct
        if self.risk_limits.enforce_max_portfolio_risk:
            yield "portfolio_risk.max_portfolio_heat", self.risk_limits.max_portfolio_risk_pct

    def minima(self) -> Iterator[tuple[str, Decimal | None]]:
        """Yield (key of our limits, minimum): the larger of the two binds."""
        sizes, symbols, again = self.position_sizing, self.restricted, self.duplicate_prevention
        if sizes.enforce_min_position_value:
            yield "position_limits.min_position_value", sizes.min_position_value
        if symbols.enforce_min_price:
            yield "price_constraints.min_stock_price", symbols.min_price
        if not again.allow_reopens:
            yield "timing_rules.reopen_pause_hours", again.reopen_cooldown_hours


def tighten(limits: Limits, workspace: Path) -> Limits:
    """Return the limits with those of the workspace's compliance file, the stricter of two. Raises BadInput.

    `origins` names the file of each key that it tightens. Without the file the limits stay as they are.
    """
    path = config_file(workspace, NAME)
    if not path.exists():
        return limits
    theirs = validate(ComplianceFile, read_yaml(path), path)
    found = {**dict(_stricter(limits, theirs)), **dict(_longer(limits, theirs))}
    merged = limits.with_values(found, f"{path.parent.name}/{path.name}")
    raise_for_contradictions(merged, path)
    return merged


def _stricter(limits: Limits, theirs: ComplianceFile) -> Iterator[tuple[str, Any]]:
    for key, most in theirs.maxima():
        ours = value_at(limits, key)
        if most is not None and (ours is None or most < ours):
            yield key, most
    for key, least in theirs.minima():
        if least is not None and least > value_at(limits, key):
            yield key, least


def _longer(limits: Limits, theirs: ComplianceFile) -> Iterator[tuple[str, Any]]:
    """Yield the lists that their file makes longer: blocked symbols, and maxima of single sectors."""
    blocked = [s for s in theirs.restricted.blocklist if s not in theirs.restricted.allowlist]
    ours = limits.restricted_symbols.blocklist
    if set(blocked) - set(ours):
        yield "restricted_symbols.blocklist", (*ours, *(s for s in blocked if s not in ours))
    maxima, single = limits.position_limits.sector_maxima, theirs.sector_limits.sector_specific
    tighter = {name: most for name, most in single.items() if most < maxima.get(name, Decimal(2))}
    if tighter and theirs.sector_limits.enforce_max_concentration:
        yield "position_limits.sector_maxima", {**maxima, **tighter}


def describe_origins(limits: Limits) -> list[str]:
    """Return a sentence about each other file that makes limits stricter, with their values."""
    files = sorted(set(limits.origins.values()))
    return [f"{file} is stricter: {', '.join(_describe_keys(limits, file))}" for file in files]


def _describe_keys(limits: Limits, file: str) -> Iterator[str]:
    for key in sorted(key for key, origin in limits.origins.items() if origin == file):
        value = value_at(limits, key)
        yield f"{key} {plain(value) if isinstance(value, Decimal) else _describe_list(value)}"


def _describe_list(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {plain(most)}" for name, most in value.items())
    return ", ".join(map(str, value))
