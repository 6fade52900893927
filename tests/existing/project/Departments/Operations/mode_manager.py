"""Opening hours, and whether today has been traded. Local times."""

import sqlite3
from datetime import date, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

EASTERN = ZoneInfo("America/New_York")


class ModeManager:
    def __init__(self, project_root, alpaca_client=None):
        self.db_path = Path(project_root) / "sentinel.db"
        db = sqlite3.connect(self.db_path)
        db.execute("""CREATE TABLE IF NOT EXISTS trading_sessions (
            session_id TEXT PRIMARY KEY, date TEXT NOT NULL, plan_generated_at TEXT, plan_executed_at TEXT,
            market_status TEXT, trades_submitted INTEGER, user_override BOOLEAN DEFAULT 0, circuit_breaker_level TEXT,
            notes TEXT, created_at TEXT DEFAULT CURRENT_TIMESTAMP)""")
        db.commit()
        db.close()

    def is_market_open_now(self):
        now = datetime.now(EASTERN)
        is_open = now.weekday() < 5 and time(9, 30) <= now.time() < time(16)
        return is_open, "Market is open" if is_open else "Market is closed"

    def get_market_status_display(self):
        is_open, message = self.is_market_open_now()
        now = datetime.now(EASTERN)
        return {"is_open": is_open, "status": "OPEN" if is_open else "CLOSED", "message": message,
                "current_time_et": f"{now:%I:%M %p} ET", "current_date": now.date().isoformat()}

    def has_traded_today(self):
        db = sqlite3.connect(self.db_path)
        row = db.execute("SELECT session_id, plan_executed_at, trades_submitted, market_status FROM trading_sessions "
                         "WHERE date = ? AND plan_executed_at IS NOT NULL", (date.today().isoformat(),)).fetchone()
        db.close()
        if row is None:
            return False, None
        return True, dict(zip(("session_id", "executed_at", "trades_count", "market_status"), row))

    def can_execute_plan(self, plan_generated_at, current_portfolio_loss_pct=0.0, allow_override=True):
        is_open, message = self.is_market_open_now()
        return {"can_execute": is_open, "gates_passed": [message] if is_open else [],
                "gates_failed": [] if is_open else [message], "warnings": [], "requires_override": not is_open,
                "recommendation": "CLEAR TO TRADE" if is_open else "BLOCKED - Cannot execute trades"}
