"""Reads the standing of a desk: from its ledger, its broker and its folder of messages. Sends and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from Departments.brokers.base import Broker
from Departments.constraints.amounts import cash_reserve
from Departments.constraints.case import Circumstances
from Departments.constraints.checks.timing import check_account, is_plan_old
from Departments.constraints.limits import Limits
from Departments.core.errors import BadInput, BrokerError
from Departments.core.facts import DeskFacts
from Departments.core.platform.clock import Clock
from Departments.core.quotes import MarketClock
from Departments.core.reasons import Reason
from Departments.core.settings import Settings
from Departments.core.trading_calendar import trading_day
from Departments.Executive.approvals import load_plan
from Departments.Executive.overview.due_runs import find_next_run, find_overdue
from Departments.Executive.overview.holdings import BrokerHoldings, list_holdings
from Departments.Executive.overview.standing import BriefingView, DeskStanding, MoneyView, Problem, Progress, TodaysPlan
from Departments.Executive.remainder import describe_loose_end
from Departments.Executive.reporting.issues import find_open_issues
from Departments.ledger.ledger import Ledger


@dataclass(frozen=True, slots=True)
class StandingReader:
    """Reads the standing. `find_briefing` returns the day's; `is_executing` whether a process executes here.

    `count_undelivered` returns the number of committed messages that are not in their folders.
    """

    ledger: Ledger
    open_broker: Callable[[], Broker]
    read_hours: Callable[[], MarketClock]
    clock: Clock
    limits: Limits
    settings: Settings
    title: str
    is_live: bool
    find_briefing: Callable[[datetime], BriefingView]
    is_executing: Callable[[], bool]
    count_undelivered: Callable[[], int]

    def read(self) -> DeskStanding:
        """Read everything. A broker that does not answer, or refuses, is one trouble; the ledger's part stays."""
        now = self.clock.now()
        today = trading_day(now)
        plans = self.ledger.plans
        runs = [run for run in plans.executions() if not run.by_hand]
        ended_today = sum(run.trading_day == today and run.ended_at is not None for run in runs)
        progress = find_progress(self.ledger, self.is_executing)
        standing = DeskStanding(
            now=now,
            broker=self.title,
            is_live=self.is_live,
            market=self._read_market(now),
            issues=find_open_issues(self.ledger),
            last_run=next((run for run in reversed(runs) if run.ended_at is not None), None),
            runs_today=ended_today,
            progress=progress,
            plan=self._find_plan(now, progress),
            differences=self.ledger.book.differences(),
            open_ends=tuple(describe_loose_end(plan_id, trade) for plan_id, trade in plans.find_loose_ends()),
            letters_waiting=self.count_undelivered(),
            briefing=self.find_briefing(now),
            next_run=find_next_run(self.settings.schedule, now),
            overdue_since=None if ended_today else find_overdue(self.settings.schedule, now),
        )
        return self._with_account(standing)

    def _with_account(self, standing: DeskStanding) -> DeskStanding:
        try:
            held = BrokerHoldings.read(self.open_broker())
        except (BrokerError, BadInput) as error:
            return replace(standing, troubles=(_describe_trouble(error),))
        account, wanted = held.account, self.settings.exits.enabled
        reserve = cash_reserve(self.limits, account.equity)
        troubles = []
        facts = DeskFacts(standing.now, account, standing.market)
        blocked = check_account(Circumstances(facts, self.limits, "dispatch"))
        if isinstance(blocked, Reason):
            troubles.append(Problem(blocked.sentence, "ask the broker"))
        for row in held.positions.unreadable:
            name = row.symbol or row.id or "without a name"
            troubles.append(Problem(f"the position {name} at the broker cannot be read ({row.problem})", "look there"))
        return replace(
            standing,
            money=MoneyView(account.equity, account.cash, reserve),
            holdings=list_holdings(self.ledger, held, standing.now, exits_wanted=wanted),
            troubles=tuple(troubles),
        )

    def _read_market(self, now: datetime) -> MarketClock:
        try:
            return self.read_hours()
        except (BrokerError, BadInput):  # it is named with the account
            return MarketClock.by_calendar(now)

    def _find_plan(self, now: datetime, progress: Progress | None) -> TodaysPlan | None:
        """Return the day's plan: the one that was executed or approved, else the newest."""
        plans, today = self.ledger.plans, trading_day(now)
        executed, approved = plans.find_executed(today), plans.find_approved(today)
        chosen = None if approved is None else str(approved["plan_id"])
        chosen = chosen if executed is None else executed.plan_id
        chosen = chosen or plans.find_newest(today)
        if chosen is None:
            return None
        plan = load_plan(plans, chosen)
        return TodaysPlan(
            plan,
            tuple(plans.approvals(plan.plan_id, plan.digest)),
            plans.approved_at(plan.plan_id),
            is_executed=executed is not None,
            progress=progress if progress is not None and progress.run.plan_id == plan.plan_id else None,
            is_old=is_plan_old(self.limits, plan.generated_at, now),
        )


def find_progress(ledger: Ledger, is_executing: Callable[[], bool]) -> Progress | None:
    """Return the execution that has not ended, None without one."""
    run = ledger.plans.find_unfinished()
    if run is None:
        return None
    phases = [phase for phase in ledger.plans.phases(run.plan_id) if phase.attempt == run.attempt]
    trades = [trade for trade in ledger.plans.trades(run.plan_id) if trade.attempt == run.attempt]
    return Progress(run, tuple(phases), tuple(trades), is_executing())


def _describe_trouble(error: BrokerError | BadInput) -> Problem:
    if isinstance(error, BadInput):
        return Problem(f"{error.source}: {error.problem}", error.mend)
    return Problem(f"the broker: {str(error).rstrip('.')}", error.advice or "run departments doctor")
