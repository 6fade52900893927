"""The simulated exchange as one document, for `departments exchange show --json`."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from Departments.core.activities import Activity
from Departments.core.moments import iso
from Departments.core.money import plain
from Departments.core.orders import Order
from Departments.core.platform.clock import Clock
from Departments.core.portfolio import Position
from Departments.exchange.exchange import SimulatedExchange


def exchange_document(exchange: SimulatedExchange, clock: Clock) -> dict[str, Any]:
    """Return cash, positions, open orders and all activities. Money and quantities are strings."""
    account, now = exchange.account(), clock.now()
    return {
        "at": iso(now),
        "cash": plain(account.cash),
        "equity": plain(account.equity),
        "buying_power": plain(account.buying_power),
        "price_mode": exchange.starting_state().price_mode,
        "positions": [_position_document(position) for position in exchange.positions()],
        "orders": [_order_document(order) for order in exchange.orders()],
        "activities": [_activity_document(activity) for activity in exchange.activities(exchange.started_at)],
    }


def _position_document(position: Position) -> dict[str, str | None]:
    return {
        "ticker": position.symbol,
        "qty": plain(position.qty),
        "qty_available": plain(position.available),
        "avg_entry_price": _text(position.avg_entry_price),
        "current_price": _text(position.current_price),
    }


def _order_document(order: Order) -> dict[str, str | None]:
    return {
        "id": order.id,
        "client_order_id": order.client_order_id,
        "ticker": order.symbol,
        "side": str(order.side),
        "qty": plain(order.qty),
        "filled_qty": plain(order.filled_qty),
        "type": str(order.type),
        "status": str(order.status),
        "limit_price": _text(order.limit_price),
        "stop_price": _text(order.stop_price),
        "expires_at": None if order.expires_at is None else iso(order.expires_at),
    }


def _activity_document(activity: Activity) -> dict[str, str | None]:
    return {
        "id": activity.id,
        "at": None if activity.at is None else iso(activity.at),
        "kind": str(activity.kind),
        "word": activity.word,
        "ticker": activity.symbol,
        "new_ticker": activity.new_symbol,
        "qty": _text(activity.qty),
        "price": _text(activity.price),
        "ratio": _text(activity.ratio),
        "cash": _text(activity.cash),
        "description": activity.description,
    }


def _text(number: Decimal | None) -> str | None:
    return None if number is None else plain(number)
