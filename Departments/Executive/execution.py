"""One execution of a plan: free the shares, SELL, wait, count the cash, BUY, wait, protect.

Every step is committed before it is acted on and read back from the ledger. So a killed execution goes on: a phase is
dispatched once, and waited for until it ends.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from Departments.brokers.base import Broker
from Departments.brokers.snapshot import FactsReader
from Departments.constraints.amounts import cash_reserve
from Departments.constraints.limits import Limits
from Departments.core.facts import PlanFacts, RunFacts
from Departments.core.money import cents, usd_cents
from Departments.core.orders import OrderStatus, Side
from Departments.core.plans import TradingPlan
from Departments.core.platform.clock import Clock
from Departments.core.portfolio import Account
from Departments.core.reasons import Reason, ReasonCode
from Departments.core.settings import Settings
from Departments.core.statuses import ExecutionStatus, PhaseName, PhaseOutcome, PhaseState, TradeStatus
from Departments.core.trading_calendar import trading_day
from Departments.Executive.agenda import decide, objection
from Departments.Executive.dispatches import approval_id, cancel_request, instruction, outcome_message, report_message
from Departments.Executive.funding import Decision, budget_for
from Departments.Executive.phases import DONE, PhaseEvent, PhaseWaits, after, is_in_order, waits_of
from Departments.Executive.reporting.document import adds_up, cash_path, describe_difference
from Departments.Executive.reporting.report import Report, Reporter
from Departments.ledger.ledger import Ledger
from Departments.ledger.plan_records import ExecutionRecord, PhaseRecord, TradeRecord
from Departments.messaging.bus import Bus

log = logging.getLogger(__name__)

#: Between what a phase sends together: messages are handled in the order of their times.
IN_TURN = timedelta(microseconds=1)
WAITING = {
    PhaseName.RELEASE: "Waiting for the exits of %d symbol%s to be cancelled: %s",
    PhaseName.SELL: "Waiting for %d order%s to fill: %s",
    PhaseName.BUY: "Waiting for %d order%s to fill: %s",
    PhaseName.PROTECT: "Waiting for the exits of %d symbol%s to be live: %s",
}
ALL_DONE = {
    PhaseName.RELEASE: "All exits of what is to be sold are cancelled",
    PhaseName.SELL: "All SELL orders filled",
    PhaseName.BUY: "All BUY orders filled",
    PhaseName.PROTECT: "Every share bought has live exits",
}


@dataclass(frozen=True, slots=True)
class CashCount:
    """The account, its expected cash by fills and fees, and those fees, in dollars."""

    account: Account
    expected_cash: Decimal
    fees: Decimal

    @property
    def difference(self) -> Decimal:
        """Return the unexplained cash, to the cent: negative when cash is missing."""
        return cents(self.account.cash - self.expected_cash)


@dataclass(frozen=True, slots=True)
class PlanExecution:
    """The execution of one plan: `begin`, each phase from `open_phase` on by `advance`, `finish`.

    Calling any of them again goes on where the ledger is. `work` has every department of this process read its inbox
    once. All raise BrokerUnavailable when the account cannot be read.
    """

    plan: TradingPlan
    ledger: Ledger
    bus: Bus
    broker: Broker
    reader: FactsReader
    limits: Limits
    settings: Settings
    clock: Clock
    reporter: Reporter
    work: Callable[[], None]

    def begin(self) -> None:
        """Record the beginning with the account's cash, equity and reserve."""
        plan_id = self.plan.plan_id
        if self.ledger.plans.execution(plan_id) is not None:
            return
        account, now = self.broker.account(), self.clock.now()
        reserve = cash_reserve(self.limits, account.equity)
        record = ExecutionRecord(
            plan_id, trading_day(now), now, None, ExecutionStatus.RUNNING, account.equity, account.cash, reserve, None
        )
        with self.ledger.transaction():
            self.ledger.plans.start(record)

    def finish(self) -> Report:
        """Record the end and send the report, in one commit."""
        plan_id, execution = self.plan.plan_id, self._execution()
        if execution.ended_at is not None:
            return self.reporter.report(self.plan)
        counted = self._wait_for_cash()
        accounted = adds_up(counted.difference)
        if not accounted:
            log.warning("Cash is %s", describe_difference(counted.difference))
        trades, now = self.ledger.plans.trades(plan_id), self.clock.now()
        all_well = accounted and all(is_in_order(t.status, t.code) for t in trades)
        filled = sum(t.status == OrderStatus.FILLED for t in trades)
        change = counted.account.equity - execution.equity
        status = ExecutionStatus.COMPLETED if all_well else ExecutionStatus.COMPLETED_WITH_ISSUES
        with self.ledger.transaction():
            self.ledger.plans.finish(plan_id, status, counted.account.cash, counted.fees, now)
            report = self.reporter.report(self.plan)
            self.bus.enqueue(report_message(plan_id, report.text, report.document, now))
            self.bus.enqueue(outcome_message(plan_id, execution.started_at, filled, change, now))
        self.bus.deliver_pending()
        return report

    # --- one phase ---

    def open_phase(self, name: PhaseName) -> PhaseRecord:
        """Dispatch a phase, or take up an interrupted one."""
        begun = self._phase(name)
        return self._dispatch(name) if begun is None else self._wait_anew(begun)

    def _phase(self, name: PhaseName) -> PhaseRecord | None:
        return next((p for p in self.ledger.plans.phases(self.plan.plan_id) if p.name == name), None)

    def _dispatch(self, name: PhaseName) -> PhaseRecord:
        """Open a phase: what is sent and what is not, committed together with the approvals themselves.

        A phase in which nothing is sent has ended with that.
        """
        decisions = self._decide(name)
        now = self.clock.now()
        phase = PhaseRecord(
            name=name,
            state=after(PhaseState.PENDING, PhaseEvent.DISPATCHED),
            started_at=now,
            deadline=now + timedelta(seconds=self._waits(name).timeout),
            ended_at=None,
            outcome=PhaseOutcome.NONE,
        )
        sent = sum(d.sent is not None for d in decisions)
        if not sent:
            phase = _with_end(phase, PhaseEvent.ALL_TERMINAL, now, PhaseOutcome.ALL_TERMINAL)
        with self.ledger.transaction():
            self.ledger.plans.set_phase(self.plan.plan_id, phase)
            approved_at = self.ledger.plans.approved_at(self.plan.plan_id) or now
            for rank, decision in enumerate(decisions):
                self._send_or_defer(name, rank, decision, now, approved_at)
        if sent:
            self.bus.deliver_pending()
            log.info("%s phase: %d order%s sent to Trading", name, sent, "" if sent == 1 else "s")
        return phase

    def _send_or_defer(
        self, name: PhaseName, rank: int, decision: Decision, now: datetime, approved_at: datetime
    ) -> None:
        trade, sent, plan_id = decision.planned, decision.sent, self.plan.plan_id
        message_id = approval_id(plan_id, self.plan.generated_at, name, trade.symbol)
        self.ledger.plans.add_trade(plan_id, rank, _record(name, decision, message_id if sent else None, now))
        if sent is None:
            _log_deferral(decision)
            return
        at = now + rank * IN_TURN
        limit_price = decision.limit_price
        self.bus.enqueue(
            instruction(name, sent, plan_id, message_id, at=at, approved_at=approved_at, limit_price=limit_price)
        )

    def advance(self, phase: PhaseRecord) -> PhaseRecord:
        """Make the due transition of a phase, or wait one poll."""
        trades = self.ledger.plans.trades(self.plan.plan_id, phase.name)
        waiting = [t for t in trades if t.terminal_at is None]
        if not waiting:
            _announce_end(phase.name, [t for t in trades if t.message_id])
            return self._end_phase(phase, PhaseEvent.ALL_TERMINAL, PhaseOutcome.ALL_TERMINAL)
        phase = self._shorten_wait(phase)
        if self.clock.now() >= phase.deadline:
            return self._at_deadline(phase, waiting)
        symbols = ", ".join(sorted(t.symbol for t in waiting))
        log.info(WAITING[phase.name], len(waiting), "" if len(waiting) == 1 else "s", symbols)
        self.clock.sleep(self._waits(phase.name).poll)
        return phase

    def _wait_anew(self, phase: PhaseRecord) -> PhaseRecord:
        """Let the wait of an interrupted phase begin again: while nobody ran, nobody could send, fill or cancel."""
        if phase.state == PhaseState.ENDED:
            return phase
        return self._with_deadline(phase, self.clock.now() + self._longest_wait(phase))

    def _shorten_wait(self, phase: PhaseRecord) -> PhaseRecord:
        """Shorten the wait where a clock set back has made it longer."""
        latest = self.clock.now() + self._longest_wait(phase)
        return self._with_deadline(phase, latest) if phase.deadline > latest else phase

    def _longest_wait(self, phase: PhaseRecord) -> timedelta:
        waits = self._waits(phase.name)
        return timedelta(seconds=waits.final_wait if phase.state == PhaseState.CANCELLING else waits.timeout)

    def _with_deadline(self, phase: PhaseRecord, deadline: datetime) -> PhaseRecord:
        moved = replace(phase, deadline=deadline)
        with self.ledger.transaction():
            self.ledger.plans.set_phase(self.plan.plan_id, moved)
        return moved

    def _at_deadline(self, phase: PhaseRecord, waiting: Sequence[TradeRecord]) -> PhaseRecord:
        settings = self._waits(phase.name)
        symbols = ", ".join(sorted(t.symbol for t in waiting))
        if phase.state == PhaseState.CANCELLING:
            log.warning("%s phase ends with orders whose end is unknown: %s", phase.name, symbols)
            outcome = PhaseOutcome.ABORTED if settings.on_timeout == "abort" else PhaseOutcome.LEFT_OPEN
            return self._end_phase(phase, PhaseEvent.FINAL_WAIT_OVER, outcome)
        log.warning("Timeout waiting for orders to fill after %gs: %s", settings.timeout, symbols)
        if settings.on_timeout == "leave":
            return self._end_phase(phase, PhaseEvent.DEADLINE_LEAVE, PhaseOutcome.LEFT_OPEN)
        return self._cancel(phase, waiting)

    def _cancel(self, phase: PhaseRecord, waiting: Sequence[TradeRecord]) -> PhaseRecord:
        settings = self._waits(phase.name)
        now = self.clock.now()
        reason = Reason.of(ReasonCode.PHASE_TIMEOUT, phase=phase.name, timeout=f"{settings.timeout:g}s")
        moved = replace(
            phase,
            state=after(phase.state, PhaseEvent.DEADLINE_CANCEL),
            deadline=now + timedelta(seconds=settings.final_wait),
        )
        with self.ledger.transaction():
            self.ledger.plans.set_phase(self.plan.plan_id, moved)
            for trade in waiting:
                self.bus.enqueue(cancel_request(trade, reason, now))
        self.bus.deliver_pending()
        log.info("Cancelling what is still open: %s", ", ".join(sorted(t.symbol for t in waiting)))
        return moved

    def _end_phase(self, phase: PhaseRecord, event: PhaseEvent, outcome: PhaseOutcome) -> PhaseRecord:
        settings = self._waits(phase.name)
        if phase.state == PhaseState.CANCELLING and settings.on_timeout == "abort":
            outcome = PhaseOutcome.ABORTED
        moved = _with_end(phase, event, self.clock.now(), outcome)
        with self.ledger.transaction():
            self.ledger.plans.set_phase(self.plan.plan_id, moved)
        return moved

    # --- facts ---

    def _decide(self, name: PhaseName) -> list[Decision]:
        """Read the facts and decide a phase. Raises BrokerUnavailable when the broker stays away."""
        run = self._run_facts(name)
        if not self._may_decide(name, run):
            return []
        buying = name is PhaseName.BUY
        counted = self._wait_for_cash() if buying and not run.aborted else None
        if counted is not None:
            run = replace(run, expected_cash=counted.expected_cash)
        wanted = (t.symbol for t in self.plan.buys if buying)
        read = self.reader.read(wanted, account=counted.account if counted else None, buying=buying)
        facts = replace(read, plan=PlanFacts.of(self.plan), run=run)
        if buying and any(objection(t, facts, self.limits) is None for t in self.plan.buys):
            log.info("Cash for BUYs: %s (reserve %s)", *map(usd_cents, (budget_for(facts, self.limits), run.reserve)))
        return decide(name, self.plan, facts, self.limits, self.settings.phases.buy.shortfall)

    def _may_decide(self, name: PhaseName, run: RunFacts) -> bool:
        """Return True if a phase may have something to decide."""
        if name is PhaseName.PROTECT:
            return any(run.unprotected.values())
        return bool(self.plan.buys if name is PhaseName.BUY else self.plan.sells)

    def _run_facts(self, name: PhaseName) -> RunFacts:
        ledger, plan_id = self.ledger, self.plan.plan_id
        phases = ledger.plans.phases(plan_id)
        aborted = any(p.name == PhaseName.SELL and p.outcome is PhaseOutcome.ABORTED for p in phases)
        run = RunFacts(self._execution().reserve, aborted=PhaseName.SELL if aborted else "")
        if name is not PhaseName.PROTECT:
            return run
        entries = (order.intent for order in ledger.orders.find_open_trades())
        return replace(
            run,
            unprotected=ledger.shares_without_exits(exits_wanted=self.settings.exits.enabled),
            releasing=frozenset(release.symbol for release in ledger.releases.find_open()),
            entering=frozenset(entry.symbol for entry in entries if entry.side is Side.BUY),
        )

    def _wait_for_cash(self) -> CashCount:
        """Read the account. While its cash and the fills disagree, wait and read again, but not for ever."""
        clock, settings = self.clock, self.settings.phases.buy
        give_up = clock.now() + timedelta(seconds=settings.cash_wait)
        counted = self._count_cash()
        while not adds_up(counted.difference) and clock.now() < give_up:
            clock.sleep(settings.poll)
            give_up = min(give_up, clock.now() + timedelta(seconds=settings.cash_wait))  # it may have been set back
            self.work()
            counted = self._count_cash()
        return counted

    def _count_cash(self) -> CashCount:
        """Read the account and count start cash + SELL fills − BUY fills − fees beside it."""
        execution, account = self._execution(), self.broker.account()
        fees = self.broker.fees(execution.started_at)
        fills = self.ledger.execution_fills(self.plan.plan_id)
        return CashCount(account, cash_path(execution.cash_before, fills)[-1] - fees, fees)

    # --- small reads ---

    def _waits(self, name: PhaseName) -> PhaseWaits:
        return waits_of(name, self.settings.phases)

    def _execution(self) -> ExecutionRecord:
        execution = self.ledger.plans.execution(self.plan.plan_id)
        if execution is None:
            raise LookupError(f"{self.plan.plan_id} was never begun")
        return execution


def _with_end(phase: PhaseRecord, event: PhaseEvent, at: datetime, outcome: PhaseOutcome) -> PhaseRecord:
    return replace(phase, state=after(phase.state, event), ended_at=at, outcome=outcome)


def _announce_end(name: PhaseName, sent: Sequence[TradeRecord]) -> None:
    """Log the end of a phase, unless it sent nothing."""
    rest = ", ".join(f"{t.symbol} {t.status}" for t in sent if t.status not in DONE)
    if rest:
        filled = sum(t.status in DONE for t in sent)
        log.warning("All %s orders ended, %d of %d filled; %s", name, filled, len(sent), rest)
    elif sent:
        log.info(ALL_DONE[name])


def _record(phase: PhaseName, decision: Decision, message_id: str | None, now: datetime) -> TradeRecord:
    """Return the record of a decision: dispatched by `message_id`, deferred without one."""
    trade, sent, reason = decision.planned, decision.sent is not None, decision.reason
    return TradeRecord(
        phase=phase,
        symbol=trade.symbol,
        side=trade.side,
        planned_qty=trade.qty,
        qty=decision.qty,
        price=trade.price,
        score=trade.score,
        sector=trade.sector,
        status=TradeStatus.DISPATCHED if sent else TradeStatus.DEFERRED,
        message_id=message_id,
        dispatched_at=now if sent else None,
        terminal_at=None if sent else now,
        code="" if reason is None else str(reason.code),
        reason="" if reason is None else str(reason),
    )


def _log_deferral(decision: Decision) -> None:
    trade, reason = decision.planned, decision.reason
    sentence = reason.sentence if reason else ""
    coded = "" if reason is None else str(reason)
    log.info("Deferred %s %s - %s", trade.side, trade.symbol, f"{sentence} ({coded})" if sentence else coded)
