"""The vendor's limit of requests is kept by asking less, and by waiting where that is not enough."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from Departments.brokers.alpaca import AlpacaBroker
from Departments.brokers.alpaca.pace import Pace
from Departments.core.clock import SimulatedClock
from Departments.core.errors import NotFound
from tests.fakes import alpaca_answers as alpaca
from tests.fakes.loopback import Loopback, Reply
from tests.unit.brokers.alpaca.conftest import NOW

ASSET = {"symbol": "UPS", "status": "active", "tradable": True}


def test_a_question_beyond_the_limit_waits_until_the_first_is_a_minute_old(clock: SimulatedClock) -> None:
    pace = Pace(clock, most=3)
    for _ in range(3):
        pace.count(may_wait=True)
        clock.sleep(10)
    pace.count(may_wait=True)
    assert clock.now() == NOW + timedelta(seconds=60)
    pace.count(may_wait=True)
    assert clock.now() == NOW + timedelta(seconds=70)


def test_an_order_never_waits_but_counts(clock: SimulatedClock) -> None:
    pace = Pace(clock, most=3)
    for _ in range(4):
        pace.count(may_wait=False)
    assert clock.now() == NOW
    pace.count(may_wait=True)
    assert clock.now() == NOW + timedelta(seconds=60)


def test_a_clock_that_was_set_back_makes_nobody_wait(clock: SimulatedClock) -> None:
    pace = Pace(clock, most=1)
    clock.sleep(3600)
    pace.count(may_wait=True)
    clock._now = NOW
    pace.count(may_wait=True)
    assert clock.now() == NOW


def test_trading_and_market_data_are_counted_apart(
    script: Any, clock: SimulatedClock, server: Loopback, broker: AlpacaBroker
) -> None:
    script.on("GET /v2/account", alpaca.account())
    script.on("GET /v2/stocks/bars", {"bars": {}})
    for _ in range(170):
        broker.account()
    for _ in range(170):
        broker.bars("SPY", days=1)
    assert clock.now() == NOW
    for _ in range(20):
        broker.account()
    assert clock.now() == NOW + timedelta(seconds=60)


def test_a_symbol_is_asked_about_once_in_a_quarter_of_an_hour(
    script: Any, clock: SimulatedClock, server: Loopback, broker: AlpacaBroker
) -> None:
    script.on("GET /v2/assets/UPS", ASSET, ASSET | {"tradable": False})
    assert [broker.asset("UPS").tradable for _ in range(3)] == [True, True, True]
    assert len(server.calls) == 1
    clock.sleep(900)
    assert broker.asset("UPS").tradable is False


def test_a_symbol_that_was_not_found_is_asked_about_again(script: Any, broker: AlpacaBroker) -> None:
    script.on("GET /v2/assets/UPS", Reply(404, {"code": 40410000, "message": "asset not found for UPS"}), ASSET)
    with pytest.raises(NotFound):
        broker.asset("UPS")
    assert broker.asset("UPS").tradable
