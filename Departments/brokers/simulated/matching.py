"""May this order trade at this price, and at which? Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from Departments.brokers.simulated.prices import on_tick
from Departments.brokers.simulated.records import Record, Role
from Departments.core.money import ONE
from Departments.core.orders import OrderType, Side


@dataclass(frozen=True, slots=True)
class Terms:
    """How far from the last price trades happen: shares of the price."""

    spread: Decimal
    slippage: Decimal
    collar: Decimal


def touch(price: Decimal, side: Side, terms: Terms) -> Decimal:
    """Return the price on the other side: the ask for a BUY, the bid for a SELL."""
    return on_tick(price * (ONE + _sign(side) * terms.spread / 2))


def collar(price: Decimal, side: Side, terms: Terms) -> Decimal:
    """Return the worst price that a market order takes."""
    return on_tick(price * (ONE + _sign(side) * terms.collar))


def is_triggered(record: Record, price: Decimal) -> bool:
    """Tell whether a stop has been reached."""
    if record.stop_price is None:
        return False
    return price >= record.stop_price if record.side is Side.BUY else price <= record.stop_price


def waits_for_stop(record: Record) -> bool:
    """Tell whether an order must see its stop price before it may trade."""
    has_stop = record.type in {OrderType.STOP, OrderType.STOP_LIMIT} or record.role is Role.STOP_LOSS
    return has_stop and not record.triggered and not record.forced


def acts(record: Record, price: Decimal, terms: Terms) -> bool:
    """Tell whether an order that the market has taken triggers or trades at this price."""
    return is_triggered(record, price) if waits_for_stop(record) else trade_price(record, price, terms) is not None


def trade_price(record: Record, price: Decimal, terms: Terms) -> Decimal | None:
    """Return the price at which the order trades now, None when it has to wait.

    An order never trades beyond its limit (a market order's is its collar); slippage is cut off there.
    """
    limit = record.limit
    if record.forced:
        return record.limit_price or record.stop_price or on_tick(price)
    reached = touch(price, record.side, terms)
    if limit is not None and not _within(reached, limit, record.side):
        return None
    slipped = on_tick(reached * (ONE + _sign(record.side) * terms.slippage))
    if limit is None:
        return slipped
    return slipped if _within(slipped, limit, record.side) else limit


def _within(price: Decimal, limit: Decimal, side: Side) -> bool:
    return price <= limit if side is Side.BUY else price >= limit


def _sign(side: Side) -> int:
    return 1 if side is Side.BUY else -1
