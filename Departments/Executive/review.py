"""The CEO's review of a plan, from facts only. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from Departments.constraints.engine import PlanVerdict
from Departments.constraints.limits import Limits
from Departments.core.money import percent
from Departments.core.plans import TradingPlan


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


def review(plan: TradingPlan, verdict: PlanVerdict, limits: Limits) -> Review:
    """Rate a plan: every violation weighs three, every other concern one."""
    violations = [f"{order.symbol}: {reason}" for order, reason in verdict.violations]
    concerns = [*_deployment_concerns(plan, limits), *_unevaluated(verdict)]
    strengths = [*_strengths(plan, limits)]
    if not violations:
        strengths.insert(0, "every order passes every limit that could be evaluated")
    rating = max(0, 10 - 3 * len(violations) - len(concerns))
    recommendation = "REJECT" if violations else "APPROVE" if rating >= 7 else "APPROVE_WITH_CARE"
    return Review(rating, tuple(strengths), tuple(violations + concerns), recommendation)


def _strengths(plan: TradingPlan, limits: Limits) -> list[str]:
    found = []
    if plan.sells:
        found.append(f"{len(plan.sells)} SELLs free cash before {len(plan.buys)} BUYs use it")
    if plan.deployment is not None and plan.deployment >= limits.deployment.target_pct - Decimal("0.02"):
        found.append(f"{percent(plan.deployment)} of equity is put to work")
    return found


def _deployment_concerns(plan: TradingPlan, limits: Limits) -> list[str]:
    if plan.deployment is None or plan.deployment >= limits.deployment.target_pct - Decimal("0.02"):
        return []
    return [
        f"only {percent(plan.deployment)} of equity is put to work (target {percent(limits.deployment.target_pct)})"
    ]


def _unevaluated(verdict: PlanVerdict) -> list[str]:
    names = sorted({str(gap.code) for gap in verdict.not_evaluated})
    return [f"not evaluated for want of data: {', '.join(names)}"] if names else []
