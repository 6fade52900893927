"""Submission: from an approval to one order at the broker, and its commit.

A client order id is unique at the broker for ever, so the same request can never make a second order. Still no request
is sent again before its order was looked up: a match is adopted, a different order under our id stops for a person.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from Departments.brokers.base import Broker
from Departments.core.errors import BrokerUnavailable, NotFound, Refusal, Refused
from Departments.core.identifiers import client_order_id
from Departments.core.logs import make_logger
from Departments.core.money import ONE, on_tick
from Departments.core.orders import (
    BUY_COLLAR,
    Order,
    OrderClass,
    OrderRequest,
    OrderType,
    RejectionSource,
    Side,
    TimeInForce,
)
from Departments.core.platform.clock import Clock
from Departments.core.reasons import Reason, ReasonCode
from Departments.core.settings import ExitSettings
from Departments.ledger.ledger import Ledger
from Departments.ledger.order_records import OrderRecord, about_order
from Departments.messaging.message import Message
from Departments.messaging.payloads import CancelRequest, ExecutiveApproval
from Departments.messaging.router import Commit
from Departments.Trading.reports import denial_escalation, outcome_report, refusal_escalation
from Departments.Trading.tracking import OrderTracker

log = make_logger(__name__)

LOOK_UPS = 3
MOMENT = timedelta(seconds=1)  # a message further ahead is of another clock
LOOK_UP_PAUSE = 2.0  # seconds; a 404 right after a time-out proves nothing


class ConflictingOrder(Refused):
    """The broker has a different order under our client order id."""


# --- what is asked of the broker ---


def order_intent(
    approval: ExecutiveApproval,
    message_id: str,
    price: Decimal | None,
    request: OrderRequest,
    at: datetime,
    approved_at: datetime | None = None,
) -> OrderRecord:
    """Return the intent of an approved order; `price` is expected, in dollars a share.

    It is no earlier than an `approved_at` of the next moment: approvals sent together are microseconds apart.
    """
    return OrderRecord(
        client_order_id=client_order_id(message_id),
        message_id=message_id,
        symbol=approval.symbol,
        side=approval.side,
        qty=approval.qty,
        order_type=str(request.type),
        plan_id=approval.plan_id,
        limit_price=request.limit_price,
        expected_price=price,
        stop_price=request.stop_loss,
        created_at=max(at, approved_at) if approved_at and approved_at - at < MOMENT else at,
    )


def withdrawn_intent(request: CancelRequest, at: datetime) -> OrderRecord:
    """Return the intent of an approval withdrawn before its order was sent."""
    return OrderRecord(
        client_order_id=client_order_id(request.approval_message_id),
        message_id=request.approval_message_id,
        symbol=request.symbol,
        side=request.side,
        qty=request.qty,
        order_type=OrderType.MARKET,
        plan_id=request.plan_id,
        created_at=at,
    )


def order_request(
    approval: ExecutiveApproval,
    message_id: str,
    price: Decimal | None,
    exits: ExitSettings,
    held: tuple[Decimal, Decimal] | None = None,
) -> OrderRequest:
    """Return the request to the broker. A BUY carries its exits as a bracket where possible.

    `held` are target and stop of the position that it tops up (dollars a share): its own exits stand there, too.

    A bracket takes whole shares only and lives until cancelled, so the exits outlast the day. `price` is the market
    price now.
    """
    limit = _find_limit(approval, price)
    common = OrderRequest(
        client_order_id=client_order_id(message_id),
        symbol=approval.symbol,
        side=approval.side,
        qty=approval.qty,
        type=OrderType.MARKET if limit is None else OrderType.LIMIT,
        limit_price=limit,
    )
    is_whole = approval.qty == approval.qty.to_integral_value()
    has_bracket = exits.enabled and exits.kind == "bracket"  # a trailing stop follows the fill, in PROTECT
    if approval.side is Side.SELL or not has_bracket or price is None or not is_whole:
        return common
    take_profit, stop_loss = exits.around(price)
    if held is not None and held[1] < price and (limit or price) < held[0]:
        take_profit, stop_loss = held
    return replace(
        common,
        time_in_force=TimeInForce.GTC,
        order_class=OrderClass.BRACKET,
        take_profit=take_profit,
        stop_loss=stop_loss,
    )


def _find_limit(approval: ExecutiveApproval, price: Decimal | None) -> Decimal | None:
    """Return the limit of the approval. A BUY without one gets one: no BUY pays any price."""
    if approval.limit is not None or approval.side is Side.SELL or price is None:
        return approval.limit
    return on_tick(price * (ONE + BUY_COLLAR))


# --- sending it ---


class OrderSender:
    """Submits orders with a committed intent, each once."""

    def __init__(
        self,
        broker: Broker,
        ledger: Ledger,
        clock: Clock,
        enqueue: Callable[[Message], None],
        tracker: OrderTracker,
    ) -> None:
        self._broker = broker
        self._ledger = ledger
        self._clock = clock
        self.enqueue = enqueue
        self._tracker = tracker

    def submit_once(self, intent: OrderRecord, request: OrderRequest, *, again: bool = False) -> Commit:
        """Submit an order and return its commit; `again` means after an earlier attempt.

        Raises BrokerUnavailable while nobody knows whether the broker has the order; `resume` looks for it later.
        """
        try:
            return self._accept(self._broker.submit(request))
        except BrokerUnavailable:
            return self._resolve(intent, request)
        except Refused as refusal:
            return self._adopt_or_refuse(intent, request, refusal, again=again)

    def resume(self, intent: OrderRecord, request: OrderRequest, violations: Sequence[Reason] = ()) -> Commit:
        """Adopt the order of an earlier attempt, else submit it again.

        With `violations` it is not submitted again, and cancelled should it turn up: nobody can prove that it never
        arrived.
        """
        try:
            found = self._look_up(request)
        except ConflictingOrder as conflict:
            return self._refuse(intent, conflict)
        if found is not None:
            return self._accept(found)
        if violations:
            return partial(self._cancel_when_seen, intent, violations)
        return self.submit_once(intent, request, again=True)

    def deny(self, intent: OrderRecord, violations: Sequence[Reason]) -> Commit:
        """Return the commit of an order denied by our own check."""
        now = self._clock.now()
        escalation = denial_escalation(intent, violations, now)
        reason = "; ".join(map(str, violations))
        log.warning("Denied %s %s: %s", intent.side, intent.symbol, reason, extra=about_order(intent))

        def commit() -> None:
            self._ledger.orders.deny(intent, str(violations[0].code), reason, now, escalation.message_id)
            self.enqueue(escalation)
            self.report(intent)

        return commit

    def report(self, intent: OrderRecord) -> None:
        """Report the outcome of an approval to the Executive. Joins the caller's transaction."""
        record = self._ledger.orders.find(intent.client_order_id)
        if record is not None:
            self.enqueue(outcome_report(record, self._clock.now()))

    # --- what the broker answers ---

    def _accept(self, order: Order) -> Commit:
        return partial(self._tracker.observe, [order])

    def _resolve(self, intent: OrderRecord, request: OrderRequest) -> Commit:
        """Resolve an unclear answer: adopt the order, else submit it a second time."""
        try:
            found = self._look_up(request)
            return self._accept(self._broker.submit(request) if found is None else found)
        except ConflictingOrder as conflict:
            return self._refuse(intent, conflict)
        except Refused as refusal:
            return self._adopt_or_refuse(intent, request, refusal, again=True)

    def _adopt_or_refuse(self, intent: OrderRecord, request: OrderRequest, refusal: Refused, *, again: bool) -> Commit:
        """Adopt our order after a refused second attempt, else record the refusal.

        The first order holds its shares or cash, so a second attempt may be refused for want of either.
        """
        is_taken = refusal.reason is Refusal.DUPLICATE_ID
        try:
            found = self._look_up(request) if is_taken or again else None
        except ConflictingOrder as conflict:
            return self._refuse(intent, conflict)
        if found is not None:
            return self._accept(found)
        return self._wait_to_see(intent) if is_taken else self._refuse(intent, refusal)

    def _look_up(self, request: OrderRequest) -> Order | None:
        """Return the order of an earlier attempt. Returns None if the broker does not know it, asked several times.

        Raises ConflictingOrder and BrokerUnavailable.
        """
        for attempt in range(LOOK_UPS):
            if attempt:
                self._clock.sleep(LOOK_UP_PAUSE)
            try:
                return _match(self._broker.order_by_client_id(request.client_order_id), request)
            except NotFound:
                continue
        return None

    def _wait_to_see(self, intent: OrderRecord) -> Commit:
        """Record an order at the broker but not shown. It is looked for and never taken for lost."""
        problem = f"{intent.client_order_id} is taken at the broker but cannot be found"
        log.warning("%s %s: %s; looking for it", intent.side, intent.symbol, problem, extra=about_order(intent))
        return partial(self._ledger.orders.mark_taken, intent.client_order_id, self._clock.now())

    def _cancel_when_seen(self, intent: OrderRecord, violations: Sequence[Reason]) -> None:
        code, reason = str(violations[0].code), "; ".join(map(str, violations))
        self._ledger.orders.request_cancel(intent.client_order_id, code, reason, self._clock.now())

    def _refuse(self, intent: OrderRecord, refusal: Refused) -> Commit:
        now, is_conflict = self._clock.now(), isinstance(refusal, ConflictingOrder)
        reason = refusal_reason(refusal)
        escalation = refusal_escalation(intent, reason, now)
        source = RejectionSource.DUPLICATE if is_conflict else RejectionSource.BROKER
        log.warning("Rejected %s %s: %s", intent.side, intent.symbol, reason, extra=about_order(intent))

        def commit() -> None:
            self._ledger.orders.refuse(
                intent.client_order_id, str(reason.code), str(reason), now, escalation.message_id, source=source
            )
            if is_conflict:
                self._ledger.releases.lock(intent.symbol, str(refusal), now)
            self.enqueue(escalation)
            self.report(intent)

        return commit


def _match(order: Order, request: OrderRequest) -> Order:
    asked, found = (request.symbol, request.side, request.qty), (order.symbol, order.side, order.qty)
    if asked == found:
        return order
    raise ConflictingOrder(
        Refusal.DUPLICATE_ID,
        f"client order id {request.client_order_id} belongs to another order: {found}, not {asked}",
    )


def refusal_reason(refused: Refused) -> Reason:
    """Return the coded reason of a refusal with the broker's numbers and words."""
    return Reason.of(ReasonCode[refused.reason], str(refused), **refused.numbers)
