"""The CEO's review of a plan: the engine's verdict on today's account, what changes, and a rating. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from Departments.constraints.amounts import find_contradiction, regime_of, sector_of
from Departments.constraints.checks.timing import is_price_old
from Departments.constraints.engine import PlanVerdict, check_desk, check_order, check_plan
from Departments.constraints.headroom import Headroom, headroom
from Departments.constraints.limits import Limits
from Departments.constraints.outside_orders import describe_outside_orders
from Departments.core.facts import Facts
from Departments.core.money import ZERO, count_noun, percent, plain, usd
from Departments.core.plans import Trade, TradingPlan
from Departments.core.reasons import ReasonCode
from Departments.core.regimes import Regime
from Departments.core.settings import ExitSettings
from Departments.Executive.review_facts import NEAR_TARGET, NO_PAST, Past, ReviewFact, list_facts
from Departments.messaging.plan_stages import LIMITS_STAGE, RESEARCH, REVIEW, STAGES, complete_plan

#: The ratings: a plan to approve has at least the first, one without trades at most it; then the best ratings of a
#: plan that a person should look at, and of a rejected one.
LEAST_APPROVED, MOST_ON_HOLD, MOST_REJECTED = 6, 5, 3
NARROW = Decimal("0.02")  # of a limit: what is left of it is called narrow


@dataclass(frozen=True, slots=True)
class Shift:
    """The weight of a symbol or sector before and after a plan, as shares of equity."""

    name: str
    before: Decimal
    after: Decimal


@dataclass(frozen=True, slots=True)
class Outlook:
    """A plan on today's account: the engine's verdict, the new weights, and the headroom afterwards."""

    verdict: PlanVerdict
    before: Facts
    weights: tuple[Shift, ...]
    sectors: tuple[Shift, ...]
    headroom: tuple[Headroom, ...]
    past: Past = NO_PAST

    def document(self) -> dict[str, Any]:
        """Return the outlook with shares of equity as strings."""
        return {
            "weights": [_shift(s) for s in self.weights],
            "sectors": [_shift(s) for s in self.sectors],
            "headroom": [
                {"limit": h.key, "used": h.used, "bound": h.bound, "left": h.left, "unit": h.unit, "about": h.about}
                for h in self.headroom
            ],
            "violations": [{"ticker": o.symbol, "reason": str(r)} for o, r in self.verdict.violations],
        }


def foresee(plan: TradingPlan, facts: Facts, limits: Limits, exits: ExitSettings, past: Past = NO_PAST) -> Outlook:
    """Judge every order of a plan on projected facts, at today's prices."""
    orders = [_order(trade, facts, exits) for trade in plan.trades]
    verdict = check_plan(orders, facts, limits, "review")
    return Outlook(
        verdict=verdict,
        before=facts,
        weights=_shifts(_weights(facts), _weights(verdict.facts)),
        sectors=_shifts(_sectors(facts, limits), _sectors(verdict.facts, limits)),
        headroom=headroom(verdict.facts, limits),
        past=past,
    )


def find_staleness(plan: TradingPlan, facts: Facts, limits: Limits) -> str | None:
    """Return why a plan may not be approved any more: other limits, its age, or prices that have moved."""
    desk = check_desk(facts, limits, "approve").violations
    if desk:
        return desk[0].sentence or _age(plan, facts, limits)
    moved = sorted({t.symbol for t in plan.trades if not check_order(t, facts, limits, "approve").passed})
    buffer = percent(limits.deployment.price_buffer_pct)
    return f"the prices of {', '.join(moved)} have moved more than {buffer} against it" if moved else None


#: From which quality (0 to 100) on a plan has which word, and what the CEO recommends.
WORDS: Final = (
    (85, "EXCELLENT", "STRONGLY RECOMMEND APPROVAL"),
    (70, "GOOD", "RECOMMEND APPROVAL"),
    (60, "ACCEPTABLE", "APPROVE WITH CAUTION"),
    (0, "CONCERNS", "REVIEW CAREFULLY BEFORE APPROVAL"),
)


@dataclass(frozen=True, slots=True)
class Review:
    """A rating from 0 to 10, with the strengths and concerns of a plan. `violations` are among the concerns.

    The recommendation is REJECT where an order breaks a limit, HOLD where one of the `facts` asks for a person, else
    APPROVE.
    """

    quality_rating: int
    strengths: tuple[str, ...]
    concerns: tuple[str, ...]
    recommendation: str
    violations: tuple[str, ...] = ()
    facts: tuple[ReviewFact, ...] = ()

    @property
    def score(self) -> int:
        """Return the quality from 0 to 100."""
        return 10 * self.quality_rating

    @property
    def words(self) -> tuple[str, str]:
        """Return the word for the quality, and the recommendation in the words of existing scripts."""
        return next((word, advice) for least, word, advice in WORDS if self.score >= least)

    def document(self) -> dict[str, Any]:
        """Return the review as the documents of commands have it."""
        return {
            "quality_rating": self.quality_rating,
            "strengths": list(self.strengths),
            "concerns": list(self.concerns),
            "recommendation": self.recommendation,
            "facts": [fact.document() for fact in self.facts],
        }


def read_review(document: Any) -> Review | None:
    """Read a review as a plan document has it. Returns None for anything else: other programs write plans, too."""
    try:
        return Review(
            int(document["quality_rating"]),
            tuple(map(str, document["strengths"])),
            tuple(map(str, document["concerns"])),
            str(document["recommendation"]),
            facts=tuple(ReviewFact(row["fact"], row["value"], row["limit"], row["rule"]) for row in document["facts"]),
        )
    except (KeyError, TypeError, ValueError):
        return None


def is_rated(document: Mapping[str, Any]) -> bool:
    """Return True if a plan document has the quality of the whole plan."""
    summary = document.get("summary")
    return isinstance(summary, Mapping) and "overall_quality_score" in summary


def with_quality(document: Mapping[str, Any], found: Review) -> dict[str, Any]:
    """Return a plan document with its `review`, and with the quality keys of plan files (0 to 100).

    The quality of the whole plan, and of the stage of the limits, are the review's. What others wrote stays.
    """
    complete = {**complete_plan(document), REVIEW: found.document()}
    summary = {"overall_quality_score": found.score, **complete.get("summary", {})}
    if RESEARCH not in document and "workflow_summary" in document:  # another program has rated the stages
        return {**complete, "summary": summary}
    checked = {"message": found.recommendation, "quality_score": found.score, "issues": list(found.concerns)}
    stages = [s | checked if s["stage"] == LIMITS_STAGE else s for s in complete["workflow_summary"]]
    quality = {**complete["stage_quality"], STAGES[LIMITS_STAGE]: found.score}
    return {**complete, "summary": summary, "stage_quality": quality, "workflow_summary": stages}


def review(plan: TradingPlan, outlook: Outlook, limits: Limits) -> Review:
    """Rate a plan: every violation weighs three, every other concern one.

    A plan on HOLD has at most 5, and one less for each further line that asks for a person; REJECT has at most 3.
    """
    violations = tuple(f"{order.symbol}: {reason}" for order, reason in outlook.verdict.violations)
    concerns = tuple(_concerns(plan, outlook, limits))
    facts = list_facts(plan, outlook.verdict, outlook.before, outlook.headroom, limits, outlook.past)
    facts += (_count_concerns(concerns, limits),)
    asking = tuple(fact for fact in facts if fact.rule)
    others = (*(f"HOLD: {fact.sentence}" for fact in asking), *concerns)
    return Review(
        _rate(plan, len(violations), len(asking), len(concerns)),
        tuple(_strengths(plan, outlook, limits)),
        (*violations, *others),
        "REJECT" if violations else "HOLD" if asking else "APPROVE",
        violations,
        facts,
    )


def _count_concerns(concerns: Sequence[str], limits: Limits) -> ReviewFact:
    most = limits.review.hold_concerns
    rule = "review.hold_concerns" if len(concerns) >= most else ""
    return ReviewFact("concerns", str(len(concerns)), f"under {most}", rule)


def _rate(plan: TradingPlan, violations: int, asking: int, concerns: int) -> int:
    found = 10 - 3 * violations - asking - concerns
    if violations:
        return max(0, min(MOST_REJECTED, found))
    if asking:
        return max(0, min(1 + MOST_ON_HOLD - asking, found))
    return max(LEAST_APPROVED, found if plan.trades else LEAST_APPROVED)


def _strengths(plan: TradingPlan, outlook: Outlook, limits: Limits) -> Iterator[str]:
    if outlook.verdict.passed:
        yield "every order passes every limit that could be evaluated"
    if plan.sells and plan.buys:
        yield f"{count_noun(len(plan.sells), 'SELL', 'free')} cash before {count_noun(len(plan.buys), 'BUY', 'use')} it"
    if plan.deployment is not None and plan.deployment >= limits.deployment.target_pct - NEAR_TARGET:
        yield f"{percent(plan.deployment)} of equity is invested"


def _concerns(plan: TradingPlan, outlook: Outlook, limits: Limits) -> Iterator[str]:
    """Yield what speaks against a plan and has no rule of its own that says HOLD."""
    yield from _deployment(plan, limits)
    for room in outlook.headroom:
        if room.left < 0 and not limits.review.hold_exceeded:
            over = usd(-room.left) if room.unit == "dollars" else plain(-room.left)
            yield f"{room.key} stays exceeded by {over}{f' ({room.about})' if room.about else ''}"
        elif room.left >= 0 and room.key.endswith(("single_position_pct", "sector_concentration_pct")):
            yield from _narrow(room.key, room.about, room.left, room.bound)
    missing = sorted({str(gap.code) for gap in outlook.verdict.not_evaluated})
    if missing:
        yield f"not evaluated, because data is missing: {', '.join(missing)}"
    if not plan.trades:
        yield "nothing is traded"
    halt = outlook.before.history.halt
    if halt is not None and any(halt.stops(trade.side) for trade in plan.trades):
        yield halt.sentence
    yield from describe_outside_orders(plan.trades, outlook.before)
    yield from _market(outlook, limits)
    yield from _prices(plan, outlook, limits)


def _prices(plan: TradingPlan, outlook: Outlook, limits: Limits) -> Iterator[str]:
    facts = outlook.before
    times = {t.symbol: facts.of(t.symbol).price_at for t in plan.trades}
    old = [t for t, at in times.items() if at and is_price_old(limits, at, facts.now)]
    if old:
        yield f"prices are more than {plain(limits.staleness.price_max_age_hours)} hours old: {', '.join(sorted(old))}"
    unknown = [t for t, at in times.items() if at is None]
    if unknown:
        yield f"the age of these prices is unknown: {', '.join(sorted(unknown))}"
    moved = [order.symbol for order, reason in outlook.verdict.warnings if reason.code is ReasonCode.PRICE_MOVED]
    if moved:
        buffer = percent(limits.deployment.price_buffer_pct)
        yield f"prices have moved more than {buffer} against the plan: {', '.join(sorted(moved))}"


def _deployment(plan: TradingPlan, limits: Limits) -> Iterator[str]:
    target = limits.deployment.target_pct
    if plan.deployment is not None and plan.deployment < target - NEAR_TARGET:
        yield f"only {percent(plan.deployment)} of equity is invested (target {percent(target)})"


def _narrow(key: str, about: str, left: Decimal, bound: Decimal) -> Iterator[str]:
    if left < NARROW * bound:
        yield f"{about} uses nearly all of {key}"


def _market(outlook: Outlook, limits: Limits) -> Iterator[str]:
    facts = outlook.before
    regime = regime_of(limits, facts) if any(view.regime for view in facts.views) else None
    if regime is None or regime is Regime.UNKNOWN:
        yield "the market regime is unknown; its careful sizes apply"
    elif regime is Regime.BEARISH or (regime is Regime.PANIC and not limits.review.hold_panic):
        yield f"the market regime is {regime}"
    sentence = find_contradiction(limits, facts)
    if sentence is not None and not limits.review.hold_contradicting_regimes:
        yield sentence


# --- small sums ---


def _age(plan: TradingPlan, facts: Facts, limits: Limits) -> str:
    hours = (facts.now - plan.generated_at).total_seconds() / 3600
    return f"it is {hours:.2f} hours old, {limits.staleness.plan_max_age_hours} are allowed"


def _order(trade: Trade, facts: Facts, exits: ExitSettings) -> Trade:
    stock = facts.of(trade.symbol)
    price = stock.price_for(trade.side) or trade.price
    stop = exits.stop_of(trade.side, price, facts.live_stop(trade.symbol))
    return replace(trade, price=price, sector=trade.sector or stock.sector, stop_price=stop)


def _weights(facts: Facts) -> dict[str, Decimal]:
    return {symbol: _share(position.market_value, facts) for symbol, position in facts.positions.items()}


def _sectors(facts: Facts, limits: Limits) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for position in facts.positions.values():
        sector = sector_of(limits, position.symbol, facts, position.sector).partition(":")[0]
        found[sector] = found.get(sector, ZERO) + position.market_value
    return {sector: _share(value, facts) for sector, value in found.items()}


def _share(value: Decimal, facts: Facts) -> Decimal:
    return value / facts.equity if facts.equity > 0 else ZERO


def _shifts(before: Mapping[str, Decimal], after: Mapping[str, Decimal]) -> tuple[Shift, ...]:
    names = sorted({*before, *after}, key=lambda n: (-after.get(n, ZERO), n))
    return tuple(Shift(name, before.get(name, ZERO), after.get(name, ZERO)) for name in names)


def _shift(shift: Shift) -> dict[str, str]:
    return {"name": shift.name, "before": f"{shift.before:.4f}", "after": f"{shift.after:.4f}"}
