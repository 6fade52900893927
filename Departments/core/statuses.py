"""The desk's own statuses: of executions, phases, trades and requests. An order's statuses are in `core/orders`."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from Departments.core.orders import OrderStatus


class ExecutionStatus(StrEnum):
    """The state of a plan's execution."""

    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    COMPLETED_WITH_ISSUES = "COMPLETED_WITH_ISSUES"


class PhaseName(StrEnum):
    """The phases in their order: free what is to be sold, sell, buy, protect what was bought."""

    RELEASE = "RELEASE"
    SELL = "SELL"
    BUY = "BUY"
    PROTECT = "PROTECT"


class PhaseState(StrEnum):
    """The state of a phase."""

    PENDING = "pending"
    OPEN = "open"
    CANCELLING = "cancelling"
    ENDED = "ended"


class PhaseOutcome(StrEnum):
    """How a phase ended; NONE until it has."""

    NONE = ""
    ALL_TERMINAL = "all terminal"
    LEFT_OPEN = "left open"
    ABORTED = "aborted"


class TradeStatus(StrEnum):
    """A trade without an order: sent to Trading and not answered, not sent today, or planned in a dry run."""

    DISPATCHED = "dispatched"
    DEFERRED = "deferred"
    PLANNED = "planned"


class RequestStatus(StrEnum):
    """How a request to release or protect shares ended; LOCKED refuses it because its symbol is locked."""

    RELEASED = "released"
    PROTECTED = "protected"
    LOCKED = "locked"


#: What a trade of a phase shows: its order's status where there is an order, else the desk's own.
AnyStatus = OrderStatus | TradeStatus | RequestStatus

_BY_WORD: Final[dict[str, AnyStatus]] = {s.value: s for kind in (OrderStatus, TradeStatus, RequestStatus) for s in kind}


def status_of(word: str) -> AnyStatus:
    """Read the status of a trade; an unknown word is `unknown`."""
    return _BY_WORD.get(word.strip().lower(), OrderStatus.UNKNOWN)
