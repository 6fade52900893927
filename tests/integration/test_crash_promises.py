"""The checker of the promises is checked: each promise, broken on purpose, is noticed."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.invariants.promises import MESSAGES, BrokenPromise, Promises
from tests.invariants.scenarios import HAPPY

Sabotage = Callable[[Path], None]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = HAPPY.prepare(tmp_path_factory.mktemp("day"))
    HAPPY.play(folder)
    return folder


def sql(name: str, statement: str) -> Sabotage:
    def sabotage(folder: Path) -> None:
        with closing(sqlite3.connect(folder / name)) as db, db:
            db.execute(statement)

    return sabotage


def at_exchange(statement: str) -> Sabotage:
    return sql("simulated_exchange.db", statement)


def in_ledger(statement: str) -> Sabotage:
    return sql("sentinel.db", statement)


def _archived(folder: Path) -> Path:
    return next((folder / MESSAGES / "Archive").rglob("TRADING/MSG_EXECUTIVE*.md"))


def put_back(folder: Path) -> None:
    shutil.copy(_archived(folder), folder / MESSAGES / "Inbox" / "TRADING")


def lose(folder: Path) -> None:
    for path in list((folder / MESSAGES).rglob("MSG_EXECUTIVE*.md")):
        path.unlink()


def bury(folder: Path) -> None:
    dead = folder / MESSAGES / "Dead_Letter" / "TRADING"
    dead.mkdir(parents=True)
    _archived(folder).rename(dead / "x.md")


@pytest.mark.parametrize(
    ("sabotage", "words"),
    [
        (at_exchange("UPDATE orders SET submitted_at = '2025-11-10T15' WHERE side = 'BUY'"), "had not ended when"),
        (in_ledger("UPDATE desk_phases SET state = 'open' WHERE name = 'SELL'"), "before the SELL phase had ended"),
        (in_ledger("UPDATE desk_phases SET outcome = 'aborted' WHERE name = 'SELL'"), "was aborted"),
        (in_ledger("UPDATE desk_executions SET reserve = '99000', cash_before = '99000'"), "took the cash to"),
        (in_ledger("DELETE FROM desk_fills"), "its fills are 0"),
        (in_ledger("UPDATE desk_orders SET status = 'canceled' WHERE ticker = 'DVN'"), "is canceled with 225 filled"),
        (in_ledger("UPDATE desk_orders SET client_order_id = 'MSG_X' WHERE ticker = 'DVN'"), "without an intent"),
        (in_ledger("UPDATE bus_letters SET published_at = NULL"), "never delivered"),
        (at_exchange("UPDATE meta SET value = '1' WHERE key = 'cash'"), "its fills make it"),
        (at_exchange("UPDATE positions SET qty = '1' WHERE symbol = 'ALKS'"), "the fills make it 150"),
        (put_back, "lies in 2 places"),
        (lose, "has no message"),
        (bury, "a dead letter without a reason"),
    ],
)  # fmt: skip
def test_a_broken_promise_is_noticed(lived: Path, tmp_path: Path, sabotage: Sabotage, words: str) -> None:
    folder = shutil.copytree(lived, tmp_path / "day")
    Promises(folder).check()
    sabotage(folder)
    with pytest.raises(BrokenPromise, match=words):
        Promises(folder).check()
