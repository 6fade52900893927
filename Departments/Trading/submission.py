"""Sending an order exactly once, whatever the line to the broker does.

The client order id is unique at the broker for ever, so sending the same request again can never make a second
order. Still nothing is sent again before it was looked for: an unclear answer is looked up, a match is adopted, a
different order under our id stops for a person.
"""

from __future__ import annotations

from Departments.brokers.base import Broker
from Departments.core.clock import Clock
from Departments.core.errors import BrokerUnavailable, NotFound, Refusal, Refused
from Departments.core.orders import Order, OrderRequest
from Departments.core.reasons import Reason, ReasonCode

LOOK_UPS = 3
LOOK_UP_PAUSE = 2.0  # seconds; a 404 right after a time-out proves nothing


class ConflictingOrder(Refused):
    """The broker has a different order under our client order id."""


class UnseenOrder(BrokerUnavailable):
    """The broker says that it has an order under our client order id, and does not show it."""


def submit_once(broker: Broker, request: OrderRequest, clock: Clock, *, again: bool = False) -> Order:
    """Submit `request`, or adopt the order that an unclear answer was about; `again` tells that one came before.

    Raises Refused when the broker refused it, ConflictingOrder when its id belongs to another order, UnseenOrder
    when the broker has it and does not show it, and BrokerUnavailable while nobody can tell; then it is to be looked
    for before this is called again.
    """
    try:
        return broker.submit(request)
    except BrokerUnavailable:
        return _resolve_unclear_answer(broker, request, clock)
    except Refused as refusal:
        return _adopt_if_ours(broker, request, clock, refusal, again=again)


def _resolve_unclear_answer(broker: Broker, request: OrderRequest, clock: Clock) -> Order:
    found = look_up(broker, request, clock)
    if found is not None:
        return found
    try:
        return broker.submit(request)
    except Refused as refusal:
        return _adopt_if_ours(broker, request, clock, refusal, again=True)


def _adopt_if_ours(broker: Broker, request: OrderRequest, clock: Clock, refusal: Refused, *, again: bool) -> Order:
    """Adopt the order that the broker refuses to take twice, be it for want of the shares or cash which that holds."""
    is_taken = refusal.reason is Refusal.DUPLICATE_ID
    found = look_up(broker, request, clock) if is_taken or again else None
    if found is None and not is_taken:
        raise refusal
    if found is None:
        raise UnseenOrder(f"{request.client_order_id} is taken at the broker but cannot be found") from refusal
    return found


def look_up(broker: Broker, request: OrderRequest, clock: Clock) -> Order | None:
    """Return the order that an earlier attempt made, None when the broker does not know it, asked several times.

    Raises ConflictingOrder and BrokerUnavailable.
    """
    for attempt in range(LOOK_UPS):
        if attempt:
            clock.sleep(LOOK_UP_PAUSE)
        try:
            return _match(broker.order_by_client_id(request.client_order_id), request)
        except NotFound:
            continue
    return None


def _match(order: Order, request: OrderRequest) -> Order:
    asked, found = (request.symbol, request.side, request.qty), (order.symbol, order.side, order.qty)
    if asked == found:
        return order
    raise ConflictingOrder(
        Refusal.DUPLICATE_ID,
        f"client order id {request.client_order_id} belongs to another order: {found}, not {asked}",
    )


def refusal_reason(refused: Refused) -> Reason:
    """Return the coded reason of a refusal, with the broker's numbers and, as sentence, its own words."""
    return Reason.of(ReasonCode[refused.reason], str(refused), **refused.numbers)
