"""One execution of a plan: dispatch the SELLs, wait, count the cash that is there, dispatch the BUYs, wait.

Everything is committed before it is acted on and everything is read back from the ledger, so an execution that was
killed goes on where it stood: a phase that was not dispatched is dispatched, one that was is waited for.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from Departments.brokers.snapshot import book_of
from Departments.constraints.checks import cash_reserve, minimum_position
from Departments.core.money import ZERO, usd_cents
from Departments.core.orders import OrderStatus, Side
from Departments.core.plans import Trade, TradingPlan
from Departments.core.portfolio import Book
from Departments.core.reasons import Reason, ReasonCode
from Departments.core.settings import PhaseSettings
from Departments.core.trading_calendar import trading_day
from Departments.Executive.dispatches import approval, approval_id, cancel_request
from Departments.Executive.funding import Budget, Floor, Funding, fund
from Departments.Executive.parts import ExecutiveParts
from Departments.Executive.phases import PhaseEvent, PhaseName, PhaseState, after
from Departments.ledger.plans import ExecutionRecord, PhaseRecord, TradeRecord

log = logging.getLogger(__name__)

DEFERRED = "deferred"
ABORTED = "aborted"
RUNNING = "RUNNING"


@dataclass(frozen=True, slots=True)
class PlanExecution:
    """Executes one plan to its end. `look` lets everyone, the CEO included, read their inboxes once."""

    plan: TradingPlan
    parts: ExecutiveParts
    look: Callable[[], None]

    def run(self) -> None:
        """Execute every phase that has not ended, in order, and record the end.

        Raises BrokerUnavailable when the account cannot be read; calling it again goes on where it stood.
        """
        self._begin()
        for name in PhaseName:
            self._run_phase(name)
        self._finish()

    # --- begin and finish ---

    def _begin(self) -> None:
        p, plan_id = self.parts, self.plan.plan_id
        if p.ledger.plans.execution(plan_id) is not None:
            return
        account, now = p.broker.account(), p.clock.now()
        reserve = cash_reserve(p.limits, account.equity)
        record = ExecutionRecord(
            plan_id, trading_day(now), now, None, RUNNING, account.equity, account.cash, reserve, None
        )
        with p.ledger.transaction():
            p.ledger.plans.start(record)

    def _finish(self) -> None:
        p, plan_id = self.parts, self.plan.plan_id
        if self._execution().ended_at is not None:
            return
        cash = self._book_when_cash_arrived().cash
        trades = p.ledger.plans.trades(plan_id)
        status = "COMPLETED" if all(_went_well(t) for t in trades) else "COMPLETED_WITH_ISSUES"
        with p.ledger.transaction():
            p.ledger.plans.finish(plan_id, status, cash, p.clock.now())

    # --- one phase ---

    def _run_phase(self, name: PhaseName) -> None:
        phase = self._phase(name) or self._dispatch(name)
        while phase.state != PhaseState.ENDED:
            self.look()
            phase = self._advance(phase)

    def _phase(self, name: PhaseName) -> PhaseRecord | None:
        return next((p for p in self.parts.ledger.plans.phases(self.plan.plan_id) if p.name == name), None)

    def _dispatch(self, name: PhaseName) -> PhaseRecord:
        """Open a phase: what is sent and what is not, committed together with the approvals themselves."""
        p = self.parts
        fundings = self._fundings(name)
        now = p.clock.now()
        phase = PhaseRecord(
            name=name,
            state=after(PhaseState.PENDING, PhaseEvent.DISPATCHED),
            started_at=now,
            deadline=now + timedelta(seconds=self._settings(name).timeout),
            ended_at=None,
            outcome="",
        )
        with p.ledger.transaction():
            p.ledger.plans.set_phase(self.plan.plan_id, phase)
            for rank, funding in enumerate(fundings):
                self._send_or_defer(name, rank, funding, now)
        p.bus.deliver_pending()
        sent = [f for f in fundings if f.qty > 0]
        log.info("%s phase: %d order%s sent to Trading", name, len(sent), "" if len(sent) == 1 else "s")
        return phase

    def _send_or_defer(self, name: PhaseName, rank: int, funding: Funding, now: datetime) -> None:
        trade, plan_id = funding.trade, self.plan.plan_id
        code, reason = _code_and_reason(funding.reason)
        record = TradeRecord(
            phase=name,
            ticker=trade.ticker,
            side=trade.side,
            planned_qty=trade.qty,
            qty=funding.qty,
            price=trade.price,
            score=trade.score,
            sector=trade.sector,
            code=code,
            reason=reason,
        )
        if funding.qty <= 0:
            log.info("Deferred %s %s - %s", trade.side, trade.ticker, reason)
            deferred = replace(record, status=DEFERRED, terminal_at=now)
            self.parts.ledger.plans.add_trade(plan_id, rank, deferred)
            return
        message_id = approval_id(plan_id, self.plan.generated_at, name, trade.ticker)
        self.parts.ledger.plans.add_trade(plan_id, rank, replace(record, message_id=message_id, dispatched_at=now))
        self.parts.bus.enqueue(approval(trade, funding.qty, plan_id, message_id, now))

    def _advance(self, phase: PhaseRecord) -> PhaseRecord:
        """Look where the phase stands; make the transition that is due, or wait one poll."""
        waiting = [t for t in self._trades(phase.name) if t.terminal_at is None]
        if not waiting:
            self._announce_end(phase.name)
            return self._moved(phase, PhaseEvent.ALL_TERMINAL, "all terminal")
        if self.parts.clock.now() >= phase.deadline:
            return self._at_deadline(phase, waiting)
        tickers = ", ".join(sorted(t.ticker for t in waiting))
        log.info("Waiting for %d order%s to fill: %s", len(waiting), "" if len(waiting) == 1 else "s", tickers)
        self.parts.clock.sleep(self._settings(PhaseName(phase.name)).poll)
        return phase

    def _at_deadline(self, phase: PhaseRecord, waiting: Sequence[TradeRecord]) -> PhaseRecord:
        settings = self._settings(PhaseName(phase.name))
        tickers = ", ".join(sorted(t.ticker for t in waiting))
        if phase.state == PhaseState.CANCELLING:
            log.warning("%s phase ends with orders whose end is unknown: %s", phase.name, tickers)
            outcome = ABORTED if settings.on_timeout == "abort" else "left open"
            return self._moved(phase, PhaseEvent.FINAL_WAIT_OVER, outcome)
        log.warning("Timeout waiting for orders to fill after %gs: %s", settings.timeout, tickers)
        if settings.on_timeout == "leave":
            return self._moved(phase, PhaseEvent.DEADLINE_LEAVE, "left open")
        return self._cancelling(phase, waiting)

    def _cancelling(self, phase: PhaseRecord, waiting: Sequence[TradeRecord]) -> PhaseRecord:
        p, settings = self.parts, self._settings(PhaseName(phase.name))
        now = p.clock.now()
        reason = Reason.of(ReasonCode.PHASE_TIMEOUT, phase=phase.name, timeout=f"{settings.timeout:g}s")
        moved = replace(
            phase,
            state=after(PhaseState(phase.state), PhaseEvent.DEADLINE_CANCEL),
            deadline=now + timedelta(seconds=settings.final_wait),
        )
        with p.ledger.transaction():
            p.ledger.plans.set_phase(self.plan.plan_id, moved)
            for trade in waiting:
                p.bus.enqueue(cancel_request(trade, reason, now))
        p.bus.deliver_pending()
        log.info("Cancelling what is still open: %s", ", ".join(sorted(t.ticker for t in waiting)))
        return moved

    def _moved(self, phase: PhaseRecord, event: PhaseEvent, outcome: str) -> PhaseRecord:
        settings = self._settings(PhaseName(phase.name))
        if phase.state == PhaseState.CANCELLING and settings.on_timeout == "abort":
            outcome = ABORTED
        moved = replace(
            phase, state=after(PhaseState(phase.state), event), ended_at=self.parts.clock.now(), outcome=outcome
        )
        with self.parts.ledger.transaction():
            self.parts.ledger.plans.set_phase(self.plan.plan_id, moved)
        return moved

    def _announce_end(self, name: str) -> None:
        trades = [t for t in self._trades(name) if t.message_id]
        filled = [t for t in trades if t.status == OrderStatus.FILLED]
        if trades and len(filled) == len(trades):
            log.info("All %s orders filled", name)
        elif trades:
            rest = ", ".join(f"{t.ticker} {t.status}" for t in trades if t not in filled)
            log.warning("All %s orders ended, %d of %d filled; %s", name, len(filled), len(trades), rest)

    # --- money ---

    def _fundings(self, name: PhaseName) -> list[Funding]:
        if name is PhaseName.SELL:
            return [Funding(trade, trade.qty) for trade in self.plan.sells]
        if self._sells_were_aborted():
            reason = Reason.of(ReasonCode.PHASE_ABORTED, phase=PhaseName.SELL)
            return [Funding(trade, ZERO, reason) for trade in self.plan.buys]
        return self._funded(self.plan.buys) if self.plan.buys else []

    def _funded(self, buys: Sequence[Trade]) -> list[Funding]:
        p, execution = self.parts, self._execution()
        book = self._book_when_cash_arrived()
        budget = Budget(book.cash, self._expected_cash(), book.open_buys, execution.reserve)
        log.info("Cash for BUYs: %s (reserve %s)", usd_cents(budget.amount), usd_cents(budget.reserve))
        floor = Floor(
            minimum_position(p.limits, book.equity),
            {symbol: position.market_value for symbol, position in book.positions.items()},
            p.limits.deployment.price_buffer_pct,
        )
        quotes = p.broker.quotes([t.ticker for t in buys])
        priced = [replace(t, price=quotes[t.ticker].price) if t.ticker in quotes else t for t in buys]
        return fund(priced, budget.amount, floor, p.settings.phases.buy.shortfall)

    def _expected_cash(self) -> Decimal:
        """Return start cash + actual SELL fills − actual BUY fills of this plan."""
        cash = self._execution().cash_before
        for fill in self.parts.ledger.orders.fills(self.plan.plan_id):
            cash += fill.qty * fill.price * (1 if fill.side is Side.SELL else -1)
        return cash

    def _book_when_cash_arrived(self) -> Book:
        """Read the account; where the fills have not reached its cash yet, wait for them, but not for ever."""
        p, expected = self.parts, self._expected_cash()
        give_up = p.clock.now() + timedelta(seconds=p.settings.phases.buy.cash_wait)
        book = book_of(p.broker, p.ledger.sectors())
        while abs(book.cash - expected) > Decimal("0.01") and p.clock.now() < give_up:
            p.clock.sleep(p.settings.phases.buy.poll)
            book = book_of(p.broker, p.ledger.sectors())
        return book

    # --- small reads ---

    def _sells_were_aborted(self) -> bool:
        phase = self._phase(PhaseName.SELL)
        return phase is not None and phase.outcome == ABORTED

    def _settings(self, name: PhaseName) -> PhaseSettings:
        phases = self.parts.settings.phases
        return phases.sell if name is PhaseName.SELL else phases.buy

    def _execution(self) -> ExecutionRecord:
        execution = self.parts.ledger.plans.execution(self.plan.plan_id)
        if execution is None:
            raise LookupError(f"{self.plan.plan_id} was never begun")
        return execution

    def _trades(self, phase: str) -> list[TradeRecord]:
        return self.parts.ledger.plans.trades(self.plan.plan_id, phase)


def _code_and_reason(reason: Reason | None) -> tuple[str, str]:
    return ("", "") if reason is None else (str(reason.code), str(reason))


def _went_well(trade: TradeRecord) -> bool:
    return trade.status in {OrderStatus.FILLED, DEFERRED}
