"""The broker's silence is measured, and a wait that it names is kept."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from Departments.brokers.patience import LONGEST_WAIT, Silence, ask_patiently
from Departments.core.errors import BrokerUnavailable
from Departments.core.platform.clock import SimulatedClock

START = datetime(2025, 11, 10, 15, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(START)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def test_silence_lasts_from_the_first_failure_to_the_next_answer(clock: SimulatedClock) -> None:
    silence = Silence(clock)
    clock.sleep(5)
    asked = clock.now()
    clock.sleep(3)
    silence.note(asked, failed=True)
    clock.sleep(4)
    silence.note(clock.now(), failed=True)
    assert silence.length() == seconds(7)
    clock.sleep(1)
    silence.note(clock.now(), failed=False)
    assert (silence.take(), silence.length()) == (seconds(8), seconds(0))
    assert silence.take() == seconds(0)


def test_silence_that_goes_on_is_taken_in_parts_and_counted_once(clock: SimulatedClock) -> None:
    silence = Silence(clock)
    silence.note(clock.now(), failed=True)
    clock.sleep(6)
    assert silence.take() == seconds(6)
    clock.sleep(2)
    silence.note(clock.now(), failed=False)
    assert silence.take() == seconds(2)


@pytest.mark.parametrize(("wait", "slept"), [(20, 20), (None, 1), (0.2, 1), (9_000, LONGEST_WAIT)])
def test_a_wait_that_the_broker_names_is_kept_up_to_a_minute(
    clock: SimulatedClock, wait: float | None, slept: float
) -> None:
    answers: Iterator[BrokerUnavailable | str] = iter((BrokerUnavailable("too many requests", wait), "fine"))

    def ask() -> str:
        answer = next(answers)
        if isinstance(answer, BrokerUnavailable):
            raise answer
        return answer

    assert ask_patiently(ask, clock, seconds=60) == "fine"
    assert clock.now() - START == seconds(slept)


def test_who_has_no_questions_feels_for_the_broker_every_few_seconds() -> None:
    clock, asked = SimulatedClock(START), list[datetime]()
    silence = Silence(clock)

    def ask() -> None:
        asked.append(clock.now())
        raise BrokerUnavailable("silent")

    for _ in range(12):
        silence.feel(ask)
        clock.sleep(1)
    assert [(at - START).total_seconds() for at in asked] == [0, 5, 10]
