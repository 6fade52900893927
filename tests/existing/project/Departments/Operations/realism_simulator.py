"""Entry dates of positions."""

import sqlite3
from datetime import datetime, timezone
from pathlib import Path


class RealismSimulator:
    def __init__(self, project_root):
        self.db_path = Path(project_root) / "sentinel.db"
        self.day_trades = []
        db = sqlite3.connect(self.db_path)
        db.execute("CREATE TABLE IF NOT EXISTS entry_dates (ticker TEXT PRIMARY KEY, entry_date TEXT NOT NULL, "
                   "shares REAL NOT NULL, entry_price REAL NOT NULL, updated_at TEXT NOT NULL)")
        db.commit()
        db.close()

    def record_entry_date(self, ticker, shares, entry_price):
        now = datetime.now(timezone.utc).isoformat()
        db = sqlite3.connect(self.db_path)
        db.execute("INSERT OR REPLACE INTO entry_dates VALUES (?, ?, ?, ?, ?)", (ticker, now, shares, entry_price, now))
        db.commit()
        db.close()
