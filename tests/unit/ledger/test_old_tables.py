"""The tables other tools read; the older system's own rows stay readable in them."""

import sqlite3
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime
from decimal import Decimal as D
from pathlib import Path

import pytest

from Departments.core.errors import LedgerError
from Departments.core.orders import Order, OrderStatus, RejectionSource, Side
from Departments.ledger.ledger import TABLES, Ledger
from Departments.ledger.old_tables import provide_old_tables
from Departments.ledger.order_records import OrderRecord
from Departments.ledger.sqlite import SqliteDatabase

NOW = datetime(2025, 11, 10, 15, 6, tzinfo=UTC)
COLUMNS = {
    "trading_orders": "order_id, alpaca_order_id, ticker, action, quantity, order_type, limit_price, "
    "executive_approval_msg_id, portfolio_request_msg_id, status, submitted_timestamp, hard_constraints_passed, "
    "constraint_violations, created_at, updated_at",
    "trading_fills": "order_id, fill_price, quantity_filled, commission, fill_timestamp, expected_price, slippage_pct, "
    "slippage_flag, alpaca_fill_id",
    "trading_rejections": "order_id, rejection_reason, rejection_code, rejection_timestamp, rejection_source, "
    "escalated_to_executive, escalation_msg_id",
    "trading_daily_logs": "log_date, total_orders, total_fills, total_rejections, total_volume_traded, "
    "avg_slippage_pct",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sentinel.db"


@pytest.fixture
def older(path: Path) -> Path:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE trading_orders (id INTEGER PRIMARY KEY, order_id TEXT, ticker TEXT, status TEXT)")
        db.execute("INSERT INTO trading_orders VALUES (41, 'OLD', 'IPG', 'FILLED')")
        db.execute("CREATE TABLE trading_fills (id INTEGER PRIMARY KEY, order_id INTEGER, fill_price REAL)")
        db.execute("INSERT INTO trading_fills VALUES (7, 41, 26.5)")
        db.commit()
    return path


def read(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(sql).fetchall()


def traded(path: Path) -> None:
    ledger = Ledger(path)
    ledger.orders.intend(
        OrderRecord("C1", "MSG_1", "CTVA", Side.SELL, D(190), "market", expected_price=D("63.99"), created_at=NOW)
    )
    filled = Order("B1", "C1", "CTVA", Side.SELL, D(190), OrderStatus.FILLED, D(190), D("64.64"), submitted_at=NOW)
    ledger.orders.observe(filled, NOW)
    denied = OrderRecord("C2", "MSG_2", "CVE", Side.BUY, D(163), "market", created_at=NOW)
    ledger.orders.deny(denied, "MIN_POSITION_VALUE", "MIN_POSITION_VALUE: value=2865", NOW, "MSG_ESC")
    ledger.close()


@pytest.mark.parametrize(
    ("source", "word"), [(RejectionSource.BROKER, "ALPACA"), (RejectionSource.DUPLICATE, "DUPLICATE")]
)
def test_who_refused_an_order_has_the_word_that_other_tools_expect(
    path: Path, source: RejectionSource, word: str
) -> None:
    with closing(Ledger(path)) as ledger:
        ledger.orders.intend(OrderRecord("C1", "MSG_1", "CTVA", Side.SELL, D(190), "market", created_at=NOW))
        ledger.orders.refuse("C1", "BROKER_REJECTED", "no", NOW, None, source=source)
    rejected = "SELECT rejection_source, escalated_to_executive, order_id FROM trading_rejections"
    assert read(path, rejected) == [(word, 0, 1)]


@pytest.mark.parametrize("table", COLUMNS)
def test_every_documented_table_and_column_can_be_read(path: Path, table: str) -> None:
    traded(path)
    assert read(path, f"SELECT {COLUMNS[table]} FROM {table}")


def test_the_values_are_those_other_tools_expect(path: Path) -> None:
    traded(path)
    orders = read(path, "SELECT order_id, status, quantity FROM trading_orders ORDER BY id")
    assert orders == [("C1", "FILLED", 190.0), ("C2", "REJECTED", 163.0)]
    joined = "SELECT o.ticker, f.fill_price, f.slippage_flag FROM trading_fills f JOIN trading_orders o"
    assert read(path, joined + " ON o.id = f.order_id") == [("CTVA", 64.64, 1)]
    rejected = "SELECT rejection_source, escalated_to_executive FROM trading_rejections"
    assert read(path, rejected) == [("HARD_CONSTRAINT", 1)]
    assert read(path, "SELECT log_date, total_orders, total_fills, total_rejections FROM trading_daily_logs") == [
        ("2025-11-10", 2, 1, 1)
    ]


def test_an_older_systems_rows_stay_readable_and_join_only_their_own(older: Path) -> None:
    traded(older)
    joined = "SELECT o.ticker, f.fill_price FROM trading_fills f JOIN trading_orders o ON o.id = f.order_id ORDER BY 1"
    assert read(older, joined) == [("CTVA", 64.64), ("IPG", 26.5)]
    ids = "SELECT id, order_id FROM trading_orders UNION SELECT order_id, rejection_code FROM trading_rejections"
    assert read(older, ids) == [(41, "OLD"), (42, "C1"), (43, "C2"), (43, "MIN_POSITION_VALUE")]


def test_an_older_systems_own_views_show_the_new_rows_too(older: Path) -> None:
    with closing(sqlite3.connect(older)) as db:
        db.execute("CREATE VIEW done AS SELECT ticker FROM trading_orders WHERE status = 'FILLED'")
        db.execute("CREATE VIEW broken AS SELECT x FROM dropped_long_ago")
        db.commit()
    traded(older)
    assert read(older, "SELECT ticker FROM done ORDER BY 1") == [("CTVA",), ("IPG",)]


def test_an_older_systems_tables_are_known_however_they_write_their_names(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE Trading_Orders (ID INTEGER PRIMARY KEY, Order_ID TEXT, Ticker TEXT)")
        db.execute("INSERT INTO Trading_Orders VALUES (41, 'OLD', 'IPG')")
        db.commit()
    traded(path)
    assert read(path, "SELECT id, order_id, ticker FROM trading_orders WHERE id = 41") == [(41, "OLD", "IPG")]


def test_opening_an_older_database_twice_changes_nothing_more(older: Path) -> None:
    traded(older)
    Ledger(older).close()
    assert read(older, "SELECT count(*) FROM trading_orders WHERE order_id = 'OLD'") == [(1,)]


def test_a_ledger_from_a_newer_program_is_refused_in_one_sentence(path: Path) -> None:
    Ledger(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE ledger_version SET version = 999")
        db.commit()
    with pytest.raises(LedgerError, match="version 999, newer than this program knows"):
        Ledger(path)


def test_a_ledger_of_an_older_program_is_refused_in_one_sentence(path: Path) -> None:
    Ledger(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE ledger_version SET version = 8")
        db.commit()
    with pytest.raises(LedgerError, match=r"version 8, older than this program reads .*; move it away and see"):
        Ledger(path)


def test_a_file_that_is_no_database_is_refused_in_one_sentence(path: Path) -> None:
    path.write_text("not a database at all, only words" * 40, encoding="utf-8")
    with pytest.raises(LedgerError, match="cannot be used"):
        Ledger(path)


class Overtaken(SqliteDatabase):
    """A ledger of the newest version that another process opens just before this one makes its views."""

    is_new = True

    def transaction(self, *, durable: bool = True) -> AbstractContextManager[None]:
        """Let the other open it first."""
        if not self.is_new:
            Ledger(self.path).close()
        return super().transaction(durable=durable)


@pytest.mark.parametrize("which", ["new", "old"])
def test_two_processes_may_open_a_ledger_for_the_first_time_at_once(
    request: pytest.FixtureRequest, path: Path, which: str
) -> None:
    if which == "old":
        request.getfixturevalue("older")
    with closing(Overtaken(path, TABLES)) as database:
        database.is_new = False
        provide_old_tables(database)
    expected = [("OLD", "FILLED")] if which == "old" else []
    assert read(path, "SELECT order_id, status FROM trading_orders") == expected
