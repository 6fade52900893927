"""Work in a forked child that dies when it is told to."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

from Departments.core.platform.clock import SystemClock

KILL: int = getattr(signal, "SIGKILL", 9)  # what ends a process that cannot object


def in_a_child(work: Callable[[], object], *, killed_after: float | None = None) -> int:
    """Run `work` in a forked child, killed after some seconds when asked; return the signal that ended it or 0."""
    if sys.platform != "win32":
        child = os.fork()
        if child == 0:
            code = 1
            try:
                work()
                code = 0
            finally:
                os._exit(code)
        if killed_after is not None:
            SystemClock().sleep(killed_after)
            with suppress(ProcessLookupError):
                os.kill(child, KILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the child failed"
        return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    raise AssertionError("there is no fork here")


def killed_at(number: int) -> Callable[[str], None]:
    """Return a step that kills the process when a step is announced for the time after `number` others."""
    count = 0

    def step(label: str) -> None:
        nonlocal count
        count += 1
        if count == number + 1:
            os.kill(os.getpid(), KILL)

    return step
