"""One execution of a plan: free the shares, SELL, wait, count the cash that is there, BUY, wait, protect.

Everything is committed before it is acted on and everything is read back from the ledger, so an execution that was
killed goes on where it stood: a phase that was not dispatched is dispatched, one that was is waited for.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from Departments.constraints.checks import cash_reserve
from Departments.core.facts import PlanFacts, RunFacts
from Departments.core.money import cents, usd_cents
from Departments.core.orders import OrderStatus, Side
from Departments.core.plans import TradingPlan
from Departments.core.portfolio import Account
from Departments.core.reasons import Reason, ReasonCode
from Departments.core.statuses import ExecutionStatus, PhaseName, PhaseOutcome, PhaseState, TradeStatus
from Departments.core.trading_calendar import trading_day
from Departments.Executive.agenda import decide, objection
from Departments.Executive.answers import DONE, went_well
from Departments.Executive.dispatches import approval_id, cancel_request, instruction, outcome_message, report_message
from Departments.Executive.funding import Decision, budget_for
from Departments.Executive.parts import ExecutiveParts
from Departments.Executive.phases import PhaseEvent, PhaseWaits, after, waits_of
from Departments.Executive.reporter import Report, Reporter
from Departments.Executive.reporting.document import adds_up, cash_path, unexplained
from Departments.ledger.plan_records import ExecutionRecord, PhaseRecord, TradeRecord

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
    """The account as it is, the cash (dollars) that it should have by fills and fees, and those fees."""

    account: Account
    expected_cash: Decimal
    fees: Decimal

    @property
    def difference(self) -> Decimal:
        """Return what nobody can explain, to the cent: negative when cash is missing."""
        return cents(self.account.cash - self.expected_cash)


@dataclass(frozen=True, slots=True)
class PlanExecution:
    """Executes one plan to its end. `look` lets everyone, the CEO included, read their inboxes once."""

    plan: TradingPlan
    parts: ExecutiveParts
    look: Callable[[], None]

    def run(self) -> Report:
        """Execute every phase that has not ended, in order, record the end and return the report that was sent of it.

        Raises BrokerUnavailable when the account cannot be read; calling it again goes on where it stood.
        """
        self._begin()
        for name in PhaseName:
            self._run_phase(name)
        return self._finish()

    # --- begin and finish ---

    def _begin(self) -> None:
        p, plan_id = self.parts, self.plan.plan_id
        if p.ledger.plans.execution(plan_id) is not None:
            return
        account, now = p.broker.account(), p.clock.now()
        reserve = cash_reserve(p.limits, account.equity)
        record = ExecutionRecord(
            plan_id, trading_day(now), now, None, ExecutionStatus.RUNNING, account.equity, account.cash, reserve, None
        )
        with p.ledger.transaction():
            p.ledger.plans.start(record)

    def _finish(self) -> Report:
        p, plan_id, execution = self.parts, self.plan.plan_id, self._execution()
        if execution.ended_at is not None:
            return Reporter(p).report(self.plan)
        counted = self._cash_when_it_arrived()
        accounted = adds_up(counted.difference)
        if not accounted:
            log.warning("Cash is %s", unexplained(counted.difference))
        trades, now = p.ledger.plans.trades(plan_id), p.clock.now()
        all_well = accounted and all(went_well(t.status, t.code) for t in trades)
        filled = sum(t.status == OrderStatus.FILLED for t in trades)
        change = counted.account.equity - execution.equity
        status = ExecutionStatus.COMPLETED if all_well else ExecutionStatus.COMPLETED_WITH_ISSUES
        with p.ledger.transaction():
            p.ledger.plans.finish(plan_id, status, counted.account.cash, counted.fees, now)
            report = Reporter(p).report(self.plan)
            p.bus.enqueue(report_message(plan_id, report.text, report.document, now))
            p.bus.enqueue(outcome_message(plan_id, execution.started_at, filled, change, now))
        p.bus.deliver_pending()
        return report

    # --- one phase ---

    def _run_phase(self, name: PhaseName) -> None:
        begun = self._phase(name)
        phase = self._dispatch(name) if begun is None else self._waiting_anew(begun)
        while phase.state != PhaseState.ENDED:
            self.look()
            phase = self._advance(phase)

    def _phase(self, name: PhaseName) -> PhaseRecord | None:
        return next((p for p in self.parts.ledger.plans.phases(self.plan.plan_id) if p.name == name), None)

    def _dispatch(self, name: PhaseName) -> PhaseRecord:
        """Open a phase: what is sent and what is not, committed together with the approvals themselves.

        A phase in which nothing is sent has ended with that.
        """
        p = self.parts
        decisions = self._decisions(name)
        now = p.clock.now()
        phase = PhaseRecord(
            name=name,
            state=after(PhaseState.PENDING, PhaseEvent.DISPATCHED),
            started_at=now,
            deadline=now + timedelta(seconds=self._waits(name).timeout),
            ended_at=None,
            outcome=PhaseOutcome.NONE,
        )
        sent = sum(d.qty > 0 for d in decisions)
        if not sent:
            phase = _ended(phase, PhaseEvent.ALL_TERMINAL, now, PhaseOutcome.ALL_TERMINAL)
        with p.ledger.transaction():
            p.ledger.plans.set_phase(self.plan.plan_id, phase)
            approved_at = p.ledger.plans.approved_at(self.plan.plan_id) or now
            for rank, decision in enumerate(decisions):
                self._send_or_defer(name, rank, decision, now, approved_at)
        if sent:
            p.bus.deliver_pending()
            log.info("%s phase: %d order%s sent to Trading", name, sent, "" if sent == 1 else "s")
        return phase

    def _send_or_defer(
        self, name: PhaseName, rank: int, decision: Decision, now: datetime, approved_at: datetime
    ) -> None:
        trade, plan_id, sent = decision.trade, self.plan.plan_id, decision.qty > 0
        message_id = approval_id(plan_id, self.plan.generated_at, name, trade.ticker)
        code, reason = _code_and_reason(decision.reason)
        record = TradeRecord(
            phase=name,
            ticker=trade.ticker,
            side=trade.side,
            planned_qty=trade.qty,
            qty=decision.qty,
            price=trade.price,
            score=trade.score,
            sector=trade.sector,
            status=TradeStatus.DISPATCHED if sent else TradeStatus.DEFERRED,
            message_id=message_id if sent else None,
            dispatched_at=now if sent else None,
            terminal_at=None if sent else now,
            code=code,
            reason=reason,
        )
        self.parts.ledger.plans.add_trade(plan_id, rank, record)
        if sent:
            at = now + rank * IN_TURN
            self.parts.bus.enqueue(instruction(name, decision, plan_id, message_id, at=at, approved_at=approved_at))
        else:
            says = decision.reason.sentence if decision.reason else ""
            log.info("Deferred %s %s - %s", trade.side, trade.ticker, f"{says} ({reason})" if says else reason)

    def _advance(self, phase: PhaseRecord) -> PhaseRecord:
        """Look where the phase stands; make the transition that is due, or wait one poll."""
        trades = self.parts.ledger.plans.trades(self.plan.plan_id, phase.name)
        waiting = [t for t in trades if t.terminal_at is None]
        if not waiting:
            _announce_end(phase.name, [t for t in trades if t.message_id])
            return self._moved(phase, PhaseEvent.ALL_TERMINAL, PhaseOutcome.ALL_TERMINAL)
        phase = self._not_longer_than_allowed(phase)
        if self.parts.clock.now() >= phase.deadline:
            return self._at_deadline(phase, waiting)
        tickers = ", ".join(sorted(t.ticker for t in waiting))
        log.info(WAITING[phase.name], len(waiting), "" if len(waiting) == 1 else "s", tickers)
        self.parts.clock.sleep(self._waits(phase.name).poll)
        return phase

    def _waiting_anew(self, phase: PhaseRecord) -> PhaseRecord:
        """Let the wait of an interrupted phase begin again: while nobody ran, nobody could send, fill or cancel."""
        if phase.state == PhaseState.ENDED:
            return phase
        return self._with_deadline(phase, self.parts.clock.now() + self._longest_wait(phase))

    def _not_longer_than_allowed(self, phase: PhaseRecord) -> PhaseRecord:
        """Keep a clock that was set back from making the wait longer than it was to be."""
        latest = self.parts.clock.now() + self._longest_wait(phase)
        return self._with_deadline(phase, latest) if phase.deadline > latest else phase

    def _longest_wait(self, phase: PhaseRecord) -> timedelta:
        waits = self._waits(phase.name)
        return timedelta(seconds=waits.final_wait if phase.state == PhaseState.CANCELLING else waits.timeout)

    def _with_deadline(self, phase: PhaseRecord, deadline: datetime) -> PhaseRecord:
        moved = replace(phase, deadline=deadline)
        with self.parts.ledger.transaction():
            self.parts.ledger.plans.set_phase(self.plan.plan_id, moved)
        return moved

    def _at_deadline(self, phase: PhaseRecord, waiting: Sequence[TradeRecord]) -> PhaseRecord:
        settings = self._waits(phase.name)
        tickers = ", ".join(sorted(t.ticker for t in waiting))
        if phase.state == PhaseState.CANCELLING:
            log.warning("%s phase ends with orders whose end is unknown: %s", phase.name, tickers)
            outcome = PhaseOutcome.ABORTED if settings.on_timeout == "abort" else PhaseOutcome.LEFT_OPEN
            return self._moved(phase, PhaseEvent.FINAL_WAIT_OVER, outcome)
        log.warning("Timeout waiting for orders to fill after %gs: %s", settings.timeout, tickers)
        if settings.on_timeout == "leave":
            return self._moved(phase, PhaseEvent.DEADLINE_LEAVE, PhaseOutcome.LEFT_OPEN)
        return self._cancelling(phase, waiting)

    def _cancelling(self, phase: PhaseRecord, waiting: Sequence[TradeRecord]) -> PhaseRecord:
        p, settings = self.parts, self._waits(phase.name)
        now = p.clock.now()
        reason = Reason.of(ReasonCode.PHASE_TIMEOUT, phase=phase.name, timeout=f"{settings.timeout:g}s")
        moved = replace(
            phase,
            state=after(phase.state, PhaseEvent.DEADLINE_CANCEL),
            deadline=now + timedelta(seconds=settings.final_wait),
        )
        with p.ledger.transaction():
            p.ledger.plans.set_phase(self.plan.plan_id, moved)
            for trade in waiting:
                p.bus.enqueue(cancel_request(trade, reason, now))
        p.bus.deliver_pending()
        log.info("Cancelling what is still open: %s", ", ".join(sorted(t.ticker for t in waiting)))
        return moved

    def _moved(self, phase: PhaseRecord, event: PhaseEvent, outcome: PhaseOutcome) -> PhaseRecord:
        settings = self._waits(phase.name)
        if phase.state == PhaseState.CANCELLING and settings.on_timeout == "abort":
            outcome = PhaseOutcome.ABORTED
        moved = _ended(phase, event, self.parts.clock.now(), outcome)
        with self.parts.ledger.transaction():
            self.parts.ledger.plans.set_phase(self.plan.plan_id, moved)
        return moved

    # --- facts ---

    def _decisions(self, name: PhaseName) -> list[Decision]:
        """Decide what a phase sends. Raises BrokerUnavailable when the broker stays away."""
        p, run = self.parts, self._run_facts(name)
        if not self._concerns(name, run):
            return []
        buying = name is PhaseName.BUY
        counted = self._cash_when_it_arrived() if buying and not run.aborted else None
        if counted is not None:
            run = replace(run, expected_cash=counted.expected_cash)
        wanted = (t.ticker for t in self.plan.buys if buying)
        read = p.reader.read(wanted, account=counted.account if counted else None, buying=buying)
        facts = replace(read, plan=PlanFacts.of(self.plan), run=run)
        if buying and any(objection(t, facts, p.limits) is None for t in self.plan.buys):
            log.info("Cash for BUYs: %s (reserve %s)", *map(usd_cents, (budget_for(facts, p.limits), run.reserve)))
        return decide(name, self.plan, facts, p.limits, p.settings.phases.buy.shortfall)

    def _concerns(self, name: PhaseName, run: RunFacts) -> bool:
        """Tell whether a phase may have anything to decide."""
        if name is PhaseName.PROTECT:
            return any(run.unprotected.values())
        return bool(self.plan.buys if name is PhaseName.BUY else self.plan.sells)

    def _run_facts(self, name: PhaseName) -> RunFacts:
        ledger, plan_id = self.parts.ledger, self.plan.plan_id
        phases = ledger.plans.phases(plan_id)
        aborted = any(p.name == PhaseName.SELL and p.outcome is PhaseOutcome.ABORTED for p in phases)
        run = RunFacts(self._execution().reserve, aborted=PhaseName.SELL if aborted else "")
        if name is not PhaseName.PROTECT:
            return run
        entries = (order.intent for order in ledger.orders.open_trades())
        return replace(
            run,
            unprotected=ledger.shares_without_exits(exits_wanted=self.parts.settings.exits.enabled),
            releasing=frozenset(release.ticker for release in ledger.releases.open()),
            entering=frozenset(entry.ticker for entry in entries if entry.side is Side.BUY),
        )

    def _cash_when_it_arrived(self) -> CashCount:
        """Read the account; while its cash and the fills disagree, look again and wait, but not for ever."""
        clock, settings = self.parts.clock, self.parts.settings.phases.buy
        give_up = clock.now() + timedelta(seconds=settings.cash_wait)
        counted = self._cash()
        while not adds_up(counted.difference) and clock.now() < give_up:
            clock.sleep(settings.poll)
            give_up = min(give_up, clock.now() + timedelta(seconds=settings.cash_wait))  # it may have been set back
            self.look()
            counted = self._cash()
        return counted

    def _cash(self) -> CashCount:
        """Read the account beside start cash + actual SELL fills − actual BUY fills − fees of this plan."""
        execution, account = self._execution(), self.parts.broker.account()
        fees = self.parts.broker.fees(execution.started_at)
        fills = self.parts.ledger.execution_fills(self.plan.plan_id)
        return CashCount(account, cash_path(execution.cash_before, fills)[-1] - fees, fees)

    # --- small reads ---

    def _waits(self, name: PhaseName) -> PhaseWaits:
        return waits_of(name, self.parts.settings.phases)

    def _execution(self) -> ExecutionRecord:
        execution = self.parts.ledger.plans.execution(self.plan.plan_id)
        if execution is None:
            raise LookupError(f"{self.plan.plan_id} was never begun")
        return execution


def _ended(phase: PhaseRecord, event: PhaseEvent, at: datetime, outcome: PhaseOutcome) -> PhaseRecord:
    return replace(phase, state=after(phase.state, event), ended_at=at, outcome=outcome)


def _announce_end(name: PhaseName, sent: Sequence[TradeRecord]) -> None:
    """Say how a phase that sent something ended."""
    rest = ", ".join(f"{t.ticker} {t.status}" for t in sent if t.status not in DONE)
    if rest:
        filled = sum(t.status in DONE for t in sent)
        log.warning("All %s orders ended, %d of %d filled; %s", name, filled, len(sent), rest)
    elif sent:
        log.info(ALL_DONE[name])


def _code_and_reason(reason: Reason | None) -> tuple[str, str]:
    return ("", "") if reason is None else (str(reason.code), str(reason))
