"""Something that happens in the middle of a command: at the moment when the desk says certain words in its log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SPEAKER = "Departments.Executive.execution"


class _Listener(logging.Handler):
    def __init__(self, words: str, deed: Callable[[], None]) -> None:
        super().__init__()
        self._words = words
        self._deed = deed
        self.heard = False

    def emit(self, record: logging.LogRecord) -> None:
        if not self.heard and self._words in record.getMessage():
            self.heard = True
            self._deed()


@contextmanager
def when_it_says(words: str, deed: Callable[[], None]) -> Iterator[None]:
    """Do `deed` once, when an execution first says `words`; that it never does is an error."""
    listener = _Listener(words, deed)
    logger = logging.getLogger(SPEAKER)
    logger.addHandler(listener)
    try:
        yield
    finally:
        logger.removeHandler(listener)
    assert listener.heard, f"the execution never said {words!r}"
