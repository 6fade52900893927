from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from typing import Any

import pytest

from Departments.core.errors import BadInput
from Departments.core.orders import OrderStatus
from Departments.Executive.answers import reported, verification
from Departments.ledger.plan_records import TradeReport
from Departments.messaging.payloads import ExecutionReport


def document(*statuses: str, holds: bool = True, code: str = "") -> dict[str, Any]:
    orders = [{"ticker": "SN", "side": "SELL", "status": status, "code": code, "reason": code} for status in statuses]
    return {"phases": [{"orders": orders}], "cash_identity": {"holds": holds, "difference": "-1.00"}}


@pytest.mark.parametrize("status", ["filled", "released", "protected"])
def test_a_trade_that_ended_well_is_no_issue(status: str) -> None:
    assert verification(document(status)) == {"passed": True, "issues": []}


@pytest.mark.parametrize("code", ["INSUFFICIENT_CASH", "MIN_POSITION_VALUE"])
def test_a_buy_without_cash_or_too_small_today_is_no_issue(code: str) -> None:
    assert verification(document("deferred", code=code)) == {"passed": True, "issues": []}


@pytest.mark.parametrize("code", ["NOTHING_AVAILABLE", "SYMBOL_LOCKED", "PHASE_ABORTED", "STALE_PLAN"])
def test_a_trade_that_was_put_off_for_another_reason_is_an_issue(code: str) -> None:
    assert verification(document("deferred", code=code)) == {"passed": False, "issues": [f"SN SELL: deferred {code}"]}


@pytest.mark.parametrize("status", ["denied", "rejected", "canceled", "expired", "dispatched"])
def test_a_trade_that_ended_otherwise_is_an_issue(status: str) -> None:
    assert verification(document("filled", status)) == {"passed": False, "issues": [f"SN SELL: {status}"]}


def test_cash_that_does_not_add_up_is_an_issue() -> None:
    assert verification(document("filled", holds=False)) == {"passed": False, "issues": ["cash is off by -1.00"]}


def test_an_incomplete_report_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match="MSG_1: action: is missing"):
        ExecutionReport.read({"approval_message_id": "MSG_0", "ticker": "SN"}, "MSG_1")


def test_a_report_is_recorded_with_every_fact_of_it() -> None:
    found = {"approval_message_id": "MSG_0", "ticker": "SN", "action": "SELL", "shares": 12.0, "status": "filled"}
    found |= {"client_order_id": "C", "submitted_at": "2025-11-10T15:09:12Z", "terminal_at": "2025-11-10T15:09:13Z"}
    found |= {"filled_qty": 12, "filled_avg_price": 96.19, "code": None, "reason": "R"}
    at = datetime(2025, 11, 10, 15, 9, 12, tzinfo=UTC)
    assert reported(ExecutionReport.read(found, "MSG_1")) == TradeReport(
        status=OrderStatus.FILLED,
        client_order_id="C",
        submitted_at=at,
        terminal_at=at + timedelta(seconds=1),
        filled_qty=D(12),
        filled_avg_price=D("96.19"),
        code="",
        reason="R",
    )
