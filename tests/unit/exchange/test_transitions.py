from __future__ import annotations

from itertools import product

import pytest

from Departments.core.orders import TERMINAL, OrderStatus
from Departments.exchange.records import TRANSITIONS, Event, next_status

#: Ours alone: the broker never says them.
NOT_THE_BROKERS = {OrderStatus.DENIED, OrderStatus.UNKNOWN}


def test_every_status_of_the_broker_has_a_row() -> None:
    assert set(TRANSITIONS) == set(OrderStatus) - NOT_THE_BROKERS


def test_exactly_the_terminal_statuses_have_no_way_out() -> None:
    assert {status for status, row in TRANSITIONS.items() if not row} == TERMINAL - NOT_THE_BROKERS


def test_every_event_happens_somewhere_in_the_table() -> None:
    assert {event for row in TRANSITIONS.values() for event in row} == set(Event)


@pytest.mark.parametrize(("status", "event"), list(product(TRANSITIONS, Event)))
def test_every_pair_of_status_and_event_is_either_in_the_table_or_refused(status: OrderStatus, event: Event) -> None:
    expected = TRANSITIONS[status].get(event)
    if expected is None:
        with pytest.raises(ValueError, match="cannot"):
            next_status(status, event)
    else:
        assert next_status(status, event) is expected


@pytest.mark.parametrize("status", sorted(TRANSITIONS))
def test_every_order_can_come_to_an_end(status: OrderStatus) -> None:
    reached, front = {status}, {status}
    while front:
        front = {to for at in front for to in TRANSITIONS[at].values()} - reached
        reached |= front
    assert reached & TERMINAL


def test_a_pending_cancel_may_still_fill() -> None:
    assert next_status(OrderStatus.PENDING_CANCEL, Event.FILL) is OrderStatus.FILLED
    assert next_status(OrderStatus.PENDING_CANCEL, Event.PART) is OrderStatus.PENDING_CANCEL
