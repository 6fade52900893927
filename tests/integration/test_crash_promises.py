"""The checker of the promises is checked: each promise, broken on purpose, is noticed."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.invariants.promises import BrokenPromise, Promises
from tests.invariants.reading import MESSAGES
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


def sell_short(folder: Path) -> None:
    sale = "INSERT INTO adjustments (at, symbol, qty, cash) VALUES ('2025-11-10T16', 'ALKS', '-500', '0')"
    at_exchange(sale)(folder)
    at_exchange("INSERT OR REPLACE INTO positions VALUES ('ALKS', '-350', '30')")(folder)


def in_ledger(statement: str) -> Sabotage:
    return sql("sentinel.db", statement)


def _archived(folder: Path) -> Path:
    return next((folder / MESSAGES / "Archive").rglob("TRADING/MSG_EXECUTIVE*.md"))


def put_back(folder: Path) -> None:
    shutil.copy(_archived(folder), folder / MESSAGES / "Inbox" / "TRADING")


def stand_in_line(folder: Path) -> None:
    (folder / MESSAGES / "Inbox" / "TRADING" / "MSG_RISK_20251110T150000Z_1.md").write_text("?", encoding="utf-8")


def forget(box: str) -> Sabotage:
    def sabotage(folder: Path) -> None:
        next((folder / MESSAGES / box).rglob("MSG_EXECUTIVE*.md")).unlink()

    return sabotage


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
        (in_ledger("INSERT INTO desk_unprotected VALUES ('ALKS', '5', '0')"), "ALKS: 0 shares have no exits, 5 in"),
        (in_ledger("UPDATE desk_orders SET status = 'canceled' WHERE symbol = 'DVN'"), "is canceled with 225 filled"),
        (in_ledger("UPDATE desk_orders SET client_order_id = 'MSG_X' WHERE symbol = 'DVN'"), "without an intent"),
        (in_ledger("UPDATE bus_letters SET published_at = NULL"), "never delivered"),
        (at_exchange("UPDATE meta SET value = '1' WHERE key = 'cash'"), "its fills make it"),
        (sell_short, "shares are sold short"),
        (at_exchange("UPDATE positions SET qty = '1' WHERE symbol = 'ALKS'"), "the fills make it 150"),
        (at_exchange("UPDATE orders SET filled_qty = '99' WHERE symbol = 'COMM'"), "are filled, its fills make it"),
        (at_exchange("UPDATE orders SET qty = '1' WHERE symbol = 'COMM'"), "of 1 are filled"),
        (in_ledger("UPDATE desk_orders SET filled_qty = '226' WHERE symbol = 'DVN'"), "226 filled in the ledger"),
        (in_ledger("UPDATE desk_orders SET status = 'expired' WHERE status = 'new'"), "is expired in the ledger"),
        (in_ledger("UPDATE desk_trades SET status = 'canceled' WHERE symbol = 'DVN'"), "is canceled for the Executive"),
        (in_ledger("DELETE FROM bus_handled"), "before its effect was committed"),
        (forget("Archive"), "lies nowhere"),
        (forget("Outbox"), "has no copy"),
        (stand_in_line, "still waits in the inbox of TRADING"),
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


@pytest.mark.parametrize(
    ("sabotage", "words"),
    [
        (sell_short, "shares are sold short"),
        (at_exchange("UPDATE meta SET value = '1' WHERE key = 'cash'"), "its fills make it"),
        (in_ledger("UPDATE desk_orders SET filled_qty = '999' WHERE symbol = 'DVN'"), "999 filled in the ledger"),
        (in_ledger("DELETE FROM desk_orders"), "without an intent"),
        (in_ledger("DELETE FROM bus_handled"), "before its effect was committed"),
        (put_back, "lies in 2 places"),
        (lose, "lies nowhere"),
    ],
)  # fmt: skip
def test_what_is_broken_midway_and_mended_in_the_end_is_noticed(tmp_path: Path, sabotage: Sabotage, words: str) -> None:
    folder, labels = HAPPY.prepare(tmp_path / "day"), list[str]()
    promises = Promises(folder)

    def step(label: str) -> None:
        labels.append(label)
        if labels.count("after:archive") == 4 and label == "after:archive":
            sabotage(folder)
        promises.step(label)

    with pytest.raises(BrokenPromise, match=words):
        HAPPY.play(folder, None, step)
    assert labels.count("after:archive") < 9
