"""Trims what has grown above a quarter of the account to a fifth of it."""

from Utils.account import read_account


class PositionDriftMonitor:
    def check_position_drift(self):
        account = read_account()
        equity = account["cash"] + sum(p["qty"] * p["price"] for p in account["positions"])
        return [{"ticker": p["symbol"], "action": "SELL", "shares": int(p["qty"] - 0.2 * equity / p["price"]),
                 "reason": "drift", "source": "position_drift_monitor"}
                for p in account["positions"] if p["qty"] * p["price"] > 0.25 * equity]
