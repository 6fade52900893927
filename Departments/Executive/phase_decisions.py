"""The decisions of an execution's phases, each on the facts of its moment."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from Departments.brokers.snapshot import FactsReader
from Departments.constraints.limits import Limits
from Departments.core.facts import Facts, PlanFacts, RunFacts
from Departments.core.money import usd_cents
from Departments.core.orders import Side
from Departments.core.plans import TradingPlan
from Departments.core.settings import Settings
from Departments.core.statuses import PhaseName
from Departments.Executive.agenda import decide, objection
from Departments.Executive.cash_count import CashCounter
from Departments.Executive.funding import Decision, budget_for
from Departments.ledger.ledger import Ledger
from Departments.ledger.plan_records import ExecutionRecord

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PhaseDecisions:
    """Reads the facts and decides the phases of a plan. Raises BrokerUnavailable when the broker stays away."""

    plan: TradingPlan
    ledger: Ledger
    reader: FactsReader
    cash: CashCounter
    limits: Limits
    settings: Settings

    def list_next(
        self, names: Iterable[PhaseName], execution: ExecutionRecord, *, aborted: bool
    ) -> Iterator[tuple[PhaseName, list[Decision]]]:
        """Yield the decisions of some phases in turn; the next one counts on nothing being sent in those before.

        So SELL is decided on the facts of RELEASE. `aborted` means that SELL was aborted.
        """
        released: Facts | None = None
        for name in names:
            run = self._run_facts(name, execution, aborted=aborted)
            if not self._may_decide(name, run):
                yield name, []
            elif name is PhaseName.BUY:
                yield name, self._decide(name, self._read_for_buys(execution, run))
            else:
                read = (released if name is PhaseName.SELL else None) or self.reader.read(buying=False)
                released = read if name is PhaseName.RELEASE else None
                yield name, self._decide(name, replace(read, plan=PlanFacts.of(self.plan), run=run))

    def _decide(self, name: PhaseName, facts: Facts) -> list[Decision]:
        return decide(name, self.plan, facts, self.limits, self.settings.phases.buy.shortfall)

    def _may_decide(self, name: PhaseName, run: RunFacts) -> bool:
        """Return True if a phase may have something to decide."""
        if name is PhaseName.PROTECT:
            return any(run.unprotected.values())
        return bool(self.plan.buys if name is PhaseName.BUY else self.plan.sells)

    def _run_facts(self, name: PhaseName, execution: ExecutionRecord, *, aborted: bool) -> RunFacts:
        run = RunFacts(execution.reserve, aborted=PhaseName.SELL if aborted else "")
        if name is not PhaseName.PROTECT:
            return run
        entries = (order.intent for order in self.ledger.orders.find_open_trades())
        return replace(
            run,
            unprotected=self.ledger.shares_without_exits(exits_wanted=self.settings.exits.enabled),
            releasing=frozenset(release.symbol for release in self.ledger.releases.find_open()),
            entering=frozenset(entry.symbol for entry in entries if entry.side is Side.BUY),
        )

    def _read_for_buys(self, execution: ExecutionRecord, run: RunFacts) -> Facts:
        """Count the cash, unless SELL was aborted, and read the facts for BUYs."""
        counted = None if run.aborted else self.cash.wait(execution)
        if counted is not None:
            run = replace(run, expected_cash=counted.expected_cash)
        read = self.reader.read((t.symbol for t in self.plan.buys), account=counted.account if counted else None)
        facts = replace(read, plan=PlanFacts.of(self.plan), run=run)
        if any(objection(t, facts, self.limits) is None for t in self.plan.buys):
            log.info("Cash for BUYs: %s (reserve %s)", *map(usd_cents, (budget_for(facts, self.limits), run.reserve)))
        return facts
