"""Programs of an older system read and write its tables in our ledger, beside us and after us."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from Departments.core.orders import Order, OrderStatus, Purpose, Side
from Departments.ledger.ledger import Ledger
from Departments.ledger.order_records import OrderRecord
from tests.builders.desk import STATE, desk, two_and_two, workspace
from tests.builders.existing import existing_project, run_old_code

THEIRS = (
    "trading_orders",
    "trading_fills",
    "trading_rejections",
    "trading_daily_logs",
    "trading_duplicate_cache",
    "portfolio_positions",
    "portfolio_snapshots",
)
NOW = datetime(2026, 3, 9, 14, 0, tzinfo=UTC)


def read(path: Path, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(sql, values).fetchall()


def write(path: Path, sql: str, *values: Any) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(sql, values)
        db.commit()


def dump(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Read their tables: definitions and rows."""
    tables = {name: read(path, f"SELECT * FROM {name}") for name in THEIRS}
    defined = read(path, f"SELECT name, type, sql FROM sqlite_master WHERE tbl_name IN {THEIRS} ORDER BY name")
    return tables | {"": defined}


def trade_a_day(folder: Path, *, state: Mapping[str, Any] = STATE) -> Path:
    """Trade two SELLs and two BUYs of a plan in a workspace; return its ledger."""
    with closing(desk(workspace(folder, state=state))) as opened:
        opened.ceo.current_plan, opened.ceo.plan_approved = two_and_two(), True
        assert opened.ceo.execute_plan()["document"]["status"] == "COMPLETED"
    return folder / "sentinel.db"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return existing_project(tmp_path)


def test_looking_leaves_their_tables_and_rows_alone(project: Path) -> None:
    path = project / "sentinel.db"
    before = dump(path)
    Ledger(path).close()
    Ledger(path).close()
    assert dump(path) == before


def test_a_day_of_ours_is_in_their_tables_after_their_own_rows(project: Path) -> None:
    path = project / "sentinel.db"
    before = dump(path)
    trade_a_day(project)
    after = dump(path)
    for name in ("trading_orders", "trading_fills", "trading_rejections", "portfolio_snapshots"):
        assert after[name][: len(before[name])] == before[name]
    orders = read(
        path,
        "SELECT ticker, action, quantity, status, typeof(quantity), limit_price IS NULL, "
        "submitted_timestamp, created_at FROM trading_orders WHERE order_id LIKE 'MSG_%' ORDER BY id",
    )
    assert [row[:6] for row in orders] == [
        ("CTVA", "SELL", 190, "FILLED", "integer", 1),
        ("DVN", "SELL", 225, "FILLED", "integer", 1),
        ("ALKS", "BUY", 150, "FILLED", "integer", 0),
        ("COMM", "BUY", 250, "FILLED", "integer", 0),
    ]
    datetime.strptime(orders[0][6], "%Y-%m-%d %H:%M:%S.%f")  # noqa: DTZ007 - as theirs, without a zone
    datetime.strptime(orders[0][7], "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007
    for name in ("trading_orders", "trading_fills", "trading_rejections"):
        ids = [row[0] for row in read(path, f"SELECT id FROM {name}")]
        assert len(ids) == len(set(ids)) > 0
    joined = "SELECT o.ticker, f.quantity_filled, f.alpaca_fill_id = o.alpaca_order_id FROM trading_fills f JOIN "
    joined += "trading_orders o ON o.id = f.order_id WHERE o.order_id LIKE 'MSG_%'"
    assert read(path, joined) == [("CTVA", 190, 1), ("DVN", 225, 1), ("ALKS", 150, 1), ("COMM", 250, 1)]


def test_their_programs_write_into_their_tables_and_we_go_on(tmp_path: Path) -> None:
    path = trade_a_day(tmp_path)
    write(path, "CREATE INDEX idx_of_theirs ON trading_orders (created_at)")
    write(
        path,
        "INSERT INTO trading_orders (order_id, ticker, action, quantity, order_type, executive_approval_msg_id, "
        "status) VALUES ('ORD_1', 'IPG', 'BUY', 5, 'MARKET', 'MSG_X', 'SUBMITTED')",
    )
    write(path, "UPDATE trading_orders SET status = 'CANCELLED' WHERE order_id = 'ORD_1'")
    write(path, "DELETE FROM trading_orders WHERE order_id = 'ORD_1'")
    with closing(Ledger(path)) as ledger:
        assert len(trades_of(ledger)) == 4
    assert read(path, "SELECT count(*) FROM trading_orders") == [(4,)]


@pytest.mark.parametrize("table", ["trading_orders", "trading_fills", "portfolio_positions", "trading_daily_logs"])
def test_a_table_that_takes_no_rows_stops_no_order(
    tmp_path: Path, table: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "sentinel.db"
    write(path, f"CREATE TABLE {table} (something TEXT NOT NULL)")
    with caplog.at_level("WARNING"):
        trade_a_day(tmp_path)
    with closing(Ledger(path)) as ledger:
        assert [order.status for order in trades_of(ledger)] == [OrderStatus.FILLED] * 4
    assert read(path, f"SELECT * FROM {table}") == []
    assert f"The table {table} of older programs lacks rows of ours" in caplog.text


def test_positions_go_from_pending_to_open_to_closed(tmp_path: Path) -> None:
    path = tmp_path / "sentinel.db"
    with closing(Ledger(path)) as ledger, ledger.transaction():
        bought = buy("B1", "SN", 37, 96)
        ledger.orders.intend(bought)
        assert positions(ledger) == [("SN", "PENDING", None)]
        ledger.orders.observe(filled("B1", "SN", Side.BUY, 37, 20, 96), NOW)
        assert positions(ledger) == [("SN", "OPEN", 20)]
        ledger.orders.observe(filled("B1", "SN", Side.BUY, 37, 37, 96), NOW)
        assert positions(ledger) == [("SN", "OPEN", 37)]
        ledger.orders.intend(OrderRecord("S1", "S1", "SN", Side.SELL, D(10), "market", created_at=NOW))
        ledger.orders.observe(filled("S1", "SN", Side.SELL, 10, 10, 100), NOW)
        assert positions(ledger) == [("SN", "OPEN", 27), ("SN", "CLOSED", 10)]
        stop = OrderRecord(
            "X1",
            "EXIT_1",
            "SN",
            Side.SELL,
            D(27),
            "stop",
            stop_price=D(88),
            purpose=Purpose.EXIT,
            parent_id="B1",
            created_at=NOW,
        )
        ledger.orders.adopt(stop, filled("X1", "SN", Side.SELL, 27, 27, 88), NOW, None)
        assert positions(ledger) == [("SN", "CLOSED", 27), ("SN", "CLOSED", 10)]
    told = read(
        path,
        "SELECT exit_reason, exit_price, exit_date, actual_entry_price, intended_stop_loss, "
        "round(intended_target, 2), round(total_risk, 2), entry_order_message_id FROM portfolio_positions",
    )
    assert told == [
        ("STOP_LOSS", 88.0, "2026-03-09", 96.0, 88.32, 111.36, 207.36, "B1"),
        ("SELL", 100.0, "2026-03-09", 96.0, 88.32, 111.36, 76.8, "B1"),
    ]


def test_a_buy_without_a_share_leaves_no_position(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path / "sentinel.db")) as ledger, ledger.transaction():
        ledger.orders.intend(buy("B1", "SN", 37, 96))
        ledger.orders.refuse("B1", "BROKER_REJECTED", "no such asset", NOW, None)
        assert positions(ledger) == [("SN", "REJECTED", None)]
        ledger.orders.deny(buy("B2", "CVE", 5, 17), "MIN_POSITION_VALUE", "small", NOW, None)
        assert positions(ledger) == [("SN", "REJECTED", None)]


def test_a_row_that_their_reconciler_has_closed_gets_the_price_of_its_exit(project: Path) -> None:
    path = project / "sentinel.db"
    with closing(Ledger(path)) as ledger, ledger.transaction():
        ledger.orders.intend(buy("B1", "SNX", 37, 96))
        ledger.orders.observe(filled("B1", "SNX", Side.BUY, 37, 37, 96), NOW)
    code = "import sys; sys.path.insert(0, '.'); from Utils.db_reconciler import DBReconciler; "
    run_old_code(project, code + "DBReconciler(['SN']).reconcile()")
    with closing(Ledger(path)) as ledger, ledger.transaction():
        stop = OrderRecord("X1", "X1", "SNX", Side.SELL, D(37), "stop", purpose=Purpose.EXIT, created_at=NOW)
        ledger.orders.adopt(stop, filled("X1", "SNX", Side.SELL, 37, 37, 88), NOW, None)
        ledger.orders.intend(OrderRecord("S1", "S1", "ALKS", Side.SELL, D(5), "market", created_at=NOW))
        ledger.orders.observe(filled("S1", "ALKS", Side.SELL, 5, 5, 40), NOW)  # whose row is closed, and theirs
    told = "SELECT status, exit_reason, exit_price FROM portfolio_positions WHERE ticker = ?"
    assert read(path, told, "SNX") == [("CLOSED", "STOP_LOSS", 88.0)]
    assert read(path, told, "ALKS") == [("CLOSED", "RECONCILIATION_CLEANUP", None)]


def test_a_sale_closes_the_older_systems_own_row_of_a_position(project: Path) -> None:
    path = project / "sentinel.db"
    (number, ticker, shares) = read(path, "SELECT id, ticker, intended_shares FROM portfolio_positions ORDER BY id")[0]
    with closing(Ledger(path)) as ledger, ledger.transaction():
        ledger.orders.intend(OrderRecord("S1", "S1", ticker, Side.SELL, D(shares), "market", created_at=NOW))
        ledger.orders.observe(filled("S1", ticker, Side.SELL, shares, shares, 40), NOW)
    row = read(path, "SELECT status, exit_price, exit_reason FROM portfolio_positions WHERE id = ?", number)
    assert row == [("CLOSED", 40.0, "SELL")]


def test_the_day_since_which_a_symbol_is_held_is_noted_and_forgotten(tmp_path: Path) -> None:
    path, later = tmp_path / "sentinel.db", NOW + timedelta(days=1)
    seen = "SELECT ticker, entry_date, shares, entry_price, updated_at FROM entry_dates"
    with closing(Ledger(path)) as ledger, ledger.transaction():
        ledger.orders.intend(buy("B1", "SN", 37, 96))
        assert ledger._db.rows(seen) == []
        ledger.orders.observe(filled("B1", "SN", Side.BUY, 37, 37, 96), NOW)
        ledger.orders.intend(buy("B2", "SN", 10, 99, at=later))
        ledger.orders.observe(filled("B2", "SN", Side.BUY, 10, 10, 99, at=later), later)
        (row,) = ledger._db.rows(seen)
        assert tuple(row) == ("SN", NOW.isoformat(), 47.0, 96.0, later.isoformat())
        ledger.actions.split("SN", D(2), later)
        ledger.actions.rename("SN", "SNX", later)
        ledger.orders.intend(OrderRecord("S1", "S1", "SNX", Side.SELL, D(94), "market", created_at=later))
        ledger.orders.observe(filled("S1", "SNX", Side.SELL, 94, 90, 50, at=later), later)
        (row,) = ledger._db.rows(seen)
        assert tuple(row)[:4] == ("SNX", NOW.isoformat(), 4.0, 48.0)
        ledger.orders.observe(filled("S1", "SNX", Side.SELL, 94, 94, 50, at=later), later)
        assert ledger._db.rows(seen) == []


def test_what_scripts_are_told_of_the_account_is_kept(tmp_path: Path) -> None:
    with closing(desk(workspace(tmp_path))) as opened:
        for request in ("view_dashboard", "get_portfolio_summary", "view_dashboard"):
            opened.ceo.handle_user_request(request)
    rows = read(
        tmp_path / "sentinel.db",
        "SELECT source, total_value, cash_balance, equity_value, positions_count, margin_used, daily_pl, "
        "length(snapshot_id), timestamp FROM portfolio_snapshots ORDER BY source",
    )
    held = 190 * 64.64 + 225 * 33.61 + 80 * 502.45
    told = (40_000 + held, 40_000.0, held, 3, 0.0)
    assert [(row[0], *map(pytest.approx, row[1:6])) for row in rows] == [
        ("control_panel_query", *told),
        ("dashboard_query", *told),
    ]
    assert {row[7] for row in rows} == {len("SNAP_20251110_150542_0badcafe")}
    assert rows[0][8].startswith("2025-11-10T")


def test_a_dashboard_is_answered_where_its_snapshot_cannot_be_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "sentinel.db", "CREATE TABLE portfolio_snapshots (snapshot_date TEXT PRIMARY KEY NOT NULL)")
    with closing(desk(workspace(tmp_path))) as opened:
        assert opened.ceo.handle_user_request("view_dashboard")["status"] == "SUCCESS"
    assert "The table portfolio_snapshots of older programs lacks rows of ours" in caplog.text


def test_a_split_and_a_new_name_reach_the_open_positions(tmp_path: Path) -> None:
    path = tmp_path / "sentinel.db"
    with closing(Ledger(path)) as ledger, ledger.transaction():
        ledger.orders.intend(buy("B1", "SQ", 44, 120))
        ledger.orders.observe(filled("B1", "SQ", Side.BUY, 44, 44, 120), NOW)
        ledger.actions.split("SQ", D(10), NOW)
        ledger.actions.rename("SQ", "XYZ", NOW)
    row = "SELECT ticker, actual_shares, actual_entry_price, round(intended_stop_loss, 3) FROM portfolio_positions"
    assert read(path, row) == [("XYZ", 440, 12.0, 11.04)]


def test_their_readers_find_what_they_expect(project: Path) -> None:
    with closing(desk(workspace(project), at=datetime.now(UTC))) as opened, opened.ledger.transaction():
        now = opened.clock.now()
        opened.ledger.orders.intend(buy("MSG_B", "SN", 30, 96, at=now))
        opened.ledger.orders.observe(filled("MSG_B", "SN", Side.BUY, 30, 30, 96, at=now), now)
        opened.ledger.plans.save({"plan_id": "PLAN_1", "generated_at": now.isoformat()}, "x", now)
    code = """
import json, sys
sys.path.insert(0, ".")
from Departments.Executive.executive_department import ExecutiveDepartment
from Utils.fill_recorder import FillRecorder
from Utils.db_reconciler import DBReconciler
import sqlite3
db = sqlite3.connect("sentinel.db")
order = db.execute("SELECT alpaca_order_id FROM trading_orders WHERE order_id = 'MSG_B'").fetchone()[0]
db.close()
fill = {"id": order, "filled_qty": 30, "filled_avg_price": 96.0, "filled_at": "2026-03-09T15:00:00+00:00"}
data = ExecutiveDepartment("sentinel.db", ".", ".").get_realtime_dashboard_data()
recorded = FillRecorder([fill]).sync_fills_to_database()
found = DBReconciler(["SN"]).reconcile(dry_run=True)
print(json.dumps([data["open_positions"], recorded["already_recorded"], found["in_sync"] >= 1]))
"""
    positions, recorded, in_sync = json.loads(run_old_code(project, code))
    assert [(row["ticker"], row["shares"], row["stop_loss"]) for row in positions] == [("SN", 30, 88.32)]
    assert (recorded, in_sync) == (1, True)


def test_the_older_systems_own_script_knows_that_today_was_traded(project: Path) -> None:
    (project / "Departments").rename(project / "theirs")
    with closing(desk(workspace(project), at=datetime.now(UTC))) as opened:
        now, plans = opened.clock.now(), opened.ledger.plans
        with opened.ledger.transaction():
            plans._sessions.note_execution("PLAN_20260309_150000", now, 4)  # type: ignore[union-attr]
    (project / "theirs").rename(project / "Departments")
    code = """
import sys
sys.path.insert(0, ".")
from Departments.Operations.mode_manager import ModeManager
print(ModeManager(".").has_traded_today())
"""
    assert "'trades_count': 4" in run_old_code(project, code)


def test_a_day_of_ours_is_a_session_with_its_plan_and_trades(tmp_path: Path) -> None:
    path = trade_a_day(tmp_path)
    (row,) = read(
        path, "SELECT session_id, plan_executed_at IS NOT NULL, trades_submitted, market_status FROM trading_sessions"
    )
    local = datetime(2025, 11, 10, 15, 5, 42, tzinfo=UTC).astimezone()
    assert row == (f"SESSION_{local:%Y-%m-%d}_PLAN_202", 1, 4, "OPEN")


def test_the_old_code_works_on_a_database_of_ours(project: Path) -> None:
    (project / "sentinel.db").unlink()
    trade_a_day(project)
    code = """
import sys
sys.path.insert(0, ".")
from Departments.Executive.ceo import CEO
ceo = CEO(".")
ceo.handle_user_request("generate_plan")
ceo.approve_plan("it")
for _ in range(2):
    print(ceo.handle_user_request("execute_plan")["status"])
"""
    run_old_code(project, code)
    sent = (project / "sent_by_old_code.jsonl").read_text(encoding="utf-8").splitlines()
    told = dict(read(project / "sentinel.db", "SELECT status, count(*) FROM trading_orders GROUP BY 1"))
    assert len(sent) > 0
    assert told == {"FILLED": 4, "SUBMITTED": len(sent), "REJECTED": len(sent)}


def test_the_older_systems_guard_knows_our_orders(tmp_path: Path) -> None:
    path = tmp_path / "sentinel.db"
    with closing(Ledger(path)) as ledger, ledger.transaction():
        ledger.orders.intend(buy("B0", "AXTA", 5, 28, at=NOW - timedelta(minutes=6)))
        ledger.orders.intend(buy("B1", "SN", 37, 96))
    assert read(path, "SELECT ticker, action, quantity, expires_at FROM trading_duplicate_cache") == [
        ("SN", "BUY", 37, "2026-03-09 14:05:00")
    ]


def trades_of(ledger: Ledger) -> list[OrderRecord]:
    found = ledger.orders.find_by_plan(two_and_two()["plan_id"])
    return [order for order in found if order.purpose is Purpose.TRADE]


def positions(ledger: Ledger) -> list[tuple[Any, ...]]:
    rows = ledger._db.rows("SELECT ticker, status, actual_shares FROM portfolio_positions ORDER BY id")
    return [tuple(row) for row in rows]


def buy(key: str, symbol: str, shares: int, price: int, *, at: datetime = NOW) -> OrderRecord:
    stop = D(price) * D("0.92")
    return OrderRecord(
        key,
        key,
        symbol,
        Side.BUY,
        D(shares),
        "limit",
        limit_price=D(price),
        expected_price=D(price),
        stop_price=stop,
        created_at=at,
    )


def filled(key: str, symbol: str, side: Side, qty: int, done: int, price: int, *, at: datetime = NOW) -> Order:
    status = OrderStatus.FILLED if qty == done else OrderStatus.PARTIALLY_FILLED
    return Order(f"at broker {key}", key, symbol, side, D(qty), status, D(done), D(price), submitted_at=at)
