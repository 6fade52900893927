from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from Departments.core.regimes import Confidence, Regime, RegimeAssessment
from Departments.messaging.codec import decode, encode
from Departments.messaging.legacy import regime_message
from Departments.messaging.regime_payloads import RegimeUpdate
from Departments.Regime.update import analysis, markdown, regime_update

NOW = datetime(2025, 11, 10, 6, 35, 59, 120_000, tzinfo=UTC)
ASSESSED = RegimeAssessment(
    Regime.BULLISH,
    Confidence.HIGH,
    "GOOD DAY TO TRADE",
    NOW,
    "SPY bars of the broker fake",
    spy=Decimal("678.22"),
    spy_change_pct=Decimal("1.08"),
    vix=Decimal("18.34"),
    vix_change_pct=Decimal("-3.88"),
    score=3,
    spy_trend_pct=Decimal("2.104"),
)
NOTHING = RegimeAssessment(
    Regime.UNKNOWN, Confidence.LOW, "BE CAREFUL", NOW, "no data", notes=("the VIX is not known",)
)


@pytest.mark.parametrize(
    ("recipient", "end"), [("EXECUTIVE", "exec"), ("OPERATIONS", "oper"), ("PORTFOLIO", "port"), ("RISK", "risk")]
)
def test_the_id_is_that_of_the_existing_files(recipient: str, end: str) -> None:
    assert regime_update(ASSESSED, recipient).message_id == f"MSG_REGIME_20251110T063559Z_{end}"


def test_a_second_version_within_a_second_has_an_id_of_its_own_with_the_same_end() -> None:
    assert regime_update(ASSESSED, "EXECUTIVE", version=2).message_id == "MSG_REGIME_20251110T063559Z_v2_exec"


def test_the_envelope_says_who_tells_whom_what() -> None:
    message = regime_update(ASSESSED, "OPERATIONS")
    assert (message.sender, message.recipient, message.message_type) == (
        "REGIME_DETECTION",
        "OPERATIONS",
        "RegimeUpdate",
    )
    assert (message.timestamp, message.priority, message.requires_response) == (NOW, "routine", False)


@pytest.mark.parametrize(("regime", "priority"), [(Regime.PANIC, "urgent"), (Regime.UNKNOWN, "elevated")])
def test_panic_and_unknown_are_reported_with_priority(regime: Regime, priority: str) -> None:
    assert regime_update(replace(ASSESSED, regime=regime), "EXECUTIVE").priority == priority


def test_the_body_reads_as_the_existing_messages_do() -> None:
    lines = markdown(ASSESSED, "EXECUTIVE").splitlines()
    assert lines[0] == "# Market Regime Assessment"
    for line in (
        "**To:** EXECUTIVE Department",
        "**Date:** 2025-11-10 01:35:59 EST",
        "## Market Regime: BULLISH",
        "**Confidence:** HIGH",
        "**Recommendation:** GOOD DAY TO TRADE",
        "- **SPY:** $678.22 (+1.08%)",
        "- **VIX:** 18.34 (-3.88%)",
        "- **SPY trend:** +2.10% against its 20-day mean",
    ):
        assert line in lines


def test_readers_of_the_old_form_understand_the_body_too() -> None:
    message = regime_update(ASSESSED, "EXECUTIVE")
    old = regime_message(markdown(ASSESSED, "EXECUTIVE"), "MSG_REGIME_20251110T063559Z_exec.md")
    assert old.payload is not None
    read = RegimeUpdate.of(old).assessment(old.timestamp, "text")
    assert old.message_id == message.message_id
    assert (read.regime, read.confidence, read.recommendation) == (
        ASSESSED.regime,
        ASSESSED.confidence,
        ASSESSED.recommendation,
    )
    assert (read.spy, read.vix_change_pct) == (ASSESSED.spy, ASSESSED.vix_change_pct)


def test_the_payload_survives_the_way_through_a_file() -> None:
    message = regime_update(ASSESSED, "EXECUTIVE")
    received = decode(encode(message), name="MSG_REGIME_20251110T063559Z_exec.md")
    assert received == message
    assert received.payload is not None
    assert RegimeUpdate.of(received).assessment(received.timestamp, received.message_id) == ASSESSED
    assert received.payload["assessment_id"] == ASSESSED.assessment_id


def test_what_is_not_known_is_written_as_unknown_with_the_reason() -> None:
    text = markdown(NOTHING, "EXECUTIVE")
    assert "- **SPY:** unknown\n- **VIX:** unknown" in text
    assert "## Not Known:\n- the VIX is not known" in text
    assert "Nothing is known of the market" in text


def test_a_change_without_a_level_is_written_alone() -> None:
    assert "- **SPY:** +1.08% today" in markdown(replace(ASSESSED, spy=None), "EXECUTIVE")


@pytest.mark.parametrize(
    ("change", "vix", "vix_change", "expected"),
    [
        ("1.08", "18.3", "-3.88", "Market trending up (+1.08% today) • Normal volatility (VIX = 18.3) • +3 points"),
        ("-1.89", "22", "15.7", "Market declining (-1.89% today) • Elevated volatility (VIX = 22.0) • Fear rising"),
        ("0.5", "14.9", "-6", "Market little changed (+0.50% today) • Low volatility (VIX = 14.9) • Fear falling"),
        ("-0.5", "25", "0", "Market little changed (-0.50% today) • High volatility (VIX = 25.0)"),
    ],
)
def test_the_analysis_says_in_a_line_what_was_seen(change: str, vix: str, vix_change: str, expected: str) -> None:
    seen = replace(ASSESSED, spy_change_pct=Decimal(change), vix=Decimal(vix), vix_change_pct=Decimal(vix_change))
    assert analysis(seen).startswith(expected)
