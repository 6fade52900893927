"""Open orders of somebody else on symbols of a plan, and what they will cause. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from Departments.core.facts import Facts
from Departments.core.money import plain, usd_cents
from Departments.core.orders import Order, Side, is_leg
from Departments.core.plans import Trade


def describe_outside_orders(trades: Iterable[Trade], facts: Facts) -> Iterator[str]:
    """Yield a sentence for each foreign open order on a plan's symbol, or with all the cash.

    A broker refuses an order opposite to an open one on the same symbol as a wash trade
    (FINRA rule 5210, wash sales; brokers reject such orders on arrival).
    """
    for name in facts.unpriced_buys:
        yield f"the cost of the open {name} is unknown: no cash is free for BUYs while it is open"
    for trade in trades:
        for order in facts.outside_orders:
            if order.symbol == trade.symbol:
                yield f"{_name(order)} open: {_name_effect(trade, order)}"


def _name(order: Order) -> str:
    price = order.limit_price or order.stop_price
    if is_leg(order) and order.limit_price and (stops := [leg.stop_price for leg in order.legs if leg.stop_price]):
        exits = f"at {usd_cents(order.limit_price)} or {usd_cents(stops[0])}"
        return f"somebody else's exits of {plain(order.remaining_qty)} {order.symbol} {exits} are"
    shares = "" if order.notional is not None else f" {plain(order.remaining_qty)}"
    at = "" if price is None else f" at {usd_cents(price)}"
    return f"somebody else's {order.side}{shares} {order.symbol}{at} is"


def _name_effect(trade: Trade, order: Order) -> str:
    if order.side is not trade.side and is_leg(order):  # legs of brackets and OCOs are exempt
        return "they stay, and cover only the shares held now"
    if order.side is not trade.side:
        return (
            f"the broker refuses the {trade.side} of {trade.symbol} as a wash trade while it is open; "
            f"cancel it before the plan is executed, or leave {trade.symbol} out"
        )
    if trade.side is Side.SELL:
        they, hold, them = ("they", "hold", "them") if is_leg(order) else ("it", "holds", "it")
        return (
            f"{they} {hold} {plain(order.remaining_qty)} shares; "
            f"the RELEASE phase cancels {them} before {trade.symbol} is sold"
        )
    return f"both BUYs of {trade.symbol} may fill; its cash is set aside"
