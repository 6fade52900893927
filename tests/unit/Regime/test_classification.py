from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Departments.core.errors import BadInput
from Departments.core.regimes import INDICATORS, Confidence, Observation, Regime
from Departments.messaging.regime_payloads import RegimeUpdate
from Departments.Regime.classification import classify, spy_points, total_points, vix_change_points, vix_points

NOW = datetime(2025, 11, 10, 14, 35, tzinfo=UTC)


@dataclass(frozen=True)
class Limits:
    vix_panic_threshold: Decimal = Decimal(40)


def seen(spy: str | None, vix: str | None, vix_change: str | None = None) -> Observation:
    def number(text: str | None) -> Decimal | None:
        return None if text is None else Decimal(text)

    return Observation(NOW, "test", spy_change_pct=number(spy), vix=number(vix), vix_change_pct=number(vix_change))


def verdict(spy: str | None, vix: str | None, vix_change: str | None = None) -> tuple[str, str, str]:
    found = classify(seen(spy, vix, vix_change), Limits())
    return str(found.regime), str(found.confidence), found.recommendation


@pytest.mark.parametrize(
    ("change", "points"),
    [("0.51", 2), ("0.5", 1), ("0.01", 1), ("0", -1), ("-0.01", -1), ("-0.49", -1), ("-0.5", -2), ("-3", -2)],
)
def test_spy_points_change_exactly_at_half_a_percent_and_at_zero(change: str, points: int) -> None:
    assert spy_points(Decimal(change)) == points


@pytest.mark.parametrize(
    ("level", "points"),
    [("9", 2), ("14.99", 2), ("15", 1), ("19.99", 1), ("20", -1), ("24.99", -1), ("25", -2), ("39", -2)],
)
def test_vix_points_change_exactly_at_15_20_and_25(level: str, points: int) -> None:
    assert vix_points(Decimal(level)) == points


@pytest.mark.parametrize(
    ("change", "points"),
    [("-5.01", 1), ("-5", 0), ("-1", 0), ("0", 0), ("5", 0), ("5.01", -1), (None, 0)],
)
def test_vix_change_points_change_just_beyond_five_percent_and_unknown_gives_none(
    change: str | None, points: int
) -> None:
    assert vix_change_points(None if change is None else Decimal(change)) == points


@pytest.mark.parametrize(
    ("spy", "vix", "vix_change", "score", "expected"),
    [
        ("1", "14", "-6", 5, ("BULLISH", "HIGH", "GOOD DAY TO TRADE")),
        ("1", "14", "0", 4, ("BULLISH", "HIGH", "GOOD DAY TO TRADE")),
        ("1", "18", "0", 3, ("BULLISH", "HIGH", "GOOD DAY TO TRADE")),
        ("0.3", "18", "0", 2, ("BULLISH", "MEDIUM", "FAVORABLE CONDITIONS")),
        ("1", "22", "0", 1, ("BULLISH", "MEDIUM", "FAVORABLE CONDITIONS")),
        ("0.3", "22", "0", 0, ("NEUTRAL", "MEDIUM", "NORMAL CONDITIONS")),
        ("0.3", "26", "0", -1, ("NEUTRAL", "MEDIUM", "NORMAL CONDITIONS")),
        ("-0.3", "22", "0", -2, ("BEARISH", "MEDIUM", "PROCEED WITH CAUTION")),
        ("-1", "22", "0", -3, ("BEARISH", "MEDIUM", "PROCEED WITH CAUTION")),
        ("-1", "26", "0", -4, ("BEARISH", "HIGH", "UNFAVORABLE CONDITIONS")),
        ("-1", "26", "6", -5, ("BEARISH", "HIGH", "UNFAVORABLE CONDITIONS")),
    ],
)
def test_every_sum_of_points_has_its_verdict(
    spy: str, vix: str, vix_change: str, score: int, expected: tuple[str, str, str]
) -> None:
    assert total_points(seen(spy, vix, vix_change)) == score
    assert verdict(spy, vix, vix_change) == expected


@pytest.mark.parametrize(
    ("spy", "vix", "vix_change", "expected"),
    [
        ("-1.89", "21.98", "15.68", ("BEARISH", "HIGH", "UNFAVORABLE CONDITIONS")),  # 2025-11-07
        ("1.08", "18.34", "-3.88", ("BULLISH", "HIGH", "GOOD DAY TO TRADE")),  # 2025-11-10
        ("0.46", "17.93", None, ("BULLISH", "MEDIUM", "FAVORABLE CONDITIONS")),  # 2025-11-26
    ],
)
def test_the_assessments_of_real_days_come_out_as_they_were_recorded(
    spy: str, vix: str, vix_change: str | None, expected: tuple[str, str, str]
) -> None:
    assert verdict(spy, vix, vix_change) == expected


def test_a_vix_above_the_panic_threshold_is_panic() -> None:
    assert verdict("2", "40.01", "-10")[0] == "PANIC"


def test_a_vix_at_the_panic_threshold_is_not_panic() -> None:
    assert verdict("2", "40", "-10")[0] == "BULLISH"


def test_the_panic_threshold_is_the_limits_files() -> None:
    assert classify(seen("2", "31"), Limits(Decimal(30))).regime is Regime.PANIC


def test_panic_is_certain_even_without_the_spy_change() -> None:
    assert verdict(None, "55")[:2] == ("PANIC", "HIGH")


@pytest.mark.parametrize(("spy", "vix", "vix_change"), [(None, None, None), (None, "14", "-6"), ("2", None, "-6")])
def test_without_the_spy_change_or_the_vix_the_regime_is_unknown_with_low_confidence(
    spy: str | None, vix: str | None, vix_change: str | None
) -> None:
    found = classify(seen(spy, vix, vix_change), Limits())
    assert (found.regime, found.confidence, found.score) == (Regime.UNKNOWN, Confidence.LOW, None)
    assert "CAREFUL" in found.recommendation


def test_only_the_vix_change_may_be_missing() -> None:
    assert verdict("1", "18") == verdict("1", "18", "0")


def test_trend_and_realised_volatility_never_move_the_verdict() -> None:
    calm = seen("0.3", "22")
    wild = replace(calm, spy_trend_pct=Decimal(-20), realised_volatility_pct=Decimal(95), spy_drawdown_pct=Decimal(30))
    assert classify(wild, Limits()).regime is classify(calm, Limits()).regime


def test_an_assessment_carries_everything_that_was_seen() -> None:
    source = replace(seen("1", "18", "2"), notes=("a note",), spy=Decimal("678.22"), spy_trend_pct=Decimal(3))
    found = classify(source, Limits())
    assert (found.assessed_at, found.source, found.notes) == (NOW, "test", ("a note",))
    assert found.indicators == {name: getattr(source, name) for name in INDICATORS}


def test_the_payload_of_an_assessment_is_read_back_as_the_same_assessment() -> None:
    found = classify(seen("1", "18", "2"), Limits())
    update = RegimeUpdate.read(RegimeUpdate.from_assessment(found).document(), "MSG")
    assert update.assessment(found.assessed_at, "elsewhere") == found


def test_an_old_payload_with_three_keys_is_read() -> None:
    old = {"regime": "bullish", "confidence": "HIGH", "indicators": {"spy_change_pct": 1.08, "vix": "n/a"}}
    found = RegimeUpdate.read(old, "MSG_REGIME_x_exec").assessment(NOW, "MSG_REGIME_x_exec")
    assert (found.regime, found.spy_change_pct, found.vix) == (Regime.BULLISH, Decimal("1.08"), None)
    assert found.source == "MSG_REGIME_x_exec"


def test_a_payload_with_a_regime_nobody_knows_is_refused() -> None:
    with pytest.raises(BadInput, match=r"MSG: regime: .*SIDEWAYS"):
        RegimeUpdate.read({"regime": "SIDEWAYS"}, "MSG")


def ordered(lowest: int, highest: int) -> st.SearchStrategy[list[Decimal]]:
    return st.lists(st.decimals(lowest, highest, places=2), min_size=2, max_size=2).map(sorted)


@given(spy=ordered(-20, 20), vix=ordered(5, 90), change=ordered(-20, 20))
def test_a_better_market_never_scores_lower(spy: list[Decimal], vix: list[Decimal], change: list[Decimal]) -> None:
    better = total_points(Observation(NOW, "", None, None, spy[1], vix[0], change[0]))
    worse = total_points(Observation(NOW, "", None, None, spy[0], vix[1], change[1]))
    assert better is not None
    assert worse is not None
    assert better >= worse
