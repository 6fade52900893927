"""The trading plan: SELLs, BUYs within every limit, a coded reason for every skip.

What is planned here Trading never has to deny: the result is judged by the same engine, at today's prices and at
worse ones, and whatever it finds is taken out again before anybody sees the plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from decimal import Decimal

from Departments.constraints import amounts, engine
from Departments.constraints.amounts import known_sector
from Departments.constraints.outside_orders import describe_outside_orders
from Departments.core import identifiers
from Departments.core.facts import NO_READINGS, Facts, Readings, SymbolFacts
from Departments.core.money import ZERO, percent, plain
from Departments.core.orders import Side
from Departments.core.plans import SkippedTrade, Trade, TradingPlan
from Departments.core.reasons import Reason, ReasonCode
from Departments.core.regimes import MarketView
from Departments.core.trading_calendar import trading_day
from Departments.messaging.neighbours import Candidate
from Departments.Operations.allocation import allocate
from Departments.Operations.basis import Basis
from Departments.Operations.briefing import Briefing, merge_picks, refuse_other_days
from Departments.Operations.deployment import (
    measure_deployment,
)
from Departments.Operations.filling import Filling, Room
from Departments.Operations.proposals import Proposal, SellWish
from Departments.Operations.selection import Selection, select, skip_for
from Departments.Operations.sizing import Sized, Sizer, skip_under_minimum

#: Warnings without a note: `not_evaluated` lists them, or the RELEASE phase resolves them.
NOTED_ELSEWHERE = frozenset({ReasonCode.NOT_EVALUATED, ReasonCode.SHARES_RESERVED})


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan with the facts to save and the skips to log.

    `untradable` are the holdings it reports for the first time; `facts` and `readings` are what it was made with.
    `set_aside` are the proposals under the minimum, those included that came back at a larger size (the plan's skips
    are the rest). `views` are the views of the market that counted.
    """

    plan: TradingPlan
    untradable: tuple[str, ...]
    facts: tuple[SymbolFacts, ...]
    set_aside: tuple[SkippedTrade, ...] = ()
    readings: Readings = NO_READINGS
    views: tuple[MarketView, ...] = ()


def make_plan(
    briefing: Briefing,
    basis: Basis,
    *,
    mandatory_sells: Sequence[SellWish] = (),
    proposal: Proposal | None = None,
    reported: AbstractSet[str] = frozenset(),
) -> Planned:
    """Plan from a briefing of the day, and a proposal if there is one. Raises BadInput for another day's."""
    now = basis.facts.now
    refuse_other_days(briefing, trading_day(now))
    wishes = tuple(mandatory_sells)
    is_exact = proposal is not None and proposal.is_exact
    if proposal is not None:
        briefing = _follow(proposal, briefing)
        wishes += proposal.sells
    selection = select(briefing, basis, wishes=wishes, reported=reported, weak=not is_exact)
    draft = TradingPlan(identifiers.plan_id(now), now, ())
    return _assemble(draft, replace(selection, is_exact=is_exact), basis)


def _follow(proposal: Proposal, briefing: Briefing) -> Briefing:
    """Return the briefing with the picks first; with an exact proposal's alone. What is refused comes in by no door."""
    merged = merge_picks(briefing, proposal.picks)
    picked = {pick.symbol for pick in proposal.picks}
    barred = {skip.symbol for skip in proposal.refused} - picked
    candidates = (c for c in merged.candidates if c.symbol in picked or not (proposal.is_exact or c.symbol in barred))
    return replace(merged, candidates=tuple(candidates), refused=briefing.refused + proposal.refused)


def validate_plan(
    plan: TradingPlan,
    basis: Basis,
    *,
    mandatory_sells: Sequence[SellWish] = (),
    reported: AbstractSet[str] = frozenset(),
    source: str = "the plan",
) -> Planned:
    """Check and resize an existing plan: SELLs to the holdings, BUYs as proposals. It keeps id and time."""
    wishes = (*mandatory_sells, *(SellWish(t.symbol, t.qty, t.reason) for t in plan.sells))
    picks = tuple(map(_pick_of, plan.buys))
    briefing = Briefing(None, Readings(), picks, (), source)
    selection = select(briefing, basis, wishes=wishes, reported=reported, weak=False)
    draft = TradingPlan(plan.plan_id, plan.generated_at, ())
    return _assemble(draft, selection, basis)


def judge_order(plan: TradingPlan, basis: Basis) -> Planned:
    """Judge an order by hand at today's price and at a worse one: it is planned as it is, or skipped."""
    priced = tuple(
        replace(t, price=basis.price(t.symbol, t.side), sector=_sector(t.symbol, basis)) for t in plan.trades
    )
    denied: dict[str, Reason] = {}
    for worse in (ZERO, basis.buffer):
        for order, reason in basis.judge_plan(priced, worse).violations:
            denied.setdefault(order.symbol, reason)
    trades = tuple(t for t in priced if t.symbol not in denied)
    verdict, outside = basis.judge_plan(trades), describe_outside_orders(trades, basis.facts)
    judged = replace(
        plan,
        trades=trades,
        skipped=tuple(skip_for(symbol, reason) for symbol, reason in denied.items()),
        equity=basis.facts.equity,
        cash=basis.facts.cash,
        limits_hash=basis.limits.fingerprint,
        regime=_regime(basis),
        notes=(
            *plan.notes,
            *_contradictions(basis),
            *outside,
            *_warnings(verdict),
        ),
        not_evaluated=_not_evaluated(verdict),
        by_hand=True,
    )
    return Planned(judged, (), _learnt(basis), readings=basis.facts.readings, views=basis.facts.views)


def _sector(symbol: str, basis: Basis) -> str | None:
    held = basis.facts.positions.get(symbol)
    return known_sector(basis.facts.of(symbol).sector) or (known_sector(held.sector) if held else None)


def list_unpriced(planned: Planned) -> list[str]:
    """Return the symbols that a plan skips because the broker has no price of them."""
    quoted = {known.symbol for known in planned.facts if known.ask is not None or known.tradable}
    codes = {ReasonCode.NO_PRICE, ReasonCode.NOT_TRADABLE}
    skipped = {skip.symbol for skip in planned.plan.skipped if skip.reason.code in codes}
    held = {trade.symbol for trade in planned.plan.sells}
    return sorted(skipped - quoted - held)


def _learnt(basis: Basis) -> tuple[SymbolFacts, ...]:
    return tuple(replace(f, sector=known_sector(f.sector)) for f in basis.facts.symbols.values())


def _pick_of(trade: Trade) -> Candidate:
    """Return a trade as a pick, with the plan's own score and sector."""
    pick = Candidate(symbol=trade.symbol, price=trade.price, shares=trade.qty)
    return pick.model_copy(update={"score": trade.score, "sector": trade.sector})


def _assemble(draft: TradingPlan, selection: Selection, basis: Basis) -> Planned:
    sizer = Sizer(basis, _project_sells(selection.sells, basis), selection.is_exact)
    judged = [sizer.size(c) for c in selection.candidates]
    sized = [j for j in judged if isinstance(j, Sized)]
    unfit = tuple(j for j in judged if isinstance(j, SkippedTrade))
    bought = _size_buys(sized, sizer, selection.sells)
    trades = (*selection.sells, *bought.trades)
    verdict = basis.judge_plan(trades)
    reached = measure_deployment(sizer, bought.room, bought.filling, (*unfit, *bought.skipped), verdict.facts.invested)
    plan = replace(
        draft,
        trades=trades,
        skipped=(*selection.skipped, *unfit, *bought.skipped),
        equity=basis.facts.equity,
        cash=basis.facts.cash,
        deployment=reached.share,
        limits_hash=basis.limits.fingerprint,
        regime=_regime(basis),
        notes=(
            *(() if selection.is_exact else reached.notes),
            *_contradictions(basis),
            *describe_outside_orders(trades, basis.facts),
            *_effects(basis),
            *_warnings(verdict),
        ),
        not_evaluated=_not_evaluated(verdict),
        extra={"deployment_goal": reached.document, "stage_results": _stages(selection, bought, verdict)},
    )
    set_aside = tuple(s.set_aside for s in sized if s.set_aside)
    return Planned(plan, selection.untradable, _learnt(basis), set_aside, basis.facts.readings, basis.facts.views)


def _stages(selection: Selection, bought: _Bought, verdict: engine.PlanVerdict) -> dict[str, dict[str, int]]:
    return {
        "selection": {"sells": len(selection.sells), "candidates": len(selection.candidates)},
        "allocation": {"buys": len(bought.trades), "left_out": len(bought.skipped)},
        "verification": {"violations": len(verdict.violations), "warnings": len(verdict.warnings)},
    }


def _project_sells(sells: Iterable[Trade], basis: Basis) -> Facts:
    facts = basis.facts
    for trade in sells:
        facts = engine.project(basis.order(trade, basis.buffer), facts, basis.limits)
    return facts


@dataclass(frozen=True, slots=True)
class _Bought:
    trades: tuple[Trade, ...]
    skipped: tuple[SkippedTrade, ...]
    filling: Filling
    room: Room


def _size_buys(sized: Sequence[Sized], sizer: Sizer, sells: Sequence[Trade]) -> _Bought:
    """Size the BUYs, drop those the engine still denies, and size the rest again."""
    barred = _bar_small_proposals(sized, sizer.basis)
    while True:
        left = [s for s in sized if s.candidate.symbol not in barred]
        room = sizer.room(left)
        filling = allocate((s.pick for s in left), room)
        taken = [s for s in left if s.pick.symbol in filling.trades]
        trades = tuple(_complete(filling.trades[s.pick.symbol], s, sizer.basis) for s in taken)
        offenders = _find_offenders((*sells, *trades), sizer.basis)
        if not offenders:
            skips = tuple(_skip_of(s, filling) for s in left if s.pick.symbol not in filling.trades)
            return _Bought(trades, (*barred.values(), *skips), filling, room)
        barred |= offenders


def _bar_small_proposals(sized: Sequence[Sized], basis: Basis) -> dict[str, SkippedTrade]:
    """Return the proposals under the minimum on a day of reduced sizes. None of them is enlarged."""
    if basis.factor >= 1:
        return {}
    return {s.candidate.symbol: s.set_aside for s in sized if s.set_aside is not None}


def _complete(trade: Trade, sized: Sized, basis: Basis) -> Trade:
    """Return a BUY with the score, sector and reason of its candidate."""
    candidate, wanted = sized.candidate, sized.pick.wanted
    reason = "proposed" if wanted else "added in score order"
    return replace(
        trade,
        score=candidate.score,
        sector=basis.facts.of(trade.symbol).sector or candidate.sector,
        reason=f"{reason}, {plain(wanted)} shares wanted" if wanted not in {ZERO, trade.qty} else reason,
    )


def _skip_of(sized: Sized, filling: Filling) -> SkippedTrade:
    if sized.set_aside is not None:
        return sized.set_aside
    reason = filling.left_out[sized.pick.symbol]
    if reason.code is ReasonCode.MIN_POSITION_VALUE:
        return skip_under_minimum(sized.pick.symbol, Decimal(reason.values["value"]), Decimal(reason.values["minimum"]))
    return skip_for(sized.pick.symbol, reason)


def _find_offenders(trades: tuple[Trade, ...], basis: Basis) -> dict[str, SkippedTrade]:
    found: dict[str, SkippedTrade] = {}
    for worse in (ZERO, basis.buffer):
        for order, reason in basis.judge_plan(trades, worse).violations:
            if order.side is Side.BUY:
                found.setdefault(order.symbol, skip_for(order.symbol, reason))
    return found


def _regime(basis: Basis) -> str:
    seen = [view for view in basis.facts.views if view.regime is not None]
    return str(amounts.regime_of(basis.limits, basis.facts)) if seen else ""


def _contradictions(basis: Basis) -> tuple[str, ...]:
    sentence = amounts.find_contradiction(basis.limits, basis.facts)
    return () if sentence is None else (sentence,)


def _effects(basis: Basis) -> tuple[str, ...]:
    return tuple(_effect(reason) for reason in amounts.size_effects(basis.limits, basis.facts))


def _effect(reason: Reason) -> str:
    factor = Decimal(reason.values["factor"])
    sentence = f"BUYs have {percent(factor)} of their usual size today" if factor > 0 else "Nothing is bought today"
    return f"{sentence} ({reason})."


def _warnings(verdict: engine.PlanVerdict) -> tuple[str, ...]:
    symbols: dict[str, list[str]] = {}
    for order, reason in verdict.warnings:
        if reason.code not in NOTED_ELSEWHERE:
            symbols.setdefault(f"{reason.code.meaning} ({reason})", []).append(order.symbol)
    return tuple(f"{', '.join(sorted(who))}: {reason}." for reason, who in symbols.items())


def _not_evaluated(verdict: engine.PlanVerdict) -> tuple[str, ...]:
    symbols: dict[str, list[str]] = {}
    for gap in verdict.not_evaluated:
        symbols.setdefault(f"{gap.code}: no {', '.join(gap.missing)}", []).append(gap.symbol)
    return tuple(f"{gap} ({', '.join(sorted(who))})" for gap, who in sorted(symbols.items()))
