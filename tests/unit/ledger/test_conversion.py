"""An older ledger of ours becomes one of today, with every row, or is refused in one sentence."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from Departments.core.errors import LedgerError
from Departments.core.orders import OrderStatus, Side
from Departments.core.platform.steps import Step
from Departments.core.regimes import Regime
from Departments.ledger.ledger import Ledger
from Departments.ledger.sqlite import VERSION

SCHEMAS = Path(__file__).resolve().parents[2] / "builders" / "old_ledgers"
OLDER = sorted(int(path.stem.removeprefix("version_")) for path in SCHEMAS.glob("version_*.sql"))
AT = "2025-11-10T15:06:00.000000Z"
PLAN = {"plan_id": "PLAN_20251110_150542", "generated_at": AT, "saved_at": AT, "status": "APPROVED_BY_USER"}
ORDER = {"qty": "190", "order_type": "market", "purpose": "trade", "created_at": AT, "updated_at": AT, "code": ""}
SELL = {"id": 1, "client_order_id": "MSG_1", "message_id": "MSG_1", "symbol": "CTVA", "side": "SELL", **ORDER}
BUY = {**ORDER, "id": 2, "client_order_id": "MSG_2", "message_id": "MSG_2", "symbol": "SN", "side": "BUY", "qty": "37"}
DENIED = {**ORDER, "id": 3, "client_order_id": "MSG_3", "message_id": "MSG_3", "symbol": "CVE", "side": "BUY"}
FILLED = {"status": "filled", "submitted_at": AT, "terminal_at": AT, "reason": "", "plan_id": PLAN["plan_id"]}
FILL = {"filled_at": AT, "expected_price": None}
ROWS: list[tuple[str, dict[str, Any]]] = [
    ("desk_plans", {**PLAN, "document": '{"plan_id": "PLAN_20251110_150542"}', "limits_hash": "x", "by_hand": 0}),
    (
        "desk_executions",
        {
            "plan_id": PLAN["plan_id"],
            "trading_day": "2025-11-10",
            "started_at": AT,
            "ended_at": AT,
            "fees": "0",
            "status": "COMPLETED",
            "equity": "100000",
            "cash_before": "40000",
            "reserve": "10000",
            "by_hand": 0,
            "cash_after": "52281.60",
            "attempt": 1,
        },
    ),
    (
        "desk_trades",
        {
            "plan_id": PLAN["plan_id"],
            "rank": 1,
            "phase": "SELL",
            "symbol": "CTVA",
            "side": "SELL",
            "attempt": 1,
            "planned_qty": "190",
            "qty": "190",
            "status": "filled",
            "message_id": "MSG_1",
            "filled_qty": "190",
            "code": "",
            "reason": "",
        },
    ),
    ("desk_orders", {**SELL, **FILLED, "filled_qty": "190", "filled_avg_price": "64.64", "broker_order_id": "B1"}),
    ("desk_orders", {**BUY, **FILLED, "filled_qty": "37", "filled_avg_price": "96.19", "broker_order_id": "B2"}),
    ("desk_orders", {**DENIED, "status": "denied", "reason": "MIN_POSITION_VALUE: value=1", "filled_qty": "0"}),
    ("desk_fills", {**FILL, "order_id": 1, "qty": "190", "price": "64.64", "cumulative_qty": "190"}),
    ("desk_fills", {**FILL, "order_id": 2, "qty": "20", "price": "96.10", "cumulative_qty": "20"}),
    ("desk_fills", {**FILL, "order_id": 2, "qty": "17", "price": "96.30", "cumulative_qty": "37"}),
    (
        "desk_rejections",
        {"order_id": 3, "code": "MIN_POSITION_VALUE", "reason": "small", "source": "constraint", "at": AT},
    ),
    ("desk_unprotected", {"symbol": "SN", "qty": "37", "released": "0"}),
    ("desk_days", {"day": "2025-11-10", "known": '{"prices": {"SN": 96.19}}', "told": '{"prices": {"SN": 96.19}}'}),
    (
        "regime_assessments",
        {
            "assessment_id": "REGIME_20251110_150600_0000000a",
            "regime": "PANIC",
            "confidence": "HIGH",
            "vix": "41",
            "recommendation": "WAIT",
            "assessed_at": AT,
            "source": "briefing",
            "notes": "[]",
        },
    ),
]


def older_ledger(path: Path, version: int, *, with_old_rows: bool = False) -> Path:
    """Make a ledger of a version, with rows in every kind of table that later versions changed."""
    with closing(sqlite3.connect(path)) as db:
        if with_old_rows:
            db.execute(
                "CREATE TABLE before_departments_trading_orders (id INTEGER PRIMARY KEY, order_id TEXT UNIQUE, "
                "alpaca_order_id TEXT, ticker TEXT, action TEXT, quantity INTEGER, status TEXT)"
            )
            db.execute(
                "INSERT INTO before_departments_trading_orders VALUES (41, 'OLD', 'B0', 'IPG', 'BUY', 5, 'FILLED')"
            )
        db.executescript((SCHEMAS / f"version_{version}.sql").read_text(encoding="utf-8"))
        for table, row in ROWS:
            _insert(db, table, row)
        db.commit()
    return path


def _insert(db: sqlite3.Connection, table: str, row: Mapping[str, Any]) -> None:
    known = {info[1] for info in db.execute(f"PRAGMA table_info({table})")}
    values = {name: value for name, value in row.items() if name in known}
    marks = ", ".join("?" * len(values))
    db.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", tuple(values.values()))


def read(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(sql).fetchall()


@pytest.mark.parametrize("version", OLDER)
def test_every_row_of_an_older_ledger_is_there(tmp_path: Path, version: int) -> None:
    path = older_ledger(tmp_path / "sentinel.db", version)
    with closing(Ledger(path, convert=True)) as ledger:
        sold = ledger.orders.find("MSG_1")
        assert sold is not None
        assert (sold.symbol, sold.side, sold.status, sold.filled_avg_price) == (
            "CTVA",
            Side.SELL,
            OrderStatus.FILLED,
            D("64.64"),
        )
        assert [fill.fill.cumulative_qty for fill in ledger.orders.fills_after(0)] == [190, 20, 37]
        (run,) = ledger.plans.executions()
        assert (run.attempt, run.by_hand, run.cash_after) == (1, False, D("52281.60"))
        assert [trade.symbol for trade in ledger.plans.trades(run.plan_id)] == ["CTVA"]
        assert ledger.regimes.assessments()[0].assessment.regime is Regime.PANIC
        assert ledger.unprotected.find_all()[0].qty == 37
    assert read(path, "SELECT known FROM desk_days") == [('{"prices": {"SN": 96.19}}',)]
    Ledger(path).close()  # it is of this version now
    assert read(path, "PRAGMA foreign_key_check") == []


@pytest.mark.parametrize("version", OLDER)
def test_our_rows_are_in_the_tables_of_the_older_system(tmp_path: Path, version: int) -> None:
    path = older_ledger(tmp_path / "sentinel.db", version)
    Ledger(path, convert=True).close()
    orders = read(
        path, "SELECT order_id, alpaca_order_id, ticker, action, quantity, status FROM trading_orders ORDER BY id"
    )
    assert orders == [
        ("MSG_1", "B1", "CTVA", "SELL", 190, "FILLED"),
        ("MSG_2", "B2", "SN", "BUY", 37, "FILLED"),
        ("MSG_3", None, "CVE", "BUY", 190, "REJECTED"),
    ]
    assert read(path, "SELECT quantity_filled, round(fill_price, 4) FROM trading_fills") == [
        (190, 64.64),
        (37, 96.1919),
    ]
    assert read(path, "SELECT rejection_source FROM trading_rejections") == [("HARD_CONSTRAINT",)]
    assert read(path, "SELECT ticker, status, actual_shares FROM portfolio_positions") == [("SN", "OPEN", 37)]
    assert read(path, "SELECT regime, vix_level, spy_price FROM market_regime_assessments") == [("BEARISH", 41, 0)]
    assert read(path, "SELECT trades_submitted FROM trading_sessions") == [(1,)]
    logs = "SELECT log_date, total_orders, total_fills, total_rejections FROM trading_daily_logs"
    assert read(path, logs) == [("2025-11-10", 3, 2, 1)]


def test_a_younger_ledger_gets_its_new_tables_and_writes_nothing_twice(tmp_path: Path) -> None:
    path = older_ledger(tmp_path / "sentinel.db", 14)
    Ledger(path, convert=True).close()
    with closing(sqlite3.connect(path)) as db:
        for column in ("broker", "account"):
            db.execute(f"ALTER TABLE desk_executions DROP COLUMN {column}")
        db.executescript("DROP TABLE desk_halts; DROP TABLE desk_opinions; UPDATE ledger_version SET version = 16;")
        before = list(db.iterdump())
    with closing(Ledger(path, convert=True)) as ledger:
        (run,) = ledger.plans.executions()
        assert (run.broker, run.account, run.attempt) == (None, None, 1)
    with closing(sqlite3.connect(path)) as db:
        added = set(db.iterdump()) - set(before)
    assert {line.split(" (")[0].partition(" VALUES")[0] for line in added} == {
        "CREATE TABLE desk_executions",
        "CREATE TABLE desk_halts",
        "CREATE TABLE desk_opinions",
        "CREATE INDEX desk_opinions_by_plan ON desk_opinions",
        "CREATE UNIQUE INDEX desk_halts_in_force ON desk_halts",
        'INSERT INTO "desk_executions"',
        'INSERT INTO "ledger_version"',
    }


def test_the_older_systems_rows_have_their_names_again_and_their_ids(tmp_path: Path) -> None:
    path = older_ledger(tmp_path / "sentinel.db", 14, with_old_rows=True)
    Ledger(path, convert=True).close()
    assert read(path, "SELECT type FROM sqlite_master WHERE name = 'trading_orders'") == [("table",)]
    assert read(path, "SELECT id, order_id FROM trading_orders ORDER BY id") == [
        (41, "OLD"),
        (42, "MSG_1"),
        (43, "MSG_2"),
        (44, "MSG_3"),
    ]
    assert read(path, "SELECT name FROM sqlite_master WHERE name LIKE 'before%'") == []


@pytest.mark.parametrize("version", OLDER)
def test_without_a_word_an_older_ledger_is_refused_and_stays_as_it_is(tmp_path: Path, version: int) -> None:
    path = older_ledger(tmp_path / "sentinel.db", version)
    before = "\n".join(sqlite3.connect(path).iterdump())
    with pytest.raises(LedgerError, match=f"of version {version}, older than this program reads .*departments migrate"):
        Ledger(path)
    assert "\n".join(sqlite3.connect(path).iterdump()) == before


@pytest.mark.parametrize("version", [9, VERSION + 1])
def test_what_cannot_be_converted_is_refused(tmp_path: Path, version: int) -> None:
    path = tmp_path / "sentinel.db"
    Ledger(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE ledger_version SET version = ?", (version,))
        db.commit()
    with pytest.raises(LedgerError, match=f"of version {version}, "):
        Ledger(path, convert=True)


def test_a_kill_in_the_middle_leaves_the_older_ledger(tmp_path: Path) -> None:
    path = older_ledger(tmp_path / "sentinel.db", 14)
    with pytest.raises(KeyboardInterrupt):
        Ledger(path, convert=True, step=_interrupt("before:ledger.commit"))
    with pytest.raises(LedgerError, match="version 14"):
        Ledger(path)
    Ledger(path, convert=True).close()
    assert read(path, "SELECT count(*) FROM trading_orders") == [(3,)]


def _interrupt(at: str) -> Step:
    def step(name: str) -> None:
        if name == at:
            raise KeyboardInterrupt

    return step
