"""The stand-in for an existing project does what such a project does; otherwise tests with it prove nothing."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from Departments.core.errors import UnreadableMessage
from Departments.messaging import codec
from tests.builders.existing import existing_project, run_old_code
from tests.builders.existing_messages import FOLDER

DAY = """
import sys
sys.path.insert(0, ".")
from Departments.Executive.ceo import CEO
ceo = CEO(".")
plan = ceo.handle_user_request("generate_plan")["plan"]
ceo.approve_plan(plan["plan_id"])
for _ in range(2):
    print(ceo.handle_user_request("execute_plan")["status"])
"""


def test_the_old_code_trades_and_its_duplicate_guard_works(tmp_path: Path) -> None:
    root = existing_project(tmp_path)
    assert run_old_code(root, DAY).splitlines()[-2:] == ["EXECUTION_INITIATED"] * 2
    sent = (root / "sent_by_old_code.jsonl").read_text(encoding="utf-8").splitlines()
    with closing(sqlite3.connect(root / "sentinel.db")) as db:
        told = db.execute("SELECT rejection_source, count(*) FROM trading_rejections GROUP BY 1").fetchall()
    assert len(sent) > 0
    assert dict(told)["DUPLICATE"] == len(sent)  # the second execution sent nothing


def test_it_has_gathered_rows_and_messages_of_every_type(tmp_path: Path) -> None:
    root = existing_project(tmp_path, name="Mein Börsen Projekt")
    found, unread = set(), []
    for path in (root / FOLDER).rglob("*.md"):
        try:
            found.add(codec.decode(path.read_bytes(), name=path.name).message_type)
        except UnreadableMessage:
            unread.append(path.name)
    assert found >= {"ExecutiveApproval", "DailyBriefing", "execution", "log", "escalation", "RegimeUpdate"}
    assert found >= {"RiskAssessment", "TradeOrder", "CandidateRequest"}
    assert all("TEST" in name for name in unread)  # without a timestamp
    with closing(sqlite3.connect(root / "sentinel.db")) as db:
        tables = ("trading_orders", "trading_fills", "trading_rejections", "portfolio_positions", "portfolio_snapshots")
        counts = [db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]
    assert min(counts) >= 3
    plans = [json.loads(path.read_text(encoding="utf-8")) for path in root.glob("proposed_trades_*.json")]
    assert len(plans) == 5
    assert {trade["action"] for plan in plans for trade in plan["trades"]} == {"BUY", "SELL"}
