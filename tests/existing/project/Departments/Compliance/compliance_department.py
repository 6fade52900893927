"""The Compliance Department: a validator of BUYs."""

import sqlite3


class _Validator:
    def __init__(self, db_path):
        self.db_path = db_path

    def validate_trade(self, trade):
        db = sqlite3.connect(self.db_path)
        known = db.execute("SELECT count(*) FROM portfolio_positions WHERE ticker = ? AND status IN ('PENDING', 'OPEN')",
                           (trade["ticker"],)).fetchone()[0]
        db.close()
        if known and not trade.get("is_position_adjustment"):
            return False, f"{trade['ticker']} is pending or open", "DUPLICATE", {"duplicate_order_check": "FAIL"}
        return True, "", "", {"duplicate_order_check": "PASS"}


class ComplianceDepartment:
    def __init__(self, config_path, db_path):
        self.validator = _Validator(db_path)
