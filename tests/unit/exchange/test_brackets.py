from __future__ import annotations

from decimal import Decimal
from typing import Any, Protocol

import pytest

from Departments.core.orders import Order, OrderClass, TimeInForce
from Departments.core.orders import OrderStatus as S
from Departments.exchange.records import ExchangeRefusal

BRACKET = {
    "order_class": OrderClass.BRACKET,
    "time_in_force": TimeInForce.GTC,
    "profit": "19.74",
    "loss": "15.66",
}
OCO = {"order_class": OrderClass.OCO, "time_in_force": TimeInForce.GTC, "profit": "108.55", "loss": "86.09"}


class Opener(Protocol):
    def __call__(self, **state: Any) -> Any: ...


def legs(stand: Any, order: Order) -> dict[str, S]:
    """Return the legs' statuses: take-profit, then stop."""
    profit, stop = stand.exchange.order(order.id).legs
    assert (profit.limit_price, stop.stop_price) == (Decimal("19.74"), Decimal("15.66"))
    return {"profit": profit.status, "stop": stop.status}


def test_a_bracket_answers_with_two_held_legs_of_their_own(opened: Opener) -> None:
    order = opened().buy(**BRACKET)
    profit, stop = order.legs
    assert {profit.status, stop.status} == {S.HELD}
    assert len({order.id, profit.id, stop.id}) == 3
    assert len({order.client_order_id, profit.client_order_id, stop.client_order_id}) == 3
    assert {profit.time_in_force, stop.time_in_force} == {TimeInForce.GTC}


def test_after_the_entry_has_filled_the_take_profit_is_new_and_the_stop_stays_held(opened: Opener) -> None:
    stand = opened()
    order = stand.buy(**BRACKET)
    stand.wait()
    assert legs(stand, order) == {"profit": S.NEW, "stop": S.HELD}


def test_a_held_exit_that_is_being_cancelled_when_its_entry_fills_does_not_go_live(opened: Opener) -> None:
    stand = opened(faults=[{"call": "cancel", "do": "stuck_cancel", "seconds": 30}])
    order = stand.buy(**BRACKET)
    stand.exchange.cancel(order.legs[0].id)
    stand.wait()
    assert stand.exchange.order(order.id).status is S.FILLED
    assert legs(stand, order) == {"profit": S.PENDING_CANCEL, "stop": S.HELD}


def test_an_entry_that_filled_in_part_has_no_live_exits(opened: Opener) -> None:
    stand = opened(faults=[{"call": "submit", "do": "partial_then_silence", "part": 0.5}])
    order = stand.buy(**BRACKET)
    stand.wait()
    assert stand.exchange.order(order.id).filled_qty == 50
    assert legs(stand, order) == {"profit": S.HELD, "stop": S.HELD}


def test_cancelling_a_partly_filled_entry_cancels_its_legs(opened: Opener) -> None:
    stand = opened(faults=[{"call": "submit", "do": "partial_then_silence", "part": 0.5}])
    order = stand.buy(**BRACKET)
    stand.wait()
    stand.exchange.cancel(order.id)
    stand.wait()
    assert legs(stand, order) == {"profit": S.CANCELED, "stop": S.CANCELED}
    assert stand.held("COMM") == 50


def test_open_orders_leave_out_held_legs(opened: Opener) -> None:
    stand = opened()
    order = stand.buy(**BRACKET)
    stand.wait()
    profit, _ = stand.exchange.order(order.id).legs
    assert [o.id for o in stand.exchange.orders("open")] == [profit.id]
    assert [o.id for o in stand.exchange.orders("all")] == [order.id]
    assert stand.exchange.orders("all")[0].legs == stand.exchange.order(order.id).legs


def test_an_open_entry_is_listed_with_its_legs(opened: Opener) -> None:
    stand = opened()
    order = stand.buy(limit="16", **{**BRACKET, "loss": "14"})
    stand.wait()
    assert [(o.id, len(o.legs)) for o in stand.exchange.orders("open")] == [(order.id, 2)]


def test_a_leg_being_cancelled_is_listed_once_under_its_open_parent(opened: Opener) -> None:
    stand = opened(latency={"cancel": [60, 60]})
    oco = stand.sell(**OCO)
    stand.wait()
    stand.exchange.cancel(oco.legs[0].id)
    (listed,) = stand.exchange.orders()
    assert (listed.id, [leg.status for leg in listed.legs]) == (oco.id, [S.PENDING_CANCEL])


def test_the_take_profit_cancels_the_stop(opened: Opener) -> None:
    stand = opened()
    order = stand.buy(**BRACKET)
    stand.wait()
    stand.exchange.floor.set_price("COMM", Decimal("19.80"))
    stand.wait()
    assert legs(stand, order) == {"profit": S.FILLED, "stop": S.CANCELED}
    assert stand.held("COMM") == 0


def test_the_stop_cancels_the_take_profit(opened: Opener) -> None:
    stand = opened()
    order = stand.buy(**BRACKET)
    stand.wait()
    stand.exchange.floor.set_price("COMM", Decimal("15.00"))
    stand.wait()
    assert legs(stand, order) == {"profit": S.CANCELED, "stop": S.FILLED}
    assert stand.exchange.floor.fills()[-1].price == Decimal("15.00")


def test_from_its_trigger_on_the_stop_alone_is_live(opened: Opener) -> None:
    stand = opened()
    order = stand.buy(**BRACKET)
    stand.wait()
    stand.exchange.floor.set_price("COMM", Decimal("15.00"))
    assert legs(stand, order) == {"profit": S.CANCELED, "stop": S.NEW}
    stand.exchange.floor.set_price("COMM", Decimal("19.80"))
    stand.wait()
    assert legs(stand, order) == {"profit": S.CANCELED, "stop": S.FILLED}


def test_cancelling_one_exit_cancels_the_other(opened: Opener) -> None:
    stand = opened()
    order = stand.buy(**BRACKET)
    stand.wait()
    stand.exchange.cancel(stand.exchange.order(order.id).legs[0].id)
    stand.wait()
    assert legs(stand, order) == {"profit": S.CANCELED, "stop": S.CANCELED}


def test_both_exits_can_be_cancelled_by_their_ids(opened: Opener) -> None:
    stand = opened()
    order = stand.buy(**BRACKET)
    stand.wait()
    for leg in stand.exchange.order(order.id).legs:
        stand.exchange.cancel(leg.id)
    stand.wait()
    assert legs(stand, order) == {"profit": S.CANCELED, "stop": S.CANCELED}


def test_exits_hold_the_shares_once_not_twice(opened: Opener) -> None:
    stand = opened()
    stand.buy(**BRACKET)
    stand.wait()
    position = next(p for p in stand.exchange.positions() if p.symbol == "COMM")
    assert (position.qty, position.qty_available) == (100, 0)


def test_legs_of_an_entry_still_open_hold_nothing(opened: Opener) -> None:
    stand = opened(prices={"UPS": "93.58"})
    stand.buy(symbol="UPS", limit="90", qty=10, **{**BRACKET, "profit": "108", "loss": "80"})
    stand.wait()
    assert stand.exchange.positions()[0].qty_available == 70


def test_exits_being_cancelled_hold_the_shares_once_not_twice(opened: Opener) -> None:
    stand = opened(account={"multiplier": 4})
    order = stand.buy(symbol="UPS", qty=30, **{**BRACKET, "profit": "108", "loss": "80"})
    stand.wait()
    for leg in stand.exchange.order(order.id).legs:
        stand.exchange.cancel(leg.id)
    assert {leg.status for leg in stand.exchange.order(order.id).legs} == {S.PENDING_CANCEL}
    assert stand.exchange.positions()[0].qty_available == 70


def test_cancelling_an_exit_of_an_open_entry_holds_nothing_and_ends_the_entry(opened: Opener) -> None:
    stand = opened()
    order = stand.buy(symbol="UPS", limit="90", qty=10, **{**BRACKET, "profit": "108", "loss": "80"})
    stand.exchange.cancel(order.legs[0].id)
    assert stand.exchange.positions()[0].qty_available == 70
    stand.wait()
    assert stand.status(order) is S.CANCELED


@pytest.mark.parametrize("price", ["15", "20"])
def test_no_price_moves_the_exits_of_an_open_entry(opened: Opener, price: str) -> None:
    stand = opened(faults=[{"call": "submit", "do": "partial_then_silence", "part": 0.5}])
    order = stand.buy(**BRACKET)
    stand.wait()
    stand.exchange.floor.set_price("COMM", Decimal(price))
    stand.wait()
    assert legs(stand, order) == {"profit": S.HELD, "stop": S.HELD}
    assert stand.held("COMM") == 50


def test_closed_orders_are_those_that_have_ended_with_their_legs(opened: Opener) -> None:
    stand = opened()
    order = stand.buy(**BRACKET)
    resting = stand.sell(limit="100")
    assert stand.exchange.orders("closed") == []
    stand.wait()
    assert stand.exchange.orders("closed") == [stand.exchange.order(order.id)]
    assert resting.id in {o.id for o in stand.exchange.orders("open")}


def test_orders_can_be_asked_by_symbol_and_moment(opened: Opener) -> None:
    stand = opened()
    early = stand.buy(limit="10")
    stand.wait(1)
    late = stand.sell(limit="100")
    assert [o.id for o in stand.exchange.orders(symbols=["COMM"])] == [early.id]
    assert [o.id for o in stand.exchange.orders(after=early.submitted_at)] == [late.id]
    assert [o.id for o in stand.exchange.orders("all", after=early.submitted_at)] == [late.id]


def test_selling_what_a_bracket_holds_is_refused_with_alpacas_body(opened: Opener) -> None:
    stand = opened()
    order = stand.buy(**BRACKET)
    stand.wait()
    with pytest.raises(ExchangeRefusal) as refusal:
        stand.sell(symbol="COMM", qty=100)
    assert refusal.value.http_status == 403
    assert refusal.value.body == {
        "code": 40310000,
        "message": "insufficient qty available for order (requested: 100, available: 0)",
        "available": "0",
        "existing_qty": "100",
        "held_for_orders": "100",
        "related_orders": [stand.exchange.order(order.id).legs[0].id],
        "symbol": "COMM",
    }


def test_once_the_exits_are_cancelled_the_shares_can_be_sold(opened: Opener) -> None:
    stand = opened()
    order = stand.buy(**BRACKET)
    stand.wait()
    stand.exchange.cancel(stand.exchange.order(order.id).legs[0].id)
    stand.wait()
    sold = stand.sell(symbol="COMM", qty=100)
    stand.wait()
    assert stand.status(sold) is S.FILLED


def test_exits_for_the_day_die_at_the_close_and_leave_the_shares_naked(opened: Opener) -> None:
    stand = opened()
    order = stand.buy(**{**BRACKET, "time_in_force": TimeInForce.DAY})
    stand.wait(86_400)
    assert legs(stand, order) == {"profit": S.EXPIRED, "stop": S.EXPIRED}
    assert stand.held("COMM") == 100


def test_an_entry_that_expires_takes_its_legs_with_it(opened: Opener) -> None:
    stand = opened()
    order = stand.buy(limit="16", **{**BRACKET, "time_in_force": TimeInForce.DAY})
    stand.wait(86_400)
    assert legs(stand, order) == {"profit": S.EXPIRED, "stop": S.EXPIRED}


def test_an_oco_is_a_live_take_profit_with_a_held_stop(opened: Opener) -> None:
    stand = opened()
    order = stand.sell(**OCO)
    stand.wait()
    found = stand.exchange.order(order.id)
    assert (found.status, found.limit_price) == (S.NEW, Decimal("108.55"))
    assert [(leg.status, leg.stop_price) for leg in found.legs] == [(S.HELD, Decimal("86.09"))]
    assert stand.exchange.positions()[0].qty_available == 0


@pytest.mark.parametrize(("price", "parent", "stop"), [("109", S.FILLED, S.CANCELED), ("86", S.CANCELED, S.FILLED)])
def test_one_side_of_an_oco_ends_the_other(opened: Opener, price: str, parent: S, stop: S) -> None:
    stand = opened()
    order = stand.sell(**OCO)
    stand.wait()
    stand.exchange.floor.set_price("UPS", Decimal(price))
    stand.wait()
    found = stand.exchange.order(order.id)
    assert (found.status, found.legs[0].status) == (parent, stop)
    assert stand.held("UPS") == 0


def test_a_take_profit_that_fills_in_part_leaves_the_stop_the_rest(opened: Opener) -> None:
    stand = opened(faults=[{"call": "submit", "do": "partial_then_silence", "part": 0.4}])
    order = stand.sell(**OCO)
    stand.wait()
    stand.exchange.floor.set_price("UPS", Decimal(109))
    stand.wait()
    found = stand.exchange.order(order.id)
    assert (found.filled_qty, found.legs[0].qty) == (28, 42)
    stand.exchange.floor.set_price("UPS", Decimal(80))
    stand.wait()
    assert stand.held("UPS") == 0


def test_a_stop_may_fill_while_its_cancel_is_on_the_way(opened: Opener) -> None:
    stand = opened(faults=[{"call": "cancel", "do": "fill_on_cancel"}])
    order = stand.sell(**OCO)
    stand.wait()
    stop = stand.exchange.order(order.id).legs[0]
    stand.exchange.cancel(stop.id)
    stand.wait()
    assert (stand.status(stop), stand.status(order), stand.held("UPS")) == (S.FILLED, S.CANCELED, 0)
