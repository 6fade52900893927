"""The plumbing of a workspace, without its departments: settings, limits, ledger, messages and the broker.

Each part is imported and made when it is first asked for, so a command that only reads messages needs neither limits
nor a broker.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from Departments.brokers.registry import BROKERS, EXCHANGE_FILE, BrokerRow, Opening, find_row, list_names
from Departments.core.departments import OURS
from Departments.core.errors import BadInput, DepartmentsError, DiskError, LedgerError, WorkspaceBusy
from Departments.core.logs import make_logger
from Departments.core.moments import show_moment
from Departments.core.platform.clock import Clock, SystemClock
from Departments.core.platform.disk_trouble import raise_if_read_only
from Departments.core.platform.places import (
    Mutexes,
    claim_state,
    find_mutexes,
    find_state,
    find_sync_client,
    may_warn,
    user_folder,
)
from Departments.core.platform.rights import PRIVATE, SHARED, Rights, list_open_folders
from Departments.core.platform.steps import Step, no_step
from Departments.core.trading_calendar import trading_day

if TYPE_CHECKING:
    from Departments.brokers.base import Broker
    from Departments.brokers.choice import ChosenBroker
    from Departments.brokers.patience import Silence
    from Departments.brokers.snapshot import ExchangeHours
    from Departments.constraints.limits import Limits
    from Departments.core.settings import Settings
    from Departments.exchange.faults import FaultScript
    from Departments.exchange.price_files import PriceFile
    from Departments.exchange.state import ExchangeState
    from Departments.ledger.ledger import Ledger
    from Departments.messaging.admission import Admission
    from Departments.messaging.bus import Bus
    from Departments.messaging.mailbox import Mailbox
    from Departments.messaging.message import Message
    from Departments.messaging.signing import SignatureRule
    from Departments.Operations.shelf import Shelf

log = make_logger(__name__)

MESSAGES = "Messages_Between_Departments"
LEDGER_FILE = "sentinel.db"
#: A ledger is a file and its log (-wal). A client that copies one without the other breaks it on the other machine.
SYNCHRONISED = (
    "The ledger is in %s, which %s copies: a copy of it without its log (-wal) lacks orders. Name a folder outside by "
    "state_dir in config/settings.yaml, and move sentinel.db and simulated_exchange.db there while nothing runs"
)
#: The same in a project whose own scripts open the ledger.
SYNCHRONISED_PROJECT = (
    "The ledger is in %s, which %s copies: a copy of it without its log (-wal) lacks orders. The project's scripts "
    "open it there, so it stays with them: move the whole project out of that folder"
)
#: Dollars of a new paper account.
PAPER_CASH = Decimal(100_000)
PRICES_LAST = timedelta(days=4)  # a briefing's prices stand in for a symbol that the exchange does not list


@dataclass(frozen=True)
class Choices:
    """The choices of a command or script beyond the files of the workspace; None means the value of the settings.

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


class Plumbing:
    """The shared parts of one workspace's departments. Raises BadInput, on first use of a part, for a wrong file."""

    def __init__(self, workspace: Path, choices: Choices) -> None:
        self.workspace = workspace
        self.choices = choices
        self.state = choices.rehearsal or workspace
        self.clock = choices.clock

    @cached_property
    def state_dir(self) -> Path:
        """The folder of ledger, exchange and mutexes: the workspace, or the one that `state_dir` names."""
        if self.choices.rehearsal is not None:
            return self.choices.rehearsal
        found = self._found_state
        if found != self.workspace:
            claim_state(found, self.workspace, self.rights)
        client = find_sync_client(found)
        if client is not None and may_warn(self.workspace, trading_day(SystemClock().now())):
            has_scripts = (self.workspace / "Departments").is_dir()
            log.warning(SYNCHRONISED_PROJECT if has_scripts else SYNCHRONISED, found, client)
        return found

    @cached_property
    def mutexes(self) -> Mutexes:
        """The mutexes of the workspace; a rehearsal has its own."""
        rehearsal = self.choices.rehearsal
        if rehearsal is not None:
            return Mutexes(rehearsal / ".locks")
        return find_mutexes(self.workspace, self._found_state)

    @cached_property
    def _found_state(self) -> Path:
        """The folder that the settings or the environment name, not yet claimed; they are read for it once."""
        return find_state(self.workspace)

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
        if settings.files == "shared" and self._found_state == self.workspace:
            problem = "several users need a state folder that all of them can write, for ledger and mutexes"
            raise BadInput(path, "files", problem, "name it by state_dir")
        if settings.messages.senders or settings.messages.require_signature:
            from Departments.messaging.admission import check_types

            check_types(settings.messages, path)
        return settings

    @cached_property
    def limits(self) -> Limits:
        """`config/hard_constraints.yaml`, with what `compliance_config.yaml` beside it makes stricter."""
        from Departments.constraints.compliance import tighten
        from Departments.constraints.limits import limits_file, load_limits

        path = limits_file(self.workspace)
        if not path.exists():
            mend = "make a workspace of it by `departments init`, or name another --workspace"
            raise BadInput(path, "", "there is no such file", mend)
        return tighten(load_limits(path), self.workspace)

    @property
    def rights(self) -> Rights:
        """The rights of new files and folders, by `files` in the settings."""
        return SHARED if self.settings.files == "shared" else PRIVATE

    @property
    def ledger_path(self) -> Path:
        """The ledger's file: `sentinel.db` unless a script names another."""
        return self.choices.ledger_path or self.state_dir / LEDGER_FILE

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
            hard_links=messaging.hard_links == "auto",
            mutexes=self.mutexes,
        )

    # --- messages ---

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
        """The types with a required signature, and the keys of the environment."""
        from Departments.messaging.signing import SignatureRule

        return SignatureRule(frozenset(self.settings.messages.require_signature))

    @cached_property
    def admission(self) -> Admission:
        """The rule for senders and proofs of messages. Says at every start that nothing does, if that is chosen."""
        from Departments.messaging.admission import UNPROVEN_WARNING, Admission

        instructions = self.settings.trading.instructions
        if instructions == "unproven":
            log.warning(UNPROVEN_WARNING)
        return Admission(self.settings.messages.senders, instructions, self.signatures)

    def _warn_of_open_inboxes(self) -> None:
        """Warn of inboxes open to the writing of others: whoever writes there sends us messages."""
        inboxes = [self.state / MESSAGES / "Inbox" / name for name in OURS]
        found = list_open_folders([self.state / MESSAGES, self.state / MESSAGES / "Inbox", *inboxes], self.rights)
        if found:
            places = ", ".join(map(str, found))
            log.warning("Others may write into %s, and so send us messages; take their right to write away", places)

    def briefings(self, now: datetime) -> list[Message]:
        """Return the briefings for a plan: delivered ones, newest first, then what RESEARCH sent."""
        from Departments.core.trading_calendar import trading_day

        return self.shelf.list_briefings(trading_day(now))

    @cached_property
    def shelf(self) -> Shelf:
        """The sources of plans in the folder of messages."""
        from Departments.Operations.shelf import Shelf

        needs_proposal = self.settings.operations.proposal == "required"
        return Shelf(self.state / MESSAGES, self.bus, needs_proposal)

    # --- the broker ---

    @cached_property
    def broker_row(self) -> BrokerRow:
        """The registry's row of the chosen broker."""
        name = self._broker_choice.name
        row = find_row(name, self.choices.brokers)
        if row is None:
            raise BadInput("--broker", "", f"{name!r} is no broker", f"name {list_names(self.choices.brokers)}")
        return row

    @cached_property
    def _broker_choice(self) -> ChosenBroker:
        """The name in options or settings, else the one that keys and past days lead to."""
        from Departments.brokers.choice import ChosenBroker, choose_broker
        from Departments.core.platform.text_files import config_file

        choices = self.choices
        if choices.broker is not None:
            return ChosenBroker(choices.broker)
        settings = self.settings
        if "name" in settings.broker.model_fields_set or tuple(choices.brokers) != tuple(BROKERS):
            return ChosenBroker(settings.broker.name)
        files = (choices.exchange_state, choices.exchange_faults, choices.exchange_prices)
        is_asked_for = any(files) or not isinstance(self.clock, SystemClock)
        has_settings = config_file(self.workspace, "settings.yaml").exists()
        return choose_broker(
            self.workspace,
            self.state_dir,
            self._find_past_broker(),
            is_asked_for=is_asked_for,
            has_settings=has_settings,
        )

    def _find_past_broker(self) -> str | None:
        """Return the broker at which this desk has traded; a ledger is not made for the question.

        An older ledger does not say it: with orders, and without the file of an exchange, they were sent elsewhere.
        """
        from Departments.brokers.choice import REMOTE

        if not self.ledger_path.exists():
            return None
        is_elsewhere = not (self.state_dir / EXCHANGE_FILE).exists() and self.ledger.orders.has_any()
        return self.ledger.brokers.find_last() or (REMOTE if is_elsewhere else None)

    @cached_property
    def broker(self) -> Broker:
        """The chosen broker, opened now."""
        row, choices = self.broker_row, self.choices
        if not (row.takes_simulated_clock or isinstance(self.clock, SystemClock)):
            raise BadInput("--at", "", f"a simulated clock cannot be used with {row.title}", "leave it out")
        if choices.live and row.takes_exchange_files:
            raise BadInput("--live", "", f"{row.title} has no real money", "leave it out, or name another --broker")
        if row.file is not None:
            self._check_writable()
        state, faults = self.exchange_files if row.takes_exchange_files else (None, None)
        if row.takes_exchange_files and self._broker_choice.fresh:
            from Departments.exchange.state import ExchangeState

            state = ExchangeState(cash=PAPER_CASH)
        opening = Opening(
            workspace=self.workspace,
            folder=self.state_dir,
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
        """The broker for planning, review and decisions: a short silence is waited out."""
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

        return TimedBroker(self.broker, self.clock, self.silence, self.hours.offset)

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

    @contextmanager
    def hold_account(self) -> Iterator[None]:
        """Hold workspace and account for one execution. Raises WorkspaceBusy."""
        from Departments.core.platform.locks import account_lock, execution_lock

        broker, rights = self.patient_broker, self.rights
        account = account_lock(self.locks, broker.name, f"{self._account_file}{broker.account().id}", rights)
        with ExitStack() as held:
            try:
                held.enter_context(execution_lock(self.state, rights, self.mutexes))
            except WorkspaceBusy as busy:
                raise self._name_run(busy) from busy
            held.enter_context(account)
            self.ledger.brokers.note(broker.name, self.clock.now())
            yield

    def _name_run(self, busy: WorkspaceBusy) -> WorkspaceBusy:
        """Name the plan that another process executes here; before its first phase there is none."""
        run = self.ledger.plans.find_unfinished()
        if run is not None:
            process = f" by process {busy.process}" if busy.process else ""
            what = f"{run.plan_id} is being executed here since {show_moment(run.started_at)}{process}"
            sentence = f"{what}; wait until it ends, departments status shows its phase."
            busy = WorkspaceBusy(sentence, run.started_at, busy.process)
        busy.executes_here = True
        return busy

    @property
    def locks(self) -> Path:
        """The folder of the account's mutex: the same for every workspace, unless a file is the account."""
        return user_folder() if self.broker_row.file is None else self.mutexes.folder

    @property
    def _account_file(self) -> str:
        """The file that is the account, with a blank after it; nothing for an account at a real broker."""
        file = self.broker_row.file
        return "" if file is None else f"{(self.state_dir / file).resolve()} "

    # --- the files ---

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
        """Raise BadInput or DiskError for a workspace without a folder or a right; the first write proves the rest."""
        if not self.state.is_dir():  # mistyped, more likely than not: it is not made
            raise BadInput(self.state, "", "there is no such folder", "create it or name another --workspace")
        if not os.access(self.state, os.W_OK):
            raise_if_read_only(self.state)
            problem = "the workspace cannot be written (a right is missing)"
            raise BadInput(self.state, "", problem, "choose another folder or correct its rights")
