"""The Regime department's records: what was observed, every assessment, and what became of its day."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime
from decimal import Decimal

from Departments.core.clock import parse_iso
from Departments.core.regimes import (
    INDICATORS,
    Confidence,
    Observation,
    Regime,
    RegimeAssessment,
    RegimeOutcome,
    RegimeRecord,
)
from Departments.ledger.database import Database, Row
from Departments.ledger.values import number, number_text

#: Times have microseconds always, so that their text sorts as they do; numbers are decimal text, notes a JSON list.
MIGRATION = """
CREATE TABLE regime_observations (
    source TEXT PRIMARY KEY, observed_at TEXT NOT NULL, day TEXT, spy TEXT, spy_change_pct TEXT, vix TEXT,
    vix_change_pct TEXT, spy_trend_pct TEXT, realised_volatility_pct TEXT, spy_drawdown_pct TEXT, notes TEXT NOT NULL
);
CREATE TABLE regime_assessments (
    assessment_id TEXT PRIMARY KEY, assessed_at TEXT NOT NULL, source TEXT NOT NULL, regime TEXT NOT NULL,
    confidence TEXT NOT NULL, recommendation TEXT NOT NULL, score INTEGER, spy TEXT, spy_change_pct TEXT, vix TEXT,
    vix_change_pct TEXT, spy_trend_pct TEXT, realised_volatility_pct TEXT, spy_drawdown_pct TEXT, notes TEXT NOT NULL,
    trades_executed INTEGER, portfolio_change TEXT, spy_close_change_pct TEXT
);
CREATE INDEX regime_assessments_by_time ON regime_assessments (assessed_at)
"""


class SqliteRegimeLedger:
    """The records in the desk's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def transaction(self) -> AbstractContextManager[None]:
        """Make everything inside one commit; an inner transaction joins the outer one."""
        return self._database.transaction()

    def save_observation(self, observation: Observation) -> None:
        """Keep an observation; a later one of the same source replaces it."""
        self._write(
            "INSERT OR REPLACE INTO regime_observations",
            {
                "source": observation.source,
                "observed_at": _time_text(observation.observed_at),
                "day": observation.day.isoformat() if observation.day else None,
                "notes": json.dumps(observation.notes),
                **{name: number_text(getattr(observation, name)) for name in INDICATORS},
            },
        )

    def latest_observation(self, day: date) -> Observation | None:
        """Return the newest observation that is not of a day after `day`; one of no day counts as oldest."""
        row = self._database.row(
            "SELECT * FROM regime_observations WHERE day IS NULL OR day <= ? "
            "ORDER BY day DESC NULLS LAST, observed_at DESC LIMIT 1",
            (day.isoformat(),),
        )
        return None if row is None else _observation(row)

    def save_assessment(self, assessment: RegimeAssessment) -> None:
        """Keep an assessment; saving it again changes nothing."""
        self._write(
            "INSERT OR IGNORE INTO regime_assessments",
            {
                "assessment_id": assessment.assessment_id,
                "assessed_at": _time_text(assessment.assessed_at),
                "source": assessment.source,
                "regime": str(assessment.regime),
                "confidence": str(assessment.confidence),
                "recommendation": assessment.recommendation,
                "score": assessment.score,
                "notes": json.dumps(assessment.notes),
                **{name: number_text(value) for name, value in assessment.indicators.items()},
            },
        )

    def latest_assessment(self, now: datetime) -> RegimeAssessment | None:
        """Return the newest assessment made at or before `now`."""
        row = self._database.row(
            "SELECT * FROM regime_assessments WHERE assessed_at <= ? ORDER BY assessed_at DESC, rowid DESC LIMIT 1",
            (_time_text(now),),
        )
        return None if row is None else _assessment(row)

    def made_in_second(self, moment: datetime) -> int:
        """Return how many assessments were made in the second of `moment`."""
        second = _time_text(moment)[: len("2025-11-10T15:10:00")]
        row = self._database.row("SELECT count(*) FROM regime_assessments WHERE assessed_at LIKE ?", (f"{second}%",))
        return 0 if row is None else int(row[0])

    def assessments(self, limit: int = 100) -> Sequence[RegimeRecord]:
        """Return up to `limit` assessments with their outcomes, newest first."""
        rows = self._database.rows(
            "SELECT * FROM regime_assessments ORDER BY assessed_at DESC, rowid DESC LIMIT ?", (limit,)
        )
        return [RegimeRecord(_assessment(row), _outcome(row)) for row in rows]

    def record_outcome(self, assessment_id: str, outcome: RegimeOutcome) -> bool:
        """Add what is known of the outcome, keeping what was known before; tell whether there is such an assessment."""
        with self._database.transaction():
            done = self._database.execute(
                "UPDATE regime_assessments SET trades_executed = coalesce(?, trades_executed), "
                "portfolio_change = coalesce(?, portfolio_change), "
                "spy_close_change_pct = coalesce(?, spy_close_change_pct) WHERE assessment_id = ?",
                (
                    outcome.trades_executed,
                    number_text(outcome.portfolio_change),
                    number_text(outcome.spy_close_change_pct),
                    assessment_id,
                ),
            )
            return done.rowcount == 1

    def _write(self, insert: str, values: Mapping[str, object]) -> None:
        names, marks = ", ".join(values), ", ".join(f":{name}" for name in values)
        with self._database.transaction():
            self._database.execute(f"{insert} ({names}) VALUES ({marks})", dict(values))


def _time_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _observation(row: Row) -> Observation:
    return Observation(
        parse_iso(row["observed_at"]),
        row["source"],
        date.fromisoformat(row["day"]) if row["day"] else None,
        **_readings(row),
        notes=tuple(json.loads(row["notes"])),
    )


def _assessment(row: Row) -> RegimeAssessment:
    return RegimeAssessment(
        Regime(row["regime"]),
        Confidence(row["confidence"]),
        row["recommendation"],
        parse_iso(row["assessed_at"]),
        row["source"],
        score=row["score"],
        notes=tuple(json.loads(row["notes"])),
        **_readings(row),
    )


def _outcome(row: Row) -> RegimeOutcome:
    return RegimeOutcome(row["trades_executed"], number(row["portfolio_change"]), number(row["spy_close_change_pct"]))


def _readings(row: Row) -> dict[str, Decimal | None]:
    return {name: number(row[name]) for name in INDICATORS}
