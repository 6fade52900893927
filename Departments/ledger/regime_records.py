"""The Regime department's records: observations, assessments and their outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import Final

from Departments.core.moments import iso
from Departments.core.regimes import Observation, RegimeAssessment, RegimeOutcome, RegimeRecord
from Departments.core.trading_calendar import is_same_session, trading_day
from Departments.ledger.database import Database
from Departments.ledger.old_days import OldAssessments
from Departments.ledger.tables import Table

OBSERVATIONS: Final = Table("regime_observations", Observation, rules=("PRIMARY KEY (source)",))
#: Of two assessments of one moment the one with the higher number is the later.
ASSESSMENTS: Final = Table(
    "regime_assessments",
    RegimeRecord,
    owner={"assessment_id": str},
    identity="number",
    rules=("UNIQUE (assessment_id)",),
    indexes=("CREATE INDEX regime_assessments_by_time ON regime_assessments (assessed_at)",),
)
#: An assessment is asked for right before the plan that needs it.
JUST_MADE: Final = timedelta(minutes=5)
_NEWEST_FIRST: Final = "assessed_at DESC, number DESC"


class SqliteRegimeLedger:
    """The records in the desk's database."""

    def __init__(self, database: Database, old: OldAssessments | None = None) -> None:
        self._database = database
        self._old = old

    def transaction(self) -> AbstractContextManager[None]:
        """Commit everything inside together; an inner transaction joins the outer one."""
        return self._database.transaction()

    def save_observation(self, observation: Observation) -> None:
        """Keep an observation; a later one of the same source replaces it."""
        with self._database.transaction():
            OBSERVATIONS.replace(self._database, observation, "source")

    def latest_observation(self, day: date) -> Observation | None:
        """Return the newest observation up to `day`, or None; one without a day counts as oldest."""
        newest_first = "day DESC NULLS LAST, observed_at DESC"
        return OBSERVATIONS.first(self._database, "day IS NULL OR day <= ?", day, order=newest_first)

    def save_assessment(self, assessment: RegimeAssessment) -> None:
        """Keep an assessment; saving it again changes nothing."""
        with self._database.transaction():
            ASSESSMENTS.insert(
                self._database, RegimeRecord(assessment), "DO NOTHING", assessment_id=assessment.assessment_id
            )
            if self._old is not None:
                self._old.add(assessment)

    def latest_assessment(self, now: datetime) -> RegimeAssessment | None:
        """Return the newest assessment made at or before `now`."""
        found = ASSESSMENTS.first(self._database, "assessed_at <= ?", now, order=_NEWEST_FIRST)
        return None if found is None else found.assessment

    def young_assessments(self, now: datetime, young: timedelta) -> list[RegimeAssessment]:
        """Return the assessments of this trading day that are at most as `young`, oldest first.

        One from a clock that is ahead counts, too; one of the last few minutes counts whatever `young` is.
        """
        young = max(young, JUST_MADE)
        found = ASSESSMENTS.find(
            self._database,
            "assessed_at BETWEEN ? AND ?",
            now - young,
            now + young,
            order="assessed_at, number",
        )
        today = trading_day(now)
        return [r.assessment for r in found if is_same_session(trading_day(r.assessment.assessed_at), today)]

    def count_in_second(self, moment: datetime) -> int:
        """Count the assessments in the second of `moment`."""
        second = iso(moment)[: len("2025-11-10T15:10:00")]
        return len(ASSESSMENTS.find(self._database, "assessed_at LIKE ?", f"{second}%"))

    def assessments(self, limit: int = 100) -> Sequence[RegimeRecord]:
        """Return up to `limit` assessments with their outcomes, newest first."""
        return ASSESSMENTS.find(self._database, "1 = 1", order=f"{_NEWEST_FIRST} LIMIT {limit:d}")

    def record_outcome(self, assessment_id: str, outcome: RegimeOutcome) -> bool:
        """Add an outcome to an assessment and keep its known values. Returns False for an unknown id."""
        known = {name: value for name, value in asdict(outcome).items() if value is not None}
        with self._database.transaction():
            changes = known or {"assessment_id": assessment_id}
            if self._old is not None:
                self._old.record_outcome(assessment_id, outcome)
            return ASSESSMENTS.update(self._database, changes, "assessment_id = ?", assessment_id) == 1
