"""The desk's own statuses: executions, phases, trades, requests. `core/orders` has those of orders. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from Departments.core.orders import OrderStatus


class ExecutionStatus(StrEnum):
    """The state of a plan's execution."""

    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    COMPLETED_WITH_ISSUES = "COMPLETED_WITH_ISSUES"
    NOTHING_TO_DO = "NOTHING_TO_DO"


class PhaseName(StrEnum):
    """The phases in their order."""

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
    """The outcome of a phase; NONE before its end."""

    NONE = ""
    ALL_TERMINAL = "all terminal"
    LEFT_OPEN = "left open"
    ABORTED = "aborted"


class TradeStatus(StrEnum):
    """The state of a trade without an order: sent but unanswered, not sent today, or only planned."""

    DISPATCHED = "dispatched"
    DEFERRED = "deferred"
    PLANNED = "planned"


class RequestStatus(StrEnum):
    """The outcome of a request to release or protect shares. LOCKED: its symbol is locked."""

    RELEASED = "released"
    PROTECTED = "protected"
    LOCKED = "locked"


#: The status of a trade in a phase: its order's, else the desk's own.
AnyStatus = OrderStatus | TradeStatus | RequestStatus

_BY_WORD: Final[dict[str, AnyStatus]] = {s.value: s for kind in (OrderStatus, TradeStatus, RequestStatus) for s in kind}


def status_of(word: str) -> AnyStatus:
    """Parse the status of a trade; an unknown word is `unknown`."""
    return _BY_WORD.get(word.strip().lower(), OrderStatus.UNKNOWN)
