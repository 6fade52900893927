from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from Departments.core.orders import Order, OrderRequest, OrderStatus, OrderType, Side
from Departments.core.platform.clock import SimulatedClock
from Departments.exchange.exchange import SimulatedExchange
from Departments.exchange.faults import FaultScript
from Departments.exchange.state import ExchangeState

MONDAY_NOON = datetime(2025, 11, 10, 17, 0, tzinfo=UTC)
PLAIN: dict[str, Any] = {
    "cash": 5000,
    "positions": {"UPS": {"qty": 70, "avg_entry_price": "88.10", "current_price": "93.58"}},
    "prices": {"COMM": "17.02"},
}


@dataclass
class Stand:
    """An exchange and its clock, with short words for the orders of the tests."""

    exchange: SimulatedExchange
    clock: SimulatedClock

    def buy(self, qty: object = 100, symbol: str = "COMM", **terms: Any) -> Order:
        return self.exchange.submit(request(Side.BUY, qty, symbol, **terms))

    def sell(self, qty: object = 70, symbol: str = "UPS", **terms: Any) -> Order:
        return self.exchange.submit(request(Side.SELL, qty, symbol, **terms))

    def wait(self, seconds: float = 5) -> None:
        self.clock.sleep(seconds)

    def status(self, order: Order) -> OrderStatus:
        return self.exchange.order(order.id).status

    def seen(self, order: Order, seconds: float = 5) -> list[OrderStatus]:
        """Return every status the order shows from now on, each once in a row."""
        statuses = [self.status(order)]
        for _ in range(int(seconds * 20)):
            self.wait(0.05)
            statuses.append(self.status(order))
        return list(dict.fromkeys(statuses))

    @property
    def cash(self) -> Decimal:
        return self.exchange.account().cash

    def held(self, symbol: str) -> Decimal:
        return next((p.qty for p in self.exchange.positions() if p.symbol == symbol), Decimal(0))


def request(side: Side, qty: object, symbol: str, **terms: Any) -> OrderRequest:
    known = {name: terms[name] for name in terms if name not in {"id", "limit", "stop", "profit", "loss"}}
    return OrderRequest(
        client_order_id=terms.get("id", f"{side}-{symbol}"),
        symbol=symbol,
        side=side,
        qty=Decimal(str(qty)),
        type=known.pop("type", _type(terms)),
        limit_price=_price(terms, "limit"),
        stop_price=_price(terms, "stop"),
        take_profit=_price(terms, "profit"),
        stop_loss=_price(terms, "loss"),
        **known,
    )


def _price(terms: dict[str, Any], name: str) -> Decimal | None:
    return Decimal(str(terms[name])) if name in terms else None


def _type(terms: dict[str, Any]) -> OrderType:
    if "stop" in terms:
        return OrderType.STOP_LIMIT if "limit" in terms else OrderType.STOP
    return OrderType.LIMIT if "limit" in terms else OrderType.MARKET


Opener = Callable[..., Stand]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opener]:
    """Open a fresh exchange: `opened(cash=1, at=moment, faults=[...])`, every key as in a state file."""

    def opener(*, at: datetime = MONDAY_NOON, faults: list[dict[str, Any]] | None = None, **state: Any) -> Stand:
        clock = SimulatedClock(at)
        script = FaultScript.model_validate({"faults": faults or []})
        seed = ExchangeState.model_validate({**PLAIN, **state})
        exchange = SimulatedExchange(tmp_path / "exchange.db", clock, state=seed, faults=script)
        stack.callback(exchange.close)
        return Stand(exchange, clock)

    with ExitStack() as stack:
        yield opener
