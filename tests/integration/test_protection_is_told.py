"""Shares without live exits: a line of the report and of the status, from the beginning of the stretch."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime, timedelta
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from Departments.bootstrap import Choices, Desk
from Departments.core.moments import iso
from Departments.core.platform.clock import SimulatedClock
from Departments.Trading.exits import resting_exits
from tests.builders.desk import MORNING, STATE, SharedDesk, desk, trade, workspace
from tests.integration.test_account_truth import DAY, SETTINGS, execute, final, happen, outside, plan_of

BETWEEN = MORNING + DAY - timedelta(hours=2)


def make(folder: Path, **state: Any) -> Path:
    return workspace(folder, settings=SETTINGS, state={**STATE, **state})


def cancel_exits(opened: Desk, symbol: str) -> datetime:
    """Cancel the exits of a symbol as a person does at the broker's; return the moment."""
    for order, _ in resting_exits(opened.broker, symbol):
        opened.broker.cancel(order.id)
        break
    opened.clock.sleep(5)
    return opened.clock.now()


def test_exits_cancelled_behind_the_back_of_protect_are_an_issue_of_the_run(tmp_path: Path) -> None:
    folder = make(tmp_path)
    execute(folder, 0, trade("ALKS", "BUY", 150, 32.66), at=MORNING)
    with closing(desk(folder, at=MORNING + DAY)) as opened:
        compare, done = opened.compare_account, list[datetime]()

        def cancel_first() -> None:
            done.append(cancel_exits(opened, "ALKS"))
            compare()

        opened.__dict__["compare_account"] = cancel_first
        opened.ceo.current_plan = plan_of(1, trade("COMM", "BUY", 250, 17.02), at=MORNING + DAY)
        opened.ceo.plan_approved = True
        opened.ceo.execute_plan()
        document = final(opened, "PLAN_20251111_150000")
        text = (folder / "Reports" / "PLAN_20251111_150000.md").read_text(encoding="utf-8")
    assert done
    assert (document["status"], document["exit_code"]) == ("COMPLETED_WITH_ISSUES", 1)
    (row,) = [r for r in document["deferred"] if r["ticker"] == "ALKS"]
    assert (row["code"], row["reason"]) == ("NO_LIVE_EXITS", "NO_LIVE_EXITS: qty=150")
    (stretch,) = document["unprotected"]
    assert (stretch["ticker"], stretch["qty"], stretch["until"]) == ("ALKS", "150", None)
    assert "ALKS: 150 shares had no live exits from" in text
    after = execute(folder, 2, trade("SN", "BUY", 40, 96.19), at=MORNING + 2 * DAY)
    assert after["status"] == "COMPLETED"


def test_a_stretch_that_began_before_the_run_is_told_from_its_beginning(tmp_path: Path) -> None:
    folder = make(tmp_path)
    execute(folder, 0, trade("ALKS", "BUY", 150, 32.66), at=MORNING)
    with outside(folder, BETWEEN) as opened:
        since = cancel_exits(opened, "ALKS")
    document = execute(folder, 1, trade("COMM", "BUY", 250, 17.02), at=MORNING + DAY)
    (stretch,) = document["unprotected"]
    assert (stretch["ticker"], stretch["qty"]) == ("ALKS", "150")
    assert iso(BETWEEN) <= stretch["since"] <= iso(since)
    assert stretch["until"] is not None
    assert stretch["until"] > iso(MORNING + DAY)


@pytest.mark.parametrize("policy", ["cancel", "multiply"])
def test_a_stretch_that_a_split_opened_and_the_renewal_closed_is_told(tmp_path: Path, policy: str) -> None:
    folder = make(tmp_path, orders_at_split=policy)
    execute(folder, 0, trade("ALKS", "BUY", 154, 32.66), at=MORNING)
    with outside(folder, BETWEEN) as opened:
        happen(opened, do="split", of="ALKS", ratio=D("0.5"))
    document = execute(folder, 1, trade("COMM", "BUY", 250, 17.02), at=MORNING + DAY)
    (stretch,) = [s for s in document["unprotected"] if s["ticker"] == "ALKS"]
    assert D(stretch["qty"]) == 77
    assert stretch["until"] is not None
    if policy == "cancel":
        assert stretch["since"] <= iso(BETWEEN + timedelta(minutes=1))
    assert document["status"] == "COMPLETED"


def test_exits_that_somebody_else_cancelled_are_named_among_the_changes(tmp_path: Path) -> None:
    folder = make(tmp_path)
    execute(folder, 0, trade("ALKS", "BUY", 150, 32.66), at=MORNING)
    with outside(folder, BETWEEN) as opened:
        cancel_exits(opened, "ALKS")
    document = execute(folder, 1, trade("COMM", "BUY", 250, 17.02), at=MORNING + DAY)
    (row,) = document["since_last"]["cancelled"]
    assert row["ticker"] == "ALKS"
    assert row["sentence"].startswith("The exits of 150 ALKS (")
    assert row["sentence"].endswith(") were cancelled on 11 Nov 2025, not by the desk")
    after = execute(folder, 2, trade("SN", "BUY", 40, 96.19), at=MORNING + 2 * DAY)
    assert after["since_last"]["cancelled"] == []


def test_exits_that_the_desk_cancelled_itself_or_that_their_twin_ended_are_no_change(tmp_path: Path) -> None:
    folder = make(tmp_path, orders_at_split="multiply")
    execute(folder, 0, trade("ALKS", "BUY", 154, 32.66), trade("COMM", "BUY", 250, 17.02), at=MORNING)
    with outside(folder, BETWEEN) as opened:
        happen(opened, do="split", of="ALKS", ratio=D("0.5"))
        happen(opened, do="set_price", of="COMM", price=D(15))
    execute(folder, 1, trade("SN", "BUY", 40, 96.19), at=MORNING + DAY)
    document = execute(folder, 2, trade("ALKS", "SELL", 70, 65.32), at=MORNING + 2 * DAY)
    assert document["since_last"]["cancelled"] == []
    document = execute(folder, 3, trade("AXTA", "BUY", 70, 28.64), at=MORNING + 3 * DAY)
    assert document["since_last"]["cancelled"] == []


class NightClock(SimulatedClock):
    """A clock whose sleeper lets a watching Trading work meanwhile."""

    def __init__(self, start: datetime, folder: Path) -> None:
        super().__init__(start)
        self.watching = desk(folder, at=start)
        self.is_watched = True

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if self.is_watched:
            self.watching.clock.sleep(seconds)
            self.watching.trader.work()
            self.watching.trader.attend()


@pytest.mark.parametrize("is_watched", [True, False])
def test_a_watching_trading_renews_the_exits_after_a_split_before_anything_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, is_watched: bool
) -> None:
    folder = make(tmp_path, orders_at_split="cancel")
    execute(folder, 0, trade("ALKS", "BUY", 154, 32.66), at=MORNING)
    with outside(folder, BETWEEN) as opened:
        happen(opened, do="split", of="ALKS", ratio=D(2))
    clock = NightClock(MORNING + DAY, folder)
    clock.is_watched = is_watched
    choices = Choices(clock=clock, exchange_state=folder / "state.yaml", via_watchers=True)
    with closing(SharedDesk(folder, choices)) as opened, closing(clock.watching):
        opened.ceo.current_plan = plan_of(1, trade("CTVA", "SELL", 190, 64.64), at=MORNING + DAY)
        opened.ceo.plan_approved = True
        opened.ceo.execute_plan()
        document = final(opened, "PLAN_20251111_150000")
        orders = [o for o in opened.broker.orders("all") if o.submitted_at and o.submitted_at > BETWEEN]
    assert ("ALKS: nobody has made its exits anew" in caplog.text) is not is_watched
    if is_watched:
        assert [(o.symbol, o.qty) for o in sorted(orders, key=lambda o: str(o.submitted_at))[:1]] == [("ALKS", D(308))]
        assert document["status"] == "COMPLETED"
    else:
        assert document["status"] == "COMPLETED_WITH_ISSUES"
        assert {"ALKS"} <= {row["ticker"] for row in document["unprotected"]}
