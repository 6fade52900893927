"""An instruction that the Executive did not decide is a dead letter, and its symbol stays untouched."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from Departments.core.orders import Side
from Departments.core.plans import Trade
from Departments.core.statuses import PhaseName
from Departments.Executive.dispatches import approval, instruction
from Departments.Trading.trading_department import TradingDepartment
from tests.builders.attacks import (
    MESSAGES,
    PLAN,
    approvals,
    dead_letters,
    edit,
    escalations,
    forge_approval,
    interrupt_after_dispatch,
    target,
    traded,
)
from tests.builders.commands import AT, plan_file, run_of, say
from tests.builders.desk import MORNING, deliver, desk, two_and_two, write_yaml
from tests.builders.trading import asked, request_text

Capture = pytest.CaptureFixture[str]
FORGED = "MSG_EXECUTIVE_20251110T150541Z_deadbeef"
TITLE = "# DEAD LETTER: TRADING (NOT_DECIDED_HERE)"


def test_a_stray_approval_during_a_plan_or_an_unapproved_run_stays_where_it_is(capsys: Capture, tmp_path: Path) -> None:
    forged = forge_approval(target(tmp_path))
    state = ("--workspace", tmp_path, "--at", AT, "--exchange-state", tmp_path / "state.yaml")
    assert say(capsys, "plan", *state, "--plan", plan_file(tmp_path)).code == 0
    said = say(capsys, "run", *state, "--plan", plan_file(tmp_path), "--approve", "ask", "--json")
    assert (said.code, said.document["status"]) == (1, "NOT_APPROVED")
    assert approvals(tmp_path) == [forged]
    assert traded(tmp_path) == {}


def test_a_stray_approval_during_an_approved_run_is_a_dead_letter(capsys: Capture, tmp_path: Path) -> None:
    forge_approval(target(tmp_path))
    said = say(capsys, *run_of(tmp_path, "--plan", plan_file(tmp_path), "--json"))
    assert set(traded(tmp_path)) == {"CTVA", "DVN", "ALKS", "COMM"}
    assert dead_letters(tmp_path, "TRADING") == {f"{FORGED}.md": "NOT_DECIDED_HERE"}
    assert escalations(tmp_path) == [TITLE]
    assert (said.code, said.document["status"]) == (1, "COMPLETED_WITH_ISSUES")


@pytest.mark.parametrize(
    "change",
    [
        {"plan_id": None},
        {"plan_id": "PLAN_20251109_150000"},
        {"plan_id": "PLAN_20251110_160000"},
        {"approved_at": "2035-01-01T00:00:00Z"},
        {"approved_by": "the CEO", "approval_status": "APPROVED"},
    ],
)
def test_no_field_left_out_or_added_makes_a_script_that_handles_the_inbox_believe_it(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    forge_approval(target(tmp_path), **change)
    with closing(desk(tmp_path)) as opened:
        TradingDepartment(trader=opened.trader).process_inbox()
    assert traded(tmp_path) == {}
    assert set(dead_letters(tmp_path, "TRADING").values()) == {"NOT_DECIDED_HERE"}


@pytest.mark.parametrize("kind", ["CancelRequest", "ReleaseRequest", "ProtectRequest", "execution_request"])
def test_every_kind_of_instruction_needs_its_decision(tmp_path: Path, kind: str) -> None:
    payload = asked("MSFT", "SELL", 10, plan_id=PLAN)
    if kind == "CancelRequest":
        payload |= {"approval_message_id": "MSG_EXECUTIVE_20251110T150000Z_00000000"}
    deliver(target(tmp_path), "TRADING", f"{FORGED}.md", request_text(payload, message_id=FORGED, message_type=kind))
    with closing(desk(tmp_path)) as opened:
        opened.trading.process_inbox()
        assert opened.ledger.orders.find_newest(["MSFT"]) == []
    assert dead_letters(tmp_path, "TRADING") == {f"{FORGED}.md": "NOT_DECIDED_HERE"}


def to_another_symbol(text: str) -> str:
    return text.replace('"CTVA"', '"MSFT"').replace('"shares": 190', '"shares": 6')


EDITS: dict[str, Callable[[str], str]] = {
    "another symbol": to_another_symbol,
    "its quantity": lambda text: text.replace('"shares": 190', '"shares": 19'),
    "a larger quantity": lambda text: text.replace('"shares": 190', '"shares": 1900'),
    "a limit price": lambda text: text.replace('"MARKET"', '"LIMIT",\n  "limit_price": 1'),
    "its price": lambda text: text.replace('"price": 64.64', '"price": 6.46'),
    "its plan": lambda text: text.replace(PLAN, "PLAN_20251110_160000"),
    "the time of its approval": lambda text: text.replace('"approved_at": "2025', '"approved_at": "2035'),
    "its own time": lambda text: text.replace("timestamp: '2025-11-10T15:05", "timestamp: '2025-11-10T15:04"),
    "a word for people": lambda text: text.replace("**Sector**", "**Sektor**"),
}


@pytest.mark.parametrize("change", EDITS.values(), ids=EDITS)
def test_an_approval_edited_in_the_inbox_trades_nothing_and_the_day_says_so(
    capsys: Capture, tmp_path: Path, change: Callable[[str], str]
) -> None:
    ctva, dvn = interrupt_after_dispatch(target(tmp_path))
    assert ("CTVA" in ctva.read_text("utf-8"), "DVN" in dvn.read_text("utf-8")) == (True, True)
    edit(ctva, change)
    said = say(capsys, "resume", "--workspace", tmp_path, "--at", AT, "--json")
    assert not {"CTVA", "MSFT"} & set(traded(tmp_path))
    assert traded(tmp_path)["DVN"] == ("SELL", "225")
    assert dead_letters(tmp_path, "TRADING")[ctva.name] == "NOT_DECIDED_HERE"
    assert TITLE in escalations(tmp_path)
    assert (said.code, said.document["status"]) == (1, "COMPLETED_WITH_ISSUES")


SPOILS: dict[str, Callable[[str], str]] = {
    **EDITS,
    "its front matter": lambda text: text.replace("---\n", "-\n", 1),
    "a second block": lambda text: text + '\n```json\n{"symbol": "MSFT"}\n```\n',
    "no text at all": lambda _: "gone\n",
}


@pytest.mark.parametrize("change", SPOILS.values(), ids=SPOILS)
def test_a_trade_whose_approval_never_reached_trading_ends_at_once_and_nothing_of_it_is_called_sent(
    capsys: Capture, tmp_path: Path, change: Callable[[str], str]
) -> None:
    ctva, _ = interrupt_after_dispatch(target(tmp_path))
    genuine = ctva.read_bytes()
    edit(ctva, change)
    said = say(capsys, "resume", "--workspace", tmp_path, "--at", AT, "--json")
    code = dead_letters(tmp_path, "TRADING")[ctva.name]
    order = said.order("CTVA")
    assert (order["status"], order["code"], order["qty"], order["filled_qty"]) == ("denied", code, "0", "0")
    assert "Timeout" not in said.err
    assert "never reached TRADING" in said.err
    assert (said.code, said.document["status"]) == (1, "COMPLETED_WITH_ISSUES")
    deliver(tmp_path, "TRADING", "late copy.md", genuine)
    with closing(desk(tmp_path, at=MORNING + timedelta(minutes=5))) as opened:
        opened.trading.process_inbox()
    assert "CTVA" not in traded(tmp_path)


def test_a_forged_copy_beside_the_approval_does_not_end_its_trade(capsys: Capture, tmp_path: Path) -> None:
    ctva, _ = interrupt_after_dispatch(target(tmp_path))
    deliver(tmp_path, "TRADING", "AAA copy.md", to_another_symbol(ctva.read_text("utf-8")))
    said = say(capsys, "resume", "--workspace", tmp_path, "--at", AT, "--json")
    assert said.order("CTVA")["status"] == "filled"
    assert dead_letters(tmp_path, "TRADING") == {"AAA copy.md": "NOT_DECIDED_HERE"}


def test_the_approval_under_another_name_beside_a_forged_one_trades_once_or_not_at_all(
    capsys: Capture, tmp_path: Path
) -> None:
    ctva, _ = interrupt_after_dispatch(target(tmp_path))
    shutil.copy(ctva, ctva.parent / "zzz.md")
    edit(ctva, to_another_symbol)
    said = say(capsys, "resume", "--workspace", tmp_path, "--at", AT, "--json")
    is_traded = "CTVA" in traded(tmp_path)
    assert said.order("CTVA")["status"] == ("filled" if is_traded else "denied")
    assert "MSFT" not in traded(tmp_path)


def test_a_copy_of_a_handled_approval_has_no_second_effect(capsys: Capture, tmp_path: Path) -> None:
    say(capsys, *run_of(target(tmp_path), "--plan", plan_file(tmp_path)))
    (sold,) = (p for p in (tmp_path / MESSAGES).glob("Archive/*/TRADING/*.md") if '"CTVA"' in p.read_text("utf-8"))
    for name in (sold.name, "MSG_EXECUTIVE_20251110T150541Z_copied00.md"):
        shutil.copy(sold, tmp_path / MESSAGES / "Inbox" / "TRADING" / name)
        with closing(desk(tmp_path, at=MORNING + timedelta(hours=1))) as opened:
            opened.trading.process_inbox()
            assert len(opened.broker.orders("all", symbols=["CTVA"])) == 1


def test_an_approval_of_yesterday_that_nobody_handled_is_not_sent_today(capsys: Capture, tmp_path: Path) -> None:
    limits = target(tmp_path) / "config" / "hard_constraints.yaml"
    limits.write_text(limits.read_text("utf-8").replace("plan_max_age_hours: 4", "plan_max_age_hours: 48"), "utf-8")
    interrupt_after_dispatch(tmp_path)
    said = say(capsys, "resume", "--workspace", tmp_path, "--at", "2025-11-11T15:05:42Z", "--json")
    assert {o["code"] for o in said.phase("SELL")["orders"]} == {"STALE_PLAN"}
    assert not {"CTVA", "DVN"} & set(traded(tmp_path))
    assert said.code == 1


MSFT = Trade("MSFT", Side.SELL, D(10), D("502.45"))


@pytest.mark.parametrize(
    ("trade", "plan_id", "problem"),
    [
        (MSFT, "", "no plan has this trade"),
        (MSFT, PLAN, "no plan has this trade"),
        (MSFT, "PLAN_20251109_150000", "no plan has this trade"),
    ],
)
def test_a_script_that_publishes_an_approval_of_its_own_decides_nothing(
    tmp_path: Path, trade: Trade, plan_id: str, problem: str
) -> None:
    sent = approval(trade, plan_id, FORGED, at=MORNING, approved_at=MORNING)
    with closing(desk(target(tmp_path))) as opened:
        opened.bus.publish(sent)
        for phase, message_id in ((PhaseName.RELEASE, "MSG_R"), (PhaseName.PROTECT, "MSG_P")):
            opened.bus.publish(instruction(phase, trade, plan_id, message_id, at=MORNING, approved_at=MORNING))
        opened.trading.process_inbox()
    assert traded(tmp_path) == {}
    assert set(dead_letters(tmp_path, "TRADING").values()) == {"NOT_DECIDED_HERE"}
    assert len(dead_letters(tmp_path, "TRADING")) == 3
    reason = tmp_path / MESSAGES / "Dead_Letter" / "TRADING" / f"{FORGED}.md.reason.yaml"
    assert problem in reason.read_text(encoding="utf-8")


def test_a_forged_cancel_does_not_hold_up_what_was_decided(capsys: Capture, tmp_path: Path) -> None:
    ctva, _ = interrupt_after_dispatch(target(tmp_path))
    payload = asked("CTVA", "SELL", 190, approval_message_id=ctva.stem, code="PHASE_TIMEOUT", plan_id=PLAN)
    forged = "MSG_EXECUTIVE_20251110T150559Z_c"
    text = request_text(payload, message_id=forged, message_type="CancelRequest", parent=ctva.stem)
    deliver(tmp_path, "TRADING", f"{forged}.md", text)
    said = say(capsys, "resume", "--workspace", tmp_path, "--at", "2025-11-10T15:07:42Z", "--json")
    assert said.order("CTVA")["status"] == "filled"
    assert dead_letters(tmp_path, "TRADING") == {"MSG_EXECUTIVE_20251110T150559Z_c.md": "NOT_DECIDED_HERE"}


def test_a_desk_whose_executive_is_somebody_elses_says_at_every_start_that_nothing_is_proven(
    capsys: Capture, tmp_path: Path
) -> None:
    settings = {"messaging": {"durability": "fast"}, "trading": {"instructions": "unproven"}}
    write_yaml(target(tmp_path) / "config" / "settings.yaml", settings)
    forge_approval(tmp_path)
    said = say(capsys, *run_of(tmp_path, "--plan", plan_file(tmp_path), "--json"))
    assert traded(tmp_path)["MSFT"] == ("SELL", "10")
    assert "Instructions are not proven (trading.instructions: unproven)" in said.err
    report = (tmp_path / "Reports" / f"{PLAN}.md").read_text(encoding="utf-8")
    assert "Instructions are not proven" in report
    assert said.document["instructions"] == "unproven"


@pytest.mark.parametrize(
    ("more", "code"),
    [({"approved_at": "2035-01-01T00:00:00Z"}, "STALE_PLAN"), ({"plan_id": None}, "ONE_EXECUTION_PER_DAY")],
)
def test_even_unproven_no_time_of_the_future_and_no_plan_left_out_makes_a_check_pass(
    capsys: Capture, tmp_path: Path, more: dict[str, Any], code: str
) -> None:
    settings = {"messaging": {"durability": "fast"}, "trading": {"instructions": "unproven"}}
    write_yaml(target(tmp_path) / "config" / "settings.yaml", settings)
    say(capsys, *run_of(tmp_path, "--plan", plan_file(tmp_path)))
    forge_approval(tmp_path, **more)
    with closing(desk(tmp_path, at=MORNING + timedelta(minutes=5))) as opened:
        opened.trading.process_inbox()
        (denied,) = opened.ledger.orders.find_newest(["MSFT"])
    assert (denied.status, denied.code) == ("denied", code)


def test_a_plan_that_a_script_sets_by_hand_is_decided_when_it_is_executed(tmp_path: Path) -> None:
    with closing(desk(target(tmp_path))) as opened:
        opened.ceo.current_plan, opened.ceo.plan_approved = two_and_two(), True
        answer = opened.ceo.execute_plan()
        kept = opened.day.approvals.find(PLAN)
        assert kept is not None
        (approved,) = opened.ledger.plans.approvals(PLAN, kept.plan.digest)
    assert answer["document"]["status"] == "COMPLETED"
    assert "script" in approved.approved_by or "script" in str(approved.place)
