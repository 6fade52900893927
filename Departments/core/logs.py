"""Loggers whose lines cannot be forged: the arguments of a record may be texts of strangers.

The record itself is made safe, so it is safe in every handler, those of scripts included.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from Departments.core.safe_text import Form, make_safe

#: What the lines are about at the moment, by name: plan, phase, symbol, message, order.
_ABOUT: Final[ContextVar[Mapping[str, str]]] = ContextVar("about", default=MappingProxyType({}))


@contextmanager
def log_about(**names: str | None) -> Iterator[None]:
    """Note for programs what the lines inside are about; unknown names (None) stay as they were."""
    token = _ABOUT.set({**_ABOUT.get(), **{name: value for name, value in names.items() if value is not None}})
    try:
        yield
    finally:
        _ABOUT.reset(token)


def about(**names: str | None) -> dict[str, Any]:
    """Return the `extra` of one line: what it is about, by name."""
    return {"about": {name: value for name, value in names.items() if value is not None}}


def list_subjects(record: logging.LogRecord) -> Mapping[str, str]:
    """Return what a record is about, by name."""
    return {**_ABOUT.get(), **getattr(record, "about", {})}


class _SafeRecords(logging.Filter):
    """Makes the arguments of each record safe, or its text without arguments, and its traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, Mapping):
            record.args = {name: _safe(value) for name, value in record.args.items()}
        elif record.args:
            record.args = tuple(map(_safe, record.args))
        else:
            record.msg = make_safe(record.msg)
        if record.exc_info:
            trace = logging.Formatter().formatException(record.exc_info)
            record.exc_text = make_safe(trace, Form.LINES).replace("\n", "\n    ")  # no line of it begins like a record
        return True


def make_logger(name: str) -> logging.Logger:
    """Return the logger of a module. Nothing else makes one."""
    logger = logging.getLogger(name)
    if not logger.filters:
        logger.addFilter(_SafeRecords())
    return logger


def _safe(value: Any) -> Any:
    return value if isinstance(value, int | float) else make_safe(value)


class SparseLine:
    """A line that is logged when it changes, and every 15 seconds while it does not."""

    EVERY: Final = timedelta(seconds=15)

    def __init__(self, logger: logging.Logger, level: int = logging.INFO) -> None:
        self._logger = logger
        self._level = level
        self._last: tuple[object, datetime] | None = None

    def say(self, now: datetime, key: object, text: str, again: str = "") -> None:
        """Log the text of `key` at a moment, unless it was logged a short time ago. `again` is added to a repeat."""
        is_repeat = self._last is not None and self._last[0] == key
        if self._last is not None and is_repeat and timedelta() <= now - self._last[1] < self.EVERY:
            return
        self._last = key, now
        self._logger.log(self._level, "%s%s", text, again if is_repeat else "")
