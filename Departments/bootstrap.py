"""The composition root: from a workspace folder to a desk whose departments are plugged into their plumbing.

With `plumbing.py` and `broker_access.py` this is the only place that picks concrete parts. Each department is imported
and made when it is first asked for.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from Departments.broker_access import BrokerAccess
from Departments.core.departments import OPERATIONS, REGIME_DETECTION, TRADING
from Departments.core.errors import BadInput, BrokerUnavailable, WorkspaceBusy
from Departments.core.logs import make_logger
from Departments.core.platform.places import locate
from Departments.plumbing import LEDGER_FILE, MESSAGES, Choices

if TYPE_CHECKING:
    from Departments.brokers.base import Broker
    from Departments.brokers.snapshot import FactsReader
    from Departments.core.plans import TradingPlan
    from Departments.core.quotes import Bar, MarketClock
    from Departments.Executive.approvals import Approvals
    from Departments.Executive.ceo import CEO
    from Departments.Executive.day import Day
    from Departments.Executive.execution import PlanExecution
    from Departments.Executive.opinions import Opinions
    from Departments.Executive.overview.reading import StandingReader
    from Departments.Executive.overview.standing import BriefingView
    from Departments.Executive.reporting.announcer import Announcer
    from Departments.Executive.reporting.pages import Pages
    from Departments.Executive.reporting.report import Reporter
    from Departments.messaging.bus import ConsumeReport
    from Departments.messaging.router import Router
    from Departments.Operations.operations_manager import OperationsManager
    from Departments.Operations.planner import Planner
    from Departments.Regime.regime_department import RegimeDepartment
    from Departments.Trading.trader import Trader
    from Departments.Trading.trading_department import TradingDepartment

__all__ = ["LEDGER_FILE", "MESSAGES", "Choices", "Desk", "open_desk"]

#: Undelivered messages that the standing counts.
MOST_LETTERS: Final = 1_000

log = make_logger(__name__)


class Desk(BrokerAccess):
    """One workspace with its departments. Raises BadInput, on first use of a part, for what a person has to mend."""

    def __init__(self, workspace: Path, choices: Choices) -> None:
        super().__init__(workspace, choices)
        self._recovered = False
        self._has_warned = False

    # --- departments ---

    @cached_property
    def regime(self) -> RegimeDepartment:
        """The Regime department."""
        from Departments.Regime.market_data import MarketData, broker_source, file_sources
        from Departments.Regime.regime_department import RegimeDepartment

        settings, limits = self.settings.regime, self.limits.market_conditions
        sources = (*file_sources(settings, self.workspace), broker_source(self.spy_bars))
        market = MarketData(self.briefings, sources, closing_bars=self.spy_bars, is_usable=self.shelf.is_usable)
        return RegimeDepartment(self.bus, self.ledger.regimes, limits, self.clock, settings, market)

    def spy_bars(self) -> Sequence[Bar]:
        """Connect the broker, and return a year of SPY's daily bars from it."""
        from Departments.Regime.market_data import read_year_of_spy

        return read_year_of_spy(self.broker)

    @cached_property
    def reader(self) -> FactsReader:
        """The patient reader of facts for Operations and the Executive."""
        return self._make_reader(self.patient_broker)

    def _make_reader(self, broker: Broker) -> FactsReader:
        from Departments.brokers.snapshot import FactsReader
        from Departments.constraints.amounts import days_to_settle

        young = timedelta(hours=self.settings.regime.reuse_hours)
        fresh = timedelta(seconds=self.settings.prices.fresh_seconds)
        return FactsReader(
            broker,
            self.ledger,
            self.hours,
            self.clock,
            days_to_settle(self.limits),
            young,
            fresh,
            self.broker_row.unpriced(),
        )

    @cached_property
    def planner(self) -> Planner:
        """Operations at work."""
        from Departments.Operations.planner import Planner

        limits, reader = self.limits, self.reader  # limits first: without them the folder is no workspace
        ask_regime, exits = self.regime.process_inbox, self.settings.exits
        return Planner(
            reader, limits, exits, self.bus, self.ledger, self.shelf, ask_regime, prepare=self.prepare_briefing
        )

    def prepare_briefing(self) -> None:
        """Have a briefing of today, by the hooks of the settings. A rehearsal runs none."""
        from Departments.Operations.hooks import Hooks
        from Departments.Operations.morning import Morning

        if self.choices.rehearsal is None:
            hooks = Hooks.of(self.settings.operations, self.workspace)
            Morning(hooks, self.patient_broker, self.bus, self.shelf, self.clock).prepare()

    @cached_property
    def operations(self) -> OperationsManager:
        """Operations as scripts call it."""
        from Departments.Operations.operations_manager import OperationsManager

        return OperationsManager(self.state, planner=self.planner)

    @cached_property
    def trader(self) -> Trader:
        """Trading at work."""
        from Departments.Trading.bookkeeping import Bookkeeper
        from Departments.Trading.coverage import ExitCoverage
        from Departments.Trading.decisions import Decisions
        from Departments.Trading.handlers import ApprovalHandlers, ExitHandlers
        from Departments.Trading.judgement import Judge
        from Departments.Trading.reconciliation import Reconciler
        from Departments.Trading.renewal import ExitRenewer
        from Departments.Trading.repricing import ExitRepricer
        from Departments.Trading.submission import OrderSender
        from Departments.Trading.tracking import OrderTracker
        from Departments.Trading.trader import Trader

        limits, exits, phases = self.limits, self.settings.exits, self.settings.phases  # limits first, as above
        broker, ledger, clock, enqueue = self.timed_broker, self.ledger, self.clock, self.bus.enqueue
        tracker = OrderTracker(broker, ledger, clock, enqueue)
        sender = OrderSender(self.broker, ledger, clock, enqueue, tracker)
        decisions = Decisions(ledger.plans, self.admission.is_trusted, self.bus.is_proven)
        judge = Judge(self._make_reader(broker), ledger.releases.find_locks, ledger.halts.find, limits, exits)
        accounts = self.settings.accounts
        books = Bookkeeper(broker, ledger, clock, patience=phases.patience, foreign=accounts.policy_for)
        return Trader(
            broker,
            self.bus,
            ApprovalHandlers(partial(self.bus.waiting, TRADING), decisions, ledger, clock, exits, judge, sender),
            ExitHandlers(broker, ledger, clock, decisions, exits, judge, sender),
            ExitRepricer(broker, ledger, clock, exits, tracker, sender),
            Reconciler(broker, ledger, clock, sender.report, books, ExitCoverage(broker, ledger, clock)),
            ExitRenewer(broker, ledger, clock, exits, sender, partial(tracker.track, exits=True)),
            retry_after=timedelta(seconds=phases.sell.poll),
        )

    @cached_property
    def trading(self) -> TradingDepartment:
        """Trading as scripts call it."""
        from Departments.Trading.trading_department import TradingDepartment

        return TradingDepartment(trader=self.trader)

    @cached_property
    def ceo(self) -> CEO:
        """The Executive as scripts call it."""
        from Departments.Executive.ceo import CEO

        return CEO(self.state, desk=self)

    @cached_property
    def day(self) -> Day:
        """The Executive's day."""
        from Departments.Executive.day import Day
        from Departments.Executive.inbox import ExecutiveInbox
        from Departments.Executive.plan_judge import PlanJudge

        limits, plans = self.limits, self.ledger.plans  # limits first: without them the folder is no workspace
        poll = self.settings.phases.sell.poll
        return Day(
            inbox=ExecutiveInbox(self.bus, self.ledger, limits, self.clock, self.consult, poll),
            judge=PlanJudge(self.reader, plans, self.ledger.book, limits, self.settings),
            approvals=self.approvals,
            execution=self._make_execution,
            reporter=self.reporter,
            hold=self.hold_account,
            consult=self.consult,
            work=self.work,
            briefings=lambda: self.briefings(self.clock.now()),
            compare=self.compare_account,
            renew=self.renew_exits,
            prepare_briefing=self.prepare_briefing,
            tell_approval=self.announcer.tell_approval,
        )

    @cached_property
    def approvals(self) -> Approvals:
        """The plans on file and their approvals."""
        from Departments.Executive.approvals import Approvals

        four_eyes = self.settings.approval.four_eyes_above
        limits, ahead = self.limits.fingerprint, lambda: self.hours.offset()  # noqa: PLW0108 - the broker is opened then
        return Approvals(self.state, self.ledger, limits, self.clock, self.rights, four_eyes, ahead)

    @cached_property
    def reporter(self) -> Reporter:
        """The writer of final reports."""
        from Departments.Executive.reporting.report import Reporter

        return Reporter(
            self.ledger,
            self.state / "Reports",
            self.settings.exits.enabled,
            self.rights,
            self.settings.trading.instructions,
        )

    @cached_property
    def opinions(self) -> Opinions:
        """Vetoes, comments and rejections of persons."""
        from Departments.Executive.opinions import Opinions

        find, limits = self.approvals.find_known, self.limits.fingerprint
        return Opinions(self.ledger, self.clock, limits, find, lambda filed: self.day.review(filed))  # noqa: PLW0108 - as above

    @cached_property
    def pages(self) -> Pages:
        """The writer of reports as pages."""
        from Departments.Executive.reporting.pages import Pages

        return Pages(self.ledger, self.reporter, self.state / MESSAGES, self.settings.report.html)

    def _make_execution(self, plan: TradingPlan) -> PlanExecution:
        from Departments.Executive.cash_count import CashCounter
        from Departments.Executive.execution import PlanExecution
        from Departments.Executive.phase_decisions import PhaseDecisions

        ledger, clock, limits, settings = self.ledger, self.clock, self.limits, self.settings
        cash = CashCounter(ledger, self.patient_broker, limits, clock, settings.phases.buy, self.work)
        decisions = PhaseDecisions(plan, ledger, self.reader, cash, limits, settings)
        phases, silence = settings.phases, self.silence
        return PlanExecution(plan, ledger, self.bus, clock, phases, decisions, cash, self.reporter, silence)

    @cached_property
    def routers(self) -> dict[str, Router]:
        """The visible table of every department that this desk plays."""
        staff = (self.day.inbox, self.planner, self.regime, self.trader)
        return {person.router.department: person.router for person in staff}

    @cached_property
    def standing(self) -> StandingReader:
        """The reader of what an operator asks for."""
        from Departments.Executive.overview.reading import StandingReader

        row, limits = self.broker_row, self.limits
        return StandingReader(
            ledger=self.ledger,
            open_broker=lambda: self.broker,
            read_hours=self.read_hours,
            clock=self.clock,
            limits=limits,
            settings=self.settings,
            title=row.title,
            is_live=self.choices.live,
            find_briefing=self.find_briefing,
            is_executing=self.is_executing,
            count_undelivered=self.count_undelivered,
        )

    def count_undelivered(self) -> int:
        """Return the number of committed messages that are not in their folders, MOST_LETTERS at most."""
        from Departments.messaging.ports import Letter

        return sum(not self.mailbox.has_sent(Letter(*row)) for row in self.ledger.journal.pending(MOST_LETTERS))

    def read_hours(self) -> MarketClock:
        """Open the broker, and return the exchange's hours."""
        return self.hours.read()

    def find_briefing(self, now: datetime) -> BriefingView:
        """Return the day's briefing, or what is wrong with it; nothing is delivered or asked for."""
        from Departments.Executive.overview.standing import BriefingView

        has_hook = self.settings.operations.briefing.is_set
        try:
            briefing = self.shelf.read_todays_briefing(now)
        except BadInput as error:
            return BriefingView(trouble=str(error), is_made_by_hook=has_hook)
        if briefing is None:
            return BriefingView(is_made_by_hook=has_hook)
        message = self.shelf.find(briefing.source)
        return BriefingView(briefing.source, None if message is None else message.timestamp, is_made_by_hook=has_hook)

    @cached_property
    def announcer(self) -> Announcer:
        """Tells people of the day."""
        from Departments.Executive.reporting.announcer import Announcer
        from Departments.notices.channels import ADDRESSES, HEARTBEAT, list_channels
        from Departments.notices.notifier import Notifier

        settings, environ = self.settings.notify, os.environ
        channels = tuple(list_channels(settings, self.workspace, environ.get(ADDRESSES, "").strip()))
        heartbeat = environ.get(HEARTBEAT) or settings.heartbeat_url or ""
        causes = lambda: self.ledger.journal  # noqa: E731 - opened with the first notice
        notifier = Notifier(settings, channels, causes, self.clock, heartbeat, self.workspace)
        return Announcer(notifier, self.state / "Reports", is_quiet=self.choices.rehearsal is not None)

    def consult(self) -> None:
        """Let the departments but Trading read their inboxes once, the Executive last. Nothing is ordered.

        The first time, the desk recovers. An inbox that a watcher holds is left to it.
        """
        self._ask_advisers()
        self.day.inbox.read()

    def _ask_advisers(self) -> None:
        self.recover()
        for name in (REGIME_DETECTION, OPERATIONS):
            with suppress(WorkspaceBusy):
                self.bus.consume(name, self.routers[name], wait=0)

    def clear_inbox(self) -> ConsumeReport | None:
        """Handle Trading's inbox if nothing needs limits or a broker: no message, no open order. Else return None."""
        from Departments.messaging.router import is_acted_on, make_skipping_router

        if self.ledger.orders.find_open() or any(map(is_acted_on, self.bus.waiting(TRADING))):
            return None
        return self.bus.consume(TRADING, make_skipping_router(TRADING))

    def work(self) -> None:
        """Let all departments of this process read their inboxes once, the Executive last: Trading sends orders.

        The first time, the desk recovers. An inbox that a watcher holds is left to it, and Trading's is left to one
        where that was chosen.
        """
        self._ask_advisers()
        if self.choices.via_watchers:
            self._tell_when_nobody_watches()
            self.silence.feel(self.timed_broker.market_clock)  # Trading meets it in another process
        elif self.choices.rehearsal is None:
            with suppress(WorkspaceBusy):
                self.trader.work(wait=0)
        self.day.inbox.read()

    def follow(self) -> None:
        """Let the departments but Trading read their inboxes once, and follow open orders. Nothing is ordered.

        While an execution runs here, Trading works as it does there.
        """
        if self.is_executing():
            self.work()
            return
        self._ask_advisers()
        if not self.choices.via_watchers and self.choices.rehearsal is None:
            self.trader.track()
        self.day.inbox.read()

    def is_executing(self) -> bool:
        """Return True while an execution holds this workspace."""
        from Departments.core.platform.locks import execution_lock

        try:
            with execution_lock(self.state, self.rights, self.mutexes):
                return False
        except WorkspaceBusy:
            return True

    def _tell_when_nobody_watches(self) -> None:
        """Warn once if nobody watches Trading's inbox: its lock would be held."""
        if not self._has_warned and self.mailbox.waiting(TRADING):
            with suppress(WorkspaceBusy), self.mailbox.holding(TRADING, wait=0):
                log.warning("Nobody watches the inbox of TRADING; start `departments watch TRADING`")
                self._has_warned = True

    def recover(self) -> None:
        """Deliver committed messages, and compare the ledger with the broker; once, sending nothing else.

        Raises BrokerUnavailable when the broker stays away.
        """
        self.bus.deliver_pending()
        if not self._recovered:
            self.bus.settle()
            self.hours.read()
            self.trader.reconcile()
        self._recovered = True

    def compare_account(self) -> None:
        """Compare the account with its book, unless the broker is away. Nothing is sent, so a watcher may go on."""
        with suppress(BrokerUnavailable):
            self.trader.reconcile()

    def renew_exits(self) -> None:
        """Make the exits of split and renamed symbols anew, or wait a little until a watching Trading has."""
        if self.choices.via_watchers:
            self.trader.await_renewal()
        elif self.choices.rehearsal is None:
            self.trader.renew_exits()


def open_desk(workspace: Path, choices: Choices | None = None, *, ledger_path: Path | None = None) -> Desk:
    """Return the desk of a workspace; nothing is opened or checked before it is used."""
    return Desk(locate(workspace), choices or Choices(ledger_path=ledger_path))
