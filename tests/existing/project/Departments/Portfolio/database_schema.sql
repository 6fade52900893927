CREATE TABLE IF NOT EXISTS portfolio_positions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    position_id TEXT UNIQUE NOT NULL,
    ticker TEXT NOT NULL,
    status TEXT NOT NULL CHECK(status IN ('PENDING', 'OPEN', 'CLOSED', 'REJECTED')),
    intended_entry_price REAL NOT NULL,
    intended_shares INTEGER NOT NULL,
    intended_stop_loss REAL NOT NULL,
    intended_target REAL NOT NULL,
    actual_entry_price REAL,
    actual_entry_date DATE,
    actual_shares INTEGER,
    exit_reason TEXT,
    exit_price REAL,
    exit_date DATE,
    risk_per_share REAL NOT NULL,
    total_risk REAL NOT NULL,
    sector TEXT,
    entry_order_message_id TEXT,
    fill_message_id TEXT,
    exit_order_message_id TEXT,
    risk_assessment_message_id TEXT,
    created_at DATETIME DEFAULT CURRENT_TIMESTAMP,
    updated_at DATETIME
);
CREATE INDEX idx_portfolio_positions_ticker ON portfolio_positions(ticker);
CREATE INDEX idx_portfolio_positions_status ON portfolio_positions(status);
CREATE INDEX idx_portfolio_positions_position_id ON portfolio_positions(position_id);
CREATE TABLE IF NOT EXISTS portfolio_snapshots (
    snapshot_id TEXT PRIMARY KEY,
    timestamp TEXT NOT NULL,
    total_value REAL,
    cash_balance REAL,
    equity_value REAL,
    buying_power REAL,
    margin_used REAL,
    positions_count INTEGER,
    daily_pl REAL,
    daily_pl_pct REAL,
    spy_close REAL,
    spy_change_pct REAL,
    source TEXT,
    notes TEXT
);
CREATE INDEX IF NOT EXISTS idx_portfolio_snapshots_timestamp ON portfolio_snapshots(timestamp);
