"""The trading plan: SELLs, BUYs within every limit, a coded reason for every skip.

What is planned here Trading never has to deny: the result is judged by the same engine, at today's prices and at
worse ones, and whatever it finds is taken out again before anybody sees the plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial

from Departments.constraints import engine
from Departments.constraints.amounts import known_sector
from Departments.constraints.outside_orders import describe_outside_orders
from Departments.core import identifiers
from Departments.core.facts import NO_READINGS, Facts, Readings, SymbolFacts
from Departments.core.money import ZERO
from Departments.core.open_limits import OpenLimit
from Departments.core.orders import Side
from Departments.core.plans import SkippedTrade, Trade, TradingPlan
from Departments.core.reasons import Reason, ReasonCode
from Departments.core.regimes import MarketView
from Departments.core.trading_calendar import trading_day
from Departments.messaging.neighbours import Candidate
from Departments.Operations.allocation import allocate
from Departments.Operations.basis import Basis
from Departments.Operations.briefing import Briefing, merge_picks, refuse_other_days
from Departments.Operations.deployment import Relaxed, find_binding, measure_deployment
from Departments.Operations.filling import Filling
from Departments.Operations.plan_notes import (
    describe_effects,
    describe_gaps,
    describe_halt,
    describe_minimum_trade,
    describe_warnings,
    explain_size,
    list_contradictions,
    name_regime,
)
from Departments.Operations.proposals import Proposal, SellWish
from Departments.Operations.selection import Selection, describe_holdings, select, skip_for
from Departments.Operations.sizing import Sized, Sizer, skip_under_minimum

#: How many of the candidates left out are looked at again when a limit is relaxed, the best first.
LOOKED_AT = 200


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan with the facts to save and the skips to log.

    `untradable` are the holdings it reports for the first time; `facts` and `readings` are what it was made with.
    `views` are the views of the market that counted, `verdict` is the engine's on the plan, `open_limits` are those
    that have lacked their data.
    """

    plan: TradingPlan
    untradable: tuple[str, ...]
    facts: tuple[SymbolFacts, ...]
    verdict: engine.PlanVerdict
    readings: Readings = NO_READINGS
    views: tuple[MarketView, ...] = ()
    open_limits: tuple[OpenLimit, ...] = ()


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
    is_exact, differences = proposal is not None and proposal.is_exact, describe_holdings(briefing, basis)
    if proposal is not None:
        briefing = _follow(proposal, briefing)
        wishes += proposal.sells
    selection = select(briefing, basis, wishes=wishes, reported=reported, weak=not is_exact, tops_up=not is_exact)
    draft = TradingPlan(identifiers.plan_id(now), now, (), notes=differences)
    return _assemble(draft, replace(selection, is_exact=is_exact), basis, keeps_sizes=is_exact)


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
    resizes: bool = False,
    fillers: Briefing | None = None,
) -> Planned:
    """Check an existing plan: SELLs to the holdings, BUYs within the limits. It keeps id and time.

    Its sizes are kept: they shrink for limits and cash, and grow to the minimum alone; if it `resizes`, they grow up
    to the deployment target. Nothing is added, or else candidates and strong holdings of `fillers`, the day's briefing.
    """
    wishes = (*mandatory_sells, *(SellWish(t.symbol, t.qty, t.reason) for t in plan.sells))
    picks = tuple(map(_pick_of, plan.buys))
    briefing = Briefing(None, Readings(), picks, (), source)
    if fillers is not None:
        briefing = merge_picks(fillers, picks)
    selection = select(briefing, basis, wishes=wishes, reported=reported, weak=False, tops_up=fillers is not None)
    draft = TradingPlan(plan.plan_id, plan.generated_at, ())
    return _assemble(draft, selection, basis, keeps_sizes=not resizes)


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
        regime=name_regime(basis),
        notes=(
            *plan.notes,
            *describe_halt(basis),
            *list_contradictions(basis),
            *outside,
            *describe_warnings(verdict),
        ),
        not_evaluated=describe_gaps(verdict),
        by_hand=True,
    )
    return Planned(judged, (), _learnt(basis), verdict, readings=basis.facts.readings, views=basis.facts.views)


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
    symbols = basis.facts.symbols.values()
    return tuple(f if f.sector == (known := known_sector(f.sector)) else replace(f, sector=known) for f in symbols)


def _pick_of(trade: Trade) -> Candidate:
    """Return a trade as a pick, with the plan's own score and sector."""
    return Candidate(trade.symbol, trade.score, trade.price, trade.sector, shares=trade.qty)


def _assemble(draft: TradingPlan, selection: Selection, basis: Basis, *, keeps_sizes: bool = False) -> Planned:
    sizer = Sizer(basis, _project_sells(selection.sells, basis), keeps_sizes, selection.is_exact)
    judged = [sizer.size(c) for c in selection.candidates]
    sized = [j for j in judged if isinstance(j, Sized)]
    unfit = tuple(j for j in judged if isinstance(j, SkippedTrade))
    bought = _size_buys(sized, sizer, selection.sells)
    trades = (*selection.sells, *bought.trades)
    verdict = basis.judge_plan(trades)
    skips = (*unfit, *bought.skipped)
    reached = measure_deployment(
        sizer,
        verdict.facts,
        sum((t.notional or ZERO for t in selection.sells), ZERO),
        lambda: find_binding(sizer, bought.filling, skips, partial(_fill_anew, sized, bought, selection)),
    )
    plan = replace(
        draft,
        trades=trades,
        skipped=(*selection.skipped, *skips),
        equity=basis.facts.equity,
        cash=basis.facts.cash,
        deployment=reached.share,
        limits_hash=basis.limits.fingerprint,
        regime=name_regime(basis),
        notes=(
            *draft.notes,
            *describe_halt(basis),
            *(s.raised.line for s in sized if s.raised is not None and s.pick.symbol in bought.filling.trades),
            *(() if selection.is_exact else reached.notes),
            *list_contradictions(basis),
            *describe_outside_orders(trades, basis.facts),
            *describe_effects(basis),
            *describe_minimum_trade(basis),
            *describe_warnings(verdict),
        ),
        not_evaluated=describe_gaps(verdict),
        extra={"deployment_goal": reached.document, "stage_results": _stages(selection, bought, verdict)},
    )
    return Planned(plan, selection.untradable, _learnt(basis), verdict, basis.facts.readings, basis.facts.views)


def _fill_anew(sized: Sequence[Sized], bought: _Bought, selection: Selection, relaxed: Relaxed) -> Filling:
    """Return the BUYs there would be if a limit were relaxed."""
    taken, sizer = bought.filling.trades, relaxed.sizer
    left_out = sorted((s for s in sized if s.pick.symbol not in taken), key=lambda s: s.pick.rank)
    pool = [s for s in sized if s.pick.symbol in taken] + left_out[:LOOKED_AT]
    bounds = [sizer.bound(s.candidate, s.pick.price) for s in pool]
    if relaxed.code is ReasonCode.SCORE_BELOW_THRESHOLD:
        least = sizer.basis.limits.deployment.min_score
        near = [c for c in selection.weaker if c.score is not None and c.score >= least]
        bounds += [s for c in near[:LOOKED_AT] if isinstance(s := sizer.size(c), Sized)]
    return _size_buys(bounds, sizer, selection.sells).filling


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


def _size_buys(sized: Sequence[Sized], sizer: Sizer, sells: Sequence[Trade]) -> _Bought:
    """Size the BUYs, drop those the engine still denies, and size the rest again."""
    barred = {s.pick.symbol: s.misfit for s in sized if s.misfit is not None}
    while True:
        left, hot = sizer.spare_heat([s for s in sized if s.pick.symbol not in barred])
        barred |= hot
        filling = allocate((s.pick for s in left), sizer.room(left))
        taken = [s for s in left if s.pick.symbol in filling.trades]
        trades = tuple(_complete(filling.trades[s.pick.symbol], s, sizer) for s in taken)
        offenders = _find_offenders((*sells, *trades), sizer.basis)
        if not offenders:
            skips = tuple(_skip_of(s, filling) for s in left if s.pick.symbol not in filling.trades)
            return _Bought(trades, (*barred.values(), *skips), filling)
        barred |= offenders


def _complete(trade: Trade, sized: Sized, sizer: Sizer) -> Trade:
    """Return a BUY with the score, sector and reason of its candidate."""
    return replace(
        trade,
        score=sized.candidate.score,
        sector=sizer.basis.facts.of(trade.symbol).sector or sized.candidate.sector,
        reason=explain_size(sized, trade.qty, sizer),
    )


def _skip_of(sized: Sized, filling: Filling) -> SkippedTrade:
    reason, raised = filling.left_out[sized.pick.symbol], sized.raised
    if raised is not None and reason.code in {ReasonCode.MIN_POSITION_VALUE, filling.room.money_bound}:
        return raised.skip
    if reason.code is ReasonCode.MIN_POSITION_VALUE and "value" in reason.values:
        return skip_under_minimum(sized.pick.symbol, Decimal(reason.values["value"]), Decimal(reason.values["minimum"]))
    return skip_for(sized.pick.symbol, reason)


def _find_offenders(trades: tuple[Trade, ...], basis: Basis) -> dict[str, SkippedTrade]:
    found: dict[str, SkippedTrade] = {}
    for worse in (ZERO, basis.buffer):
        for order, reason in basis.judge_plan(trades, worse).violations:
            if order.side is Side.BUY:
                found.setdefault(order.symbol, skip_for(order.symbol, reason))
    return found
