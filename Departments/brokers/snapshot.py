"""The broker's truth as the values that limits are judged on: a `Book` and `MarketFacts`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from Departments.brokers.base import Broker, Quote
from Departments.core.errors import NotFound
from Departments.core.market import SymbolFacts
from Departments.core.money import ZERO
from Departments.core.orders import Order, OrderStatus, Side
from Departments.core.portfolio import Book


def book_of(broker: Broker, sectors: Mapping[str, str], *, peak_equity: Decimal | None = None) -> Book:
    """Read account, positions and open orders; `sectors` are what the desk knows of them by symbol."""
    account = broker.account()
    positions = {p.symbol: replace(p, sector=p.sector or sectors.get(p.symbol)) for p in broker.positions()}
    buys = [o for o in broker.orders("open") if o.side is Side.BUY and o.status is not OrderStatus.HELD]
    prices = broker.quotes({o.symbol for o in buys if _own_price(o) is None})
    return Book(
        cash=account.cash,
        equity=account.equity,
        positions=positions,
        open_buys=sum((promised(order, prices) for order in buys), ZERO),
        unsettled_cash=account.unsettled_cash or ZERO,
        peak_equity=peak_equity,
    )


def promised(order: Order, quotes: Mapping[str, Quote]) -> Decimal:
    """Return the dollars that the unfilled part of an open BUY will take, 0 where no price is known."""
    quote = quotes.get(order.symbol)
    price = _own_price(order) or (quote.price if quote else ZERO)
    return order.remaining_qty * price


def symbol_facts(broker: Broker, symbols: Iterable[str], sectors: Mapping[str, str]) -> dict[str, SymbolFacts]:
    """Read quotes and assets of `symbols`; what the broker does not say stays unknown."""
    wanted = sorted(set(symbols))
    quotes = broker.quotes(wanted)
    return {symbol: _facts(broker, symbol, quotes.get(symbol), sectors.get(symbol)) for symbol in wanted}


def _facts(broker: Broker, symbol: str, quote: Quote | None, sector: str | None) -> SymbolFacts:
    return SymbolFacts(
        symbol,
        price=quote.price if quote else None,
        price_at=_at(quote),
        sector=sector,
        bid=quote.bid if quote else None,
        ask=quote.ask if quote else None,
        tradable=_tradable(broker, symbol),
    )


def _at(quote: Quote | None) -> datetime | None:
    return quote.at if quote else None


def _tradable(broker: Broker, symbol: str) -> bool:
    try:
        asset = broker.asset(symbol)
    except NotFound:
        return False
    return asset.tradable and asset.active


def _own_price(order: Order) -> Decimal | None:
    return order.limit_price if order.side is Side.BUY else None
