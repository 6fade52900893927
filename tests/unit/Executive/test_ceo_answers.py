from typing import Any

import pytest

from Departments.Executive.ceo_answers import list_issues


def document(*statuses: str, holds: bool = True, code: str = "") -> dict[str, Any]:
    orders = [{"ticker": "SN", "side": "SELL", "status": status, "code": code, "reason": code} for status in statuses]
    return {"phases": [{"orders": orders}], "cash_identity": {"holds": holds, "difference": "-1.00"}}


@pytest.mark.parametrize("status", ["filled", "released", "protected"])
def test_a_trade_that_ended_well_is_no_issue(status: str) -> None:
    assert list_issues(document(status)) == []


@pytest.mark.parametrize("code", ["INSUFFICIENT_CASH", "MIN_POSITION_VALUE"])
def test_a_buy_without_cash_or_too_small_today_is_no_issue(code: str) -> None:
    assert list_issues(document("deferred", code=code)) == []


@pytest.mark.parametrize("code", ["NOTHING_AVAILABLE", "SYMBOL_LOCKED", "PHASE_ABORTED", "STALE_PLAN"])
def test_a_trade_that_was_put_off_for_another_reason_is_an_issue(code: str) -> None:
    assert list_issues(document("deferred", code=code)) == [f"SN SELL: deferred {code}"]


@pytest.mark.parametrize("status", ["denied", "rejected", "canceled", "expired", "dispatched"])
def test_a_trade_that_ended_otherwise_is_an_issue(status: str) -> None:
    assert list_issues(document("filled", status)) == [f"SN SELL: {status}"]


def test_cash_that_does_not_add_up_is_an_issue() -> None:
    assert list_issues(document("filled", holds=False)) == ["cash is off by -1.00"]
