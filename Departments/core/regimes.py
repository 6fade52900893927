"""The market regime as a value."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class Regime(StrEnum):
    """What kind of market it is. UNKNOWN is not normal: it follows the careful branch."""

    BULLISH = "BULLISH"
    NEUTRAL = "NEUTRAL"
    BEARISH = "BEARISH"
    PANIC = "PANIC"
    UNKNOWN = "UNKNOWN"


class Confidence(StrEnum):
    """How sure the assessment is."""

    HIGH = "HIGH"
    MEDIUM = "MEDIUM"
    LOW = "LOW"


@dataclass(frozen=True, slots=True)
class RegimeAssessment:
    """One classification of the market. Levels as quoted, changes in percent (1.15 is +1.15 %)."""

    regime: Regime
    confidence: Confidence
    recommendation: str
    assessed_at: datetime
    source: str
    spy: Decimal | None = None
    spy_change_pct: Decimal | None = None
    vix: Decimal | None = None
    vix_change_pct: Decimal | None = None
    score: int | None = None
