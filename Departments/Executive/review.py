"""The CEO's review of a plan, from facts only. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from Departments.constraints.limits import Limits
from Departments.core.money import percent, plain, usd
from Departments.core.plans import TradingPlan
from Departments.core.regimes import Regime
from Departments.Executive.judgement import Judgement

NEAR_TARGET = Decimal("0.02")  # of equity: whole shares and the price buffer cost about this much
NARROW = Decimal("0.02")  # of a limit: what is left of it is called narrow


@dataclass(frozen=True, slots=True)
class Review:
    """A rating from 0 to 10 with what speaks for and against the plan."""

    quality_rating: int
    strengths: tuple[str, ...]
    concerns: tuple[str, ...]
    recommendation: str

    def document(self) -> dict[str, Any]:
        """Return the review as existing scripts read it."""
        return {
            "quality_rating": self.quality_rating,
            "strengths": list(self.strengths),
            "concerns": list(self.concerns),
            "recommendation": self.recommendation,
        }


def with_quality(document: Mapping[str, Any], found: Review) -> dict[str, Any]:
    """Return a plan document with what plan files have always told of quality (0 to 100), said by its review.

    What stands there already stays.
    """
    score, concerns = 10 * found.quality_rating, list(found.concerns)
    stage = {"stage": "review", "message": found.recommendation, "quality_score": score, "issues": concerns}
    told = {"stage_quality": {"review": score}, "compliance_suggestions": concerns, "workflow_summary": [stage]}
    summary = document.get("summary")
    scored = {"summary": {"overall_quality_score": score, **summary}} if isinstance(summary, Mapping) else {}
    return {**document, **{k: v for k, v in told.items() if k not in document}, **scored}


def review(plan: TradingPlan, judgement: Judgement, limits: Limits) -> Review:
    """Rate a plan: every violation weighs three, every other concern one."""
    violations = [f"{order.symbol}: {reason}" for order, reason in judgement.verdict.violations]
    concerns = list(_concerns(plan, judgement, limits))
    rating = max(0, 10 - 3 * len(violations) - len(concerns))
    recommendation = "REJECT" if violations else "APPROVE" if rating >= 7 else "APPROVE_WITH_CARE"
    return Review(rating, tuple(_strengths(plan, judgement, limits)), (*violations, *concerns), recommendation)


def _strengths(plan: TradingPlan, judgement: Judgement, limits: Limits) -> Iterator[str]:
    if judgement.verdict.passed:
        yield "every order passes every limit that could be evaluated"
    if plan.sells and plan.buys:
        yield f"{len(plan.sells)} SELLs free cash before {len(plan.buys)} BUYs use it"
    if plan.deployment is not None and plan.deployment >= limits.deployment.target_pct - NEAR_TARGET:
        yield f"{percent(plan.deployment)} of equity is put to work"


def _concerns(plan: TradingPlan, judgement: Judgement, limits: Limits) -> Iterator[str]:
    yield from _deployment(plan, limits)
    for room in judgement.headroom:
        if room.left < 0:
            over = usd(-room.left) if room.unit == "dollars" else plain(-room.left)
            yield f"{room.key} stays exceeded by {over}{f' ({room.about})' if room.about else ''}"
        elif room.unit == "dollars" and room.key.endswith(("single_position_pct", "sector_concentration_pct")):
            yield from _narrow(room.key, room.about, room.left, room.bound)
    missing = sorted({str(gap.code) for gap in judgement.verdict.not_evaluated})
    if missing:
        yield f"not evaluated for want of data: {', '.join(missing)}"
    yield from _market(judgement)
    yield from _prices(plan, judgement, limits)


def _prices(plan: TradingPlan, judgement: Judgement, limits: Limits) -> Iterator[str]:
    market, hours = judgement.market, limits.staleness.price_max_age_hours
    times = {t.ticker: market.of(t.ticker).price_at for t in plan.trades}
    old = [t for t, at in times.items() if at and market.now - at > timedelta(hours=float(hours))]
    if old:
        yield f"prices are more than {plain(hours)} hours old: {', '.join(sorted(old))}"
    unknown = [t for t, at in times.items() if at is None]
    if unknown:
        yield f"nobody knows how old the prices are: {', '.join(sorted(unknown))}"
    drifted = [t for t, worse in judgement.drifted.items() if worse > limits.deployment.price_buffer_pct]
    if drifted:
        buffer = percent(limits.deployment.price_buffer_pct)
        yield f"prices have moved more than {buffer} against the plan: {', '.join(sorted(drifted))}"


def _deployment(plan: TradingPlan, limits: Limits) -> Iterator[str]:
    target = limits.deployment.target_pct
    if plan.deployment is not None and plan.deployment < target - NEAR_TARGET:
        yield f"only {percent(plan.deployment)} of equity is put to work (target {percent(target)})"


def _narrow(key: str, about: str, left: Decimal, bound: Decimal) -> Iterator[str]:
    if left < NARROW * bound:
        yield f"{about} leaves hardly any of {key}"


def _market(judgement: Judgement) -> Iterator[str]:
    regime = judgement.market.regime
    if regime is None or regime.regime is Regime.UNKNOWN:
        yield "the market regime is unknown, so the careful branch applies"
    elif regime.regime in {Regime.BEARISH, Regime.PANIC}:
        yield f"the market regime is {regime.regime}"
