"""The ledger's tables, as a list of migrations that is only ever appended to.

Times are ISO 8601 UTC text, money and quantities are decimal text. The views at the end are the tables that other
tools read (`trading_orders`, `trading_fills`, `trading_rejections`, `trading_daily_logs`).
"""

from __future__ import annotations

PLANS = """
CREATE TABLE desk_plans (
    plan_id TEXT PRIMARY KEY, generated_at TEXT NOT NULL, saved_at TEXT NOT NULL, status TEXT NOT NULL,
    document TEXT NOT NULL, limits_hash TEXT NOT NULL, approved_at TEXT
);
CREATE TABLE desk_executions (
    plan_id TEXT PRIMARY KEY REFERENCES desk_plans, trading_day TEXT NOT NULL, started_at TEXT NOT NULL, ended_at TEXT,
    status TEXT NOT NULL, equity TEXT NOT NULL, cash_before TEXT NOT NULL, reserve TEXT NOT NULL, cash_after TEXT
);
CREATE TABLE desk_phases (
    plan_id TEXT NOT NULL REFERENCES desk_plans, name TEXT NOT NULL, state TEXT NOT NULL, started_at TEXT NOT NULL,
    deadline TEXT NOT NULL, ended_at TEXT, outcome TEXT NOT NULL DEFAULT '', PRIMARY KEY (plan_id, name)
);
CREATE TABLE desk_trades (
    plan_id TEXT NOT NULL REFERENCES desk_plans, phase TEXT NOT NULL, ticker TEXT NOT NULL, side TEXT NOT NULL,
    rank INTEGER NOT NULL, planned_qty TEXT NOT NULL, qty TEXT NOT NULL, price TEXT, score TEXT, sector TEXT,
    status TEXT NOT NULL, message_id TEXT, client_order_id TEXT, dispatched_at TEXT, submitted_at TEXT,
    terminal_at TEXT, filled_qty TEXT NOT NULL DEFAULT '0', filled_avg_price TEXT, code TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL DEFAULT '', PRIMARY KEY (plan_id, phase, ticker)
);
CREATE UNIQUE INDEX desk_trades_by_message ON desk_trades (message_id);
CREATE TABLE desk_untradable (symbol TEXT PRIMARY KEY, reported_at TEXT NOT NULL);
CREATE TABLE desk_symbols (
    symbol TEXT PRIMARY KEY, sector TEXT, average_volume TEXT, market_cap TEXT, earnings_on TEXT,
    earnings_known INTEGER NOT NULL, learned_at TEXT NOT NULL
)
"""

ORDERS = """
CREATE TABLE desk_orders (
    id INTEGER PRIMARY KEY AUTOINCREMENT, client_order_id TEXT NOT NULL UNIQUE, message_id TEXT NOT NULL UNIQUE,
    plan_id TEXT, ticker TEXT NOT NULL, side TEXT NOT NULL, qty TEXT NOT NULL, order_type TEXT NOT NULL,
    limit_price TEXT,
    expected_price TEXT, stop_price TEXT, cancel_requested_at TEXT, purpose TEXT NOT NULL DEFAULT 'trade',
    status TEXT NOT NULL, broker_order_id TEXT, filled_qty TEXT NOT NULL DEFAULT '0',
    filled_avg_price TEXT, constraints_passed INTEGER NOT NULL, violations TEXT NOT NULL DEFAULT '',
    created_at TEXT NOT NULL, submitted_at TEXT, terminal_at TEXT, updated_at TEXT NOT NULL,
    code TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT ''
);
CREATE INDEX desk_orders_by_status ON desk_orders (status);
CREATE TABLE desk_fills (
    id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL REFERENCES desk_orders, qty TEXT NOT NULL, price TEXT NOT NULL,
    filled_at TEXT NOT NULL, expected_price TEXT, cumulative_qty TEXT NOT NULL, UNIQUE (order_id, cumulative_qty)
);
CREATE TABLE desk_rejections (
    id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL UNIQUE REFERENCES desk_orders, code TEXT NOT NULL,
    reason TEXT NOT NULL, source TEXT NOT NULL CHECK (source IN ('HARD_CONSTRAINT', 'ALPACA', 'DUPLICATE')),
    at TEXT NOT NULL, escalation_msg_id TEXT
);
CREATE TABLE desk_releases (
    message_id TEXT PRIMARY KEY, plan_id TEXT, ticker TEXT NOT NULL, qty TEXT NOT NULL, requested_at TEXT NOT NULL,
    exit_order_ids TEXT NOT NULL, ended_at TEXT
);
CREATE TABLE desk_locks (symbol TEXT PRIMARY KEY, reason TEXT NOT NULL, locked_at TEXT NOT NULL);
CREATE TABLE desk_accepted (client_order_id TEXT PRIMARY KEY, reason TEXT NOT NULL, accepted_at TEXT NOT NULL)
"""

#: What briefings said of one trading day, as JSON: prices of symbols, readings of the market, correlations.
DAYS = "CREATE TABLE desk_days (day TEXT PRIMARY KEY, told TEXT NOT NULL)"

#: Dollars that an execution was charged for trading.
FEES = "ALTER TABLE desk_executions ADD COLUMN fees TEXT NOT NULL DEFAULT '0'"

#: Which sides of a symbol filled on a trading day: BUY, SELL, or BOTH, which is a day trade. (Fills from before this
#: table happened in the exchange's hours, whose days are the same in UTC.) And ways to what is asked for every order.
TRADED = """
CREATE TABLE desk_traded (
    day TEXT NOT NULL, ticker TEXT NOT NULL, sides TEXT NOT NULL, PRIMARY KEY (day, ticker)
) WITHOUT ROWID;
INSERT INTO desk_traded SELECT substr(f.filled_at, 1, 10), o.ticker, CASE min(o.side) WHEN max(o.side) THEN o.side
    ELSE 'BOTH' END FROM desk_fills f JOIN desk_orders o ON o.id = f.order_id GROUP BY 1, 2;
CREATE INDEX desk_traded_both ON desk_traded (day) WHERE sides = 'BOTH';
CREATE INDEX desk_fills_by_time ON desk_fills (filled_at);
CREATE INDEX desk_orders_open ON desk_orders (purpose)
    WHERE status NOT IN ('canceled', 'denied', 'expired', 'filled', 'rejected', 'replaced');
CREATE INDEX desk_orders_by_plan ON desk_orders (plan_id);
CREATE INDEX desk_orders_by_ticker ON desk_orders (ticker, purpose);
CREATE INDEX desk_orders_with_stop ON desk_orders (ticker, id)
    WHERE stop_price IS NOT NULL AND (filled_qty <> '0' OR purpose = 'exit')
"""

#: Nothing is asked by status alone any more, and every change of an order wrote this index, too.
ASKED_OTHERWISE = "DROP INDEX IF EXISTS desk_orders_by_status"

#: The names and columns of the tables that other tools read, as queries over ours.
OLD_TABLES = {
    "trading_orders": """
        SELECT client_order_id AS order_id, broker_order_id AS alpaca_order_id, ticker, side AS action,
            CAST(qty AS REAL) AS quantity, upper(order_type) AS order_type, CAST(limit_price AS REAL) AS limit_price,
            message_id AS executive_approval_msg_id, NULL AS portfolio_request_msg_id,
            CASE WHEN status = 'filled' THEN 'FILLED' WHEN status IN ('denied', 'rejected') THEN 'REJECTED'
                WHEN status IN ('canceled', 'expired') AND filled_qty <> '0' THEN 'PARTIAL'
                WHEN status IN ('canceled', 'expired', 'replaced') THEN 'CANCELLED'
                WHEN status = 'partially_filled' THEN 'PARTIAL' WHEN submitted_at IS NULL THEN 'PENDING'
                ELSE 'SUBMITTED' END AS status,
            submitted_at AS submitted_timestamp, constraints_passed AS hard_constraints_passed,
            violations AS constraint_violations, created_at, updated_at, id
        FROM desk_orders WHERE purpose = 'trade' OR filled_qty <> '0'""",
    "trading_fills": """
        SELECT order_id, CAST(price AS REAL) AS fill_price, CAST(qty AS REAL) AS quantity_filled, 0.0 AS commission,
            filled_at AS fill_timestamp, CAST(expected_price AS REAL) AS expected_price,
            (CAST(price AS REAL) - CAST(expected_price AS REAL)) * 100
                / CAST(expected_price AS REAL) AS slippage_pct,
            abs(CAST(price AS REAL) - CAST(expected_price AS REAL)) > 0.01 * CAST(expected_price AS REAL)
                AS slippage_flag,
            order_id || '-' || cumulative_qty AS alpaca_fill_id, id
        FROM desk_fills""",
    "trading_rejections": """
        SELECT order_id, reason AS rejection_reason, code AS rejection_code, at AS rejection_timestamp,
            source AS rejection_source, escalation_msg_id IS NOT NULL AS escalated_to_executive, escalation_msg_id, id
        FROM desk_rejections""",
    "trading_daily_logs": """
        SELECT substr(o.created_at, 1, 10) AS log_date, count(*) AS total_orders,
            count(*) FILTER (WHERE o.filled_qty <> '0') AS total_fills,
            count(*) FILTER (WHERE o.status IN ('denied', 'rejected')) AS total_rejections,
            sum(CAST(o.filled_qty AS REAL) * coalesce(CAST(o.filled_avg_price AS REAL), 0)) AS total_volume_traded,
            avg((CAST(o.filled_avg_price AS REAL) - CAST(o.expected_price AS REAL)) * 100
                / CAST(o.expected_price AS REAL)) AS avg_slippage_pct
        FROM desk_orders o WHERE o.purpose = 'trade' OR o.filled_qty <> '0' GROUP BY substr(o.created_at, 1, 10)""",
}
