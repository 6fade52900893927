from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from Departments.core.errors import BadInput
from Departments.core.orders import OrderRequest, OrderStatus, Side
from Departments.core.platform.clock import SimulatedClock
from Departments.exchange.exchange import SimulatedExchange
from Departments.exchange.records import ExchangeRefusal
from Departments.exchange.state import ExchangeState

MONDAY_NOON = datetime(2025, 11, 10, 17, 0, tzinfo=UTC)
STATE = ExchangeState.model_validate(
    {
        "cash": 5000,
        "positions": {"UPS": {"qty": 70, "avg_entry_price": "88.10", "current_price": "93.58"}},
        "prices": {"COMM": "17.02"},
    }
)


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(MONDAY_NOON)


@pytest.fixture
def exchange(tmp_path: Path, clock: SimulatedClock) -> Iterator[SimulatedExchange]:
    with closing(SimulatedExchange(tmp_path / "exchange.db", clock, state=STATE)) as fresh:
        yield fresh


def buy(client_order_id: str = "b1", qty: str = "100", symbol: str = "COMM") -> OrderRequest:
    return OrderRequest(client_order_id, symbol, Side.BUY, Decimal(qty))


def sell(client_order_id: str = "s1", qty: str = "70", symbol: str = "UPS") -> OrderRequest:
    return OrderRequest(client_order_id, symbol, Side.SELL, Decimal(qty))


def test_a_fill_moves_cash_and_position(exchange: SimulatedExchange, clock: SimulatedClock) -> None:
    exchange.submit(sell())
    exchange.submit(buy())
    clock.sleep(5)
    assert exchange.account().cash == Decimal(5000) + 70 * Decimal("93.58") - 100 * Decimal("17.02")
    assert [(p.symbol, p.qty) for p in exchange.positions()] == [("COMM", Decimal(100))]


def test_an_order_is_found_by_both_ids_with_what_it_filled(exchange: SimulatedExchange, clock: SimulatedClock) -> None:
    order = exchange.submit(buy())
    clock.sleep(5)
    found = exchange.order_by_client_id("b1")
    assert found == exchange.order(order.id)
    assert (found.filled_qty, found.filled_avg_price) == (Decimal(100), Decimal("17.02"))


def test_an_acknowledged_order_outlives_the_process(tmp_path: Path, clock: SimulatedClock) -> None:
    with closing(SimulatedExchange(tmp_path / "x.db", clock, state=STATE)) as first:
        first.submit(buy())
    clock.sleep(5)
    with closing(SimulatedExchange(tmp_path / "x.db", clock)) as again:
        assert again.order_by_client_id("b1").status is OrderStatus.FILLED


def test_without_file_and_state_the_exchange_asks_for_a_state(tmp_path: Path, clock: SimulatedClock) -> None:
    with pytest.raises(BadInput, match="departments exchange init FILE"):
        SimulatedExchange(tmp_path / "x.db", clock)


def test_a_client_order_id_is_good_for_one_order_only(exchange: SimulatedExchange, clock: SimulatedClock) -> None:
    exchange.submit(buy())
    clock.sleep(5)
    with pytest.raises(ExchangeRefusal) as refusal:
        exchange.submit(buy(symbol="UPS", qty="1"))
    assert (refusal.value.http_status, refusal.value.code) == (422, 40010001)
    assert refusal.value.message == "client_order_id must be unique"


def test_an_unknown_symbol_is_refused_and_has_no_asset(exchange: SimulatedExchange) -> None:
    with pytest.raises(ExchangeRefusal, match='asset "NOPE" not found'):
        exchange.submit(buy(symbol="NOPE"))
    assert exchange.assets(["NOPE", "UPS"]).keys() == {"UPS"}


def test_quotes_leave_out_symbols_without_a_price(exchange: SimulatedExchange) -> None:
    quotes = exchange.quotes(["UPS", "NOPE"])
    assert set(quotes) == {"UPS"}
    assert quotes["UPS"].price == Decimal("93.58")


def test_the_market_clock_knows_the_session(exchange: SimulatedExchange) -> None:
    told = exchange.market_clock()
    assert told.is_open
    assert told.next_close == datetime(2025, 11, 10, 21, 0, tzinfo=UTC)
