"""The signals by which a person or a system ends a program."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

#: Ctrl-C, `kill`, a closed terminal; on Windows Ctrl-Break and a closed console.
_ENDING: Final = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")


@contextmanager
def stop_on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` on every ending signal that is not ignored (`nohup` ignores one). For the main thread."""

    def handler(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of signal handlers
        stop()

    numbers = [getattr(signal, name) for name in _ENDING if hasattr(signal, name)]
    before = {number: found for number in numbers if (found := signal.getsignal(number)) is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, signal.SIG_DFL if previous is None else previous)  # None: not set by Python
