"""The exchange behind Alpaca's paths is read by alpaca-py's own models, which fail for one missing or wrong field."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alpaca.common.enums import Sort
from alpaca.data.historical.stock import StockHistoricalDataClient
from alpaca.data.requests import StockBarsRequest, StockSnapshotRequest
from alpaca.data.timeframe import TimeFrame
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderClass, OrderSide, OrderStatus, QueryOrderStatus, TimeInForce
from alpaca.trading.requests import GetOrdersRequest, MarketOrderRequest, StopLossRequest, TakeProfitRequest

from Departments.core.platform.clock import SimulatedClock
from Departments.exchange.faults import FaultScript
from Departments.exchange.state import ExchangeState
from tests.contract.alpaca_gateway import KEYS, Gateway
from tests.fakes.loopback import Loopback, serving

NOW = datetime(2025, 11, 10, 15, 10, tzinfo=UTC)
BAR = {"day": "2025-11-07", "open": 668, "high": 672.25, "low": 661.2, "close": 670.97, "volume": 99_000_000}
STATE = {
    "cash": 12_500,
    "positions": {"UPS": {"qty": 70, "avg_entry_price": 88.1, "current_price": 93.58}},
    "prices": {"ALKS": 32.66},
    "bars": {"SPY": [BAR]},
}


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(NOW)


@pytest.fixture
def server(tmp_path: Path, clock: SimulatedClock) -> Iterator[Loopback]:
    gateway = Gateway(tmp_path / "exchange.db", clock, ExchangeState.model_validate(STATE), FaultScript())
    with serving(gateway) as loopback:
        yield loopback
    gateway.close()


@pytest.fixture
def trading(server: Loopback) -> Iterator[Any]:
    client = TradingClient(*KEYS, url_override=server.url)
    yield client
    client._session.close()


@pytest.fixture
def data(server: Loopback) -> Iterator[Any]:
    client = StockHistoricalDataClient(*KEYS, url_override=server.url)
    yield client
    client._session.close()


def test_account_positions_asset_and_clock_are_read(trading: Any) -> None:
    assert (trading.get_account().cash, trading.get_asset("UPS").tradable) == ("12500", True)
    (position,) = trading.get_all_positions()
    assert (position.symbol, position.qty_available, position.unrealized_pl) == ("UPS", "70", "383.6")
    assert trading.get_clock().is_open


def test_a_bracket_is_read_with_its_legs_by_either_id_and_in_lists(trading: Any, clock: SimulatedClock) -> None:
    entry = MarketOrderRequest(
        symbol="ALKS",
        qty=10,
        side=OrderSide.BUY,
        time_in_force=TimeInForce.GTC,
        order_class=OrderClass.BRACKET,
        client_order_id="c-1",
        take_profit=TakeProfitRequest(limit_price=37.89),
        stop_loss=StopLossRequest(stop_price=30.05),
    )
    sent = trading.submit_order(entry)
    assert [leg.status for leg in sent.legs] == [OrderStatus.HELD, OrderStatus.HELD]
    clock.sleep(5)
    found = trading.get_order_by_client_id("c-1")
    assert (found.id, found.status, found.filled_avg_price, found.legs) == (sent.id, OrderStatus.FILLED, "32.66", None)
    (listed,) = trading.get_orders(GetOrdersRequest(status=QueryOrderStatus.ALL, nested=True, direction=Sort.ASC))
    assert [leg.status for leg in listed.legs] == [OrderStatus.NEW, OrderStatus.HELD]


def test_prices_are_read(data: Any) -> None:
    snapshot = data.get_stock_snapshot(StockSnapshotRequest(symbol_or_symbols=["UPS"]))["UPS"]
    assert (snapshot.latest_trade.price, snapshot.latest_quote.timestamp) == (93.58, NOW)
    query = StockBarsRequest(symbol_or_symbols="SPY", timeframe=TimeFrame.Day, start=datetime(2025, 11, 1, tzinfo=UTC))
    (bar,) = data.get_stock_bars(query)["SPY"]
    assert (bar.close, bar.volume) == (670.97, 99_000_000)
