"""Check the files of the simulated exchange before a desk opens it, and replace it where that is asked for."""

from __future__ import annotations

from contextlib import closing

from Departments.bootstrap import Desk
from Departments.brokers.registry import EXCHANGE_FILE
from Departments.core.errors import BadInput
from Departments.core.logs import make_logger
from Departments.core.trading_calendar import trading_day

log = make_logger(__name__)


def check_exchange_files(desk: Desk, *, reseed: bool = False) -> None:
    """Read the files of the simulated exchange and refuse them beside another broker.

    A state seeds a new exchange. A used one refuses it: with `reseed` it is put away under a dated name. The very
    state that seeded it today may be given again: the same command has to continue an interrupted day.
    """
    choices = desk.choices
    files = {
        "--exchange-state": choices.exchange_state,
        "--exchange-faults": choices.exchange_faults,
        "--prices": choices.exchange_prices,
    }
    for option, path in files.items():
        if path is not None and not desk.broker_row.takes_exchange_files:
            raise BadInput(option, "", "is for the simulated exchange only", "leave it out, or use --broker simulated")
    if reseed and choices.exchange_state is None:
        raise BadInput("--reseed", "", "needs a new state", "add --exchange-state FILE")
    _ = desk.exchange_files, desk.exchange_prices
    if choices.exchange_state is not None and (desk.state_dir / EXCHANGE_FILE).exists():
        _replace_or_refuse(desk, reseed=reseed)


def _replace_or_refuse(desk: Desk, *, reseed: bool) -> None:
    from Departments.exchange.exchange import SimulatedExchange  # noqa: PLC0415 - only for an exchange that exists
    from Departments.exchange.storage import retire_file  # noqa: PLC0415

    path, now, state = desk.state_dir / EXCHANGE_FILE, desk.clock.now(), desk.exchange_files[0]
    with closing(SimulatedExchange(path, desk.clock)) as exchange:
        is_same, is_used = exchange.starting_state() == state, exchange.is_used
        started = trading_day(exchange.started_at)
    if is_same and not reseed and (started == trading_day(now) or not is_used):
        log.info("The exchange continues from %s; %s seeds only a new one", path.name, desk.choices.exchange_state)
        return
    if is_used and not reseed:
        problem = f"the exchange in {path.name} is in use since {started}"
        raise BadInput("--exchange-state", "", problem, "leave it out, or add --reseed: the old file is kept")
    log.info("The exchange begins anew; the old one is kept as %s", retire_file(path, now).name)
    SimulatedExchange(path, desk.clock, state=state).close()
