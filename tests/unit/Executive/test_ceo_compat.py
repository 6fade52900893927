"""The calls of existing scripts, one by one, with their documented answers."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest
from freezegun import freeze_time

from Departments.bootstrap import Choices, Desk, open_desk
from Departments.core.errors import BadInput
from Departments.core.platform.clock import SystemClock
from Departments.core.platform.locks import execution_lock
from Departments.core.platform.text_files import read_json
from Departments.exchange.exchange import SimulatedExchange
from Departments.exchange.state import load_exchange_state
from Departments.Executive.ceo import CEO
from Departments.messaging.inbound import ConsumeReport
from Departments.messaging.plan_stages import STAGES
from Departments.Operations.operations_manager import OperationsManager
from Departments.Trading.trading_department import TradingDepartment
from tests.builders.desk import briefing, candidate, deliver, desk, trade, two_and_two
from tests.builders.trading import APPROVAL_ID, order, request_text, unproven_workspace

NOW = "2025-11-10T15:05:42Z"
CANDIDATES = [
    candidate("ALKS", 79.6, 32.66, "Healthcare"),
    candidate("COMM", 77.8, 17.02, "Technology"),
    candidate("AXTA", 73.4, 28.64, "Basic Materials"),
]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Desk]:
    folder = unproven_workspace(tmp_path)
    deliver(folder, "OPERATIONS", "MSG_RESEARCH_20251110T150509Z_0badcafe.md", briefing(CANDIDATES))
    found = desk(folder)
    yield found
    found.close()


def test_generate_plan_answers_with_plan_review_and_stages(opened: Desk) -> None:
    answer = opened.ceo.handle_user_request("generate_plan", ai_model="gpt-4o")
    assert answer["status"] == "READY_FOR_USER_APPROVAL"
    assert {t["ticker"] for t in answer["plan"]["trades"]}
    assert {"quality_rating", "recommendation"} <= set(answer["ceo_review"])
    assert "stage_results" in answer


def test_a_mandatory_sell_is_in_the_plan(opened: Desk) -> None:
    sells = [{"ticker": "DVN", "action": "SELL", "shares": 225, "reason": "thesis broken", "source": "user"}]
    opened.ceo.set_mandatory_sells(sells)
    answer = opened.ceo.handle_user_request("generate_plan")
    assert ("DVN", "SELL") in {(t["ticker"], t["action"]) for t in answer["plan"]["trades"]}


def test_approving_writes_the_days_plan_file(opened: Desk) -> None:
    plan_id = opened.ceo.handle_user_request("generate_plan")["plan"]["plan_id"]
    answer = opened.ceo.approve_plan(plan_id)
    assert (answer["status"], answer["plan_id"]) == ("PLAN_APPROVED", plan_id)
    saved = read_json(opened.workspace / "proposed_trades_2025-11-10.json")
    assert (saved["plan_id"], saved["status"]) == (plan_id, "APPROVED_BY_USER")


def test_the_plan_file_tells_of_quality_under_the_keys_it_always_had(opened: Desk) -> None:
    planned = opened.ceo.handle_user_request("generate_plan")
    again = CEO(opened.workspace, desk=opened)  # another process, which knows only the ledger
    for ceo in (again, opened.ceo):
        ceo.approve_plan(planned["plan"]["plan_id"])
        saved = read_json(opened.workspace / "proposed_trades_2025-11-10.json")
        assert saved["summary"]["overall_quality_score"] == planned["ceo_review"]["quality_score"]
        assert saved["summary"]["total_trades"] == len(saved["trades"])
        assert {STAGES[stage["stage"]]: stage["quality_score"] for stage in saved["workflow_summary"]} == saved[
            "stage_quality"
        ]
        assert saved["workflow_summary"][-1]["issues"] == planned["ceo_review"]["concerns"]


def test_executing_answers_with_counts_results_and_verification(opened: Desk) -> None:
    opened.ceo.approve_plan(opened.ceo.handle_user_request("generate_plan")["plan"]["plan_id"])
    answer = opened.ceo.handle_user_request("execute_plan")
    assert answer["status"] == "EXECUTION_INITIATED"
    assert answer["trades_submitted"] == answer["sells_submitted"] + answer["buys_submitted"]
    assert {"ticker", "action", "message_id", "status"} <= set(answer["execution_results"][0])
    verified = answer["post_execution_verification"]
    assert (verified["passed"], verified["issues"]) == (True, [])
    assert verified["summary"]["buys_executed"] == answer["buys_submitted"]


def test_scripts_may_set_plan_and_approval_themselves(opened: Desk) -> None:
    opened.ceo.current_plan = two_and_two()
    opened.ceo.plan_approved = True
    answer = opened.ceo.handle_user_request("execute_plan")
    assert (answer["sells_submitted"], answer["buys_submitted"]) == (2, 2)


def test_what_a_script_changed_in_an_approved_plan_is_what_an_interruption_goes_on_with(opened: Desk) -> None:
    opened.ceo.current_plan = two_and_two()
    opened.ceo.approve_plan(two_and_two()["plan_id"])
    opened.ceo.current_plan["trades"] = opened.ceo.current_plan["trades"][2:]
    opened.ceo.execute_plan()
    saved = opened.ledger.plans.document(two_and_two()["plan_id"])
    assert saved is not None
    assert [t["ticker"] for t in saved["trades"]] == ["CTVA", "DVN"]


@pytest.mark.parametrize("request_name", ["view_dashboard", "get_portfolio_summary"])
def test_the_portfolio_can_be_seen(opened: Desk, request_name: str) -> None:
    answer = opened.ceo.handle_user_request(request_name)
    assert answer["status"] == "SUCCESS"
    assert answer["cash"] == D(40_000)
    assert {p["ticker"] for p in answer["positions"]} == {"CTVA", "DVN", "MSFT"}


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        ({}, "there is no plan"),
        ({"current_plan": two_and_two()}, "is not approved"),
        ({"current_plan": {"plan_id": "PLAN_1"}, "plan_approved": True}, "trades"),
        (
            {"current_plan": {**two_and_two(), "trades": [{"ticker": "X"}]}, "plan_approved": True},
            "neither BUY nor SELL",
        ),
    ],
)
def test_a_request_that_cannot_be_done_answers_error_and_does_not_raise(
    opened: Desk, prepare: dict[str, Any], words: str
) -> None:
    for name, value in prepare.items():
        setattr(opened.ceo, name, value)
    answer = opened.ceo.handle_user_request("execute_plan")
    assert answer["status"] == "ERROR"
    assert words in answer["message"]
    assert list(opened.broker.orders("all")) == []


def test_unknown_requests_and_options_answer_error(opened: Desk) -> None:
    assert opened.ceo.handle_user_request("fly")["status"] == "ERROR"
    assert opened.ceo.handle_user_request("execute_plan", colour="red")["status"] == "ERROR"
    assert opened.ceo.approve_plan("PLAN_NOBODY_KNOWS")["status"] == "ERROR"


def test_buys_and_sells_are_separated_and_each_trade_is_in_one_list() -> None:
    with pytest.raises(BadInput):
        CEO._separate_buys_sells(None, [{"ticker": "X", "allocated_capital": 1, "position_id": 2}])  # type: ignore[arg-type]
    trades = [
        trade("ALKS", "BUY", 1, 1, position_id=7),
        {"ticker": "DVN", "position_id": 3},
        {"ticker": "COMM", "allocated_capital": 3},
    ]
    sells, buys = CEO._separate_buys_sells(None, trades)  # type: ignore[arg-type]
    assert ([t["ticker"] for t in sells], [t["ticker"] for t in buys]) == (["DVN"], ["ALKS", "COMM"])


def test_waiting_follows_the_newest_order_of_each_symbol_and_not_its_exits(opened: Desk) -> None:
    deliver(opened.workspace, "TRADING", f"{APPROVAL_ID}.md", request_text(order("COMM", "BUY", 250, 17.02)))
    opened.work()
    assert opened.ceo._wait_for_orders_to_fill(["COMM"], timeout=60) is True
    assert opened.ceo._wait_for_orders_to_fill(["COMM"], timeout=60) is True
    assert opened.ceo._wait_for_orders_to_fill("COMM", timeout=60) is True
    assert opened.ceo._wait_for_orders_to_fill(["NEVER"], timeout=5) is False
    assert opened.ceo._wait_for_orders_to_fill(None, timeout=5) is True


def test_waiting_hands_no_order_to_the_broker_unless_an_execution_runs(opened: Desk) -> None:
    deliver(opened.workspace, "TRADING", f"{APPROVAL_ID}.md", request_text(order("COMM", "BUY", 250, 17.02)))
    assert opened.ceo._wait_for_orders_to_fill(["COMM"], timeout=5) is False
    assert list(opened.broker.orders("all")) == []
    with execution_lock(opened.workspace):
        assert opened.ceo._wait_for_orders_to_fill(["COMM"], timeout=60) is True


def test_waiting_ends_at_its_timeout(tmp_path: Path) -> None:
    silent = {"call": "submit", "symbol": "CTVA", "do": "partial_then_silence"}
    with closing(desk(unproven_workspace(tmp_path), faults={"faults": [silent]})) as opened:
        deliver(tmp_path, "TRADING", f"{APPROVAL_ID}.md", request_text(order("CTVA", "SELL", 190, 64.64)))
        opened.work()
        before = opened.clock.now()
        assert opened.ceo._wait_for_orders_to_fill(["CTVA"], timeout=30) is False
        assert (opened.clock.now() - before).total_seconds() == pytest.approx(30, abs=2)


# --- called bare, in a workspace that is the current directory ---


@pytest.fixture
def cwd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = unproven_workspace(tmp_path)
    monkeypatch.chdir(folder)
    exchange = SimulatedExchange(
        folder / "simulated_exchange.db", SystemClock(), state=load_exchange_state(folder / "state.yaml")
    )
    exchange.close()
    return folder


@freeze_time(NOW)
def test_trading_made_alone_handles_the_inbox_of_the_current_directory(cwd: Path) -> None:
    deliver(cwd, "TRADING", f"{APPROVAL_ID}.md", request_text(order("CTVA", "SELL", 190.0, 64.64)))
    report = TradingDepartment(db_path="sentinel.db").process_inbox()
    assert isinstance(report, ConsumeReport)
    assert report.handled == 1
    assert (cwd / "sentinel.db").exists()
    with closing(open_desk(cwd, Choices())) as opened:
        assert [o.symbol for o in opened.broker.orders("all")] == ["CTVA"]
        (record,) = opened.ledger.orders.find_newest(["CTVA"])
        assert (record.symbol, record.submitted_at) == ("CTVA", datetime(2025, 11, 10, 15, 5, 42, tzinfo=UTC))


@freeze_time(NOW)
def test_trading_made_alone_uses_the_ledger_it_is_given(cwd: Path) -> None:
    answer = TradingDepartment(db_path=cwd / "other.db").reconcile_positions(max_age_hours=24)
    assert answer["status"] == "SUCCESS"
    assert (cwd / "other.db").exists()
    assert not (cwd / "sentinel.db").exists()


@freeze_time(NOW)
def test_ceo_and_operations_made_alone_plan_in_the_project_root(cwd: Path) -> None:
    deliver(cwd, "OPERATIONS", "MSG_RESEARCH_20251110T150509Z_0badcafe.md", briefing(CANDIDATES))
    assert CEO(cwd).handle_user_request("get_portfolio_summary")["status"] == "SUCCESS"
    answer = OperationsManager(cwd).generate_trading_plan(ai_model="gpt-4o")
    assert answer["status"] == "SUCCESS"
    assert {"plan", "stage_results"} <= set(answer)


def test_an_error_of_the_broker_is_answered_with_what_to_do_about_it(tmp_path: Path) -> None:
    away = {"faults": [{"call": "account", "do": "timeout_before", "times": 0}]}
    with closing(desk(unproven_workspace(tmp_path), faults=away)) as opened:
        answer = opened.ceo.handle_user_request("get_portfolio_summary")
    assert answer["message"].endswith("; run the same command again to continue.")


def test_parts_of_a_project_that_are_not_there_are_none(tmp_path: Path) -> None:
    ceo = CEO(tmp_path)
    assert (ceo.executive_dept, ceo.realism_sim) == (None, None)
    assert list(tmp_path.iterdir()) == []
