"""The broker's truth as the values that limits are judged on: a `Book` and `MarketFacts`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from Departments.brokers.base import Broker, Quote
from Departments.core.errors import NotFound
from Departments.core.market import Knowledge, SymbolFacts
from Departments.core.money import ZERO
from Departments.core.orders import Order, OrderStatus, Side
from Departments.core.portfolio import Book


def book_of(broker: Broker, known: Knowledge) -> Book:
    """Read account, positions and open orders; `known` completes them. Raises BrokerUnavailable, NotAuthorized."""
    account = broker.account()
    positions = {p.symbol: replace(p, sector=p.sector or known.sector_of(p.symbol)) for p in broker.positions()}
    buys = [o for o in broker.orders("open") if o.side is Side.BUY and o.status is not OrderStatus.HELD]
    prices = broker.quotes({o.symbol for o in buys if _own_price(o) is None})
    return Book(
        cash=account.cash,
        equity=account.equity,
        positions=positions,
        open_buys=sum((promised(order, prices) for order in buys), ZERO),
        unsettled_cash=account.unsettled_cash or ZERO,
        peak_equity=None if known.peak_equity is None else max(known.peak_equity, account.equity),
    )


def promised(order: Order, quotes: Mapping[str, Quote]) -> Decimal:
    """Return the dollars that the unfilled part of an open BUY will take, 0 where no price is known."""
    quote = quotes.get(order.symbol)
    price = _own_price(order) or (quote.price if quote else ZERO)
    return order.remaining_qty * price


def symbol_facts(broker: Broker, symbols: Iterable[str], known: Knowledge) -> dict[str, SymbolFacts]:
    """Read quotes and assets of `symbols`; what neither the broker nor the desk knows stays unknown."""
    wanted = sorted(set(symbols))
    quotes = broker.quotes(wanted)
    return {s: _facts(broker, known.symbols.get(s) or SymbolFacts(s), quotes.get(s)) for s in wanted}


def _facts(broker: Broker, known: SymbolFacts, quote: Quote | None) -> SymbolFacts:
    return replace(
        known,
        price=quote.price if quote else None,
        price_at=_at(quote),
        bid=quote.bid if quote else None,
        ask=quote.ask if quote else None,
        tradable=_tradable(broker, known.symbol),
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
