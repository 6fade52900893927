"""Coded reasons as sentences for pages: the meaning first, its numbers beside it, the code as small print. Pure."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final

from Departments.core.money import plain, usd_cents
from Departments.core.plans import SkippedTrade
from Departments.core.reasons import Reason

#: Keys of reasons whose numbers are dollars.
_DOLLARS: Final = frozenset(
    {
        "value",
        "minimum",
        "maximum",
        "least",
        "held",
        "level",
        "cost",
        "room",
        "cash",
        "cash_after",
        "reserve",
        "settled",
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
    numbers = ", ".join(f"{key.replace('_', ' ')} {_write(key, value)}" for key, value in reason.values.items())
    return {"sentence": _start(reason.code.meaning), "code": str(reason.code), "numbers": numbers}


def _write(key: str, value: str) -> str:
    try:
        number = Decimal(value)
    except InvalidOperation:
        return value
    return usd_cents(number) if key in _DOLLARS else plain(number)


def _start(words: str) -> str:
    return words[:1].upper() + words[1:]
