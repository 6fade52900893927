"""The market regime as values: observation, assessment, outcome. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from Departments.core.identifiers import short_hash
from Departments.core.moments import show_time
from Departments.core.money import decimal_of, plain


class Regime(StrEnum):
    """The kinds of market. UNKNOWN is not normal: it follows the careful branch."""

    BULLISH = "BULLISH"
    NEUTRAL = "NEUTRAL"
    BEARISH = "BEARISH"
    PANIC = "PANIC"
    UNKNOWN = "UNKNOWN"


class Confidence(StrEnum):
    """The confidence of an assessment."""

    HIGH = "HIGH"
    MEDIUM = "MEDIUM"
    LOW = "LOW"


#: An observation's numbers, by their names in messages and tables.
INDICATORS = (
    "spy",
    "spy_change_pct",
    "vix",
    "vix_change_pct",
    "spy_trend_pct",
    "realised_volatility_pct",
    "spy_drawdown_pct",
)


@dataclass(frozen=True, slots=True)
class Observation:
    """The market at one moment. None is *unknown*; `notes` give the reasons in sentences.

    Levels as quoted, changes in percent (1.15 is +1.15 %). `day` is the numbers' trading day.
    `spy_trend_pct` is the close against its 20-day mean, `realised_volatility_pct` the annualised deviation of
    20 daily returns, `spy_drawdown_pct` the distance below the highest close seen (positive).
    """

    observed_at: datetime
    source: str
    day: date | None = None
    spy: Decimal | None = None
    spy_change_pct: Decimal | None = None
    vix: Decimal | None = None
    vix_change_pct: Decimal | None = None
    spy_trend_pct: Decimal | None = None
    realised_volatility_pct: Decimal | None = None
    spy_drawdown_pct: Decimal | None = None
    notes: tuple[str, ...] = ()


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
    spy_trend_pct: Decimal | None = None
    realised_volatility_pct: Decimal | None = None
    spy_drawdown_pct: Decimal | None = None
    notes: tuple[str, ...] = ()

    @property
    def assessment_id(self) -> str:
        """Return `REGIME_<date>_<time>_<hash>`, the form of the existing messages."""
        identity = short_hash(self.assessed_at.isoformat(), self.regime, self.source)
        return f"REGIME_{self.assessed_at:%Y%m%d_%H%M%S}_{identity}"

    @property
    def indicators(self) -> dict[str, Decimal | None]:
        """Return the numbers behind the assessment by name."""
        return {name: getattr(self, name) for name in INDICATORS}


@dataclass(frozen=True, slots=True)
class MarketView:
    """One look at the market, by an assessment or a briefing. `regime` is None if only readings are known.

    Changes and the drawdown are percent.
    """

    source: str
    at: datetime
    regime: Regime | None = None
    vix: Decimal | None = None
    vix_change_pct: Decimal | None = None
    spy_change_pct: Decimal | None = None
    spy_drawdown_pct: Decimal | None = None

    @classmethod
    def of(cls, assessment: RegimeAssessment) -> MarketView:
        """Return the view of an assessment."""
        return cls(
            assessment.source or assessment.assessment_id,
            assessment.assessed_at,
            assessment.regime,
            assessment.vix,
            assessment.vix_change_pct,
            assessment.spy_change_pct,
            assessment.spy_drawdown_pct,
        )

    def __str__(self) -> str:
        vix = None if self.vix is None else f"VIX {plain(self.vix)}"
        down = self.spy_drawdown_pct
        drawdown = None if down is None else f"SPY {plain(abs(down))} % below its high"
        said = ", ".join(filter(None, (self.regime, vix, drawdown))) or "nothing"
        return f"{self.source} ({show_time(self.at)}): {said}"


@dataclass(frozen=True, slots=True)
class RegimeOutcome:
    """The outcome of an assessment's day: dollars for the portfolio, percent for SPY at the close."""

    trades_executed: int | None = None
    portfolio_change: Decimal | None = None
    spy_close_change_pct: Decimal | None = None


@dataclass(frozen=True, slots=True)
class RegimeRecord:
    """An assessment with its known outcome."""

    assessment: RegimeAssessment
    outcome: RegimeOutcome = RegimeOutcome()


def number_or_none(value: Any) -> Decimal | None:
    """Parse a finite number; everything else is unknown."""
    try:
        return decimal_of(value)
    except ValueError:
        return None
