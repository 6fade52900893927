"""The exchange's hours come from the broker's clock, and from the calendar while the broker is away."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from Departments.brokers.base import Broker
from Departments.brokers.snapshot import CLOCK_LASTS, ExchangeHours, Listing
from Departments.core.errors import BrokerUnavailable
from Departments.core.facts import SymbolFacts
from Departments.core.platform.clock import SimulatedClock
from Departments.core.quotes import MarketClock

NOW = datetime(2025, 11, 10, 15, 9, tzinfo=UTC)
CLOSE = datetime(2025, 11, 10, 21, tzinfo=UTC)


@dataclass
class FakeBroker:
    """Tells the calendar's hours, or that the exchange closed early today, or nothing."""

    clock: SimulatedClock
    away: bool = False
    closed: bool = False
    asked: int = 0
    seconds: float = 0

    def market_clock(self) -> MarketClock:
        self.asked += 1
        if self.away:
            raise BrokerUnavailable("no clock")
        self.clock.sleep(self.seconds)
        calendar = MarketClock.by_calendar(self.clock.now())
        tomorrow = MarketClock.by_calendar(CLOSE)
        if not self.closed:
            return calendar
        return MarketClock(calendar.now, is_open=False, next_open=tomorrow.next_open, next_close=tomorrow.next_close)


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(NOW)


@pytest.fixture
def fake(clock: SimulatedClock) -> FakeBroker:
    return FakeBroker(clock)


@pytest.fixture
def hours(fake: FakeBroker, clock: SimulatedClock) -> ExchangeHours:
    return ExchangeHours(cast(Broker, cast(Any, fake)), clock)


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.INFO):
        yield caplog


def test_the_brokers_clock_counts_and_a_difference_is_logged_once(
    hours: ExchangeHours, fake: FakeBroker, clock: SimulatedClock, said: pytest.LogCaptureFixture
) -> None:
    fake.closed = True
    for _ in range(3):
        assert not hours.read().is_open_at(clock.now())
        clock.sleep(CLOCK_LASTS.total_seconds() + 1)
    (only,) = said.records
    assert only.getMessage() == (
        "The broker's clock and the calendar differ: "
        "closed, opens 2025-11-11 09:30 EST and closes 2025-11-11 16:00 EST by the broker, "
        "open, opens 2025-11-11 09:30 EST and closes 2025-11-10 16:00 EST by the calendar; the broker's counts"
    )


def test_equal_hours_are_not_logged(hours: ExchangeHours, said: pytest.LogCaptureFixture) -> None:
    assert hours.read().next_close == CLOSE
    assert said.records == []


def test_while_the_broker_is_away_the_calendar_counts(
    hours: ExchangeHours, fake: FakeBroker, said: pytest.LogCaptureFixture
) -> None:
    fake.away = True
    assert hours.read() == MarketClock.by_calendar(NOW)
    assert (
        said.records[0].getMessage().startswith("The calendar gives the exchange's hours: the broker's clock does not")
    )
    fake.away = False
    assert hours.read() == MarketClock.by_calendar(NOW)
    assert fake.asked == 2


def test_the_broker_is_asked_once_a_minute(hours: ExchangeHours, fake: FakeBroker, clock: SimulatedClock) -> None:
    for _ in range(120):
        hours.read()
        clock.sleep(1)
    assert fake.asked == 2


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        (NOW, True),
        (CLOSE - timedelta(seconds=1), True),
        (CLOSE, False),
        (CLOSE + timedelta(hours=17, minutes=29), False),
        (CLOSE + timedelta(hours=17, minutes=30), True),
        (CLOSE + timedelta(days=1), False),
    ],
)
def test_an_answer_knows_its_own_next_changes(moment: datetime, is_open: bool) -> None:  # noqa: FBT001
    assert MarketClock.by_calendar(NOW).is_open_at(moment) is is_open


def test_a_wrong_clock_of_the_machine_is_named_once(
    fake: FakeBroker, clock: SimulatedClock, said: pytest.LogCaptureFixture
) -> None:
    ahead = SimulatedClock(NOW + timedelta(seconds=70))
    hours = ExchangeHours(cast(Broker, cast(Any, fake)), ahead)
    hours.read()
    ahead.sleep(CLOCK_LASTS.total_seconds() + 1)
    clock.sleep(CLOCK_LASTS.total_seconds() + 1)
    hours.read()
    assert [line for line in said.messages if "clock is" in line] == [
        "The machine's clock is 70 s fast by the broker's; set it right"
    ]


def test_an_answer_that_takes_its_time_is_no_wrong_clock(
    hours: ExchangeHours, fake: FakeBroker, said: pytest.LogCaptureFixture
) -> None:
    fake.seconds = 30
    hours.read()
    assert hours.offset() == timedelta()
    assert said.messages == []


def test_assets_that_nobody_tells_leave_their_facts_unknown() -> None:
    class Silent:
        def quotes(self, _: Any) -> dict[str, Any]:
            return {}

        def assets(self, _: Any) -> dict[str, Any]:
            raise BrokerUnavailable("no assets")

    found = Listing.read(cast(Broker, cast(Any, Silent())), ["ALKS"], NOW).facts(SymbolFacts("ALKS"))
    assert (found.tradable, found.halted) == (None, None)
