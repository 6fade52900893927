from __future__ import annotations

from typing import Any

import pytest

from Departments.brokers.alpaca.refusals import MEANINGS, read_refusal
from Departments.core.errors import Refusal
from Departments.core.reasons import ReasonCode
from Departments.Trading.submission import refusal_reason

HELD = "insufficient qty available for order (requested: 70, available: 0)"
WASH = "potential wash trade detected. use complex orders"
TWO = "a-1,b-2"
HELD_FIELDS = {
    "available": "0",
    "existing_qty": "70",
    "held_for_orders": "70",
    "related_orders": TWO.split(","),
    "symbol": "UPS",
}

CASES: list[tuple[int, int | None, str, dict[str, Any], str]] = [
    (
        403,
        40310000,
        "insufficient buying power",
        {"buying_power": "150.5", "cost_basis": "2865.54"},
        "BROKER_BUYING_POWER: buying_power=150.5 cost_basis=2865.54",
    ),
    (403, 40310000, "insufficient day trading buying power", {}, "BROKER_BUYING_POWER"),
    (
        403,
        40310000,
        HELD,
        HELD_FIELDS,
        f"BROKER_QTY_HELD: requested=70 symbol=UPS available=0 existing_qty=70 held_for_orders=70 related_orders={TWO}",
    ),
    (403, 40310000, HELD, {}, "BROKER_QTY_HELD: requested=70"),
    (403, 40310000, "reworded", {"held_for_orders": "70"}, "BROKER_QTY_HELD: held_for_orders=70"),
    (403, 40310000, WASH, {"existing_order_id": "e-1"}, "BROKER_WASH_TRADE: existing_order_id=e-1"),
    (
        403,
        40310000,
        "account is not allowed to short",
        {},
        "BROKER_REJECTED: http=403 vendor_code=40310000 said=account_is_not_allowed_to_short",
    ),
    (422, 40010001, "client_order_id must be unique", {}, "BROKER_DUPLICATE_ID"),
    (422, 40010001, "asset IPG is not active", {}, "BROKER_ASSET: symbol=IPG"),
    (422, 40010001, "request body format is invalid", {}, "BROKER_INVALID_ORDER: said=request_body_format_is_invalid"),
    (422, 42210000, 'asset "COMM" not found', {}, "BROKER_ASSET: symbol=COMM"),
    (422, 42210000, 'asset "X" is not tradable', {}, "BROKER_ASSET: symbol=X"),
    (422, 42210000, 'asset "X" cannot be sold short', {}, "BROKER_ASSET: symbol=X"),
    (
        422,
        42210000,
        "invalid limit_price 93.581. sub-penny increment",
        {},
        "BROKER_INVALID_ORDER: said=invalid_limit_price_93.581._sub-penny_increment",
    ),
    (
        422,
        42210000,
        "stop_loss.stop_price must be <= base_price - 0.01",
        {},
        "BROKER_INVALID_ORDER: said=stop_loss.stop_price_must_be_<=_base_price_-_0.01",
    ),
    (
        422,
        42210000,
        "bracket orders must not be fractional",
        {},
        "BROKER_INVALID_ORDER: said=bracket_orders_must_not_be_fractional",
    ),
    (422, 42210000, 'order is already in "filled" state', {}, "BROKER_CANCEL_TOO_LATE: status=filled"),
    (422, None, "qty too odd", {}, "BROKER_REJECTED: http=422 said=qty_too_odd"),
    (403, 40310100, "trade denied", {}, "BROKER_REJECTED: http=403 vendor_code=40310100 said=trade_denied"),
]


@pytest.mark.parametrize(("status", "code", "message", "fields", "expected"), CASES)
def test_each_refusal_has_its_code_and_numbers(
    status: int, code: int | None, message: str, fields: dict[str, Any], expected: str
) -> None:
    body = {"code": code, "message": message, **fields}
    reason = refusal_reason(read_refusal(status, code, message, body))
    assert str(reason) == expected
    assert reason.sentence == message


def test_every_meaning_is_reached_by_a_known_refusal() -> None:
    found = {(code, text.partition(":")[0]) for _, code, _, _, text in CASES}
    assert {(row.vendor_code, str(row.reason)) for row in MEANINGS} <= found


def test_every_broker_code_has_a_refusal_that_leads_to_it() -> None:
    found = {text.partition(":")[0] for *_, text in CASES}
    assert {str(code) for code in ReasonCode if code.startswith("BROKER_")} == found == set(Refusal)


def test_a_reason_reads_as_words_without_blanks() -> None:
    body = {"existing_order_id": "two words"}
    reason = refusal_reason(read_refusal(403, 40310000, WASH, body))
    assert reason.values == {"existing_order_id": "two_words"}
