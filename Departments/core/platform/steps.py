"""Names of the durable steps: a test stops the desk before or after each one.

A part announces every durable step (a ledger commit, a rename, a call to the broker) to its `Step`: `before:<label>`,
then `after:<label>`. In production nobody listens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final

Step = Callable[[str], None]


_UNHEARD: Final[AbstractContextManager[None]] = nullcontext()


def no_step(label: str) -> None:
    """Listen to nothing."""


def announce(step: Step, label: str) -> AbstractContextManager[None]:
    """Announce a durable step before it, and after its success."""
    return _UNHEARD if step is no_step else _announce(step, label)


@contextmanager
def _announce(step: Step, label: str) -> Iterator[None]:
    step(f"before:{label}")
    yield
    step(f"after:{label}")
