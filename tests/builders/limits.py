"""A day on which everything is known and a BUY and a SELL of everyday size violate nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from Departments.constraints.case import Case, Stage
from Departments.constraints.limits import Limits
from Departments.core.facts import READINGS, Facts, PlanFacts, Readings, SymbolFacts, TradingHistory
from Departments.core.orders import Side
from Departments.core.plans import Trade
from Departments.core.portfolio import Account, Position
from Departments.core.quotes import MarketClock
from Departments.core.regimes import Confidence, MarketView, Regime, RegimeAssessment

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


#: Some changes of a day's facts by their names; `facts` takes any number of them.
Changes = dict[str, Any]


def facts(*parts: Changes, **changes: Any) -> Facts:
    """That day's facts with changes; `cash`, `equity` and the names of `Readings` count as facts of their own."""
    given: Changes = book() | market() | history()
    for part in (*parts, changes):
        given |= part
    cash, equity, now = given.pop("cash"), given.pop("equity"), given.pop("now")
    plan = PlanFacts("PLAN_1", given.pop("plan_generated_at"))
    readings = Readings(**{name: given.pop(name) for name in (*READINGS, "correlations")})
    assessed = given.pop("regime")
    given["views"] = given.get("views", ()) + (() if assessed is None else (MarketView.of(assessed),))
    past = TradingHistory(**{name: given.pop(name) for name in HISTORY})
    account = given.pop("account", Account(cash, equity, buying_power=cash))
    day = Facts(now, account, MarketClock.by_calendar(now), history=past, plan=plan, readings=readings)
    return replace(day, **given)


def market(*known_symbols: SymbolFacts, **changes: Any) -> Changes:
    """A quiet market; the symbols ALKS and HELD are known unless others are given."""
    symbols = {f.symbol: f for f in known_symbols or (known("ALKS"), known("HELD", sector="Energy"))}
    return {
        "now": NOW,
        "symbols": symbols,
        "spy_change_pct": Decimal("0.2"),
        "spy_drawdown_pct": Decimal(2),
        "vix": Decimal(18),
        "vix_change_pct": Decimal(0),
        "regime": regime(),
        "correlations": {frozenset({"ALKS", "HELD"}): Decimal("0.1")},
        **changes,
    }


def position(symbol: str = "HELD", qty: Any = 100, price: Any = 50, **changes: Any) -> Position:
    held = Position(symbol, Decimal(qty), Decimal(price), Decimal(price), sector="Energy")
    return replace(held, **changes)


def book(*positions: Position, **changes: Any) -> Changes:
    """$100,000 of equity with plenty of cash and 100 HELD at $50, unless others are given."""
    held = {p.symbol: p for p in positions or (position(),)}
    quiet: Changes = {"cash": Decimal(60_000), "equity": EQUITY, "positions": held, "peak_equity": EQUITY}
    return {**quiet, "open_buys": Decimal(0), "unsettled_cash": Decimal(0), **changes}


def buy(symbol: str = "ALKS", qty: Any = 120, price: Any = 30, **changes: Any) -> Trade:
    """120 ALKS at $30: $3,600."""
    money = None if price is None else Decimal(price)
    stop = None if money is None else money * Decimal("0.92")
    order = Trade(symbol, Side.BUY, Decimal(qty), money, sector="Healthcare", stop_price=stop)
    return replace(order, **changes)


def sell(symbol: str = "HELD", qty: Any = 100, price: Any = 50, **changes: Any) -> Trade:
    order = Trade(symbol, Side.SELL, Decimal(qty), None if price is None else Decimal(price))
    return replace(order, **changes)


HISTORY = (
    "executed_plan_today",
    "manual_orders_today",
    "same_day_sides",
    "day_trades",
    "stops",
    "desk_lock",
    "halt",
    "sold_at",
    "began_on",
)


def history(**changes: Any) -> Changes:
    """A plan made ten minutes ago, a live stop under HELD, nothing traded today."""
    nothing: Changes = {
        "executed_plan_today": None,
        "manual_orders_today": (),
        "same_day_sides": {},
        "day_trades": (),
        "sold_at": {},
        "halt": None,
        "began_on": None,
    }
    quiet = {"plan_generated_at": NOW - timedelta(minutes=10), "desk_lock": "", "stops": {"HELD": Decimal(46)}}
    return {**nothing, **quiet, **changes}


def no_history() -> Changes:
    """A desk that has done nothing, not even made a plan."""
    return history(plan_generated_at=None, stops={})


def case(order: Trade | None = None, *, stage: Stage = "trade", **parts: Any) -> Case:
    """One order of that day with everything it is judged by; `parts` are changes of facts, and `limits`."""
    rules = parts.pop("limits", None) or Limits()
    return Case(facts(*parts.values()), rules, stage, order or buy())
