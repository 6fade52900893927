"""One pure function per constraint, and the amounts that planner and trader both compute with the same code.

amounts    minimum and maximum position, reserve, target, rooms: what the allocator sizes by and the checks judge by
account    the order itself, how large, how many, how alike; cash and losses
stocks     volume, spread, price, size of the company; VIX, regime, drawdown    timing  when, and how fresh
"""

from Departments.constraints.checks.amounts import (
    cash_for_buys,
    cash_reserve,
    days_to_settle,
    deployment_target,
    heat_room,
    maximum_auto_position,
    maximum_position,
    minimum_position,
    must_settle,
    order_heat,
    portfolio_heat,
    positions_room,
    sector_cap,
    sector_of,
    sector_room,
    sector_value,
    size_effects,
    size_factor,
    spendable_cash,
    volume_cap,
)

__all__ = [
    "cash_for_buys",
    "cash_reserve",
    "days_to_settle",
    "deployment_target",
    "heat_room",
    "maximum_auto_position",
    "maximum_position",
    "minimum_position",
    "must_settle",
    "order_heat",
    "portfolio_heat",
    "positions_room",
    "sector_cap",
    "sector_of",
    "sector_room",
    "sector_value",
    "size_effects",
    "size_factor",
    "spendable_cash",
    "volume_cap",
]
