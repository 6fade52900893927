"""The pauses that Alpaca asks for by Retry-After: until one is over, no request leaves."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from Departments.brokers.alpaca.refusals import Passing
from Departments.core.platform.clock import Clock

LONGEST: Final = 300.0  # seconds; a longer pause is cut: a mistaken header must not end the day


class Pauses:
    """Remembers until when a host wants no requests."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._from: datetime | None = None
        self._length = timedelta()

    def note(self, seconds: float | None) -> None:
        """Note a pause that the host has asked for; None asks for none."""
        if seconds:
            self._from, self._length = self._clock.now(), timedelta(seconds=min(seconds, LONGEST))

    def refuse_early(self, method: str, what: str) -> None:
        """Raise Passing, with what is left of it, while a pause lasts."""
        if self._from is None:
            return
        passed = self._clock.now() - self._from
        if timedelta() <= passed < self._length:  # else it is over, or our clock was set back
            left = (self._length - passed).total_seconds()
            raise Passing(f"the broker asks for a pause of {left:.0f} s more: {method} {what} waits", wait=left)
        self._from = None
