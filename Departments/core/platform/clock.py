"""The clocks of the desk. No other module asks the time or sleeps.

SystemClock     the machine's time
SimulatedClock  starts at any moment; a sleep only moves its hands, so a past day replays at once
PacedClock      a simulated clock slow enough for a person to watch
ShiftedClock    starts at any moment and runs at the speed of real time
AheadClock      runs ahead of another one
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """The port to time: the present moment (aware, UTC), and waiting."""

    def now(self) -> datetime:
        """Return the present moment in UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the machine's time in UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Block for `seconds` of real time."""
        time.sleep(max(0.0, seconds))


class SimulatedClock:
    """A clock with a given start. Only `sleep` moves it."""

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError("a simulated clock needs an aware start time")
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        """Return the simulated moment in UTC."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Move the hands by `seconds`; no real time passes."""
        self._now += timedelta(seconds=max(0.0, seconds))


class PacedClock(SimulatedClock):
    """A simulated clock with `pace` real seconds to each simulated one."""

    def __init__(self, start: datetime, *, pace: float) -> None:
        super().__init__(start)
        self._pace = pace

    def sleep(self, seconds: float) -> None:
        """Move the hands by `seconds` while `seconds` × pace of real time passes."""
        super().sleep(seconds)
        time.sleep(max(0.0, seconds) * self._pace)


class ShiftedClock:
    """The machine's clock, set to another moment.

    Two processes side by side on a past day share its time; a simulated clock belongs to one process.
    """

    def __init__(self, start: datetime) -> None:
        self._system = SystemClock()
        self._shift = start - self._system.now()

    def now(self) -> datetime:
        """Return the shifted moment in UTC."""
        return self._system.now() + self._shift

    def sleep(self, seconds: float) -> None:
        """Block for `seconds` of real time."""
        self._system.sleep(seconds)


class AheadClock:
    """A clock that runs ahead of another one."""

    def __init__(self, clock: Clock, ahead: timedelta) -> None:
        self._clock = clock
        self._ahead = ahead

    def now(self) -> datetime:
        """Return the other clock's moment and the lead."""
        return self._clock.now() + self._ahead

    def sleep(self, seconds: float) -> None:
        """Wait by the other clock."""
        self._clock.sleep(seconds)
