"""Splits and renames between two runs: the book follows, and all shares held get exits before anything else is sent."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from Departments.brokers.simulated import SimulatedBroker
from Departments.core.activities import Activity, ActivityKind
from Departments.core.errors import BrokerUnavailable, NotFound, UnreadableAnswer
from Departments.exchange.account_log import AccountLog
from Departments.exchange.exchange import SimulatedExchange
from Departments.Trading.exits import flat
from tests.builders.desk import MORNING, STATE, trade, workspace
from tests.integration.test_account_truth import DAY, SETTINGS, check_sum, execute, happen, outside

LATEST = MORNING + 9 * DAY
BETWEEN = MORNING + DAY - timedelta(hours=2)  # before the next session


def make(folder: Path, **state: Any) -> Path:
    return workspace(folder, settings=SETTINGS, state={**STATE, **state})


def hide(patch: pytest.MonkeyPatch, *kinds: ActivityKind) -> None:
    """Let the broker announce nothing of some kinds."""
    found = AccountLog.list
    patch.setattr(AccountLog, "list", lambda self, since: [a for a in found(self, since) if a.kind not in kinds])


def read_exits(opened: Any, symbol: str) -> list[tuple[D, D | None]]:
    """Return shares and stop of the live stops of a symbol."""
    orders = [o for o in flat(opened.broker.orders("all")) if o.symbol == symbol and not o.status.is_terminal]
    return list({o.id: (o.qty, o.stop_price) for o in orders if o.stop_price is not None}.values())


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("policy", ["cancel", "adjust"])
def test_after_a_split_all_shares_have_exits_at_the_divided_prices(
    tmp_path: Path, policy: str, monkeypatch: pytest.MonkeyPatch, *, announced: bool
) -> None:
    folder = make(tmp_path, orders_at_split=policy)
    execute(folder, 0, trade("ALKS", "BUY", 154, 32.66), at=MORNING)
    with outside(folder, BETWEEN) as opened:
        ((_, stop),) = read_exits(opened, "ALKS")
        assert stop is not None
        happen(opened, do="split", of="ALKS", ratio=D(2))
    if not announced:
        hide(monkeypatch, ActivityKind.SPLIT)
    document = execute(folder, 1, trade("COMM", "BUY", 250, 17.02), at=MORNING + DAY)
    with outside(folder, MORNING + DAY + timedelta(hours=1)) as opened:
        ((qty, now),) = read_exits(opened, "ALKS")
        assert qty == 308
        assert now is not None
        assert abs(now - stop / 2) <= D("0.02")
        assert opened.ledger.shares_without_exits(exits_wanted=True) == {}
        assert opened.ledger.releases.locks() == []
        assert opened.ledger.book.balance().holdings["ALKS"] == 308
    told = [row["sentence"] for row in document["since_last"]["changes"]]
    assert any("ALKS was split 2 for 1" in sentence and "154 → 308" in sentence for sentence in told)
    assert document["status"] == "COMPLETED"


def test_the_exits_of_a_split_are_live_before_anything_else_is_sent(tmp_path: Path) -> None:
    folder = make(tmp_path, orders_at_split="cancel")
    execute(folder, 0, trade("ALKS", "BUY", 154, 32.66), at=MORNING)
    with outside(folder, BETWEEN) as opened:
        happen(opened, do="split", of="ALKS", ratio=D(10))
    execute(folder, 1, trade("CTVA", "SELL", 190, 64.64), at=MORNING + DAY)
    with outside(folder, MORNING + DAY + timedelta(hours=1)) as opened:
        orders = [o for o in opened.broker.orders("all") if o.submitted_at and o.submitted_at > BETWEEN]
        (first, *_) = sorted(orders, key=lambda o: o.submitted_at or MORNING)
        assert (first.symbol, first.qty) == ("ALKS", D(1540))


def test_reconciling_says_the_split_and_sends_nothing(tmp_path: Path) -> None:
    folder = make(tmp_path, orders_at_split="cancel")
    execute(folder, 0, trade("ALKS", "BUY", 154, 32.66), at=MORNING)
    with outside(folder, BETWEEN) as opened:
        happen(opened, do="split", of="ALKS", ratio=D(10))
        before = len(opened.broker.orders("all"))
        opened.trader.reconcile()
        assert len(opened.broker.orders("all")) == before
        assert opened.ledger.shares_without_exits(exits_wanted=True) == {"ALKS": 1540}
        assert opened.ledger.book.find_entry_price("ALKS", LATEST) == pytest.approx(D("3.266"), rel=D("0.01"))
        opened.trader.reconcile()
        assert opened.ledger.shares_without_exits(exits_wanted=True) == {"ALKS": 1540}


def test_a_reverse_split_leaves_a_fraction_and_two_splits_come_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make(tmp_path, orders_at_split="cancel")
    execute(folder, 0, trade("ALKS", "BUY", 154, 32.66), trade("COMM", "BUY", 250, 17.02), at=MORNING)
    with outside(folder, BETWEEN) as opened:
        happen(opened, do="split", of="ALKS", ratio=D("0.1"))
        happen(opened, do="split", of="COMM", ratio=D(2))
        held = {p.symbol: p.qty for p in opened.broker.positions()}
    hide(monkeypatch, ActivityKind.SPLIT)
    execute(folder, 1, trade("CTVA", "SELL", 190, 64.64), at=MORNING + DAY)
    with outside(folder, MORNING + DAY + timedelta(hours=1)) as opened:
        assert opened.ledger.releases.locks() == []
        assert [qty for qty, _ in read_exits(opened, "ALKS")] == [15]
        assert [qty for qty, _ in read_exits(opened, "COMM")] == [500]
        assert opened.ledger.book.balance().holdings["ALKS"] == held["ALKS"]


@pytest.mark.parametrize(("symbol", "shares"), [("ALKS", 154), ("ALKS", 308), ("MSFT", -40)])
def test_shares_bought_or_sold_by_hand_are_no_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, symbol: str, shares: int
) -> None:
    folder = make(tmp_path)
    execute(folder, 0, trade("ALKS", "BUY", 154, 32.66), at=MORNING)
    hide(monkeypatch, ActivityKind.FILL)
    with outside(folder, BETWEEN) as opened:
        happen(opened, do="trade_outside", of=symbol, qty=D(shares))
        opened.trader.reconcile()
        assert symbol in opened.ledger.releases.find_locks()
        assert [d.qty for d in opened.ledger.book.differences() if d.symbol] == [D(shares)]


def test_an_announcement_waits_for_its_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make(tmp_path, orders_at_split="cancel")
    execute(folder, 0, trade("ALKS", "BUY", 154, 32.66), at=MORNING)
    announced = Activity(
        "20251111::split", ActivityKind.SPLIT, "SPLIT", BETWEEN, BETWEEN.date(), D(0), "ALKS", ratio=D(10), qty=D(1386)
    )
    found = AccountLog.list
    with monkeypatch.context() as patch, outside(folder, BETWEEN) as opened:
        patch.setattr(AccountLog, "list", lambda self, since: [*found(self, since), announced])
        opened.trader.reconcile()
        assert opened.ledger.releases.locks() == []
        assert opened.ledger.book.balance().holdings["ALKS"] == 154
        happen(opened, do="split", of="ALKS", ratio=D(10))
        opened.trader.reconcile()
        opened.trader.reconcile()
        assert opened.ledger.book.balance().holdings["ALKS"] == 1540
        assert opened.ledger.shares_without_exits(exits_wanted=True) == {"ALKS": 1540}


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize(("policy", "sold", "left"), [("multiply", 1540, 0), ("keep", 154, 1386)])
def test_old_stops_that_sell_split_shares_are_no_dispute_and_the_rest_gets_exits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: str, sold: int, left: int, *, announced: bool
) -> None:
    folder = make(tmp_path, orders_at_split=policy)
    execute(folder, 0, trade("ALKS", "BUY", 154, 32.66), at=MORNING)
    with outside(folder, BETWEEN) as opened:
        happen(opened, do="split", of="ALKS", ratio=D(10))
    if not announced:
        hide(monkeypatch, ActivityKind.SPLIT)
    document = execute(folder, 1, trade("COMM", "BUY", 250, 17.02), at=MORNING + DAY)
    check_sum(document)
    (stop,) = document["since_last"]["exits"]
    assert stop["qty"] == str(sold)
    assert abs(D(stop["bought_at"]) - D("3.266")) < D("0.05")
    assert abs(D(stop["profit"])) < D("0.1") * sold
    assert document["status"] == "COMPLETED"
    with outside(folder, MORNING + DAY + timedelta(hours=1)) as opened:
        assert opened.ledger.releases.locks() == []
        assert opened.ledger.book.balance().holdings.get("ALKS", 0) == left
        assert [qty for qty, _ in read_exits(opened, "ALKS")] == ([left] if left else [])
        assert opened.ledger.shares_without_exits(exits_wanted=True) == {}
        opened.trader.reconcile()
        assert opened.ledger.book.differences() == []


def test_shares_sold_before_the_split_are_not_counted_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make(tmp_path, orders_at_split="cancel")
    execute(folder, 0, trade("ALKS", "BUY", 154, 32.66), at=MORNING)
    execute(folder, 1, trade("ALKS", "SELL", 54, 32.66), at=MORNING + DAY)
    with outside(folder, BETWEEN + DAY) as opened:
        happen(opened, do="split", of="ALKS", ratio=D(10))
    hide(monkeypatch, ActivityKind.SPLIT)
    document = execute(folder, 2, trade("COMM", "BUY", 250, 17.02), at=MORNING + 2 * DAY)
    assert document["status"] == "COMPLETED"
    assert any("100 → 1000" in row["sentence"] for row in document["since_last"]["changes"])
    with outside(folder, MORNING + 2 * DAY + timedelta(hours=1)) as opened:
        assert sum(each for each, _ in read_exits(opened, "ALKS")) == 1000


@pytest.mark.parametrize(
    ("policy", "other", "announced"),
    [
        ("cancel", "META", True),
        ("cancel", "META", False),
        ("keep", "META", True),
        ("keep", "META", False),
        ("cancel", "COMM", True),  # it is held already
    ],
)
def test_a_renamed_symbol_keeps_its_book_its_price_and_its_exits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: str, other: str, *, announced: bool
) -> None:
    folder = make(tmp_path, orders_at_rename=policy)
    execute(folder, 0, trade("ALKS", "BUY", 154, 32.66), trade("COMM", "BUY", 250, 17.02), at=MORNING)
    held = 154 + (250 if other == "COMM" else 0)
    with outside(folder, BETWEEN) as opened:
        paid = opened.ledger.book.find_entry_price("ALKS", LATEST)
        happen(opened, do="rename", of="ALKS", to=other)
    if not announced:
        hide(monkeypatch, ActivityKind.RENAME)
    document = execute(folder, 1, trade("CTVA", "SELL", 190, 64.64), at=MORNING + DAY)
    assert f"ALKS is called {other} now: 154 shares" in [row["sentence"] for row in document["since_last"]["changes"]]
    assert document["status"] == "COMPLETED"
    with outside(folder, MORNING + DAY + timedelta(hours=1)) as opened:
        assert sum(qty for qty, _ in read_exits(opened, other)) == held
        assert opened.ledger.shares_without_exits(exits_wanted=True) == {}
        assert opened.ledger.releases.locks() == []
        assert opened.ledger.book.balance().holdings[other] == held
        if other == "META":
            assert opened.ledger.book.find_entry_price("META", LATEST) == paid


def test_a_symbol_that_becomes_another_asset_is_no_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make(tmp_path)
    execute(folder, 0, trade("ALKS", "BUY", 154, 32.66), at=MORNING)
    hide(monkeypatch, ActivityKind.RENAME)
    with outside(folder, BETWEEN) as opened:
        happen(opened, do="rename", of="ALKS", to="META")
        with opened.ledger.transaction():
            opened.ledger.actions.learn_assets({"ALKS": "another asset"})
        opened.trader.reconcile()
        assert set(opened.ledger.releases.find_locks()) == {"ALKS", "META"}


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize(("ratio", "shares"), [("1.5", 231), ("1.25", 192), ("0.5", 77), ("2", 308)])
def test_a_symbol_that_is_split_and_renamed_on_one_day_keeps_its_exits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ratio: str, shares: int, *, announced: bool
) -> None:
    folder = make(tmp_path, orders_at_split="cancel", orders_at_rename="cancel")
    execute(folder, 0, trade("ALKS", "BUY", 154, 32.66), at=MORNING)
    with outside(folder, BETWEEN) as opened:
        happen(opened, do="split", of="ALKS", ratio=D(ratio))
        happen(opened, do="rename", of="ALKS", to="META")
    if not announced:
        hide(monkeypatch, ActivityKind.RENAME, ActivityKind.SPLIT)
    document = execute(folder, 1, trade("CTVA", "SELL", 190, 64.64), at=MORNING + DAY)
    told = " ".join(row["sentence"] for row in document["since_last"]["changes"])
    assert f"ALKS is called META now: {shares if announced else 154}" in told
    assert f"{'ALKS' if announced else 'META'} was split" in told
    assert document["status"] == "COMPLETED"
    with outside(folder, MORNING + DAY + timedelta(hours=1)) as opened:
        assert sum(qty for qty, _ in read_exits(opened, "META")) == shares
        assert opened.ledger.releases.locks() == []
        assert opened.ledger.shares_without_exits(exits_wanted=True) == {}


@pytest.mark.parametrize(("ratio", "shares"), [("1.5", 231), ("1.25", 192)])
def test_an_unannounced_split_of_a_small_ratio_is_recognised_by_the_entry_price(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ratio: str, shares: int
) -> None:
    folder = make(tmp_path, orders_at_split="cancel")
    execute(folder, 0, trade("ALKS", "BUY", 154, 32.66), at=MORNING)
    with outside(folder, BETWEEN) as opened:
        happen(opened, do="split", of="ALKS", ratio=D(ratio))
    hide(monkeypatch, ActivityKind.SPLIT)
    document = execute(folder, 1, trade("CTVA", "SELL", 190, 64.64), at=MORNING + DAY)
    assert document["status"] == "COMPLETED"
    with outside(folder, MORNING + DAY + timedelta(hours=1)) as opened:
        assert [qty for qty, _ in read_exits(opened, "ALKS")] == [shares]


def test_an_unannounced_rename_into_a_held_symbol_locks_both_and_names_them_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make(tmp_path)
    execute(folder, 0, trade("ALKS", "BUY", 154, 32.66), trade("COMM", "BUY", 250, 17.02), at=MORNING)
    with outside(folder, BETWEEN) as opened:
        happen(opened, do="rename", of="ALKS", to="COMM")
    hide(monkeypatch, ActivityKind.RENAME)
    document = execute(folder, 1, trade("CTVA", "SELL", 190, 64.64), at=MORNING + DAY)
    locks = {row["ticker"]: row["reason"] for row in document["locks"]}
    assert set(locks) == {"ALKS", "COMM"}
    assert all("154 shares left ALKS and as many came to COMM" in reason for reason in locks.values())
    assert (document["status"], document["exit_code"]) == ("COMPLETED_WITH_ISSUES", 1)


def miss_activities(patch: pytest.MonkeyPatch, *kinds: ActivityKind) -> None:
    """Let the broker book no activities of some kinds, and announce them all the same."""
    found = SimulatedExchange.activities
    patch.setattr(SimulatedExchange, "activities", lambda self, at: [a for a in found(self, at) if a.kind not in kinds])


def test_an_announced_split_is_recognised_where_activities_are_missing_and_prices_disagree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make(tmp_path, orders_at_split="cancel")
    execute(folder, 0, trade("ALKS", "BUY", 154, 32.66), at=MORNING)
    with outside(folder, BETWEEN) as opened:
        happen(opened, do="split", of="ALKS", ratio=D(10))
        happen(opened, do="set_price", of="ALKS", price=D("5.40"))
        happen(opened, do="rename", of="MSFT", to="XYZ")  # of another symbol
    price_unknown = SimulatedExchange.positions
    monkeypatch.setattr(
        SimulatedExchange,
        "positions",
        lambda self: [replace(p, avg_entry_price=None) for p in price_unknown(self)],
    )
    miss_activities(monkeypatch, ActivityKind.SPLIT, ActivityKind.RENAME)
    document = execute(folder, 1, trade("COMM", "BUY", 250, 17.02), at=MORNING + DAY)
    told = [row["sentence"] for row in document["since_last"]["changes"]]
    assert any("ALKS was split 10 for 1" in sentence and "154 → 1540" in sentence for sentence in told)
    assert document["status"] == "COMPLETED"
    with outside(folder, MORNING + DAY + timedelta(hours=1)) as opened:
        assert [qty for qty, _ in read_exits(opened, "ALKS")] == [1540]
        assert opened.ledger.releases.locks() == []


def test_an_announced_rename_into_a_held_symbol_is_recognised_where_activities_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make(tmp_path)
    execute(folder, 0, trade("ALKS", "BUY", 154, 32.66), trade("COMM", "BUY", 250, 17.02), at=MORNING)
    with outside(folder, BETWEEN) as opened:
        happen(opened, do="rename", of="ALKS", to="COMM")
    miss_activities(monkeypatch, ActivityKind.SPLIT, ActivityKind.RENAME)
    document = execute(folder, 1, trade("CTVA", "SELL", 190, 64.64), at=MORNING + DAY)
    assert document["status"] == "COMPLETED"
    with outside(folder, MORNING + DAY + timedelta(hours=1)) as opened:
        assert sum(qty for qty, _ in read_exits(opened, "COMM")) == 404
        assert opened.ledger.shares_without_exits(exits_wanted=True) == {}
        assert opened.ledger.releases.locks() == []


def test_an_announcement_whose_split_the_account_does_not_show_explains_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make(tmp_path)
    execute(folder, 0, trade("ALKS", "BUY", 154, 32.66), at=MORNING)
    announced = Activity("2:1", ActivityKind.SPLIT, "split", None, BETWEEN.date(), D(0), "ALKS", ratio=D(2))
    monkeypatch.setattr(SimulatedExchange, "announcements", lambda self, symbols, since: [announced])
    hide(monkeypatch, ActivityKind.FILL)
    with outside(folder, BETWEEN) as opened:
        happen(opened, do="trade_outside", of="ALKS", qty=D(12))
        opened.trader.reconcile()
        assert [(d.symbol, d.qty) for d in opened.ledger.book.differences() if d.symbol] == [("ALKS", D(12))]
        assert set(opened.ledger.releases.find_locks()) == {"ALKS"}
        assert opened.ledger.book.balance().holdings["ALKS"] == 154


@pytest.mark.parametrize("error", [NotFound("no such list"), BrokerUnavailable("403"), UnreadableAnswer("{]")])
def test_without_announcements_the_other_signs_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    folder = make(tmp_path, orders_at_split="cancel")
    execute(folder, 0, trade("ALKS", "BUY", 154, 32.66), at=MORNING)
    with outside(folder, BETWEEN) as opened:
        happen(opened, do="split", of="ALKS", ratio=D(2))
        hide(monkeypatch, ActivityKind.SPLIT)

        def refuse(*_: object) -> None:
            raise error

        monkeypatch.setattr(SimulatedBroker, "announcements", refuse)
        opened.trader.reconcile()
        assert opened.ledger.book.balance().holdings["ALKS"] == 308


@pytest.mark.parametrize(
    ("actions", "held"),
    [
        ([{"do": "split", "of": "ALKS", "ratio": D(2)}, {"do": "rename", "of": "ALKS", "to": "COMM"}], 554),
        ([{"do": "rename", "of": "ALKS", "to": "COMM"}, {"do": "split", "of": "COMM", "ratio": D("1.25")}], 500),
        ([{"do": "split", "of": "COMM", "ratio": D(2)}, {"do": "split", "of": "COMM", "ratio": D("0.1")}], 49),
    ],
)
def test_several_announced_actions_of_one_symbol_are_booked_in_their_order(
    tmp_path: Path, actions: list[dict[str, Any]], held: int
) -> None:
    folder = make(tmp_path, orders_at_split="cancel", orders_at_rename="cancel")
    execute(folder, 0, trade("ALKS", "BUY", 154, 32.66), trade("COMM", "BUY", 246, 17.02), at=MORNING)
    with outside(folder, BETWEEN) as opened:
        for number, action in enumerate(actions):
            opened.clock.sleep(60 * number)
            happen(opened, **action)
        (qty,) = (p.qty for p in opened.broker.positions() if p.symbol == "COMM")
        assert int(qty) == held
    document = execute(folder, 1, trade("CTVA", "SELL", 190, 64.64), at=MORNING + DAY)
    check_sum(document)
    assert (document["status"], document["locks"]) == ("COMPLETED", [])
    with outside(folder, MORNING + DAY + timedelta(hours=1)) as opened:
        assert sum(each for each, _ in read_exits(opened, "COMM")) == held
        assert opened.ledger.book.balance().holdings["COMM"] == qty
        assert opened.ledger.shares_without_exits(exits_wanted=True) == {}


def test_actions_in_their_order_are_recognised_although_an_old_stop_has_sold_since(tmp_path: Path) -> None:
    folder = make(tmp_path, orders_at_split="keep", orders_at_rename="cancel")
    execute(folder, 0, trade("ALKS", "BUY", 154, 32.66), trade("COMM", "BUY", 246, 17.02), at=MORNING)
    with outside(folder, BETWEEN) as opened:
        happen(opened, do="rename", of="ALKS", to="COMM")
        opened.clock.sleep(60)
        happen(opened, do="split", of="COMM", ratio=D("1.25"))
    document = execute(folder, 1, trade("CTVA", "SELL", 190, 64.64), at=MORNING + DAY)
    check_sum(document)
    assert (document["status"], document["locks"]) == ("COMPLETED", [])
    assert [row["qty"] for row in document["since_last"]["exits"]] == ["246"]
    with outside(folder, MORNING + DAY + timedelta(hours=1)) as opened:
        assert [qty for qty, _ in read_exits(opened, "COMM")] == [254]
        assert opened.ledger.book.balance().holdings["COMM"] == 254
        assert opened.ledger.shares_without_exits(exits_wanted=True) == {}
