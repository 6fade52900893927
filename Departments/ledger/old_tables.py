"""The tables of the older system, real tables beside ours, which its other programs read and write.

They are made where they are missing and never changed: whatever stands in them belongs to whoever wrote it. Ours are
written in the older system's words, in the transaction that changes the desk's own tables (`old_orders`,
`old_positions`, `old_days`). A row that such a table does not take is a warning; it never stops an order.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from Departments.core.errors import LedgerBusy, LedgerError
from Departments.core.logs import make_logger
from Departments.ledger.database import FoundRow
from Departments.ledger.sqlite import SqliteDatabase
from Departments.ledger.tables import marks

log = make_logger(__name__)

#: The tables as the older system makes them, and their indexes.
SCHEMAS: Final[Mapping[str, tuple[str, ...]]] = {
    "trading_orders": (
        """
        id INTEGER PRIMARY KEY AUTOINCREMENT, order_id TEXT UNIQUE NOT NULL, alpaca_order_id TEXT UNIQUE, ticker
        TEXT NOT NULL, action TEXT NOT NULL CHECK (action IN ('BUY', 'SELL')), quantity INTEGER NOT NULL CHECK
        (quantity > 0), order_type TEXT NOT NULL CHECK (order_type IN ('MARKET', 'LIMIT')), limit_price REAL,
        executive_approval_msg_id TEXT NOT NULL, portfolio_request_msg_id TEXT, status TEXT NOT NULL CHECK (status
        IN ('PENDING', 'SUBMITTED', 'FILLED', 'PARTIAL', 'REJECTED', 'CANCELLED')), submitted_timestamp DATETIME,
        hard_constraints_passed BOOLEAN NOT NULL DEFAULT 0, constraint_violations TEXT, created_at DATETIME DEFAULT
        CURRENT_TIMESTAMP, updated_at DATETIME DEFAULT CURRENT_TIMESTAMP
        """,
        "idx_trading_orders_status (status)",
        "idx_trading_orders_ticker (ticker)",
        "idx_trading_orders_alpaca_id (alpaca_order_id)",
    ),
    "trading_fills": (
        """
        id INTEGER PRIMARY KEY AUTOINCREMENT, order_id INTEGER NOT NULL REFERENCES trading_orders (id), fill_price
        REAL NOT NULL, quantity_filled INTEGER NOT NULL, commission REAL DEFAULT 0, fill_timestamp DATETIME NOT
        NULL, expected_price REAL, slippage_pct REAL, slippage_flag BOOLEAN DEFAULT 0, alpaca_fill_id TEXT,
        created_at DATETIME DEFAULT CURRENT_TIMESTAMP
        """,
        "idx_trading_fills_order_id (order_id)",
        "idx_trading_fills_timestamp (fill_timestamp)",
    ),
    "trading_rejections": (
        """
        id INTEGER PRIMARY KEY AUTOINCREMENT, order_id INTEGER NOT NULL REFERENCES trading_orders (id),
        rejection_reason TEXT NOT NULL, rejection_code TEXT, rejection_timestamp DATETIME NOT NULL, rejection_source
        TEXT NOT NULL CHECK (rejection_source IN ('HARD_CONSTRAINT', 'ALPACA', 'DUPLICATE')), escalated_to_executive
        BOOLEAN DEFAULT 0, escalation_msg_id TEXT, created_at DATETIME DEFAULT CURRENT_TIMESTAMP
        """,
        "idx_trading_rejections_order_id (order_id)",
    ),
    "trading_daily_logs": (
        """
        id INTEGER PRIMARY KEY AUTOINCREMENT, log_date DATE UNIQUE NOT NULL, total_orders INTEGER DEFAULT 0,
        total_fills INTEGER DEFAULT 0, total_rejections INTEGER DEFAULT 0, total_volume_traded REAL DEFAULT 0,
        total_commissions REAL DEFAULT 0, avg_slippage_pct REAL DEFAULT 0, max_slippage_pct REAL DEFAULT 0,
        slippage_events INTEGER DEFAULT 0, compliance_report_msg_id TEXT, created_at DATETIME DEFAULT
        CURRENT_TIMESTAMP, updated_at DATETIME DEFAULT CURRENT_TIMESTAMP
        """,
    ),
    "trading_duplicate_cache": (
        """
        id INTEGER PRIMARY KEY AUTOINCREMENT, ticker TEXT NOT NULL, action TEXT NOT NULL, quantity INTEGER NOT NULL,
        submitted_timestamp DATETIME NOT NULL, order_id INTEGER NOT NULL, expires_at DATETIME NOT NULL
        """,
        "idx_trading_duplicate_cache_expires (expires_at)",
    ),
    "portfolio_positions": (
        """
        id INTEGER PRIMARY KEY AUTOINCREMENT, position_id TEXT UNIQUE NOT NULL, ticker TEXT NOT NULL, status TEXT
        NOT NULL CHECK (status IN ('PENDING', 'OPEN', 'CLOSED', 'REJECTED')), intended_entry_price REAL NOT NULL,
        intended_shares INTEGER NOT NULL, intended_stop_loss REAL NOT NULL, intended_target REAL NOT NULL,
        actual_entry_price REAL, actual_entry_date DATE, actual_shares INTEGER, exit_reason TEXT, exit_price REAL,
        exit_date DATE, risk_per_share REAL NOT NULL, total_risk REAL NOT NULL, sector TEXT, entry_order_message_id
        TEXT, fill_message_id TEXT, exit_order_message_id TEXT, risk_assessment_message_id TEXT, created_at DATETIME
        DEFAULT CURRENT_TIMESTAMP, updated_at DATETIME
        """,
        "idx_portfolio_positions_ticker (ticker)",
        "idx_portfolio_positions_status (status)",
        "idx_portfolio_positions_position_id (position_id)",
    ),
    "market_regime_assessments": (
        """
        assessment_id TEXT PRIMARY KEY, date TEXT NOT NULL, timestamp TEXT NOT NULL, spy_price REAL, spy_change_pct
        REAL, vix_level REAL, vix_change_pct REAL, regime TEXT NOT NULL, confidence TEXT, recommendation TEXT,
        reasoning TEXT, user_decision TEXT, trades_executed INTEGER, portfolio_change_pct REAL, spy_eod_change_pct
        REAL, notes TEXT
        """,
    ),
    "trading_sessions": (
        """
        session_id TEXT PRIMARY KEY, date TEXT NOT NULL, plan_generated_at TEXT, plan_executed_at TEXT,
        market_status TEXT, trades_submitted INTEGER, user_override BOOLEAN DEFAULT 0, circuit_breaker_level TEXT,
        notes TEXT, created_at TEXT DEFAULT CURRENT_TIMESTAMP
        """,
    ),
    "portfolio_snapshots": (
        """
        snapshot_id TEXT PRIMARY KEY, timestamp TEXT NOT NULL, total_value REAL, cash_balance REAL, equity_value REAL,
        buying_power REAL, margin_used REAL, positions_count INTEGER, daily_pl REAL, daily_pl_pct REAL, spy_close REAL,
        spy_change_pct REAL, source TEXT, notes TEXT
        """,
        "idx_portfolio_snapshots_timestamp (timestamp)",
    ),
    "entry_dates": (
        """
        ticker TEXT PRIMARY KEY, entry_date TEXT NOT NULL, shares REAL NOT NULL, entry_price REAL NOT NULL, updated_at
        TEXT NOT NULL
        """,
    ),
}


def provide_old_tables(database: SqliteDatabase) -> None:
    """Create the tables that are missing; what is there stays as it is, whatever its columns."""
    if not _list_missing(database):
        return
    with database.transaction():
        for name in _list_missing(database):  # again: another process may have made them meanwhile
            columns, *indexes = SCHEMAS[name]
            database.execute(f"CREATE TABLE {name} ({columns})")
            for index in indexes:
                place, _, column = index.partition(" ")
                database.execute(f"CREATE INDEX IF NOT EXISTS {place} ON {name} {column}")


def _list_missing(database: SqliteDatabase) -> list[str]:
    found = {str(row[0]).lower() for row in database.rows("SELECT name FROM sqlite_master")}
    return [name for name in SCHEMAS if name not in found]


class OldTable:
    """One of these tables with the columns that it really has. Other columns are left out of what is written."""

    def __init__(self, database: SqliteDatabase, name: str) -> None:
        self._db = database
        self.name = name
        self._columns = {column.lower() for column in database.columns(f'"{name}"')}
        self._has_warned = False

    def insert(self, values: Mapping[str, Any]) -> None:
        """Add a row."""
        known = self._keep_known(values)
        sql = f"INSERT INTO {self.name} ({', '.join(known)}) VALUES ({marks(known)})"  # noqa: S608 - our names
        self.run(sql, *known.values())

    def insert_found(self, values: Mapping[str, Any], column: str, source: str, *keys: Any) -> None:
        """Add a row with one more `column`, found by `source` (`id FROM … WHERE …`); none where nothing is found."""
        if column not in self._columns:
            self.insert(values)
            return
        known = self._keep_known(values)
        names, selected = ", ".join((*known, column)), f"{marks(known)}, {source}"
        self.run(f"INSERT INTO {self.name} ({names}) SELECT {selected}", *known.values(), *keys)

    def update(self, values: Mapping[str, Any], condition: str, *keys: Any) -> int:
        """Change the rows under a condition and return their number."""
        known = self._keep_known(values)
        sets = ", ".join(f"{name} = ?" for name in known)
        return self.run(f"UPDATE {self.name} SET {sets} WHERE {condition}", *known.values(), *keys)  # noqa: S608 - our names

    def run(self, sql: str, *values: Any) -> int:
        """Run one statement of ours on it. One that it does not take is a warning, once."""
        try:
            return self._db.execute(sql, [as_old(value) for value in values])
        except LedgerBusy:
            raise
        except LedgerError as error:
            self._warn(error)
            return 0

    def find(self, sql: str, *values: Any) -> list[FoundRow]:
        """Return the rows of a query of ours; none where it cannot be read."""
        try:
            return list(self._db.rows(sql, [as_old(value) for value in values]))
        except LedgerBusy:
            raise
        except LedgerError as error:
            self._warn(error)
            return []

    def _keep_known(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        if values.keys() <= self._columns:
            return values
        return {name: value for name, value in values.items() if name in self._columns}

    def _warn(self, error: LedgerError) -> None:
        if not self._has_warned:
            log.warning("The table %s of older programs lacks rows of ours: %s", self.name, error.__cause__ or error)
            self._has_warned = True


def as_old(value: Any) -> Any:
    """Convert a value as the older system stored it: whole shares are whole numbers, other amounts REAL."""
    if value is None or value.__class__ is str:
        return value
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return write_moment(value) if isinstance(value, datetime) else value


def write_moment(moment: datetime) -> str:
    """Write a moment as the older system's rows have it: `2025-11-10 15:09:17`, in UTC without a zone."""
    return moment.astimezone(UTC).isoformat(" ", "seconds")[:19]


def write_local(moment: datetime) -> str:
    """Write a moment as its people read it: `2025-11-10 07:09:17`, the machine's local time without a zone."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"
