"""One execution of a plan: free the shares, SELL, wait, count the cash, BUY, wait, protect.

Every step is committed before it is acted on and read back from the ledger. So a killed execution goes on: a phase is
dispatched once, and waited for until it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from Departments.brokers.patience import Silence
from Departments.core.errors import BrokerUnavailable
from Departments.core.logs import SparseLine, about, make_logger
from Departments.core.money import ZERO, count_noun
from Departments.core.orders import OrderStatus, Side
from Departments.core.plans import Trade, TradingPlan
from Departments.core.platform.clock import Clock
from Departments.core.reasons import Reason, ReasonCode
from Departments.core.settings import Phases
from Departments.core.statuses import ExecutionStatus, PhaseName, PhaseOutcome, PhaseState, TradeStatus
from Departments.Executive.cash_count import CashCounter
from Departments.Executive.day_order import DayFailed
from Departments.Executive.dead_instructions import end_refused
from Departments.Executive.dispatches import approval_id, cancel_request, instruction, outcome_message, report_message
from Departments.Executive.funding import Decision
from Departments.Executive.outcomes import is_order_of, with_order
from Departments.Executive.phase_decisions import PhaseDecisions
from Departments.Executive.phases import DONE, PhaseEvent, PhaseWaits, after, is_in_order, waits_of
from Departments.Executive.remainder import keep_last
from Departments.Executive.reporting.issues import find_issues
from Departments.Executive.reporting.report import Report, Reporter
from Departments.Executive.reporting.run_cash import adds_up, describe_difference
from Departments.Executive.reporting.since_last import since_last_report
from Departments.ledger.ledger import Ledger
from Departments.ledger.plan_records import ExecutionRecord, PhaseRecord, TradeRecord
from Departments.messaging.bus import Bus
from Departments.messaging.message import Message

log = make_logger(__name__)

#: A broker that is silent for longer ends the run; the next one goes on.
LONGEST_SILENCE = timedelta(minutes=10)
#: Between what a phase sends together: messages are handled in the order of their times.
IN_TURN = timedelta(microseconds=1)
WAITING = {
    PhaseName.RELEASE: ("symbol", "Waiting for the exits of {} to be cancelled: {}"),
    PhaseName.SELL: ("order", "Waiting for {} to fill: {}"),
    PhaseName.BUY: ("order", "Waiting for {} to fill: {}"),
    PhaseName.PROTECT: ("symbol", "Waiting for the exits of {} to be live: {}"),
}
ALL_DONE = {
    PhaseName.RELEASE: "All exits of the shares to sell are cancelled",
    PhaseName.SELL: "All SELL orders filled",
    PhaseName.BUY: "All BUY orders filled",
    PhaseName.PROTECT: "Every share bought has live exits",
}


@dataclass(frozen=True, slots=True)
class PlanExecution:
    """The execution of one plan: `begin`, `open`, then `advance` until no phase is left, `finish`.

    After its end `begin` starts a further attempt: it executes what the attempts before left for passing reasons.
    A `courier` sends the instruction of each SELL and BUY; what it returns False for is not sent.

    Calling any of them again goes on where the ledger is. All raise BrokerUnavailable when the account cannot be read.
    """

    plan: TradingPlan
    ledger: Ledger
    bus: Bus
    clock: Clock
    settings: Phases
    decisions: PhaseDecisions
    cash: CashCounter
    reporter: Reporter
    silence: Silence
    courier: Callable[[Trade, Message], bool] | None = None
    waiting: SparseLine = field(default_factory=lambda: SparseLine(log))

    def begin(self) -> None:
        """Record the beginning of an attempt with the account's cash, equity and reserve, unless one is running.

        Raises DayFailed for a plan that a person has vetoed or rejected since it was chosen.
        """
        last = self.ledger.plans.execution(self.plan.plan_id)
        if last is not None and last.ended_at is None:
            return
        record = replace(self.cash.record_start(self.plan.plan_id), by_hand=self.plan.by_hand)
        if last is not None:
            record = replace(record, attempt=last.attempt + 1)
            log.info("%s: attempt %d", self.plan.plan_id, record.attempt)
        with self.ledger.transaction(durable=False):  # the first phase is, before anything of it is sent
            said = self.ledger.opinions.find_objection(self.plan.plan_id, self.plan.symbols)
            if said is not None:
                raise DayFailed(f"{self.plan.plan_id} is not executed: {said.sentence}; nothing was sent")
            self.ledger.plans.start(record)
        for sentence in since_last_report(self.ledger, record).sentences():
            log.info("Since the last report: %s", sentence)

    def finish(self) -> Report:
        """Record the end and send the report, in one commit."""
        plan_id, execution = self.plan.plan_id, self._execution()
        if execution.ended_at is not None:
            return self.reporter.report(self.plan)
        counted = self.cash.wait(execution)
        accounted = adds_up(counted.difference)
        if not accounted:
            log.warning("Cash is %s", describe_difference(counted.difference))
        first = self.ledger.plans.attempts(plan_id)[0]
        unprotected, facts = self.decisions.await_protection(counted.account)
        trades, now = keep_last(self.ledger.plans.trades(plan_id), execution.attempt), self.clock.now()
        sent = [t for t in trades if t.attempt == execution.attempt]
        broken = self.decisions.find_broken_limits(sent, execution, facts)
        explained = accounted and not (broken or unprotected or self.ledger.book.differences())
        all_well = explained and all(is_in_order(t.status, t.code) for t in trades)
        filled = sum(t.status == OrderStatus.FILLED for t in trades)
        change = counted.account.equity - first.equity
        is_clean = all_well and not find_issues(self.ledger)
        well = ExecutionStatus.COMPLETED if trades or self.plan.trades else ExecutionStatus.NOTHING_TO_DO
        status = well if is_clean else ExecutionStatus.COMPLETED_WITH_ISSUES
        with self.ledger.transaction():
            self.ledger.journal.report_dead_letters(plan_id)
            self.ledger.plans.finish(plan_id, status, counted.account.cash, counted.fees, now)
            for symbol, reason in broken.items():
                self.ledger.plans.note_fill(plan_id, execution.attempt, symbol, reason)
            for symbol, qty in unprotected.items():
                self.ledger.plans.note_unprotected(plan_id, _describe_unprotected(symbol, qty, execution.attempt, now))
            self.ledger.book.close(plan_id, now, counted.account.cash)
            report = self.reporter.report(self.plan)
            self.bus.enqueue(report_message(plan_id, report.text, report.document, now, execution.attempt))
            if not self.plan.by_hand:  # the outcome of a day is its plan's
                self.bus.enqueue(outcome_message(plan_id, first.started_at, filled, change, now, execution.attempt))
        self.bus.deliver_pending()
        return report

    # --- opening phases ---

    def open(self) -> PhaseRecord | None:
        """Take up an interrupted phase, or open the next one. Returns None when all have ended."""
        begun = self._list_phases(self._execution().attempt)
        if begun and begun[-1].state is not PhaseState.ENDED:
            return self._wait_anew(begun[-1])
        return self._open_next(begun)

    def _open_next(self, begun: Sequence[PhaseRecord], ended: PhaseRecord | None = None) -> PhaseRecord | None:
        """Open the next phase that sends something, in one commit with the end of the phase before.

        Phases in between that send nothing have ended with this commit. Returns None when all have ended.
        """
        opened = list(self._decide_next(begun))
        last, decisions = opened[-1] if opened else (None, [])
        sends = last is not None and last.state is not PhaseState.ENDED
        with self.ledger.transaction(durable=sends):  # else the next start ends the same phases again
            if ended is not None:
                self.ledger.plans.set_phase(self.plan.plan_id, ended)
            for phase, recorded in opened:
                self._record(phase, recorded)
        if last is None or not sends:
            return None
        self.bus.deliver_pending()
        self.silence.take()  # the clock of this phase begins now
        sent = _count_sent(decisions)
        log.info("%s phase: %s sent to Trading", last.name, count_noun(sent, "order"))
        return last

    def _decide_next(self, begun: Sequence[PhaseRecord]) -> Iterator[tuple[PhaseRecord, list[Decision]]]:
        """Yield the phases after those begun, up to the first that sends something."""
        execution, names = self._execution(), list(PhaseName)[len(begun) :]
        aborted = any(p.name == PhaseName.SELL and p.outcome is PhaseOutcome.ABORTED for p in begun)
        for name, decisions in self.decisions.list_next(names, execution, aborted=aborted):
            now = self.clock.now()
            deadline = now + timedelta(seconds=self._waits(name).timeout)
            state = after(PhaseState.PENDING, PhaseEvent.DISPATCHED)
            phase = PhaseRecord(name, state, now, deadline, None, PhaseOutcome.NONE, execution.attempt)
            if _count_sent(decisions):
                yield phase, decisions
                return
            yield _with_end(phase, PhaseEvent.ALL_TERMINAL, now, PhaseOutcome.ALL_TERMINAL), decisions

    def _record(self, phase: PhaseRecord, decisions: Sequence[Decision]) -> None:
        """Record a phase with its trades, sent or not, and the approvals themselves."""
        self.ledger.plans.set_phase(self.plan.plan_id, phase)
        if not decisions:
            return
        approved_at = self.ledger.plans.approved_at(self.plan.plan_id) or phase.started_at
        for rank, decision in enumerate(decisions):
            self._send_or_defer(phase, rank, decision, approved_at)

    def _send_or_defer(self, phase: PhaseRecord, rank: int, decision: Decision, approved_at: datetime) -> None:
        trade, sent, plan_id = decision.planned, decision.sent, self.plan.plan_id
        message_id = approval_id(plan_id, self.plan.generated_at, phase.name, trade.symbol, phase.attempt)
        if sent is not None:
            at, limit_price = phase.started_at + rank * IN_TURN, decision.limit_price
            letter = instruction(
                phase.name, sent, plan_id, message_id, at=at, approved_at=approved_at, limit_price=limit_price
            )
            if not self._send(phase.name, sent, letter):
                decision = replace(decision, sent=None, reason=Reason.of(ReasonCode.NOT_DISPATCHED))
        is_sent = decision.sent is not None
        self.ledger.plans.add_trade(plan_id, rank, _record_of(phase, decision, message_id if is_sent else None))
        if not is_sent:
            _log_deferral(decision)

    def _send(self, name: PhaseName, trade: Trade, letter: Message) -> bool:
        if self.courier is not None and name in {PhaseName.SELL, PhaseName.BUY}:
            return self.courier(trade, letter)
        self.bus.enqueue(letter)
        return True

    # --- one phase ---

    def advance(self, phase: PhaseRecord) -> PhaseRecord | None:
        """Make the due transition of a phase, or wait one poll. Returns the open phase, None when all have ended."""
        found = self.ledger.plans.trades(self.plan.plan_id, phase.name)
        trades = [t for t in found if t.attempt == phase.attempt]
        waiting = [t for t in trades if t.terminal_at is None]
        if not waiting:
            self._announce_end(phase.name, [t for t in trades if t.message_id])
            return self._end_phase(phase, PhaseEvent.ALL_TERMINAL, PhaseOutcome.ALL_TERMINAL)
        if end_refused(self.ledger, self.bus, waiting, self.clock.now()):
            return phase
        phase = self._stop_clock(self._shorten_wait(phase))
        if self.clock.now() >= phase.deadline:
            return phase if self._take_outcomes(waiting) else self._at_deadline(phase, waiting)
        self._announce_wait(phase, trades, waiting)
        self.clock.sleep(self._waits(phase.name).poll)
        return phase

    def _announce_wait(self, phase: PhaseRecord, trades: Sequence[TradeRecord], waiting: Sequence[TradeRecord]) -> None:
        """Log what a phase waits for, at each change and every 15 seconds."""
        now, symbols = self.clock.now(), sorted(t.symbol for t in waiting)
        noun, form = WAITING[phase.name]
        what = form.format(count_noun(len(waiting), noun), ", ".join(symbols))
        left = max(0, int((phase.deadline - now).total_seconds()))
        sent = sum(bool(trade.message_id) for trade in trades)
        again = f" ({sent - len(waiting)} of {sent} ended, {left // 60}:{left % 60:02d} left)"
        self.waiting.say(now, (phase.name, phase.state, symbols), what, again)

    def _stop_clock(self, phase: PhaseRecord) -> PhaseRecord:
        """Move the deadline by the broker's silence. Raises BrokerUnavailable when the silence does not end."""
        lost = self.silence.take()
        if self.silence.length() > LONGEST_SILENCE:
            minutes = LONGEST_SILENCE.seconds // 60
            raise BrokerUnavailable(f"the broker has not answered for {minutes} minutes in the {phase.name} phase")
        return self._with_deadline(phase, phase.deadline + lost) if lost else phase

    def _announce_end(self, name: PhaseName, sent: Sequence[TradeRecord]) -> None:
        """Log the end of a phase, unless it sent nothing; that of PROTECT only if the account shows the same."""
        rest = ", ".join(f"{t.symbol} {t.status}" for t in sent if t.status not in DONE)
        if rest:
            filled = f"{sum(t.status in DONE for t in sent)} of {count_noun(len(sent), 'order')}"
            log.warning("%s phase ended: %s filled; not filled: %s", name, filled, rest)
        elif sent and not (name is PhaseName.PROTECT and self.decisions.find_unprotected()):
            log.info(ALL_DONE[name])

    def _wait_anew(self, phase: PhaseRecord) -> PhaseRecord:
        """Let the wait of an interrupted phase begin again: while nobody ran, nobody could send, fill or cancel."""
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

    def _at_deadline(self, phase: PhaseRecord, waiting: Sequence[TradeRecord]) -> PhaseRecord | None:
        settings = self._waits(phase.name)
        symbols = ", ".join(sorted(t.symbol for t in waiting))
        if phase.state == PhaseState.CANCELLING:
            log.warning("%s phase: the end of these orders is unknown: %s", phase.name, symbols)
            outcome = PhaseOutcome.ABORTED if settings.on_timeout == "abort" else PhaseOutcome.LEFT_OPEN
            return self._end_phase(phase, PhaseEvent.FINAL_WAIT_OVER, outcome)
        log.warning("Timeout waiting for orders to fill after %gs: %s", settings.timeout, symbols)
        if settings.on_timeout == "leave":
            return self._end_phase(phase, PhaseEvent.DEADLINE_LEAVE, PhaseOutcome.LEFT_OPEN)
        return self._cancel(phase, waiting)

    def _take_outcomes(self, waiting: Sequence[TradeRecord]) -> bool:
        """Record ends known to the ledger and not reported. Returns True if there were any."""
        found = [(t, self.ledger.orders.find_by_message(t.message_id)) for t in waiting if t.message_id]
        ended = [with_order(t, o) for t, o in found if o is not None and o.status.is_terminal and is_order_of(t, o)]
        with self.ledger.transaction():
            return sum(self.ledger.plans.report_trade(t.message_id or "", t) for t in ended) > 0

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
        log.info("Cancelling open orders: %s", ", ".join(sorted(t.symbol for t in waiting)))
        return moved

    def _end_phase(self, phase: PhaseRecord, event: PhaseEvent, outcome: PhaseOutcome) -> PhaseRecord | None:
        """End a phase and open the next one."""
        settings = self._waits(phase.name)
        if phase.state == PhaseState.CANCELLING and settings.on_timeout == "abort":
            outcome = PhaseOutcome.ABORTED
        ended = _with_end(phase, event, self.clock.now(), outcome)
        before = [p for p in self._list_phases(phase.attempt) if p.name != phase.name]
        return self._open_next([*before, ended], ended)

    # --- small reads ---

    def _waits(self, name: PhaseName) -> PhaseWaits:
        return waits_of(name, self.settings)

    def _list_phases(self, attempt: int) -> list[PhaseRecord]:
        return [p for p in self.ledger.plans.phases(self.plan.plan_id) if p.attempt == attempt]

    def _execution(self) -> ExecutionRecord:
        execution = self.ledger.plans.execution(self.plan.plan_id)
        if execution is None:
            raise LookupError(f"{self.plan.plan_id} was never begun")
        return execution


def _count_sent(decisions: Iterable[Decision]) -> int:
    return sum(decision.sent is not None for decision in decisions)


def _with_end(phase: PhaseRecord, event: PhaseEvent, at: datetime, outcome: PhaseOutcome) -> PhaseRecord:
    return replace(phase, state=after(phase.state, event), ended_at=at, outcome=outcome)


def _record_of(phase: PhaseRecord, decision: Decision, message_id: str | None) -> TradeRecord:
    """Return the record of a decision: dispatched by `message_id`, deferred without one."""
    now = phase.started_at
    trade, sent, reason = decision.planned, decision.sent is not None, decision.reason
    return TradeRecord(
        phase=phase.name,
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
        attempt=phase.attempt,
    )


def _describe_unprotected(symbol: str, qty: Decimal, attempt: int, now: datetime) -> TradeRecord:
    """Return the record of shares that the account shows without live exits after the day."""
    reason = Reason.of(ReasonCode.NO_LIVE_EXITS, qty=qty)
    return TradeRecord(
        phase=PhaseName.PROTECT,
        symbol=symbol,
        side=Side.SELL,
        planned_qty=qty,
        qty=ZERO,
        status=TradeStatus.DEFERRED,
        terminal_at=now,
        code=str(reason.code),
        reason=str(reason),
        attempt=attempt,
    )


def _log_deferral(decision: Decision) -> None:
    trade, reason = decision.planned, decision.reason
    sentence = reason.sentence if reason else ""
    coded = "" if reason is None else str(reason)
    said = f"{sentence} ({coded})" if sentence else coded
    log.info("Deferred %s %s - %s", trade.side, trade.symbol, said, extra=about(symbol=trade.symbol))
    if reason is not None and reason.code is ReasonCode.MIN_POSITION_VALUE:
        log.info("Skipped %s - %s", trade.symbol, sentence)  # the line that scripts look for
