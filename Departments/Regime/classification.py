"""Observations to regime: the existing system's points, exactly.

| SPY change of the day | points | VIX  | points | VIX change | points |
|-----------------------|--------|------|--------|------------|--------|
| > +0.5 %              | +2     | < 15 | +2     | < −5 %     | +1     |
| > 0                   | +1     | < 20 | +1     | > +5 %     | −1     |
| > −0.5 %              | −1     | < 25 | −1     | otherwise  | 0      |
| otherwise             | −2     | else | −2     | unknown    | 0      |

A VIX above the panic threshold is PANIC whatever else is known. Without the SPY change or without the VIX the regime
is UNKNOWN: an unknown market is never taken for a normal one.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol

from Departments.core.regimes import INDICATORS, Confidence, Observation, Regime, RegimeAssessment

Verdict = tuple[Regime, Confidence, str]

#: Lowest sum of points → verdict, best first; below the last is the worst.
VERDICTS: tuple[tuple[int, Verdict], ...] = (
    (3, (Regime.BULLISH, Confidence.HIGH, "GOOD DAY TO TRADE")),
    (1, (Regime.BULLISH, Confidence.MEDIUM, "FAVORABLE CONDITIONS")),
    (-1, (Regime.NEUTRAL, Confidence.MEDIUM, "NORMAL CONDITIONS")),
    (-3, (Regime.BEARISH, Confidence.MEDIUM, "PROCEED WITH CAUTION")),
)
WORST: Verdict = (Regime.BEARISH, Confidence.HIGH, "UNFAVORABLE CONDITIONS")
PANIC: Verdict = (Regime.PANIC, Confidence.HIGH, "DO NOT BUY")
UNKNOWN: Verdict = (Regime.UNKNOWN, Confidence.LOW, "BE CAREFUL: THE MARKET IS NOT KNOWN")


class MarketConditionLimits(Protocol):
    """The threshold of the limits' section `market_conditions`."""

    @property
    def vix_panic_threshold(self) -> Decimal:
        """Return the VIX threshold of PANIC."""
        ...


def classify(observation: Observation, limits: MarketConditionLimits) -> RegimeAssessment:
    """Return the assessment of an observation, dated with the observation's time."""
    score = total_points(observation)
    regime, confidence, recommendation = _verdict(observation.vix, score, limits.vix_panic_threshold)
    return RegimeAssessment(
        regime=regime,
        confidence=confidence,
        recommendation=recommendation,
        assessed_at=observation.observed_at,
        source=observation.source,
        score=score,
        notes=observation.notes,
        **{name: getattr(observation, name) for name in INDICATORS},
    )


def total_points(observation: Observation) -> int | None:
    """Return the sum of points. Returns None if the SPY change or the VIX is unknown."""
    if observation.spy_change_pct is None or observation.vix is None:
        return None
    return (
        spy_points(observation.spy_change_pct)
        + vix_points(observation.vix)
        + vix_change_points(observation.vix_change_pct)
    )


def spy_points(change_pct: Decimal) -> int:
    """Return the points of SPY's change of the day in percent."""
    if change_pct > Decimal("0.5"):
        return 2
    if change_pct > 0:
        return 1
    return -1 if change_pct > Decimal("-0.5") else -2


def vix_points(vix: Decimal) -> int:
    """Return the points of the VIX level."""
    if vix < 15:
        return 2
    if vix < 20:
        return 1
    return -1 if vix < 25 else -2


def vix_change_points(change_pct: Decimal | None) -> int:
    """Return the points of the VIX change in percent; unknown gives none."""
    if change_pct is None or -5 <= change_pct <= 5:
        return 0
    return 1 if change_pct < 0 else -1


def _verdict(vix: Decimal | None, score: int | None, panic_above: Decimal) -> Verdict:
    if vix is not None and vix > panic_above:
        return PANIC
    if score is None:
        return UNKNOWN
    return next((verdict for lowest, verdict in VERDICTS if score >= lowest), WORST)
