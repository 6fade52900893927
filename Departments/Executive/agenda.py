"""What each phase sends: which trades, how many shares, and why fewer than planned or none."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from Departments.brokers.snapshot import book_of
from Departments.constraints.checks import minimum_position, must_settle
from Departments.core.clock import iso
from Departments.core.money import ZERO, usd_cents, whole_shares
from Departments.core.orders import Side
from Departments.core.plans import Trade, TradingPlan
from Departments.core.portfolio import Position
from Departments.core.reasons import Reason, ReasonCode
from Departments.core.statuses import PhaseName, PhaseOutcome
from Departments.core.trading_calendar import is_open, next_close, next_open
from Departments.Executive.exposure import bare_shares
from Departments.Executive.funding import Budget, CashCount, Floor, Funding, capped, fund
from Departments.Executive.parts import ExecutiveParts
from Departments.Executive.reporting.document import adds_up, cash_path
from Departments.ledger.plan_records import ExecutionRecord

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Agenda:
    """Decides from facts (ledger and account) what a phase sends; decides nothing twice."""

    plan: TradingPlan
    parts: ExecutiveParts
    look: Callable[[], None]

    def of(self, name: PhaseName) -> list[Funding]:
        """Return what phase `name` sends now. Raises BrokerUnavailable when the broker stays away."""
        todo: dict[PhaseName, Callable[[], list[Funding]]] = {
            PhaseName.RELEASE: self._releases,
            PhaseName.SELL: self._sells,
            PhaseName.BUY: self._buys,
            PhaseName.PROTECT: self._protections,
        }
        locked = self.parts.ledger.releases.locked()
        return [_unless_locked(funding, locked) for funding in todo[name]()]

    def too_late(self) -> Reason | None:
        """Return why nothing of the plan may be sent any more: it is too old, or the exchange is closed."""
        p, now = self.parts, self.parts.clock.now()
        hours = p.limits.staleness.plan_max_age_hours
        if now - self.plan.generated_at > timedelta(hours=float(hours)):
            made = iso(self.plan.generated_at)
            return Reason.of(ReasonCode.STALE_PLAN, generated_at=made, maximum_hours=hours)
        if p.limits.timing_rules.market_hours_only and not is_open(now):
            return Reason.of(ReasonCode.MARKET_CLOSED, now=iso(now), opens=iso(next_open(now)))
        return None

    def blocked(self) -> str | None:
        """Return why the broker would refuse every order; None when its gates are open. Raises BrokerUnavailable."""
        account = self.parts.broker.account()
        if account.may_trade:
            return None
        return f"the broker lets the account trade nothing ({', '.join((f'status {account.status}', *account.blocks))})"

    def cash_when_it_arrived(self) -> CashCount:
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

    # --- the phases ---

    def _releases(self) -> list[Funding]:
        """Symbols to be sold whose shares are held by resting exits; none when nothing will be sold."""
        if not self.plan.sells or self.too_late() or self.blocked():
            return []
        positions = self._positions()
        held = [replace(t, qty=_held_by_orders(positions.get(t.ticker))) for t in self.plan.sells]
        return [Funding(trade, trade.qty) for trade in held if trade.qty > 0]

    def _sells(self) -> list[Funding]:
        reason = self.too_late()
        if reason is not None:
            return [Funding(trade, ZERO, reason) for trade in self.plan.sells]
        positions = self._positions() if self.plan.sells else {}
        return [_sellable(trade, positions.get(trade.ticker)) for trade in self.plan.sells]

    def _buys(self) -> list[Funding]:
        aborted = Reason.of(ReasonCode.PHASE_ABORTED, phase=PhaseName.SELL) if self._sells_were_aborted() else None
        reason = aborted or self.too_late() or self._last_minutes()
        if reason is not None:
            return [Funding(trade, ZERO, reason) for trade in self.plan.buys]
        return self._funded(self.plan.buys) if self.plan.buys else []

    def _last_minutes(self) -> Reason | None:
        """Return why no BUY may be sent any more although the exchange is open."""
        now, minutes = self.parts.clock.now(), self.parts.limits.timing_rules.no_positions_last_minutes
        if not is_open(now) or next_close(now) - now >= timedelta(minutes=minutes):
            return None
        return Reason.of(ReasonCode.LAST_MINUTES, now=iso(now), close=iso(next_close(now)), minutes=minutes)

    def _protections(self) -> list[Funding]:
        """Shares that the desk bought, or failed to sell, lately, and that no exit protects.

        What lost its exits to a RELEASE gets some back even where BUYs have none.
        """
        p = self.parts
        debts = bare_shares(p.ledger, p.clock.now(), bought=p.settings.exits.enabled)
        positions = self._positions() if any(debts.values()) else {}
        releasing = {release.ticker: ReasonCode.RELEASE_STILL_OPEN for release in p.ledger.releases.open()}
        entries = (o.intent for o in p.ledger.orders.open_trades() if o.intent.side is Side.BUY)
        why_not = releasing | {entry.ticker: ReasonCode.ENTRY_STILL_OPEN for entry in entries}
        there = {s: held.qty if s in releasing else held.available for s, held in positions.items()}
        owed = {s: min(qty, whole_shares(there[s])) for s, qty in debts.items() if s in there}
        return [
            _protection(Trade(symbol, Side.SELL, qty, positions[symbol].current_price), why_not.get(symbol))
            for symbol, qty in owed.items()
            if qty > 0
        ]

    # --- facts ---

    def _funded(self, buys: Sequence[Trade]) -> list[Funding]:
        p, counted = self.parts, self.cash_when_it_arrived()
        limits, settling = p.limits, must_settle(p.limits)
        known = p.ledger.symbols.knowledge(p.clock.now(), limits.settlement.days if settling else 0)
        book = book_of(p.broker, known, counted.account)
        budget = Budget(
            cash=book.cash,
            expected_cash=counted.expected_cash,
            open_buys=book.open_buys,
            reserve=self._execution().reserve,
            unsettled=book.unsettled_cash if settling else ZERO,
            lent=counted.account.buying_power if limits.allow_margin else None,
        )
        log.info("Cash for BUYs: %s (reserve %s)", usd_cents(budget.amount), usd_cents(budget.reserve))
        floor = Floor(
            minimum_position(limits, book.equity),
            {symbol: position.market_value for symbol, position in book.positions.items()},
            limits.deployment.price_buffer_pct,
        )
        quotes = p.broker.quotes([t.ticker for t in buys])
        priced = [replace(t, price=quotes[t.ticker].price) if t.ticker in quotes else t for t in buys]
        return capped(fund(priced, budget.amount, floor, p.settings.phases.buy.shortfall), budget.amount)

    def _cash(self) -> CashCount:
        """Read the account beside start cash + actual SELL fills − actual BUY fills − fees of this plan."""
        execution, account = self._execution(), self.parts.broker.account()
        fees = self.parts.broker.fees(execution.started_at)
        fills = self.parts.ledger.execution_fills(self.plan.plan_id)
        return CashCount(account, cash_path(execution.cash_before, fills)[-1] - fees, fees)

    def _execution(self) -> ExecutionRecord:
        execution = self.parts.ledger.plans.execution(self.plan.plan_id)
        if execution is None:
            raise LookupError(f"{self.plan.plan_id} was never begun")
        return execution

    def _positions(self) -> dict[str, Position]:
        return {position.symbol: position for position in self.parts.broker.positions()}

    def _sells_were_aborted(self) -> bool:
        phases = self.parts.ledger.plans.phases(self.plan.plan_id)
        return any(p.name == PhaseName.SELL and p.outcome is PhaseOutcome.ABORTED for p in phases)


def _held_by_orders(position: Position | None) -> Decimal:
    return ZERO if position is None else position.qty - position.available


def _protection(trade: Trade, why_not: ReasonCode | None) -> Funding:
    """Protect shares, unless other orders on them are open: an entry brings its exits itself, exits hold the shares."""
    return Funding(trade, trade.qty) if why_not is None else Funding(trade, ZERO, Reason.of(why_not, qty=trade.qty))


def _sellable(trade: Trade, position: Position | None) -> Funding:
    available = ZERO if position is None else max(ZERO, position.available)
    qty = min(trade.qty, available)
    if qty == trade.qty:
        return Funding(trade, qty)
    code = ReasonCode.TRIMMED_TO_AVAILABLE if qty > 0 else ReasonCode.NOTHING_AVAILABLE
    return Funding(trade, qty, Reason.of(code, planned=trade.qty, available=available))


def _unless_locked(funding: Funding, locked: Mapping[str, str]) -> Funding:
    if funding.trade.ticker not in locked:
        return funding
    return Funding(funding.trade, ZERO, Reason.of(ReasonCode.SYMBOL_LOCKED, locked[funding.trade.ticker]))
