"""The table of brokers, one row each.

A new broker needs a folder behind the port, a row here, and the contract suite in `tests/contract`. A row imports
its broker only to open it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from Departments.core.platform.rights import PRIVATE, Rights

if TYPE_CHECKING:
    from Departments.brokers.base import Broker
    from Departments.core.platform.clock import Clock
    from Departments.core.platform.steps import Step
    from Departments.core.settings import BrokerSettings
    from Departments.exchange.faults import FaultScript
    from Departments.exchange.price_files import PriceFile
    from Departments.exchange.state import ExchangeState

EXCHANGE_FILE: Final = "simulated_exchange.db"
MOST_SET_BACK: Final = timedelta(days=1)  # an exchange further ahead was used with --at


@dataclass(frozen=True)
class Opening:
    """The arguments for opening a broker.

    `workspace` holds configuration and keys, `folder` the desk's own files. Only a row with `takes_exchange_files`
    reads the exchange's files; `find_prices` knows prices (dollars) of symbols that it does not list yet.
    """

    workspace: Path
    folder: Path
    clock: Clock
    settings: BrokerSettings
    live: bool
    step: Step
    rights: Rights = PRIVATE
    exchange_state: ExchangeState | None = None
    exchange_faults: FaultScript | None = None
    exchange_prices: PriceFile | None = None
    find_prices: Callable[[Collection[str]], Mapping[str, Decimal]] | None = None


@dataclass(frozen=True, slots=True)
class BrokerRow:
    """One broker: its name in settings and options, its title in sentences, its opener.

    `file` is the account's file in the desk's folder, if it has one. The account's lock is beside that file, otherwise
    in a folder of the user. `open` raises BadInput, for example for missing credentials. `unpriced` returns the
    sentence about a symbol ({0}) without a price, with the mend.
    """

    name: str
    title: str
    open: Callable[[Opening], Broker]
    file: str | None = None
    takes_exchange_files: bool = False
    takes_simulated_clock: bool = False
    unpriced: Callable[[], str] = lambda: "the broker has no price of {0}, so it is not bought"


def _open_simulated(opening: Opening) -> Broker:
    from Departments.brokers.simulated import SimulatedBroker
    from Departments.exchange.exchange import SimulatedExchange

    path = opening.folder / EXCHANGE_FILE
    exchange = SimulatedExchange(
        path,
        _keep_going(opening.clock, path),
        state=opening.exchange_state,
        faults=opening.exchange_faults,
        step=opening.step,
        rights=opening.rights,
        find_prices=opening.find_prices,
    )
    if opening.exchange_prices is not None:
        exchange.floor.set_prices(opening.exchange_prices.prices)
        exchange.floor.record_bars(opening.exchange_prices.bars)
    return SimulatedBroker(exchange, opening.clock)


def _keep_going(clock: Clock, path: Path) -> Clock:
    """Return the clock of an exchange: it is not set back with the machine's, as no broker's is."""
    from Departments.core.platform.clock import AheadClock, SystemClock
    from Departments.exchange.storage import find_last_moment

    last = find_last_moment(path) if isinstance(clock, SystemClock) and path.exists() else None
    ahead = timedelta() if last is None else last - clock.now()
    return AheadClock(clock, ahead) if timedelta() < ahead <= MOST_SET_BACK else clock


def _name_unpriced() -> str:
    from Departments.exchange import NO_PRICE

    return NO_PRICE


def _open_alpaca(opening: Opening) -> Broker:
    from Departments.brokers.alpaca.broker import connect
    from Departments.brokers.alpaca.credentials import load_credentials

    credentials = load_credentials([opening.workspace, opening.workspace / "scripts"])
    return connect(credentials, opening.settings, opening.clock, live=opening.live)


#: The first row is the default of the settings.
BROKERS: Final[Sequence[BrokerRow]] = (
    BrokerRow(
        "simulated",
        "the simulated exchange",
        _open_simulated,
        file=EXCHANGE_FILE,
        takes_exchange_files=True,
        takes_simulated_clock=True,
        unpriced=_name_unpriced,
    ),
    BrokerRow("alpaca", "Alpaca", _open_alpaca),
)


@dataclass(frozen=True, slots=True)
class Access:
    """The keys to an account that a workspace has: none, of a paper account, or of one with real money."""

    kind: Literal["none", "paper", "live"]
    source: str = ""


def find_access(workspace: Path) -> Access:
    """Find the keys in the environment, or else in a `config.py` of the workspace. Raises BadInput for odd ones."""
    from Departments.brokers.alpaca.credentials import find_source, is_live, load_credentials

    folders = [workspace, workspace / "scripts"]
    source = find_source(folders)
    if not source:
        return Access("none")
    return Access("live" if is_live(load_credentials(folders)) else "paper", source)


def find_row(name: str, rows: Sequence[BrokerRow] = BROKERS) -> BrokerRow | None:
    """Return the row of a broker. Returns None for an unknown name."""
    return next((row for row in rows if row.name == name), None)


def name_of_paper(rows: Sequence[BrokerRow] = BROKERS) -> str:
    """Return the name of the first broker with accounts of its own, which may be paper accounts."""
    return next(row.name for row in rows if not row.takes_exchange_files)


def list_names(rows: Sequence[BrokerRow] = BROKERS) -> str:
    """Return the names for a sentence: 'simulated' or 'alpaca'."""
    *others, last = (repr(row.name) for row in rows)
    return f"{', '.join(others)} or {last}" if others else last
