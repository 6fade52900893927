"""The broker of a workspace: the chosen one, opened when it is first asked for, and the hold on its account."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from Departments.brokers.registry import BROKERS, EXCHANGE_FILE, BrokerRow, Opening, find_row, list_names
from Departments.core.errors import BadInput, DepartmentsError, WorkspaceBusy
from Departments.core.moments import show_moment
from Departments.core.platform.clock import SystemClock
from Departments.core.platform.places import user_folder
from Departments.plumbing import Plumbing

if TYPE_CHECKING:
    from Departments.brokers.base import Broker
    from Departments.brokers.choice import ChosenBroker
    from Departments.brokers.patience import Silence
    from Departments.brokers.snapshot import ExchangeHours
    from Departments.exchange.faults import FaultScript
    from Departments.exchange.price_files import PriceFile
    from Departments.exchange.state import ExchangeState

#: Dollars of a new paper account.
PAPER_CASH: Final = Decimal(100_000)
PRICES_LAST: Final = timedelta(days=4)  # a briefing's prices stand in for a symbol that the exchange does not list


class BrokerAccess(Plumbing):
    """The plumbing with a broker. Raises BadInput, on first use, for what a person has to mend."""

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
        """Find prices of unlisted symbols in the newest briefings of the last days."""
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

    def close(self) -> None:
        """Close the files and the connection that were opened."""
        super().close()
        closing = getattr(self.__dict__.get("broker"), "close", None)
        if closing is not None:
            closing()
