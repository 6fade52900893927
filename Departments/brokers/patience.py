"""Waiting for a broker that does not answer, but not for ever."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from Departments.core.clock import Clock
from Departments.core.errors import BrokerUnavailable

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")


def patiently(ask: Callable[[], Answer], clock: Clock, *, seconds: float, pause: float = 1.0) -> Answer:
    """Ask again and again, `pause` seconds apart, for up to `seconds`. Raises BrokerUnavailable in the end.

    Only for questions: an order is never sent through here.
    """
    give_up = clock.now() + timedelta(seconds=seconds)
    while True:
        try:
            return ask()
        except BrokerUnavailable as error:
            if clock.now() >= give_up:
                raise
            log.warning("The broker does not answer, trying again (%s)", error)
            clock.sleep(pause)
