CREATE TABLE IF NOT EXISTS trading_orders (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    order_id TEXT UNIQUE NOT NULL,
    alpaca_order_id TEXT UNIQUE,
    ticker TEXT NOT NULL,
    action TEXT NOT NULL CHECK(action IN ('BUY', 'SELL')),
    quantity INTEGER NOT NULL CHECK(quantity > 0),
    order_type TEXT NOT NULL CHECK(order_type IN ('MARKET', 'LIMIT')),
    limit_price REAL,
    executive_approval_msg_id TEXT NOT NULL,
    portfolio_request_msg_id TEXT,
    status TEXT NOT NULL CHECK(status IN ('PENDING', 'SUBMITTED', 'FILLED', 'PARTIAL', 'REJECTED', 'CANCELLED')),
    submitted_timestamp DATETIME,
    hard_constraints_passed BOOLEAN NOT NULL DEFAULT 0,
    constraint_violations TEXT,
    created_at DATETIME DEFAULT CURRENT_TIMESTAMP,
    updated_at DATETIME DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE IF NOT EXISTS trading_fills (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    order_id INTEGER NOT NULL,
    fill_price REAL NOT NULL,
    quantity_filled INTEGER NOT NULL,
    commission REAL DEFAULT 0,
    fill_timestamp DATETIME NOT NULL,
    expected_price REAL,
    slippage_pct REAL,
    slippage_flag BOOLEAN DEFAULT 0,
    alpaca_fill_id TEXT,
    created_at DATETIME DEFAULT CURRENT_TIMESTAMP,
    FOREIGN KEY (order_id) REFERENCES trading_orders(id)
);
CREATE TABLE IF NOT EXISTS trading_rejections (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    order_id INTEGER NOT NULL,
    rejection_reason TEXT NOT NULL,
    rejection_code TEXT,
    rejection_timestamp DATETIME NOT NULL,
    rejection_source TEXT NOT NULL CHECK(rejection_source IN ('HARD_CONSTRAINT', 'ALPACA', 'DUPLICATE')),
    escalated_to_executive BOOLEAN DEFAULT 0,
    escalation_msg_id TEXT,
    created_at DATETIME DEFAULT CURRENT_TIMESTAMP,
    FOREIGN KEY (order_id) REFERENCES trading_orders(id)
);
CREATE TABLE IF NOT EXISTS trading_daily_logs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    log_date DATE UNIQUE NOT NULL,
    total_orders INTEGER DEFAULT 0,
    total_fills INTEGER DEFAULT 0,
    total_rejections INTEGER DEFAULT 0,
    total_volume_traded REAL DEFAULT 0,
    total_commissions REAL DEFAULT 0,
    avg_slippage_pct REAL DEFAULT 0,
    max_slippage_pct REAL DEFAULT 0,
    slippage_events INTEGER DEFAULT 0,
    compliance_report_msg_id TEXT,
    created_at DATETIME DEFAULT CURRENT_TIMESTAMP,
    updated_at DATETIME DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE IF NOT EXISTS trading_duplicate_cache (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    ticker TEXT NOT NULL,
    action TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    submitted_timestamp DATETIME NOT NULL,
    order_id INTEGER NOT NULL,
    expires_at DATETIME NOT NULL
);
CREATE INDEX IF NOT EXISTS idx_trading_orders_status ON trading_orders(status);
CREATE INDEX IF NOT EXISTS idx_trading_orders_ticker ON trading_orders(ticker);
CREATE INDEX IF NOT EXISTS idx_trading_orders_alpaca_id ON trading_orders(alpaca_order_id);
CREATE INDEX IF NOT EXISTS idx_trading_fills_order_id ON trading_fills(order_id);
CREATE INDEX IF NOT EXISTS idx_trading_fills_timestamp ON trading_fills(fill_timestamp);
CREATE INDEX IF NOT EXISTS idx_trading_rejections_order_id ON trading_rejections(order_id);
CREATE INDEX IF NOT EXISTS idx_trading_duplicate_cache_expires ON trading_duplicate_cache(expires_at);
