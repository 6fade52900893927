"""Shares without live exits: the row that every change of an order keeps right, and its history."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Departments.core.orders import Order, OrderStatus, OrderType, Purpose, Side
from Departments.core.reasons import ReasonCode
from Departments.core.statuses import ExecutionStatus
from Departments.Executive.reporting.report import stretch_text, unprotected_stretches
from Departments.ledger.ledger import Ledger
from Departments.ledger.order_records import OrderRecord
from Departments.ledger.plan_records import ExecutionRecord
from Departments.ledger.unprotected import ChangeCause, UnprotectedShares, change

START = datetime(2025, 11, 10, 15, 6, tzinfo=UTC)
PLAN = {"plan_id": "P", "generated_at": "2025-11-10T15:00:00Z", "status": "APPROVED", "trades": []}
WEEKS = 3 * 7 * 24 * 3600  # in seconds


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path / "sentinel.db")
    run = ExecutionRecord("P", START.date(), START, None, ExecutionStatus.RUNNING, D(90_000), D(10_000), D(9_000), None)
    opened.plans.save(PLAN, "", START)
    opened.plans.start(run)
    yield opened
    opened.close()


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def traded(ledger: Ledger, name: str, side: Side, qty: int, filled: int, at: float, status: str) -> None:
    """Record a trade's order, if need be, and what the broker said of it `at` seconds after the start."""
    observed(
        ledger,
        OrderRecord(name, f"M_{name}", "ALKS", side, D(qty), "market", "P", created_at=after(at)),
        filled,
        at,
        status,
    )


def bought(ledger: Ledger, filled: int, at: float, status: str, *, qty: int = 100, name: str = "BUY") -> None:
    traded(ledger, name, Side.BUY, qty, filled, at, status)


def sold(ledger: Ledger, filled: int, at: float, status: str, *, qty: int = 100) -> None:
    traded(ledger, "SELL", Side.SELL, qty, filled, at, status)


def leg(ledger: Ledger, name: str, filled: int, at: float, status: str, **more: Any) -> None:
    """Record an exit that the broker made of a bracket, or that somebody placed."""
    qty, parent = D(more.get("qty", 100)), more.get("parent", "BUY")
    kind = OrderType.STOP if name == "STOP" else OrderType.LIMIT
    intent = OrderRecord(
        name, f"EXIT_{name}", "ALKS", Side.SELL, qty, kind, "P", purpose=Purpose.EXIT, created_at=after(at)
    )
    intent = replace(intent, parent_id=parent)
    order = snapshot(intent, filled, at, status)
    with ledger.transaction():
        entry = ledger.orders.find(parent) if parent else None
        ledger.orders.adopt(intent, order, after(at), ledger.orders.find(name), entry)


def protected(ledger: Ledger, qty: int, at: float, status: str, filled: int = 0, name: str = "PROTECT") -> None:
    """Record the exits that PROTECT asked for."""
    intent = OrderRecord(
        name, f"M_{name}", "ALKS", Side.SELL, D(qty), "limit", "P", purpose=Purpose.EXIT, created_at=after(at)
    )
    observed(ledger, intent, filled, at, status)


def observed(ledger: Ledger, intent: OrderRecord, filled: int, at: float, status: str) -> None:
    with ledger.transaction():
        if ledger.orders.find(intent.client_order_id) is None:
            ledger.orders.intend(intent)
        ledger.orders.observe(snapshot(intent, filled, at, status), after(at))


def snapshot(intent: OrderRecord, filled: int, at: float, status: str) -> Order:
    name, price = intent.client_order_id, D(30) if filled else None
    given = (intent.symbol, intent.side, intent.qty, OrderStatus(status), D(filled), price)
    return Order(f"B_{name}", name, *given, type=OrderType(intent.order_type), updated_at=after(at))


def both(ledger: Ledger) -> list[D]:
    """Return the row where BUYs are to have exits, and where they are to have none."""
    return [unprotected(ledger), unprotected(ledger, exits_wanted=False)]


def unprotected(ledger: Ledger, *, exits_wanted: bool = True) -> D:
    """Return the row of the symbol, after a look at its history, which adds up to it."""
    rows = {row.symbol: row.qty for row in ledger.unprotected.find_all()}
    history = sum((each.qty for each in ledger.unprotected.changes_since(START - timedelta(weeks=99))), D(0))
    assert history == rows.get("ALKS", D(0))
    return ledger.shares_without_exits(exits_wanted=exits_wanted).get("ALKS", D(0))


def sentences(ledger: Ledger) -> list[str]:
    return [stretch_text(stretch) for stretch in unprotected_stretches(ledger, "P")]


def test_a_bracket_protects_from_the_moment_its_entry_has_filled(ledger: Ledger) -> None:
    bought(ledger, 40, 5, "partially_filled")
    assert unprotected(ledger) == 40
    bought(ledger, 100, 9, "filled")
    leg(ledger, "TARGET", 0, 9, "new")
    leg(ledger, "STOP", 0, 9, "held")
    assert unprotected(ledger) == 0
    assert sentences(ledger) == ["ALKS: 40 shares had no live exits from 10:06:05 to 10:06:09 EST (4 s)"]


def test_legs_that_become_known_later_have_protected_since_their_entry_filled(ledger: Ledger) -> None:
    bought(ledger, 100, 9, "filled")
    assert unprotected(ledger) == 100
    leg(ledger, "TARGET", 0, 30, "new")
    assert unprotected(ledger) == 0
    assert sentences(ledger) == []


def test_legs_of_an_entry_that_is_not_complete_protect_nothing(ledger: Ledger) -> None:
    bought(ledger, 40, 5, "partially_filled")
    leg(ledger, "TARGET", 0, 5, "held")
    assert sentences(ledger) == ["ALKS: 40 shares had no live exits from 10:06:05 EST on, and have none now"]
    assert unprotected(ledger) == 40


def released(ledger: Ledger, at: float = 2) -> None:
    """Cancel for a SELL the exits of 100 shares that somebody placed."""
    leg(ledger, "TARGET", 0, -600, "new", parent=None)
    ledger.orders.release(["TARGET"], after(0))
    leg(ledger, "TARGET", 0, at, "canceled", parent=None)


def test_released_shares_are_unprotected_until_they_are_sold_or_protected_again(ledger: Ledger) -> None:
    released(ledger)
    sold(ledger, 70, 10, "canceled")
    assert unprotected(ledger) == 30
    protected(ledger, 30, 31, "new")
    assert unprotected(ledger) == 0
    assert sentences(ledger) == [
        "ALKS: 100 shares had no live exits from 10:06:02 to 10:06:10 EST (8 s)",
        "ALKS: 30 shares had no live exits from 10:06:10 to 10:06:31 EST (21 s)",
    ]


def test_shares_whose_exits_are_still_being_released_need_new_ones(ledger: Ledger) -> None:
    leg(ledger, "TARGET", 0, -600, "new", parent=None)
    ledger.orders.release(["TARGET"], after(0))
    assert both(ledger) == [100, 100]
    assert sentences(ledger) == []


def test_shares_of_a_release_need_exits_even_if_buys_have_none(ledger: Ledger) -> None:
    bought(ledger, 40, 1, "canceled")
    released(ledger)
    assert both(ledger) == [140, 100]
    protected(ledger, 100, 31, "new")
    assert both(ledger) == [40, 0]


def test_exits_that_the_broker_took_and_then_rejected_never_protected(ledger: Ledger) -> None:
    bought(ledger, 40, 5, "canceled")
    protected(ledger, 40, 8, "pending_new")
    assert unprotected(ledger) == 40
    protected(ledger, 40, 9, "rejected")
    assert sentences(ledger) == ["ALKS: 40 shares had no live exits from 10:06:05 EST on, and have none now"]
    assert unprotected(ledger) == 40


def test_exits_that_are_rejected_although_they_were_live_never_protected(ledger: Ledger) -> None:
    bought(ledger, 40, 5, "canceled")
    protected(ledger, 40, 8, "new")
    assert unprotected(ledger) == 0
    protected(ledger, 40, 9, "rejected")
    assert unprotected(ledger) == 40
    assert sentences(ledger) == ["ALKS: 40 shares had no live exits from 10:06:05 EST on, and have none now"]


def test_exits_that_the_broker_refuses_protect_nothing(ledger: Ledger) -> None:
    bought(ledger, 40, 5, "canceled")
    protected(ledger, 40, 8, "new")
    ledger.orders.refuse("PROTECT", "BROKER_REJECTED", "no", after(9), None)
    assert unprotected(ledger) == 40


def test_what_a_stop_sells_is_not_unprotected_afterwards(ledger: Ledger) -> None:
    bought(ledger, 100, 5, "filled")
    for name in ("TARGET", "STOP"):
        leg(ledger, name, 0, 5, "held")
    leg(ledger, "STOP", 100, 20, "filled")
    leg(ledger, "TARGET", 0, 20, "canceled")
    assert sentences(ledger) == []
    assert unprotected(ledger) == 0


def test_no_time_makes_unprotected_shares_forgotten(ledger: Ledger) -> None:
    bought(ledger, 40, 5, "canceled")
    protected(ledger, 40, WEEKS, "new")
    protected(ledger, 40, 2 * WEEKS, "expired")
    assert unprotected(ledger) == 40


def bought_with_exits(ledger: Ledger, filled: int = 100) -> None:
    bought(ledger, filled, 5, "filled" if filled == 100 else "canceled")
    for name in ("TARGET", "STOP"):
        leg(ledger, name, 0, 5, "held")


@pytest.mark.parametrize("status", ["canceled", "expired"])
def test_shares_whose_old_exits_have_ended_are_unprotected(ledger: Ledger, status: str) -> None:
    bought_with_exits(ledger)
    assert unprotected(ledger) == 0
    for name in ("TARGET", "STOP"):
        leg(ledger, name, 0, WEEKS, status)
    assert both(ledger) == [100, 0]
    protected(ledger, 100, WEEKS + 61, "new")
    assert unprotected(ledger) == 0


@pytest.mark.parametrize(("name", "filled", "left"), [("STOP", 100, 0), ("STOP", 30, 70), ("TARGET", 30, 70)])
@pytest.mark.parametrize("order", [("TARGET", "STOP"), ("STOP", "TARGET")])
def test_what_exits_sold_before_they_ended_is_not_unprotected(
    ledger: Ledger, order: Sequence[str], name: str, filled: int, left: int
) -> None:
    bought_with_exits(ledger)
    for each in order:
        of_it = filled if each == name else 0
        leg(ledger, each, of_it, WEEKS, "filled" if of_it == 100 else "canceled")
    assert unprotected(ledger) == left


def test_exits_that_never_protected_are_not_missed_when_they_end(ledger: Ledger) -> None:
    bought_with_exits(ledger, filled=0)
    for name in ("TARGET", "STOP"):
        leg(ledger, name, 0, WEEKS, "canceled")
    assert unprotected(ledger) == 0


def test_exits_whose_absence_a_person_has_accepted_leave_their_shares_unprotected(ledger: Ledger) -> None:
    bought_with_exits(ledger)
    (target,) = [o for o in ledger.orders.find_open() if o.client_order_id == "TARGET"]
    ledger.orders.withdraw(target, ReasonCode.SYMBOL_LOCKED, "the broker does not know it", after(WEEKS))
    assert unprotected(ledger) == 0
    leg(ledger, "STOP", 0, WEEKS, "canceled")
    assert unprotected(ledger) == 100


def test_a_stop_that_has_triggered_protects_although_its_target_is_gone(ledger: Ledger) -> None:
    bought_with_exits(ledger)
    leg(ledger, "TARGET", 0, 20, "canceled")
    leg(ledger, "STOP", 0, 20, "new")
    assert unprotected(ledger) == 0
    leg(ledger, "STOP", 60, 24, "canceled")
    assert unprotected(ledger) == 40
    assert sentences(ledger) == ["ALKS: 40 shares had no live exits from 10:06:24 EST on, and have none now"]


def test_exits_of_shares_that_the_ledger_never_saw_bought_hide_none_that_it_did(ledger: Ledger) -> None:
    bought(ledger, 40, 5, "canceled")
    leg(ledger, "TARGET", 0, 8, "new", parent=None, qty=190)
    assert unprotected(ledger) == 40
    leg(ledger, "TARGET", 0, 9, "canceled", parent=None, qty=190)
    assert unprotected(ledger) == 230


def test_a_stop_alone_protects_as_a_target_does(ledger: Ledger) -> None:
    leg(ledger, "STOP", 0, -600, "new", parent=None)
    leg(ledger, "STOP", 30, 9, "canceled", parent=None)
    assert unprotected(ledger) == 70


def test_a_sale_takes_unprotected_shares_first_and_no_more_than_there_are(ledger: Ledger) -> None:
    bought(ledger, 40, 5, "canceled")
    sold(ledger, 90, 7, "canceled")
    bought(ledger, 10, 9, "canceled", name="MORE")
    assert unprotected(ledger) == 10


def test_an_exit_s_sale_that_is_seen_before_its_entry_s_fill_counts_once(ledger: Ledger) -> None:
    bought(ledger, 0, 1, "new")
    leg(ledger, "STOP", 0, 1, "held")
    leg(ledger, "TARGET", 100, 8, "filled")
    bought(ledger, 100, 9, "filled")
    assert unprotected(ledger) == 0


def test_what_is_observed_again_changes_nothing(ledger: Ledger) -> None:
    bought_with_exits(ledger)
    leg(ledger, "STOP", 30, 20, "canceled")
    leg(ledger, "TARGET", 0, 20, "canceled")
    rows = ledger.unprotected.find_all(), ledger.unprotected.changes_since(START)
    for name in ("TARGET", "STOP"):
        leg(ledger, name, 0, 30, "canceled")
    bought(ledger, 100, 30, "filled")
    assert (ledger.unprotected.find_all(), ledger.unprotected.changes_since(START)) == rows


def test_what_a_transaction_did_to_the_row_is_undone_with_it(ledger: Ledger) -> None:
    def fail() -> None:
        with ledger.transaction():
            bought(ledger, 40, 5, "canceled")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        fail()
    assert unprotected(ledger) == 0


#: The life of a bracket whose target sells 30 before both exits are cancelled, in the broker's order.
NEWS = (
    ("BUY", 100, 5, "filled"),
    ("TARGET", 30, 10, "partially_filled"),
    ("TARGET", 30, 20, "canceled"),
    ("STOP", 0, 20, "canceled"),
)


@pytest.mark.parametrize("news", list(permutations(NEWS)))
def test_the_news_of_a_bracket_may_come_in_any_order(ledger: Ledger, news: Sequence[tuple[str, int, int, str]]) -> None:
    bought(ledger, 0, 1, "new")
    for name, filled, at, status in news:
        if name == "BUY":
            bought(ledger, filled, at, status)
        else:
            leg(ledger, name, filled, at, status)
    assert unprotected(ledger) == 70


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 90), st.integers(0, 3)), min_size=1, max_size=12))
def test_the_row_is_what_its_history_adds_up_to(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int]]
) -> None:
    with closing(Ledger(tmp_path_factory.mktemp("ledger") / "sentinel.db")) as ledger:
        for number, (qty, kind) in enumerate(steps):
            if kind == 0:
                bought(ledger, qty, number, "canceled", name=f"BUY{number}")
            elif kind == 1:
                traded(ledger, f"SELL{number}", Side.SELL, 100, qty, number, "canceled")
            else:
                protected(ledger, qty, number, "new", name=f"OCO{number}")
            if kind == 3:
                protected(ledger, qty, number, "canceled", filled=qty // 2, name=f"OCO{number}")
            assert unprotected(ledger) >= 0


def test_what_is_sold_beyond_the_unprotected_shares_leaves_the_history_true() -> None:
    known = UnprotectedShares("ALKS", D(30), D(10))
    row, changes = change(known, {(after(1), ChangeCause.SOLD): D(-20), (after(2), ChangeCause.SOLD): D(-25)})
    assert row == UnprotectedShares("ALKS", D(0), D(0))
    assert [(each.at, each.qty) for each in changes] == [(after(1), D(-20)), (after(2), D(-10))]
