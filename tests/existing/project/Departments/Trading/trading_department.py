"""The old Trading Department. Its broker is a file, `sent_by_old_code.jsonl`: one line an order."""

import json
import sqlite3
import uuid
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import config

MESSAGES = Path("Messages_Between_Departments")


@dataclass
class ExecutionOrder:
    ticker: str
    action: str
    quantity: int
    order_type: str
    limit_price: float
    executive_approval_msg_id: str
    portfolio_request_msg_id: str


@dataclass
class HardConstraintViolation:
    constraint_name: str
    violation_reason: str
    violating_value: float
    limit_value: float


class DuplicateDetector:
    def __init__(self, db_path):
        self.db_path = db_path

    def is_duplicate(self, order):
        db = sqlite3.connect(self.db_path)
        found = db.execute("SELECT order_id FROM trading_duplicate_cache WHERE ticker = ? AND action = ? AND quantity = ? "
                           "AND expires_at > ?", (order.ticker, order.action, order.quantity, datetime.utcnow())).fetchone()
        db.close()
        return found is not None

    def cleanup(self):
        db = sqlite3.connect(self.db_path)
        db.execute("DELETE FROM trading_duplicate_cache WHERE expires_at <= ?", (datetime.utcnow(),))
        db.commit()
        db.close()


class TradingDepartment:
    def __init__(self, db_path="sentinel.db"):
        if not Path("Config/hard_constraints.yaml").exists():
            raise FileNotFoundError("Config/hard_constraints.yaml")
        self.db_path = db_path
        self.duplicate_detector = DuplicateDetector(db_path)

    def process_inbox(self):
        for path in sorted((MESSAGES / "Inbox" / "TRADING").glob("*.md")):
            if "MSG_REGIME_" not in path.name:
                payload = json.loads(path.read_text().split("```json")[1].split("```")[0])
                self._handle(path.stem, payload)
            target = MESSAGES / "Archive" / str(date.today()) / "TRADING"
            target.mkdir(parents=True, exist_ok=True)
            path.rename(target / path.name)
        self.duplicate_detector.cleanup()

    def _handle(self, message_id, payload):
        order = ExecutionOrder(payload["ticker"], payload["action"], int(payload["shares"]), "MARKET", None, message_id, None)
        if self.duplicate_detector.is_duplicate(order):
            self._store(order, None, "REJECTED", "DUPLICATE", "duplicate within 5 minutes")
        elif not payload.get("price"):
            self._store(order, None, "REJECTED", "HARD_CONSTRAINT", "price_available: no price")
        else:
            broker_id = str(uuid.uuid4())
            with Path("sent_by_old_code.jsonl").open("a") as file:
                file.write(json.dumps({"id": broker_id, **payload}) + "\n")
            self._store(order, broker_id, "SUBMITTED", None, "", payload["price"])

    def _store(self, order, broker_id, status, source, reason, price=0):
        now = datetime.utcnow()
        order_id = f"ORD_{now:%Y%m%d_%H%M%S}_{uuid.uuid4().hex[:8]}"
        db = sqlite3.connect(self.db_path)
        row = db.execute(
            "INSERT INTO trading_orders (order_id, alpaca_order_id, ticker, action, quantity, order_type, "
            "executive_approval_msg_id, status, submitted_timestamp, hard_constraints_passed) "
            "VALUES (?, ?, ?, ?, ?, 'MARKET', ?, ?, ?, ?)",
            (order_id, broker_id, order.ticker, order.action, order.quantity, order.executive_approval_msg_id, status,
             now if broker_id else None, source is None)).lastrowid
        if source:
            db.execute("INSERT INTO trading_rejections (order_id, rejection_reason, rejection_timestamp, rejection_source) "
                       "VALUES (?, ?, ?, ?)", (row, reason, now, source))
        else:
            db.execute("INSERT INTO trading_duplicate_cache (ticker, action, quantity, submitted_timestamp, order_id, "
                       "expires_at) VALUES (?, ?, ?, ?, ?, ?)",
                       (order.ticker, order.action, order.quantity, now, row, now + timedelta(minutes=5)))
            if order.action == "BUY":
                risk = price * 0.08
                db.execute(
                    "INSERT INTO portfolio_positions (position_id, ticker, status, intended_entry_price, intended_shares, "
                    "intended_stop_loss, intended_target, risk_per_share, total_risk, entry_order_message_id, created_at, "
                    "updated_at) VALUES (?, ?, 'PENDING', ?, ?, ?, ?, ?, ?, ?, datetime('now'), datetime('now'))",
                    (order_id.replace("ORD_", "POS_"), order.ticker, price, order.quantity, price - risk, price * 1.16,
                     risk, risk * order.quantity, order_id))
        db.commit()
        db.close()
