from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import pytest

from Departments.core.orders import OrderStatus as S
from Departments.core.orders import TimeInForce
from Departments.exchange.records import ExchangeRefusal

AFTER_HOURS = datetime(2025, 11, 10, 22, 0, tzinfo=UTC)
TUESDAY_OPEN = datetime(2025, 11, 11, 14, 30, tzinfo=UTC)
ALMOST_CLOSED = datetime(2025, 11, 10, 20, 59, 59, 900_000, tzinfo=UTC)
HALF_DAY = datetime(2025, 11, 28, 17, 0, tzinfo=UTC)


class Opener(Protocol):
    def __call__(self, **state: Any) -> Any: ...


def test_a_market_order_goes_pending_new_new_filled(opened: Opener) -> None:
    stand = opened()
    assert stand.seen(stand.sell()) == [S.PENDING_NEW, S.NEW, S.FILLED]


def test_a_market_order_fills_within_three_seconds(opened: Opener) -> None:
    stand = opened()
    order = stand.sell()
    stand.wait(3)
    found = stand.exchange.order(order.id)
    assert found.status is S.FILLED
    assert timedelta(seconds=0.3) < found.filled_at - order.submitted_at < timedelta(seconds=3)


def test_a_replay_gives_the_same_ids_and_moments(opened: Opener, tmp_path: Path) -> None:
    stand = opened()
    stand.sell()
    stand.wait()
    first = (stand.exchange.floor.all_orders(), stand.exchange.floor.fills())
    stand.exchange.close()
    for leftover in tmp_path.iterdir():
        leftover.unlink()
    again = opened()
    again.sell()
    again.wait()
    assert (again.exchange.floor.all_orders(), again.exchange.floor.fills()) == first


def test_how_often_anybody_asks_changes_nothing(opened: Opener) -> None:
    stand = opened(price_mode="walk")
    rested = stand.sell(limit="93.90", time_in_force=TimeInForce.GTC)
    stand.wait(3600 * 30)
    status = stand.status(rested)
    moments = [fill.at for fill in stand.exchange.floor.fills()]
    assert status in {S.FILLED, S.NEW}
    assert moments == sorted(moments)
    assert all(at < stand.clock.now() for at in moments)


def test_out_of_hours_an_order_is_accepted_and_fills_after_the_open(opened: Opener) -> None:
    stand = opened(at=AFTER_HOURS)
    order = stand.sell()
    assert order.status is S.ACCEPTED
    stand.wait((TUESDAY_OPEN - AFTER_HOURS).total_seconds() - 1)
    assert stand.status(order) is S.ACCEPTED
    stand.wait(5)
    assert stand.status(order) is S.FILLED
    assert stand.exchange.floor.fills()[0].at > TUESDAY_OPEN


def test_a_day_order_expires_at_the_close(opened: Opener) -> None:
    stand = opened()
    order = stand.buy(limit="10")
    stand.wait(4 * 3600 - 1)
    assert stand.status(order) is S.NEW
    stand.wait(1)
    found = stand.exchange.order(order.id)
    assert (found.status, found.updated_at) == (S.EXPIRED, datetime(2025, 11, 10, 21, tzinfo=UTC))


def test_a_day_order_expires_at_one_o_clock_on_a_half_day(opened: Opener) -> None:
    stand = opened(at=HALF_DAY)
    order = stand.buy(limit="10")
    stand.wait(3600)
    assert stand.status(order) is S.EXPIRED


def test_an_order_sent_in_the_last_moment_expires_unfilled(opened: Opener) -> None:
    stand = opened(at=ALMOST_CLOSED)
    order = stand.sell()
    stand.wait()
    assert stand.status(order) is S.EXPIRED
    assert stand.held("UPS") == 70


def test_an_order_until_cancelled_outlives_the_close(opened: Opener) -> None:
    stand = opened()
    order = stand.buy(limit="10", time_in_force=TimeInForce.GTC)
    stand.wait(3 * 86_400)
    assert stand.status(order) is S.NEW


def test_a_limit_order_waits_for_its_price_and_trades_no_worse(opened: Opener) -> None:
    stand = opened()
    order = stand.buy(limit="16.50")
    stand.wait()
    assert stand.status(order) is S.NEW
    stand.exchange.floor.set_price("COMM", Decimal("16.40"))
    assert stand.status(order) is S.FILLED
    assert stand.exchange.floor.fills()[0].price == Decimal("16.40")


def test_slippage_never_takes_a_limit_order_beyond_its_limit(opened: Opener) -> None:
    stand = opened(slippage="0.01")
    order = stand.buy(limit="17.02")
    stand.wait()
    assert stand.exchange.order(order.id).filled_avg_price == Decimal("17.02")


def test_a_stop_sells_only_once_its_price_is_reached(opened: Opener) -> None:
    stand = opened()
    order = stand.sell(stop="90")
    stand.exchange.floor.set_price("UPS", Decimal("90.01"))
    stand.wait()
    assert stand.status(order) is S.NEW
    stand.exchange.floor.set_price("UPS", Decimal("89.50"))
    stand.wait()
    assert stand.status(order) is S.FILLED
    assert stand.exchange.floor.fills()[0].price == Decimal("89.50")


def test_a_stop_that_was_reached_sells_even_when_the_price_comes_back(opened: Opener) -> None:
    stand = opened()
    order = stand.sell(stop="90")
    stand.wait()
    stand.exchange.floor.set_price("UPS", Decimal("89.50"))
    stand.exchange.floor.set_price("UPS", Decimal("95.00"))
    stand.wait()
    assert stand.status(order) is S.FILLED


def test_a_stop_limit_does_not_sell_below_its_limit(opened: Opener) -> None:
    stand = opened()
    order = stand.sell(stop="90", limit="89.80")
    stand.wait()
    stand.exchange.floor.set_price("UPS", Decimal("89.00"))
    stand.wait()
    assert stand.status(order) is S.NEW
    stand.exchange.floor.set_price("UPS", Decimal("89.90"))
    stand.wait()
    assert stand.exchange.order(order.id).filled_avg_price == Decimal("89.90")


def test_a_market_order_does_not_trade_beyond_its_collar(opened: Opener) -> None:
    stand = opened(latency={"fill": [2, 2]})
    order = stand.buy()
    stand.wait(1)
    stand.exchange.floor.set_price("COMM", Decimal("18.00"))
    stand.wait(5)
    assert stand.status(order) is S.NEW
    stand.exchange.floor.set_price("COMM", Decimal("17.80"))
    stand.wait(5)
    assert stand.status(order) is S.FILLED


def test_a_market_order_does_not_fill_sooner_because_the_price_moved(opened: Opener) -> None:
    stand = opened(latency={"fill": [2, 2]})
    order = stand.buy()
    stand.wait(1)
    stand.exchange.floor.set_price("COMM", Decimal("17.05"))
    assert stand.status(order) is S.NEW


def test_nothing_trades_while_a_symbol_is_halted(opened: Opener) -> None:
    stand = opened(assets={"COMM": {"halted": True}})
    order = stand.buy()
    stand.wait(60)
    assert stand.status(order) is S.NEW
    stand.exchange.floor.resume("COMM")
    stand.wait()
    assert stand.status(order) is S.FILLED


def test_an_order_without_a_price_rests_until_somebody_knows_one(opened: Opener) -> None:
    stand = opened(assets={"NEWCO": {}})
    order = stand.buy(symbol="NEWCO", qty=1)
    stand.wait(60)
    assert stand.status(order) is S.NEW
    stand.exchange.floor.set_price("NEWCO", Decimal(3))
    stand.wait()
    assert stand.status(order) is S.FILLED


# --- cancel ---


def test_a_cancel_takes_time(opened: Opener) -> None:
    stand = opened()
    order = stand.buy(limit="10")
    stand.wait()
    stand.exchange.cancel(order.id)
    assert stand.seen(order) == [S.PENDING_CANCEL, S.CANCELED]


def test_a_cancel_may_lose_to_a_fill(opened: Opener) -> None:
    stand = opened(latency={"fill": [1, 1], "cancel": [2, 2]})
    order = stand.sell()
    stand.exchange.cancel(order.id)
    assert stand.seen(order) == [S.PENDING_CANCEL, S.FILLED]
    assert stand.held("UPS") == 0


def test_a_cancel_may_win_against_a_fill(opened: Opener) -> None:
    stand = opened(latency={"fill": [2, 2], "cancel": [1, 1]})
    order = stand.sell()
    stand.exchange.cancel(order.id)
    stand.wait()
    assert (stand.status(order), stand.held("UPS")) == (S.CANCELED, 70)


def test_a_second_cancel_of_the_same_order_is_taken_and_changes_nothing(opened: Opener) -> None:
    stand = opened()
    order = stand.buy(limit="10")
    stand.exchange.cancel(order.id)
    stand.exchange.cancel(order.id)
    stand.wait()
    assert stand.status(order) is S.CANCELED


def test_a_cancel_of_a_filled_order_is_refused_as_alpaca_does(opened: Opener) -> None:
    stand = opened()
    order = stand.sell()
    stand.wait()
    with pytest.raises(ExchangeRefusal) as refusal:
        stand.exchange.cancel(order.id)
    assert (refusal.value.http_status, refusal.value.code) == (422, 42210000)
    assert refusal.value.message == 'order is already in "filled" state'


# --- partial fills ---


def test_partial_fills_come_in_two_parts_that_add_up(opened: Opener) -> None:
    stand = opened(partial_fills={"rate": 1, "pause": 2})
    order = stand.sell()
    assert stand.seen(order, 8) == [S.PENDING_NEW, S.NEW, S.PARTIALLY_FILLED, S.FILLED]
    assert len(stand.exchange.floor.fills()) == 2
    assert sum(fill.qty for fill in stand.exchange.floor.fills()) == 70


def test_an_expired_order_may_have_filled_in_part(opened: Opener) -> None:
    faults = [{"call": "submit", "do": "partial_then_silence", "part": 0.4}]
    stand = opened(faults=faults)
    order = stand.sell()
    stand.wait(86_400)
    found = stand.exchange.order(order.id)
    assert (found.status, found.filled_qty) == (S.EXPIRED, 28)


def test_a_clock_that_goes_back_undoes_nothing(opened: Opener) -> None:
    stand = opened()
    order = stand.sell()
    stand.wait()
    assert stand.status(order) is S.FILLED
    stand.clock._now -= timedelta(hours=1)
    assert stand.status(order) is S.FILLED
    again = stand.buy()
    stand.wait()
    assert stand.status(again) is S.FILLED
