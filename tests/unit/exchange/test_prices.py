from __future__ import annotations

import statistics
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from math import log
from typing import Any, Protocol

import pytest

from Departments.core.orders import OrderStatus, TimeInForce
from Departments.exchange.prices import RecordedPrices, WalkingPrices
from Departments.exchange.state import ExchangeState

NOON = datetime(2025, 11, 10, 17, 0, tzinfo=UTC)
BARS = {
    "SPY": [
        {"day": "2025-11-07", "open": 670, "high": 672, "low": 660, "close": 668, "volume": 80_000_000},
        {"day": "2025-11-10", "open": 675, "high": 684, "low": 672, "close": 681, "volume": 75_000_000},
    ]
}


class Opener(Protocol):
    def __call__(self, **state: Any) -> Any: ...


def walk(**changes: Any) -> WalkingPrices:
    state = {"cash": 0, "prices": {"COMM": 100, "UPS": 100}, "walk": {"volatility": "0.001", "interval": 60}, **changes}
    return WalkingPrices(ExchangeState.model_validate(state), NOON)


def test_a_walk_starts_at_the_stated_price() -> None:
    assert walk().at("COMM", NOON) == 100


def test_the_same_seed_walks_the_same_way_and_another_does_not() -> None:
    later = NOON + timedelta(hours=5)
    assert walk().at("COMM", later) == walk().at("COMM", later)
    assert walk(seed=1).at("COMM", later) != walk().at("COMM", later)
    assert walk().at("UPS", later) != walk().at("COMM", later)


def test_a_walk_rests_between_ticks() -> None:
    prices = walk()
    tick = NOON + timedelta(minutes=7)
    assert prices.at("COMM", tick) == prices.at("COMM", tick + timedelta(seconds=59))
    assert prices.next_change(tick) == tick + timedelta(minutes=1)


def test_a_walks_steps_are_as_large_as_its_volatility() -> None:
    prices = walk(prices={"COMM": 10_000})
    path = [float(prices.at("COMM", NOON + timedelta(minutes=n)) or 0) for n in range(600)]
    steps = [log(b / a) for a, b in pairwise(path)]
    assert statistics.stdev(steps) == pytest.approx(0.001, rel=0.1)
    assert statistics.mean(steps) == pytest.approx(0, abs=0.0002)


def test_a_drift_moves_a_walk_without_volatility() -> None:
    prices = walk(walk={"volatility": 0, "drift": "0.001", "interval": 60})
    assert prices.at("COMM", NOON + timedelta(minutes=10)) == Decimal("101.01")


def test_prices_change_only_while_the_exchange_is_open() -> None:
    friday_close = datetime(2025, 11, 14, 21, 0, tzinfo=UTC)
    monday_open = datetime(2025, 11, 17, 14, 30, tzinfo=UTC)
    assert walk().next_change(friday_close) == monday_open


def test_recorded_prices_touch_open_low_high_and_close() -> None:
    prices = RecordedPrices(ExchangeState.model_validate({"cash": 0, "bars": BARS, "price_mode": "bars"}))
    opens = datetime(2025, 11, 10, 14, 30, tzinfo=UTC)
    moments = [opens, opens + timedelta(minutes=130), opens + timedelta(minutes=260), opens + timedelta(minutes=390)]
    assert [prices.at("SPY", at) for at in moments] == [675, 672, 684, 681]


def test_before_the_open_the_last_close_holds() -> None:
    prices = RecordedPrices(ExchangeState.model_validate({"cash": 0, "bars": BARS, "price_mode": "bars"}))
    assert prices.at("SPY", datetime(2025, 11, 10, 14, 0, tzinfo=UTC)) == 668


def test_a_resting_order_meets_the_recorded_price_while_nobody_looks(opened: Opener) -> None:
    stand = opened(bars=BARS, price_mode="bars", at=datetime(2025, 11, 10, 14, 30, tzinfo=UTC))
    order = stand.buy(symbol="SPY", qty=1, limit="673", time_in_force=TimeInForce.GTC)
    stand.wait(6 * 3600)
    found = stand.exchange.order(order.id)
    assert found.status is OrderStatus.FILLED
    assert found.filled_at < datetime(2025, 11, 10, 16, 41, tzinfo=UTC)
    assert found.filled_avg_price <= 673


def test_a_resting_order_notices_a_price_set_from_outside_at_the_next_tick(opened: Opener) -> None:
    stand = opened(price_mode="walk", walk={"volatility": "0.00001", "interval": 60})
    order = stand.buy(limit="15")
    stand.wait(10)
    stand.exchange.floor.set_price("COMM", Decimal("14.50"))
    stand.wait(60)
    assert stand.status(order) is OrderStatus.FILLED


def test_recorded_bars_are_given_back_once_their_day_is_over(opened: Opener) -> None:
    stand = opened(bars=BARS)
    assert [bar.day for bar in stand.exchange.bars(["SPY"], days=5)["SPY"]] == [date(2025, 11, 7)]
    stand.wait(4 * 3600)
    assert [bar.close for bar in stand.exchange.bars(["SPY"], days=5)["SPY"]] == [668, 681]
    assert [bar.close for bar in stand.exchange.bars(["SPY"], days=1)["SPY"]] == [681]


def test_a_stated_volume_gives_bars_of_finished_trading_days(opened: Opener) -> None:
    bars = opened(volumes={"COMM": 2_000_000}).exchange.bars(["COMM"], days=3)["COMM"]
    assert [bar.day for bar in bars] == [date(2025, 11, 5), date(2025, 11, 6), date(2025, 11, 7)]
    assert {(bar.open, bar.close, bar.volume) for bar in bars} == {(Decimal("17.02"), Decimal("17.02"), 2_000_000)}


def test_no_volume_is_ever_made_up(opened: Opener) -> None:
    assert opened().exchange.bars(["COMM"], days=3) == {}
