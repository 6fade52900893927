"""Reasons as sentences: the meaning first, numbers beside it, the code last."""

from __future__ import annotations

from Departments.core.plans import SkippedTrade
from Departments.core.reasons import Reason, ReasonCode
from Departments.Executive.reporting.reason_words import describe_gap, describe_reasons, describe_skip


def test_a_reason_is_its_meaning_with_dollars_written_as_dollars() -> None:
    (found,) = describe_reasons("INSUFFICIENT_CASH: needed=3420.2 available=2241.24 minimum=2968.5")
    assert found["sentence"] == "The actual cash does not cover the order (deferred)"
    assert found["numbers"] == "needed $3,420.20, available $2,241.24, minimum $2,968.50"
    assert found["code"] == "INSUFFICIENT_CASH"


def test_the_same_key_is_shares_or_points_under_another_code() -> None:
    (score,) = describe_reasons("SCORE_BELOW_THRESHOLD: score=35 minimum=55")
    (shares,) = describe_reasons("SELL_EXCEEDS_HOLDING: held=10 qty=12")
    assert (score["numbers"], shares["numbers"]) == ("score 35, minimum 55", "held 10, qty 12")


def test_several_reasons_are_told_apart_and_unknown_ones_kept() -> None:
    found = describe_reasons("PHASE_TIMEOUT: phase=SELL timeout=60s; the broker said no")
    assert [each["code"] for each in found] == ["PHASE_TIMEOUT", ""]
    assert found[0]["numbers"] == "phase SELL, timeout 60s"
    assert found[1]["sentence"] == "The broker said no"
    assert describe_reasons("") == []


def test_a_skip_has_the_plans_own_words_or_the_codes() -> None:
    reason = Reason.of(ReasonCode.MAX_POSITIONS_TOTAL, places=9)
    assert describe_skip(SkippedTrade("BKR", reason, "Skipped BKR - every place is taken")) == "Every place is taken"
    assert describe_skip(SkippedTrade("BKR", reason, "")).startswith("The account already holds")


def test_a_gap_is_split_into_its_words_and_its_code() -> None:
    assert describe_gap("EARNINGS_DAY: no earnings date (ALKS)") == {
        "sentence": "No earnings date (ALKS)",
        "code": "EARNINGS_DAY",
    }
