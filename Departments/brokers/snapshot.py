"""The broker's truth as the values that limits are judged on: a `Book` and `MarketFacts`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from Departments.brokers.base import Broker
from Departments.core.market import Knowledge, SymbolFacts
from Departments.core.money import ZERO
from Departments.core.orders import Order, OrderStatus, Side
from Departments.core.portfolio import Account, Book, Position
from Departments.core.quotes import Asset, Quote


def book_of(broker: Broker, known: Knowledge, account: Account | None = None) -> Book:
    """Read account (unless it was read just now), positions and open orders; `known` completes them.

    Raises BrokerUnavailable, NotAuthorized.
    """
    account = account or broker.account()
    return Book(
        cash=account.cash,
        equity=account.equity,
        positions={p.symbol: _with_sector(p, known) for p in broker.positions()},
        open_buys=_open_buys(broker),
        unsettled_cash=known.unsettled if account.unsettled_cash is None else account.unsettled_cash,
        peak_equity=None if known.peak_equity is None else max(known.peak_equity, account.equity),
    )


def _with_sector(position: Position, known: Knowledge) -> Position:
    sector = known.sector_of(position.symbol) or position.sector
    return position if sector == position.sector else replace(position, sector=sector)


def _open_buys(broker: Broker) -> Decimal:
    buys = [o for o in broker.orders("open", side=Side.BUY) if o.status is not OrderStatus.HELD]
    unpriced = {o.symbol for o in buys if _own_price(o) is None}
    prices = broker.quotes(unpriced) if unpriced else {}
    return sum((promised(order, prices) for order in buys), ZERO)


def promised(order: Order, quotes: Mapping[str, Quote]) -> Decimal:
    """Return the dollars that the unfilled part of an open BUY will take, 0 where no price is known."""
    quote = quotes.get(order.symbol)
    price = _own_price(order) or (quote.price if quote else ZERO)
    return order.remaining_qty * price


@dataclass(frozen=True, slots=True)
class Listing:
    """What the broker said of some symbols at one moment; one that it does not know is absent."""

    symbols: frozenset[str]
    quotes: Mapping[str, Quote]
    assets: Mapping[str, Asset]

    @classmethod
    def read(cls, broker: Broker, symbols: Iterable[str]) -> Listing:
        """Ask for quotes and assets of all symbols at once. Raises BrokerUnavailable, NotAuthorized."""
        wanted = sorted(set(symbols))
        return cls(frozenset(wanted), broker.quotes(wanted), broker.assets(wanted))

    def facts(self, symbol: str, known: Knowledge) -> SymbolFacts:
        """Return what is known of a symbol; what neither the broker nor the desk knows stays unknown.

        The broker's word counts for prices, tradability and halts, what the desk was told for everything else.
        """
        told = known.symbols.get(symbol) or SymbolFacts(symbol)
        return _facts(told, self.quotes.get(symbol), self.assets.get(symbol))


def symbol_facts(broker: Broker, symbols: Iterable[str], known: Knowledge) -> dict[str, SymbolFacts]:
    """Read quotes and assets of `symbols` and return what is known of each; see `Listing`."""
    listing = Listing.read(broker, symbols)
    return {symbol: listing.facts(symbol, known) for symbol in sorted(listing.symbols)}


def _facts(known: SymbolFacts, quote: Quote | None, asset: Asset | None) -> SymbolFacts:
    quoted = known if quote is None else replace(known, price=quote.price, price_at=quote.at)
    facts = replace(quoted, bid=quote.bid if quote else None, ask=quote.ask if quote else None)
    if asset is None:
        return replace(facts, tradable=False)
    return replace(
        facts,
        tradable=asset.tradable and asset.active,
        halted=asset.halted,
        sector=known.sector or asset.sector,
        average_volume=known.average_volume or asset.average_volume,
        market_cap=known.market_cap or asset.market_cap,
        earnings_on=known.earnings_on or asset.earnings_on,
    )


def _own_price(order: Order) -> Decimal | None:
    return order.limit_price if order.side is Side.BUY else None
