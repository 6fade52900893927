from itertools import product

import pytest

from Departments.core.statuses import PhaseState
from Departments.Executive.phases import TRANSITIONS, PhaseEvent, after

CANNOT_HAPPEN = {
    (PhaseState.PENDING, PhaseEvent.ALL_TERMINAL),
    (PhaseState.PENDING, PhaseEvent.DEADLINE_CANCEL),
    (PhaseState.PENDING, PhaseEvent.DEADLINE_LEAVE),
    (PhaseState.PENDING, PhaseEvent.FINAL_WAIT_OVER),
    (PhaseState.OPEN, PhaseEvent.DISPATCHED),
    (PhaseState.OPEN, PhaseEvent.FINAL_WAIT_OVER),
    (PhaseState.CANCELLING, PhaseEvent.DISPATCHED),
    (PhaseState.CANCELLING, PhaseEvent.DEADLINE_CANCEL),
    (PhaseState.CANCELLING, PhaseEvent.DEADLINE_LEAVE),
    *product([PhaseState.ENDED], PhaseEvent),
}


def test_every_pair_of_state_and_event_is_decided() -> None:
    assert set(product(PhaseState, PhaseEvent)) == set(TRANSITIONS) | CANNOT_HAPPEN
    assert not set(TRANSITIONS) & CANNOT_HAPPEN


@pytest.mark.parametrize(("state", "event"), sorted(CANNOT_HAPPEN))
def test_an_event_that_cannot_happen_is_an_error(state: PhaseState, event: PhaseEvent) -> None:
    with pytest.raises(ValueError, match="cannot see"):
        after(state, event)


def test_every_state_can_reach_the_end() -> None:
    for state in PhaseState:
        reached = {state}
        while True:
            more = {end for (begin, _), end in TRANSITIONS.items() if begin in reached} | reached
            if more == reached:
                break
            reached = more
        assert PhaseState.ENDED in reached
