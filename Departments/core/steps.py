"""A name for every durable step, so that a test can stop the desk before or after each one.

Whoever makes something durable (a ledger commit, a rename, a call to the broker) announces it to the `Step` it was
given: once before with `before:<label>`, once after with `after:<label>`. In production nobody listens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

Step = Callable[[str], None]


def no_step(label: str) -> None:
    """Listen to nothing."""


def announced(step: Step, label: str) -> AbstractContextManager[None]:
    """Announce a durable step before and, when it succeeded, after it."""
    return nullcontext() if step is no_step else _announced(step, label)


@contextmanager
def _announced(step: Step, label: str) -> Iterator[None]:
    step(f"before:{label}")
    yield
    step(f"after:{label}")
