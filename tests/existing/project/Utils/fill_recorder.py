"""Records the broker's fills of a day: one row an order, at its average price."""

import sqlite3


class FillRecorder:
    def __init__(self, filled=()):
        self.filled = filled  # {id, filled_qty, filled_avg_price, filled_at}

    def sync_fills_to_database(self, days=1):
        db = sqlite3.connect("sentinel.db")
        counts = {"orders_checked": 0, "fills_recorded": 0, "orders_updated": 0, "already_recorded": 0,
                  "no_match_in_db": 0, "errors": []}
        for order in self.filled:
            counts["orders_checked"] += 1
            row = db.execute("SELECT id, order_id, ticker, action, quantity, status, alpaca_order_id, limit_price, "
                             "submitted_timestamp FROM trading_orders WHERE alpaca_order_id = ?", (order["id"],)).fetchone()
            if row is None:
                counts["no_match_in_db"] += 1
            elif db.execute("SELECT id FROM trading_fills WHERE order_id = ?", (row[0],)).fetchone():
                counts["already_recorded"] += 1
            else:
                db.execute("INSERT INTO trading_fills (order_id, fill_price, quantity_filled, commission, fill_timestamp, "
                           "alpaca_fill_id) VALUES (?, ?, ?, 0, ?, ?)",
                           (row[0], order["filled_avg_price"], order["filled_qty"], order["filled_at"], order["id"]))
                db.execute("UPDATE trading_orders SET status = 'FILLED', updated_at = datetime('now') WHERE id = ?",
                           (row[0],))
                counts["fills_recorded"] += 1
        db.commit()
        db.close()
        return counts
