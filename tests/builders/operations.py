"""Briefings, accounts and random days for Operations to plan on."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from Departments.constraints.limits import Limits
from Departments.core.facts import READINGS, Readings, SymbolFacts
from Departments.core.money import price_of
from Departments.core.portfolio import Position
from Departments.core.regimes import MarketView
from Departments.core.settings import ExitSettings
from Departments.messaging.neighbours import Candidate
from Departments.Operations.basis import Basis
from Departments.Operations.briefing import Briefing
from tests.builders.limits import NOW, facts, history, known, market

TODAY = date(2025, 11, 10)
SECTORS = ("Technology", "Healthcare", "Energy", "Financial Services", "Industrials", "Utilities", "Basic Materials")
STOP = Decimal("0.08")


def row(symbol: str = "ALKS", **changes: Any) -> dict[str, Any]:
    """A candidate as RESEARCH writes it, float noise and all."""
    candidate = {
        "ticker": symbol,
        "technical": {"score": 100.0},
        "fundamental": {"score": 59.0, "sector": "Healthcare"},
        "sentiment": {"score": 50.0},
        "composite_score": 73.6,
        "current_price": 33.0099983215332,
    }
    return candidate | changes


def payload(*candidates: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """A DailyBriefing of 2025-11-10 on an ordinary day."""
    conditions = {"spy_change_pct": 1.15, "vix": 18.04, "vix_status": "NORMAL", "date": "2025-11-10"}
    day = {"market_conditions": conditions, "candidates": [dict(c) for c in candidates or (row(),)]}
    return {**day, "current_holdings": [], **changes}


def holding(symbol: str = "EIX", **changes: Any) -> dict[str, Any]:
    """A holding as RESEARCH writes it."""
    held = {"ticker": symbol, "quantity": 214.0, "current_price": 57.40, "sector": "Utilities"}
    return {**held, "research_composite_score": 78.0, **changes}


def candidate(symbol: str, price: Any = 30, score: Any = 70, sector: str | None = None, **changes: Any) -> Candidate:
    """A candidate with everything known."""
    seen = None if price is None else Decimal(str(price))
    rated = None if score is None else Decimal(str(score))
    return replace(Candidate(symbol, rated, seen, sector), **changes)


def briefing(*candidates: Candidate, **changes: Any) -> Briefing:
    """A briefing of the day with these candidates."""
    return replace(Briefing(TODAY, Readings(), candidates, (), "briefing", at=NOW), **changes)


def proposed(symbol: str, shares: Any, price: Any, score: Any = 70, sector: str | None = None) -> Candidate:
    """A candidate that comes with a size in shares."""
    return candidate(symbol, price, score, sector, shares=Decimal(shares))


def held(symbol: str, qty: Any, price: Any, **changes: Any) -> Position:
    """A position with all shares free to sell."""
    return replace(Position(symbol, Decimal(str(qty)), Decimal(str(price)), Decimal(str(price))), **changes)


def exits(stop: Decimal | None) -> ExitSettings:
    """Exits with a stop so far below the price (a share of one); None where BUYs get none."""
    return ExitSettings(enabled=False) if stop is None else ExitSettings(stop_loss_pct=stop)


def basis(
    *positions: Position,
    cash: Any = 100_000,
    equity: Any = None,
    candidates: Iterable[Candidate] = (),
    limits: Limits | None = None,
    stop: Decimal | None = STOP,
    **changes: Any,
) -> Basis:
    """A day in a quiet market; equity is cash and positions unless it is given. `changes` are every symbol's."""
    total = Decimal(str(cash)) + sum((p.market_value for p in positions), Decimal(0))
    whole = total if equity is None else Decimal(str(equity))
    symbols = [_facts(c.symbol, c.price, c.sector) for c in candidates]
    symbols += [_facts(p.symbol, p.current_price, p.sector) for p in positions]
    held = {p.symbol: p for p in positions}
    account = {"cash": Decimal(str(cash)), "equity": whole, "positions": held, "peak_equity": whole}
    stops = {p.symbol: (p.avg_entry_price or p.price) * (1 - STOP) for p in positions}
    quiet = market(*(replace(f, **changes) for f in symbols or [known()]))
    day = replace(facts(quiet, account, history(stops=stops)), plan=None)
    return Basis(day, limits or Limits(), exits(stop))


def changed(day: Basis, **changes: Any) -> Basis:
    """The same day with other facts; the cash and the names of `Readings` count as facts of their own."""
    facts = day.facts
    account = replace(facts.account, cash=changes.pop("cash", facts.cash))
    if "regime" in changes:
        changes["views"] = (MarketView.of(changes.pop("regime")),)
    read = {name: changes.pop(name) for name in (*READINGS, "correlations") if name in changes}
    return replace(day, facts=replace(facts, account=account, readings=replace(facts.readings, **read), **changes))


def _facts(symbol: str, price: Decimal | None, sector: str | None) -> SymbolFacts:
    spread = {} if price is None else {"bid": price * Decimal("0.999"), "ask": price * Decimal("1.001")}
    return known(symbol, price=price, sector=sector, **spread)


def random_day(seed: int, *, count: int | None = None, proposals: bool = False) -> tuple[Briefing, Basis]:
    """A random account, portfolio and list of candidates; the same seed is the same day."""
    rng = random.Random(seed)
    equity = Decimal(rng.choice((25_000, 60_000, 98_950, 100_000, 250_000, 1_000_000)))
    number = count or rng.randint(8, 60)
    candidates = tuple(_random_candidate(rng, f"C{n}", equity, proposals=proposals) for n in range(number))
    positions = _random_positions(rng, equity)
    invested = sum((p.market_value for p in positions), Decimal(0))
    day = basis(*positions, cash=equity - invested, candidates=candidates, limits=_random_limits(rng))
    return briefing(*candidates), day


def _random_candidate(rng: random.Random, symbol: str, equity: Decimal, *, proposals: bool) -> Candidate:
    price = price_of(round(5 * 60 ** rng.random(), 2))
    score = round(rng.uniform(40, 90), 1)
    found = candidate(symbol, price, score, rng.choice((*SECTORS, None)))
    if not proposals or rng.random() < 0.5:
        return found
    return replace(found, weight=price_of(rng.uniform(0.01, 0.10)))


def _random_positions(rng: random.Random, equity: Decimal) -> list[Position]:
    left, positions = equity * Decimal(str(round(rng.uniform(0, 0.85), 2))), []
    for n in range(rng.randint(0, 14)):
        price = price_of(round(5 * 60 ** rng.random(), 2))
        qty = int(min(left, equity * Decimal(str(round(rng.uniform(0.02, 0.12), 3)))) / price)
        if qty:
            sector, score = rng.choice((*SECTORS, None)), Decimal(rng.randint(45, 90))
            positions.append(held(f"H{n}", qty, price, sector=sector, score=score))
            left -= qty * price
    return positions


def _random_limits(rng: random.Random) -> Limits:
    return Limits.model_validate(
        {
            "position_limits": {
                "max_positions_total": rng.choice((15, 20, 20, 30)),
                "max_sector_concentration_pct": rng.choice((Decimal("0.25"), Decimal("0.40"), Decimal("0.40"))),
                "unknown_sector": rng.choice(("own_bucket", "each_by_itself")),
            },
            "portfolio_risk": {"max_portfolio_heat": rng.choice((Decimal("0.08"), Decimal("0.10")))},
            "deployment": {"target_pct": rng.choice((Decimal("0.90"), Decimal("0.90"), Decimal("0.70")))},
        }
    )
