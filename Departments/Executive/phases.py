"""The phases of an execution and the one table of their transitions.

A phase is *pending* until its orders are dispatched, then *open* until every order is terminal or the deadline has
passed; with the `cancel` and `abort` policies the rest is then *cancelling* until it is terminal or the final wait is
over. RELEASE and PROTECT have nothing to cancel: at their deadline the rest is left. Every transition is committed to
the ledger before it is acted on, so that the phase is the unit of recovery.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from Departments.core.orders import OrderStatus
from Departments.core.reasons import ReasonCode
from Departments.core.settings import Phases
from Departments.core.statuses import PhaseName, PhaseState, RequestStatus, TradeStatus

#: How a trade ends when all goes well, phase by phase.
DONE = frozenset({OrderStatus.FILLED, RequestStatus.RELEASED, RequestStatus.PROTECTED})
#: Reasons to defer a trade that need nobody's look.
HARMLESS = frozenset({ReasonCode.INSUFFICIENT_CASH, ReasonCode.MIN_POSITION_VALUE})
#: Reasons for a look although the status says that it is done.
NOT_DONE = frozenset({ReasonCode.FILLED_SHORT, ReasonCode.FILLED_BEYOND, ReasonCode.NO_LIVE_EXITS})


class PhaseEvent(StrEnum):
    """The cause of a transition."""

    DISPATCHED = "dispatched"
    ALL_TERMINAL = "all terminal"
    DEADLINE_CANCEL = "deadline: cancel"
    DEADLINE_LEAVE = "deadline: leave"
    FINAL_WAIT_OVER = "final wait over"


TRANSITIONS: dict[tuple[PhaseState, PhaseEvent], PhaseState] = {
    (PhaseState.PENDING, PhaseEvent.DISPATCHED): PhaseState.OPEN,
    (PhaseState.OPEN, PhaseEvent.ALL_TERMINAL): PhaseState.ENDED,
    (PhaseState.OPEN, PhaseEvent.DEADLINE_CANCEL): PhaseState.CANCELLING,
    (PhaseState.OPEN, PhaseEvent.DEADLINE_LEAVE): PhaseState.ENDED,
    (PhaseState.CANCELLING, PhaseEvent.ALL_TERMINAL): PhaseState.ENDED,
    (PhaseState.CANCELLING, PhaseEvent.FINAL_WAIT_OVER): PhaseState.ENDED,
}


def after(state: PhaseState, event: PhaseEvent) -> PhaseState:
    """Return the state after an event. Raises ValueError for an event that cannot happen in `state`."""
    try:
        return TRANSITIONS[state, event]
    except KeyError as error:
        raise ValueError(f"a phase that is {state} cannot see {event!r}") from error


@dataclass(frozen=True, slots=True)
class PhaseWaits:
    """The waits of a phase in seconds, and its policy for orders open at the deadline."""

    timeout: float
    poll: float
    on_timeout: Literal["cancel", "leave", "abort"]
    final_wait: float


def waits_of(name: PhaseName, settings: Phases) -> PhaseWaits:
    """Return the waits of a phase from the settings."""
    if name in {PhaseName.SELL, PhaseName.BUY}:
        orders = settings.sell if name is PhaseName.SELL else settings.buy
        return PhaseWaits(orders.timeout, orders.poll, orders.on_timeout, orders.final_wait)
    exits = settings.release if name is PhaseName.RELEASE else settings.protect
    return PhaseWaits(exits.timeout, exits.poll, "leave", 0.0)


def is_in_order(status: str, code: str) -> bool:
    """Return True if a trade needs nobody's look: it is done, or deferred for want of cash or of size."""
    return (status in DONE and code not in NOT_DONE) or (status == TradeStatus.DEFERRED and code in HARMLESS)
