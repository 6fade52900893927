"""The Regime department: assesses the market, records and publishes the assessment.

An assessment and its letters are one commit: ledger and inboxes agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Protocol

from Departments.core.departments import REGIME_DETECTION
from Departments.core.logs import make_logger
from Departments.core.platform.clock import Clock
from Departments.core.regimes import Observation, Regime, RegimeAssessment, RegimeOutcome, RegimeRecord
from Departments.core.settings import RegimeSettings
from Departments.core.trading_calendar import is_same_session, next_close, session, trading_day
from Departments.messaging.bus import Bus, ConsumeReport
from Departments.messaging.message import Message
from Departments.messaging.neighbours import MarketBriefing
from Departments.messaging.payloads import DayOutcome
from Departments.messaging.regime_payloads import RegimeRequest
from Departments.messaging.router import Commit, Handler, Router
from Departments.Regime.classification import MarketConditionLimits, classify
from Departments.Regime.market_data import (
    MarketData,
    change_on,
    is_of_today,
    observe_briefing,
    observe_conditions,
)
from Departments.Regime.update import regime_update

log = make_logger(__name__)


class RegimeLedger(Protocol):
    """The department's part of the ledger."""

    def transaction(self) -> AbstractContextManager[None]:
        """Make everything inside one commit, letters included."""
        ...

    def save_observation(self, observation: Observation) -> None:
        """Save an observation; a later one of the same source replaces it."""
        ...

    def latest_observation(self, day: date) -> Observation | None:
        """Return the newest observation of `day` or before."""
        ...

    def save_assessment(self, assessment: RegimeAssessment) -> None:
        """Save an assessment; saving it again changes nothing."""
        ...

    def latest_assessment(self, now: datetime) -> RegimeAssessment | None:
        """Return the newest assessment made at or before `now`."""
        ...

    def count_in_second(self, moment: datetime) -> int:
        """Return the number of assessments in the second of `moment`."""
        ...

    def assessments(self, limit: int = 100) -> Sequence[RegimeRecord]:
        """Return assessments with their outcomes, newest first."""
        ...

    def record_outcome(self, assessment_id: str, outcome: RegimeOutcome) -> bool:
        """Add to the outcome of an assessment. Returns False if there is no such assessment."""
        ...


class RegimeDepartment:
    """Assesses the market; `market` holds its sources."""

    def __init__(
        self,
        bus: Bus,
        ledger: RegimeLedger,
        limits: MarketConditionLimits,
        clock: Clock,
        settings: RegimeSettings,
        market: MarketData,
    ) -> None:
        self._bus = bus
        self._ledger = ledger
        self._limits = limits
        self._clock = clock
        self._settings = settings
        self._market = market
        self.router = Router(REGIME_DETECTION, self._handlers())

    def _handlers(self) -> dict[str, Handler]:
        return {
            "assess_market": self.assess_market,
            "observe_briefing": self.observe_briefing,
            "record_day": self.record_day,
        }

    def process_inbox(self) -> ConsumeReport:
        """Handle all waiting messages."""
        return self._bus.consume(REGIME_DETECTION, self.router)

    def assess(self, now: datetime) -> RegimeAssessment:
        """Return the current assessment at `now`, or make, record and publish a new one.

        UNKNOWN is never current: it is assessed anew every time. Raises BadInput for a wrong file of bars.
        """
        assessment, commit = self._find_or_assess(now)
        with self._ledger.transaction():
            commit()
        self._bus.deliver_pending()
        return assessment

    def _find_or_assess(self, now: datetime, named: Observation | None = None) -> tuple[RegimeAssessment, Commit]:
        latest = self._ledger.latest_assessment(now)
        if latest is not None and self._is_current(latest, now) and not self._is_briefed_since(latest, now):
            return latest, lambda: self._keep(named)
        assessment = classify(self._observe(now, named), self._limits)
        if latest is not None and latest.assessment_id == assessment.assessment_id:
            return latest, lambda: self._keep(named)
        self.record_closes(now)
        return assessment, lambda: self._keep(named, assessment)

    def _observe(self, now: datetime, named: Observation | None) -> Observation:
        return self._market.observe(now, named, kept=self._ledger.latest_observation(trading_day(now)))

    def _is_current(self, assessment: RegimeAssessment, now: datetime) -> bool:
        age, day = now - assessment.assessed_at, trading_day(assessment.assessed_at)
        is_young = age < timedelta(hours=self._settings.reuse_hours) and is_same_session(day, trading_day(now))
        return assessment.regime is not Regime.UNKNOWN and is_young

    def _is_briefed_since(self, assessment: RegimeAssessment, now: datetime) -> bool:
        """Return whether a briefing is newer than the assessment."""
        return any(assessment.assessed_at < m.timestamp <= now for m in self._market.recent_briefings(now))

    def _keep(self, named: Observation | None, assessment: RegimeAssessment | None = None) -> None:
        if named is not None:
            self._ledger.save_observation(named)
        if assessment is not None:
            self._publish(assessment)

    def _publish(self, assessment: RegimeAssessment) -> None:
        version = 1 + self._ledger.count_in_second(assessment.assessed_at)
        self._ledger.save_assessment(assessment)
        for recipient in self._settings.recipients:
            self._bus.enqueue(regime_update(assessment, recipient, version=version))

    # --- messages ---

    def observe_briefing(self, message: Message, briefing: MarketBriefing) -> Commit:
        """Record a briefing's readings of the market."""
        seen = observe_conditions(briefing, message.timestamp, f"DailyBriefing {message.message_id}")
        return lambda: self._ledger.save_observation(seen)

    def assess_market(self, message: Message, request: RegimeRequest) -> Commit | None:
        """Assess the market, with the briefing named in the request if any.

        If nobody can plan from the briefing, the request is refused: no assessment is left behind.
        """
        now, wanted = self._clock.now(), request.briefing_message_id
        found = None if wanted is None else self._bus.find(wanted)
        named = None if found is None else observe_briefing(found)
        refusal = self._find_refusal(wanted, found, named, now)
        if refusal is None:
            assessment, commit = self._find_or_assess(now, named)
            if wanted is not None or assessment.regime is not Regime.UNKNOWN or not self._market.has_only_refused(now):
                return commit
            refusal = "none of today's briefings can be used for a plan"
        log.warning("%s: no assessment is made: %s", message.message_id, refusal)
        return None

    def _find_refusal(
        self, wanted: str | None, found: Message | None, named: Observation | None, now: datetime
    ) -> str | None:
        """Return why nobody can plan from the named briefing, or None."""
        if wanted is None:
            return None
        if found is None or named is None:
            return f"DailyBriefing {wanted} cannot be found"
        if named.day is not None and not is_of_today(named, now):
            return f"DailyBriefing {wanted} is of {named.day}"
        return None if self._market.is_usable(found) else f"DailyBriefing {wanted} cannot be used for a plan"

    def record_day(self, _: Message, outcome: DayOutcome) -> Commit | None:
        """Record the outcome of a day under the assessment current at its start."""
        assessment = self._ledger.latest_assessment(outcome.started_at)
        if assessment is None:
            return None
        trades, change = outcome.trades_executed, outcome.portfolio_change
        return lambda: self.record_outcome(assessment, trades_executed=trades, portfolio_change=change)

    # --- outcomes ---

    def record_outcome(
        self,
        assessment: RegimeAssessment,
        *,
        trades_executed: int | None = None,
        portfolio_change: Decimal | None = None,
    ) -> None:
        """Record the outcome of an assessment: filled orders and the portfolio's change in dollars."""
        outcome = RegimeOutcome(trades_executed=trades_executed, portfolio_change=portfolio_change)
        self._ledger.record_outcome(assessment.assessment_id, outcome)

    def record_closes(self, now: datetime) -> int:
        """Record SPY's change at the close for assessments of past sessions; return how many."""
        waiting = {
            record.assessment.assessment_id: day
            for record in self._ledger.assessments()
            if record.outcome.spy_close_change_pct is None
            and session(day := trading_day(next_close(record.assessment.assessed_at)))[1] <= now
        }
        bars = self._market.read_closes() if waiting else ()
        known = {key: change for key, day in waiting.items() if (change := change_on(bars, day)) is not None}
        for key, change in known.items():
            self._ledger.record_outcome(key, RegimeOutcome(spy_close_change_pct=change))
        return len(known)
