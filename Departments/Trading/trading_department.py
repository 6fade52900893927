"""The Trading department: its message handlers, and `process_inbox` as existing scripts call it.

TradingDepartment(db_path="sentinel.db").process_inbox()
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import timedelta
from functools import cached_property, partial
from pathlib import Path
from threading import RLock

from Departments.brokers.patience import patiently
from Departments.core.answers import Answer, met
from Departments.core.departments import TRADING
from Departments.core.documents import for_scripts
from Departments.core.errors import BrokerUnavailable
from Departments.core.identifiers import client_order_id
from Departments.core.orders import OrderStatus
from Departments.core.reasons import ReasonCode
from Departments.core.statuses import RequestStatus
from Departments.ledger.order_records import OrderIntent
from Departments.ledger.releases import Release
from Departments.messaging.bus import ConsumeReport
from Departments.messaging.message import Message
from Departments.messaging.payloads import CancelRequest, ExecutiveApproval, ProtectRequest, ReleaseRequest
from Departments.messaging.router import Commit, Handler, Router
from Departments.Trading.exits import (
    adopt_exits,
    ask_to_cancel,
    is_free,
    known_as,
    protection_intent,
    protection_request,
    release_of,
    resting_exits,
)
from Departments.Trading.judgement import Judge
from Departments.Trading.orders import (
    approved_symbols,
    order_intent,
    order_request,
    refuse_strangers,
    refuse_unapproved,
    withdrawn_intent,
)
from Departments.Trading.parts import TradingParts
from Departments.Trading.reconciliation import Finding, Row, locking, missing_shares, reconcile
from Departments.Trading.reports import (
    request_report,
)
from Departments.Trading.sending import OrderSender
from Departments.Trading.tracking import OrderTracker

log = logging.getLogger(__name__)

LATE = timedelta(seconds=5)  # an approval that has waited this long may have been taken back meanwhile


class TradingDepartment:
    """Turns approvals into orders, exactly once, and follows them to their end.

    Called bare, as existing scripts do, it works in the current directory with `db_path` as its ledger, and asks
    `bootstrap` for its parts when it first needs them.
    """

    def __init__(self, db_path: str | Path = "sentinel.db", *, parts: TradingParts | None = None) -> None:
        self._called_in, self._db_path = Path.cwd(), db_path
        if parts is not None:
            self._parts = parts
        self.router = Router(TRADING, self._handlers(), prepare=self._prepare)
        self._taken_back: frozenset[str] | None = None
        self._turn = RLock()  # a watcher's script calls from more than one thread

    @cached_property
    def _parts(self) -> TradingParts:
        return _parts_for(self._called_in, Path(self._db_path))

    @cached_property
    def _tracker(self) -> OrderTracker:
        p = self._parts
        return OrderTracker(p.broker, p.ledger, p.clock, p.bus.enqueue)

    @cached_property
    def _judge(self) -> Judge:
        return Judge(self._parts)

    @cached_property
    def _sender(self) -> OrderSender:
        return OrderSender(self._parts, self._tracker)

    def _handlers(self) -> dict[str, Handler]:
        return {
            "send_order": self.send_order,
            "cancel_order": self.cancel_order,
            "release_exits": self.release_exits,
            "protect_shares": self.protect_shares,
        }

    def process_inbox(self) -> ConsumeReport | Answer:
        """Handle everything that waits in Inbox/TRADING, then look after every open order.

        An exception would end the thread of a watcher's script: what cannot be done is logged and answered.
        """
        with self._turn:
            report = met(self.work)
        if isinstance(report, dict):
            log.error("TRADING: the inbox waits: %s", report["message"])
        return report

    def work(self, *, wait: float = 10.0) -> ConsumeReport:
        """Do the same as `process_inbox` for the desk itself.

        Raises WorkspaceBusy when somebody else handles the inbox for longer than `wait` seconds, DepartmentsError.
        """
        self._look_anew()
        answers = self._broker_answers()
        report = self._parts.bus.consume(TRADING, self.router, wait=wait) if answers else self._left()
        self.track()
        return report

    def _broker_answers(self) -> bool:
        """Tell whether messages can be handled now; what waits for a broker that is away is not counted as failed."""
        p = self._parts
        if not p.bus.mailbox.waiting(TRADING):
            return True
        try:
            p.broker.account()
        except BrokerUnavailable as error:
            log.warning("The broker does not answer, the inbox waits (%s)", error)
            return False
        return True

    def _left(self) -> ConsumeReport:
        p = self._parts
        retry_at = p.clock.now() + timedelta(seconds=p.settings.phases.sell.poll)
        return ConsumeReport(TRADING, left=len(p.bus.mailbox.waiting(TRADING)), retry_at=retry_at)

    def track(self, *, exits: bool = False, asking: bool = True) -> None:
        """Bring every open order (with `exits`, every resting exit too) up to date and report outcomes.

        Without `asking` the broker is asked for no cancel that is due.
        """
        self._look_anew()
        self._tracker.track(exits=exits, asking=asking)
        self._end_releases()
        self._parts.bus.deliver_pending()

    def _look_anew(self) -> None:
        """Forget what was looked up for approvals: what comes next no longer waits together with them."""
        self._taken_back = None
        self._judge.forget()

    def reconcile(self) -> list[Row]:
        """Compare ledger and broker, take over what matches, lock what does not; nothing is sent.

        Raises BrokerUnavailable.
        """
        p, now = self._parts, self._parts.clock.now()
        in_hand = {message.message_id for message in p.bus.waiting(TRADING)}
        ask = partial(reconcile, p.broker, p.ledger.orders, now, in_hand)
        rows = patiently(ask, p.clock, seconds=p.settings.phases.patience)
        with p.ledger.transaction():
            accepted = p.ledger.releases.find_accepted()
            p.ledger.releases.lock(locking(rows, accepted), now)
        for row in rows:
            locks = row.locks and row.client_order_id not in accepted
            log.log(logging.WARNING if locks else logging.DEBUG, "%s: %s", row.finding, row.sentence)
        self.track(exits=True, asking=False)
        return rows

    def accept(self, ticker: str) -> list[Row]:
        """Take a person's word that what ledger and broker disagree about is looked after; unlock the symbol.

        An order that the broker does not know is withdrawn from the ledger. Returns what was accepted. Raises
        BrokerUnavailable.
        """
        p, now = self._parts, self._parts.clock.now()
        before = p.ledger.releases.find_accepted()
        found = self.reconcile()
        rows = [r for r in found if r.locks and r.ticker == ticker and r.client_order_id not in before]
        with p.ledger.transaction():
            for row in rows:
                p.ledger.releases.accept(row.client_order_id, row.sentence, now)
                record = p.ledger.orders.find(row.client_order_id)
                if row.order is None and row.finding is not Finding.UNREADABLE and record is not None:
                    p.ledger.orders.withdraw(record.intent, ReasonCode.SYMBOL_LOCKED, row.sentence, now)
                    self._sender.report(record.intent)
        self.reconcile()
        return rows

    def reconcile_positions(self, max_age_hours: float = 24) -> Answer:
        """Compare what the ledger's fills say of the last hours with the broker's positions.

        Returns `{"status": "OK" | "MISMATCH", "positions": {TICKER: qty}, "discrepancies": [...]}`; it sends nothing.
        """
        with self._turn:
            return met(self._reconciled_positions, max_age_hours)

    def _reconciled_positions(self, max_age_hours: float) -> Answer:
        since = self._parts.clock.now() - timedelta(hours=max_age_hours)
        positions = self._parts.broker.positions()
        held = {p.symbol: p.qty for p in positions}
        unknown = {row.symbol for row in positions.unreadable}
        fills = (f for f in self._parts.ledger.orders.fills_since(since) if f.ticker not in unknown)
        missing = missing_shares(fills, held)
        answer = {"status": "MISMATCH" if missing else "OK", "positions": held, "discrepancies": missing}
        return dict(for_scripts(answer))

    def _prepare(self, messages: Iterable[Message]) -> None:
        approvals = (m for m in messages if self.router.type_of(m) == "ExecutiveApproval")
        self._judge.expect(approved_symbols(approvals))

    def send_order(self, message: Message, approval: ExecutiveApproval) -> Commit | None:
        """Judge an approval and send its order once."""
        refuse_strangers(message)
        refuse_unapproved(message, approval)
        record = self._parts.ledger.orders.find(client_order_id(message.message_id))
        if record is None:
            late = self._parts.clock.now() - message.timestamp > LATE
            if late and message.message_id in self._approvals_taken_back():
                log.info("%s waits for its cancel; it is not sent", message.message_id)
                return None
            return self._first_attempt(message.message_id, approval)
        if record.status is OrderStatus.UNKNOWN and record.cancel_requested_at is None:
            return self._next_attempt(message.message_id, approval)
        log.info("%s was handled before; nothing is sent twice", message.message_id)
        return None

    def _approvals_taken_back(self) -> frozenset[str]:
        """Return the approvals that a waiting cancel request is about; looked for once in a pass over the inbox."""
        if self._taken_back is None:
            waiting = (m for m in self._parts.bus.waiting(TRADING) if m.message_type == "CancelRequest")
            self._taken_back = frozenset(filter(None, (m.parent_message_id for m in waiting)))
        return self._taken_back

    def _first_attempt(self, message_id: str, approval: ExecutiveApproval) -> Commit:
        p, judged = self._parts, self._judge.judge(approval)
        request = order_request(approval, message_id, judged.price, p.settings.exits)
        intent = order_intent(approval, message_id, judged.price, request)
        if judged.violations:
            return self._sender.deny(intent, judged.violations)
        with p.ledger.transaction():
            p.ledger.orders.intend(intent, p.clock.now())
        self._judge.count_in(judged.order, approval.limit)  # before it is sent: an unclear answer counts, too
        return self._sender.send(intent, request)

    def _next_attempt(self, message_id: str, approval: ExecutiveApproval) -> Commit:
        """Look for what an earlier attempt made; send again only what is not there and may still be sent.

        What may not be sent any more is to be cancelled, should it turn up: nobody can prove that it never arrived.
        """
        judged = self._judge.judge(approval)
        self._judge.count_in(judged.order, approval.limit)
        request = order_request(approval, message_id, judged.price, self._parts.settings.exits)
        intent = order_intent(approval, message_id, judged.price, request)
        if judged.violations:
            return self._sender.find_or_give_up(intent, request, judged.violations)
        return self._sender.find_or_send(intent, request)

    def cancel_order(self, message: Message, request: CancelRequest) -> Commit | None:
        """Note that the order of an approval is to be cancelled; the tracker asks for it until the order has ended.

        An approval that was not sent yet is withdrawn, so that it is not sent later either.
        """
        refuse_strangers(message)
        orders, now = self._parts.ledger.orders, self._parts.clock.now()
        record = orders.by_message(request.approval_message_id)
        if record is None:
            return lambda: self._withdraw(request)
        if record.status.is_terminal:
            return None
        return lambda: orders.request_cancel(record.intent.client_order_id, request.code, request.reason, now)

    def _withdraw(self, request: CancelRequest) -> None:
        intent, now = withdrawn_intent(request), self._parts.clock.now()
        self._parts.ledger.orders.withdraw(intent, request.code, request.reason, now)
        self._sender.report(intent)

    # --- exits ---

    def release_exits(self, message: Message, asked: ReleaseRequest) -> Commit:
        """Cancel the resting exits of a symbol; it is reported when no order holds its shares any more."""
        refuse_strangers(message)
        p, now = self._parts, self._parts.clock.now()
        if asked.symbol in p.ledger.releases.find_locks():
            report = request_report(message.message_id, asked.symbol, asked.qty, RequestStatus.LOCKED, now)
            return lambda: p.bus.enqueue(report)
        exits = resting_exits(p.broker, asked.symbol)
        release = release_of(asked, message.message_id, exits)
        with p.ledger.transaction():
            names = [known_as(order) for order, _ in exits]
            adopt_exits(p.ledger.orders, exits, release.plan_id, now, p.ledger.orders.find_many(names))
            p.ledger.orders.release(names, now)
        for order, _ in exits:
            ask_to_cancel(p.broker, order.id, release.ticker)
        return lambda: p.ledger.releases.request(release, now)

    def _end_releases(self) -> None:
        """End the releases of symbols whose exits have all ended, and whose shares are all free."""
        p = self._parts
        releases = p.ledger.releases.open()
        exits = p.ledger.orders.open_exits(tickers=[release.ticker for release in releases])
        ending = {record.intent.ticker for record in exits}
        for release in releases:
            try:
                done = release.ticker not in ending and is_free(p.broker.position(release.ticker))
            except BrokerUnavailable as error:
                log.warning("%s: the broker did not tell what is held (%s)", release.ticker, error)
                return
            if done:
                self._end_release(release)

    def _end_release(self, release: Release) -> None:
        p, now = self._parts, self._parts.clock.now()
        with p.ledger.transaction():
            p.ledger.releases.end(release.message_id, now)
            p.bus.enqueue(request_report(release.message_id, release.ticker, release.qty, RequestStatus.RELEASED, now))

    def protect_shares(self, message: Message, asked: ProtectRequest) -> Commit | None:
        """Give unprotected shares a stop-loss and a take-profit as one OCO, sent as exactly once as any order.

        It is reported as protected when the OCO is live, by the tracker.
        """
        p, now = self._parts, self._parts.clock.now()
        record = p.ledger.orders.by_message(message.message_id)
        if record is not None:
            vague = record.status is OrderStatus.UNKNOWN
            return self._sender.find_or_send(record.intent, protection_request(record.intent)) if vague else None
        refuse_strangers(message)
        intent = self._protection(message.message_id, asked)
        if intent is None:
            report = request_report(message.message_id, asked.symbol, asked.qty, RequestStatus.PROTECTED, now)
            return lambda: p.bus.enqueue(report)
        with p.ledger.transaction():
            p.ledger.orders.intend(intent, now)
        self._judge.forget()  # the exits take the shares that a SELL might be judged by
        return self._sender.send(intent, protection_request(intent))

    def _protection(self, message_id: str, asked: ProtectRequest) -> OrderIntent | None:
        position = self._parts.broker.position(asked.symbol)
        if position is None:
            return None
        return protection_intent(asked, message_id, position, self._parts.settings.exits)


def _parts_for(workspace: Path, db_path: Path) -> TradingParts:
    from Departments.bootstrap import open_desk  # noqa: PLC0415 - the written-down exception: called bare

    return open_desk(workspace, ledger_path=workspace / db_path).trading_parts
