"""An order by hand that is killed at any durable step is traded exactly once by the same command, or by `resume`."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from Departments.bootstrap import Choices, open_desk
from Departments.core.platform.clock import SimulatedClock
from Departments.core.platform.steps import Step
from Departments.Executive.day_order import DayFailed, DayOrder
from Departments.Executive.manual_orders import ManualOrder
from tests.builders.desk import MORNING, workspace
from tests.fakes.killing import KILL, in_a_child, killed_at
from tests.invariants.scenarios import SETTINGS, Approving

SELL_TEN = ManualOrder.read("SELL", "MSFT", "10")
EVERY = 7  # one in seven steps, before and after in turn


def give_order(folder: Path, step: Step, minutes: int = 0) -> None:
    """Do what `departments order SELL MSFT 10 --approve auto` does."""
    clock = SimulatedClock(MORNING + timedelta(minutes=minutes))
    with closing(open_desk(folder, Choices(clock=clock, exchange_state=folder / "state.yaml", step=step))) as desk:
        desk.day.run(DayOrder(by_hand=SELL_TEN), Approving())


def resume(folder: Path) -> None:
    clock = SimulatedClock(MORNING + timedelta(minutes=5))
    with closing(open_desk(folder, Choices(clock=clock, exchange_state=folder / "state.yaml"))) as desk:
        desk.day.resume()


def give_it_again(folder: Path) -> None:
    """Give the same command again, if the first one did not come to its end."""
    if list(folder.glob("Reports/ORDER_*.md")):
        return
    with suppress(DayFailed):  # it had ended, and is not traded again
        give_order(folder, lambda _: None, minutes=5)


def count(file: Path, rows: str) -> int:
    """Count rows of a database; a file or table that a kill came before has none."""
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(file)) as database:
        return int(database.execute(f"SELECT count(*) FROM {rows}").fetchone()[0])
    return 0


def sold(folder: Path) -> int:
    """Count the SELLs that filled at the exchange."""
    return count(folder / "simulated_exchange.db", "orders WHERE symbol = 'MSFT' AND filled_qty = '10'")


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The durable steps of an undisturbed order."""
    labels: list[str] = []
    give_order(workspace(tmp_path_factory.mktemp("day"), settings=SETTINGS), labels.append)
    return labels


def killed_everywhere(folder: Path, steps: list[str], then: Callable[[Path], None]) -> dict[str, int]:
    """Return how often the order was filled, for each kill after which that was not once."""
    found = {}
    for number in range(0, len(steps), EVERY):
        day = workspace(folder / "day", settings=SETTINGS)
        assert in_a_child(partial(give_order, day, killed_at(number))) == KILL
        begun = count(day / "sentinel.db", "desk_executions")
        then(day)
        wanted = 1 if then is give_it_again else begun
        if sold(day) != wanted:
            found[f"{number} {steps[number]}"] = sold(day)
        shutil.rmtree(day)
    return found


def test_an_order_has_the_steps_of_a_plan(steps: list[str]) -> None:
    assert {"before:exchange.submit", "after:exchange.submit", "after:ledger.commit"} <= set(steps)
    assert len(steps) > 50


def test_the_same_command_after_a_kill_trades_exactly_once(tmp_path: Path, steps: list[str]) -> None:
    assert killed_everywhere(tmp_path, steps, give_it_again) == {}


def test_resume_after_a_kill_trades_what_had_begun_and_nothing_else(tmp_path: Path, steps: list[str]) -> None:
    assert killed_everywhere(tmp_path, steps, resume) == {}
