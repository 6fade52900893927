"""Summaries for people: e-mail, text messages and the terminal's dashboard import this."""

import sqlite3


class PerformanceAnalyzer:
    pass


class StrategyReviewer:
    pass


class SystemMonitor:
    pass


class ExecutiveDepartment:
    def __init__(self, db_path, messages_dir, reports_dir, config_path=None):
        self.db_path = db_path

    def get_realtime_dashboard_data(self):
        db = sqlite3.connect(self.db_path)
        rows = db.execute("SELECT ticker, sector, actual_shares, actual_entry_price, intended_stop_loss, "
                          "intended_target, total_risk FROM portfolio_positions WHERE status = 'OPEN'").fetchall()
        closed = db.execute("SELECT ticker, (exit_price - actual_entry_price) * actual_shares FROM portfolio_positions "
                            "WHERE status = 'CLOSED' AND exit_price IS NOT NULL").fetchall()
        newest = db.execute("SELECT max(created_at) FROM trading_orders").fetchone()[0]
        db.close()
        return {
            "open_positions": [
                dict(zip(("ticker", "sector", "shares", "entry_price", "stop_loss", "target_price", "risk_value"), r))
                for r in rows
            ],
            "closed": dict(closed),
            "newest_order": newest,
        }
