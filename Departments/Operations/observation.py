"""What Operations plans from: the broker's account and market, completed by the briefing.

The broker's word counts for cash, shares, quotes and tradability, read by the code Trading reads them with; the
briefing lends sectors, scores, and prices where the broker has no quote. What neither knows stays unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from Departments.brokers.base import Broker
from Departments.brokers.snapshot import book_of, symbol_facts
from Departments.core.market import Knowledge, MarketFacts, SymbolFacts
from Departments.core.money import ZERO
from Departments.core.portfolio import Book, Position
from Departments.core.quotes import Bar
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
        """Return what was learnt before, with what the briefing says before all of it."""
        symbols = dict(self.learnt.symbols)
        for row in self._rows():
            symbols[row.ticker] = self._briefed(symbols.get(row.ticker) or SymbolFacts(row.ticker), row)
        return replace(self.learnt, symbols=symbols, told=self.briefing.conditions.completed(self.learnt.told))

    def scores(self) -> dict[str, Decimal | None]:
        """Return the scores of holdings, as the briefing has them."""
        return {holding.ticker: holding.score for holding in self.briefing.holdings}

    def _briefed(self, facts: SymbolFacts, row: Candidate | Holding) -> SymbolFacts:
        if row.price is not None:
            facts = replace(facts, price=row.price, price_at=self.briefing.at)
        facts = replace(facts, sector=row.sector or facts.sector)
        if isinstance(row, Holding):
            return facts
        return replace(
            facts,
            average_volume=row.average_volume or facts.average_volume,
            market_cap=row.market_cap or facts.market_cap,
            earnings_on=row.earnings_on or facts.earnings_on,
        )

    def _rows(self) -> tuple[Candidate | Holding, ...]:
        return (*self.briefing.holdings, *self.briefing.candidates)


def observe(broker: Broker, known: Known, now: datetime, wanted: Sequence[str] = ()) -> tuple[Book, MarketFacts]:
    """Ask the broker for the account and for every held or `wanted` symbol. Raises BrokerUnavailable, NotAuthorized."""
    knowledge, scores = known.knowledge(), known.scores()
    book = book_of(broker, knowledge)
    facts = symbol_facts(broker, {*book.positions, *wanted}, knowledge)
    for symbol, bars in broker.bars(wanted, days=VOLUME_DAYS).items():
        facts[symbol] = _with_volume(facts[symbol], bars)
    positions = {s: _scored(p, scores.get(s), facts[s].price) for s, p in book.positions.items()}
    return replace(book, positions=positions), MarketFacts.of_day(now, facts, known.regime, knowledge.told)


def _scored(position: Position, score: Decimal | None, price: Decimal | None) -> Position:
    known = price if position.current_price is None else position.current_price
    return replace(position, score=position.score if score is None else score, current_price=known)


def _with_volume(facts: SymbolFacts, bars: Sequence[Bar]) -> SymbolFacts:
    return replace(facts, average_volume=sum((b.volume for b in bars), ZERO) / len(bars))
