"""A broker that limits requests for a minute costs time, and no order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import pytest

from Departments.core.platform.clock import SimulatedClock
from tests.builders.desk import MORNING, plan, trade, two_and_two
from tests.fakes.loopback import Call, Reply
from tests.integration.test_alpaca_day import A_DAY, Opening, opening, planned

__all__ = ["opening"]
Answering = Callable[[Call], Reply]
TOMORROW = plan(
    trade("ALKS", "SELL", 150, 32.66),
    trade("COMM", "SELL", 250, 17.02),
    trade("AXTA", "BUY", 120, 28.64),
    trade("CVE", "BUY", 200, 17.58),
    plan_id="PLAN_2",
    generated_at="2025-11-11T15:00:00.000000Z",
)


class Limited:
    """Every GET is answered 429 for some seconds from the first cancel on."""

    def __init__(
        self, answer: Answering, clock: SimulatedClock, seconds: float, headers: Mapping[str, str] | None = None
    ) -> None:
        self._answer, self._clock, self._seconds, self._headers = answer, clock, seconds, headers or {}
        self.since: datetime | None = None
        self.asked: list[float] = []

    def __call__(self, call: Call) -> Reply:
        now = self._clock.now()
        if call.method == "DELETE" and self.since is None:
            self.since = now
        if call.method == "GET" and self.since and now - self.since < timedelta(seconds=self._seconds):
            self.asked.append((now - self.since).total_seconds())
            return Reply(429, {"message": "too many requests."}, dict(self._headers))
        return self._answer(call)


@pytest.mark.parametrize("seconds", [60, 150])
def test_a_minute_of_refused_questions_loses_no_order(opening: Opening, seconds: float) -> None:
    day = opening()
    assert day.run(*planned(day, two_and_two())).code == 0
    day.clock.sleep((MORNING + A_DAY - day.clock.now()).total_seconds())
    limited = Limited(day.line.gateway, day.clock, seconds)
    day.line.gateway = limited  # type: ignore[assignment]
    said = day.run(*planned(day, TOMORROW))
    assert limited.asked
    assert {s: said.order(s)["status"] for s in ("ALKS", "COMM", "AXTA", "CVE")} == dict.fromkeys(
        ("ALKS", "COMM", "AXTA", "CVE"), "filled"
    )
    assert (said.code, said.document["status"]) == (0, "COMPLETED")


@pytest.mark.parametrize("asked_for", ["45", "90"])
def test_a_long_pause_that_the_broker_asks_for_is_kept(opening: Opening, asked_for: str) -> None:
    day = opening()
    assert day.run(*planned(day, two_and_two())).code == 0
    day.clock.sleep((MORNING + A_DAY - day.clock.now()).total_seconds())
    limited = Limited(day.line.gateway, day.clock, float(asked_for) - 1, {"Retry-After": asked_for})
    day.line.gateway = limited  # type: ignore[assignment]
    said = day.run(*planned(day, TOMORROW))
    assert len(limited.asked) <= 2  # of trading and of market data
    assert (said.code, said.document["status"]) == (0, "COMPLETED")
