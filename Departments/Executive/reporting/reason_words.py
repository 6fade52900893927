"""Coded reasons as sentences for pages: the meaning first, its numbers beside it, the code as small print. Pure."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final

from Departments.core.money import plain, usd_cents
from Departments.core.plans import SkippedTrade
from Departments.core.reasons import Reason, ReasonCode

#: Keys whose numbers are dollars, in the reasons of these codes; elsewhere they may be shares or points.
_DOLLARS: Final = frozenset(
    [
        "available",
        "cash",
        "cash_after",
        "cost",
        "heat",
        "held",
        "least",
        "level",
        "market_cap",
        "maximum",
        "minimum",
        "needed",
        "price",
        "reserve",
        "room",
        "settled",
        "value",
    ]
)
_OF_MONEY: Final = frozenset(
    {
        ReasonCode.CASH_LAG,
        ReasonCode.CASH_RESERVE,
        ReasonCode.INSUFFICIENT_CASH,
        ReasonCode.MAX_AUTO_POSITION,
        ReasonCode.MAX_PORTFOLIO_HEAT,
        ReasonCode.MAX_POSITION_VALUE,
        ReasonCode.MAX_SECTOR_CONCENTRATION,
        ReasonCode.MAX_STOCK_PRICE,
        ReasonCode.MIN_MARKET_CAP,
        ReasonCode.MIN_POSITION_VALUE,
        ReasonCode.MIN_STOCK_PRICE,
        ReasonCode.MIN_TRADE_VALUE,
        ReasonCode.NEW_MONEY_LIMIT,
        ReasonCode.NO_MARGIN,
        ReasonCode.REBALANCE_BAND,
        ReasonCode.TRIMMED_TO_BUDGET,
        ReasonCode.TRIMMED_TO_CASH,
        ReasonCode.UNSETTLED_FUNDS,
    }
)


def describe_reasons(text: str) -> list[dict[str, str]]:
    """Return `{sentence, code, numbers}` for each reason of a text; one without a known code is its own sentence."""
    return [_describe(part) for part in filter(None, text.split("; "))]


def describe_skip(skip: SkippedTrade) -> str:
    """Return why a symbol was skipped: the plan's own words without the name, or the meaning of the code."""
    words = skip.line.removeprefix(f"Skipped {skip.symbol} - ").strip()
    return _start(words or skip.reason.code.meaning)


def describe_gap(line: str) -> dict[str, str]:
    """Return `{sentence, code}` of a plan's line about a limit that was not evaluated."""
    code, _, words = line.partition(": ")
    return {"sentence": _start(words or code), "code": code if words else ""}


def _describe(text: str) -> dict[str, str]:
    try:
        reason = Reason.parse(text)
    except ValueError:
        return {"sentence": _start(text), "code": "", "numbers": ""}
    dollars = _DOLLARS if reason.code in _OF_MONEY else frozenset[str]()
    written = ((key, _write(value, in_dollars=key in dollars)) for key, value in reason.values.items())
    numbers = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in written)
    return {"sentence": _start(reason.code.meaning), "code": str(reason.code), "numbers": numbers}


def _write(value: str, *, in_dollars: bool) -> str:
    try:
        number = Decimal(value)
    except InvalidOperation:
        return value
    return usd_cents(number) if in_dollars else plain(number)


def _start(words: str) -> str:
    return words[:1].upper() + words[1:]
