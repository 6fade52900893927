"""The cash of a run: its path from fill to fill, its lowest point, and whether it adds up."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from Departments.core.money import CENT, ZERO, cents, money_text, usd_cents
from Departments.core.orders import Side
from Departments.ledger.account_book import measure_effect
from Departments.ledger.order_records import FillRecord
from Departments.ledger.plan_records import ExecutionRecord


def cash_path(start: Decimal, fills: Iterable[FillRecord]) -> list[Decimal]:
    """Return the cash (dollars) at the start and after each fill, in the order given."""
    path = [start]
    for record in fills:
        path.append(path[-1] - measure_effect(record) * record.fill.price)
    return path


def lowest_cash(start: Decimal, fills: Iterable[FillRecord], fees: Decimal = ZERO) -> Decimal:
    """Return the lowest cash of the run. Fees (dollars) are known as one sum, so they count at its end."""
    path = cash_path(start, fills)
    return min(*path, path[-1] - fees)


def lowest_cash_with_buys_first(start: Decimal, fills: Iterable[FillRecord]) -> Decimal:
    """Return the lowest cash of the same fills with the BUYs first."""
    return min(cash_path(start, sorted(fills, key=lambda fill: fill.side is Side.SELL)))


def judge_cash(execution: ExecutionRecord, fills: list[FillRecord], other: Decimal) -> dict[str, Any]:
    """Judge start + sells − buys − fees + other = end. `other` is cash booked besides, in dollars."""
    if execution.cash_after is None:
        return {"holds": False, "difference": None, "fees": None, "other": money_text(other)}
    expected = cash_path(execution.cash_before, fills)[-1] - execution.fees + other
    difference = cents(execution.cash_after - expected)
    return {
        "holds": adds_up(difference),
        "difference": money_text(difference + ZERO),
        "fees": money_text(execution.fees),
        "other": money_text(other),
    }


def adds_up(difference: Decimal) -> bool:
    """Return True if the cash identity holds, within one cent of rounding."""
    return abs(difference) <= CENT


def describe_difference(difference: Decimal | None) -> str:
    """Return the words for unexplained cash; `difference` in dollars, None if unknown."""
    amount = "an unknown amount" if difference is None else usd_cents(difference)
    return f"off by {amount}; no order and no fee explains it"
