"""Shares without live exits: a line of the report and of the status, from the beginning of the stretch."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from Departments.bootstrap import Choices, Desk
from Departments.brokers.base import BrokerList, Orders
from Departments.brokers.registry import EXCHANGE_FILE
from Departments.brokers.simulated import SimulatedBroker
from Departments.core.errors import NotFound
from Departments.core.moments import iso
from Departments.core.orders import Order, OrderChange, OrderRequest, OrderType, Side, TimeInForce
from Departments.core.platform.clock import SimulatedClock
from Departments.core.portfolio import Position
from Departments.Trading.coverage import ExitCoverage
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
    assert ("ALKS: its exits are not renewed" in caplog.text) is not is_watched
    if is_watched:
        assert [(o.symbol, o.qty) for o in sorted(orders, key=lambda o: str(o.submitted_at))[:1]] == [("ALKS", D(308))]
        assert document["status"] == "COMPLETED"
    else:
        assert document["status"] == "COMPLETED_WITH_ISSUES"
        assert {"ALKS"} <= {row["ticker"] for row in document["unprotected"]}


def forget_exits(folder: Path, symbol: str) -> None:
    """Let the exchange lose the open exits of a symbol: no list and no id knows them, and their shares are free."""
    with closing(sqlite3.connect(folder / EXCHANGE_FILE)) as exchange, exchange:
        found = "SELECT id FROM orders WHERE symbol = ? AND side = 'SELL' AND status IN ('new', 'held', 'accepted')"
        exchange.execute(f"DELETE FROM orders WHERE id IN ({found})", (symbol,))


def read_stops(opened: Desk, symbol: str) -> list[D]:
    orders = {o.id: o for o, _ in resting_exits(opened.broker, symbol) if o.stop_price is not None}
    return [order.remaining_qty for order in orders.values()]


def test_exits_that_the_account_does_not_show_any_more_are_made_again_once(tmp_path: Path) -> None:
    folder = make(tmp_path)
    execute(folder, 0, trade("ALKS", "BUY", 150, 32.66), at=MORNING)
    forget_exits(folder, "ALKS")
    document = execute(folder, 1, trade("COMM", "BUY", 250, 17.02), at=MORNING + DAY)
    assert (document["status"], document["locks"]) == ("COMPLETED", [])
    assert [row["ticker"] for row in document["since_last"]["cancelled"]] == ["ALKS"]
    (stretch,) = document["unprotected"]
    assert (stretch["ticker"], stretch["qty"]) == ("ALKS", "150")
    assert stretch["until"] is not None
    after = execute(folder, 2, trade("SN", "BUY", 40, 96.19), at=MORNING + 2 * DAY)
    assert after["status"] == "COMPLETED"
    with outside(folder, MORNING + 2 * DAY + timedelta(hours=1)) as opened:
        assert read_stops(opened, "ALKS") == [150]


@pytest.mark.parametrize("is_young", [True, False])
def test_exits_that_may_still_show_or_whose_shares_are_held_lock_the_symbol(tmp_path: Path, *, is_young: bool) -> None:
    folder = make(tmp_path)
    execute(folder, 0, trade("ALKS", "BUY", 150, 32.66), at=MORNING)
    forget_exits(folder, "ALKS")
    with outside(folder, MORNING + timedelta(minutes=5) if is_young else BETWEEN) as opened:
        if not is_young:
            request = OrderRequest("mine", "ALKS", Side.SELL, D(20), type=OrderType.LIMIT, limit_price=D(90))
            opened.broker.submit(replace(request, time_in_force=TimeInForce.GTC))
        opened.trader.reconcile()
        assert set(opened.ledger.releases.find_locks()) == {"ALKS"}
        assert opened.ledger.shares_without_exits(exits_wanted=True) == {}


@pytest.mark.parametrize("by_id", [True, False])
def test_exits_that_only_a_lagging_list_lacks_are_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, by_id: bool
) -> None:
    folder = make(tmp_path)
    execute(folder, 0, trade("ALKS", "BUY", 150, 32.66), at=MORNING)
    with outside(folder, BETWEEN) as opened:
        known = {order.id for order, _ in resting_exits(opened.broker, "ALKS")}
    listed, position, positions = SimulatedBroker.orders, SimulatedBroker.position, SimulatedBroker.positions

    def list_less(self: SimulatedBroker, *scope: Any, **options: Any) -> Orders:
        rows = listed(self, *scope, **options)
        kept = [replace(o, legs=tuple(leg for leg in o.legs if leg.id not in known)) for o in rows]
        return BrokerList([o for o in kept if o.id not in known], rows.foreign, rows.unreadable)

    def free(found: Position | None) -> Position | None:
        return found and (replace(found, qty_available=found.qty) if found.symbol == "ALKS" else found)

    found = SimulatedBroker.order

    def ask(self: SimulatedBroker, order_id: str) -> Order:
        if order_id in known and not by_id:
            raise NotFound(order_id)
        return found(self, order_id)

    with monkeypatch.context() as patch:
        patch.setattr(SimulatedBroker, "order", ask)
        patch.setattr(SimulatedBroker, "orders", list_less)
        patch.setattr(SimulatedBroker, "position", lambda self, symbol: free(position(self, symbol)))
        patch.setattr(SimulatedBroker, "positions", lambda self: BrokerList(map(free, positions(self))))
        with outside(folder, MORNING + DAY) as opened:
            opened.trader.reconcile()
            assert opened.ledger.shares_without_exits(exits_wanted=True) == {}
            assert set(opened.ledger.releases.find_locks()) == (set() if by_id else {"ALKS"})
    execute(folder, 1, trade("COMM", "BUY", 250, 17.02), at=MORNING + DAY)
    with outside(folder, MORNING + DAY + timedelta(hours=1)) as opened:
        assert read_stops(opened, "ALKS") == [150]


def test_exits_whose_loss_a_person_has_accepted_are_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make(tmp_path)
    execute(folder, 0, trade("ALKS", "BUY", 150, 32.66), at=MORNING)
    monkeypatch.setattr(ExitCoverage, "_are_gone", lambda *_: False)
    forget_exits(folder, "ALKS")
    document = execute(folder, 1, trade("COMM", "BUY", 250, 17.02), at=MORNING + DAY)
    assert [row["ticker"] for row in document["locks"]] == ["ALKS"]
    with outside(folder, MORNING + DAY + timedelta(hours=1)) as opened:
        opened.trader.accept("ALKS")
    execute(folder, 2, trade("SN", "BUY", 40, 96.19), at=MORNING + 2 * DAY)
    with outside(folder, MORNING + 2 * DAY + timedelta(hours=1)) as opened:
        assert read_stops(opened, "ALKS") == [150]


def test_shares_that_a_person_took_out_of_an_exit_get_another(tmp_path: Path) -> None:
    folder = workspace(tmp_path, settings={**SETTINGS, "exits": {"kind": "trailing"}}, state={**STATE})
    execute(folder, 0, trade("ALKS", "BUY", 150, 32.66), at=MORNING)
    with outside(folder, BETWEEN) as opened:
        ((stop, _),) = resting_exits(opened.broker, "ALKS")
        opened.broker.replace(stop.id, OrderChange("edited", qty=D(100)))
        opened.clock.sleep(5)
    document = execute(folder, 1, trade("COMM", "BUY", 250, 17.02), at=MORNING + DAY)
    assert document["status"] == "COMPLETED"
    with outside(folder, MORNING + DAY + timedelta(hours=1)) as opened:
        assert sorted(o.remaining_qty for o, _ in resting_exits(opened.broker, "ALKS")) == [50, 100]
        opened.broker.cancel(opened.broker.order_by_client_id("edited").id)
        opened.clock.sleep(5)
        opened.trader.reconcile()
        assert opened.ledger.shares_without_exits(exits_wanted=True) == {"ALKS": 100}
