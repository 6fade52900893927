"""What Operations plans from: the broker's account and market, completed by the briefing.

The broker's word counts for cash, shares, quotes and tradability, read by the code Trading reads them with; the
briefing lends sectors, scores, and prices where the broker has no quote. What neither knows stays unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from Departments.brokers.base import Bar, Broker
from Departments.brokers.snapshot import book_of, symbol_facts
from Departments.core.market import Knowledge, MarketFacts, SymbolFacts
from Departments.core.money import ZERO
from Departments.core.portfolio import Book, Position
from Departments.core.regimes import RegimeAssessment
from Departments.Operations.briefing import Briefing, Candidate, Holding

VOLUME_DAYS = 20  # trading days over which the average volume is taken


@dataclass(frozen=True, slots=True)
class Known:
    """What is known without the broker: the briefing, what was learnt before, the regime."""

    briefing: Briefing
    learnt: Knowledge = field(default_factory=Knowledge)
    regime: RegimeAssessment | None = None

    def knowledge(self) -> Knowledge:
        """Return what was learnt before, with the briefing's sectors before all others."""
        symbols = dict(self.learnt.symbols)
        for row in self._rows():
            if row.sector:
                symbols[row.ticker] = replace(symbols.get(row.ticker) or SymbolFacts(row.ticker), sector=row.sector)
        return replace(self.learnt, symbols=symbols)

    def told(self) -> dict[str, Candidate | Holding]:
        """Return what the briefing says of each symbol."""
        return {row.ticker: row for row in self._rows()}

    def _rows(self) -> tuple[Candidate | Holding, ...]:
        return (*self.briefing.holdings, *self.briefing.candidates)


def observe(broker: Broker, known: Known, now: datetime, wanted: Sequence[str] = ()) -> tuple[Book, MarketFacts]:
    """Ask the broker for the account and for every held or `wanted` symbol. Raises BrokerUnavailable, NotAuthorized."""
    learnt, told = known.knowledge(), known.told()
    book = book_of(broker, learnt)
    facts = symbol_facts(broker, {*book.positions, *wanted}, learnt)
    for symbol in wanted:
        facts[symbol] = _with_volume(facts[symbol], broker.bars(symbol, days=VOLUME_DAYS))
    completed = {s: _briefed(f, told.get(s), known.briefing.at) for s, f in facts.items()}
    scores = {h.ticker: h.score for h in known.briefing.holdings}
    positions = {s: _scored(p, scores.get(s), completed[s].price) for s, p in book.positions.items()}
    return replace(book, positions=positions), _market(now, completed, known)


def _scored(position: Position, score: Decimal | None, price: Decimal | None) -> Position:
    known = price if position.current_price is None else position.current_price
    return replace(position, score=position.score if score is None else score, current_price=known)


def _briefed(facts: SymbolFacts, told: Candidate | Holding | None, at: datetime | None) -> SymbolFacts:
    if facts.price is None and told is not None and told.price is not None:
        facts = replace(facts, price=told.price, price_at=at)
    if not isinstance(told, Candidate):
        return facts
    return replace(
        facts,
        average_volume=facts.average_volume or told.average_volume,
        market_cap=told.market_cap or facts.market_cap,
        earnings_on=told.earnings_on or facts.earnings_on,
    )


def _with_volume(facts: SymbolFacts, bars: Sequence[Bar]) -> SymbolFacts:
    return replace(facts, average_volume=sum((b.volume for b in bars), ZERO) / len(bars)) if bars else facts


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
