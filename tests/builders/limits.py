"""A day on which everything is known and a BUY and a SELL of everyday size violate nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from Departments.constraints.case import Case, Stage
from Departments.constraints.limits import Limits
from Departments.core.history import TradingHistory
from Departments.core.market import MarketFacts, SymbolFacts
from Departments.core.orders import Side
from Departments.core.portfolio import Book, Position, ProposedOrder
from Departments.core.regimes import Confidence, Regime, RegimeAssessment

#: 10:09 in New York on a Monday, in the middle of the exchange's day.
NOW = datetime(2025, 11, 10, 15, 9, tzinfo=UTC)
EQUITY = Decimal(100_000)


def limits(**sections: Mapping[str, Any]) -> Limits:
    """Limits with the shipped values but for the keys given by section."""
    return Limits.model_validate(sections)


def known(symbol: str = "ALKS", **changes: Any) -> SymbolFacts:
    """A large, liquid, tradable stock at $30 of which everything is known."""
    facts = SymbolFacts(
        symbol,
        price=Decimal(30),
        price_at=NOW - timedelta(minutes=5),
        sector="Healthcare",
        bid=Decimal("29.99"),
        ask=Decimal("30.01"),
        average_volume=Decimal(2_000_000),
        market_cap=Decimal(5_000_000_000),
        tradable=True,
        halted=False,
        earnings_on=date(2025, 11, 20),
        earnings_known=True,
    )
    return replace(facts, **changes)


def regime(kind: Regime = Regime.NEUTRAL, **changes: Any) -> RegimeAssessment:
    return replace(RegimeAssessment(kind, Confidence.MEDIUM, "NORMAL CONDITIONS", NOW, "test"), **changes)


def market(*facts: SymbolFacts, **changes: Any) -> MarketFacts:
    """A quiet market; the symbols ALKS and HELD are known unless others are given."""
    symbols = {f.symbol: f for f in facts or (known("ALKS"), known("HELD", sector="Energy"))}
    day = MarketFacts(
        NOW,
        symbols,
        spy_change_pct=Decimal("0.2"),
        spy_drawdown_pct=Decimal(2),
        vix=Decimal(18),
        vix_change_pct=Decimal(0),
        regime=regime(),
        correlations={frozenset({"ALKS", "HELD"}): Decimal("0.1")},
    )
    return replace(day, **changes)


def position(symbol: str = "HELD", qty: Any = 100, price: Any = 50, **changes: Any) -> Position:
    held = Position(symbol, Decimal(qty), Decimal(price), Decimal(price), sector="Energy")
    return replace(held, **changes)


def book(*positions: Position, **changes: Any) -> Book:
    """$100,000 of equity with plenty of cash and 100 HELD at $50, unless others are given."""
    held = {p.symbol: p for p in positions or (position(),)}
    return replace(Book(Decimal(60_000), EQUITY, held, peak_equity=EQUITY), **changes)


def buy(symbol: str = "ALKS", qty: Any = 120, price: Any = 30, **changes: Any) -> ProposedOrder:
    """120 ALKS at $30: $3,600."""
    money = None if price is None else Decimal(price)
    stop = None if money is None else money * Decimal("0.92")
    order = ProposedOrder(symbol, Side.BUY, Decimal(qty), money, "Healthcare", stop, plan_id="PLAN_1")
    return replace(order, **changes)


def sell(symbol: str = "HELD", qty: Any = 100, price: Any = 50, **changes: Any) -> ProposedOrder:
    order = ProposedOrder(symbol, Side.SELL, Decimal(qty), None if price is None else Decimal(price), plan_id="PLAN_1")
    return replace(order, **changes)


def history(**changes: Any) -> TradingHistory:
    """A plan made ten minutes ago, a live stop under HELD, nothing traded today."""
    quiet = TradingHistory(plan_generated_at=NOW - timedelta(minutes=10), stops={"HELD": Decimal(46)})
    return replace(quiet, **changes)


def case(order: ProposedOrder | None = None, *, stage: Stage = "trade", **parts: Any) -> Case:
    """One order of that day with everything it is judged by."""
    given: dict[str, Any] = {"book": book(), "market": market(), "limits": Limits(), "history": history()} | parts
    return Case(order or buy(), stage=stage, **given)
