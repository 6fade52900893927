from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from Departments.brokers.alpaca.broker import AlpacaBroker
from Departments.brokers.alpaca.credentials import Credentials
from Departments.core.platform.clock import SimulatedClock
from tests.fakes.loopback import Call, Loopback, Reply, serving

NOW = datetime(2025, 11, 10, 15, 10, tzinfo=UTC)  # a Monday, 10:10 in New York


class Script:
    """Answers by method and path; of several answers to one question each is given once, the last for ever."""

    def __init__(self) -> None:
        self.replies: dict[tuple[str, str], list[Reply]] = {}

    def on(self, question: str, *replies: Reply | Any) -> None:
        method, path = question.split(" ")
        self.replies[method, path] = [r if isinstance(r, Reply) else Reply(body=r) for r in replies]

    def __call__(self, call: Call) -> Reply:
        left = self.replies.get((call.method, call.path)) or [Reply(404, "<html>nothing here</html>")]
        return left.pop(0) if len(left) > 1 else left[0]


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def server(script: Script) -> Iterator[Loopback]:
    with serving(script) as loopback:
        yield loopback


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(NOW)


@pytest.fixture
def broker(server: Loopback, clock: SimulatedClock) -> Iterator[AlpacaBroker]:
    credentials = Credentials("PKTEST", "not-a-secret", server.url)
    alpaca = AlpacaBroker(credentials, clock, connect_timeout=2, read_timeout=1)
    yield alpaca
    alpaca.close()
