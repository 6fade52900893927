"""What is known of the market at a moment. None means *unknown*: there are no placeholder values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal

from Departments.core.regimes import RegimeAssessment
from Departments.core.trading_calendar import previous_trading_day, trading_day


@dataclass(frozen=True, slots=True)
class SymbolFacts:
    """What is known of one symbol. Prices in dollars, volume in shares a day, market_cap in dollars."""

    symbol: str
    price: Decimal | None = None
    price_at: datetime | None = None
    sector: str | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    average_volume: Decimal | None = None
    market_cap: Decimal | None = None
    tradable: bool | None = None
    halted: bool | None = None
    earnings_on: date | None = None
    earnings_known: bool = False


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What the desk has learnt besides the broker's word, shared by planner, reviewer and trader.

    `symbols` holds sectors, volumes and the like as they stood in a briefing; `peak_equity` is the highest seen.
    """

    symbols: Mapping[str, SymbolFacts] = field(default_factory=dict)
    peak_equity: Decimal | None = None

    def sector_of(self, symbol: str) -> str | None:
        """Return the sector of a symbol, None where it is not known."""
        facts = self.symbols.get(symbol)
        return facts.sector if facts else None

    def with_sector(self, symbol: str, sector: str | None) -> Knowledge:
        """Return the knowledge with a sector for a symbol that has none yet."""
        if not sector or self.sector_of(symbol):
            return self
        known = replace(self.symbols.get(symbol) or SymbolFacts(symbol), sector=sector)
        return replace(self, symbols={**self.symbols, symbol: known})


@dataclass(frozen=True, slots=True)
class MarketFacts:
    """What is known of the market as a whole at `now` (UTC). Changes are percentages: 1.15 is +1.15 %."""

    now: datetime
    symbols: Mapping[str, SymbolFacts] = field(default_factory=dict)
    spy_change_pct: Decimal | None = None
    spy_drawdown_pct: Decimal | None = None
    vix: Decimal | None = None
    vix_change_pct: Decimal | None = None
    regime: RegimeAssessment | None = None
    correlations: Mapping[frozenset[str], Decimal] = field(default_factory=dict)

    @classmethod
    def of_day(
        cls, now: datetime, symbols: Mapping[str, SymbolFacts], assessment: RegimeAssessment | None
    ) -> MarketFacts:
        """Return the facts at `now`, with what the regime assessment observed; None is unknown.

        An assessment from before the previous trading day says nothing of today.
        """
        if assessment is None or trading_day(assessment.assessed_at) < previous_trading_day(trading_day(now)):
            return cls(now=now, symbols=symbols)
        return cls(
            now=now,
            symbols=symbols,
            spy_change_pct=assessment.spy_change_pct,
            spy_drawdown_pct=assessment.spy_drawdown_pct,
            vix=assessment.vix,
            vix_change_pct=assessment.vix_change_pct,
            regime=assessment,
        )

    def of(self, symbol: str) -> SymbolFacts:
        """Return the facts of `symbol`, all unknown where there are none."""
        return self.symbols.get(symbol) or SymbolFacts(symbol)
