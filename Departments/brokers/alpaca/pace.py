"""Staying below the vendor's limit of 200 requests a minute, trading and market data each by itself.

Whoever goes over it is answered 429, and an order that is answered 429 has to be looked for before anything else.
(https://docs.alpaca.markets/docs/trading-api and /docs/about-market-data-api)
"""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta

from Departments.core.clock import Clock

A_MINUTE = timedelta(seconds=60)
QUESTIONS_A_MINUTE = 180  # what is left of the 200 is for orders and cancels, which never wait


class Pace:
    """Counts the requests of the last minute and lets a question wait while there were too many of them."""

    def __init__(self, clock: Clock, most: int = QUESTIONS_A_MINUTE) -> None:
        self._clock = clock
        self._most = most
        self._sent: deque[datetime] = deque()

    def count(self, *, may_wait: bool) -> None:
        """Count a request that is about to be sent; one that `may_wait` does so until there is room for it."""
        now = self._forget_old()
        while may_wait and len(self._sent) >= self._most:
            self._clock.sleep((self._sent[0] + A_MINUTE - now).total_seconds())
            now = self._forget_old()
        self._sent.append(now)

    def _forget_old(self) -> datetime:
        """Forget what is older than a minute; a moment yet to come was counted before the clock was set back."""
        now = self._clock.now()
        while self._sent and not timedelta() <= now - self._sent[0] < A_MINUTE:
            self._sent.popleft()
        return now
