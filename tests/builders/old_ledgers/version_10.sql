-- A ledger of version 10.
CREATE TABLE ledger_version (version INTEGER NOT NULL);
CREATE TABLE desk_plans (plan_id TEXT NOT NULL, generated_at TEXT NOT NULL, saved_at TEXT NOT NULL, status TEXT NOT NULL, document TEXT NOT NULL, limits_hash TEXT NOT NULL, approved_at TEXT, PRIMARY KEY (plan_id));
CREATE TABLE desk_executions (plan_id TEXT NOT NULL, trading_day TEXT NOT NULL, started_at TEXT NOT NULL, ended_at TEXT, status TEXT NOT NULL, equity TEXT NOT NULL, cash_before TEXT NOT NULL, reserve TEXT NOT NULL, cash_after TEXT, fees TEXT NOT NULL, PRIMARY KEY (plan_id), FOREIGN KEY (plan_id) REFERENCES desk_plans (plan_id));
CREATE TABLE desk_phases (plan_id TEXT NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL, started_at TEXT NOT NULL, deadline TEXT NOT NULL, ended_at TEXT, outcome TEXT NOT NULL, PRIMARY KEY (plan_id, name), FOREIGN KEY (plan_id) REFERENCES desk_plans (plan_id));
CREATE TABLE desk_trades (plan_id TEXT NOT NULL, rank INTEGER NOT NULL, phase TEXT NOT NULL, symbol TEXT NOT NULL, side TEXT NOT NULL, planned_qty TEXT NOT NULL, qty TEXT NOT NULL, price TEXT, score TEXT, sector TEXT, status TEXT NOT NULL, message_id TEXT, client_order_id TEXT, dispatched_at TEXT, submitted_at TEXT, terminal_at TEXT, filled_qty TEXT NOT NULL, filled_avg_price TEXT, code TEXT NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (plan_id, phase, symbol), FOREIGN KEY (plan_id) REFERENCES desk_plans (plan_id));
CREATE TABLE desk_untradable (symbol TEXT NOT NULL, reported_at TEXT NOT NULL, PRIMARY KEY (symbol));
CREATE TABLE desk_symbols (symbol TEXT NOT NULL, sector TEXT, average_volume TEXT, market_cap TEXT, earnings_on TEXT, earnings_known INTEGER NOT NULL, learned_at TEXT NOT NULL, PRIMARY KEY (symbol));
CREATE TABLE desk_days (day TEXT NOT NULL, told TEXT NOT NULL, PRIMARY KEY (day));
CREATE TABLE desk_orders (id INTEGER PRIMARY KEY, client_order_id TEXT NOT NULL, message_id TEXT NOT NULL, symbol TEXT NOT NULL, side TEXT NOT NULL, qty TEXT NOT NULL, order_type TEXT NOT NULL, plan_id TEXT, limit_price TEXT, expected_price TEXT, stop_price TEXT, purpose TEXT NOT NULL, parent_id TEXT, status TEXT NOT NULL, broker_order_id TEXT, filled_qty TEXT NOT NULL, filled_avg_price TEXT, created_at TEXT NOT NULL, submitted_at TEXT, terminal_at TEXT, code TEXT NOT NULL, reason TEXT NOT NULL, cancel_requested_at TEXT, updated_at TEXT, released_at TEXT, UNIQUE (client_order_id), UNIQUE (message_id));
CREATE TABLE desk_fills (id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL, qty TEXT NOT NULL, price TEXT NOT NULL, filled_at TEXT NOT NULL, expected_price TEXT, cumulative_qty TEXT NOT NULL, UNIQUE (order_id, cumulative_qty), FOREIGN KEY (order_id) REFERENCES desk_orders (id));
CREATE TABLE desk_rejections (id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL, code TEXT NOT NULL, reason TEXT NOT NULL, source TEXT NOT NULL, at TEXT NOT NULL, escalation_msg_id TEXT, UNIQUE (order_id), FOREIGN KEY (order_id) REFERENCES desk_orders (id));
CREATE TABLE desk_traded (day TEXT NOT NULL, symbol TEXT NOT NULL, sides TEXT NOT NULL, PRIMARY KEY (day, symbol)) WITHOUT ROWID;
CREATE TABLE desk_unprotected (symbol TEXT NOT NULL, qty TEXT NOT NULL, released TEXT NOT NULL, PRIMARY KEY (symbol));
CREATE TABLE desk_unprotected_changes (id INTEGER PRIMARY KEY, symbol TEXT NOT NULL, at TEXT NOT NULL, qty TEXT NOT NULL, cause TEXT NOT NULL);
CREATE TABLE desk_releases (message_id TEXT NOT NULL, plan_id TEXT, symbol TEXT NOT NULL, qty TEXT NOT NULL, exit_order_ids TEXT NOT NULL, requested_at TEXT NOT NULL, ended_at TEXT, PRIMARY KEY (message_id));
CREATE TABLE desk_locks (symbol TEXT NOT NULL, reason TEXT NOT NULL, locked_at TEXT NOT NULL, PRIMARY KEY (symbol));
CREATE TABLE desk_accepted (client_order_id TEXT NOT NULL, reason TEXT NOT NULL, accepted_at TEXT NOT NULL, PRIMARY KEY (client_order_id));
CREATE TABLE regime_observations (observed_at TEXT NOT NULL, source TEXT NOT NULL, day TEXT, spy TEXT, spy_change_pct TEXT, vix TEXT, vix_change_pct TEXT, spy_trend_pct TEXT, realised_volatility_pct TEXT, spy_drawdown_pct TEXT, notes TEXT NOT NULL, PRIMARY KEY (source));
CREATE TABLE regime_assessments (number INTEGER PRIMARY KEY, assessment_id TEXT NOT NULL, regime TEXT NOT NULL, confidence TEXT NOT NULL, recommendation TEXT NOT NULL, assessed_at TEXT NOT NULL, source TEXT NOT NULL, spy TEXT, spy_change_pct TEXT, vix TEXT, vix_change_pct TEXT, score INTEGER, spy_trend_pct TEXT, realised_volatility_pct TEXT, spy_drawdown_pct TEXT, notes TEXT NOT NULL, trades_executed INTEGER, portfolio_change TEXT, spy_close_change_pct TEXT, UNIQUE (assessment_id));
CREATE TABLE bus_handled (department TEXT NOT NULL, message_id TEXT NOT NULL, disposition TEXT NOT NULL, digest TEXT NOT NULL, handled_at TEXT NOT NULL, PRIMARY KEY (department, message_id)) WITHOUT ROWID;
CREATE TABLE bus_failures (department TEXT NOT NULL, message_id TEXT NOT NULL, attempts INTEGER NOT NULL, first_at TEXT NOT NULL, last_at TEXT NOT NULL, PRIMARY KEY (department, message_id)) WITHOUT ROWID;
CREATE TABLE bus_letters (number INTEGER PRIMARY KEY, name TEXT NOT NULL, sender TEXT NOT NULL, recipient TEXT NOT NULL, digest TEXT NOT NULL, data BLOB, enqueued_at TEXT NOT NULL, published_at TEXT, UNIQUE (name));
CREATE TABLE bus_index (name TEXT NOT NULL, message_id TEXT NOT NULL, parent_message_id TEXT, plan_id TEXT, PRIMARY KEY (name, message_id)) WITHOUT ROWID;
CREATE TABLE bus_causes (cause TEXT NOT NULL, day TEXT NOT NULL, PRIMARY KEY (cause, day)) WITHOUT ROWID;
CREATE UNIQUE INDEX desk_trades_by_message ON desk_trades (message_id);
CREATE INDEX desk_orders_open ON desk_orders (purpose) WHERE status NOT IN ('canceled', 'denied', 'expired', 'filled', 'rejected', 'replaced');
CREATE INDEX desk_orders_by_plan ON desk_orders (plan_id);
CREATE INDEX desk_orders_by_symbol ON desk_orders (symbol, purpose);
CREATE INDEX desk_orders_by_parent ON desk_orders (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX desk_orders_with_stop ON desk_orders (symbol, id) WHERE stop_price IS NOT NULL AND (filled_qty <> '0' OR purpose = 'exit');
CREATE INDEX desk_fills_by_time ON desk_fills (filled_at);
CREATE INDEX desk_traded_both ON desk_traded (day) WHERE sides = 'BOTH';
CREATE INDEX desk_unprotected_changes_by_time ON desk_unprotected_changes (at);
CREATE INDEX regime_assessments_by_time ON regime_assessments (assessed_at);
CREATE INDEX bus_letters_pending ON bus_letters (number) WHERE published_at IS NULL;
CREATE INDEX bus_letters_unsettled ON bus_letters (number) WHERE data IS NOT NULL;
CREATE VIEW "trading_orders" AS 
        SELECT client_order_id AS order_id, broker_order_id AS alpaca_order_id, symbol AS ticker, side AS action,
            CAST(qty AS REAL) AS quantity, upper(order_type) AS order_type, CAST(limit_price AS REAL) AS limit_price,
            message_id AS executive_approval_msg_id, NULL AS portfolio_request_msg_id,
            CASE WHEN status = 'filled' THEN 'FILLED' WHEN status IN ('denied', 'rejected') THEN 'REJECTED'
                WHEN status IN ('canceled', 'expired') AND filled_qty <> '0' THEN 'PARTIAL'
                WHEN status IN ('canceled', 'expired', 'replaced') THEN 'CANCELLED'
                WHEN status = 'partially_filled' THEN 'PARTIAL' WHEN submitted_at IS NULL THEN 'PENDING'
                ELSE 'SUBMITTED' END AS status,
            submitted_at AS submitted_timestamp, status <> 'denied' AS hard_constraints_passed,
            CASE WHEN status = 'denied' THEN reason ELSE '' END AS constraint_violations, created_at, updated_at,
            id AS id
        FROM desk_orders WHERE purpose = 'trade' OR filled_qty <> '0';
CREATE VIEW "trading_fills" AS 
        SELECT order_id AS order_id, CAST(price AS REAL) AS fill_price, CAST(qty AS REAL) AS quantity_filled,
            0.0 AS commission, filled_at AS fill_timestamp, CAST(expected_price AS REAL) AS expected_price,
            (CAST(price AS REAL) - CAST(expected_price AS REAL)) * 100
                / CAST(expected_price AS REAL) AS slippage_pct,
            abs(CAST(price AS REAL) - CAST(expected_price AS REAL)) > 0.01 * CAST(expected_price AS REAL)
                AS slippage_flag,
            (order_id) || '-' || cumulative_qty AS alpaca_fill_id, id
        FROM desk_fills;
CREATE VIEW "trading_rejections" AS 
        SELECT order_id AS order_id, reason AS rejection_reason, code AS rejection_code,
            at AS rejection_timestamp,
            CASE source WHEN 'constraint' THEN 'HARD_CONSTRAINT' WHEN 'broker' THEN 'ALPACA' ELSE 'DUPLICATE' END
                AS rejection_source, escalation_msg_id IS NOT NULL AS escalated_to_executive, escalation_msg_id, id
        FROM desk_rejections;
CREATE VIEW "trading_daily_logs" AS 
        SELECT substr(o.created_at, 1, 10) AS log_date, count(*) AS total_orders,
            count(*) FILTER (WHERE o.filled_qty <> '0') AS total_fills,
            count(*) FILTER (WHERE o.status IN ('denied', 'rejected')) AS total_rejections,
            sum(CAST(o.filled_qty AS REAL) * coalesce(CAST(o.filled_avg_price AS REAL), 0)) AS total_volume_traded,
            avg((CAST(o.filled_avg_price AS REAL) - CAST(o.expected_price AS REAL)) * 100
                / CAST(o.expected_price AS REAL)) AS avg_slippage_pct
        FROM desk_orders o WHERE o.purpose = 'trade' OR o.filled_qty <> '0' GROUP BY substr(o.created_at, 1, 10);
INSERT INTO ledger_version VALUES (10);
