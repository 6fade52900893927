from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from Departments.core.regimes import Confidence, Observation, Regime, RegimeAssessment, RegimeOutcome, RegimeRecord
from Departments.ledger.regime_records import ASSESSMENTS, OBSERVATIONS, SqliteRegimeLedger
from Departments.ledger.sqlite import SqliteDatabase

NOW = datetime(2025, 11, 10, 15, 5, 9, tzinfo=UTC)
MONDAY = date(2025, 11, 10)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteRegimeLedger]:
    database = SqliteDatabase(tmp_path / "desk.db", [OBSERVATIONS, ASSESSMENTS])
    yield SqliteRegimeLedger(database)
    database.close()


def assessed(moment: datetime = NOW, regime: Regime = Regime.BULLISH) -> RegimeAssessment:
    return RegimeAssessment(
        regime,
        Confidence.HIGH,
        "GOOD DAY TO TRADE",
        moment,
        "DailyBriefing",
        spy_change_pct=Decimal("1.1505778314029769"),
        vix=Decimal("18.04"),
        score=3,
        notes=("a note — with a dash",),
    )


def test_an_assessment_comes_back_as_it_was_saved(ledger: SqliteRegimeLedger) -> None:
    ledger.save_assessment(assessed())
    assert ledger.assessments() == [RegimeRecord(assessed(), RegimeOutcome())]


def test_saving_an_assessment_again_changes_nothing(ledger: SqliteRegimeLedger) -> None:
    ledger.save_assessment(assessed())
    ledger.record_outcome(assessed().assessment_id, RegimeOutcome(trades_executed=4))
    ledger.save_assessment(assessed())
    assert [record.outcome.trades_executed for record in ledger.assessments()] == [4]


def test_the_latest_assessment_is_the_newest_that_is_not_of_the_future(ledger: SqliteRegimeLedger) -> None:
    for minutes in (0, 30, 90):
        ledger.save_assessment(assessed(NOW + timedelta(minutes=minutes)))
    assert ledger.latest_assessment(NOW + timedelta(hours=1)) == assessed(NOW + timedelta(minutes=30))
    assert ledger.latest_assessment(NOW - timedelta(seconds=1)) is None


def test_assessments_of_the_same_second_keep_their_order(ledger: SqliteRegimeLedger) -> None:
    later = NOW + timedelta(microseconds=1)
    ledger.save_assessment(assessed(later, Regime.PANIC))
    ledger.save_assessment(assessed(NOW))
    assert ledger.latest_assessment(later) == assessed(later, Regime.PANIC)


def test_of_two_assessments_of_one_moment_the_later_saved_is_the_latest(ledger: SqliteRegimeLedger) -> None:
    for regime in (Regime.UNKNOWN, Regime.BULLISH, Regime.BEARISH):
        ledger.save_assessment(assessed(NOW, regime))
    assert ledger.latest_assessment(NOW) == assessed(NOW, Regime.BEARISH)
    assert ledger.assessments()[0].assessment == assessed(NOW, Regime.BEARISH)


def test_the_assessments_of_one_second_are_counted(ledger: SqliteRegimeLedger) -> None:
    for moment in (NOW, NOW + timedelta(microseconds=999_999), NOW + timedelta(seconds=1)):
        ledger.save_assessment(assessed(moment))
    assert ledger.count_in_second(NOW) == 2


def test_the_history_is_newest_first_and_limited(ledger: SqliteRegimeLedger) -> None:
    for day in range(5):
        ledger.save_assessment(assessed(NOW + timedelta(days=day)))
    found = [record.assessment.assessed_at.day for record in ledger.assessments(limit=2)]
    assert found == [14, 13]


def test_an_outcome_may_become_known_piece_by_piece(ledger: SqliteRegimeLedger) -> None:
    ledger.save_assessment(assessed())
    known = assessed().assessment_id
    assert ledger.record_outcome(known, RegimeOutcome(trades_executed=0, portfolio_change=Decimal("-12.5")))
    assert ledger.record_outcome(known, RegimeOutcome(spy_close_change_pct=Decimal("1.54")))
    assert ledger.assessments()[0].outcome == RegimeOutcome(0, Decimal("-12.5"), Decimal("1.54"))


def test_an_outcome_of_an_unknown_assessment_returns_false(ledger: SqliteRegimeLedger) -> None:
    assert not ledger.record_outcome("REGIME_none", RegimeOutcome(trades_executed=1))


def test_an_observation_comes_back_as_it_was_saved(ledger: SqliteRegimeLedger) -> None:
    seen = Observation(NOW, "DailyBriefing MSG_1", MONDAY, spy_change_pct=Decimal("1.15"), notes=("no VIX",))
    ledger.save_observation(seen)
    assert ledger.latest_observation(MONDAY) == seen


def test_an_observation_is_replaced_by_a_later_one_of_the_same_source(ledger: SqliteRegimeLedger) -> None:
    first = Observation(NOW, "briefing", MONDAY, vix=Decimal(18))
    ledger.save_observation(first)
    ledger.save_observation(replace(first, vix=Decimal(19)))
    found = ledger.latest_observation(MONDAY)
    assert found is not None
    assert found.vix == 19


def test_the_latest_observation_is_of_the_newest_day_up_to_the_one_asked_for(ledger: SqliteRegimeLedger) -> None:
    for number, day in enumerate((MONDAY, MONDAY + timedelta(days=1), MONDAY - timedelta(days=3), None)):
        ledger.save_observation(Observation(NOW + timedelta(hours=number), f"briefing {number}", day))
    found = ledger.latest_observation(MONDAY)
    assert found is not None
    assert found.source == "briefing 0"
