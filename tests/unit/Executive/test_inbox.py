"""What the Executive keeps of the messages that it reads."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from Departments.bootstrap import Desk
from Departments.core.errors import BadInput, ContradictedReport
from Departments.core.orders import OrderStatus
from Departments.Executive.phases import is_in_order
from Departments.ledger.plan_records import TradeRecord
from Departments.messaging.message import Message
from Departments.messaging.payloads import ExecutionReport
from Departments.messaging.regime_payloads import RegimeRequest
from tests.builders.desk import desk, two_and_two, workspace

AT = datetime(2025, 11, 10, 15, 9, 12, tzinfo=UTC)


def test_an_incomplete_report_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match="MSG_1: action: is missing"):
        ExecutionReport.read({"approval_message_id": "MSG_0", "ticker": "SN"}, "MSG_1")


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Desk]:
    """A desk that has executed two SELLs and two BUYs; ALKS is a trade that no report has told of yet."""
    opened = desk(workspace(tmp_path))
    opened.ceo.current_plan, opened.ceo.plan_approved = two_and_two(), True
    opened.ceo.execute_plan()
    forget = "UPDATE desk_trades SET status = 'dispatched', terminal_at = NULL, filled_qty = '0' WHERE symbol = 'ALKS'"
    opened.ledger._db.execute(forget)
    yield opened
    opened.close()


def alks(opened: Desk) -> TradeRecord:
    (found,) = (t for t in opened.ledger.plans.trades(two_and_two()["plan_id"]) if t.symbol == "ALKS")
    return found


def reported(opened: Desk, **changes: Any) -> TradeRecord:
    """Hand the Executive a report of what the ledger has of ALKS, with changes. Returns the trade afterwards."""
    about = str(changes.pop("about", alks(opened).message_id))
    order = opened.ledger.orders.find_by_message(str(alks(opened).message_id))
    assert order is not None
    found = {"approval_message_id": about, "ticker": "ALKS", "action": "BUY", "shares": 150, "status": "filled"}
    found |= {"filled_qty": order.filled_qty, "filled_avg_price": order.filled_avg_price}
    report = ExecutionReport.read(found | changes, "MSG_1")
    message = Message("MSG_1", "TRADING", "EXECUTIVE", AT, "ExecutionReport", report.body(""))
    commit = opened.day.inbox.record_report(message, report)
    with opened.ledger.transaction():
        commit()
    return alks(opened)


def test_a_report_is_recorded_with_every_fact_that_the_ledger_has_of_it(opened: Desk) -> None:
    before, order = alks(opened), opened.ledger.orders.find_by_message(str(alks(opened).message_id))
    assert order is not None
    kept = reported(opened, client_order_id="C", terminal_at="2035-01-01T00:00:00Z", reason="R")
    assert kept == replace(
        before,
        status=OrderStatus.FILLED,
        client_order_id=order.client_order_id,
        submitted_at=order.submitted_at,
        terminal_at=order.terminal_at,
        filled_qty=D(150),
        filled_avg_price=order.filled_avg_price,
    )


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"about": "MSG_EXECUTIVE_20251110T150000Z_00000000"}, "the ledger has no such order"),
        ({"ticker": "COMM"}, "the ledger has BUY 150 ALKS"),
        ({"action": "SELL"}, "the ledger has BUY 150 ALKS"),
        ({"shares": 151}, "the ledger has BUY 150 ALKS"),
        ({"status": "canceled"}, "filled, 150 of 150 filled"),
        ({"status": "accepted", "filled_qty": 151}, "filled, 150 of 150 filled"),
        ({"status": "nonsense"}, "filled, 150 of 150 filled"),
        ({"filled_qty": 6}, "filled, 150 of 150 filled"),
        ({"filled_avg_price": 0.01}, "filled, 150 of 150 filled"),
        ({"filled_avg_price": None}, "filled, 150 of 150 filled"),
        ({"status": "released"}, "the ledger does not hold this report"),
        ({"status": "protected"}, "the ledger does not hold this report"),
        ({"status": "locked"}, "the ledger does not hold this report"),
    ],
)
def test_a_report_that_says_what_the_ledger_does_not_is_refused(
    opened: Desk, changes: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ContradictedReport, match=problem):
        reported(opened, **changes)
    assert alks(opened).terminal_at is None


def test_old_news_of_an_order_that_has_moved_on_makes_the_executive_look(opened: Desk) -> None:
    assert reported(opened, status="accepted", filled_qty=0).status is OrderStatus.FILLED


def test_an_order_of_something_else_than_was_decided_is_not_the_end_of_the_trade(opened: Desk) -> None:
    wrong: dict[str, Any] = {}
    for change, said in (("symbol = 'COMM'", {"ticker": "COMM"}), ("qty = '6'", {"shares": 6})):
        wrong |= said
        opened.ledger._db.execute(f"UPDATE desk_orders SET {change} WHERE message_id = ?", (alks(opened).message_id,))
        with pytest.raises(ContradictedReport, match="the plan has BUY 150 ALKS"):
            reported(opened, **wrong)


def test_an_order_called_filled_with_fewer_shares_than_were_sent_needs_a_look(opened: Desk) -> None:
    opened.ledger._db.execute(
        "UPDATE desk_orders SET filled_qty = '6' WHERE message_id = ?", (alks(opened).message_id,)
    )
    kept = reported(opened)
    assert (kept.status, kept.code, kept.reason) == (
        OrderStatus.FILLED,
        "FILLED_SHORT",
        "FILLED_SHORT: sent=150 filled=6",
    )
    assert not is_in_order(kept.status, kept.code)


def test_the_same_question_at_the_same_moment_is_a_new_one(tmp_path: Path) -> None:
    with closing(desk(workspace(tmp_path))) as opened:
        ask = opened.day.inbox.ask
        first = ask("REGIME_DETECTION", RegimeRequest())
        opened.work()
        second = ask("REGIME_DETECTION", RegimeRequest())
    assert first.timestamp == second.timestamp
    assert first.message_id != second.message_id
