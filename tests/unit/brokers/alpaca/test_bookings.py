"""Alpaca's account activities: one row of each kind, odd ones beside them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal as D
from typing import Any

import pytest

from Departments.brokers.alpaca.bookings import read_activities
from Departments.core.activities import ActivityKind
from Departments.core.orders import Side

SINCE = datetime(2025, 11, 10, tzinfo=UTC)
FILL: dict[str, Any] = {
    "activity_type": "FILL",
    "cum_qty": "2",
    "id": "20251110135509981::2d7be4ff-d1f3-43e9-856a-0f5cf5c5088e",
    "leaves_qty": "0",
    "order_id": "b5abe576-6a8a-49f3-a353-46b72c1ccae9",
    "order_status": "filled",
    "price": "174.78",
    "qty": "2",
    "side": "buy",
    "symbol": "AAPL",
    "transaction_time": "2025-11-10T18:55:09.981482Z",
    "type": "fill",
}
DIV: dict[str, Any] = {
    "activity_type": "DIV",
    "activity_sub_type": "CDIV",
    "created_at": "2025-11-11T14:01:04.650275Z",
    "currency": "USD",
    "date": "2025-11-10",
    "id": "20251110000000000::5f596936-6f23-4cef-bdf1-3806aae57dbf",
    "net_amount": "1.02",
    "per_share_amount": "0.51",
    "qty": "2",
    "status": "executed",
    "symbol": "T",
}


def booking(word: str, **fields: Any) -> dict[str, Any]:
    return {"activity_type": word, "id": f"20251111000000000::{word}", "date": "2025-11-11", "net_amount": "5"} | fields


def test_a_fill_and_a_dividend_keep_their_facts() -> None:
    fill, dividend = read_activities([FILL, DIV], SINCE)
    assert (fill.kind, fill.cash, fill.side, fill.qty, fill.price) == (
        ActivityKind.FILL,
        D("-349.56"),
        Side.BUY,
        D(2),
        D("174.78"),
    )
    assert (fill.order_id, fill.at) == (FILL["order_id"], datetime(2025, 11, 10, 18, 55, 9, 981482, UTC))
    assert (dividend.kind, dividend.word, dividend.cash, dividend.symbol) == (
        ActivityKind.DIVIDEND,
        "DIV",
        D("1.02"),
        "T",
    )
    assert (dividend.symbol, dividend.qty, dividend.price) == ("T", D(2), D("0.51"))
    assert dividend.day == date(2025, 11, 10)


@pytest.mark.parametrize(
    ("row", "kind", "cash"),
    [
        (booking("CSD"), ActivityKind.DEPOSIT, D(5)),
        (booking("CSW", net_amount="-5"), ActivityKind.WITHDRAWAL, D(-5)),
        (booking("JNLC"), ActivityKind.DEPOSIT, D(5)),
        (booking("JNLC", net_amount="-5"), ActivityKind.WITHDRAWAL, D(-5)),
        (booking("INT", net_amount="-3.20"), ActivityKind.INTEREST, D("-3.2")),
        (booking("FEE", net_amount="-0.46"), ActivityKind.FEE, D("-0.46")),
        (booking("DIVNRA", net_amount="-0.15"), ActivityKind.DIVIDEND, D("-0.15")),
        (booking("SPIN", net_amount="0"), ActivityKind.OTHER, D(0)),
        (booking("SOMETHING_NEW", net_amount=None), ActivityKind.OTHER, None),
        (booking("SPLIT", net_amount=None, qty="396"), ActivityKind.SPLIT, D(0)),
        (booking("SSP", net_amount="0", qty="396"), ActivityKind.SPLIT, D(0)),
        (booking("NC", net_amount=None), ActivityKind.RENAME, D(0)),
    ],
)
def test_each_word_has_its_kind_and_its_signed_cash(row: dict[str, Any], kind: ActivityKind, cash: D | None) -> None:
    (activity,) = read_activities([row], SINCE)
    assert (activity.kind, activity.cash, activity.word) == (kind, cash, row["activity_type"])


def test_a_split_says_its_ratio_where_the_broker_does() -> None:
    rates = booking("SPLIT", old_rate="1", new_rate="10", old_qty="44", new_qty="440", symbol="XSP")
    silent = booking("SPLIT", symbol="XSP", qty="396", id="2")
    senseless = booking("SPLIT", symbol="XSP", qty="396", id="3", old_rate="0", new_rate="10")
    said, unsaid, odd = read_activities([rates, silent, senseless], SINCE)
    assert (said.ratio, said.qty) == (D(10), D(396))
    assert (unsaid.ratio, unsaid.qty, odd.ratio) == (None, D(396), None)


def test_a_rename_names_both_symbols_or_one_for_each_of_two_rows() -> None:
    joined = booking("NC", old_symbol="SQ", new_symbol="XYZ", position_qty="67")
    out, into = (booking("NC", symbol=s, qty=q, group_id="g", id=s) for s, q in (("SQ", "-67"), ("XYZ", "67")))
    one, first, second = read_activities([joined, out, into], SINCE)
    assert (one.symbol, one.new_symbol, one.qty) == ("SQ", "XYZ", D(67))
    assert [(a.symbol, a.qty, a.group) for a in (first, second)] == [("SQ", D(-67), "g"), ("XYZ", D(67), "g")]


def test_options_and_crypto_are_foreign_and_their_cash_counts() -> None:
    option = FILL | {"symbol": "AAPL251219C00200000", "id": "o"}
    coins = FILL | {"symbol": "BTC/USD", "side": "sell", "id": "c"}
    read = read_activities([option, coins, DIV], SINCE)
    assert [a.symbol for a in read] == ["T"]
    assert [(a.symbol, a.cash) for a in read.foreign] == [
        ("AAPL251219C00200000", D(-34956)),
        ("BTC/USD", D("349.56")),
    ]


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        ("nonsense", "it is not an object"),
        ({}, "activity_type is empty"),
        (FILL | {"price": None}, "is not a number"),
        (FILL | {"transaction_time": None}, "transaction_time is empty"),
        ({"activity_type": "DIV", "net_amount": "much", "date": "2025-11-11"}, "is not a number"),
        ({"activity_type": "DIV", "net_amount": "1"}, "date is empty"),
        ({key: value for key, value in FILL.items() if key != "symbol"}, "symbol is missing"),
    ],
)
def test_a_row_that_cannot_be_read_stops_no_other(odd: Any, words: str) -> None:
    read = read_activities([FILL, odd, DIV], SINCE)
    assert len(read) == 2
    (row,) = read.unreadable
    assert words in row.problem


def test_what_was_booked_before_is_left_out_and_without_a_time_the_day_counts() -> None:
    early = DIV | {"created_at": "2025-11-09T23:59:59Z", "id": "early"}
    undated = booking("FEE", created_at=None, date="2025-11-09", id="undated")
    today = booking("FEE", created_at=None, date="2025-11-10T00:00:00Z", id="today")
    assert [a.id for a in read_activities([early, undated, today], datetime(2025, 11, 10, 15, tzinfo=UTC))] == ["today"]


def test_a_canceled_booking_says_so() -> None:
    (activity,) = read_activities([booking("FEE", status="canceled")], SINCE)
    assert activity.canceled
