"""A BUY of an option that names no price is counted with what it may cost."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal as D
from typing import Any

import pytest

from Departments.brokers.alpaca.foreign_costs import list_unpriced, price_options, read_asks
from Departments.core.quotes import Quote
from tests.fakes import alpaca_answers as alpaca

CALL, PUT = "AAPL251219C00150000", "AAPL251219P00150000"
AAPL = {"AAPL": Quote("AAPL", D(270), datetime(2025, 11, 10, tzinfo=UTC))}


@pytest.mark.parametrize(
    ("symbol", "asks", "cost"),
    [
        (CALL, {CALL: D("2.4")}, D(2_400)),
        (PUT, {}, D(150_000)),  # a put is never worth more than its strike
        (CALL, {}, D(270_000)),  # and a call never more than its share
    ],
)
def test_an_option_without_a_price_costs_its_ask_or_what_it_is_worth_at_most(
    symbol: str, asks: dict[str, D], cost: D
) -> None:
    row = alpaca.option_order(symbol=symbol, type="market", limit_price=None, qty="10")
    bought = list_unpriced([row, None, 17], [row["id"]])
    assert price_options(bought[row["id"]], asks, AAPL) == cost


def test_a_part_that_has_filled_costs_nothing_more() -> None:
    row = alpaca.option_order(symbol=PUT, type="market", limit_price=None, qty="10", filled_qty="4")
    assert list_unpriced([row], [row["id"]]) == {row["id"]: [(PUT, D(6))]}


def test_a_spread_costs_its_bought_legs() -> None:
    legs: list[Any] = [
        {"symbol": CALL, "side": "buy", "ratio_qty": "2"},
        {"symbol": PUT, "side": "sell", "ratio_qty": "1"},
    ]
    row = alpaca.spread(type="market", limit_price=None, qty="3", filled_qty="0", legs=legs)
    bought = list_unpriced([row], [row["id"]])[row["id"]]
    assert bought == [(CALL, D(6))]
    assert price_options(bought, {CALL: D("1.5")}, {}) == D(900)


def test_what_is_no_option_has_no_bound() -> None:
    row = alpaca.order(symbol="BTC/USD", asset_class="crypto")
    assert price_options(list_unpriced([row], [row["id"]])[row["id"]], {}, {}) is None


def test_asks_that_are_none_are_left_out() -> None:
    assert read_asks({CALL: {"ap": 2.4}, PUT: {"ap": 0}, "X": {}, "Y": None, "Z": {"ap": "odd"}}) == {CALL: D("2.4")}
    assert read_asks("<html>") == {}


@pytest.mark.parametrize("change", [{"ratio_qty": "many"}, {"symbol": "AAPL"}])
def test_a_leg_that_cannot_be_read_leaves_the_cost_of_its_order_unknown(change: dict[str, str]) -> None:
    row = alpaca.option_order(symbol="", qty="2", legs=[{"symbol": CALL, "side": "buy", "ratio_qty": "1"} | change])
    assert list_unpriced([row], [row["id"]]) == {row["id"]: []}
    assert price_options([], {}, AAPL) is None
