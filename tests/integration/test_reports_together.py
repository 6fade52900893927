"""The reports that lie in the Executive's inbox at one look share a commit; none is lost, and each counts once."""

from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from Departments.bootstrap import Desk
from Departments.core.departments import EXECUTIVE, TRADING
from Departments.core.orders import Order, OrderStatus, Side
from Departments.core.platform.steps import Step, no_step
from Departments.core.statuses import ExecutionStatus, PhaseName
from Departments.ledger.order_records import OrderRecord
from Departments.ledger.plan_records import ExecutionRecord, TradeRecord
from Departments.messaging.message import Message, body_with
from tests.builders.desk import MORNING, desk, plan, workspace
from tests.invariants.reading import MESSAGES

SYMBOLS = ("ALKS", "AXTA", "COMM", "CVE", "SN")
ONE = Decimal(1)


def report(symbol: str, status: str, *, number: int = 1) -> Message:
    """Return what Trading tells of the order of a symbol, `number` times the same minute."""
    payload = {"approval_message_id": f"MSG_{symbol}", "ticker": symbol, "action": "BUY", "shares": 1, "status": status}
    ended = {"filled_qty": 1, "filled_avg_price": 9, "terminal_at": MORNING} if status == "filled" else {}
    at, name = MORNING + timedelta(seconds=number), f"MSG_TRADING_20251110T1505{number + 42}Z_{symbol}"
    return Message(name, TRADING, EXECUTIVE, at, "ExecutionReport", body_with("# Report", payload | ended))


def waiting(folder: Path, *others: Message, step: Step = no_step) -> Desk:
    """Open a desk in the middle of an execution: each order was reported twice, and nobody has read it yet."""
    opened = desk(workspace(folder), step=step)
    _ = opened.broker  # orders of a ledger without an exchange beside it were sent elsewhere
    run = ExecutionRecord("PLAN", MORNING.date(), MORNING, None, ExecutionStatus.RUNNING, ONE, ONE, ONE, None)
    with opened.ledger.transaction():
        opened.ledger.plans.save(plan(plan_id="PLAN"), "", MORNING)
        opened.ledger.plans.start(run)
        for rank, symbol in enumerate(SYMBOLS):
            sent = TradeRecord(
                PhaseName.BUY, symbol, Side.BUY, ONE, ONE, message_id=f"MSG_{symbol}", dispatched_at=MORNING
            )
            opened.ledger.plans.add_trade("PLAN", rank, sent)
            name = f"MSG_{symbol}"
            opened.ledger.orders.intend(
                OrderRecord(name, name, symbol, Side.BUY, ONE, "market", "PLAN", created_at=MORNING)
            )
            filled = Order(name, name, symbol, Side.BUY, ONE, OrderStatus.FILLED, ONE, Decimal(9), updated_at=MORNING)
            opened.ledger.orders.observe(filled, MORNING)
    told = [report(t, status, number=n) for n, status in enumerate(("accepted", "filled"), 1) for t in SYMBOLS]
    opened.bus.publish_all([*told, *others])
    return opened


def statuses(opened: Desk) -> list[str]:
    return [t.status for t in opened.ledger.plans.trades("PLAN") if t.filled_qty == 1]


def test_the_reports_of_one_look_share_a_commit_and_the_last_word_counts(tmp_path: Path) -> None:
    labels: list[str] = []
    with closing(waiting(tmp_path, step=labels.append)) as opened:
        labels.clear()
        opened.day.inbox.read()
        assert labels.count("after:ledger.commit") == 1
        assert statuses(opened) == ["filled"] * len(SYMBOLS)


def test_a_report_that_cannot_be_read_is_set_aside_and_the_others_count(tmp_path: Path) -> None:
    bad = replace(report("DVN", "accepted"), body="# Report")
    with closing(waiting(tmp_path, bad)) as opened:
        opened.day.inbox.read()
        assert statuses(opened) == ["filled"] * len(SYMBOLS)
        assert [m.message_type for m in opened.bus.waiting(EXECUTIVE)] == ["escalation"]
    assert (tmp_path / MESSAGES / "Dead_Letter" / EXECUTIVE / bad.name).exists()


@pytest.mark.parametrize(
    ("label", "number"),
    [
        ("before:ledger.commit", 1),
        ("after:ledger.commit", 1),
        ("before:archive", 1),
        ("after:archive", 1),
        ("before:archive", 7),
        ("after:archive", 2 * len(SYMBOLS)),
    ],
)
def test_a_kill_anywhere_in_a_batch_loses_no_report(tmp_path: Path, label: str, number: int) -> None:
    labels: list[str] = []

    def step(said: str) -> None:
        labels.append(said)
        if labels.count(label) == number:
            raise KeyboardInterrupt

    waiting(tmp_path).close()
    with closing(desk(tmp_path, step=step)) as opened, pytest.raises(KeyboardInterrupt):
        opened.day.inbox.read()
    with closing(desk(tmp_path)) as opened:
        done = statuses(opened)
        assert done == ([] if label == "before:ledger.commit" else ["filled"] * len(SYMBOLS))
        opened.day.inbox.read()
        assert statuses(opened) == ["filled"] * len(SYMBOLS)
        assert opened.bus.waiting(EXECUTIVE) == []
