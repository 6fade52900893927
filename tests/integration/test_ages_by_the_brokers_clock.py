"""The age of a plan is judged by the broker's clock where the machine's is wrong."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from Departments.brokers.registry import EXCHANGE_FILE
from Departments.brokers.simulated import SimulatedBroker
from Departments.core.moments import iso
from Departments.exchange.exchange import SimulatedExchange
from Departments.exchange.faults import FaultScript
from tests.builders.desk import MORNING, desk, plan, trade, workspace
from tests.integration.test_account_truth import SETTINGS
from tests.integration.test_release_protect import Ahead

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("machine_is_ahead", "age", "trades"),
    [
        (timedelta(), HOUR, True),
        (6 * HOUR, HOUR, True),  # by the machine it is seven hours old
        (-5 * HOUR, HOUR, True),
        (-5 * HOUR, 6 * HOUR, False),  # by the machine it is one hour old
        (2 * HOUR, 6 * HOUR, False),
    ],
)
def test_a_plan_is_as_old_as_the_broker_says(
    tmp_path: Path, machine_is_ahead: timedelta, age: timedelta, *, trades: bool
) -> None:
    workspace(tmp_path, settings=SETTINGS)
    with closing(desk(tmp_path, at=MORNING + machine_is_ahead)) as opened:
        answer = execute_by(
            opened, -machine_is_ahead, plan(trade("ALKS", "BUY", 150, 32.66), generated_at=iso(MORNING - age))
        )
    assert (answer["status"] == "EXECUTION_INITIATED") is trades, answer
    assert trades or "STALE_PLAN" in answer["message"]


def execute_by(opened: Any, ahead: timedelta, document: dict[str, Any]) -> dict[str, Any]:
    """Execute a plan while the broker's clock is some time ahead of the machine's."""
    state, faults = opened.exchange_files
    clock = Ahead(opened.clock, ahead)
    exchange = SimulatedExchange(opened.state / EXCHANGE_FILE, clock, state=state, faults=faults)
    opened.__dict__["broker"] = SimulatedBroker(exchange, opened.clock)
    opened.ceo.current_plan, opened.ceo.plan_approved = document, True
    answer: dict[str, Any] = opened.ceo.handle_user_request("execute_plan")
    return answer


@pytest.mark.parametrize("machine_is_ahead", [timedelta(), timedelta(minutes=4), timedelta(minutes=-4)])
def test_the_bridge_adds_up_where_the_clocks_differ(tmp_path: Path, machine_is_ahead: timedelta) -> None:
    workspace(tmp_path, settings=SETTINGS)
    for day, symbol, price in ((0, "ALKS", 32.66), (1, "COMM", 17.02)):
        at = MORNING + day * 24 * HOUR
        bought = plan(trade(symbol, "BUY", 150, price), plan_id=f"P{day}", generated_at=iso(at))
        with closing(desk(tmp_path, at=at + machine_is_ahead)) as opened:
            answer = execute_by(opened, -machine_is_ahead, bought)
    document = answer["document"]
    assert document["since_last"]["exits"] == []
    assert [row["label"] for row in document["since_last"]["bridge"]] == ["Cash then", "Cash now"]
    assert (document["status"], document["cash_identity"]["holds"]) == ("COMPLETED", True)


@pytest.mark.parametrize("machine_is_ahead", [timedelta(minutes=4), timedelta(minutes=-4)])
def test_an_older_exit_that_fills_in_mid_run_is_in_the_run_s_report_where_the_clocks_differ(
    tmp_path: Path, machine_is_ahead: timedelta
) -> None:
    workspace(tmp_path, settings=SETTINGS)
    with closing(desk(tmp_path, at=MORNING + machine_is_ahead)) as opened:
        execute_by(opened, -machine_is_ahead, plan(trade("ALKS", "BUY", 150, 32.66), plan_id="P0"))
    later = MORNING + 24 * HOUR
    with closing(desk(tmp_path, at=later + machine_is_ahead)) as opened:
        fall = {"call": "submit", "symbol": "COMM", "do": "set_price", "of": "ALKS", "price": 29}
        opened.__dict__["exchange_files"] = (opened.exchange_files[0], FaultScript.model_validate({"faults": [fall]}))
        bought = plan(trade("COMM", "BUY", 250, 17.02), plan_id="P1", generated_at=iso(later))
        document = execute_by(opened, -machine_is_ahead, bought)["document"]
    assert document["since_last"]["exits"] == []
    assert [row["ticker"] for row in document["earlier_orders"]] == ["ALKS"]
    assert (document["status"], document["cash_identity"]["holds"]) == ("COMPLETED", True)


@pytest.mark.parametrize("machine_is_ahead", [timedelta(), 6 * HOUR, -5 * HOUR])
def test_an_approval_has_the_time_of_the_broker_s_clock(tmp_path: Path, machine_is_ahead: timedelta) -> None:
    workspace(tmp_path, settings=SETTINGS)
    with closing(desk(tmp_path, at=MORNING + machine_is_ahead)) as opened:
        answer = execute_by(opened, -machine_is_ahead, plan(trade("ALKS", "BUY", 150, 32.66)))
        assert answer["document"]["status"] == "COMPLETED"
        approved = opened.ledger.plans.approved_at(answer["document"]["plan_id"])
    assert approved is not None
    assert abs(approved - MORNING) < timedelta(minutes=2)
