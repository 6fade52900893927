"""Handlers of the Executive's instructions: send, cancel, release exits, protect shares.

A handler acts idempotently by message id and returns what to commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal

from Departments.brokers.base import Broker
from Departments.brokers.patience import name_trouble
from Departments.core.errors import BadInput, BrokerUnavailable, NotFound, UnreadableAnswer
from Departments.core.identifiers import client_order_id
from Departments.core.logs import make_logger
from Departments.core.orders import OrderRequest, OrderStatus, OrderType, Side
from Departments.core.platform.clock import Clock
from Departments.core.portfolio import Account
from Departments.core.settings import ExitSettings
from Departments.core.statuses import PhaseName, RequestStatus
from Departments.core.trading_calendar import trading_day
from Departments.ledger.ledger import Ledger
from Departments.ledger.order_records import OrderRecord
from Departments.ledger.releases import Release
from Departments.messaging.message import Message
from Departments.messaging.payloads import CancelRequest, ExecutiveApproval, ProtectRequest, ReleaseRequest
from Departments.messaging.router import Commit
from Departments.Trading.decisions import Decisions
from Departments.Trading.exits import (
    adopt_exits,
    ask_to_cancel,
    describe_exit,
    find_exit_prices,
    is_free,
    known_as,
    name_strangers,
    protection_intent,
    release_of,
    resting_exits,
)
from Departments.Trading.judgement import Judge
from Departments.Trading.reports import request_report
from Departments.Trading.restoration import (
    RESTORES,
    ReleasedExit,
    exit_request,
    group_released,
    list_part_names,
    share_out,
)
from Departments.Trading.submission import OrderSender, order_intent, order_request, withdrawn_intent
from Departments.Trading.trails import TRUE_RANGES, find_trail, own_trailing_intent, own_trailing_request

log = make_logger(__name__)

LATE = timedelta(seconds=5)  # an older approval may have a cancel request waiting behind it
TOGETHER = timedelta(milliseconds=1)  # approvals of one phase are microseconds apart


class ApprovalHandlers:
    """Sends approved orders once and cancels them on request. `waiting` returns the messages of Trading's inbox."""

    def __init__(
        self,
        waiting: Callable[[], Iterable[Message]],
        decisions: Decisions,
        ledger: Ledger,
        clock: Clock,
        exits: ExitSettings,
        judge: Judge,
        sender: OrderSender,
    ) -> None:
        self._waiting = waiting
        self._decisions = decisions
        self._ledger = ledger
        self._clock = clock
        self._exits = exits
        self._judge = judge
        self._sender = sender
        self._cancelled: frozenset[str] | None = None

    def expect(self, symbols: Iterable[str]) -> None:
        """Expect approvals of these symbols next."""
        self._judge.expect(symbols)

    def take(self, account: Account) -> None:
        """Judge the next approvals by this account, read just now."""
        self._judge.take(account)

    def forget(self) -> None:
        """Look anew for cancel requests and facts before the next approval."""
        self._cancelled = None
        self._judge.forget()

    def send_order(self, message: Message, approval: ExecutiveApproval) -> Commit | None:
        """Judge an approval on actual facts and submit its order once."""
        refuse_unapproved(message, approval)
        self._decisions.check_approval(message, approval)
        record = self._ledger.orders.find(client_order_id(message.message_id))
        if not self._may_be_sent(message, record):
            return None
        judged = self._judge.judge(approval)
        is_buy = approval.side is Side.BUY
        held = find_exit_prices(self._ledger, approval.symbol) if is_buy else None
        request = order_request(approval, message.message_id, judged.price, self._exits, held)
        intent = order_intent(approval, message.message_id, judged.price, request, self._clock.now(), message.timestamp)
        if record is None and judged.violations:
            return self._sender.deny(intent, judged.violations)
        if record is None:
            with self._ledger.transaction():
                self._ledger.orders.intend(intent)
        self._judge.count_in(judged.order, approval.limit)  # before it is sent: an unclear answer counts, too
        if record is None:
            return self._sender.submit_once(intent, request)
        return self._sender.resume(intent, request, judged.violations)

    def _may_be_sent(self, message: Message, record: OrderRecord | None) -> bool:
        """Return True for a new approval, or one still without a clear answer."""
        if record is None:
            is_fresh = -TOGETHER <= self._clock.now() - message.timestamp <= LATE  # or the clock was set back
            if not is_fresh and message.message_id in self._cancelled_approvals():
                log.info("%s is not sent: a cancel request for it waits", message.message_id)
                return False
            return True
        if record.status is OrderStatus.UNKNOWN and record.cancel_requested_at is None:
            return True
        if record.broker_order_id is None and (record.cancel_requested_at or record.status is OrderStatus.CANCELED):
            log.info("%s was cancelled before it was sent; it is not sent", message.message_id)
        else:
            log.info("%s was handled before; it is not sent again", message.message_id)
        return False

    def _cancelled_approvals(self) -> frozenset[str]:
        """Return the approvals with a waiting cancel request. Reads the inbox once in a pass."""
        if self._cancelled is None:
            self._cancelled = self._decisions.find_cancelled(self._waiting())
        return self._cancelled

    def cancel_order(self, message: Message, request: CancelRequest) -> Commit | None:
        """Record a cancel request. The tracker asks the broker until the order has ended.

        An approval that was not sent yet is withdrawn, so that it is not sent later either.
        """
        orders, now = self._ledger.orders, self._clock.now()
        self._decisions.check_cancel(message, request)
        record = orders.find_by_message(request.approval_message_id)
        if record is None:
            return lambda: self._withdraw(request)
        if record.status.is_terminal:
            return None
        return lambda: orders.request_cancel(record.client_order_id, request.code, request.reason, now)

    def _withdraw(self, request: CancelRequest) -> None:
        now = self._clock.now()
        intent = withdrawn_intent(request, now)
        self._ledger.orders.withdraw(intent, request.code, request.reason, now)
        self._sender.report(intent)


class ExitHandlers:
    """Releases the exits of shares to be sold and protects unprotected shares."""

    def __init__(
        self,
        broker: Broker,
        ledger: Ledger,
        clock: Clock,
        decisions: Decisions,
        exits: ExitSettings,
        judge: Judge,
        sender: OrderSender,
    ) -> None:
        self._broker = broker
        self._decisions = decisions
        self._ledger = ledger
        self._clock = clock
        self._exits = exits
        self._judge = judge
        self._sender = sender

    def release_exits(self, message: Message, asked: ReleaseRequest) -> Commit:
        """Cancel the resting exits of a symbol. `end_releases` reports when its shares are free."""
        self._decisions.check_request(message, asked, PhaseName.RELEASE)
        now = self._clock.now()
        if asked.symbol in self._ledger.releases.find_locks():
            report = request_report(message.message_id, asked.symbol, asked.qty, RequestStatus.LOCKED, now)
            return lambda: self._sender.enqueue(report)
        exits = resting_exits(self._broker, asked.symbol)
        release = release_of(asked, message.message_id, exits)
        with self._ledger.transaction():
            names = [known_as(order) for order, _ in exits]
            adopt_exits(self._ledger.orders, exits, release.plan_id, now, self._ledger.orders.find_many(names))
            self._ledger.orders.release(names, now)
        for order, _ in exits:
            log.info("%s: cancelling the %s, to sell its shares", release.symbol, describe_exit(order))
            ask_to_cancel(self._broker, order.id, release.symbol)
        return lambda: self._ledger.releases.request(release, now)

    def end_releases(self) -> None:
        """Report releases with all exits ended and all shares free."""
        if not (releases := self._ledger.releases.find_open()):
            return
        exits = self._ledger.orders.find_open_exits(symbols=[release.symbol for release in releases])
        ending = {record.symbol for record in exits}
        for release in releases:
            try:
                is_done = release.symbol not in ending and is_free(self._broker.position(release.symbol), release.qty)
            except BrokerUnavailable as error:
                log.warning("%s: the free shares are unknown. %s (%s)", release.symbol, name_trouble(error), error)
                return
            if is_done:
                self._end_release(release)

    def _end_release(self, release: Release) -> None:
        now = self._clock.now()
        with self._ledger.transaction():
            self._ledger.releases.end(release.message_id, now)
            exits = self._ledger.orders.find_at_broker(release.exit_order_ids)
            report = request_report(
                release.message_id, release.symbol, release.qty, RequestStatus.RELEASED, now, name_strangers(exits)
            )
            self._sender.enqueue(report)

    def protect_shares(self, message: Message, asked: ProtectRequest) -> Commit | None:
        """Submit exits for unprotected shares, once: a stop-loss and a take-profit as one OCO, or a trailing stop.

        What the plan's RELEASE cancelled of somebody else's comes back as it was instead. The tracker reports the
        shares as protected when the exit is live.
        """
        self._decisions.check_request(message, asked, PhaseName.PROTECT)
        known = self._find_intents(message.message_id, asked)
        if known:
            unclear = [record for record in known if record.status is OrderStatus.UNKNOWN]
            resumed = [self._sender.resume(record, self._request(record)) for record in unclear]
            return _join(resumed) if resumed else None
        now = self._clock.now()
        intents = self._decide_exits(message.message_id, asked, now)
        if not intents:
            report = request_report(message.message_id, asked.symbol, asked.qty, RequestStatus.PROTECTED, now)
            return lambda: self._sender.enqueue(report)
        requests = [self._request(intent) for intent in intents]
        with self._ledger.transaction():
            for intent in intents:
                self._ledger.orders.intend(intent)
        self._judge.forget()  # the exits take shares that a SELL might be judged by
        return _join([self._sender.submit_once(*each) for each in zip(intents, requests, strict=True)])

    def _find_intents(self, message_id: str, asked: ProtectRequest) -> list[OrderRecord]:
        """Return the orders that an earlier attempt intended for a message; they were committed together."""
        first = self._ledger.orders.find_by_message(message_id)
        if first is None:
            return []
        most = len(self._ledger.releases.find_released(asked.symbol, asked.plan_id)) + 1
        parts = self._ledger.orders.find_many(list_part_names(message_id, most)) if most > 1 else {}
        return [first, *parts.values()]

    def _decide_exits(self, message_id: str, asked: ProtectRequest, at: datetime) -> list[OrderRecord]:
        position = self._broker.position(asked.symbol)
        known = find_exit_prices(self._ledger, asked.symbol)
        own = None if position is None else protection_intent(asked, message_id, position, self._exits, at, known)
        if own is None or position is None:
            return []
        if self._exits.kind == "trailing":
            own = own_trailing_intent(own, self._find_trail(asked.symbol), position.price)
        return share_out(own, self._list_released(asked.symbol, asked.plan_id), position.price)

    def _find_trail(self, symbol: str) -> Decimal:
        """Return the trail in percent, from the days before today: it is the same all day."""
        today = trading_day(self._clock.now())
        daily = self._broker.bars([symbol], days=TRUE_RANGES + 2).get(symbol, ())
        return find_trail([bar for bar in daily if bar.day < today], self._exits.stop_loss_pct)

    def _list_released(self, symbol: str, plan_id: str | None) -> list[ReleasedExit]:
        """Return somebody else's exits that a plan's RELEASE cancelled, as the broker has them now."""
        cancelled = self._ledger.releases.find_released(symbol, plan_id)
        records = self._ledger.orders.find_at_broker(cancelled)
        given_back = {record.client_order_id for record in records if record.reason.startswith(RESTORES)}
        roots = {record.broker_order_id or "": record.parent_id or record.client_order_id for record in records}
        ours = {record.broker_order_id for record in records if record.is_ours}
        roots = {each: root for each, root in roots.items() if each not in ours or root in given_back}
        found = []
        for order_id in (each for each in cancelled if each in roots):
            with suppress(NotFound, UnreadableAnswer):
                found.append(self._broker.order(order_id))
        return group_released(found, roots)

    def _request(self, intent: OrderRecord) -> OrderRequest:
        """Return the request for an intent of PROTECT. A trailing stop that comes back keeps its trail."""
        if intent.order_type != OrderType.TRAILING_STOP:
            return exit_request(intent)
        if not intent.reason.startswith(RESTORES):
            return own_trailing_request(intent, self._find_trail(intent.symbol))
        try:
            return exit_request(intent, self._broker.order(intent.reason.removeprefix(RESTORES)))
        except NotFound as error:
            problem = f"the trailing stop of {intent.symbol} cannot be found after its RELEASE"
            raise BrokerUnavailable(problem) from error


def _join(commits: Sequence[Commit]) -> Commit:
    """Return the commit of several orders."""

    def commit() -> None:
        for each in commits:
            each()

    return commit


def refuse_unapproved(message: Message, approval: ExecutiveApproval) -> None:
    """Raise BadInput for an older approval with another decision than APPROVED."""
    status = (approval.approval_status or "APPROVED").strip().upper()
    if status != "APPROVED":
        mend = "send an ExecutiveApproval"
        raise BadInput(message.message_id, "approval_status", f"is {status}", mend)
