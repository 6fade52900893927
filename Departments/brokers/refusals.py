"""Why a broker refused an order: its numbers and words read into a coded reason.

One code of Alpaca's can mean several things: 40310000 is buying power, held shares or a wash trade, 40010001 a client
order id used before or an inactive asset. The other fields of the answer and its message tell them apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from Departments.core.errors import OrderRefused
from Departments.core.reasons import Reason, ReasonCode


@dataclass(frozen=True, slots=True)
class Meaning:
    """One row: the vendor's code, how to know this meaning by fields or message, and what of it is worth keeping.

    `fields` are copied from the answer's body, the named groups of `message` from its sentence.
    """

    vendor_code: int
    reason: ReasonCode
    message: re.Pattern[str]
    knows: Callable[[Mapping[str, Any]], bool] = lambda _: False
    fields: tuple[str, ...] = ()


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


_QUANTITIES = r"insufficient qty available(?:.*requested: (?P<requested>[\d.]+))?"
_ASSET = r"asset \"?(?P<symbol>[^\s\"]+)\"? (?:not found|is not tradable|cannot be sold short|is not active)"

#: The first row that fits holds; a code or message without one is BROKER_REJECTED.
MEANINGS = (
    Meaning(
        40310000,
        ReasonCode.BROKER_QTY_HELD,
        _pattern(_QUANTITIES),
        lambda body: "held_for_orders" in body,
        ("symbol", "available", "existing_qty", "held_for_orders", "related_orders"),
    ),
    Meaning(
        40310000,
        ReasonCode.BROKER_WASH_TRADE,
        _pattern(r"wash trade"),
        lambda body: "existing_order_id" in body,
        ("existing_order_id",),
    ),
    Meaning(
        40310000,
        ReasonCode.BROKER_BUYING_POWER,
        _pattern(r"insufficient (?:\w+ )*buying power"),
        lambda body: "buying_power" in body,
        ("buying_power", "cost_basis"),
    ),
    Meaning(40010001, ReasonCode.BROKER_DUPLICATE_ID, _pattern(r"client_order_id must be unique")),
    Meaning(40010001, ReasonCode.BROKER_ASSET, _pattern(_ASSET)),
    Meaning(40010001, ReasonCode.BROKER_INVALID_ORDER, _pattern("")),
    Meaning(42210000, ReasonCode.BROKER_ASSET, _pattern(_ASSET)),
    Meaning(
        42210000,
        ReasonCode.BROKER_CANCEL_TOO_LATE,
        _pattern(r"order is already in \"?(?P<status>\w+)|not cancell?able"),
    ),
    Meaning(42210000, ReasonCode.BROKER_INVALID_ORDER, _pattern("")),
)


def refusal_reason(error: OrderRefused) -> Reason:
    """Return the coded reason of a refusal, with the broker's numbers and, as sentence, its own words."""
    for row in MEANINGS:
        found = row.message.search(error.message)
        if row.vendor_code == error.code and (found or row.knows(error.body)):
            said = _said(error) if row.reason is ReasonCode.BROKER_INVALID_ORDER else {}
            return Reason.of(row.reason, error.message, **_numbers(row, found, error.body), **said)
    numbers = {"http": str(error.http_status), "vendor_code": str(error.code)}
    return Reason.of(ReasonCode.BROKER_REJECTED, error.message, **numbers, **_said(error))


def _said(error: OrderRefused) -> dict[str, str]:
    """Return the broker's own words, for a reason whose code alone tells nobody what to mend."""
    return {"said": _one_word(error.message)} if error.message else {}


def _numbers(row: Meaning, found: re.Match[str] | None, body: Mapping[str, Any]) -> dict[str, str]:
    said = {k: v for k, v in found.groupdict().items() if v} if found else {}
    return said | {name: _one_word(body[name]) for name in row.fields if body.get(name) is not None}


def _one_word(value: Any) -> str:
    """Write a field so that it fits into `key=value key=value`."""
    text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return "_".join(text.split())
