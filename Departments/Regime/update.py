"""The RegimeUpdate message of an assessment: Markdown in the existing style, and the payload."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from Departments.core.departments import REGIME_DETECTION
from Departments.core.moments import show_moment, stamp
from Departments.core.regimes import Regime, RegimeAssessment
from Departments.core.safe_text import Form, make_safe
from Departments.messaging.message import Message
from Departments.messaging.regime_payloads import RegimeUpdate

#: Priority of the message by regime; all others are routine.
PRIORITY = {Regime.PANIC: "urgent", Regime.UNKNOWN: "elevated"}


def regime_update(assessment: RegimeAssessment, recipient: str, *, version: int = 1) -> Message:
    """Return the RegimeUpdate for one recipient. The same assessment always gives the same message.

    The id has the form of the existing files, `MSG_REGIME_<stamp>_<first four letters of the recipient>`. If an
    assessment replaces another of the same second, its `version` comes before the letters, so that it sorts later.
    """
    later = f"_v{version}" if version > 1 else ""
    return Message(
        message_id=f"MSG_REGIME_{stamp(assessment.assessed_at)}{later}_{recipient[:4].lower()}",
        sender=REGIME_DETECTION,
        recipient=recipient,
        timestamp=assessment.assessed_at,
        message_type="RegimeUpdate",
        body=RegimeUpdate.from_assessment(assessment).body(markdown(assessment, recipient)),
        priority=PRIORITY.get(assessment.regime, "routine"),
    )


def markdown(assessment: RegimeAssessment, recipient: str) -> str:
    """Return the text for people."""
    sections = [
        "# Market Regime Assessment",
        "\n".join(_addressing(assessment, recipient)),
        f"## Market Regime: {assessment.regime}",
        f"**Confidence:** {assessment.confidence}\n**Recommendation:** {_safe(assessment.recommendation)}",
        "## Current Indicators:\n" + "\n".join(_indicator_lines(assessment)),
        f"## Analysis:\n{analysis(assessment)}\n\nSource: {_safe(assessment.source)}",
    ]
    if assessment.notes:
        sections.append("## Not Known:\n" + "\n".join(f"- {_safe(note)}" for note in assessment.notes))
    return "\n\n".join(sections)


def _safe(text: str) -> str:
    return make_safe(text, Form.MARKDOWN)


def _addressing(assessment: RegimeAssessment, recipient: str) -> Iterator[str]:
    yield "**From:** Regime Detection"
    yield f"**To:** {recipient} Department"
    yield f"**Date:** {show_moment(assessment.assessed_at, seconds=True)}"
    yield f"**Assessment ID:** {assessment.assessment_id}"


def _indicator_lines(assessment: RegimeAssessment) -> Iterator[str]:
    yield f"- **SPY:** {_reading(assessment.spy, assessment.spy_change_pct, '$')}"
    yield f"- **VIX:** {_reading(assessment.vix, assessment.vix_change_pct, '')}"
    if assessment.spy_trend_pct is not None:
        yield f"- **SPY trend:** {assessment.spy_trend_pct:+.2f}% against its 20-day mean"
    if assessment.realised_volatility_pct is not None:
        yield f"- **Realised volatility:** {assessment.realised_volatility_pct:.1f}% a year over 20 days"
    if assessment.spy_drawdown_pct is not None:
        yield f"- **SPY drawdown:** {assessment.spy_drawdown_pct:.2f}% below its highest close of the year"


def _reading(level: Decimal | None, change_pct: Decimal | None, unit: str) -> str:
    if level is None:
        return "unknown" if change_pct is None else f"{change_pct:+.2f}% today"
    return f"{unit}{level:.2f}" + ("" if change_pct is None else f" ({change_pct:+.2f}%)")


def analysis(assessment: RegimeAssessment) -> str:
    """Return the reading of the indicators in one line."""
    return " • ".join(_findings(assessment)) or "Nothing is known of the market"


def _findings(assessment: RegimeAssessment) -> Iterator[str]:
    if (change := assessment.spy_change_pct) is not None:
        yield f"Market {_direction(change)} ({change:+.2f}% today)"
    if (vix := assessment.vix) is not None:
        yield f"{_volatility(vix)} volatility (VIX = {vix:.1f})"
    if (change := assessment.vix_change_pct) is not None and abs(change) > 5:
        yield f"Fear {'rising' if change > 0 else 'falling'} (VIX {change:+.1f}%)"
    if assessment.score is not None:
        yield f"{assessment.score:+d} points"


def _direction(change_pct: Decimal) -> str:
    if abs(change_pct) <= Decimal("0.5"):
        return "little changed"
    return "trending up" if change_pct > 0 else "declining"


def _volatility(vix: Decimal) -> str:
    return next((word for below, word in ((15, "Low"), (20, "Normal"), (25, "Elevated")) if vix < below), "High")
