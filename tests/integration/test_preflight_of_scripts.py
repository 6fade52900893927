"""The pre-flight of existing projects replaces the senders of a CEO: nothing may reach a broker then."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from Departments.Executive.ceo import CEO
from Departments.Executive.day_order import DayFailed
from tests.builders.desk import SharedDesk, desk, two_and_two
from tests.builders.trading import unproven_workspace

NAME = "Departments.Trading.trading_department.TradingDepartment"
TEST_PLAN = {
    "plan_id": "TEST_PLAN_001",
    "trades": [
        {"ticker": "ALKS", "action": "BUY", "shares": 10, "allocated_capital": 1500.0, "price": 150.0},
        {"ticker": "COMM", "action": "BUY", "shares": 5, "allocated_capital": 1900.0, "price": 380.0},
        {"ticker": "DVN", "action": "SELL", "shares": 20, "price": 250.0},
        {"ticker": "CTVA", "action": "SELL", "shares": 15, "price": 500.0},
    ],
}


class CountedBroker:
    """A broker that counts what it is asked."""

    def __init__(self, broker: Any) -> None:
        self.inner = broker
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        if callable(found):
            self.calls.append(name)
        return found


@pytest.fixture
def there(tmp_path: Path) -> Iterator[SharedDesk]:
    found = desk(unproven_workspace(tmp_path))
    counted: Any = CountedBroker(found.broker)
    found.__dict__["broker"] = counted
    yield found
    found.close()


def calls_of(there: SharedDesk) -> list[str]:
    broker: Any = there.broker
    return list(broker.calls)


class Script:
    """A script's own sender and waiting, which note what they are asked."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Any]] = []

    def send(self, trade: Mapping[str, Any]) -> str:
        self.seen.append((str(trade["action"]), trade["ticker"]))
        return f"MSG_{trade['ticker']}"

    def wait(self, tickers: list[str], timeout: float = 60) -> bool:
        self.seen.append(("wait", tuple(tickers)))
        return timeout > 0


@pytest.mark.parametrize("names_trading", [True, False])
def test_with_the_senders_replaced_no_request_reaches_a_broker(there: SharedDesk, *, names_trading: bool) -> None:
    script, ceo = Script(), there.ceo
    ceo.current_plan, ceo.plan_approved = TEST_PLAN, True
    before = there.ledger.plans.executions()
    with (
        patch.object(ceo, "_send_trade_to_trading_dept", side_effect=script.send),
        patch.object(ceo, "_wait_for_orders_to_fill", side_effect=script.wait),
        patch(NAME if names_trading else f"{__name__}.TEST_PLAN"),
    ):
        answer = ceo.execute_approved_plan()
    assert script.seen == [
        ("SELL", "DVN"),
        ("SELL", "CTVA"),
        ("wait", ("DVN", "CTVA")),
        ("BUY", "ALKS"),
        ("BUY", "COMM"),
        ("wait", ("ALKS", "COMM")),
    ]
    assert (answer["status"], answer["sells_submitted"], answer["buys_submitted"]) == ("EXECUTION_INITIATED", 2, 2)
    assert answer["execution_results"][0]["message_id"] == "MSG_DVN"
    assert calls_of(there) == []
    assert there.ledger.plans.executions() == before == []


def test_a_bare_ceo_with_its_senders_replaced_opens_nothing(tmp_path: Path) -> None:
    script, ceo = Script(), CEO(tmp_path)
    ceo.current_plan, ceo.plan_approved = TEST_PLAN, True
    with (
        patch.object(ceo, "_send_trade_to_trading_dept", side_effect=script.send),
        patch.object(ceo, "_wait_for_orders_to_fill", side_effect=script.wait),
        patch(NAME) as trading,
    ):
        ceo.handle_user_request("execute_plan")
    assert trading.return_value.process_inbox.call_count == 2
    assert list(tmp_path.iterdir()) == []


def test_with_trading_alone_replaced_nothing_is_sent(there: SharedDesk) -> None:
    ceo = there.ceo
    ceo.current_plan, ceo.plan_approved = two_and_two(), True
    with patch(NAME):
        answer = ceo.execute_approved_plan()
    assert answer["status"] == "ERROR"
    assert "only while its plan is executed" in answer["message"]
    assert calls_of(there) == []


def test_an_unapproved_plan_is_not_walked_through(there: SharedDesk) -> None:
    script, ceo = Script(), there.ceo
    ceo.current_plan = TEST_PLAN
    with patch.object(ceo, "_send_trade_to_trading_dept", side_effect=script.send), patch(NAME):
        assert ceo.execute_approved_plan()["status"] == "ERROR"
    assert script.seen == []


def test_every_trade_of_a_real_execution_goes_through_the_sender_sells_first(there: SharedDesk) -> None:
    ceo, seen = there.ceo, list[tuple[str, float]]()
    send = ceo._send_trade_to_trading_dept

    def see(trade: Mapping[str, Any]) -> str:
        seen.append((trade["ticker"], trade["shares"]))
        return send(trade)

    ceo.current_plan, ceo.plan_approved = two_and_two(), True
    with patch.object(ceo, "_send_trade_to_trading_dept", side_effect=see):
        answer = ceo.execute_approved_plan()
    assert seen == [("CTVA", 190), ("DVN", 225), ("ALKS", 150), ("COMM", 250)]
    assert (answer["sells_submitted"], answer["buys_submitted"]) == (2, 2)
    assert {row["status"] for row in answer["execution_results"]} == {"filled"}


@pytest.mark.parametrize("effect", [lambda _: "MSG_NOWHERE", OSError("no such share")])
def test_a_trade_that_a_scripts_sender_does_not_pass_on_is_not_ordered_and_is_an_issue(
    there: SharedDesk, effect: Any
) -> None:
    ceo = there.ceo
    ceo.current_plan, ceo.plan_approved = two_and_two(), True
    with patch.object(ceo, "_send_trade_to_trading_dept", side_effect=effect):
        answer = ceo.execute_approved_plan()
    assert {(row["status"], row["code"]) for row in answer["execution_results"]} == {("SKIPPED", "NOT_DISPATCHED")}
    assert answer["document"]["status"] == "COMPLETED_WITH_ISSUES"
    assert not answer["post_execution_verification"]["passed"]
    assert "submit" not in calls_of(there)
    assert there.mailbox.waiting("TRADING") == []


def test_a_trade_is_not_sent_outside_of_an_execution(there: SharedDesk) -> None:
    with pytest.raises(DayFailed, match="only while its plan is executed"):
        there.ceo._send_trade_to_trading_dept(two_and_two()["trades"][2])
    assert calls_of(there) == []
