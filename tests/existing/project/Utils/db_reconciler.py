"""Closes positions whose ticker the account does not hold. It opens sentinel.db of the current directory."""

import sqlite3


class DBReconciler:
    def __init__(self, held=()):
        self.held = set(held)

    def reconcile(self, dry_run=False):
        db = sqlite3.connect("sentinel.db")
        rows = db.execute("SELECT id, ticker, status, actual_shares, actual_entry_price, total_risk, created_at FROM "
                          "portfolio_positions WHERE status IN ('OPEN', 'PENDING')").fetchall()
        stale = [row for row in rows if row[1] not in self.held]
        for row in () if dry_run else stale:
            db.execute("UPDATE portfolio_positions SET status = 'CLOSED', exit_reason = 'RECONCILIATION_CLEANUP', "
                       "updated_at = datetime('now') WHERE id = ?", (row[0],))
        db.commit()
        db.close()
        return {"alpaca_positions": len(self.held), "db_open_positions": len(rows), "stale_closed": len(stale),
                "in_sync": len(rows) - len(stale), "orphan_alpaca": [], "stale_records": stale, "errors": []}
