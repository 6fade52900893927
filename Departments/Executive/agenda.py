"""The decisions of each phase: trades, shares, and the reason for fewer than planned. Pure over facts.

A dry run makes the same decisions, phase by phase, on facts as if everything had filled at today's prices.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from Departments.constraints.engine import check_desk, check_order, project
from Departments.constraints.limits import Limits
from Departments.core.facts import Facts
from Departments.core.money import ZERO, whole_shares
from Departments.core.orders import BUY_COLLAR, Side
from Departments.core.plans import Trade, TradingPlan
from Departments.core.portfolio import Position
from Departments.core.reasons import Reason, ReasonCode
from Departments.core.statuses import PhaseName
from Departments.Executive.funding import Decision, Shortfall, fund, in_score_order


def decide(
    name: PhaseName,
    plan: TradingPlan,
    facts: Facts,
    limits: Limits,
    shortfall: Shortfall = "by_priority",
    collar: Decimal = BUY_COLLAR,
) -> list[Decision]:
    """Decide the trades of phase `name` of a plan. A BUY may fill `collar` (a share of one) above the ask."""
    if name is PhaseName.RELEASE:
        return _releases(plan, facts, limits)
    if name is PhaseName.SELL:
        return [_sell(trade, facts, limits) for trade in plan.sells]
    if name is PhaseName.BUY:
        return _buys(plan, facts, limits, shortfall, collar)
    return _protections(facts, limits)


def objection(trade: Trade, facts: Facts, limits: Limits) -> Reason | None:
    """Return why a trade may not be sent now in any size, or None."""
    return next(iter(check_order(trade, facts, limits, "dispatch").violations), None)


def find_unquoted(plan: TradingPlan, facts: Facts, limits: Limits) -> list[str]:
    """Return the symbols of BUYs that only lack a fresh ask."""
    reasons = {t.symbol: objection(t, facts, limits) for t in plan.buys}
    return sorted(symbol for symbol, reason in reasons.items() if reason and reason.code is ReasonCode.NO_FRESH_QUOTE)


# --- the phases ---


def _releases(plan: TradingPlan, facts: Facts, limits: Limits) -> list[Decision]:
    """Free shares to sell from their resting exits, unless nothing will be sold."""
    if not check_desk(facts, limits, "dispatch").passed:
        return []
    held = (replace(t, qty=_held_by_orders(facts.positions.get(t.symbol))) for t in plan.sells)
    return [_whole(trade, objection(trade, facts, limits)) for trade in held if trade.qty > 0]


def _sell(trade: Trade, facts: Facts, limits: Limits) -> Decision:
    reason = objection(trade, facts, limits)
    if reason is not None:
        return Decision(trade, None, reason)
    position = facts.positions.get(trade.symbol)
    available = ZERO if position is None else max(ZERO, position.available)
    qty = min(trade.qty, available)
    if qty == trade.qty:
        return Decision.of(trade, qty)
    code = ReasonCode.TRIMMED_TO_AVAILABLE if qty > 0 else ReasonCode.NOTHING_AVAILABLE
    return Decision.of(trade, qty, Reason.of(code, planned=trade.qty, available=available))


def _buys(plan: TradingPlan, facts: Facts, limits: Limits, shortfall: Shortfall, collar: Decimal) -> list[Decision]:
    """Fund the BUYs. One that may not be sent takes no cash from the others."""
    barred = {t.symbol: reason for t in plan.buys if (reason := objection(t, facts, limits)) is not None}
    funded = fund([t for t in plan.buys if t.symbol not in barred], facts, limits, shortfall, collar)
    deferred = [Decision(t, None, barred[t.symbol]) for t in plan.buys if t.symbol in barred]
    return sorted([*funded, *deferred], key=lambda d: in_score_order(d.planned))


def _protections(facts: Facts, limits: Limits) -> list[Decision]:
    """Give exits to free, unprotected shares. Only a lock forbids it.

    Other orders on the shares come first: an entry brings its exits itself, exits being cancelled still hold shares.
    """
    if facts.run is None:
        return []
    busy = dict.fromkeys(facts.run.releasing, ReasonCode.RELEASE_STILL_OPEN)
    busy |= dict.fromkeys(facts.run.entering, ReasonCode.ENTRY_STILL_OPEN)
    positions = ((facts.positions.get(symbol), qty) for symbol, qty in facts.run.unprotected.items())
    trades = [_protect_trade(position, qty, facts) for position, qty in positions if position is not None]
    return [_protection(trade, busy, facts, limits) for trade in trades if trade.qty > 0]


def _protect_trade(position: Position, qty: Decimal, facts: Facts) -> Trade:
    releasing = facts.run is not None and position.symbol in facts.run.releasing
    there = whole_shares(position.qty if releasing else position.available)
    return Trade(position.symbol, Side.SELL, min(qty, there), position.current_price)


def _protection(trade: Trade, busy: Mapping[str, ReasonCode], facts: Facts, limits: Limits) -> Decision:
    reason = objection(trade, facts, limits)
    if reason is not None and reason.code is ReasonCode.SYMBOL_LOCKED:
        return Decision(trade, None, reason)
    code = busy.get(trade.symbol)
    return _whole(trade, None if code is None else Reason.of(code, qty=trade.qty))


def _whole(trade: Trade, reason: Reason | None) -> Decision:
    return Decision(trade, None if reason else trade, reason)


def _held_by_orders(position: Position | None) -> Decimal:
    return ZERO if position is None else position.qty - position.available


# --- a dry run ---


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The decisions of each phase, and the facts after all of them have filled."""

    decisions: Mapping[PhaseName, list[Decision]]
    facts: Facts


def rehearse(
    plan: TradingPlan, facts: Facts, limits: Limits, shortfall: Shortfall, collar: Decimal = BUY_COLLAR
) -> Rehearsal:
    """Decide RELEASE, SELL and BUY in turn, each on facts after the one before has filled."""
    decisions = {}
    for name in (PhaseName.RELEASE, PhaseName.SELL, PhaseName.BUY):
        decisions[name] = decide(name, plan, facts, limits, shortfall, collar)
        facts = _after(name, [d.sent for d in decisions[name] if d.sent], facts, limits)
    return Rehearsal(decisions, facts)


def _after(name: PhaseName, sent: Iterable[Trade], facts: Facts, limits: Limits) -> Facts:
    if name is PhaseName.RELEASE:
        return facts.after_release(frozenset(trade.symbol for trade in sent))
    for trade in sent:
        facts = project(
            replace(trade, price=facts.of(trade.symbol).price_for(trade.side) or trade.price), facts, limits
        )
    return facts
