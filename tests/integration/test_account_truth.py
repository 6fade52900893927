"""The account beside its book: what changed outside is named, explained to the cent, and locked until accepted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from Departments.bootstrap import Desk
from Departments.core.orders import OrderRequest, Side
from Departments.exchange.market_events import MarketEvent
from Departments.Executive.approvals import load_plan
from Departments.Executive.reporting.issues import drop_mend
from tests.builders.commands import say
from tests.builders.desk import MORNING, desk, plan, trade, workspace

DAY = timedelta(days=1)
SETTINGS: Mapping[str, Any] = {"messaging": {"durability": "fast"}}


def plan_of(number: int, *trades: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    return plan(*trades, plan_id=f"PLAN_2025111{number}_150000", generated_at=at.isoformat())


def execute(folder: Path, number: int, *trades: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """Execute a plan as a script does, and return the report's document."""
    with closing(desk(folder, at=at)) as opened:
        opened.ceo.current_plan = plan_of(number, *trades, at=at)
        opened.ceo.plan_approved = True
        answer = opened.ceo.execute_plan()
        assert answer, answer
        return final(opened, f"PLAN_2025111{number}_150000")


def final(opened: Desk, plan_id: str) -> dict[str, Any]:
    return opened.reporter.report(load_plan(opened.ledger.plans, plan_id)).document


@contextmanager
def outside(folder: Path, at: datetime) -> Iterator[Desk]:
    """Open the exchange between two runs."""
    with closing(desk(folder, at=at)) as opened:
        yield opened


def happen(opened: Desk, **event: Any) -> None:
    opened.broker.exchange.floor.occur(MarketEvent(**event))  # type: ignore[attr-defined]


def bridge(document: Mapping[str, Any]) -> dict[str, D]:
    return {row["label"]: D(row["amount"]) for row in document["since_last"]["bridge"]}


def check_sum(document: Mapping[str, Any]) -> None:
    amounts = [D(row["amount"]) for row in document["since_last"]["bridge"]]
    assert sum(amounts[:-1]) == amounts[-1]
    assert amounts[-1] == D(document["account"]["cash_before"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return workspace(tmp_path, settings=SETTINGS)


def test_the_first_run_takes_the_account_as_its_opening_balance(folder: Path) -> None:
    document = execute(folder, 0, trade("ALKS", "BUY", 150, 32.66), at=MORNING)
    assert document["since_last"]["since"] is None
    assert document["status"] == "COMPLETED"
    with outside(folder, MORNING + timedelta(hours=1)) as opened:
        opened.recover()
        assert opened.ledger.book.differences() == []
        assert opened.ledger.releases.locks() == []
        assert opened.ledger.book.balance().holdings["ALKS"] == 150


def test_money_in_and_out_is_named_and_the_bridge_adds_up(folder: Path) -> None:
    execute(folder, 0, trade("ALKS", "BUY", 150, 32.66), at=MORNING)
    with outside(folder, MORNING + timedelta(hours=2)) as opened:
        happen(opened, do="deposit", amount=D(20_000))
        happen(opened, do="withdraw", amount=D("1234.56"))
        happen(opened, do="dividend", of="MSFT", amount=D("0.83"))
        happen(opened, do="interest", amount=D("1.07"))
        happen(opened, do="fee", amount=D("2.50"))
    document = execute(folder, 1, trade("COMM", "BUY", 250, 17.02), at=MORNING + DAY)
    check_sum(document)
    found = bridge(document)
    assert (found["Deposits"], found["Withdrawals"], found["Dividends"]) == (D(20_000), D("-1234.56"), D("66.40"))
    assert (found["Interest"], found["Fees"]) == (D("1.07"), D("-2.50"))
    assert "Unexplained" not in found
    assert document["status"] == "COMPLETED"


def test_a_stop_that_fills_between_two_runs_stands_first_in_the_report(folder: Path) -> None:
    execute(folder, 0, trade("ALKS", "BUY", 150, 32.66), at=MORNING)
    with outside(folder, MORNING + timedelta(hours=2)) as opened:
        happen(opened, do="set_price", of="ALKS", price=D("29.00"))
        opened.clock.sleep(10)
    document = execute(folder, 1, trade("COMM", "BUY", 250, 17.02), at=MORNING + DAY)
    check_sum(document)
    (stop,) = document["since_last"]["exits"]
    assert (stop["ticker"], stop["kind"], stop["qty"]) == ("ALKS", "Stop-loss", "150")
    assert D(stop["profit"]) == ((D(stop["price"]) - D(stop["bought_at"])) * 150).quantize(D("0.01"))
    assert stop["sentence"].startswith("Stop-loss sold 150 ALKS at $")
    assert document["status"] == "COMPLETED"


def test_shares_sold_by_hand_lock_the_desks_symbol_until_a_person_accepts(folder: Path) -> None:
    execute(folder, 0, trade("ALKS", "BUY", 150, 32.66), at=MORNING)
    with outside(folder, MORNING + timedelta(hours=2)) as opened:
        happen(opened, do="trade_outside", of="MSFT", qty=D(-30))
    document = execute(folder, 1, trade("MSFT", "SELL", 50, 502.45), at=MORNING + DAY)
    check_sum(document)
    assert document["exit_code"] == 1
    with outside(folder, MORNING + 20 * DAY) as opened:
        opened.recover()
        assert "MSFT" in opened.ledger.releases.find_locks()
        done = opened.trader.accept("MSFT")
        assert done[-1] == "MSFT is free"
        assert opened.ledger.releases.locks() == []
        assert opened.ledger.book.differences() == []


def test_an_order_of_today_that_the_ledger_does_not_know_stops_the_desk(folder: Path) -> None:
    with outside(folder, MORNING) as opened:
        opened.broker.submit(OrderRequest("MSG_ANOTHER_DESK", "DVN", Side.SELL, D(10)))
        opened.clock.sleep(5)
        opened.recover()
        reason = opened.ledger.releases.find_desk_lock()
        assert "MSG_ANOTHER_DESK" in reason
        assert "--accept-all" in reason
        assert opened.trader.accept(None)
        assert opened.ledger.releases.locks() == []
        assert opened.ledger.orders.find("MSG_ANOTHER_DESK") is not None


@pytest.mark.parametrize("days", [1, 8, 40])
def test_a_lost_ledger_names_its_orders_however_old(folder: Path, days: int) -> None:
    execute(folder, 0, trade("ALKS", "BUY", 150, 32.66), at=MORNING)
    (folder / "sentinel.db").unlink(missing_ok=True)
    for left in folder.glob("*.db*"):
        if "exchange" not in left.name:
            left.unlink()
    with outside(folder, MORNING + days * DAY) as opened:
        opened.recover()
        locks = opened.ledger.releases.find_locks()
        assert "ALKS" in locks
        opened.trader.accept(None)
        assert opened.ledger.releases.locks() == []


def test_each_line_of_a_lock_says_its_mend_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    execute(folder, 0, trade("ALKS", "BUY", 150, 32.66), at=MORNING)
    with outside(folder, MORNING + timedelta(hours=2)) as opened:
        happen(opened, do="trade_outside", of="MSFT", qty=D(-30))
        happen(opened, do="trade_outside", of="ALKS", qty=D(12))
    document = execute(folder, 1, trade("COMM", "BUY", 250, 17.02), at=MORNING + DAY)
    assert {row["ticker"] for row in document["locks"]} == {"MSFT", "ALKS"}
    for row in document["locks"]:
        assert "--accept" not in row["reason"]
        assert not row["reason"].startswith(f"{row['ticker']}: ")
        assert row["mend"].count(f"departments reconcile --accept {row['ticker']}") == 1
    report = (folder / "Reports" / "PLAN_20251111_150000.md").read_text(encoding="utf-8")
    at = (MORNING + DAY + timedelta(hours=1)).isoformat()
    said = "".join(
        getattr(say(capsys, name, "--workspace", folder, "--at", at), stream)
        for name in ("reconcile", "status")
        for stream in ("out", "err")
    )
    for text in (report, said):
        lines = [line for line in text.splitlines() if "--accept" in line]
        assert len([line for line in lines if "--accept MSFT" in line]) >= 1
        assert all(line.count("--accept") == 1 for line in lines), lines


@pytest.mark.parametrize(
    ("sentence", "told"),
    [
        ("T: bought 3 at $1.50. Check it, then: departments reconcile --accept T", "T: bought 3 at $1.50"),
        ("the broker does not know X", "the broker does not know X"),
        ("It is so. Stop the desk, then: departments reconcile --accept-all", "It is so"),
    ],
)
def test_a_sentence_beside_its_mend_has_none_of_its_own(sentence: str, told: str) -> None:
    assert drop_mend(sentence) == told
