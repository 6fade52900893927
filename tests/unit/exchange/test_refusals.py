from __future__ import annotations

from decimal import Decimal
from typing import Any, Protocol

import pytest

from Departments.core.orders import OrderClass, OrderType, TimeInForce
from Departments.exchange.records import ExchangeRefusal

BRACKET = {"order_class": OrderClass.BRACKET, "profit": "19.74", "loss": "15.66"}


class Opener(Protocol):
    def __call__(self, **state: Any) -> Any: ...


def refusal_of(stand: Any, side: str, **terms: Any) -> ExchangeRefusal:
    """Return the refusal of an order, and see that no order came of it."""
    before = stand.exchange.floor.all_orders()
    with pytest.raises(ExchangeRefusal) as refusal:
        getattr(stand, side)(**terms)
    assert stand.exchange.floor.all_orders() == before
    assert refusal.value.body["code"] == refusal.value.code
    assert refusal.value.body["message"] == refusal.value.message
    return refusal.value


def test_a_buy_beyond_the_buying_power_is_refused_with_both_numbers(opened: Opener) -> None:
    refusal = refusal_of(opened(account={"type": "cash"}), "buy", qty=294)
    assert refusal.http_status == 403
    assert refusal.body == {
        "code": 40310000,
        "message": "insufficient buying power",
        "buying_power": "5000",
        "cost_basis": "5003.88",
    }


def test_a_buy_that_takes_the_last_cent_is_accepted(opened: Opener) -> None:
    stand = opened(cash="1702", account={"type": "cash"})
    stand.buy(qty=100)
    stand.wait()
    assert stand.cash == 0


def test_an_opposite_order_is_a_wash_trade(opened: Opener) -> None:
    stand = opened()
    resting = stand.sell(stop="80", time_in_force=TimeInForce.GTC)
    refusal = refusal_of(stand, "buy", symbol="UPS", qty=1)
    assert refusal.http_status == 403
    assert refusal.body == {
        "code": 40310000,
        "message": "potential wash trade detected. use complex orders",
        "existing_order_id": resting.id,
        "reject_reason": "opposite side market/stop order exists",
    }


def test_the_exits_of_a_bracket_are_no_wash_trade(opened: Opener) -> None:
    stand = opened()
    stand.buy(time_in_force=TimeInForce.GTC, **BRACKET)
    stand.wait()
    stand.buy(qty=1, id="more")


def test_an_oco_is_no_wash_trade(opened: Opener) -> None:
    stand = opened()
    stand.buy(symbol="UPS", limit="90", qty=10)
    stand.sell(order_class=OrderClass.OCO, profit="108", loss="85")


def test_a_used_client_order_id_is_refused_whatever_became_of_its_order(opened: Opener) -> None:
    stand = opened()
    order = stand.buy(limit="10")
    stand.exchange.cancel(order.id)
    stand.wait()
    refusal = refusal_of(stand, "buy")
    assert (refusal.http_status, refusal.code, refusal.message) == (422, 40010001, "client_order_id must be unique")


def test_a_used_id_is_named_before_any_other_reason(opened: Opener) -> None:
    stand = opened(account={"type": "cash"})
    stand.buy(qty=200)
    assert refusal_of(stand, "buy", qty=200).code == 40010001


def test_selling_what_nobody_holds_is_refused_as_a_short_sale(opened: Opener) -> None:
    refusal = refusal_of(opened(), "sell", symbol="COMM", qty=1)
    assert (refusal.http_status, refusal.code) == (422, 42210000)
    assert refusal.message == 'asset "COMM" cannot be sold short'


def test_selling_more_than_is_held_is_refused(opened: Opener) -> None:
    refusal = refusal_of(opened(), "sell", qty=71)
    assert refusal.message == "insufficient qty available for order (requested: 71, available: 70)"
    assert refusal.body["held_for_orders"] == "0"
    assert refusal.body["related_orders"] == []


def test_a_second_sell_of_the_same_shares_is_refused_and_names_the_first(opened: Opener) -> None:
    stand = opened()
    first = stand.sell(qty=50)
    refusal = refusal_of(stand, "sell", qty=30, id="second")
    assert refusal.message == "insufficient qty available for order (requested: 30, available: 20)"
    assert refusal.body["related_orders"] == [first.id]


@pytest.mark.parametrize(
    ("assets", "code", "message"),
    [
        ({}, 42210000, 'asset "IPG" not found'),
        ({"IPG": {"active": False}}, 40010001, "asset IPG is not active"),
        ({"IPG": {"tradable": False}}, 42210000, 'asset "IPG" is not tradable'),
    ],
)
def test_an_asset_that_cannot_be_traded_is_refused(
    opened: Opener, assets: dict[str, Any], code: int, message: str
) -> None:
    refusal = refusal_of(opened(assets=assets), "buy", symbol="IPG", qty=1)
    assert (refusal.http_status, refusal.code, refusal.message) == (422, code, message)


@pytest.mark.parametrize(
    ("account", "message"),
    [
        ({"status": "ACCOUNT_CLOSED"}, "account is not allowed to trade"),
        ({"trading_blocked": True}, "account is not allowed to trade"),
        ({"trade_suspended": True}, "new orders are rejected by user request"),
    ],
)
def test_a_closed_gate_refuses_every_order(opened: Opener, account: dict[str, Any], message: str) -> None:
    assert refusal_of(opened(account=account), "buy").message == message


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ({"qty": 0}, "qty must be greater than 0"),
        ({"qty": -1}, "qty must be greater than 0"),
        ({"id": ""}, "client_order_id is required"),
        ({"id": "x" * 129}, "client_order_id must be no longer than 128 characters"),
        ({"type": OrderType.LIMIT}, "limit orders require a limit price"),
        ({"type": OrderType.STOP}, "stop orders require a stop price"),
        ({"limit": "17", "type": OrderType.MARKET}, "market orders must not have a limit price"),
        ({"limit": "0"}, "limit_price must be greater than 0"),
        (
            {"limit": "17.001"},
            "invalid limit_price 17.001. sub-penny increment does not fulfill minimum pricing criteria",
        ),
        (
            {"limit": "0.99999"},
            "invalid limit_price 0.99999. sub-penny increment does not fulfill minimum pricing criteria",
        ),
        ({"qty": "1.5", "time_in_force": TimeInForce.GTC}, "fractional orders must be DAY orders"),
        ({**BRACKET, "qty": "1.5"}, "fractional orders must be simple orders"),
        ({"profit": "20"}, "simple orders must not have take_profit or stop_loss"),
        ({"order_class": OrderClass.BRACKET, "loss": "15"}, "bracket orders require take_profit.limit_price"),
        ({"order_class": OrderClass.BRACKET, "profit": "20"}, "bracket orders require stop_loss.stop_price"),
        ({**BRACKET, "profit": "17.02"}, "take_profit.limit_price must be >= base_price + 0.01"),
        ({**BRACKET, "loss": "17.02"}, "stop_loss.stop_price must be <= base_price - 0.01"),
        ({**BRACKET, "order_class": OrderClass.OCO}, "oco orders must be exit orders"),
    ],
)
def test_an_order_whose_terms_are_wrong_is_refused(opened: Opener, terms: dict[str, Any], message: str) -> None:
    refusal = refusal_of(opened(), "buy", **terms)
    assert (refusal.http_status, refusal.code, refusal.message) == (422, 42210000, message)


def test_a_bracket_a_cent_from_the_market_is_accepted(opened: Opener) -> None:
    opened().buy(**{**BRACKET, "profit": "17.03", "loss": "17.01"})


def test_a_refused_bracket_names_its_base_price(opened: Opener) -> None:
    assert refusal_of(opened(), "buy", **{**BRACKET, "loss": "18"}).body["base_price"] == "17.02"


def test_four_decimals_are_allowed_below_a_dollar(opened: Opener) -> None:
    opened().buy(limit="0.9999", qty=1)


def test_an_oco_needs_its_profit_above_its_stop(opened: Opener) -> None:
    refusal = refusal_of(opened(), "sell", order_class=OrderClass.OCO, profit="90", loss="90")
    assert refusal.message == "take_profit.limit_price must be > stop_loss.stop_price"


def test_a_bracket_cannot_be_an_exit(opened: Opener) -> None:
    refusal = refusal_of(opened(), "sell", order_class=OrderClass.BRACKET, profit="100", loss="90")
    assert refusal.message == "bracket orders must be entry orders"


def test_fractional_shares_trade_for_the_day(opened: Opener) -> None:
    stand = opened()
    stand.buy(qty="1.5")
    stand.wait()
    assert stand.held("COMM") == Decimal("1.5")


def test_fractions_of_a_whole_share_asset_are_refused(opened: Opener) -> None:
    refusal = refusal_of(opened(assets={"COMM": {"fractionable": False}}), "buy", qty="1.5")
    assert (refusal.http_status, refusal.message) == (403, 'asset "COMM" is not fractionable')
