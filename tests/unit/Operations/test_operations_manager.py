from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from Departments.bootstrap import Desk
from Departments.core.departments import EXECUTIVE, OPERATIONS
from Departments.core.errors import BadInput, BrokerUnavailable
from Departments.core.portfolio import Account
from Departments.core.quotes import MarketClock
from Departments.core.regimes import Confidence, Regime, RegimeAssessment
from Departments.messaging import codec
from Departments.messaging.message import Message, body_with
from Departments.messaging.plan_stages import STAGES
from Departments.messaging.regime_payloads import RegimeUpdate
from tests.builders import desk as build
from tests.builders.desk import MORNING, deliver, desk, workspace

NAMES = ("ALKS", "COMM", "AXTA", "SN", "CVE")
PRICES = {"ALKS": 32.66, "COMM": 17.02, "AXTA": 28.64, "SN": 96.19, "CVE": 17.58}
CANDIDATES = [build.candidate(t, 80 - n, PRICES[t], f"Sector {n}") for n, t in enumerate(NAMES)]
HOLDINGS = [
    {"ticker": "CTVA", "quantity": 190.0, "sector": "Basic Materials", "research_composite_score": 47.0},
    {"ticker": "DVN", "quantity": 225.0, "sector": "Energy", "research_composite_score": 70.0},
    {"ticker": "MSFT", "quantity": 80.0, "sector": "Technology", "research_composite_score": 90.0},
]


def briefing(**changes: Any) -> str:
    return build.briefing(CANDIDATES, HOLDINGS, **changes)


def wait_for_briefing(folder: Path, text: str | None = None) -> None:
    deliver(folder, OPERATIONS, "MSG_RESEARCH_20251110T150509Z_0badcafe.md", text or briefing())


def request(at: datetime = MORNING, **payload: Any) -> Message:
    body = body_with("# PlanRequest", payload)
    return Message(f"MSG_EXECUTIVE_{at:%Y%m%dT%H%M%SZ}_ask", EXECUTIVE, OPERATIONS, at, "PlanRequest", body)


def answer(there: Desk) -> Message:
    (found,) = [m for m in there.bus.waiting(EXECUTIVE) if m.message_type in {"TradingPlan", "PlanFailure"}]
    return found


def asked(there: Desk, **payload: Any) -> Message:
    there.bus.publish(request(there.clock.now(), **payload))
    there.operations.process_inbox()
    return answer(there)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return workspace(tmp_path)


def test_an_existing_script_gets_a_plan_from_the_waiting_briefing(folder: Path) -> None:
    wait_for_briefing(folder)
    found = desk(folder).operations.generate_trading_plan(ai_model="any")
    assert found["status"] == "SUCCESS"
    assert [t["ticker"] for t in found["plan"]["trades"] if t["action"] == "SELL"] == ["CTVA"]
    assert {t["ticker"] for t in found["plan"]["trades"] if t["action"] == "BUY"} <= set(NAMES)
    assert found["plan"]["stage_results"]["verification"]["violations"] == 0
    assert [stage["stage"] for stage in found["stage_results"]] == list(STAGES)


def test_a_plan_that_cannot_be_made_is_an_answer_and_no_exception(folder: Path) -> None:
    found = desk(folder).operations.generate_trading_plan()
    assert found["status"] == "FAILED"
    assert "there is no DailyBriefing" in found["message"]
    assert found["exit_code"] == 2


def test_a_caller_may_hand_over_the_briefing_and_mandatory_sells(folder: Path) -> None:
    payload = codec.decode(briefing().encode(), name="b.md").payload
    found = desk(folder).operations.generate_trading_plan(briefing=payload, mandatory_sells=[{"ticker": "DVN"}])
    assert [t["ticker"] for t in found["plan"]["trades"] if t["action"] == "SELL"] == ["DVN", "CTVA"]


def test_nothing_to_trade_while_capital_is_idle_is_escalated(folder: Path) -> None:
    wait_for_briefing(folder, build.briefing([build.candidate("ALKS", 20, 32.66)]))
    assert desk(folder).operations.generate_trading_plan()["status"] == "ESCALATED"


def test_a_briefing_addressed_to_portfolio_is_read_from_the_outbox_of_research_and_stays(folder: Path) -> None:
    outbox = folder / "Messages_Between_Departments" / "Outbox" / "RESEARCH"
    outbox.mkdir(parents=True)
    file = outbox / "MSG_RESEARCH_20251110T150509Z_0badcafe.md"
    file.write_text(briefing().replace("to: OPERATIONS", "to: PORTFOLIO"), encoding="utf-8")
    assert desk(folder).operations.generate_trading_plan()["status"] == "SUCCESS"
    assert file.exists()


def test_a_briefing_of_the_day_is_preferred_to_an_older_one_in_the_inbox(folder: Path) -> None:
    wait_for_briefing(folder, briefing(day="2025-11-07"))
    outbox = folder / "Messages_Between_Departments" / "Outbox" / "RESEARCH"
    outbox.mkdir(parents=True)
    (outbox / "MSG_RESEARCH_20251110T150509Z_0badcafe.md").write_text(briefing(), encoding="utf-8")
    assert desk(folder).operations.generate_trading_plan()["status"] == "SUCCESS"


def test_only_an_older_briefing_is_refused_with_its_day(folder: Path) -> None:
    wait_for_briefing(folder, briefing(day="2025-11-07"))
    found = desk(folder).operations.generate_trading_plan()
    assert (found["status"], found["exit_code"]) == ("FAILED", 2)
    assert "2025-11-07" in found["message"]


def test_a_briefing_handled_before_a_restart_is_found_again(folder: Path) -> None:
    wait_for_briefing(folder)
    first = desk(folder)
    first.operations.process_inbox()
    first.close()
    assert desk(folder).operations.generate_trading_plan()["status"] == "SUCCESS"


def test_a_request_is_answered_with_a_plan_that_a_person_can_read(folder: Path) -> None:
    wait_for_briefing(folder)
    found = asked(desk(folder))
    assert (found.message_type, found.sender, found.recipient) == ("TradingPlan", OPERATIONS, EXECUTIVE)
    assert found.parent_message_id == f"MSG_EXECUTIVE_{MORNING:%Y%m%dT%H%M%SZ}_ask"
    assert "| CTVA | 190 | $64.64 | $12,281.60 |" in found.body
    assert (found.payload or {})["plan_id"].startswith("PLAN_20251110_")


def test_a_requested_plan_is_saved_with_the_sectors_it_was_made_with(folder: Path) -> None:
    wait_for_briefing(folder)
    there = desk(folder)
    plan_id = (asked(there).payload or {})["plan_id"]
    assert (there.ledger.plans.document(plan_id) or {})["plan_id"] == plan_id
    assert there.ledger.symbols.knowledge(build.MORNING, 1).of("MSFT").sector == "Technology"


def test_an_existing_plan_is_resized_and_keeps_its_id(folder: Path) -> None:
    found = asked(desk(folder), plan=build.two_and_two())
    document = found.payload or {}
    assert document["plan_id"] == "PLAN_20251110_150000"
    assert [t["ticker"] for t in document["trades"]][:2] == ["CTVA", "DVN"]


def test_the_briefing_that_is_named_is_used(folder: Path) -> None:
    wait_for_briefing(folder)
    there = desk(folder)
    found = asked(there, briefing_message_id="MSG_RESEARCH_20251110T150509Z_0badcafe")
    assert found.message_type == "TradingPlan"


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        ({}, "there is no DailyBriefing"),
        ({"briefing_message_id": "MSG_X"}, "MSG_X: there is no such briefing"),
        ({"mandatory_sells": [{"ticker": "../x"}]}, "mandatory_sells: [0].ticker"),
        ({"mandatory_sells": "DVN"}, "mandatory_sells: is not a list"),
        ({"plan": {"plan_id": "P"}}, "trades: is missing"),
        ({"plan": build.plan(build.trade("../X", "BUY", 10, 30))}, "'../X' is not a symbol"),
    ],
)
def test_a_request_nobody_can_meet_is_answered_with_one_sentence(
    folder: Path, payload: dict[str, Any], sentence: str
) -> None:
    found = asked(desk(folder), **payload)
    assert found.message_type == "PlanFailure"
    assert sentence in (found.payload or {})["message"]
    assert (found.payload or {})["exit_code"] == 2


class Silent:
    """A broker that does not answer."""

    name = "silent"

    def account(self) -> Account:
        raise BrokerUnavailable("the broker does not answer.")

    def market_clock(self) -> MarketClock:
        raise BrokerUnavailable("the broker does not answer.")


def test_a_broker_that_does_not_answer_is_a_plan_failure_with_its_exit_code(folder: Path) -> None:
    wait_for_briefing(folder)
    there = desk(folder)
    there.__dict__["broker"] = Silent()
    there.bus.publish(request())
    there.operations.process_inbox()
    assert (answer(there).message_type, (answer(there).payload or {})["exit_code"]) == ("PlanFailure", 4)


def test_a_regime_update_decides_the_size_of_the_next_plan(folder: Path) -> None:
    wait_for_briefing(folder)
    there = desk(folder)
    panic = RegimeAssessment(Regime.PANIC, Confidence.HIGH, "STAY OUT", MORNING - timedelta(minutes=1), "test")
    update = Message("MSG_REGIME_1_oper", "REGIME_DETECTION", OPERATIONS, panic.assessed_at, "RegimeUpdate", "")
    there.bus.publish(replace(update, body=RegimeUpdate.from_assessment(panic).body("# Regime")))
    document = asked(there).payload or {}
    assert document["made_from"]["regime"] == "PANIC"
    assert {t["action"] for t in document["trades"]} == {"SELL"}


def test_a_briefing_nobody_can_plan_from_is_set_aside_with_its_reason(folder: Path) -> None:
    wait_for_briefing(folder, build.briefing([], vix=0))
    there = desk(folder)
    assert there.operations.process_inbox().dead_lettered == 1
    (reason,) = (folder / "Messages_Between_Departments" / "Dead_Letter" / OPERATIONS).glob("*.reason.yaml")
    assert "INVALID_PAYLOAD" in reason.read_text(encoding="utf-8")


def proposal(payload: dict[str, Any], at: datetime = MORNING) -> Message:
    body = body_with("# Proposal", payload)
    return Message(f"MSG_LLM_{at:%Y%m%dT%H%M%SZ}_1", "RESEARCH", OPERATIONS, at, "PlanProposal", body)


def test_a_proposal_of_the_day_shapes_the_next_plan(folder: Path) -> None:
    wait_for_briefing(folder)
    there = desk(folder)
    there.bus.publish(proposal({"picks": [{"ticker": "CVE", "weight": 0.07}], "sells": [{"ticker": "DVN"}]}))
    trades = {t["ticker"]: t for t in (asked(there).payload or {})["trades"]}
    assert trades["DVN"]["action"] == "SELL"
    assert trades["CVE"]["reason"].startswith("proposed")


def test_a_proposal_of_another_day_is_not_used(folder: Path) -> None:
    wait_for_briefing(folder)
    there = desk(folder)
    there.bus.publish(proposal({"sells": [{"ticker": "DVN"}]}, at=MORNING - timedelta(days=3)))
    assert "DVN" not in {t["ticker"] for t in (asked(there).payload or {})["trades"]}


@pytest.mark.parametrize("payload", [{}, {"picks": "ALKS"}, {"trades": [{"ticker": "ALKS"}]}])
def test_a_proposal_of_nothing_or_nonsense_is_set_aside(folder: Path, payload: dict[str, Any]) -> None:
    there = desk(folder)
    there.bus.publish(proposal(payload))
    assert there.operations.process_inbox().dead_lettered == 1


def test_an_untradable_holding_is_reported_in_every_plan_of_the_first_day_and_then_no_more(tmp_path: Path) -> None:
    state = {**build.STATE, "assets": {"CTVA": {"tradable": False}}}
    folder = workspace(tmp_path, state=state)
    skipped = []
    for day in ("2025-11-10", "2025-11-10", "2025-11-11"):
        there = desk(folder, at=datetime.fromisoformat(f"{day}T15:05:42+00:00"))
        payload = codec.decode(briefing(day=day).encode(), name="b.md").payload
        found = there.operations.generate_trading_plan(briefing=payload)
        skipped.append([s["code"] for s in found["plan"]["skipped"] if s["ticker"] == "CTVA"])
        assert "CTVA" not in {t["ticker"] for t in found["plan"]["trades"]}
        there.close()
    assert skipped == [["NOT_TRADABLE"], ["NOT_TRADABLE"], []]


def test_a_raised_size_stands_in_the_log_with_both_numbers(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("Departments"), "propagate", True)
    planned = build.plan(build.trade("ALKS", "BUY", 200, 32.66), build.trade("CVE", "BUY", 50, 17.58))
    with caplog.at_level(logging.INFO, logger="Departments.Operations"):
        asked(desk(folder), plan=planned)
    assert "Raised CVE from 50 to 171 shares - position would be $879 (< $3,001 minimum)" in caplog.messages


def test_a_skip_for_size_stands_in_the_log_as_it_always_did(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("Departments"), "propagate", True)
    folder = workspace(tmp_path, limits={"deployment": {"too_small": "skip"}})
    planned = build.plan(build.trade("ALKS", "BUY", 200, 32.66), build.trade("CVE", "BUY", 50, 17.58))
    with caplog.at_level(logging.INFO, logger="Departments.Operations"):
        asked(desk(folder), plan=planned)
    assert "Skipped CVE - position would be $879 (< $3,001 minimum)" in caplog.messages


def test_a_briefing_from_a_file_is_delivered_to_the_inbox(folder: Path) -> None:
    there = desk(folder)
    message = codec.decode(briefing().replace("to: OPERATIONS", "to: PORTFOLIO").encode(), name="b.md")
    there.planner.accept_briefing(message)
    assert [m.message_id for m in there.bus.waiting(OPERATIONS)] == [message.message_id]
    assert asked(there, briefing_message_id=message.message_id).message_type == "TradingPlan"


def test_a_briefing_from_a_file_is_used_whatever_other_file_has_its_id(folder: Path) -> None:
    deliver(folder, "../Outbox/RESEARCH", "MSG_RESEARCH_20251110T150509Z_0badcafe.md", briefing())
    there = desk(folder)
    message = codec.decode(build.briefing(CANDIDATES[:1], HOLDINGS).encode(), name="b.md")
    there.planner.accept_briefing(message)
    found = asked(there, briefing_message_id=message.message_id).payload or {}
    assert {row["ticker"] for row in (*found["trades"], *found["skipped"])}.isdisjoint(NAMES[1:])


def test_a_briefing_of_another_day_is_refused_before_it_is_delivered(folder: Path) -> None:
    there = desk(folder)
    message = codec.decode(briefing(day="2025-11-07").encode(), name="b.md")
    with pytest.raises(BadInput, match="2025-11-07"):
        there.planner.accept_briefing(message)
    assert there.bus.waiting(OPERATIONS) == []


def test_the_plan_message_holds_the_same_plan_for_machines(folder: Path) -> None:
    wait_for_briefing(folder)
    found = asked(desk(folder))
    document = json.loads(found.body.partition("```json\n")[2].partition("\n```")[0])
    assert document["summary"]["total_trades"] == len(document["trades"])
    assert Decimal(document["deployment_goal"]["deployed"]) > 0
