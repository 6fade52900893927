"""The used and the unused part of each limit, for plans on the screen and for the review."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from Departments.constraints import amounts
from Departments.constraints.limits import Limits
from Departments.core.facts import Facts
from Departments.core.money import ONE, ZERO


@dataclass(frozen=True, slots=True)
class Headroom:
    """One limit: its key, its used part, its bound. `about` names the symbol or sector concerned.

    Dollars, except for the number of positions. `left` is negative if the limit is already exceeded.
    """

    key: str
    used: Decimal
    bound: Decimal
    left: Decimal
    unit: Literal["dollars", "positions"] = "dollars"
    about: str = ""


def headroom(facts: Facts, limits: Limits) -> tuple[Headroom, ...]:
    """Return the headroom of every limit on the whole portfolio."""
    return (
        _cash(facts, limits),
        _places(facts, limits),
        _largest_position(facts, limits),
        _largest_sector(facts, limits),
        _heat(facts, limits),
    )


def _cash(facts: Facts, limits: Limits) -> Headroom:
    free, reserve = facts.free_cash, amounts.cash_reserve(limits, facts.equity)
    return Headroom("portfolio_risk.min_cash_reserve_pct", free, reserve, free - reserve)


def _places(facts: Facts, limits: Limits) -> Headroom:
    held = Decimal(sum(1 for p in facts.positions.values() if p.qty != 0))
    places = Decimal(limits.position_limits.max_positions_total)
    return Headroom("position_limits.max_positions_total", held, places, places - held, "positions")


def _largest_position(facts: Facts, limits: Limits) -> Headroom:
    maximum = amounts.maximum_position(limits, facts.equity, amounts.size_factor(limits, facts) or ONE)
    values = {p.symbol: p.market_value for p in facts.positions.values()}
    return _largest("position_limits.max_single_position_pct", values, maximum)


def _largest_sector(facts: Facts, limits: Limits) -> Headroom:
    most = amounts.sector_cap(limits, facts.equity, "")
    none = Headroom("position_limits.max_sector_concentration_pct", ZERO, most, most)
    return min(sector_rooms(facts, limits), key=lambda room: (room.left, room.about), default=none)


def sector_rooms(facts: Facts, limits: Limits) -> list[Headroom]:
    """Return the headroom of each sector that is held, the largest first. A symbol alone is `Unknown:SYMBOL`."""
    values: dict[str, Decimal] = {}
    for held in facts.positions.values():
        sector = amounts.sector_of(limits, held.symbol, facts, held.sector)
        values[sector] = values.get(sector, ZERO) + max(ZERO, held.market_value)
    caps = {sector: amounts.sector_cap(limits, facts.equity, sector) for sector in values}
    key = "position_limits.max_sector_concentration_pct"
    rooms = [Headroom(key, used, caps[s], caps[s] - used, about=s) for s, used in values.items() if used]
    return sorted(rooms, key=lambda room: (-room.used, room.about))


def _heat(facts: Facts, limits: Limits) -> Headroom:
    heat, unknown = amounts.portfolio_heat(facts)
    maximum = limits.portfolio_risk.max_portfolio_heat * facts.equity
    about = f"{len(unknown)} stop{'s' if len(unknown) > 1 else ''} unknown" if unknown else ""
    return Headroom("portfolio_risk.max_portfolio_heat", heat, maximum, maximum - heat, about=about)


def _largest(key: str, values: Mapping[str, Decimal], maximum: Decimal) -> Headroom:
    name = max(sorted(values), key=lambda n: values[n], default="")
    used = values.get(name, ZERO)
    return Headroom(key, used, maximum, maximum - used, about=name)
