"""A clock that is set back between a kill and the restart changes nothing where the broker's own clock goes on, as
the simulated exchange's does."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from Departments.bootstrap import Choices, open_desk
from Departments.brokers.base import Broker
from Departments.brokers.registry import BROKERS, Opening
from Departments.core.platform.clock import AheadClock, SimulatedClock, SystemClock
from tests.invariants.killing import images
from tests.invariants.kinds import Moment, is_durable
from tests.invariants.scenarios import HAPPY, carry_out

KILLS = 6


class SetBackClock(SystemClock):
    """The machine's clock after it was set back; a sleep only moves its hands."""

    def __init__(self, start: datetime) -> None:
        self._hands = SimulatedClock(start)

    def now(self) -> datetime:
        return self._hands.now()

    def sleep(self, seconds: float) -> None:
        self._hands.sleep(seconds)


def open_broker(opening: Opening, ahead: timedelta) -> Broker:
    """Open a broker whose own clock nobody has set back."""
    return BROKERS[0].open(replace(opening, clock=AheadClock(opening.clock, ahead)))


def choose(image: Path, at: datetime, back: timedelta, broker: str) -> Choices:
    clock = SetBackClock(at - back)
    row = BROKERS[0] if broker == "simulated" else replace(BROKERS[0], open=partial(open_broker, ahead=back))
    return Choices(clock=clock, brokers=(row,), exchange_state=image / "state.yaml")


@pytest.mark.parametrize("broker", ["of its own clock", "simulated"])
@pytest.mark.parametrize("back", [timedelta(seconds=10), timedelta(minutes=20)], ids=str)
def test_a_day_ends_as_the_broker_knows_it(tmp_path: Path, back: timedelta, broker: str) -> None:
    labels: list[str] = []
    HAPPY.play(HAPPY.prepare(tmp_path / "undisturbed"), None, labels.append)
    durable = [label for label in labels if is_durable(label)]
    numbers = range(10, len(durable), len(durable) // KILLS)
    kills = [Moment(number, durable[number - 1], 0) for number in numbers]
    ends = []
    for label, image, at in images(HAPPY, HAPPY.prepare(tmp_path / "day"), tmp_path / "images", kills):
        with closing(open_desk(image, choose(image, at, back, broker))) as desk:
            document = carry_out(desk, HAPPY.plan)
            sent = desk.ledger.plans.trades(str(HAPPY.plan["plan_id"]))
            ends.append((label, document["status"], {str(trade.status) for trade in sent if trade.qty}))
            assert [phase["name"] for phase in document["phases"] if phase["ended_at"] is None] == []
    assert [end for end in ends if end[1:] != ("COMPLETED", {"filled"})] == []
    assert len(ends) >= KILLS
