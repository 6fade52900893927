"""The old planner: the best candidates in equal shares, BUYs before SELLs."""

import json
import sqlite3
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import config
from Departments.Compliance.compliance_department import ComplianceDepartment
from Departments.Executive.gpt5_portfolio_optimizer import GPT5PortfolioOptimizer
from Departments.News.news_department import NewsDepartment
from Departments.Operations.realism_simulator import RealismSimulator
from Departments.Portfolio.portfolio_department import PortfolioDepartment
from Departments.Research.research_department import MESSAGES, ResearchDepartment
from Departments.Risk.risk_department import RiskDepartment


@dataclass
class WorkflowStageResult:
    stage: str
    success: bool
    data: dict = field(default_factory=dict)
    message: str = ""
    quality_score: int = 100
    issues: list = field(default_factory=list)


class OperationsManager:
    def __init__(self, project_root):
        self.project_root = Path(project_root)
        self.db_path = self.project_root / "sentinel.db"
        self.realism_sim = RealismSimulator(project_root)
        self.mandatory_sells = []

    def set_mandatory_sells(self, sells):
        self.mandatory_sells = list(sells)

    def generate_trading_plan(self, ai_model="gpt-4o-mini"):
        message_id = ResearchDepartment(db_path=str(self.db_path)).generate_daily_briefing()
        text = (MESSAGES / "Outbox" / "RESEARCH" / f"{message_id}.md").read_text(encoding="utf-8")
        briefing = json.loads(text.split("```json")[1].split("```")[0])
        db = sqlite3.connect(self.db_path)
        pending = {row[0] for row in db.execute("SELECT DISTINCT ticker FROM portfolio_positions WHERE status = 'PENDING'")}
        db.close()
        held = {row["ticker"] for row in briefing["current_holdings"]}
        buys = [c for c in briefing["candidates"] if c["composite_score"] >= 60 and c["ticker"] not in held | pending]
        trades = [{"ticker": c["ticker"], "action": "BUY", "shares": int(8000 / c["current_price"]),
                   "allocated_capital": 8000.0, "entry_price": c["current_price"], "composite_score": c["composite_score"],
                   "sector": "Unknown"} for c in buys]
        trades += [{"ticker": h["ticker"], "action": "SELL", "shares": h["quantity"], "sell_pct": 100,
                    "composite_score": h["research_composite_score"], "current_price": h["current_price"]}
                   for h in briefing["current_holdings"] if h["research_composite_score"] < 60]
        now = datetime.now()
        plan = {"plan_id": f"PLAN_{now:%Y%m%d_%H%M%S}", "generated_at": f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%S.%f}Z",
                "status": "READY_FOR_CEO_REVIEW", "summary": {"total_trades": len(trades), "overall_quality_score": 84},
                "trades": trades, "workflow_summary": []}
        return {"status": "SUCCESS", "plan": plan, "stage_results": [], "generated_at": plan["generated_at"]}
