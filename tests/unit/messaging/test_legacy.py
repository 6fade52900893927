"""Regime texts as different hands write them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from Departments.core.errors import UnreadableMessage
from Departments.messaging.codec import decode
from Departments.messaging.message import Message

NAME = "MSG_REGIME_20251110T065004Z_trad.md"
TEXT = """# Market Regime Assessment

**From:** CEO / Market Regime Analyzer
**To:** TRADING Department
**Date:** 2025-11-10 06:50:04
**Assessment ID:** REGIME_20251110_063530_0a1b2c3d

## Market Regime: BEARISH

**Confidence:** HIGH
**Recommendation:** UNFAVORABLE CONDITIONS

## Current Indicators:
- **SPY:** $662.48 (-1.89%)
- **VIX:** 21.98 (+15.68%)

## Analysis:
Market declining (-1.89% today)
"""


def read(text: str, name: str = NAME) -> Message:
    return decode(text.encode(), name=name)


@pytest.mark.parametrize(
    "variant",
    [
        TEXT.replace("\n", "  \n"),
        TEXT.replace("\n", "\n\n"),
        TEXT.replace("\n**", "\n  **"),
        TEXT.replace("\n**", "\n- **"),
        TEXT.replace("- **", "* **"),
        TEXT.replace("- **", "  - **"),
        TEXT.replace("- **", "**"),
        TEXT.replace(":**", "**:"),
        TEXT.replace(":** ", ":**"),
        TEXT.replace(":** ", ":**\u00a0"),
        TEXT.replace("**", ""),
        TEXT.replace("BEARISH", "bearish"),
        TEXT.replace("BEARISH", "**BEARISH**"),
        TEXT.replace("BEARISH", "\U0001f534 BEARISH"),
        TEXT.replace("BEARISH", "BEARISH (HIGH)"),
        TEXT.replace("## Market Regime: ", "### Market Regime : "),
        TEXT.replace("## Market Regime: ", "**Regime:** "),
        TEXT.replace("HIGH", "High (85%)"),
        TEXT.replace("(-1.89%)\n", "(-1.89 %)\n"),
        TEXT.replace("(-1.89%)\n", "( - 1.89% )\n"),
        TEXT.replace("(-1.89%)\n", "(\u22121.89%)\n"),
        TEXT.replace("(-1.89%)\n", "(-1.89% today)\n"),
        TEXT.replace("(-1.89%)\n", "(change: -1.89%)\n"),
        TEXT.replace("(-1.89%)\n", "-1.89%\n"),
        TEXT.replace("$662.48", "**662.48**"),
        TEXT.replace("# Market Regime Assessment", "## \U0001f4ca MARKET REGIME UPDATE"),
        TEXT.replace("# Market Regime Assessment", "**Market Regime Assessment** (Automated)"),
        TEXT.replace("2025-11-10 06:50:04", "2025-11-10T06:50:04Z"),
        TEXT.replace("2025-11-10 06:50:04", "2025-11-10 06:50:04 UTC"),
        TEXT.replace("2025-11-10 06:50:04", "November 10, 2025, 06:50 AM"),
        TEXT.replace("2025-11-10 06:50:04", "2025-11-10"),
        TEXT.replace("TRADING Department", "**Trading** Dept."),
        TEXT.replace("TRADING Department", "All Departments"),
        TEXT.replace("TRADING Department", "TRADING, PORTFOLIO, RISK"),
        TEXT + "\n**Confidence:** LOW\n- **SPY:** $1.00 (+9%)\n",
    ],
)
def test_spacing_and_decoration_do_not_matter(variant: str) -> None:
    message = read(variant)
    assert (message.message_type, message.sender, message.recipient) == ("RegimeUpdate", "REGIME_DETECTION", "TRADING")
    assert message.timestamp == datetime(2025, 11, 10, 6, 50, 4, tzinfo=UTC)
    assert message.payload == {
        "regime": "BEARISH",
        "confidence": "HIGH",
        "recommendation": "UNFAVORABLE CONDITIONS",
        "assessment_id": "REGIME_20251110_063530_0a1b2c3d",
        "indicators": {
            "spy": Decimal("662.48"),
            "spy_change_pct": Decimal("-1.89"),
            "vix": Decimal("21.98"),
            "vix_change_pct": Decimal("15.68"),
        },
    }


@pytest.mark.parametrize(
    ("spy", "expected"),
    [
        ("$6,662.48 (-1,234.5%)", {"spy": Decimal("6662.48"), "spy_change_pct": Decimal("-1234.5")}),
        ("$662.48", {"spy": Decimal("662.48")}),
        ("$662.48 (\u2193 1.89%)", {"spy": Decimal("662.48")}),
        ("$662.48 (-1.89)", {"spy": Decimal("662.48")}),
        ("$nan (+nan%)", {}),
        ("N/A", {}),
        ("$None (None%)", {}),
    ],
)
def test_what_is_no_number_is_not_known(spy: str, expected: dict[str, Decimal]) -> None:
    payload = read(TEXT.replace("$662.48 (-1.89%)", spy)).payload
    assert payload is not None
    vix = {"vix": Decimal("21.98"), "vix_change_pct": Decimal("15.68")}
    assert payload["indicators"] == expected | vix


@pytest.mark.parametrize(
    ("said", "end", "recipient"),
    [
        ("PORTFOLIO Department", "port", "PORTFOLIO"),
        ("RESEARCH Department", "rese", "RESEARCH"),
        ("Regime Detection Department", "regi", "REGIME_DETECTION"),
        ("NEWS Department", "news", "NEWS"),
        ("RISK", "trad", "RISK"),
    ],
)
def test_the_text_names_the_recipient(said: str, end: str, recipient: str) -> None:
    assert read(TEXT.replace("TRADING Department", said), NAME.replace("trad", end)).recipient == recipient


@pytest.mark.parametrize(
    "name",
    [
        "MSG_REGIME_20251110_065004_trad.md",
        "MSG_REGIME_20251110T065004_trad.md",
        "MSG_REGIME_20251110T065004123456Z_trad.md",
        "MSG_REGIME_20251110T065004Z-trad.md",
        "REGIME-20251110-065004.md",
        "20251110065004.md",
    ],
)
def test_the_time_may_stand_in_the_name_in_other_forms(name: str) -> None:
    message = read(TEXT.replace("**Date:** 2025-11-10 06:50:04\n", ""), name)
    assert message.timestamp == datetime(2025, 11, 10, 6, 50, 4, tzinfo=UTC)


@pytest.mark.parametrize("name", ["regime.md", "MSG_REGIME_20259910T065004Z_trad.md", "MSG_REGIME_1234_20251110.md"])
def test_without_any_time_it_cannot_be_read(name: str) -> None:
    with pytest.raises(UnreadableMessage, match="gives a time"):
        read(TEXT.replace("**Date:** 2025-11-10 06:50:04\n", ""), name)


def test_a_payload_of_its_own_counts_and_a_broken_one_spoils_the_payload_only() -> None:
    own = read(TEXT + '\n```json\n{"regime": "PANIC"}\n```\n')
    assert own.payload == {"regime": "PANIC"}
    broken = read(TEXT + "\n```json\n{regime\n```\n")
    assert (broken.message_type, broken.recipient) == ("RegimeUpdate", "TRADING")
    with pytest.raises(UnreadableMessage, match="payload"):
        _ = broken.payload
