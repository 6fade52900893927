"""What Operations plans from, gathered in one place: the broker's account and market, completed by the briefing.

The broker's word counts for cash, shares, quotes and tradability; the briefing lends sectors, scores and prices where
the broker has no quote. What neither knows stays unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import cached_property

from Departments.brokers.base import Bar, Broker, Quote
from Departments.core.errors import NotFound
from Departments.core.market import MarketFacts, SymbolFacts
from Departments.core.money import ZERO
from Departments.core.orders import Order, Side
from Departments.core.portfolio import Account, Book, Position
from Departments.core.regimes import RegimeAssessment
from Departments.Operations.briefing import Briefing, Candidate, Holding

VOLUME_DAYS = 20  # trading days over which the average volume is taken


@dataclass(frozen=True)
class Known:
    """What is known without the broker: the briefing, the sectors learnt so far, the regime, the highest equity."""

    briefing: Briefing
    sectors: Mapping[str, str]
    regime: RegimeAssessment | None = None
    peak_equity: Decimal | None = None

    @cached_property
    def candidates(self) -> dict[str, Candidate]:
        """Return the briefing's candidates by symbol."""
        return {c.ticker: c for c in self.briefing.candidates}

    @cached_property
    def holdings(self) -> dict[str, Holding]:
        """Return the briefing's holdings by symbol."""
        return {h.ticker: h for h in self.briefing.holdings}

    def told(self, symbol: str) -> Candidate | Holding | None:
        """Return what the briefing says of a symbol."""
        return self.candidates.get(symbol) or self.holdings.get(symbol)


def observe(broker: Broker, known: Known, now: datetime, *, wanted: Iterable[str] = ()) -> tuple[Book, MarketFacts]:
    """Ask the broker for the account and for every held or `wanted` symbol. Raises BrokerUnavailable, NotAuthorized."""
    account, positions, open_orders = broker.account(), broker.positions(), broker.orders("open")
    buys = [o for o in open_orders if o.side is Side.BUY]
    candidates = sorted(set(wanted))
    symbols = sorted({p.symbol for p in positions} | set(candidates) | {o.symbol for o in buys})
    quotes = broker.quotes(symbols)
    facts = {s: _facts(s, known, quotes.get(s), tradable=_tradable(broker, s)) for s in symbols}
    for symbol in candidates:
        facts[symbol] = _with_volume(facts[symbol], broker.bars(symbol, days=VOLUME_DAYS))
    book = _book(account, [_position(p, known, facts[p.symbol]) for p in positions], _promised(buys, facts), known)
    return book, _market(now, facts, known)


def _book(account: Account, positions: Sequence[Position], promised: Decimal, known: Known) -> Book:
    peaks = (p for p in (known.peak_equity, account.equity) if p is not None)
    return Book(
        cash=account.cash,
        equity=account.equity,
        positions={p.symbol: p for p in positions},
        open_buys=promised,
        unsettled_cash=account.unsettled_cash or ZERO,
        peak_equity=max(peaks),
    )


def _position(position: Position, known: Known, facts: SymbolFacts) -> Position:
    told = known.holdings.get(position.symbol)
    return replace(
        position,
        sector=facts.sector or position.sector,
        score=told.score if told else position.score,
        current_price=position.current_price if facts.price is None else facts.price,
    )


def _promised(buys: Iterable[Order], facts: Mapping[str, SymbolFacts]) -> Decimal:
    """Return the cash that open BUYs may still take; one whose price nobody knows counts as nothing known."""
    prices = ((o, o.limit_price or facts[o.symbol].price) for o in buys)
    return sum((o.remaining_qty * price for o, price in prices if price is not None), ZERO)


def _facts(symbol: str, known: Known, quote: Quote | None, *, tradable: bool) -> SymbolFacts:
    candidate, told = known.candidates.get(symbol), known.told(symbol)
    facts = SymbolFacts(
        symbol,
        price=told.price if told else None,
        price_at=known.briefing.at if told and told.price is not None else None,
        sector=(told.sector if told else None) or known.sectors.get(symbol),
        average_volume=candidate.average_volume if candidate else None,
        market_cap=candidate.market_cap if candidate else None,
        tradable=tradable,
        earnings_on=candidate.earnings_on if candidate else None,
    )
    if quote is None:
        return facts
    return replace(facts, price=quote.price, price_at=quote.at, bid=quote.bid, ask=quote.ask)


def _with_volume(facts: SymbolFacts, bars: Sequence[Bar]) -> SymbolFacts:
    return replace(facts, average_volume=sum((b.volume for b in bars), ZERO) / len(bars)) if bars else facts


def _tradable(broker: Broker, symbol: str) -> bool:
    try:
        asset = broker.asset(symbol)
    except NotFound:
        return False
    return asset.tradable and asset.active


def _market(now: datetime, facts: Mapping[str, SymbolFacts], known: Known) -> MarketFacts:
    market, seen = MarketFacts.of_day(now, facts, known.regime), known.briefing.conditions
    return replace(
        market,
        spy_change_pct=_first(market.spy_change_pct, seen.spy_change_pct),
        spy_drawdown_pct=_first(market.spy_drawdown_pct, seen.spy_drawdown_pct),
        vix=_first(market.vix, seen.vix),
        vix_change_pct=_first(market.vix_change_pct, seen.vix_change_pct),
    )


def _first(*values: Decimal | None) -> Decimal | None:
    return next((v for v in values if v is not None), None)
