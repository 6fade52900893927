from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from Departments.core.orders import Order, OrderStatus, Purpose, Side
from Departments.ledger.ledger import Ledger
from Departments.ledger.order_records import OrderRecord

NOW = datetime(2025, 11, 10, 15, 6, tzinfo=UTC)
INTENT = OrderRecord(
    "C1", "MSG_1", "CTVA", Side.SELL, D(190), "market", plan_id="P", expected_price=D("64.64"), created_at=NOW
)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "sentinel.db")


def seen(status: OrderStatus, filled: str = "0", average: str | None = None, *, minutes: int = 1) -> Order:
    return Order(
        "B1",
        "C1",
        "CTVA",
        Side.SELL,
        D(190),
        status,
        D(filled),
        None if average is None else D(average),
        updated_at=NOW + timedelta(minutes=minutes),
    )


def test_between_intent_and_answer_an_order_is_unknown_and_open(ledger: Ledger) -> None:
    ledger.orders.intend(INTENT)
    (record,) = ledger.orders.find_open()
    assert (record.status, record.broker_order_id) == (OrderStatus.UNKNOWN, None)


def test_an_id_can_be_intended_only_once(ledger: Ledger) -> None:
    ledger.orders.intend(INTENT)
    with pytest.raises(Exception, match="UNIQUE"):
        ledger.orders.intend(INTENT)


def test_partial_fills_become_fills_whose_prices_add_up_to_the_average(ledger: Ledger) -> None:
    ledger.orders.intend(INTENT)
    ledger.orders.observe(seen(OrderStatus.PARTIALLY_FILLED, "90", "64"), NOW)
    ledger.orders.observe(seen(OrderStatus.FILLED, "190", "65", minutes=2), NOW)
    fills = ledger.orders.fills_since(NOW)
    assert [f.fill.qty for f in fills] == [D(90), D(100)]
    assert sum(f.fill.qty * f.fill.price for f in fills) == pytest.approx(D(190) * D(65))


def test_seeing_the_same_fill_twice_records_it_once(ledger: Ledger) -> None:
    ledger.orders.intend(INTENT)
    for _ in range(2):
        ledger.orders.observe(seen(OrderStatus.PARTIALLY_FILLED, "90", "64"), NOW)
    assert len(ledger.orders.fills_since(NOW)) == 1


def test_a_terminal_order_never_moves_again(ledger: Ledger) -> None:
    ledger.orders.intend(INTENT)
    ledger.orders.observe(seen(OrderStatus.CANCELED, "90", "64"), NOW)
    record = ledger.orders.observe(seen(OrderStatus.NEW), NOW)
    assert (record.status, record.filled_qty) == (OrderStatus.CANCELED, D(90))
    assert ledger.orders.find_open() == []


def test_an_older_snapshot_does_not_take_fills_back(ledger: Ledger) -> None:
    ledger.orders.intend(INTENT)
    ledger.orders.observe(seen(OrderStatus.PARTIALLY_FILLED, "90", "64"), NOW)
    assert ledger.orders.observe(seen(OrderStatus.NEW), NOW).filled_qty == D(90)


def test_an_order_the_ledger_does_not_know_is_an_error(ledger: Ledger) -> None:
    with pytest.raises(KeyError):
        ledger.orders.observe(seen(OrderStatus.NEW), NOW)


def test_what_a_transaction_did_is_undone_when_it_fails(ledger: Ledger) -> None:
    def fail() -> None:
        with ledger.transaction():
            ledger.orders.intend(INTENT)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        fail()
    assert ledger.orders.find_open() == []


def test_a_day_trade_is_a_symbol_bought_and_sold_on_one_exchange_day(ledger: Ledger) -> None:
    buy = OrderRecord("C2", "MSG_2", "CTVA", Side.BUY, D(10), "market", created_at=NOW)
    ledger.orders.intend(INTENT)
    ledger.orders.intend(buy)
    ledger.orders.observe(seen(OrderStatus.FILLED, "190", "65"), NOW)
    ledger.orders.observe(Order("B2", "C2", "CTVA", Side.BUY, D(10), OrderStatus.FILLED, D(10), D(65)), NOW)
    history = ledger.history(NOW)
    assert history.day_trades == (NOW.date(),)
    assert history.same_day_sides == {"CTVA": frozenset(Side)}


def filled(ledger: Ledger, number: int, symbol: str, side: Side, at: datetime = NOW, **more: Any) -> None:
    """Record an order of ten shares at ten dollars that filled at a moment."""
    ids = f"C{number}", f"MSG_{number}"
    ledger.orders.intend(OrderRecord(*ids, symbol, side, D(10), "market", **more, created_at=at))
    done = Order(f"B{number}", ids[0], symbol, side, D(10), OrderStatus.FILLED, D(10), D(10), filled_at=at)
    ledger.orders.observe(done, at)


def test_the_sides_of_a_day_are_those_that_filled_on_it(ledger: Ledger) -> None:
    for number, (symbol, side) in enumerate([("UPS", Side.SELL), ("ALKS", Side.BUY), ("ALKS", Side.BUY)]):
        filled(ledger, number, symbol, side)
    sides = {"ALKS": frozenset({Side.BUY}), "UPS": frozenset({Side.SELL})}
    assert ledger.history(NOW).same_day_sides == sides
    assert ledger.history(NOW + timedelta(days=1)).same_day_sides == {}


def test_the_day_of_a_fill_is_the_exchanges_not_that_of_utc(ledger: Ledger) -> None:
    evening = datetime(2025, 11, 11, 0, 30, tzinfo=UTC)
    filled(ledger, 1, "UPS", Side.BUY, NOW)
    filled(ledger, 2, "UPS", Side.SELL, evening)
    assert ledger.history(evening).day_trades == (NOW.date(),)


def test_day_trades_of_long_ago_are_forgotten(ledger: Ledger) -> None:
    for number, side in enumerate(Side):
        filled(ledger, number, "UPS", side)
    assert ledger.history(NOW + timedelta(days=60)).day_trades == (NOW.date(),)
    assert ledger.history(NOW + timedelta(days=61)).day_trades == ()


def test_the_stop_of_a_symbol_is_that_of_its_newest_filled_buy_or_exit(ledger: Ledger) -> None:
    filled(ledger, 1, "UPS", Side.BUY, stop_price=D(8))
    filled(ledger, 2, "UPS", Side.BUY, stop_price=D(9))
    ledger.orders.intend(OrderRecord("C3", "MSG_3", "UPS", Side.BUY, D(1), "market", stop_price=D(7), created_at=NOW))
    filled(ledger, 5, "DVN", Side.BUY, stop_price=D(30))
    assert ledger.history(NOW, ["UPS", "DVN"]).stops == {"UPS": D(9), "DVN": D(30)}
    assert ledger.history(NOW, held=["UPS", "PLD"]).stops == {"UPS": D(9)}
    assert ledger.history(NOW, held=()).stops == {}
    ledger.orders.intend(
        OrderRecord(
            "C4", "MSG_4", "UPS", Side.SELL, D(1), "limit", stop_price=D(6), purpose=Purpose.EXIT, created_at=NOW
        )
    )
    assert ledger.history(NOW, ["UPS"]).stops["UPS"] == D(6)


def test_fills_are_listed_from_a_moment_on(ledger: Ledger) -> None:
    for minutes in range(3):
        filled(ledger, minutes, f"T{minutes}", Side.BUY, NOW + timedelta(minutes=minutes))
    assert [f.symbol for f in ledger.orders.fills_since(NOW + timedelta(minutes=1))] == ["T1", "T2"]


def test_open_exits_are_found_by_status_or_symbol(ledger: Ledger) -> None:
    for number, symbol in enumerate(("UPS", "DVN", "CTVA")):
        intent = OrderRecord(
            f"C{number}", f"EXIT_{number}", symbol, Side.SELL, D(10), "limit", purpose=Purpose.EXIT, created_at=NOW
        )
        ledger.orders.intend(intent)
        if symbol != "CTVA":
            ledger.orders.observe(Order(f"B{number}", f"C{number}", symbol, Side.SELL, D(10), OrderStatus.NEW), NOW)
    told = ledger.orders.find_open_exits(statuses=[OrderStatus.UNKNOWN], symbols=["DVN"])
    assert [o.symbol for o in told] == ["DVN", "CTVA"]
    assert ledger.orders.find_open_trades() == []
    assert len(ledger.orders.find_open()) == 3
