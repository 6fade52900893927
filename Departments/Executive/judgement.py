"""The Executive's own look at a plan: the same constraint engine, on the account as it is now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from Departments.brokers.base import Broker
from Departments.brokers.snapshot import book_of, symbol_facts
from Departments.constraints.checks import sector_of
from Departments.constraints.engine import PlanVerdict, check_plan
from Departments.constraints.headroom import Headroom, headroom
from Departments.constraints.limits import Limits
from Departments.core.market import MarketFacts
from Departments.core.money import ZERO, on_tick
from Departments.core.orders import Side
from Departments.core.plans import TradingPlan
from Departments.core.portfolio import Book, ProposedOrder
from Departments.core.settings import ExitSettings
from Departments.ledger.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Shift:
    """What a symbol or sector weighs before and after a plan, as shares of equity."""

    name: str
    before: Decimal
    after: Decimal


@dataclass(frozen=True, slots=True)
class Judgement:
    """A plan on today's account: what the engine says, what changes, and what is left of each limit afterwards."""

    verdict: PlanVerdict
    before: Book
    market: MarketFacts
    weights: tuple[Shift, ...]
    sectors: tuple[Shift, ...]
    headroom: tuple[Headroom, ...]
    drifted: Mapping[str, Decimal]

    def document(self) -> dict[str, Any]:
        """Return the judgement with shares of equity as strings."""
        return {
            "weights": [_shift(s) for s in self.weights],
            "sectors": [_shift(s) for s in self.sectors],
            "headroom": [
                {"limit": h.key, "used": h.used, "bound": h.bound, "left": h.left, "unit": h.unit, "about": h.about}
                for h in self.headroom
            ],
            "violations": [{"ticker": o.symbol, "reason": str(r)} for o, r in self.verdict.violations],
        }


@dataclass(frozen=True, slots=True)
class Judge:
    """Looks at plans with the account, the ledger and the limits of today."""

    broker: Broker
    ledger: Ledger
    limits: Limits
    exits: ExitSettings

    def judge(self, plan: TradingPlan, now: datetime) -> Judgement:
        """Judge every order of a plan on the projected account. Raises BrokerUnavailable."""
        known = self.ledger.symbols.knowledge(now, self.limits.settlement.days)
        book = book_of(self.broker, known)
        facts = symbol_facts(self.broker, {*book.positions, *(t.ticker for t in plan.trades)}, known)
        market = MarketFacts.of_day(now, facts, self.ledger.regimes.latest_assessment(now), known.told)
        history = self.ledger.history(now, plan_generated_at=plan.generated_at)
        verdict = check_plan(self._orders(plan, market), book, market, self.limits, history, stage="review")
        return Judgement(
            verdict=verdict,
            before=book,
            market=market,
            weights=_shifts(_weights(book), _weights(verdict.book)),
            sectors=_shifts(self._sectors(book, market), self._sectors(verdict.book, market)),
            headroom=headroom(verdict.book, market, self.limits, verdict.history),
            drifted=_drifts(plan, market),
        )

    def _orders(self, plan: TradingPlan, market: MarketFacts) -> list[ProposedOrder]:
        stop = 1 - self.exits.stop_loss_pct if self.exits.enabled else None
        orders = []
        for t in plan.trades:
            price = market.of(t.ticker).price or t.price
            buys = t.side is Side.BUY
            stop_price = on_tick(price * stop) if buys and price is not None and stop is not None else None
            sector = t.sector or market.of(t.ticker).sector
            orders.append(ProposedOrder(t.ticker, t.side, t.qty, price, sector, stop_price, plan.plan_id))
        return orders

    def _sectors(self, book: Book, market: MarketFacts) -> dict[str, Decimal]:
        found: dict[str, Decimal] = {}
        for position in book.positions.values():
            sector = sector_of(self.limits, position.symbol, market, position.sector).partition(":")[0]
            found[sector] = found.get(sector, ZERO) + position.market_value
        return {sector: _share(value, book) for sector, value in found.items()}


def outdated(plan: TradingPlan, limits: Limits, now: datetime) -> str | None:
    """Return why a plan is of yesterday's facts: it was made with other limits, or is too old."""
    age, allowed = now - plan.generated_at, limits.staleness.plan_max_age_hours
    if plan.limits_hash and plan.limits_hash != limits.fingerprint:
        return f"it was made with other limits ({plan.limits_hash}, now {limits.fingerprint})"
    if age > timedelta(hours=float(allowed)):
        return f"it is {age.total_seconds() / 3600:.2f} hours old, {allowed} are allowed"
    return None


def _weights(book: Book) -> dict[str, Decimal]:
    return {symbol: _share(position.market_value, book) for symbol, position in book.positions.items()}


def _share(value: Decimal, book: Book) -> Decimal:
    return value / book.equity if book.equity > 0 else ZERO


def _shifts(before: Mapping[str, Decimal], after: Mapping[str, Decimal]) -> tuple[Shift, ...]:
    names = sorted({*before, *after}, key=lambda n: (-after.get(n, ZERO), n))
    return tuple(Shift(name, before.get(name, ZERO), after.get(name, ZERO)) for name in names)


def _drifts(plan: TradingPlan, market: MarketFacts) -> dict[str, Decimal]:
    """Return by how much (share of the plan's price) each price has moved against the plan."""
    moved = {}
    for trade in plan.trades:
        now = market.of(trade.ticker).price
        if now is not None and trade.price:
            worse = (now - trade.price) / trade.price
            moved[trade.ticker] = worse if trade in plan.buys else -worse
    return moved


def _shift(shift: Shift) -> dict[str, str]:
    return {"name": shift.name, "before": f"{shift.before:.4f}", "after": f"{shift.after:.4f}"}
