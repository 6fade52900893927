"""The old CEO: sends BUYs and SELLs in the order of the plan and waits for nothing."""

import json
import uuid
from datetime import date, datetime, timezone
from pathlib import Path

from Departments.Executive.executive_department import ExecutiveDepartment
from Departments.Operations.operations_manager import OperationsManager


class CEO:
    def __init__(self, project_root):
        self.project_root = Path(project_root)
        self.db_path = self.project_root / "sentinel.db"
        self.operations_manager = OperationsManager(project_root)
        self.current_plan = None
        self.plan_approved = False
        self.mandatory_sells = []

    def set_mandatory_sells(self, sells):
        self.mandatory_sells = sells

    def handle_user_request(self, request, **kwargs):
        if request == "generate_plan":
            made = self.operations_manager.generate_trading_plan(**kwargs)
            self.current_plan, self.plan_approved = made["plan"], False
            return {"status": "READY_FOR_USER_APPROVAL", "plan": made["plan"], "ceo_review": {}, "stage_results": []}
        if request == "execute_plan":
            return self.execute_approved_plan()
        return {"status": "ERROR", "message": f"Unknown request {request}"}

    def approve_plan(self, plan_id):
        self.plan_approved = True
        path = self.project_root / f"proposed_trades_{date.today()}.json"
        path.write_text(json.dumps(self.current_plan, indent=2))
        return {"status": "PLAN_APPROVED", "plan_id": plan_id, "message": "approved", "next_steps": []}

    def execute_approved_plan(self):
        if not self.plan_approved:
            return {"status": "ERROR", "message": "No approved plan"}
        sent = [{"ticker": t["ticker"], "action": t["action"], "message_id": self._send_trade_to_trading_dept(t)}
                for t in self.current_plan["trades"]]
        sides = [each["action"] for each in sent]
        from Departments.Trading.trading_department import TradingDepartment
        TradingDepartment(db_path=str(self.db_path)).process_inbox()
        return {"status": "EXECUTION_INITIATED", "plan_id": self.current_plan["plan_id"], "message": "sent",
                "trades_submitted": len(sent), "sells_submitted": sides.count("SELL"),
                "buys_submitted": sides.count("BUY"), "execution_results": sent,
                "post_execution_verification": {"passed": True, "issues": []}}

    def _send_trade_to_trading_dept(self, trade):
        now = datetime.now(timezone.utc)
        message_id = f"MSG_EXECUTIVE_{now:%Y%m%dT%H%M%SZ}_{uuid.uuid4().hex[:8]}"
        payload = {"ticker": trade["ticker"], "action": trade.get("action") or "BUY", "shares": trade["shares"],
                   "price": trade.get("entry_price") or trade.get("current_price"), "sector": "Unknown",
                   "order_type": "MARKET", "plan_id": self.current_plan["plan_id"],
                   "approved_at": f"{now:%Y-%m-%dT%H:%M:%S.%f}Z"}
        text = (f"---\nmessage_id: {message_id}\nfrom: EXECUTIVE\nto: TRADING\ntimestamp: '{payload['approved_at']}'\n"
                f"message_type: ExecutiveApproval\npriority: urgent\nrequires_response: false\n---\n"
                f"# Executive Approval - {payload['action']} {payload['ticker']}\n\n```json\n"
                f"{json.dumps(payload, indent=2)}\n```\n")
        folder = self.project_root / "Messages_Between_Departments" / "Inbox" / "TRADING"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{message_id}.md").write_text(text)
        return message_id

    def _wait_for_orders_to_fill(self, tickers, timeout=60):
        return True
