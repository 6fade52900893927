from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import pytest

from Departments.core.errors import BadInput, BrokerUnavailable
from Departments.core.orders import OrderClass, OrderRequest, OrderStatus, Side
from Departments.core.platform.clock import SimulatedClock
from Departments.exchange import storage
from Departments.exchange.book import Lot
from Departments.exchange.exchange import SimulatedExchange
from Departments.exchange.state import ExchangeState

STATE = ExchangeState.model_validate({"cash": 5000, "prices": {"COMM": "17.02"}})
CHILD = """
import os, sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from Departments.exchange.exchange import SimulatedExchange
from Departments.exchange.state import ExchangeState
from Departments.core.platform.clock import SimulatedClock
from Departments.core.orders import OrderRequest, Side

path, label = sys.argv[1:]
state = ExchangeState.model_validate({"cash": 5000, "prices": {"COMM": "17.02"}})
clock = SimulatedClock(datetime(2025, 11, 10, 17, tzinfo=UTC))
exchange = SimulatedExchange(Path(path), clock, state=state, step=lambda said: os._exit(9) if said == label else None)
order = exchange.submit(OrderRequest("c1", "COMM", Side.BUY, Decimal(10)))
exchange.cancel(order.id)
"""


class Opener(Protocol):
    def __call__(self, **state: Any) -> Any: ...


def killed_at(tmp_path: Path, label: str, clock: SimulatedClock) -> SimulatedExchange:
    path = tmp_path / "killed.db"
    run = subprocess.run([sys.executable, "-c", CHILD, str(path), label], check=False)
    assert run.returncode == 9
    return SimulatedExchange(path, clock)


@pytest.mark.parametrize(
    ("label", "statuses"),
    [
        ("before:exchange.submit", []),
        ("after:exchange.submit", [OrderStatus.PENDING_NEW]),
        ("before:exchange.cancel", [OrderStatus.PENDING_NEW]),
        ("after:exchange.cancel", [OrderStatus.PENDING_CANCEL]),
    ],
)
def test_a_kill_keeps_what_was_acknowledged_and_nothing_else(
    tmp_path: Path, opened: Opener, label: str, statuses: list[OrderStatus]
) -> None:
    stand = opened()
    exchange = killed_at(tmp_path, label, stand.clock)
    assert [order.status for order in exchange.floor.all_orders()] == statuses
    exchange.close()


def test_the_file_is_written_with_full_durability(opened: Opener) -> None:
    connection = opened().exchange._storage._connection
    assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_acknowledgements_are_announced_as_durable_steps(tmp_path: Path, opened: Opener) -> None:
    said: list[str] = []
    clock = opened().clock
    exchange = SimulatedExchange(tmp_path / "new.db", clock, state=STATE, step=said.append)
    order = exchange.submit(OrderRequest("c1", "COMM", Side.BUY, Decimal(10)))
    exchange.cancel(order.id)
    exchange.close()
    labels = ("exchange.submit", "exchange.cancel")
    assert said == [f"{when}:{label}" for label in labels for when in ("before", "after")]


def test_a_file_that_exists_ignores_a_second_state(opened: Opener, tmp_path: Path) -> None:
    stand = opened()
    again = SimulatedExchange(tmp_path / "exchange.db", stand.clock, state=STATE)
    assert again.starting_state() == stand.exchange.starting_state()
    assert [p.symbol for p in again.positions()] == ["UPS"]
    again.close()


def test_two_connections_see_the_same_orders(opened: Opener, tmp_path: Path) -> None:
    stand = opened()
    order = stand.sell()
    other = SimulatedExchange(tmp_path / "exchange.db", stand.clock)
    stand.wait()
    assert other.order(order.id).status is OrderStatus.FILLED
    assert stand.exchange.order(order.id) == other.order(order.id)
    assert len(stand.exchange.floor.fills()) == 1
    other.close()


def test_positions_are_read_again_when_another_process_has_traded(opened: Opener, tmp_path: Path) -> None:
    stand = opened()
    other = SimulatedExchange(tmp_path / "exchange.db", stand.clock)
    assert [p.qty for p in stand.exchange.positions()] == [70]
    other.floor.trade_outside("UPS", Decimal(5))
    assert [p.qty for p in stand.exchange.positions()] == [75]
    other.close()


def test_what_a_failed_transaction_wrote_is_not_remembered(opened: Opener) -> None:
    exchange = opened().exchange
    book = exchange._book

    def fail() -> None:
        with book.transaction():
            book.set_holding(Lot("UPS", Decimal(1), Decimal(1)))
            assert [h.qty for h in book.holdings()] == [1]
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        fail()
    assert [h.qty for h in book.holdings()] == [70]


def test_another_programs_database_is_refused_and_left_alone(opened: Opener, tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE precious (fact TEXT)")
    with pytest.raises(BadInput, match="not the exchange's"):
        SimulatedExchange(path, opened().clock, state=STATE)
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("precious",)]


def test_a_file_that_is_no_database_is_refused(opened: Opener, tmp_path: Path) -> None:
    path = tmp_path / "text.db"
    path.write_text("not a database, but long enough to be taken for one" * 40, encoding="utf-8")
    with pytest.raises(BadInput, match="cannot be used"):
        SimulatedExchange(path, opened().clock, state=STATE)


def test_a_newer_file_is_refused(opened: Opener, tmp_path: Path) -> None:
    stand = opened()
    stand.exchange.close()
    with closing(sqlite3.connect(tmp_path / "exchange.db")) as newer:
        newer.execute("PRAGMA user_version = 99")
    with pytest.raises(BadInput, match="newer version"):
        SimulatedExchange(tmp_path / "exchange.db", stand.clock)


def test_no_call_reads_through_old_orders_or_fills(opened: Opener) -> None:
    stand = opened(account={"type": "cash"}, cash_lag=1)
    said: list[str] = []
    connection = stand.exchange._storage._connection
    connection.set_trace_callback(said.append)
    order = stand.buy(limit="10")
    stand.exchange.cancel(order.id)
    stand.sell()
    stand.wait()
    for ask in (stand.exchange.account, stand.exchange.positions, stand.exchange.orders):
        ask()
    stand.exchange.orders("all", after=stand.clock.now())
    connection.set_trace_callback(None)
    plans = [
        row[3] for sql in said if sql.startswith("SELECT") for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}")
    ]
    assert any("orders" in plan for plan in plans)
    assert any("fills" in plan for plan in plans)
    assert [plan for plan in plans if plan.startswith(("SCAN orders", "SCAN fills"))] == []


@pytest.mark.parametrize("ask", ["account", "positions", "orders"])
def test_no_call_asks_the_file_more_often_for_more_positions_and_exits(ask: str, tmp_path: Path) -> None:
    few, many = (_statements(ask, positions, tmp_path / f"{positions}.db") for positions in (2, 20))
    assert few == many


def _statements(ask: str, positions: int, path: Path) -> int:
    """Count what a call asks the file when so many positions stand under their brackets' exits."""
    prices = {f"S{n}": 10 for n in range(positions)}
    clock = SimulatedClock(datetime(2025, 11, 10, 17, tzinfo=UTC))
    exchange = SimulatedExchange(path, clock, state=ExchangeState.model_validate({"cash": 5000, "prices": prices}))
    for symbol in prices:
        bracket = {"order_class": OrderClass.BRACKET, "take_profit": Decimal(12), "stop_loss": Decimal(8)}
        exchange.submit(OrderRequest(symbol, symbol, Side.BUY, Decimal(1), **bracket))  # type: ignore[arg-type]
    clock.sleep(5)
    assert len(exchange.orders()) == len(exchange.positions()) == positions
    said: list[str] = []
    exchange._storage._connection.set_trace_callback(said.append)
    getattr(exchange, ask)()
    exchange.close()
    return len(said)


@pytest.mark.skipif(sys.platform != "linux", reason="the others have no such names")
def test_a_folder_whose_name_is_no_text_can_hold_an_exchange(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/latin-1 \xfc"))
    folder.mkdir()
    clock = SimulatedClock(datetime(2025, 11, 10, 17, tzinfo=UTC))
    with closing(SimulatedExchange(folder / "x.db", clock, state=STATE)) as exchange:
        assert exchange.account().cash == 5000


def test_a_locked_file_is_a_broker_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimulatedClock(datetime(2025, 11, 10, 17, tzinfo=UTC))
    SimulatedExchange(tmp_path / "x.db", clock, state=STATE).close()
    monkeypatch.setattr(storage, "BUSY_SECONDS", 0.01)
    with closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(BrokerUnavailable, match="the simulated exchange does not answer"):
            SimulatedExchange(tmp_path / "x.db", clock)


def test_a_file_without_a_table_is_damaged(tmp_path: Path) -> None:
    clock = SimulatedClock(datetime(2025, 11, 10, 17, tzinfo=UTC))
    SimulatedExchange(tmp_path / "x.db", clock, state=STATE).close()
    with closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None)) as other:
        other.execute("ALTER TABLE meta RENAME TO gone")
    with pytest.raises(BadInput, match="no such table: meta"):
        SimulatedExchange(tmp_path / "x.db", clock)
