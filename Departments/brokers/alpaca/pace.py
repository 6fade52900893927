"""Staying below the vendor's limit of 200 requests a minute, trading and market data each by itself.

Whoever goes over it is answered 429, and an order that is answered 429 has to be looked for before anything else.
(https://docs.alpaca.markets/docs/trading-api and /docs/about-market-data-api)
"""

from __future__ import annotations

from Departments.core.clock import Clock

AT_ONCE = 100
A_SECOND = 1.5  # so no minute sees more than 100 + 90 questions


class Pace:
    """Lets questions through as they come while they are few, and slows them down gently, never for long, beyond that.

    Room for `at_once` requests fills up again by `a_second`. Orders and cancels take of it, but never wait.
    """

    def __init__(self, clock: Clock, *, at_once: int = AT_ONCE, a_second: float = A_SECOND) -> None:
        self._clock = clock
        self._at_once = at_once
        self._a_second = a_second
        self._room = float(at_once)
        self._filled_at = clock.now()

    def count(self, *, may_wait: bool) -> None:
        """Count a request that is about to be sent; one that `may_wait` does so until there is room for it."""
        self._fill()
        if may_wait and self._room < 1:
            self._clock.sleep((1 - self._room) / self._a_second)
            self._fill()
        self._room -= 1

    def _fill(self) -> None:
        """Make room for the time that has passed; none has where the clock was set back."""
        now = self._clock.now()
        passed = max(0.0, (now - self._filled_at).total_seconds())
        self._room = min(self._at_once, self._room + passed * self._a_second)
        self._filled_at = now
