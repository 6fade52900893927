from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from pathlib import Path

import pytest

from Departments.core.orders import Order, OrderStatus, Side
from Departments.ledger.ledger import Ledger
from Departments.ledger.orders import OrderIntent

NOW = datetime(2025, 11, 10, 15, 6, tzinfo=UTC)
INTENT = OrderIntent("C1", "MSG_1", "CTVA", Side.SELL, D(190), "market", plan_id="P", expected_price=D("64.64"))


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
    ledger.orders.intend(INTENT, NOW)
    (record,) = ledger.orders.open()
    assert (record.status, record.broker_order_id) == (OrderStatus.UNKNOWN, None)


def test_an_id_can_be_intended_only_once(ledger: Ledger) -> None:
    ledger.orders.intend(INTENT, NOW)
    with pytest.raises(Exception, match="UNIQUE"):
        ledger.orders.intend(INTENT, NOW)


def test_partial_fills_become_fills_whose_prices_add_up_to_the_average(ledger: Ledger) -> None:
    ledger.orders.intend(INTENT, NOW)
    ledger.orders.observe(seen(OrderStatus.PARTIALLY_FILLED, "90", "64"), NOW)
    ledger.orders.observe(seen(OrderStatus.FILLED, "190", "65", minutes=2), NOW)
    fills = ledger.orders.fills("P")
    assert [f.qty for f in fills] == [D(90), D(100)]
    assert sum(f.qty * f.price for f in fills) == pytest.approx(D(190) * D(65))


def test_seeing_the_same_fill_twice_records_it_once(ledger: Ledger) -> None:
    ledger.orders.intend(INTENT, NOW)
    for _ in range(2):
        ledger.orders.observe(seen(OrderStatus.PARTIALLY_FILLED, "90", "64"), NOW)
    assert len(ledger.orders.fills()) == 1


def test_a_terminal_order_never_moves_again(ledger: Ledger) -> None:
    ledger.orders.intend(INTENT, NOW)
    ledger.orders.observe(seen(OrderStatus.CANCELED, "90", "64"), NOW)
    record = ledger.orders.observe(seen(OrderStatus.NEW), NOW)
    assert (record.status, record.filled_qty) == (OrderStatus.CANCELED, D(90))
    assert ledger.orders.open() == []


def test_an_older_snapshot_does_not_take_fills_back(ledger: Ledger) -> None:
    ledger.orders.intend(INTENT, NOW)
    ledger.orders.observe(seen(OrderStatus.PARTIALLY_FILLED, "90", "64"), NOW)
    assert ledger.orders.observe(seen(OrderStatus.NEW), NOW).filled_qty == D(90)


def test_an_order_the_ledger_does_not_know_is_an_error(ledger: Ledger) -> None:
    with pytest.raises(KeyError):
        ledger.orders.observe(seen(OrderStatus.NEW), NOW)


def test_what_a_transaction_did_is_undone_when_it_fails(ledger: Ledger) -> None:
    def fail() -> None:
        with ledger.transaction():
            ledger.orders.intend(INTENT, NOW)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        fail()
    assert ledger.orders.open() == []


def test_a_day_trade_is_a_symbol_bought_and_sold_on_one_exchange_day(ledger: Ledger) -> None:
    buy = OrderIntent("C2", "MSG_2", "CTVA", Side.BUY, D(10), "market")
    ledger.orders.intend(INTENT, NOW)
    ledger.orders.intend(buy, NOW)
    ledger.orders.observe(seen(OrderStatus.FILLED, "190", "65"), NOW)
    ledger.orders.observe(Order("B2", "C2", "CTVA", Side.BUY, D(10), OrderStatus.FILLED, D(10), D(65)), NOW)
    history = ledger.history(NOW)
    assert history.day_trades == (NOW.date(),)
    assert history.same_day_sides == {"CTVA": frozenset(Side)}
