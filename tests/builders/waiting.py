"""Waiting for real file events."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from Departments.core.platform.clock import SystemClock

PATIENCE: Final = 10.0  # seconds


def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds. Raises AssertionError if it does not in time."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        SystemClock().sleep(0.002)
