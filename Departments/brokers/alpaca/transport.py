"""The transport below alpaca-py: the pace of requests, their time-outs, and no redirections."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.exceptions import ReadTimeout, RequestException

from Departments.core.platform.clock import Clock

#: Alpaca takes 200 requests a minute; it answers a further order with 429, and we must look that order up first.
#: (https://docs.alpaca.markets/docs/trading-api and /docs/about-market-data-api)
BURST = 100
A_SECOND = 1.5  # so no minute sees more than 100 + 90 questions


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to connect, between two bytes of an answer, and for the whole request with its answer."""

    connect: float
    read: float
    total: float


class Pace:
    """Slows questions down when there are many of them.

    There is room for `at_once` requests, and `a_second` more each second. Orders and cancels count, but never wait.
    """

    def __init__(self, clock: Clock, *, at_once: int = BURST, a_second: float = A_SECOND) -> None:
        self._clock = clock
        self._at_once = at_once
        self._a_second = a_second
        self._room = float(at_once)
        self._filled_at = clock.now()

    def count(self, *, may_wait: bool) -> None:
        """Count a request before it is sent; if it `may_wait`, wait for room."""
        self._fill()
        if may_wait and self._room < 1:
            self._clock.sleep((1 - self._room) / self._a_second)
            self._fill()
        self._room -= 1

    def _fill(self) -> None:
        """Add room for the time since the last call; none if the clock was set back."""
        now = self._clock.now()
        passed = max(0.0, (now - self._filled_at).total_seconds())
        self._room = min(self._at_once, self._room + passed * self._a_second)
        self._filled_at = now


class PacedTransport(HTTPAdapter):
    """Keeps the pace, bounds the time of a request, and refuses redirections."""

    def __init__(self, timeouts: Timeouts, pace: Pace) -> None:
        self._timeouts = timeouts
        self._pace = pace
        super().__init__()

    def send(self, request: PreparedRequest, *args: Any, **options: Any) -> Response:
        """Send a request. Raises RequestException, ReadTimeout when the whole takes longer than it may."""
        self._pace.count(may_wait=request.method == "GET")
        response = self._send_within(request, *args, **options)
        if 300 <= response.status_code < 400:  # alpaca-py would treat it as a success without content
            raise RequestException(f"redirected ({response.status_code})", request=request, response=response)
        return response

    def _send_within(self, request: PreparedRequest, *args: Any, **options: Any) -> Response:
        """Send a request and read its whole answer, within the time of the request.

        A time-out of a socket begins anew with every byte, so an answer that drips would never end. The thread of such
        a request is left behind: it ends with its connection.
        """
        found: list[Response] = []
        failed: list[BaseException] = []
        limits = (self._timeouts.connect, self._timeouts.read)

        def send() -> None:
            try:
                response = super(PacedTransport, self).send(request, *args, **(options | {"timeout": limits}))
                _ = response.content
                found.append(response)
            except BaseException as error:  # noqa: BLE001 - it is raised in the waiting thread
                failed.append(error)

        thread = threading.Thread(target=send, name="alpaca", daemon=True)
        thread.start()
        thread.join(self._timeouts.total)
        if failed:
            raise failed[0]
        if not found:
            raise ReadTimeout(f"no whole answer within {self._timeouts.total:g} s", request=request)
        return found[0]
