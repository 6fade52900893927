"""From an intent to what the ledger keeps of its answer: sent once, found again, denied or refused."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

from Departments.core.errors import Refused
from Departments.core.orders import Order, OrderRequest, RejectionSource
from Departments.core.reasons import Reason
from Departments.ledger.order_records import OrderIntent
from Departments.messaging.router import Commit
from Departments.Trading.parts import TradingParts
from Departments.Trading.reports import denial_escalation, outcome_report, refusal_escalation
from Departments.Trading.submission import ConflictingOrder, UnseenOrder, look_up, refusal_reason, submit_once
from Departments.Trading.tracking import OrderTracker

log = logging.getLogger(__name__)


class OrderSender:
    """Sends orders whose intent is committed, and says what is to be committed of each answer."""

    def __init__(self, parts: TradingParts, tracker: OrderTracker) -> None:
        self._parts = parts
        self._tracker = tracker

    def find_or_send(self, intent: OrderIntent, request: OrderRequest) -> Commit:
        """Look for what an earlier attempt made, send what is not there, and return what is to be committed."""
        p = self._parts
        try:
            found = look_up(p.broker, request, p.clock)
        except ConflictingOrder as conflict:
            return self._refusal(intent, conflict)
        return self.send(intent, request, again=True) if found is None else partial(self._accepted, found)

    def find_or_give_up(self, intent: OrderIntent, request: OrderRequest, violations: Sequence[Reason]) -> Commit:
        """Look for what an earlier attempt made; what is not there is to be cancelled, should it turn up later."""
        try:
            found = look_up(self._parts.broker, request, self._parts.clock)
        except ConflictingOrder as conflict:
            return self._refusal(intent, conflict)
        return partial(self._unwanted, intent, violations) if found is None else partial(self._accepted, found)

    def _unwanted(self, intent: OrderIntent, violations: Sequence[Reason]) -> None:
        code, reason = str(violations[0].code), "; ".join(map(str, violations))
        self._parts.ledger.orders.request_cancel(intent.client_order_id, code, reason, self._parts.clock.now())

    def send(self, intent: OrderIntent, request: OrderRequest, *, again: bool = False) -> Commit:
        """Send an order whose intent is committed, once, and return what is to be committed of the answer."""
        try:
            order = submit_once(self._parts.broker, request, self._parts.clock, again=again)
        except UnseenOrder as unseen:
            return self._there(intent, unseen)
        except Refused as refusal:
            return self._refusal(intent, refusal)
        return partial(self._accepted, order)

    def _accepted(self, order: Order) -> None:
        self._tracker.observe([order])

    def _there(self, intent: OrderIntent, unseen: UnseenOrder) -> Commit:
        """Keep that the broker has the order: it is followed until it shows, and never taken for one that got lost."""
        log.warning("%s %s: %s; it is looked for until it shows", intent.side, intent.ticker, unseen)
        return partial(self._parts.ledger.orders.mark_taken, intent.client_order_id, self._parts.clock.now())

    def deny(self, intent: OrderIntent, violations: Sequence[Reason]) -> Commit:
        """Return what is to be committed of an order that our own check stopped."""
        now = self._parts.clock.now()
        escalation = denial_escalation(intent, violations, now)
        reason = "; ".join(map(str, violations))
        log.warning("Denied %s %s: %s", intent.side, intent.ticker, reason)

        def commit() -> None:
            orders = self._parts.ledger.orders
            orders.deny(intent, str(violations[0].code), reason, now, escalation.message_id)
            self._parts.bus.enqueue(escalation)
            self.report(intent)

        return commit

    def _refusal(self, intent: OrderIntent, refusal: Refused) -> Commit:
        now, conflict = self._parts.clock.now(), isinstance(refusal, ConflictingOrder)
        reason = refusal_reason(refusal)
        escalation = refusal_escalation(intent, reason, now)
        source = RejectionSource.DUPLICATE if conflict else RejectionSource.BROKER
        log.warning("Rejected %s %s: %s", intent.side, intent.ticker, reason)

        def commit() -> None:
            orders = self._parts.ledger.orders
            orders.refuse(
                intent.client_order_id, str(reason.code), str(reason), now, escalation.message_id, source=source
            )
            if conflict:
                self._parts.ledger.releases.lock_also(intent.ticker, str(refusal), now)
            self._parts.bus.enqueue(escalation)
            self.report(intent)

        return commit

    def report(self, intent: OrderIntent) -> None:
        """Tell the Executive what became of an approval. Joins the caller's transaction."""
        record = self._parts.ledger.orders.find(intent.client_order_id)
        if record is not None:
            self._parts.bus.enqueue(outcome_report(record, self._parts.clock.now()))
