"""The shares that the desk answers for: bought by its orders, or adopted. They have live exits, or a line says so."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from Departments.brokers.snapshot import FactsReader
from Departments.commands.recovery import Findings
from Departments.core.activities import ActivityKind
from Departments.core.facts import Facts
from Departments.core.orders import OrderRequest, OrderType, Side, TimeInForce
from Departments.ledger.trading_records import OrderRecords
from Departments.Trading.exits import resting_exits
from tests.builders.desk import MORNING, trade, workspace
from tests.integration.test_account_truth import DAY, SETTINGS, execute, happen, outside
from tests.integration.test_splits_and_renames import BETWEEN, hide, read_exits


def cancel_exits(opened: Any, symbol: str) -> None:
    for order, _ in resting_exits(opened.broker, symbol):
        if not opened.broker.order(order.id).status.is_terminal:
            opened.broker.cancel(order.id)
            opened.clock.sleep(5)


def bare_of(opened: Any) -> dict[str, D]:
    return dict(Findings.read(opened, opened.trader.reconcile(), ()).unprotected)


@pytest.mark.parametrize("seen_by", ["reconcile", "watcher"])
def test_exits_that_ended_weeks_ago_are_made_again(tmp_path: Path, seen_by: str) -> None:
    folder = workspace(tmp_path, settings=SETTINGS)
    execute(folder, 0, trade("ALKS", "BUY", 154, 32.66), at=MORNING)
    with outside(folder, BETWEEN) as opened:
        cancel_exits(opened, "ALKS")
        opened.trader.reconcile() if seen_by == "reconcile" else opened.trader.work()
        assert bare_of(opened) == {"ALKS": 154}
    execute(folder, 1, trade("COMM", "BUY", 250, 17.02), at=MORNING + 15 * DAY)
    with outside(folder, MORNING + 15 * DAY + timedelta(hours=1)) as opened:
        assert [qty for qty, _ in read_exits(opened, "ALKS")] == [154]
        assert bare_of(opened) == {}


def test_shares_that_do_not_exist_are_not_unprotected(tmp_path: Path) -> None:
    folder = workspace(tmp_path, settings=SETTINGS)
    execute(folder, 0, trade("ALKS", "BUY", 154, 32.66), at=MORNING)
    with outside(folder, BETWEEN) as opened:
        cancel_exits(opened, "ALKS")
        assert bare_of(opened) == {"ALKS": 154}
        happen(opened, do="trade_outside", of="ALKS", qty=D(-154))
        assert bare_of(opened) == {}
        assert opened.ledger.shares_without_exits(exits_wanted=True) == {}


def test_an_exit_that_somebody_else_placed_counts(tmp_path: Path) -> None:
    folder = workspace(tmp_path, settings=SETTINGS)
    execute(folder, 0, trade("ALKS", "BUY", 154, 32.66), at=MORNING)
    with outside(folder, BETWEEN) as opened:
        cancel_exits(opened, "ALKS")
        stop = OrderRequest(
            "a-hand", "ALKS", Side.SELL, D(100), type=OrderType.STOP, stop_price=D(29), time_in_force=TimeInForce.GTC
        )
        opened.broker.submit(stop)
        opened.clock.sleep(5)
        assert bare_of(opened) == {"ALKS": 54}


@pytest.mark.parametrize("way", ["accept", "accept the difference", "adopt"])
def test_adopted_shares_get_exits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    settings = {**SETTINGS, "accounts": {"foreign": {"MSFT": "adopt"}}} if way == "adopt" else SETTINGS
    folder = workspace(tmp_path, settings=settings)
    execute(folder, 0, trade("ALKS", "BUY", 154, 32.66), at=MORNING)
    if way == "accept the difference":
        hide(monkeypatch, ActivityKind.FILL)
    with outside(folder, BETWEEN) as opened:
        happen(opened, do="trade_outside", of="MSFT", qty=D(7))
        opened.trader.reconcile()
        if way != "adopt":
            assert bare_of(opened) == {}
            opened.trader.accept("MSFT")
        assert bare_of(opened) == {"MSFT": 7}
    execute(folder, 1, trade("COMM", "BUY", 250, 17.02), at=MORNING + DAY)
    with outside(folder, MORNING + DAY + timedelta(hours=1)) as opened:
        assert [qty for qty, _ in read_exits(opened, "MSFT")] == [7]


@pytest.mark.parametrize("lacking", [0, 20])
def test_every_share_has_exits_is_said_only_after_a_look_at_the_account(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, lacking: int
) -> None:
    folder = workspace(tmp_path, settings=SETTINGS)
    execute(folder, 0, trade("ALKS", "BUY", 154, 32.66), at=MORNING)
    with outside(folder, BETWEEN) as opened:
        cancel_exits(opened, "ALKS")
        opened.trader.reconcile()
    caplog.clear()
    caplog.set_level("INFO")
    read, under = FactsReader.read, OrderRecords.sum_under_exits

    def read_more(reader: FactsReader, *symbols: Any, **options: Any) -> Facts:
        facts = read(reader, *symbols, **options)
        position = facts.positions["ALKS"]
        more = replace(position, qty=position.qty + lacking, qty_available=position.available + lacking)
        return replace(facts, positions={**facts.positions, "ALKS": more})

    def sum_more(orders: OrderRecords, *, releasing: bool = False) -> dict[str, D]:
        """Sum as if the broker had taken twenty shares out of an exit."""
        found = under(orders, releasing=releasing)
        return {symbol: qty + (0 if releasing or symbol != "ALKS" else lacking) for symbol, qty in found.items()}

    monkeypatch.setattr(FactsReader, "read", read_more)
    monkeypatch.setattr(OrderRecords, "sum_under_exits", sum_more)
    execute(folder, 1, trade("COMM", "BUY", 250, 17.02), at=MORNING + DAY)
    assert ("ALKS: 20 shares have no live exits" in caplog.text) is bool(lacking)
    assert ("Every share bought has live exits" in caplog.text) is not bool(lacking)
