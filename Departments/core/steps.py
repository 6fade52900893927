"""A name for every durable step, so that a test can stop the desk before or after each one.

Whoever makes something durable (a ledger commit, a rename, a call to the broker) announces it to the `Step` it was
given: once before with `before:<label>`, once after with `after:<label>`. In production nobody listens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Step = Callable[[str], None]


def no_step(label: str) -> None:
    """Listen to nothing."""


@contextmanager
def announced(step: Step, label: str) -> Iterator[None]:
    """Announce a durable step before and, when it succeeded, after it."""
    step(f"before:{label}")
    yield
    step(f"after:{label}")
