"""The vendor's limit of requests is kept by asking less, and by waiting where that is not enough."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from Departments.brokers.alpaca.broker import AlpacaBroker
from Departments.brokers.alpaca.transport import Pace
from Departments.core.platform.clock import SimulatedClock
from tests.fakes import alpaca_answers as alpaca
from tests.unit.brokers.alpaca.conftest import NOW

A_MINUTE = timedelta(seconds=60)


def test_questions_beyond_the_first_hundred_are_slowed_down_and_no_minute_sees_200(clock: SimulatedClock) -> None:
    pace, sent = Pace(clock), list[datetime]()
    for _ in range(400):
        pace.count(may_wait=True)
        sent.append(clock.now())
    assert sent[99] == NOW
    assert max(after - before for before, after in pairwise(sent)) < timedelta(seconds=0.7)
    assert max(sum(start <= at < start + A_MINUTE for at in sent) for start in sent) <= 191


def test_room_is_made_while_nothing_is_asked(clock: SimulatedClock) -> None:
    pace = Pace(clock, at_once=3, a_second=0.5)
    for _ in range(3):
        pace.count(may_wait=True)
    clock.sleep(600)
    for _ in range(3):
        pace.count(may_wait=True)
    assert clock.now() == NOW + timedelta(seconds=600)
    pace.count(may_wait=True)
    assert clock.now() == NOW + timedelta(seconds=602)


def test_an_order_never_waits_but_the_next_question_does(clock: SimulatedClock) -> None:
    pace = Pace(clock, at_once=3, a_second=0.5)
    for _ in range(4):
        pace.count(may_wait=False)
    assert clock.now() == NOW
    pace.count(may_wait=True)
    assert clock.now() == NOW + timedelta(seconds=4)


def test_a_clock_that_was_set_back_does_not_make_anybody_wait_for_it(clock: SimulatedClock) -> None:
    pace = Pace(clock, at_once=2, a_second=1)
    clock.sleep(3600)
    pace.count(may_wait=True)
    clock._now = NOW
    pace.count(may_wait=True)
    pace.count(may_wait=True)
    assert clock.now() == NOW + timedelta(seconds=1)


def test_trading_and_market_data_are_counted_apart(script: Any, clock: SimulatedClock, broker: AlpacaBroker) -> None:
    script.on("GET /v2/account", alpaca.account())
    script.on("GET /v2/stocks/bars", {"bars": {}})
    for _ in range(100):
        broker.account()
        broker.bars(["SPY"], days=1)
    assert clock.now() == NOW
    broker.account()
    assert clock.now() > NOW
