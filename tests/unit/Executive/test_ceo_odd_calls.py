"""What existing scripts may hand over, and what their answers are made of: errors are answers, numbers are numbers."""

import json
import threading
from collections import OrderedDict, UserDict
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from freezegun import freeze_time

from Departments.bootstrap import Desk, open_desk
from Departments.core.errors import BadInput
from Departments.core.platform.clock import SystemClock
from Departments.exchange.exchange import SimulatedExchange
from Departments.exchange.state import load_exchange_state
from Departments.Executive.ceo import CEO
from Departments.messaging.inbound import ConsumeReport
from Departments.Operations.operations_manager import OperationsManager
from Departments.Trading.trading_department import TradingDepartment
from tests.builders.desk import briefing, candidate, deliver, desk, trade, two_and_two
from tests.builders.trading import APPROVAL_ID, order, request_text, unproven_workspace

LIMITS = Path("config") / "hard_constraints.yaml"
CYCLE: dict[str, Any] = {**two_and_two()}
CYCLE["itself"] = CYCLE


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Desk]:
    folder = unproven_workspace(tmp_path)
    candidates = [candidate("ALKS", 79.6, 32.66, "Healthcare"), candidate("COMM", 77.8, 17.02)]
    deliver(folder, "OPERATIONS", "MSG_RESEARCH_20251110T150509Z_0badcafe.md", briefing(candidates))
    found = desk(folder)
    yield found
    found.close()


def with_first(**changes: Any) -> dict[str, Any]:
    document = two_and_two()
    document["trades"][0] |= changes
    return document


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ("a plan", "a plan must be a mapping"),
        ([1], "a plan must be a mapping"),
        (5, "a plan must be a mapping"),
        (
            {**two_and_two(), "generated_at": "0001-01-01T00:00:00+14:00"},
            "+14:00' is not an ISO time",
        ),
        ({**two_and_two(), "plan_id": "CON"}, "plan_id: cannot be the name of a file"),
        ({**two_and_two(), "plan_id": "nul.txt"}, "plan_id: cannot be the name of a file"),
        ({**two_and_two(), "more": {1, 2}}, "current_plan: cannot be written as JSON"),
        ({**two_and_two(), "more": float("nan")}, "current_plan: cannot be written as JSON"),
        ({**two_and_two(), "more": "\ud800"}, "current_plan: cannot be written as JSON"),
        (CYCLE, "current_plan: cannot be written as JSON"),
        (with_first(ticker="../../A"), "trades[0].ticker: '../../A' is not a symbol"),
        (with_first(ticker=5), "trades[0].ticker: '5' is not a symbol"),
        (with_first(entry_price=1e30), "trades[0].entry_price"),
        (with_first(shares=1e40), "trades[0].shares: the number is above 10^15"),
        (with_first(shares="1e999999999999"), "trades[0].shares: the number is above 10^15"),
        (with_first(shares=10**5000), "current_plan"),
    ],
)
def test_a_plan_that_is_none_is_an_answer_and_nothing_is_sent(opened: Desk, plan: Any, words: str) -> None:
    opened.ceo.current_plan, opened.ceo.plan_approved = plan, True
    answer = opened.ceo.handle_user_request("execute_plan")
    assert answer["status"] == "ERROR"
    assert words in answer["message"]
    assert list(opened.broker.orders("all")) == []


@pytest.mark.parametrize("plan", ["a plan", 5, [1], {"notes": 7}, {**two_and_two(), "notes": float("inf")}])
def test_such_a_plan_is_not_planned_from_either(opened: Desk, plan: Any) -> None:
    before = opened.clock.now()
    assert opened.ceo.handle_user_request("generate_plan", plan=plan)["status"] == "REJECTED"
    assert (opened.clock.now() - before).total_seconds() < 60, "nobody waits for an answer that cannot come"


@pytest.mark.parametrize(
    "plan",
    [
        OrderedDict(two_and_two()),
        UserDict(two_and_two()),
        {**two_and_two(), "trades": tuple(two_and_two()["trades"])},
        {**two_and_two(), "trades": [UserDict(t) for t in two_and_two()["trades"]]},
        {**two_and_two(), "generated_at": datetime(2025, 11, 10, 15, 0, tzinfo=UTC)},
        {**two_and_two(), "status": None, "notes": "one sentence", "flag": np.bool_(1)},
        with_first(shares=np.int64(150), entry_price=np.float32(32.66), composite_score=np.float64(70)),
    ],
)
def test_a_plan_is_executed_whatever_classes_it_is_made_of(opened: Desk, plan: Any) -> None:
    opened.ceo.current_plan, opened.ceo.plan_approved = plan, True
    answer = opened.ceo.handle_user_request("execute_plan")
    assert (answer["sells_submitted"], answer["buys_submitted"]) == (2, 2)


@pytest.mark.parametrize("request_name", [None, 5, ["generate_plan"], ""])
def test_a_request_that_is_no_word_is_an_answer(opened: Desk, request_name: Any) -> None:
    assert opened.ceo.handle_user_request(request_name)["status"] == "ERROR"


@pytest.mark.parametrize("sells", [5, "UPS", ["UPS"], [None], [{"ticker": "UPS", "shares": "many"}], [object()]])
def test_mandatory_sells_that_make_no_sense_are_reported_when_a_plan_is_asked_for(opened: Desk, sells: Any) -> None:
    opened.ceo.set_mandatory_sells(sells)
    answer = opened.ceo.handle_user_request("generate_plan")
    assert answer["status"] == "REJECTED"
    assert "mandatory_sells" in answer["message"]


@pytest.mark.parametrize("sells", [None, (), iter(())])
def test_no_mandatory_sells_may_be_said_in_any_way(opened: Desk, sells: Any) -> None:
    opened.ceo.set_mandatory_sells(sells)
    assert opened.ceo.handle_user_request("generate_plan")["status"] == "READY_FOR_USER_APPROVAL"


@pytest.mark.parametrize("plan_id", [None, 5, "", "PLAN\x00", {"a": 1}])
def test_approving_what_is_no_plan_is_an_answer(opened: Desk, plan_id: Any) -> None:
    assert opened.ceo.approve_plan(plan_id)["status"] == "ERROR"


@pytest.mark.parametrize("hours", [None, "a day", float("nan"), float("inf"), 1e300])
def test_reconciling_for_no_number_of_hours_is_an_answer(opened: Desk, hours: Any) -> None:
    assert opened.trading.reconcile_positions(max_age_hours=hours)["status"] == "ERROR"


@pytest.mark.parametrize(
    "given", [{"briefing": 5}, {"briefing": {"candidates": {1}}}, {"mandatory_sells": 5}, {"mandatory_sells": "UPS"}]
)
def test_operations_answers_failed_to_what_makes_no_sense(opened: Desk, given: dict[str, Any]) -> None:
    answer = opened.operations.generate_trading_plan(**given)
    assert (answer["status"], answer["plan"], answer["error"]) == ("FAILED", None, answer["message"])
    assert [stage["issues"] for stage in answer["stage_results"]] == [[answer["message"]]]


def test_every_answer_can_be_written_as_json_and_calculated_with(opened: Desk) -> None:
    made = opened.operations.generate_trading_plan()
    planned = opened.ceo.handle_user_request("generate_plan")
    approved = opened.ceo.approve_plan(planned["plan"]["plan_id"])
    executed = opened.ceo.handle_user_request("execute_plan")
    seen = opened.ceo.handle_user_request("view_dashboard")
    reconciled = opened.trading.reconcile_positions()
    json.dumps([made, planned, approved, executed, seen, reconciled, opened.ceo.current_plan])
    assert sum(t["shares"] * t["entry_price"] * 1.01 for t in planned["plan"]["trades"] if t["action"] == "BUY") > 0
    assert seen["cash"] * 0.9 > 0


def test_what_is_released_first_is_not_counted_as_sold_twice(opened: Desk) -> None:
    """CTVA's exits are resting: they are cancelled in a phase of their own, which sells nothing."""
    deliver(opened.workspace, "TRADING", f"{APPROVAL_ID}.md", request_text(order("COMM", "BUY", 250, 17.02)))
    opened.work()
    opened.clock.sleep(10)
    plan = {**two_and_two(), "trades": [trade("COMM", "SELL", 250, 17.02), *two_and_two()["trades"][2:]]}
    opened.ceo.current_plan, opened.ceo.plan_approved = plan, True
    answer = opened.ceo.handle_user_request("execute_plan")
    assert (answer["trades_submitted"], answer["sells_submitted"], answer["buys_submitted"]) == (3, 3, 0)
    assert [r["ticker"] for r in answer["execution_results"]] == ["COMM", "CTVA", "DVN"]


def test_a_second_execution_on_one_day_is_an_error_with_its_code(opened: Desk) -> None:
    opened.ceo.current_plan, opened.ceo.plan_approved = two_and_two(), True
    opened.ceo.handle_user_request("execute_plan")
    answer = opened.ceo.handle_user_request("execute_plan")
    assert (answer["status"], answer["code"]) == ("ERROR", "ALREADY_EXECUTED")


# --- called bare ---


@pytest.fixture
def cwd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = unproven_workspace(tmp_path)
    monkeypatch.chdir(folder)
    state = load_exchange_state(folder / "state.yaml")
    with closing(SimulatedExchange(folder / "simulated_exchange.db", SystemClock(), state=state)):
        return folder


def test_a_folder_without_limits_is_an_answer_and_no_exception(cwd: Path) -> None:
    (cwd / LIMITS).unlink()
    ceo, trading = CEO(cwd), TradingDepartment(db_path="sentinel.db")
    answers = [
        ceo.handle_user_request("generate_plan"),
        ceo.handle_user_request("view_dashboard"),
        ceo.approve_plan("PLAN_1"),
        trading.process_inbox(),
        trading.reconcile_positions(),
    ]
    assert [a["status"] for a in answers if isinstance(a, dict)] == ["REJECTED", *["ERROR"] * 3]
    assert isinstance(answers[3], ConsumeReport), "an inbox without orders needs no limits"
    assert OperationsManager(cwd).generate_trading_plan()["status"] == "FAILED"


def test_a_mistyped_folder_is_reported_and_is_not_made(tmp_path: Path) -> None:
    typo = tmp_path / "no" / "where"
    said = [CEO(typo).handle_user_request("view_dashboard"), OperationsManager(typo).generate_trading_plan()]
    assert [str(typo / LIMITS) in answer["message"] for answer in said] == [True, True]
    with pytest.raises(BadInput, match="there is no such folder"):
        _ = open_desk(typo).mailbox
    assert list(tmp_path.iterdir()) == []


@freeze_time("2025-11-10T15:05:42Z")
def test_a_department_may_be_made_in_one_thread_and_used_in_others(cwd: Path) -> None:
    trading, ceo, answers = TradingDepartment(db_path="sentinel.db"), CEO(str(cwd)), []
    trading.process_inbox()
    deliver(cwd, "TRADING", f"{APPROVAL_ID}.md", request_text(order("CTVA", "SELL", 190.0, 64.64)))

    def work() -> None:
        answers.append(trading.process_inbox())
        answers.append(ceo.handle_user_request("view_dashboard"))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(a.handled for a in answers if isinstance(a, ConsumeReport)) == 1
    assert [a["status"] for a in answers if isinstance(a, dict)] == ["SUCCESS"] * 3


def test_departments_made_at_the_same_time_do_not_take_each_other_for_a_broken_disk(cwd: Path) -> None:
    answers: list[Any] = []

    def work() -> None:
        answers.extend(TradingDepartment(db_path="sentinel.db").reconcile_positions() for _ in range(25))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {a["status"] for a in answers} == {"SUCCESS"}
