"""Check a new order: one pure function per rule, in this order, each with Alpaca's refusal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from Departments.core.identifiers import MAX_CLIENT_ORDER_ID
from Departments.core.money import CENT, ZERO, plain, price_tick
from Departments.core.orders import OrderClass, OrderRequest, OrderStatus, OrderType, Side, TimeInForce
from Departments.core.portfolio import Account
from Departments.core.trading_calendar import is_open
from Departments.exchange.derivation import derive_id
from Departments.exchange.records import ExchangeRefusal, Record, Role, find_expiry
from Departments.exchange.state import AssetState


@dataclass(frozen=True, slots=True)
class OrderCase:
    """A new order and its circumstances. `asset` is None for an unknown symbol.

    `ask` is dollars per share, None without a price. `open_orders` are those of the same symbol, `held_for_orders`
    their shares.
    """

    request: OrderRequest
    id_used: bool
    asset: AssetState | None
    ask: Decimal | None
    held_qty: Decimal
    held_for_orders: Decimal
    open_orders: Sequence[Record]
    account: Account

    @property
    def reserve(self) -> Decimal:
        """Return the dollars per share to reserve for a BUY."""
        return self.request.limit_price or self.request.stop_price or self.ask or ZERO


def _check_identity(case: OrderCase) -> None:
    if case.id_used:
        raise duplicate_id()
    if not case.request.client_order_id:
        raise invalid("client_order_id is required")
    if len(case.request.client_order_id) > MAX_CLIENT_ORDER_ID:
        raise invalid(f"client_order_id must be no longer than {MAX_CLIENT_ORDER_ID} characters")


def _check_gates(case: OrderCase) -> None:
    if "trade_suspended" in case.account.blocks:
        raise make_refusal(403, FORBIDDEN, "new orders are rejected by user request")
    if not case.account.may_trade:
        raise make_refusal(403, FORBIDDEN, "account is not allowed to trade")


def _check_asset(case: OrderCase) -> None:
    symbol = case.request.symbol
    if case.asset is None:
        raise invalid(f'asset "{symbol}" not found')
    if not case.asset.active:
        raise inactive(symbol)
    if not case.asset.tradable:
        raise invalid(f'asset "{symbol}" is not tradable')


def _check_quantity(case: OrderCase) -> None:
    request = case.request
    if request.qty <= ZERO:
        raise invalid("qty must be greater than 0")
    if request.qty == request.qty.to_integral_value():
        return
    if request.order_class is not OrderClass.SIMPLE:
        raise invalid("fractional orders must be simple orders")
    if request.time_in_force is not TimeInForce.DAY:
        raise invalid("fractional orders must be DAY orders")
    if case.asset is not None and not case.asset.fractionable:
        raise make_refusal(403, FORBIDDEN, f'asset "{request.symbol}" is not fractionable')


def _check_prices(case: OrderCase) -> None:
    request = case.request
    if request.order_class is OrderClass.OCO:
        return
    for kinds, name, price in (
        ({OrderType.LIMIT, OrderType.STOP_LIMIT}, "limit", request.limit_price),
        ({OrderType.STOP, OrderType.STOP_LIMIT}, "stop", request.stop_price),
        ({OrderType.TRAILING_STOP}, "trail", request.trail_price or request.trail_percent),
    ):
        if request.type in kinds and price is None:
            raise invalid(f"{request.type} orders require a {name} price")
        if request.type not in kinds and price is not None:
            raise invalid(f"{request.type} orders must not have a {name} price")
    if request.trail_price and request.trail_percent:
        raise invalid("only one of trail_price and trail_percent is allowed")
    if request.type is OrderType.TRAILING_STOP and request.order_class is not OrderClass.SIMPLE:
        raise invalid("trailing_stop orders must be simple orders")


def _check_sub_penny(case: OrderCase) -> None:
    request = case.request
    named = {
        "limit_price": request.limit_price,
        "stop_price": request.stop_price,
        "take_profit.limit_price": request.take_profit,
        "stop_loss.stop_price": request.stop_loss,
    }
    for name, price in named.items():
        if price is None:
            continue
        if price <= ZERO:
            raise invalid(f"{name} must be greater than 0")
        if price % price_tick(price):
            raise sub_penny(name, plain(price))


def _check_exits(case: OrderCase) -> None:
    request = case.request
    named = (request.take_profit, request.stop_loss)
    if request.order_class is OrderClass.SIMPLE:
        if any(price is not None for price in named):
            raise invalid("simple orders must not have take_profit or stop_loss")
        return
    if request.take_profit is None:
        raise invalid(f"{request.order_class} orders require take_profit.limit_price")
    if request.stop_loss is None:
        raise invalid(f"{request.order_class} orders require stop_loss.stop_price")
    entry = request.order_class is OrderClass.BRACKET
    if entry is not (request.side is Side.BUY):
        raise invalid(f"{request.order_class} orders must be {'entry' if entry else 'exit'} orders")


def _check_exit_distances(case: OrderCase) -> None:
    request = case.request
    if request.take_profit is None or request.stop_loss is None:
        return
    if request.order_class is OrderClass.OCO and request.take_profit <= request.stop_loss:
        raise invalid("take_profit.limit_price must be > stop_loss.stop_price")
    base = case.ask
    if request.order_class is not OrderClass.BRACKET or base is None:
        return
    if request.take_profit < base + CENT:
        raise invalid("take_profit.limit_price must be >= base_price + 0.01", base_price=plain(base))
    if request.stop_loss > base - CENT:
        raise invalid("stop_loss.stop_price must be <= base_price - 0.01", base_price=plain(base))


def _check_wash_trade(case: OrderCase) -> None:
    if case.request.order_class is OrderClass.OCO:
        return
    for other in case.open_orders:
        if other.side is not case.request.side and not other.is_exit:
            kind = "limit" if other.type is OrderType.LIMIT else "market/stop"
            raise wash_trade(other.id, kind)


def _check_shares(case: OrderCase) -> None:
    request = case.request
    if request.side is Side.BUY:
        return
    if case.held_qty <= ZERO:
        raise invalid(f'asset "{request.symbol}" cannot be sold short')
    held = case.held_for_orders
    if request.qty > case.held_qty - held:
        holding = [r for r in case.open_orders if r.side is Side.SELL and r.status is not OrderStatus.HELD]
        raise held_shares(request.symbol, request.qty, case.held_qty, held, [r.id for r in holding])


def _check_buying_power(case: OrderCase) -> None:
    cost = case.request.qty * case.reserve
    if case.request.side is Side.BUY and cost > case.account.buying_power:
        raise buying_power(case.account.buying_power, cost)


CHECKS: Final[tuple[Callable[[OrderCase], None], ...]] = (
    _check_identity,
    _check_gates,
    _check_asset,
    _check_quantity,
    _check_prices,
    _check_sub_penny,
    _check_exits,
    _check_exit_distances,
    _check_wash_trade,
    _check_shares,
    _check_buying_power,
)


def check_order(case: OrderCase) -> None:
    """Check an order. Raises the ExchangeRefusal of the first broken rule."""
    for check in CHECKS:
        check(case)


FORBIDDEN = 40310000
NOT_UNIQUE = 40010001
INVALID = 42210000
UNKNOWN = 40410000


def make_refusal(http_status: int, code: int | None, message: str, **fields: object) -> ExchangeRefusal:
    """Build a refusal with Alpaca's body: code, message and the fields of the case."""
    body = {"message": message, **fields} if code is None else {"code": code, "message": message, **fields}
    return ExchangeRefusal(message, http_status=http_status, code=code, body=body)


def invalid(message: str, **fields: object) -> ExchangeRefusal:
    """Refuse an order with wrong terms (422)."""
    return make_refusal(422, INVALID, message, **fields)


def sub_penny(name: str, price: str) -> ExchangeRefusal:
    """Refuse a price between two price steps."""
    return invalid(f"invalid {name} {price}. sub-penny increment does not fulfill minimum pricing criteria")


def duplicate_id() -> ExchangeRefusal:
    """Refuse a used client order id, even of an ended order."""
    return make_refusal(422, NOT_UNIQUE, "client_order_id must be unique")


def inactive(symbol: str) -> ExchangeRefusal:
    """Refuse an inactive asset."""
    return make_refusal(422, NOT_UNIQUE, f"asset {symbol} is not active")


def buying_power(available: Decimal, cost: Decimal) -> ExchangeRefusal:
    """Refuse a BUY beyond the buying power."""
    message = "insufficient buying power"
    return make_refusal(403, FORBIDDEN, message, buying_power=plain(available), cost_basis=plain(cost))


def held_shares(
    symbol: str, requested: Decimal, existing: Decimal, held: Decimal, related: Sequence[str]
) -> ExchangeRefusal:
    """Refuse a SELL of more than the free shares."""
    available = plain(max(Decimal(0), existing - held))
    message = f"insufficient qty available for order (requested: {plain(requested)}, available: {available})"
    return make_refusal(403, FORBIDDEN, message, available=available, existing_qty=plain(existing),
                   held_for_orders=plain(held), related_orders=list(related), symbol=symbol)  # fmt: skip


def wash_trade(existing_order_id: str, kind: str) -> ExchangeRefusal:
    """Refuse an order opposite to an open one on the same symbol."""
    return make_refusal(
        403,
        FORBIDDEN,
        "potential wash trade detected. use complex orders",
        existing_order_id=existing_order_id,
        reject_reason=f"opposite side {kind} order exists",
    )


def too_late(status: str) -> ExchangeRefusal:
    """Refuse to cancel an ended order."""
    return invalid(f'order is already in "{status}" state')


def order_not_found(reference: str) -> ExchangeRefusal:
    """Refuse to show or cancel an unknown order."""
    return make_refusal(404, UNKNOWN, f"order not found for {reference}")


def wrong_keys() -> ExchangeRefusal:
    """Refuse wrong keys; Alpaca sends no code with it."""
    return make_refusal(401, None, "unauthorized.")


def make_records(request: OrderRequest, now: datetime, reserve: Decimal) -> tuple[Record, ...]:
    """Return the order and its legs right after acceptance.

    In hours an order is `pending_new`; out of hours it is `accepted` and waits for the open.
    """
    order_id = derive_id("order", request.client_order_id)
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
        expires_at=find_expiry(request.time_in_force, now),
        reserve=reserve,
        trail_price=request.trail_price,
        trail_percent=request.trail_percent,
    )
    if request.order_class is OrderClass.SIMPLE:
        return (order,)
    stop = _make_leg(order, Role.STOP_LOSS, OrderType.STOP, request.stop_loss)
    if request.order_class is OrderClass.OCO:
        profit = replace(order, role=Role.TAKE_PROFIT, type=OrderType.LIMIT, stop_price=None,
                         limit_price=request.take_profit, limit=request.take_profit)  # fmt: skip
        return (profit, stop)
    return (order, _make_leg(order, Role.TAKE_PROFIT, OrderType.LIMIT, request.take_profit), stop)


def _make_leg(order: Record, role: Role, kind: OrderType, price: Decimal | None) -> Record:
    limit = price if kind is OrderType.LIMIT else None
    return replace(
        order,
        id=derive_id(role, order.client_order_id),
        client_order_id=derive_id(role, "client", order.client_order_id),
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
