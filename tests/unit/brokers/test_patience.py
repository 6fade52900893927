"""Questions are asked again while a broker does not answer, and orders never."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from Departments.brokers.base import Broker
from Departments.brokers.patience import PatientBroker
from Departments.core.errors import BrokerUnavailable, NotFound, UnreadableAnswer
from Departments.core.orders import OrderChange, OrderRequest, Side
from Departments.core.platform.clock import SimulatedClock

NOW = datetime(2025, 11, 10, 15, 10, tzinfo=UTC)
SELL = OrderRequest("MSG_1", "UPS", Side.SELL, Decimal(70))
QUESTIONS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "account": ((), {}),
    "positions": ((), {}),
    "fees": ((NOW,), {}),
    "order": (("id",), {}),
    "order_by_client_id": (("MSG_1",), {}),
    "orders": (("all",), {"symbols": ("UPS",), "after": NOW, "side": Side.SELL}),
    "position": (("UPS",), {}),
    "assets": ((("UPS",),), {}),
    "quotes": ((("UPS",),), {}),
    "bars": ((("SPY",),), {"days": 5}),
    "market_clock": ((), {}),
    "activities": ((NOW,), {}),
    "announcements": ((("UPS",), NOW.date()), {}),
}
ORDERS: dict[str, tuple[Any, ...]] = {"submit": (SELL,), "cancel": ("id",), "replace": ("id", OrderChange("c-2"))}


class Away:
    """A broker that raises what it is told to, so many times, and then answers with the question itself."""

    name = "away"

    def __init__(self, times: int, error: Exception) -> None:
        self.left, self.error = times, error
        self.asked: list[str] = []

    def __getattr__(self, call: str) -> Any:
        def answer(*arguments: Any, **options: Any) -> Any:
            self.asked.append(call)
            if len(self.asked) <= self.left:
                raise self.error
            return call, arguments, options

        return answer


def patient(times: int, error: Exception | None = None) -> tuple[PatientBroker, Away, SimulatedClock]:
    clock, away = SimulatedClock(NOW), Away(times, error or BrokerUnavailable("no answer"))
    broker: Any = away
    return PatientBroker(broker, clock, seconds=60), away, clock


def test_every_call_of_the_port_is_a_question_or_an_order() -> None:
    calls = {name for name, _ in inspect.getmembers(Broker, inspect.isfunction) if not name.startswith("_")}
    assert calls == QUESTIONS.keys() | ORDERS.keys()


@pytest.mark.parametrize("question", sorted(QUESTIONS))
def test_a_question_is_asked_until_it_is_answered(question: str) -> None:
    arguments, options = QUESTIONS[question]
    broker, away, clock = patient(3)
    assert getattr(broker, question)(*arguments, **options) == (question, arguments, options)
    assert (away.asked, clock.now()) == ([question] * 4, NOW + timedelta(seconds=3))


def test_symbols_that_can_be_read_only_once_are_asked_about_again() -> None:
    broker, away, _ = patient(1)
    asked: dict[str, Any] = {
        "quotes": broker.quotes(iter(["UPS"])),
        "bars": broker.bars(iter(["UPS"]), days=5),
        "assets": broker.assets(iter(["UPS"])),
    }
    assert {name: answer[1] for name, answer in asked.items()} == dict.fromkeys(asked, (("UPS",),))
    assert away.asked == ["quotes", "quotes", "bars", "assets"]


@pytest.mark.parametrize("order", sorted(ORDERS))
def test_an_order_and_a_cancel_are_sent_once(order: str) -> None:
    broker, away, clock = patient(1)
    with pytest.raises(BrokerUnavailable):
        getattr(broker, order)(*ORDERS[order])
    assert (away.asked, clock.now()) == ([order], NOW)


def test_patience_ends() -> None:
    broker, _, clock = patient(1000)
    with pytest.raises(BrokerUnavailable):
        broker.account()
    assert clock.now() == NOW + timedelta(seconds=60)


def test_a_clear_answer_is_not_doubted() -> None:
    broker, away, _ = patient(1, NotFound("no such order"))
    with pytest.raises(NotFound):
        broker.order("id")
    assert away.asked == ["order"]


class SetBack(SimulatedClock):
    """A clock that is set back by three hours once, at the third sleep."""

    sleeps = 0

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.sleeps += 1
        if self.sleeps == 3:
            self._now -= timedelta(hours=3)


def test_a_clock_set_back_does_not_make_the_wait_longer() -> None:
    clock, away = SetBack(NOW), Away(10_000, BrokerUnavailable("no answer"))
    broker: Any = away
    with pytest.raises(BrokerUnavailable):
        PatientBroker(broker, clock, seconds=5).account()
    assert clock.sleeps <= 8


def test_an_answer_that_cannot_be_read_is_asked_for_three_times_and_not_for_a_minute() -> None:
    broker, away, clock = patient(1_000, UnreadableAnswer("half an answer"))
    with pytest.raises(UnreadableAnswer):
        broker.account()
    assert (len(away.asked), clock.now() - NOW) == (3, timedelta(seconds=2))


def test_an_unreadable_answer_is_logged_differently_from_silence(caplog: pytest.LogCaptureFixture) -> None:
    broker, *_ = patient(1, UnreadableAnswer("half an answer"))
    broker.account()
    broker, *_ = patient(1)
    broker.account()
    assert [r.getMessage() for r in caplog.records] == [
        "The broker's answer cannot be read, trying again (half an answer)",
        "The broker does not answer, trying again (no answer)",
    ]
