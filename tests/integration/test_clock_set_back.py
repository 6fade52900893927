"""A clock that is set back between a kill and the restart changes nothing where the broker's own clock goes on."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from Departments.bootstrap import Choices, open_desk
from Departments.brokers.base import Broker
from Departments.brokers.registry import BROKERS, Opening
from Departments.core.platform.clock import Clock, SimulatedClock
from tests.invariants.killing import images
from tests.invariants.kinds import Moment, is_durable
from tests.invariants.scenarios import HAPPY, carry_out

KILLS = 6


@dataclass(frozen=True)
class BrokerClock:
    """The broker's clock, which nobody has set back: ahead of the desk's."""

    desk: Clock
    ahead: timedelta

    def now(self) -> datetime:
        return self.desk.now() + self.ahead

    def sleep(self, seconds: float) -> None:
        self.desk.sleep(seconds)


def open_broker(opening: Opening, clock: Clock) -> Broker:
    return BROKERS[0].open(replace(opening, clock=clock))


@pytest.mark.parametrize("back", [timedelta(seconds=10), timedelta(minutes=20)], ids=str)
def test_a_day_ends_as_the_broker_knows_it(tmp_path: Path, back: timedelta) -> None:
    labels: list[str] = []
    HAPPY.play(HAPPY.prepare(tmp_path / "undisturbed"), None, labels.append)
    durable = [label for label in labels if is_durable(label)]
    numbers = range(10, len(durable), len(durable) // KILLS)
    kills = [Moment(number, durable[number - 1], 0) for number in numbers]
    ends = []
    for label, image, at in images(HAPPY, HAPPY.prepare(tmp_path / "day"), tmp_path / "images", kills):
        clock = SimulatedClock(at - back)
        row = replace(BROKERS[0], open=partial(open_broker, clock=BrokerClock(clock, back)))
        choices = Choices(clock=clock, brokers=(row,), exchange_state=image / "state.yaml")
        with closing(open_desk(image, choices)) as desk:
            document = carry_out(desk, HAPPY.plan)
            sent = desk.ledger.plans.trades(str(HAPPY.plan["plan_id"]))
            ends.append((label, document["status"], {str(trade.status) for trade in sent if trade.qty}))
    assert [end for end in ends if end[1:] != ("COMPLETED", {"filled"})] == []
    assert len(ends) >= KILLS
