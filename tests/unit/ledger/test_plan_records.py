from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from pathlib import Path

import pytest

from Departments.core.orders import OrderStatus, Side
from Departments.core.reasons import Reason, ReasonCode
from Departments.core.statuses import ExecutionStatus, PhaseName, PhaseOutcome, PhaseState, TradeStatus
from Departments.ledger.ledger import Ledger
from Departments.ledger.plan_records import ExecutionRecord, PhaseRecord, TradeRecord
from Departments.messaging.payloads import ExecutionReport

NOW = datetime(2025, 11, 10, 15, 6, tzinfo=UTC)
PLAN = {"plan_id": "P", "generated_at": "2025-11-10T15:00:00Z", "status": "READY", "price": D("32.66")}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger(tmp_path / "sentinel.db")) as opened:
        opened.plans.save(PLAN, "hash", NOW)
        yield opened


def phase(name: PhaseName, at: datetime) -> PhaseRecord:
    return PhaseRecord(name, PhaseState.OPEN, at, at + timedelta(minutes=1), None, PhaseOutcome.NONE)


def trade(name: PhaseName, symbol: str, message_id: str | None = None, code: str = "") -> TradeRecord:
    return TradeRecord(name, symbol, Side.BUY, D(10), D(10), message_id=message_id, code=code, reason=code)


def test_saving_a_plan_again_replaces_the_document_and_keeps_the_approval(ledger: Ledger) -> None:
    ledger.plans.approve("P", NOW)
    ledger.plans.save({**PLAN, "status": "APPROVED"}, "other", NOW)
    assert ledger.plans.document("P") == {**PLAN, "status": "APPROVED"}
    assert (ledger.plans.limits_hash("P"), ledger.plans.approved_at("P")) == ("other", NOW)


def test_phases_have_their_order_whatever_the_clock_does(ledger: Ledger) -> None:
    for minutes, name in enumerate((PhaseName.PROTECT, PhaseName.BUY, PhaseName.SELL, PhaseName.RELEASE)):
        ledger.plans.set_phase("P", phase(name, NOW + timedelta(minutes=minutes)))
    assert [found.name for found in ledger.plans.phases("P")] == list(PhaseName)


def test_setting_a_phase_again_keeps_its_start(ledger: Ledger) -> None:
    ledger.plans.set_phase("P", phase(PhaseName.SELL, NOW))
    ledger.plans.set_phase("P", phase(PhaseName.SELL, NOW + timedelta(minutes=5)))
    (found,) = ledger.plans.phases("P")
    assert (found.started_at, found.deadline) == (NOW, NOW + timedelta(minutes=6))


def test_trades_have_the_order_of_phases_and_ranks(ledger: Ledger) -> None:
    for name in (PhaseName.BUY, PhaseName.SELL):
        for rank, symbol in enumerate(("UPS", "DVN", "ALKS")):
            ledger.plans.add_trade("P", rank, trade(name, symbol))
    symbols = ["UPS", "DVN", "ALKS"]
    assert [t.symbol for t in ledger.plans.trades("P")] == symbols * 2
    assert [t.phase for t in ledger.plans.trades("P")][:3] == [PhaseName.SELL] * 3
    assert [t.symbol for t in ledger.plans.trades("P", PhaseName.BUY)] == symbols


def test_a_report_ends_a_trade_once_and_keeps_why_it_was_trimmed(ledger: Ledger) -> None:
    ledger.plans.add_trade("P", 0, trade(PhaseName.BUY, "UPS", "M", "TRIMMED_TO_CASH"))
    report = ExecutionReport(
        approval_message_id="M",
        symbol="UPS",
        side=Side.BUY,
        qty=D(10),
        status=OrderStatus.FILLED,
        client_order_id="C",
        submitted_at=NOW,
        terminal_at=NOW,
        filled_qty=D(10),
        filled_avg_price=D("9.5"),
    )
    assert ledger.plans.report_trade("M", report)
    assert not ledger.plans.report_trade("M", report)
    (found,) = ledger.plans.trades("P")
    assert (found.status, found.filled_qty, found.filled_avg_price) == (OrderStatus.FILLED, D(10), D("9.5"))
    assert (found.code, found.reason) == ("TRIMMED_TO_CASH",) * 2


def test_a_trade_that_was_sent_waits_as_dispatched(ledger: Ledger) -> None:
    ledger.plans.add_trade("P", 0, trade(PhaseName.BUY, "UPS", "M"))
    assert [t.status for t in ledger.plans.trades("P")] == [TradeStatus.DISPATCHED]


def test_an_execution_is_unfinished_until_it_ends(ledger: Ledger) -> None:
    run = ExecutionRecord("P", NOW.date(), NOW, None, ExecutionStatus.RUNNING, D(9), D(8), D(7), None)
    ledger.plans.start(run)
    assert ledger.plans.find_unfinished() == run
    ledger.plans.finish("P", ExecutionStatus.COMPLETED, D(6), D("0.02"), NOW)
    assert ledger.plans.find_unfinished() is None
    assert ledger.plans.executions(NOW.date() - timedelta(days=1)) == []
    (ended,) = ledger.plans.executions(NOW.date())
    assert (ended.status, ended.cash_after, ended.fees) == (ExecutionStatus.COMPLETED, D(6), D("0.02"))


def test_a_plan_that_was_executed_is_not_approved_for_today_any_more(ledger: Ledger) -> None:
    ledger.plans.approve("P", NOW)
    assert ledger.plans.find_approved(NOW.date()) == PLAN
    assert ledger.plans.find_approved(NOW.date() + timedelta(days=1)) is None
    ledger.plans.start(ExecutionRecord("P", NOW.date(), NOW, None, ExecutionStatus.RUNNING, D(9), D(8), D(7), None))
    assert ledger.plans.find_approved(NOW.date()) is None


def test_a_limit_that_a_fill_broke_stands_beside_what_the_buy_was_trimmed_for(ledger: Ledger) -> None:
    trimmed = replace(trade(PhaseName.BUY, "UPS", "M", "TRIMMED_TO_CASH"), reason="TRIMMED_TO_CASH: qty=9")
    ledger.plans.add_trade("P", 0, trimmed)
    ledger.plans.note_fill("P", 1, "UPS", Reason.of(ReasonCode.CASH_RESERVE, cash=D(5)))
    (found,) = ledger.plans.trades("P")
    assert (found.code, found.reason) == ("CASH_RESERVE", "CASH_RESERVE: cash=5; TRIMMED_TO_CASH: qty=9")


def test_of_two_plans_approved_at_one_moment_the_newer_one_counts(ledger: Ledger) -> None:
    newer = {**PLAN, "plan_id": "Q"}
    ledger.plans.save(newer, "hash", NOW)
    for plan_id in "PQ":
        ledger.plans.approve(plan_id, NOW)
    assert ledger.plans.find_approved(NOW.date()) == newer
