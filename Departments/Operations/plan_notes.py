"""What a plan says of its trades: why a BUY has its shares, its market, what lacks data. Pure."""

from __future__ import annotations

from decimal import Decimal

from Departments.constraints import amounts
from Departments.constraints.engine import PlanVerdict
from Departments.constraints.table import CONSTRAINTS
from Departments.core.halts import UNHALT
from Departments.core.money import plain, usd
from Departments.core.plans import TradingPlan
from Departments.core.reasons import Reason, ReasonCode
from Departments.Operations.basis import Basis
from Departments.Operations.sizing import Sized, Sizer

#: Warnings without a note: `not_evaluated` lists them, the RELEASE phase resolves them, or a note of its own has them.
NOTED_ELSEWHERE = frozenset({ReasonCode.NOT_EVALUATED, ReasonCode.SHARES_RESERVED, ReasonCode.DESK_HALTED})


def name_regime(basis: Basis) -> str:
    """Return the regime that counts, empty if nobody names one."""
    seen = [view for view in basis.facts.views if view.regime is not None]
    return str(amounts.regime_of(basis.limits, basis.facts)) if seen else ""


def describe_halt(basis: Basis) -> tuple[str, ...]:
    """Return the sentence about a halt by a person, with its mend."""
    halt = basis.facts.history.halt
    return () if halt is None else (f"{halt.sentence}; {UNHALT}.",)


def list_contradictions(basis: Basis) -> tuple[str, ...]:
    """Return the sentence about views of the market that contradict each other."""
    sentence = amounts.find_contradiction(basis.limits, basis.facts)
    return () if sentence is None else (sentence,)


def describe_effects(basis: Basis) -> tuple[str, ...]:
    """Return the sentences about what the market does to the size of BUYs."""
    return tuple(_effect(reason, basis) for reason in amounts.size_effects(basis.limits, basis.facts))


def _effect(reason: Reason, basis: Basis) -> str:
    limits, equity, factor = basis.limits, basis.facts.equity, Decimal(reason.values["factor"])
    if factor <= 0:
        return f"Nothing is bought today ({reason})."
    auto, single = (
        f"{usd(most(limits, equity, factor))} today instead of {usd(most(limits, equity))}"
        for most in (amounts.maximum_auto_position, amounts.maximum_position)
    )
    return f"The largest position is {auto} if Operations chooses the size, {single} if the plan gives it ({reason})."


def describe_minimum_trade(basis: Basis) -> tuple[str, ...]:
    """Return the sentence about a minimum trade that no top-up can reach."""
    equity = basis.facts.equity
    least, most = amounts.minimum_trade(basis.limits, equity), amounts.maximum_auto_position(basis.limits, equity)
    if least <= most or not basis.facts.positions:
        return ()
    key = "deployment.min_trade_value or min_trade_pct"
    what = f"{key} asks for {usd(least)} and max_auto_position_pct allows {usd(most)}"
    return (f"{what}: no held symbol is topped up; lower the former.",)


def describe_warnings(verdict: PlanVerdict) -> tuple[str, ...]:
    """Return a sentence for each warning, with the symbols it concerns."""
    symbols: dict[str, list[str]] = {}
    for order, reason in verdict.warnings:
        if reason.code not in NOTED_ELSEWHERE:
            symbols.setdefault(f"{reason.code.meaning} ({reason})", []).append(order.symbol)
    return tuple(f"{', '.join(sorted(who))}: {reason}." for reason, who in symbols.items())


def describe_gaps(verdict: PlanVerdict) -> tuple[str, ...]:
    """Return a line for each limit without data, with the data and the symbols."""
    symbols: dict[str, list[str]] = {}
    for gap in verdict.not_evaluated:
        symbols.setdefault(f"{gap.code}: no {', '.join(gap.missing)}", []).append(gap.symbol)
    return tuple(f"{gap} ({', '.join(sorted(who))})" for gap, who in sorted(symbols.items()))


def find_gaps(plan: TradingPlan, verdict: PlanVerdict) -> tuple[dict[str, str], set[str]]:
    """Return the limits without data and their gaps, and the limits with a judged order or skip."""
    reasons = [skip.reason for skip in plan.skipped]
    judged = {str(code) for code in verdict.list_evaluated("plan")}
    judged |= {str(row.code) for row in CONSTRAINTS} & {str(reason.code) for reason in reasons}
    denied = [reason.values for reason in reasons if reason.code is ReasonCode.NOT_EVALUATED]
    gaps = {values["constraint"]: values["missing"] for values in denied}
    gaps |= {str(gap.code): ", ".join(gap.missing) for gap in verdict.not_evaluated}
    return {code: missing for code, missing in gaps.items() if code not in judged}, judged


def explain_size(sized: Sized, shares: Decimal, sizer: Sizer) -> str:
    """Return why a BUY has its shares."""
    raised, wanted, held = sized.raised, sized.pick.wanted, sizer.facts.positions.get(sized.pick.symbol)
    if raised is not None:
        reason = f"raised from {plain(raised.given)} shares to the minimum of {usd(raised.minimum)}"
    elif shares < wanted:
        reason = f"proposed, {plain(wanted)} shares wanted, {_explain_cut(sized, shares, sizer)}"
    elif wanted:
        reason = "proposed" if wanted == shares else f"proposed, {plain(wanted)} shares wanted"
    else:
        reason = "" if held else "added in score order"
    top_up = f"top-up of {plain(held.qty)} held" if held else ""
    return ", ".join(part for part in (top_up, reason) if part)


def _explain_cut(sized: Sized, shares: Decimal, sizer: Sizer) -> str:
    """Return what made a given size smaller."""
    limits, facts, symbol = sizer.basis.limits, sizer.facts, sized.pick.symbol
    if shares < sized.pick.most:
        return "cut to the money, or to the room in its sector"
    if shares == amounts.volume_cap(limits, facts.of(symbol)):
        return "cut to the largest share of its volume"
    return f"cut to the largest position, {usd(amounts.maximum_position(limits, facts.equity, sizer.factor))}"
