"""The basis of a plan: facts completed by the briefing, limits, exits.

The briefing lends sectors, scores, and prices where the broker has no quote; it counts before what was remembered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from Departments.brokers.base import Broker
from Departments.brokers.snapshot import FactsReader
from Departments.constraints import amounts, engine
from Departments.constraints.limits import Limits
from Departments.core.errors import BrokerError, NotAuthorized
from Departments.core.facts import Facts, Knowledge, PlanFacts, SymbolFacts
from Departments.core.logs import make_logger
from Departments.core.money import ONE, ZERO
from Departments.core.orders import Side
from Departments.core.plans import Trade
from Departments.core.portfolio import Position
from Departments.core.quotes import Bar
from Departments.core.reasons import Reason, ReasonCode
from Departments.core.settings import ExitSettings
from Departments.messaging.neighbours import Candidate, Holding
from Departments.Operations.briefing import Briefing

log = make_logger(__name__)
VOLUME_DAYS = 20  # trading days over which the average volume is taken


@dataclass(frozen=True, slots=True)
class Basis:
    """The facts at one moment, the limits, and the exits of BUYs."""

    facts: Facts
    limits: Limits
    exits: ExitSettings

    @property
    def buffer(self) -> Decimal:
        """Return how much worse prices may become, as a share of one."""
        return self.limits.deployment.price_buffer_pct

    @property
    def minimum(self) -> Decimal:
        """Return the least a position may be worth, in dollars."""
        return amounts.minimum_position(self.limits, self.facts.equity)

    def price(self, symbol: str, side: Side) -> Decimal | None:
        """Return the price to plan a side with, in dollars a share."""
        known, held = self.facts.of(symbol).price_for(side), self.facts.positions.get(symbol)
        return known if known is not None or held is None else held.current_price

    def bucket(self, symbol: str, briefed: str | None = None) -> str:
        """Return the sector bucket of a symbol."""
        held = self.facts.positions.get(symbol)
        return amounts.sector_of(self.limits, symbol, self.facts, held.sector if held else None, briefed)

    def order(self, trade: Trade, worse: Decimal = ZERO) -> Trade:
        """Return a trade with its stop, at a price worse by a share of one."""
        drift = ONE + worse if trade.side is Side.BUY else ONE - worse
        price = None if trade.price is None else trade.price * drift
        stop = self.exits.stop_of(trade.side, price, self.facts.live_stop(trade.symbol))
        return replace(trade, price=price, stop_price=stop)

    def find_violation(self, trade: Trade, facts: Facts, ignored: frozenset[ReasonCode]) -> Reason | None:
        """Return the first violation of a trade at worse prices whose code is not `ignored`, or None."""
        return engine.find_violation(self.order(trade, self.buffer), facts, self.limits, "plan", ignored)

    def judge_plan(self, trades: tuple[Trade, ...], worse: Decimal = ZERO) -> engine.PlanVerdict:
        """Judge all trades with the constraint engine, one after the other."""
        return engine.check_plan([self.order(t, worse) for t in trades], self.facts, self.limits, "plan")


def observe(
    reader: FactsReader, briefing: Briefing, wanted: Sequence[str] = (), others: Iterable[Briefing] = ()
) -> Facts:
    """Read facts of the account and of every held or `wanted` symbol. Raises BrokerUnavailable, NotAuthorized.

    `others` are further briefings of the day: their views of the market count, too.
    """
    facts = reader.read(wanted, lambda known: complete(known, briefing, others))
    symbols = {**facts.symbols, **_with_volumes(reader.broker, facts, wanted)}
    scores = {holding.symbol: holding.score for holding in briefing.holdings}
    positions = {s: _score(p, scores.get(s), facts.of(s).price) for s, p in facts.positions.items()}
    prices = {c.symbol: c.price for c in briefing.candidates if c.price is not None}
    return replace(facts, symbols=symbols, positions=positions, plan=PlanFacts(None, None, prices=prices))


def complete(known: Knowledge, briefing: Briefing, others: Iterable[Briefing] = ()) -> Knowledge:
    """Return the knowledge with the briefing's facts first. The views of an earlier plan give way."""
    symbols = dict(known.symbols)
    rows: tuple[Candidate | Holding, ...] = (*briefing.holdings, *briefing.candidates)
    for row in rows:
        symbols[row.symbol] = _brief(symbols.get(row.symbol) or SymbolFacts(row.symbol), row, briefing)
    views = tuple(view for seen in (briefing, *others) if (view := seen.view) is not None)
    return replace(known, symbols=symbols, readings=briefing.conditions.complete(known.readings), plan_views=views)


def _brief(facts: SymbolFacts, row: Candidate | Holding, briefing: Briefing) -> SymbolFacts:
    is_priced, more = row.price is not None, row if isinstance(row, Candidate) else None
    return replace(
        facts,
        price=row.price if is_priced else facts.price,
        price_at=briefing.at if is_priced else facts.price_at,
        sector=row.sector or facts.sector,
        average_volume=(more and more.average_volume) or facts.average_volume,
        market_cap=(more and more.market_cap) or facts.market_cap,
        earnings_on=(more and more.earnings_on) or facts.earnings_on,
    )


def _score(position: Position, score: Decimal | None, price: Decimal | None) -> Position:
    known = price if position.current_price is None else position.current_price
    return replace(position, score=position.score if score is None else score, current_price=known)


def _with_volumes(broker: Broker, facts: Facts, wanted: Sequence[str]) -> dict[str, SymbolFacts]:
    try:
        daily = broker.bars(wanted, days=VOLUME_DAYS)
    except NotAuthorized:
        raise
    except BrokerError as error:
        log.warning("Average volumes are unknown, so `missing_data` of the limits decides (%s)", error)
        return {}
    return {symbol: replace(facts.of(symbol), average_volume=_average(bars)) for symbol, bars in daily.items()}


def _average(bars: Sequence[Bar]) -> Decimal:
    return sum((bar.volume for bar in bars), ZERO) / len(bars)
