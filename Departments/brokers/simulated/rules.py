"""Whether the exchange takes a new order: one pure check per rule, in this order, each with Alpaca's answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from Departments.brokers.simulated import refusals
from Departments.brokers.simulated.records import Record
from Departments.brokers.simulated.state import AssetState
from Departments.core.identifiers import MAX_CLIENT_ORDER_ID
from Departments.core.money import CENT, ZERO, plain, price_tick
from Departments.core.orders import OrderClass, OrderRequest, OrderStatus, OrderType, Side, TimeInForce
from Departments.core.portfolio import Account


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a new order is judged by. `asset` is None for a symbol that nobody knows.

    `ask` is dollars per share, None without a price; `open_orders` are those of the same symbol, `held_for_orders`
    the shares that they hold.
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
        """Return the dollars per share that a BUY sets aside."""
        return self.request.limit_price or self.request.stop_price or self.ask or ZERO


def _identity(case: Situation) -> None:
    if case.id_used:
        raise refusals.id_used()
    if not case.request.client_order_id:
        raise refusals.invalid("client_order_id is required")
    if len(case.request.client_order_id) > MAX_CLIENT_ORDER_ID:
        raise refusals.invalid(f"client_order_id must be no longer than {MAX_CLIENT_ORDER_ID} characters")


def _gates(case: Situation) -> None:
    if case.account.trade_suspended:
        raise refusals.refused(403, refusals.FORBIDDEN, "new orders are rejected by user request")
    if not case.account.may_trade:
        raise refusals.refused(403, refusals.FORBIDDEN, "account is not allowed to trade")


def _asset(case: Situation) -> None:
    symbol = case.request.symbol
    if case.asset is None:
        raise refusals.invalid(f'asset "{symbol}" not found')
    if not case.asset.active:
        raise refusals.inactive(symbol)
    if not case.asset.tradable:
        raise refusals.invalid(f'asset "{symbol}" is not tradable')


def _quantity(case: Situation) -> None:
    request = case.request
    if request.qty <= ZERO:
        raise refusals.invalid("qty must be greater than 0")
    if request.qty == request.qty.to_integral_value():
        return
    if request.order_class is not OrderClass.SIMPLE:
        raise refusals.invalid("fractional orders must be simple orders")
    if request.time_in_force is not TimeInForce.DAY:
        raise refusals.invalid("fractional orders must be DAY orders")
    if case.asset is not None and not case.asset.fractionable:
        raise refusals.refused(403, refusals.FORBIDDEN, f'asset "{request.symbol}" is not fractionable')


def _prices_named(case: Situation) -> None:
    request = case.request
    if request.order_class is OrderClass.OCO:
        return
    for kinds, name, price in (
        ({OrderType.LIMIT, OrderType.STOP_LIMIT}, "limit", request.limit_price),
        ({OrderType.STOP, OrderType.STOP_LIMIT}, "stop", request.stop_price),
    ):
        if request.type in kinds and price is None:
            raise refusals.invalid(f"{request.type} orders require a {name} price")
        if request.type not in kinds and price is not None:
            raise refusals.invalid(f"{request.type} orders must not have a {name} price")


def _sub_penny(case: Situation) -> None:
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
            raise refusals.invalid(f"{name} must be greater than 0")
        if price % price_tick(price):
            message = f"invalid {name} {plain(price)}. sub-penny increment does not fulfill minimum pricing criteria"
            raise refusals.invalid(message)


def _exits_named(case: Situation) -> None:
    request = case.request
    named = (request.take_profit, request.stop_loss)
    if request.order_class is OrderClass.SIMPLE:
        if any(price is not None for price in named):
            raise refusals.invalid("simple orders must not have take_profit or stop_loss")
        return
    if request.take_profit is None:
        raise refusals.invalid(f"{request.order_class} orders require take_profit.limit_price")
    if request.stop_loss is None:
        raise refusals.invalid(f"{request.order_class} orders require stop_loss.stop_price")
    entry = request.order_class is OrderClass.BRACKET
    if entry is not (request.side is Side.BUY):
        raise refusals.invalid(f"{request.order_class} orders must be {'entry' if entry else 'exit'} orders")


def _exits_apart(case: Situation) -> None:
    request = case.request
    if request.take_profit is None or request.stop_loss is None:
        return
    if request.order_class is OrderClass.OCO and request.take_profit <= request.stop_loss:
        raise refusals.invalid("take_profit.limit_price must be > stop_loss.stop_price")
    base = case.ask
    if request.order_class is not OrderClass.BRACKET or base is None:
        return
    if request.take_profit < base + CENT:
        raise refusals.invalid("take_profit.limit_price must be >= base_price + 0.01", base_price=plain(base))
    if request.stop_loss > base - CENT:
        raise refusals.invalid("stop_loss.stop_price must be <= base_price - 0.01", base_price=plain(base))


def _wash_trade(case: Situation) -> None:
    if case.request.order_class is OrderClass.OCO:
        return
    for other in case.open_orders:
        if other.side is not case.request.side and not other.is_exit:
            kind = "limit" if other.type is OrderType.LIMIT else "market/stop"
            raise refusals.wash_trade(other.id, kind)


def _shares(case: Situation) -> None:
    request = case.request
    if request.side is Side.BUY:
        return
    if case.held_qty <= ZERO:
        raise refusals.invalid(f'asset "{request.symbol}" cannot be sold short')
    held = case.held_for_orders
    if request.qty > case.held_qty - held:
        holding = [r for r in case.open_orders if r.side is Side.SELL and r.status is not OrderStatus.HELD]
        raise refusals.held_shares(request.symbol, request.qty, case.held_qty, held, [r.id for r in holding])


def _buying_power(case: Situation) -> None:
    cost = case.request.qty * case.reserve
    if case.request.side is Side.BUY and cost > case.account.buying_power:
        raise refusals.buying_power(case.account.buying_power, cost)


CHECKS: Final[tuple[Callable[[Situation], None], ...]] = (
    _identity,
    _gates,
    _asset,
    _quantity,
    _prices_named,
    _sub_penny,
    _exits_named,
    _exits_apart,
    _wash_trade,
    _shares,
    _buying_power,
)


def judge(case: Situation) -> None:
    """Let the order pass, or raise the OrderRefused of the first rule that it breaks."""
    for check in CHECKS:
        check(case)
