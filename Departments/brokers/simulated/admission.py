"""From a request to the orders that the exchange keeps: the order itself and its exits. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from Departments.brokers.simulated.book import derived_id
from Departments.brokers.simulated.records import Record, Role
from Departments.core.orders import OrderClass, OrderRequest, OrderStatus, OrderType, Side, TimeInForce
from Departments.core.trading_calendar import is_open, next_close


def admitted(request: OrderRequest, now: datetime, reserve: Decimal) -> tuple[Record, ...]:
    """Return the order, then its legs, as they stand right after acceptance.

    In hours an order is `pending_new`; out of hours it is `accepted` and waits for the open. A DAY order dies
    at the close of the session it can trade in.
    """
    order_id = derived_id("order", request.client_order_id)
    order = Record(
        id=order_id,
        client_order_id=request.client_order_id,
        group=order_id,
        role=Role.ENTRY,
        symbol=request.symbol,
        side=request.side,
        qty=request.qty,
        type=request.type,
        time_in_force=request.time_in_force,
        order_class=request.order_class,
        status=OrderStatus.PENDING_NEW if is_open(now) else OrderStatus.ACCEPTED,
        submitted_at=now,
        updated_at=now,
        limit_price=request.limit_price,
        stop_price=request.stop_price,
        limit=request.limit_price,
        expires_at=next_close(now) if request.time_in_force is TimeInForce.DAY else None,
        reserve=reserve,
    )
    if request.order_class is OrderClass.SIMPLE:
        return (order,)
    stop = _leg(order, Role.STOP_LOSS, OrderType.STOP, request.stop_loss)
    if request.order_class is OrderClass.OCO:
        profit = replace(order, role=Role.TAKE_PROFIT, type=OrderType.LIMIT, stop_price=None,
                         limit_price=request.take_profit, limit=request.take_profit)  # fmt: skip
        return (profit, stop)
    return (order, _leg(order, Role.TAKE_PROFIT, OrderType.LIMIT, request.take_profit), stop)


def _leg(order: Record, role: Role, kind: OrderType, price: Decimal | None) -> Record:
    limit = price if kind is OrderType.LIMIT else None
    return replace(
        order,
        id=derived_id(role, order.client_order_id),
        client_order_id=derived_id(role, "client", order.client_order_id),
        role=role,
        type=kind,
        side=Side.SELL,  # exits sell: the exchange refuses brackets that open a short
        status=OrderStatus.HELD,
        limit_price=limit,
        limit=limit,
        stop_price=None if kind is OrderType.LIMIT else price,
        live=False,
        reserve=Decimal(0),
    )
