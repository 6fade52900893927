"""The decisions of an execution's phases, each on the facts of its moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal

from Departments.brokers.snapshot import FactsReader
from Departments.constraints.limits import Limits
from Departments.core.facts import Facts, PlanFacts, RunFacts
from Departments.core.logs import SparseLine, make_logger
from Departments.core.money import ZERO, plain, usd_cents
from Departments.core.orders import Side
from Departments.core.plans import TradingPlan
from Departments.core.portfolio import Account
from Departments.core.reasons import Reason
from Departments.core.settings import Settings
from Departments.core.statuses import PhaseName
from Departments.Executive.aftermath import find_broken_limits, list_bought
from Departments.Executive.agenda import decide, find_unquoted, objection
from Departments.Executive.cash_count import CashCounter
from Departments.Executive.funding import Decision, budget_for
from Departments.Executive.remainder import plan_for
from Departments.ledger.ledger import Ledger
from Departments.ledger.plan_records import ExecutionRecord, TradeRecord

log = make_logger(__name__)


@dataclass(frozen=True, slots=True)
class PhaseDecisions:
    """Reads the facts and decides the phases of a plan. Raises BrokerUnavailable when the broker stays away."""

    plan: TradingPlan
    ledger: Ledger
    reader: FactsReader
    cash: CashCounter
    limits: Limits
    settings: Settings
    waiting: SparseLine = field(default_factory=lambda: SparseLine(log))

    def list_next(
        self, names: Iterable[PhaseName], execution: ExecutionRecord, *, aborted: bool
    ) -> Iterator[tuple[PhaseName, list[Decision]]]:
        """Yield the decisions of some phases in turn; the next one counts on nothing being sent in those before.

        So SELL is decided on the facts of RELEASE. `aborted` means that SELL was aborted.
        """
        released: Facts | None = None
        plan = plan_for(self.plan, self.ledger.plans.trades(self.plan.plan_id), execution.attempt)
        for name in names:
            run = self._run_facts(name, execution, aborted=aborted)
            if not _may_decide(name, plan, run):
                yield name, []
            elif name is PhaseName.BUY:
                yield name, self._decide(name, plan, self._read_for_buys(plan, execution, run))
            else:
                read = (released if name is PhaseName.SELL else None) or self.reader.read(buying=False)
                released = read if name is PhaseName.RELEASE else None
                yield name, self._decide(name, plan, replace(read, plan=PlanFacts.of(self.plan), run=run))

    def _decide(self, name: PhaseName, plan: TradingPlan, facts: Facts) -> list[Decision]:
        shortfall, collar = self.settings.phases.buy.shortfall, self.settings.prices.collar_pct
        return decide(name, plan, facts, self.limits, shortfall, collar)

    def _run_facts(self, name: PhaseName, execution: ExecutionRecord, *, aborted: bool) -> RunFacts:
        run = RunFacts(execution.reserve, aborted=PhaseName.SELL if aborted else "")
        if name is not PhaseName.PROTECT:
            return run
        entries = self.ledger.orders.find_open_trades()
        return replace(
            run,
            unprotected=self.ledger.shares_without_exits(exits_wanted=self.settings.exits.enabled),
            releasing=frozenset(release.symbol for release in self.ledger.releases.find_open()),
            entering=frozenset(entry.symbol for entry in entries if entry.side is Side.BUY),
        )

    def _read_for_buys(self, plan: TradingPlan, execution: ExecutionRecord, run: RunFacts) -> Facts:
        """Count the cash, unless SELL was aborted, and read the facts for BUYs."""
        counted = None if run.aborted else self.cash.wait(execution)
        if counted is not None:
            run = replace(run, expected_cash=counted.expected_cash)
        read = self.reader.read((t.symbol for t in plan.buys), account=counted.account if counted else None)
        facts = self._wait_for_quotes(plan, replace(read, plan=PlanFacts.of(self.plan), run=run))
        if any(objection(t, facts, self.limits) is None for t in plan.buys):
            log.info("Cash for BUYs: %s (reserve %s)", *map(usd_cents, (budget_for(facts, self.limits), run.reserve)))
        return facts

    def _wait_for_quotes(self, plan: TradingPlan, facts: Facts) -> Facts:
        """Read the facts again until every BUY has a fresh ask, but no longer than the phase may take."""
        clock, settings = self.reader.clock, self.settings.phases.buy
        give_up = clock.now() + timedelta(seconds=settings.timeout)
        while (waiting := find_unquoted(plan, facts, self.limits)) and clock.now() < give_up:
            self.waiting.say(clock.now(), waiting, f"Waiting for a fresh ask of {', '.join(waiting)}")
            clock.sleep(settings.poll)
            give_up = min(give_up, clock.now() + timedelta(seconds=settings.timeout))  # it may have been set back
            self.cash.work()
            read = self.reader.read(t.symbol for t in plan.buys)
            facts = replace(read, plan=facts.plan, run=facts.run)
        return facts

    def find_unprotected(self, facts: Facts | None = None) -> dict[str, Decimal]:
        """Return the shares without live exits, by symbol, as the account shows them: now, or by `facts`."""
        positions = (facts or self.reader.read(buying=False)).positions
        return self.ledger.find_uncovered(positions, exits_wanted=self.settings.exits.enabled)

    def await_protection(self, account: Account) -> tuple[dict[str, Decimal], Facts]:
        """Return the shares without live exits by symbol, after a wait for the ledger's exits.

        Also returns the facts of the last look. `account` was read just now.
        """
        clock, wait, poll = self.reader.clock, self.settings.phases.buy.cash_wait, self.settings.phases.protect.poll
        give_up, facts = clock.now() + timedelta(seconds=wait), self._look_back(account)
        while self._is_news(found := self.find_unprotected(facts)) and clock.now() < give_up:
            clock.sleep(poll)
            give_up = min(give_up, clock.now() + timedelta(seconds=wait))  # it may have been set back
            self.cash.work()
            facts = self._look_back()
        for symbol, qty in found.items():
            log.warning("%s: %s shares have no live exits", symbol, plain(qty))
        return found, facts

    def _look_back(self, account: Account | None = None) -> Facts:
        """Read the facts after the phases; open orders matter only beside BUYs."""
        return self.reader.read(account=account, buying=bool(self.plan.buys))

    def _is_news(self, found: Mapping[str, Decimal]) -> bool:
        """Return whether the account shows more unprotected shares than the ledger."""
        if not found:
            return False
        known = self.ledger.shares_without_exits(exits_wanted=self.settings.exits.enabled)
        return any(qty > known.get(symbol, ZERO) for symbol, qty in found.items())

    def find_broken_limits(
        self, trades: Iterable[TradeRecord], execution: ExecutionRecord, facts: Facts
    ) -> Mapping[str, Reason]:
        """Judge the limits again at the prices that the BUYs paid; return what they broke, by symbol."""
        bought = list_bought(trades)
        if not bought:
            return {}
        run = RunFacts(execution.reserve)
        broken = find_broken_limits(bought, replace(facts, run=run), self.limits, self.settings.exits)
        for symbol, reason in broken.items():
            log.warning("%s: %s (%s)", symbol, reason.code.meaning, reason)
        return broken


def _may_decide(name: PhaseName, plan: TradingPlan, run: RunFacts) -> bool:
    """Return True if a phase may have something to decide."""
    if name is PhaseName.PROTECT:
        return any(run.unprotected.values())
    return bool(plan.buys if name is PhaseName.BUY else plan.sells)
