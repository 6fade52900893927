"""The clock of a command: that of `--at`, the machine's, or one at the last moment of a replayed exchange."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from Departments.bootstrap import Choices, Desk, open_desk
from Departments.commands.inputs import make_clock
from Departments.core.errors import BadInput
from Departments.core.logs import make_logger
from Departments.core.moments import iso
from Departments.core.money import count_noun
from Departments.core.platform.clock import Clock, SimulatedClock, SystemClock
from Departments.core.trading_calendar import trading_day
from Departments.exchange.storage import count_ending, find_last_moment

log = make_logger(__name__)

#: An exchange that nobody has used for so long lives in a replayed past: its own last moment counts.
IN_USE: Final = timedelta(days=7)


def choose_clock(path: Path, at: str | None) -> Clock:
    """Return the clock of `--at`, the machine's, or for a replayed exchange in the file `path` its last moment."""
    clock = make_clock(at)
    last = _find_replayed(path, clock)
    return clock if last is None else SimulatedClock(last)


def look_at_own_time(workspace: Path, choices: Choices) -> Choices:
    """Return the choices of a command without effects: a replayed exchange is not moved on. Raises BadInput."""
    desk = open_desk(workspace, choices)
    path = _find_exchange(desk)
    last = None if path is None else _find_replayed(path, choices.clock)
    return choices if last is None else replace(choices, clock=SimulatedClock(last))


def check_moving_on(desk: Desk) -> None:
    """Warn of the days by which a command would move a replayed exchange on.

    Raises BadInput if open orders would end by that: nothing brings them back.
    """
    path = _find_exchange(desk)
    last = None if path is None else _find_replayed(path, desk.clock)
    if path is None or last is None:
        return
    now = desk.clock.now()
    days, ending = (now - last).days, count_ending(path, now)
    if not ending:
        then, further = trading_day(last), count_noun(days, "day")
        log.info("The simulated exchange was last used on %s; it moves on by %s", then, further)
        return
    orders = count_noun(ending, "open order")
    problem = (
        f"the simulated exchange was last used on {trading_day(last)}; "
        f"moving it on by {count_noun(days, 'day')} ends {orders} for good"
    )
    raise BadInput("--at", "", problem, f"go on there with --at {iso(last)} or later, or move it with --at {iso(now)}")


def _find_exchange(desk: Desk) -> Path | None:
    """Return the file of the desk's exchange, None with another broker."""
    row = desk.broker_row
    return None if row.file is None or not row.takes_simulated_clock else desk.state_dir / row.file


def _find_replayed(path: Path, clock: Clock) -> datetime | None:
    """Return the last moment of an exchange long unused, None for one in use or with `--at`."""
    last = find_last_moment(path) if isinstance(clock, SystemClock) and path.exists() else None
    return last if last is not None and clock.now() - last > IN_USE else None
