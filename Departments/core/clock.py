"""The only place that asks the time or sleeps.

Every part receives a `Clock`. `SystemClock` is the real one; `SimulatedClock` lets a past day be replayed in no
time, because sleeping only moves its hands; `PacedClock` does the same slowly enough for a person to watch;
`ShiftedClock` runs as fast as time itself from another moment on.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time (aware, UTC) and waits."""

    def now(self) -> datetime:
        """Return the present moment in UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass."""
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
    """A clock that starts where it is told and moves only when somebody sleeps."""

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
    """A simulated clock whose every simulated second takes `pace` real seconds."""

    def __init__(self, start: datetime, *, pace: float) -> None:
        super().__init__(start)
        self._pace = pace

    def sleep(self, seconds: float) -> None:
        """Move the hands by `seconds` while `seconds` × pace of real time passes."""
        super().sleep(seconds)
        time.sleep(max(0.0, seconds) * self._pace)


class ShiftedClock:
    """The machine's clock, set to another moment: it starts there and runs as fast as time itself.

    Two processes that work side by side on a past day need it; a simulated clock is one process's own.
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


def iso(moment: datetime) -> str:
    """Write a moment as the messages do, `2025-11-10T15:09:12.760093Z`: such texts sort as their moments do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse_iso(text: str) -> datetime:
    """Read an ISO 8601 moment; one without an offset, or with the word UTC, is UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text.strip().removesuffix(" UTC"))
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def stamp(moment: datetime) -> str:
    """Write a moment as file names do: `20251110T150912Z`."""
    return moment.astimezone(UTC).isoformat()[:19].replace("-", "").replace(":", "") + "Z"
