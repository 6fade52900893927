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
class Told:
    """What briefings say of the market for one day. Changes are percentages: 1.15 is +1.15 %.

    `correlations` maps pairs of symbols to coefficients from -1 to 1.
    """

    spy_change_pct: Decimal | None = None
    spy_drawdown_pct: Decimal | None = None
    vix: Decimal | None = None
    vix_change_pct: Decimal | None = None
    correlations: Mapping[frozenset[str], Decimal] = field(default_factory=dict)

    def completed(self, earlier: Told) -> Told:
        """Return the same with what was told earlier where this says nothing."""
        readings = {name: _first(getattr(self, name), getattr(earlier, name)) for name in READINGS}
        return Told(**readings, correlations={**earlier.correlations, **self.correlations})


READINGS = ("spy_change_pct", "spy_drawdown_pct", "vix", "vix_change_pct")
NOTHING_TOLD = Told()


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What the desk has learnt besides the broker's word, shared by planner, reviewer and trader.

    `symbols` holds sectors, volumes and the like as they stood in a briefing, with the prices of its day; `told` is
    what the day's briefing says of the market, `peak_equity` the highest equity seen, `unsettled` the dollars of our
    own SELLs that have not settled yet, which count where the broker does not tell.
    """

    symbols: Mapping[str, SymbolFacts] = field(default_factory=dict)
    peak_equity: Decimal | None = None
    told: Told = NOTHING_TOLD
    unsettled: Decimal = Decimal(0)

    def sector_of(self, symbol: str) -> str | None:
        """Return the sector of a symbol, None where it is not known."""
        return _sector_in(self.symbols, symbol)

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
        cls,
        now: datetime,
        symbols: Mapping[str, SymbolFacts],
        assessment: RegimeAssessment | None,
        told: Told = NOTHING_TOLD,
    ) -> MarketFacts:
        """Return the facts at `now`: what the regime assessment observed, else what was told; None is unknown.

        An assessment from before the previous trading day says nothing of today.
        """
        if assessment is not None and trading_day(assessment.assessed_at) < previous_trading_day(trading_day(now)):
            assessment = None
        readings = {name: _first(getattr(assessment, name, None), getattr(told, name)) for name in READINGS}
        return cls(now=now, symbols=symbols, regime=assessment, correlations=told.correlations, **readings)

    @property
    def told(self) -> Told:
        """Return what is to be remembered of the market, so that others judge by the same."""
        return Told(**{name: getattr(self, name) for name in READINGS}, correlations=self.correlations)

    def of(self, symbol: str) -> SymbolFacts:
        """Return the facts of `symbol`, all unknown where there are none."""
        return self.symbols.get(symbol) or SymbolFacts(symbol)

    def sector_of(self, symbol: str) -> str | None:
        """Return the sector of `symbol`, None where it is not known."""
        return _sector_in(self.symbols, symbol)


def _sector_in(symbols: Mapping[str, SymbolFacts], symbol: str) -> str | None:
    facts = symbols.get(symbol)
    return facts.sector if facts else None


def _first(*values: Decimal | None) -> Decimal | None:
    return next((v for v in values if v is not None), None)
