from decimal import Decimal as D
from typing import Any

import pytest

from Departments.core.errors import BadInput
from Departments.core.orders import Side
from Departments.messaging.plan_documents import classify, plan_document, plan_from


def plan(*trades: dict[str, Any]) -> dict[str, Any]:
    return {"plan_id": "PLAN_20251110_071530", "generated_at": "2025-11-10T15:05:42.754973Z", "trades": list(trades)}


@pytest.mark.parametrize(
    ("trade", "side"),
    [
        ({"action": "SELL"}, Side.SELL),
        ({"action": " buy "}, Side.BUY),
        ({"action": "SELL", "allocated_capital": 3583.0}, Side.SELL),
        ({"action": "BUY", "allocated_capital": 3583.0, "position_id": "P1"}, Side.BUY),
        ({"allocated_capital": 3583.0}, Side.BUY),
        ({"position_id": "POS_1"}, Side.SELL),
    ],
)
def test_a_trade_goes_one_way_and_action_decides(trade: dict[str, Any], side: Side) -> None:
    assert classify(trade, "plan.json", "trades[0]") is side


@pytest.mark.parametrize(
    ("trade", "words"),
    [
        ({}, "neither BUY nor SELL"),
        ({"allocated_capital": 1.0, "position_id": "P1"}, "both allocated_capital and position_id"),
        ({"action": "HOLD"}, "'HOLD' is neither BUY nor SELL"),
    ],
)
def test_a_trade_without_clear_evidence_is_refused(trade: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words) as caught:
        classify(trade, "plan.json", "trades[3]")
    assert str(caught.value).startswith("plan.json: trades[3]")


def test_a_symbol_that_is_bought_and_sold_is_a_contradiction() -> None:
    trades = [{"ticker": "CVE", "action": "BUY", "shares": 10}, {"ticker": "CVE", "action": "SELL", "shares": 5}]
    with pytest.raises(BadInput, match="CVE is already a BUY"):
        plan_from(plan(*trades), "plan.json")


@pytest.mark.parametrize("shares", [0, -3, "many", None, float("nan"), True])
def test_shares_that_cannot_be_traded_are_refused(shares: object) -> None:
    with pytest.raises(BadInput, match=r"trades\[0\]\.shares"):
        plan_from(plan({"ticker": "CVE", "action": "BUY", "shares": shares}), "plan.json")


def test_a_plan_document_survives_being_written_and_read() -> None:
    document = plan(
        {"ticker": "CTVA", "action": "SELL", "shares": 190.0, "current_price": 64.63999938964844},
        {"ticker": "ALKS", "action": "BUY", "shares": 108, "entry_price": 33.0099983215332, "composite_score": 79.6},
    )
    read = plan_from(document, "plan.json")
    again = plan_from(plan_document(read), "again")
    assert [(t.symbol, t.side, t.qty, t.price, t.score) for t in again.trades] == [
        (t.symbol, t.side, t.qty, t.price, t.score) for t in read.trades
    ]
    assert read.trades[0].price == D("64.64")
    assert (read.sells[0].symbol, read.buys[0].symbol) == ("CTVA", "ALKS")


@pytest.mark.parametrize("missing", ["plan_id", "generated_at", "trades"])
def test_a_plan_without_a_needed_key_is_refused_by_name(missing: str) -> None:
    document = {k: v for k, v in plan().items() if k != missing}
    with pytest.raises(BadInput, match=missing):
        plan_from(document, "plan.json")


def test_of_several_prices_the_first_counts_and_the_others_are_not_read() -> None:
    trade = {"ticker": "ALKS", "action": "BUY", "shares": 1, "entry_price": 33.01, "current_price": "n/a"}
    assert plan_from(plan(trade), "plan.json").trades[0].price == D("33.01")


def test_what_a_sell_allocates_is_not_read() -> None:
    trade = {"ticker": "CTVA", "action": "SELL", "shares": 1, "allocated_capital": "none"}
    assert plan_from(plan(trade), "plan.json").trades[0].target_value is None


def test_the_reason_of_another_writer_is_the_reason() -> None:
    trade = {"ticker": "ALKS", "action": "BUY", "shares": 1, "gpt5_reasoning": "strong"}
    assert plan_from(plan(trade), "plan.json").trades[0].reason == "strong"


def test_unknown_keys_are_carried_along_and_an_old_approval_is_not() -> None:
    document = plan() | {"stage_quality": {"review": 90}, "approved_at": "2025-11-10T15:06:00Z", "status": "APPROVED"}
    read = plan_from(document, "plan.json")
    assert read.extra == {"stage_quality": {"review": 90}}
    assert plan_document(read)["stage_quality"] == {"review": 90}
    assert list(plan_document(read))[:5] == ["plan_id", "generated_at", "status", "summary", "trades"]


def test_skips_of_other_writers_are_passed_over() -> None:
    skips = [
        "COMM",
        {"ticker": "COMM", "reason": "too small"},
        {"ticker": "CVE", "reason": "MIN_POSITION_VALUE: value=879"},
    ]
    read = plan_from(plan() | {"skipped": skips}, "plan.json")
    assert [(skip.symbol, str(skip.reason)) for skip in read.skipped] == [("CVE", "MIN_POSITION_VALUE: value=879")]
