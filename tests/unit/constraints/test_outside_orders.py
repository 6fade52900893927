"""An open order of somebody else is named with what it will cause."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal as D

import pytest

from Departments.constraints.outside_orders import describe_outside_orders
from Departments.core.orders import Order, OrderClass, OrderStatus, Side, is_leg, is_of_somebody_else
from Departments.core.plans import Trade
from tests.builders.limits import book, facts

THEIRS = Order(
    id="1", client_order_id="646b1fe6-0000", symbol="CTVA", side=Side.BUY, qty=D(20), status=OrderStatus.NEW,
    limit_price=D("60.00"),
)  # fmt: skip
SELL, BUY = Trade("CTVA", Side.SELL, D(190), D(64)), Trade("CTVA", Side.BUY, D(50), D(64))


def test_an_order_is_of_somebody_else_by_its_id() -> None:
    assert is_of_somebody_else(THEIRS)
    assert not is_of_somebody_else(replace(THEIRS, client_order_id="MSG_EXECUTIVE_1"))
    assert not is_of_somebody_else(replace(THEIRS, status=OrderStatus.CANCELED))
    exits = replace(THEIRS, side=Side.SELL, order_class=OrderClass.BRACKET)
    assert is_of_somebody_else(exits)  # a bracket's exits have ids of the broker; the ledger knows whose they are
    assert is_leg(exits)
    assert not is_leg(THEIRS)


@pytest.mark.parametrize(
    ("trade", "side", "words"),
    [
        (SELL, Side.BUY, "refuses the SELL of CTVA as a wash trade"),
        (BUY, Side.SELL, "refuses the BUY of CTVA as a wash trade"),
        (SELL, Side.SELL, "holds 20 shares; the RELEASE phase cancels it"),
        (BUY, Side.BUY, "both BUYs of CTVA may fill"),
    ],
)
def test_each_order_is_named_with_its_effect(trade: Trade, side: Side, words: str) -> None:
    seen = facts(book(outside_orders=(replace(THEIRS, side=side),)))
    (sentence,) = describe_outside_orders([trade], seen)
    assert sentence.startswith(f"somebody else's {side} 20 CTVA at $60.00 is open: ")
    assert words in sentence
    assert list(describe_outside_orders([replace(trade, symbol="DVN")], seen)) == []


def test_exits_beside_a_buy_are_no_wash_trade() -> None:
    exits = replace(THEIRS, side=Side.SELL, order_class=OrderClass.OCO)
    (sentence,) = describe_outside_orders([BUY], facts(book(outside_orders=(exits,))))
    assert "wash trade" not in sentence
    assert sentence.endswith("they stay, and cover only the shares held now")


def test_an_open_buy_of_unknown_cost_is_named_whatever_the_plan_trades() -> None:
    seen = facts(book(unpriced_buys=("BUY 5 ZZZ (x2)",)))
    (sentence,) = describe_outside_orders([BUY], seen)
    assert sentence.startswith("the cost of the open BUY 5 ZZZ (x2) is unknown: no cash is free for BUYs")
