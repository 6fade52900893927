"""The composition root: from a workspace folder to a desk whose parts are plugged together.

This is the only place that picks concrete parts: the clock, the ledger, the mailbox. Each part is imported
and made when it is first asked for, so a command that only reads messages needs neither limits nor a broker.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from Departments.brokers.registry import BROKERS, BrokerRow, Opening, find_row, list_names
from Departments.core.departments import OPERATIONS, OURS, REGIME_DETECTION, TRADING
from Departments.core.errors import BadInput, BrokerUnavailable, DepartmentsError, DiskError, LedgerError, WorkspaceBusy
from Departments.core.logs import make_logger
from Departments.core.platform.clock import Clock, SystemClock
from Departments.core.platform.disk_trouble import raise_for_disk
from Departments.core.platform.rights import PRIVATE, SHARED, Rights, list_open_folders
from Departments.core.platform.steps import Step, no_step

if TYPE_CHECKING:
    from Departments.brokers.base import Broker
    from Departments.brokers.patience import Silence
    from Departments.brokers.snapshot import ExchangeHours, FactsReader
    from Departments.constraints.limits import Limits
    from Departments.core.plans import TradingPlan
    from Departments.core.quotes import Bar
    from Departments.core.settings import Settings
    from Departments.exchange.faults import FaultScript
    from Departments.exchange.price_files import PriceFile
    from Departments.exchange.state import ExchangeState
    from Departments.Executive.ceo import CEO
    from Departments.Executive.day import Day
    from Departments.Executive.execution import PlanExecution
    from Departments.Executive.reporting.report import Reporter
    from Departments.ledger.ledger import Ledger
    from Departments.messaging.admission import Admission
    from Departments.messaging.bus import Bus
    from Departments.messaging.mailbox import Mailbox
    from Departments.messaging.message import Message
    from Departments.messaging.router import Router
    from Departments.messaging.signing import SignatureRule
    from Departments.Operations.operations_manager import OperationsManager
    from Departments.Operations.planner import Planner
    from Departments.Regime.regime_department import RegimeDepartment
    from Departments.Trading.trader import Trader
    from Departments.Trading.trading_department import TradingDepartment

log = make_logger(__name__)

MESSAGES = "Messages_Between_Departments"
LEDGER_FILE = "sentinel.db"
LOCKS = "DEPARTMENTS_LOCKS"
PRICES_LAST = timedelta(days=4)  # a briefing's prices stand in for a symbol that the exchange does not list


@dataclass(frozen=True)
class Choices:
    """What a command or script may choose beyond the files of the workspace; None means the value of the settings.

    `rehearsal` is a folder to plan in instead of the workspace: messages, ledger and exchange are there, and Trading
    does not work. `brokers` are the rows that `broker` and the settings choose from.
    """

    clock: Clock = field(default_factory=SystemClock)
    broker: str | None = None
    brokers: Sequence[BrokerRow] = BROKERS
    exchange_state: Path | None = None
    exchange_faults: Path | None = None
    exchange_prices: Path | None = None
    ledger_path: Path | None = None
    live: bool = False
    via_watchers: bool = False
    rehearsal: Path | None = None
    step: Step = no_step


class Desk:
    """One workspace with its departments. Raises BadInput, on first use of a part, for what a person has to mend."""

    def __init__(self, workspace: Path, choices: Choices) -> None:
        self.workspace = workspace
        self.choices = choices
        self.state = choices.rehearsal or workspace
        self.clock = choices.clock
        self._recovered = False
        self._told = False

    @cached_property
    def settings(self) -> Settings:
        """`config/settings.yaml`, or the defaults."""
        from Departments.core.platform.text_files import config_file
        from Departments.core.settings import load_settings

        path = config_file(self.workspace, "settings.yaml")
        settings = load_settings(path)
        if find_row(settings.broker.name, self.choices.brokers) is None:
            problem = f"input should be {list_names(self.choices.brokers)} (found {settings.broker.name!r})"
            raise BadInput(path, "broker.name", problem, "correct the value")
        if settings.messages.senders:
            self._check_senders(path, settings)
        self._check_signed_types(path, settings.messages.require_signature)
        return settings

    @staticmethod
    def _check_senders(path: Path, settings: Settings) -> None:
        """Raise BadInput for senders of an unknown type, or of one that only our departments write."""
        from Departments.messaging.catalogue import CATALOGUE

        open_types = sorted(row.name for row in CATALOGUE if not row.is_ours)
        for name in settings.messages.senders:
            row = CATALOGUE.find(name)
            if row is not None and row.name == name and not row.is_ours:
                continue
            problem = "only our own departments write this type" if row and row.is_ours else "there is no such type"
            raise BadInput(path, f"messages.senders.{name}", problem, f"name one of {', '.join(open_types)}")

    @staticmethod
    def _check_signed_types(path: Path, names: Sequence[str]) -> None:
        if names:
            from Departments.messaging.catalogue import CATALOGUE

            known = [row.name for row in CATALOGUE]
            for name in names:
                if name not in known:
                    problem = f"there is no message type {name!r}"
                    raise BadInput(path, "messages.require_signature", problem, f"name some of {', '.join(known)}")

    @cached_property
    def limits(self) -> Limits:
        """`config/hard_constraints.yaml`."""
        from Departments.constraints.limits import limits_file, load_limits

        path = limits_file(self.workspace)
        if not path.exists():
            mend = "copy the project's config/hard_constraints.yaml there, or name another --workspace"
            raise BadInput(path, "", "there is no such file", mend)
        return load_limits(path)

    @property
    def rights(self) -> Rights:
        """The rights of new files and folders, by `files` in the settings."""
        return SHARED if self.settings.files == "shared" else PRIVATE

    @property
    def ledger_path(self) -> Path:
        """The ledger's file: `sentinel.db` unless a script names another."""
        return self.choices.ledger_path or self.state / LEDGER_FILE

    @cached_property
    def ledger(self) -> Ledger:
        """The workspace's ledger."""
        from Departments.ledger.ledger import Ledger

        self._check_writable()
        return Ledger(
            self.ledger_path, step=self.choices.step, patience=self.settings.ledger.patience, rights=self.rights
        )

    @cached_property
    def mailbox(self) -> Mailbox:
        """The folder of messages."""
        from Departments.messaging.mailbox import Mailbox

        self._check_writable()
        messaging = self.settings.messaging
        return Mailbox(
            self.state / MESSAGES,
            durability=messaging.durability,
            step=self.choices.step,
            max_bytes=messaging.max_message_bytes,
            rights=self.rights,
        )

    @cached_property
    def bus(self) -> Bus:
        """Publishing and consuming."""
        from Departments.messaging.bus import Bus

        self._warn_of_open_inboxes()
        bus = Bus(
            self.mailbox,
            self.ledger.journal,
            self.clock,
            self.settings.messaging,
            self.admission,
            signatures=self.signatures,
        )
        if self.choices.rehearsal is not None:
            bus.forget_letters()
        return bus

    @cached_property
    def signatures(self) -> SignatureRule:
        """Which messages must be signed, and the keys of the environment."""
        from Departments.messaging.signing import SignatureRule

        return SignatureRule(frozenset(self.settings.messages.require_signature))

    @cached_property
    def admission(self) -> Admission:
        """Who may send what, and what proves it. Says at every start that nothing does, if that is chosen."""
        from Departments.messaging.admission import UNPROVEN_WARNING, Admission

        instructions = self.settings.trading.instructions
        if instructions == "unproven":
            log.warning(UNPROVEN_WARNING)
        return Admission(self.settings.messages.senders, instructions, self.signatures)

    @cached_property
    def broker_row(self) -> BrokerRow:
        """The registry's row of the chosen broker."""
        name = self.choices.broker or self.settings.broker.name
        row = find_row(name, self.choices.brokers)
        if row is None:
            raise BadInput("--broker", "", f"{name!r} is no broker", f"name {list_names(self.choices.brokers)}")
        return row

    @cached_property
    def broker(self) -> Broker:
        """The chosen broker, opened now."""
        row, choices = self.broker_row, self.choices
        if not (row.takes_simulated_clock or isinstance(self.clock, SystemClock)):
            raise BadInput("--at", "", f"a simulated clock cannot be used with {row.title}", "leave it out")
        if row.file is not None:
            self._check_writable()
        state, faults = self.exchange_files if row.takes_exchange_files else (None, None)
        opening = Opening(
            workspace=self.workspace,
            folder=self.state,
            clock=self.clock,
            settings=self.settings.broker,
            live=choices.live,
            step=choices.step,
            rights=self.rights,
            exchange_state=state,
            exchange_faults=faults,
            exchange_prices=self.exchange_prices if row.takes_exchange_files else None,
            find_prices=self._find_prices,
        )
        return row.open(opening)

    def _find_prices(self, symbols: Collection[str]) -> dict[str, Decimal]:
        """Find prices of symbols in the newest briefings of the last days, for an exchange that does not list them."""
        from Departments.messaging.neighbours import PricedBriefing

        now, found = self.clock.now(), dict[str, Decimal]()
        for message in self.briefings(now):
            if now - message.timestamp <= PRICES_LAST:
                with suppress(DepartmentsError):
                    briefing = PricedBriefing.of(message, message.message_id)
                    for row in (*briefing.candidates, *briefing.current_holdings):
                        found.setdefault(row.symbol, row.price)
        return {symbol: found[symbol] for symbol in symbols if symbol in found}

    @cached_property
    def patient_broker(self) -> Broker:
        """The broker for those who plan, review and decide: a short silence is waited out."""
        from Departments.brokers.patience import PatientBroker

        return PatientBroker(self.timed_broker, self.clock, seconds=self.settings.phases.patience)

    @cached_property
    def silence(self) -> Silence:
        """The broker's silence, which no deadline counts."""
        from Departments.brokers.patience import Silence

        return Silence(self.clock)

    @cached_property
    def timed_broker(self) -> Broker:
        """The broker for Trading: its silence is measured."""
        from Departments.brokers.patience import TimedBroker

        return TimedBroker(self.broker, self.clock, self.silence)

    @cached_property
    def hours(self) -> ExchangeHours:
        """The exchange's hours, one source for all departments."""
        from Departments.brokers.snapshot import ExchangeHours

        return ExchangeHours(self.broker, self.clock)

    @cached_property
    def exchange_files(self) -> tuple[ExchangeState | None, FaultScript | None]:
        """The chosen state and faults of the simulated exchange, as values. Raises BadInput."""
        from Departments.exchange.faults import load_faults
        from Departments.exchange.state import load_exchange_state

        state, faults = self.choices.exchange_state, self.choices.exchange_faults
        return (
            None if state is None else load_exchange_state(state),
            None if faults is None else load_faults(faults),
        )

    @cached_property
    def exchange_prices(self) -> PriceFile | None:
        """The chosen prices for the simulated exchange, as values. Raises BadInput."""
        from Departments.exchange.price_files import read_prices

        prices = self.choices.exchange_prices
        return None if prices is None else read_prices(prices)

    # --- departments ---

    @cached_property
    def regime(self) -> RegimeDepartment:
        """The Regime department."""
        from Departments.Operations.shelf import is_usable
        from Departments.Regime.market_data import MarketData, broker_source, file_sources
        from Departments.Regime.regime_department import RegimeDepartment

        settings, limits = self.settings.regime, self.limits.market_conditions
        sources = (*file_sources(settings, self.workspace), broker_source(self.spy_bars))
        market = MarketData(self.briefings, sources, closing_bars=self.spy_bars, is_usable=is_usable)
        return RegimeDepartment(self.bus, self.ledger.regimes, limits, self.clock, settings, market)

    def briefings(self, now: datetime) -> list[Message]:
        """Return the briefings that Operations chooses from: delivered ones, newest first, then what RESEARCH sent."""
        from Departments.core.trading_calendar import trading_day
        from Departments.Operations.shelf import Shelf

        return Shelf(self.state / MESSAGES, self.bus).list_briefings(trading_day(now))

    def spy_bars(self) -> Sequence[Bar]:
        """Return a year of SPY's daily bars from the broker, which is connected only now."""
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
        return FactsReader(broker, self.ledger, self.hours, self.clock, days_to_settle(self.limits), young, fresh)

    @cached_property
    def planner(self) -> Planner:
        """Operations at work."""
        from Departments.Operations.planner import Planner
        from Departments.Operations.shelf import Shelf

        limits, reader = self.limits, self.reader  # limits first: without them the folder is no workspace
        shelf, ask_regime = Shelf(self.state / MESSAGES, self.bus), self.regime.process_inbox
        return Planner(reader, limits, self.settings.exits, self.bus, self.ledger, shelf, ask_regime)

    @cached_property
    def operations(self) -> OperationsManager:
        """Operations as scripts call it."""
        from Departments.Operations.operations_manager import OperationsManager

        return OperationsManager(self.state, planner=self.planner)

    @cached_property
    def trader(self) -> Trader:
        """Trading at work."""
        from Departments.Trading.bookkeeping import Bookkeeper
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
        judge = Judge(self._make_reader(broker), ledger.releases.find_locks, limits, exits)
        accounts = self.settings.accounts
        books = Bookkeeper(broker, ledger, clock, patience=phases.patience, foreign=accounts.policy_for)
        return Trader(
            broker,
            self.bus,
            ApprovalHandlers(partial(self.bus.waiting, TRADING), decisions, ledger, clock, exits, judge, sender),
            ExitHandlers(broker, ledger, clock, decisions, exits, judge, sender),
            ExitRepricer(broker, ledger, clock, exits, tracker, sender),
            Reconciler(broker, ledger, clock, sender.report, books),
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
        from Departments.Executive.approvals import Approvals
        from Departments.Executive.day import Day
        from Departments.Executive.inbox import ExecutiveInbox
        from Departments.Executive.plan_judge import PlanJudge

        limits, plans = self.limits, self.ledger.plans  # limits first: without them the folder is no workspace
        poll = self.settings.phases.sell.poll
        return Day(
            inbox=ExecutiveInbox(self.bus, self.ledger, limits, self.clock, self.consult, poll),
            judge=PlanJudge(self.reader, plans, limits, self.settings),
            approvals=Approvals(
                self.state,
                self.ledger,
                limits.fingerprint,
                self.clock,
                self.rights,
                self.settings.approval.four_eyes_above,
            ),
            execution=self._make_execution,
            reporter=self.reporter,
            hold=self._hold_account,
            consult=self.consult,
            work=self.work,
            briefings=lambda: self.briefings(self.clock.now()),
            compare=self.compare_account,
            renew=self.renew_exits,
        )

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

    def _make_execution(self, plan: TradingPlan) -> PlanExecution:
        from Departments.Executive.cash_count import CashCounter
        from Departments.Executive.execution import PlanExecution
        from Departments.Executive.phase_decisions import PhaseDecisions

        ledger, clock, limits, settings = self.ledger, self.clock, self.limits, self.settings
        cash = CashCounter(ledger, self.patient_broker, limits, clock, settings.phases.buy, self.work)
        decisions = PhaseDecisions(plan, ledger, self.reader, cash, limits, settings)
        phases, silence = settings.phases, self.silence
        return PlanExecution(plan, ledger, self.bus, clock, phases, decisions, cash, self.reporter, silence)

    @contextmanager
    def _hold_account(self) -> Iterator[None]:
        """Hold workspace and account for one execution. Raises WorkspaceBusy."""
        from Departments.core.platform.locks import account_lock, execution_lock

        broker, rights = self.patient_broker, self.rights
        with execution_lock(self.state, rights), account_lock(self.locks, broker.name, broker.account().id, rights):
            yield

    @cached_property
    def routers(self) -> dict[str, Router]:
        """The visible table of every department that this desk plays."""
        staff = (self.day.inbox, self.planner, self.regime, self.trader)
        return {person.router.department: person.router for person in staff}

    @property
    def locks(self) -> Path:
        """The folder of the account's lock: beside the file that is the account, else a folder of the user.

        That folder (`DEPARTMENTS_LOCKS`, or the platform's for the state of programs) is the same for every workspace.
        """
        if self.broker_row.file is not None:
            return (self.state / self.broker_row.file).resolve().parent
        from platformdirs import user_state_path

        named = os.environ.get(LOCKS)
        return Path(named) if named else user_state_path("departments", appauthor=False)

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

    def work(self) -> None:
        """Let all departments of this process read their inboxes once, the Executive last: Trading sends orders.

        The first time, the desk recovers. An inbox that a watcher holds is left to it, and Trading's is left to one
        where that was chosen.
        """
        self._ask_advisers()
        if self.choices.via_watchers:
            self._tell_when_nobody_watches()
        elif self.choices.rehearsal is None:
            with suppress(WorkspaceBusy):
                self.trader.work(wait=0)
        self.day.inbox.read()

    def follow(self) -> None:
        """Let the departments but Trading read their inboxes once, and follow open orders. Nothing is ordered.

        While an execution runs here, Trading works as it does there.
        """
        if self._is_executing():
            self.work()
            return
        self._ask_advisers()
        if not self.choices.via_watchers and self.choices.rehearsal is None:
            self.trader.track()
        self.day.inbox.read()

    def _is_executing(self) -> bool:
        """Return True while an execution holds this workspace."""
        from Departments.core.platform.locks import execution_lock

        try:
            with execution_lock(self.state, self.rights):
                return False
        except WorkspaceBusy:
            return True

    def _tell_when_nobody_watches(self) -> None:
        """Say once that Trading's messages wait for a watcher that is not there: its lock would be held."""
        if not self._told and self.mailbox.waiting(TRADING):
            with suppress(WorkspaceBusy), self.mailbox.holding(TRADING, wait=0):
                log.warning("Nobody watches the inbox of TRADING; start `departments watch TRADING`")
                self._told = True

    def recover(self) -> None:
        """Deliver what was committed and not sent, and compare the ledger with the broker; once, sending nothing else.

        Raises BrokerUnavailable when the broker stays away.
        """
        self.bus.deliver_pending()
        if not self._recovered:
            self.bus.settle()
            if not self.choices.via_watchers:
                self.trader.reconcile()
        self._recovered = True

    def compare_account(self) -> None:
        """Compare the account with its book, unless Trading watches elsewhere or the broker is away."""
        if self.choices.via_watchers:
            return
        with suppress(BrokerUnavailable):
            self.trader.reconcile()

    def renew_exits(self) -> None:
        """Make the exits of split and renamed symbols anew, unless Trading watches elsewhere."""
        if not self.choices.via_watchers and self.choices.rehearsal is None:
            self.trader.renew_exits()

    def _warn_of_open_inboxes(self) -> None:
        """Say which of our inboxes others may write into: whoever writes there sends us messages."""
        inboxes = [self.state / MESSAGES / "Inbox" / name for name in OURS]
        found = list_open_folders([self.state / MESSAGES, self.state / MESSAGES / "Inbox", *inboxes], self.rights)
        if found:
            places = ", ".join(map(str, found))
            log.warning("Others may write into %s, and so send us messages; take their right to write away", places)

    def close(self) -> None:
        """Close the files that were opened."""
        if "bus" in self.__dict__:
            with suppress(LedgerError, DiskError):
                self.bus.close()
        if "ledger" in self.__dict__:
            self.ledger.close()
        closing = getattr(self.__dict__.get("broker"), "close", None)
        if closing is not None:
            closing()

    def _check_writable(self) -> None:
        probe = self.state / f".departments.{uuid4().hex}.probe"  # its own: others look at the same time
        try:
            probe.touch(0o600)
            probe.unlink()
        except FileNotFoundError as error:  # mistyped, more likely than not: it is not made
            mend = "create it or name another --workspace"
            raise BadInput(self.state, "", "there is no such folder", mend) from error
        except OSError as error:
            raise_for_disk(error, self.state)
            problem = f"the workspace cannot be written ({error.strerror})"
            raise BadInput(self.state, "", problem, "choose another folder or correct its rights") from error


def open_desk(workspace: Path, choices: Choices | None = None, *, ledger_path: Path | None = None) -> Desk:
    """Return the desk of a workspace; nothing is opened or checked before it is used."""
    return Desk(workspace, choices or Choices(ledger_path=ledger_path))
