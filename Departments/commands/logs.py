"""The log as a person sees it: one line on standard error, stamped by the desk's own clock."""

from __future__ import annotations

import logging
import sys

from Departments.core.clock import Clock
from Departments.core.trading_calendar import EASTERN


class DeskFormatter(logging.Formatter):
    """Stamps each line with the desk's clock in Eastern time, so that a replayed day reads like that day."""

    def __init__(self, clock: Clock) -> None:
        super().__init__("%(message)s")
        self._clock = clock

    def format(self, record: logging.LogRecord) -> str:
        """Return `10:05:42 message`, with the level where it is a warning or worse."""
        level = "" if record.levelno < logging.WARNING else f"{record.levelname}: "
        return f"{self._clock.now().astimezone(EASTERN):%H:%M:%S} {level}{super().format(record)}"


def show_logs(clock: Clock, level: int = logging.INFO) -> None:
    """Send the package's log to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(DeskFormatter(clock))
    logger = logging.getLogger("Departments")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False
