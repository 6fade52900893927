"""Payloads about the regime of the market."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from Departments.core.readers import MaybeText, Reading, Text
from Departments.core.regimes import Confidence, Regime, RegimeAssessment
from Departments.messaging.message import Message
from Departments.messaging.payloads import Payload
from Departments.messaging.values import BriefingId


class RegimeRequest(Payload):
    """Assess the market."""

    briefing_message_id: BriefingId = None


class Indicators(Payload):
    """Readings of the market; null is unknown. Changes are percent: 1.15 is +1.15 %."""

    model_config = ConfigDict(extra="allow")

    spy: Reading = Field(None, description="SPY, dollars", examples=[678.22])
    spy_change_pct: Reading = Field(None, description="SPY's change of the day, percent", examples=[1.08])
    vix: Reading = Field(None, description="VIX, as quoted", examples=[18.34])
    vix_change_pct: Reading = Field(None, description="the VIX's change of the day, percent", examples=[-3.88])
    spy_trend_pct: Reading = Field(None, description="SPY against its 20-day mean, percent", examples=[2.1])
    realised_volatility_pct: Reading = Field(None, description="percent a year over 20 days", examples=[12.5])
    spy_drawdown_pct: Reading = Field(None, description="SPY below its highest close, percent", examples=[0.4])


def _sentences(value: Any) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list | tuple) else ()


class RegimeUpdate(Payload):
    """The regime of the market. The older analyser's texts are read as this, too; unknown keys are kept."""

    model_config = ConfigDict(extra="allow")

    assessment_id: MaybeText = Field(None, description="the assessment", examples=["REGIME_20251110_063559_0a1b2c3d"])
    regime: Regime = Field(description="BULLISH, NEUTRAL, BEARISH, PANIC or UNKNOWN", examples=["BULLISH"])
    confidence: Confidence = Field(Confidence.LOW, description="HIGH, MEDIUM or LOW", examples=["HIGH"])
    recommendation: Text = Field("", description="for people", examples=["GOOD DAY TO TRADE"])
    score: Any = Field(None, description="points, null where they are unknown", examples=[4])
    source: Text = Field("", description="where the readings come from", examples=["SPY bars of the broker"])
    indicators: Indicators = Field(default_factory=Indicators, description="the readings")
    notes: tuple[str, ...] = Field((), description="sentences about unknown readings")

    @classmethod
    def document_in(cls, message: Message) -> Mapping[str, Any] | None:
        """Return the payload, or else the extra keys of the front matter."""
        return message.payload or message.extra

    @model_validator(mode="before")
    @classmethod
    def _keep_regime(cls, document: Any) -> Any:
        """Take an odd confidence as LOW, with a note: the regime counts all the same."""
        if not isinstance(document, Mapping) or "confidence" not in document:
            return document
        given = document["confidence"]
        word = str(given).strip().upper()
        if word in Confidence.__members__:
            return {**document, "confidence": word}
        note = f"the confidence {str(given)[:40]!r} is not HIGH, MEDIUM or LOW; it is taken as LOW"
        return {**document, "confidence": Confidence.LOW, "notes": (*_sentences(document.get("notes")), note)}

    @field_validator("regime", mode="before")
    @classmethod
    def _capitalise(cls, value: Any) -> Any:
        return str(value).strip().upper() if value else value

    @field_validator("indicators", mode="before")
    @classmethod
    def _keep_mapping(cls, value: Any) -> Any:
        return value if isinstance(value, Mapping | Indicators) else {}

    @field_validator("notes", mode="before")
    @classmethod
    def _keep_sentences(cls, value: Any) -> Any:
        return _sentences(value)

    @classmethod
    def from_assessment(cls, assessment: RegimeAssessment) -> Self:
        """Return an assessment as a payload."""
        return cls(
            assessment_id=assessment.assessment_id,
            regime=assessment.regime,
            confidence=assessment.confidence,
            recommendation=assessment.recommendation,
            score=assessment.score,
            source=assessment.source,
            indicators=Indicators(**assessment.indicators),
            notes=assessment.notes,
        )

    def assessment(self, assessed_at: datetime, source: str) -> RegimeAssessment:
        """Return the assessment as a value. `source` is the default for its own."""
        seen = self.indicators
        return RegimeAssessment(
            regime=self.regime,
            confidence=self.confidence,
            recommendation=self.recommendation,
            assessed_at=assessed_at,
            source=self.source or source,
            spy=seen.spy,
            spy_change_pct=seen.spy_change_pct,
            vix=seen.vix,
            vix_change_pct=seen.vix_change_pct,
            score=self.score if isinstance(self.score, int) else None,
            spy_trend_pct=seen.spy_trend_pct,
            realised_volatility_pct=seen.realised_volatility_pct,
            spy_drawdown_pct=seen.spy_drawdown_pct,
            notes=self.notes,
        )
