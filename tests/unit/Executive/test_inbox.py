"""What the Executive keeps of the messages that it reads."""

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from pathlib import Path

import pytest

from Departments.core.errors import BadInput
from Departments.core.orders import OrderStatus
from Departments.messaging.message import Message
from Departments.messaging.payloads import ExecutionReport
from Departments.messaging.regime_payloads import RegimeRequest
from tests.builders.desk import desk, two_and_two, workspace

AT = datetime(2025, 11, 10, 15, 9, 12, tzinfo=UTC)


def test_an_incomplete_report_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match="MSG_1: action: is missing"):
        ExecutionReport.read({"approval_message_id": "MSG_0", "ticker": "SN"}, "MSG_1")


def test_a_report_is_recorded_with_every_fact_of_it(tmp_path: Path) -> None:
    with closing(desk(workspace(tmp_path))) as opened:
        opened.ceo.current_plan, opened.ceo.plan_approved = two_and_two(), True
        opened.ceo.execute_plan()
        plans, plan_id = opened.ledger.plans, two_and_two()["plan_id"]
        (sent,) = (t for t in plans.trades(plan_id) if t.symbol == "ALKS")
        again = replace(sent, symbol="SN", message_id="MSG_0", status=OrderStatus.ACCEPTED, terminal_at=None)
        found = {"approval_message_id": "MSG_0", "ticker": "SN", "action": "BUY", "shares": 150, "status": "filled"}
        found |= {"client_order_id": "C", "submitted_at": "2025-11-10T15:09:12Z", "terminal_at": "2025-11-10T15:09:13Z"}
        found |= {"filled_qty": 12, "filled_avg_price": 96.19, "code": None, "reason": "R"}
        report = ExecutionReport.read(found, "MSG_1")
        message = Message("MSG_1", "TRADING", "EXECUTIVE", AT, "ExecutionReport", report.body(""))
        with opened.ledger.transaction():
            plans.add_trade(plan_id, 9, again)
        commit = opened.day.inbox.record_report(message, report)
        with opened.ledger.transaction():
            commit()
        (kept,) = (t for t in plans.trades(plan_id) if t.symbol == "SN")
    assert kept == replace(
        again,
        status=OrderStatus.FILLED,
        client_order_id="C",
        submitted_at=AT,
        terminal_at=AT + timedelta(seconds=1),
        filled_qty=D(12),
        filled_avg_price=D("96.19"),
        reason="R",
    )


def test_the_same_question_at_the_same_moment_is_a_new_one(tmp_path: Path) -> None:
    with closing(desk(workspace(tmp_path))) as opened:
        ask = opened.day.inbox.ask
        first = ask("REGIME_DETECTION", RegimeRequest())
        opened.work()
        second = ask("REGIME_DETECTION", RegimeRequest())
    assert first.timestamp == second.timestamp
    assert first.message_id != second.message_id
