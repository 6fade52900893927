from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from pathlib import Path

import pytest

from Departments.core.orders import Order, OrderStatus, Purpose, Side
from Departments.core.reasons import ReasonCode
from Departments.core.statuses import ExecutionStatus, PhaseName
from Departments.Executive.exposure import bare_shares, exposures_of
from Departments.ledger.ledger import Ledger
from Departments.ledger.order_records import OrderIntent
from Departments.ledger.plan_records import ExecutionRecord, TradeRecord

START = datetime(2025, 11, 10, 15, 6, tzinfo=UTC)
PLAN = {"plan_id": "P", "generated_at": "2025-11-10T15:00:00Z", "status": "APPROVED", "trades": []}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path / "sentinel.db")
    run = ExecutionRecord("P", START.date(), START, None, ExecutionStatus.RUNNING, D(90_000), D(10_000), D(9_000), None)
    opened.plans.save(PLAN, "", START)
    opened.plans.start(run)
    yield opened
    opened.close()


def after(seconds: int) -> datetime:
    return START + timedelta(seconds=seconds)


def trade(ledger: Ledger, phase: PhaseName, qty: int) -> None:
    side = Side.BUY if phase is PhaseName.BUY else Side.SELL
    record = TradeRecord(phase, "ALKS", side, D(qty), D(qty), message_id=f"M_{phase}", dispatched_at=START)
    ledger.plans.add_trade("P", 0, record)


def seen(
    ledger: Ledger,
    name: str,
    side: Side,
    qty: int,
    filled: int,
    at: int,
    *,
    status: str,
    purpose: Purpose = Purpose.TRADE,
) -> None:
    """Record an order, if need be, and what the broker said of it `at` seconds after the start."""
    message_id = f"M_{name}" if purpose is Purpose.TRADE or name == "PROTECT" else f"EXIT_{name}"
    kind = "market" if purpose is Purpose.TRADE else "stop" if name == "STOP" else "limit"
    if ledger.orders.find(name) is None:
        ledger.orders.intend(OrderIntent(name, message_id, "ALKS", side, D(qty), kind, "P", purpose=purpose), after(at))
    price = D(30) if filled else None
    told = Order(f"B_{name}", name, "ALKS", side, D(qty), OrderStatus(status), D(filled), price, updated_at=after(at))
    ledger.orders.observe(told, after(at))


def told(ledger: Ledger) -> list[str]:
    return list(map(str, exposures_of(ledger, "P")))


def test_a_bracket_protects_from_the_moment_its_entry_has_filled(ledger: Ledger) -> None:
    trade(ledger, PhaseName.BUY, 100)
    seen(ledger, "BUY", Side.BUY, 100, 40, 5, status="partially_filled")
    seen(ledger, "BUY", Side.BUY, 100, 100, 9, status="filled")
    seen(ledger, "TARGET", Side.SELL, 100, 0, 9, status="new", purpose=Purpose.EXIT)
    seen(ledger, "STOP", Side.SELL, 100, 0, 9, status="held", purpose=Purpose.EXIT)
    assert told(ledger) == ["ALKS: 40 shares had no live exits from 15:06:05 to 15:06:09 UTC (4 s)"]
    assert bare_shares(ledger, after(60)) == {"ALKS": D(0)}


def test_legs_of_an_entry_that_is_not_complete_protect_nothing(ledger: Ledger) -> None:
    trade(ledger, PhaseName.BUY, 100)
    seen(ledger, "BUY", Side.BUY, 100, 40, 5, status="partially_filled")
    seen(ledger, "TARGET", Side.SELL, 100, 0, 5, status="held", purpose=Purpose.EXIT)
    assert told(ledger) == ["ALKS: 40 shares had no live exits from 15:06:05 UTC on, and have none now"]
    assert bare_shares(ledger, after(60)) == {"ALKS": D(40)}


def test_released_shares_are_bare_until_they_are_sold_or_protected_again(ledger: Ledger) -> None:
    seen(ledger, "TARGET", Side.SELL, 100, 0, -600, status="new", purpose=Purpose.EXIT)
    trade(ledger, PhaseName.RELEASE, 100)
    seen(ledger, "TARGET", Side.SELL, 100, 0, 2, status="canceled", purpose=Purpose.EXIT)
    trade(ledger, PhaseName.SELL, 100)
    seen(ledger, "SELL", Side.SELL, 100, 70, 10, status="canceled")
    assert bare_shares(ledger, after(60)) == {"ALKS": D(30)}
    seen(ledger, "PROTECT", Side.SELL, 30, 0, 31, status="new", purpose=Purpose.EXIT)
    assert bare_shares(ledger, after(60)) == {"ALKS": D(0)}
    assert told(ledger) == [
        "ALKS: 100 shares had no live exits from 15:06:02 to 15:06:10 UTC (8 s)",
        "ALKS: 30 shares had no live exits from 15:06:10 to 15:06:31 UTC (21 s)",
    ]


def test_exits_that_the_broker_took_and_then_rejected_never_protected(ledger: Ledger) -> None:
    trade(ledger, PhaseName.BUY, 100)
    seen(ledger, "BUY", Side.BUY, 100, 40, 5, status="canceled")
    seen(ledger, "PROTECT", Side.SELL, 40, 0, 8, status="pending_new", purpose=Purpose.EXIT)
    seen(ledger, "PROTECT", Side.SELL, 40, 0, 9, status="rejected", purpose=Purpose.EXIT)
    assert told(ledger) == ["ALKS: 40 shares had no live exits from 15:06:05 UTC on, and have none now"]
    assert bare_shares(ledger, after(60)) == {"ALKS": D(40)}


def test_what_a_stop_sells_is_not_bare_afterwards(ledger: Ledger) -> None:
    trade(ledger, PhaseName.BUY, 100)
    seen(ledger, "BUY", Side.BUY, 100, 100, 5, status="filled")
    for name in ("TARGET", "STOP"):
        seen(ledger, name, Side.SELL, 100, 0, 5, status="held", purpose=Purpose.EXIT)
    seen(ledger, "STOP", Side.SELL, 100, 100, 20, status="filled", purpose=Purpose.EXIT)
    seen(ledger, "TARGET", Side.SELL, 100, 0, 20, status="canceled", purpose=Purpose.EXIT)
    assert told(ledger) == []
    assert bare_shares(ledger, after(60)) == {"ALKS": D(0)}


def test_what_was_left_bare_more_than_a_week_ago_is_not_touched(ledger: Ledger) -> None:
    trade(ledger, PhaseName.BUY, 100)
    seen(ledger, "BUY", Side.BUY, 100, 40, 5, status="canceled")
    assert bare_shares(ledger, START + timedelta(days=6)) == {"ALKS": D(40)}
    assert bare_shares(ledger, START + timedelta(days=8)) == {}


WEEKS = 3 * 7 * 24 * 3600  # in seconds


def bought_long_ago(ledger: Ledger, filled: int = 100) -> None:
    trade(ledger, PhaseName.BUY, 100)
    seen(ledger, "BUY", Side.BUY, 100, filled, 5, status="filled" if filled == 100 else "canceled")
    for name in ("TARGET", "STOP"):
        seen(ledger, name, Side.SELL, 100, 0, 5, status="held", purpose=Purpose.EXIT)


@pytest.mark.parametrize("status", ["canceled", "expired"])
def test_shares_whose_old_exits_have_ended_are_bare(ledger: Ledger, status: str) -> None:
    bought_long_ago(ledger)
    for name in ("TARGET", "STOP"):
        seen(ledger, name, Side.SELL, 100, 0, WEEKS, status=status, purpose=Purpose.EXIT)
    assert bare_shares(ledger, after(WEEKS - 1)) == {}
    assert bare_shares(ledger, after(WEEKS + 60)) == {"ALKS": D(100)}
    assert bare_shares(ledger, after(WEEKS + 60), bought=False) == {}
    seen(ledger, "PROTECT", Side.SELL, 100, 0, WEEKS + 61, status="new", purpose=Purpose.EXIT)
    assert bare_shares(ledger, after(WEEKS + 120)) == {"ALKS": D(0)}


@pytest.mark.parametrize(("name", "filled", "left"), [("STOP", 100, 0), ("STOP", 30, 70), ("TARGET", 30, 70)])
def test_what_old_exits_sold_before_they_ended_is_not_bare(ledger: Ledger, name: str, filled: int, left: int) -> None:
    bought_long_ago(ledger)
    for each in ("TARGET", "STOP"):
        sold = filled if each == name else 0
        seen(
            ledger,
            each,
            Side.SELL,
            100,
            sold,
            WEEKS,
            status="filled" if sold == 100 else "canceled",
            purpose=Purpose.EXIT,
        )
    assert bare_shares(ledger, after(WEEKS + 60)).get("ALKS", D(0)) == D(left)


def test_exits_that_never_protected_are_not_missed_when_they_end(ledger: Ledger) -> None:
    bought_long_ago(ledger, filled=0)
    for name in ("TARGET", "STOP"):
        seen(ledger, name, Side.SELL, 100, 0, WEEKS, status="canceled", purpose=Purpose.EXIT)
    assert bare_shares(ledger, after(WEEKS + 60)).get("ALKS", D(0)) == D(0)


def test_old_exits_that_a_release_took_count_once(ledger: Ledger) -> None:
    seen(ledger, "TARGET", Side.SELL, 100, 0, -WEEKS, status="new", purpose=Purpose.EXIT)
    trade(ledger, PhaseName.RELEASE, 100)
    seen(ledger, "TARGET", Side.SELL, 100, 0, 2, status="canceled", purpose=Purpose.EXIT)
    assert bare_shares(ledger, after(60)) == {"ALKS": D(100)}


def test_exits_whose_absence_a_person_has_accepted_are_not_made_anew(ledger: Ledger) -> None:
    bought_long_ago(ledger)
    (target,) = [o for o in ledger.orders.open() if o.intent.client_order_id == "TARGET"]
    ledger.orders.withdraw(target.intent, ReasonCode.SYMBOL_LOCKED, "the broker does not know it", after(WEEKS))
    assert bare_shares(ledger, after(WEEKS + 60)) == {}
