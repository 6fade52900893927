"""The Regime department: assesses the market, remembers it, and tells those who use it.

An assessment and the letters that tell of it are one commit: whoever reads the ledger and whoever reads an inbox know
the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Protocol

from Departments.core.clock import Clock
from Departments.core.departments import REGIME_DETECTION
from Departments.core.errors import BadInput, BrokerError, UnreadableMessage
from Departments.core.quotes import Bar
from Departments.core.regimes import Observation, Regime, RegimeAssessment, RegimeOutcome, RegimeRecord
from Departments.core.settings import RegimeSettings
from Departments.core.trading_calendar import next_close, session, trading_day
from Departments.messaging.bus import Bus, ConsumeReport
from Departments.messaging.message import Message
from Departments.messaging.neighbours import MarketBriefing
from Departments.messaging.payloads import DayOutcome, RegimeRequest
from Departments.messaging.router import Commit, Handler, Router
from Departments.Regime.bars import change_on
from Departments.Regime.classification import MarketConditionLimits, classify
from Departments.Regime.market_data import BarSource, ObservationSource, from_briefing, merged
from Departments.Regime.update import regime_update

#: Of many old briefings only the newest are read; what is older than they are is stale anyway.
NEWEST = 5


def _no_briefings(_now: datetime) -> Iterable[Message]:
    return ()


class RegimeLedger(Protocol):
    """What the department asks of the ledger."""

    def transaction(self) -> AbstractContextManager[None]:
        """Make everything inside one commit, the bus's letters too."""
        ...

    def save_observation(self, observation: Observation) -> None:
        """Keep an observation; a later one of the same source replaces it."""
        ...

    def latest_observation(self, day: date) -> Observation | None:
        """Return the newest observation that is not of a day after `day`."""
        ...

    def save_assessment(self, assessment: RegimeAssessment) -> None:
        """Keep an assessment; saving it again changes nothing."""
        ...

    def latest_assessment(self, now: datetime) -> RegimeAssessment | None:
        """Return the newest assessment made at or before `now`."""
        ...

    def made_in_second(self, moment: datetime) -> int:
        """Return how many assessments were made in the second of `moment`."""
        ...

    def assessments(self, limit: int = 100) -> Sequence[RegimeRecord]:
        """Return assessments with their outcomes, newest first."""
        ...

    def record_outcome(self, assessment_id: str, outcome: RegimeOutcome) -> bool:
        """Add what is known of an outcome; tell whether there is such an assessment."""
        ...


@dataclass(frozen=True, slots=True)
class RegimeParts:
    """What the department works with.

    `briefings` gives the DailyBriefings there are, the newest first; `closing_bars` SPY's daily bars, from which closes
    are read later.
    """

    bus: Bus
    ledger: RegimeLedger
    limits: MarketConditionLimits
    clock: Clock
    settings: RegimeSettings
    briefings: Callable[[datetime], Iterable[Message]] = _no_briefings
    sources: Sequence[ObservationSource] = ()
    closing_bars: BarSource = tuple


class RegimeDepartment:
    """Says what kind of market it is."""

    def __init__(self, parts: RegimeParts) -> None:
        self._parts = parts
        self.router = Router(REGIME_DETECTION, self._handlers())

    def _handlers(self) -> dict[str, Handler]:
        return {
            "assess_market": self.assess_market,
            "observe_briefing": self.observe_briefing,
            "record_day": self.record_day,
        }

    def process_inbox(self) -> ConsumeReport:
        """Handle everything that waits in the department's inbox."""
        return self._parts.bus.consume(REGIME_DETECTION, self.router)

    def assess(self, now: datetime) -> RegimeAssessment:
        """Return the regime at `now`: an assessment that still holds, else a new one, which is kept and told.

        An UNKNOWN never holds: it is asked again whenever somebody wants to know. Raises BadInput for a wrong file
        of bars.
        """
        assessment, commit = self._assessed(now)
        with self._parts.ledger.transaction():
            commit()
        self._parts.bus.deliver_pending()
        return assessment

    def observation(self, now: datetime, named: Observation | None = None) -> Observation:
        """Return what is known of the market at `now`: from briefings, `named` first, and other sources."""
        kept = self._parts.ledger.latest_observation(trading_day(now))
        found = [_observed(briefing) for briefing in islice(self._parts.briefings(now), NEWEST)]
        told = dict.fromkeys(seen for seen in (named, *found, kept) if seen is not None)
        return merged([*told, *(source(now) for source in self._parts.sources)], now)

    def _assessed(self, now: datetime, named: Observation | None = None) -> tuple[RegimeAssessment, Commit]:
        latest = self._parts.ledger.latest_assessment(now)
        if latest is not None and self._holds(latest, now):
            return latest, lambda: self._keep(named)
        assessment = classify(self.observation(now, named), self._parts.limits)
        if latest is not None and latest.assessment_id == assessment.assessment_id:
            return latest, lambda: self._keep(named)
        self.record_closes(now)
        return assessment, lambda: self._keep(named, assessment)

    def _holds(self, assessment: RegimeAssessment, now: datetime) -> bool:
        age = now - assessment.assessed_at
        return assessment.regime is not Regime.UNKNOWN and age < timedelta(hours=self._parts.settings.reuse_hours)

    def _keep(self, named: Observation | None, assessment: RegimeAssessment | None = None) -> None:
        if named is not None:
            self._parts.ledger.save_observation(named)
        if assessment is not None:
            self._tell(assessment)

    def _tell(self, assessment: RegimeAssessment) -> None:
        version = 1 + self._parts.ledger.made_in_second(assessment.assessed_at)
        self._parts.ledger.save_assessment(assessment)
        for recipient in self._parts.settings.recipients:
            self._parts.bus.enqueue(regime_update(assessment, recipient, version=version))

    # --- messages ---

    def observe_briefing(self, message: Message, briefing: MarketBriefing) -> Commit:
        """Keep what a briefing says of the market."""
        seen = from_briefing(briefing, message.timestamp, f"DailyBriefing {message.message_id}")
        return lambda: self._parts.ledger.save_observation(seen)

    def assess_market(self, message: Message, request: RegimeRequest) -> Commit:
        """Assess the market with the briefing that the request names, if it names one."""
        _, commit = self._assessed(self._parts.clock.now(), self._named_in(message, request))
        return commit

    def _named_in(self, message: Message, request: RegimeRequest) -> Observation | None:
        wanted = request.briefing_message_id
        if wanted is None:
            return None
        found = self._parts.bus.find(wanted)
        return _observed(found) if found else _unknown(message, f"DailyBriefing {wanted}", "cannot be found")

    def record_day(self, _: Message, outcome: DayOutcome) -> Commit | None:
        """Note what the desk did on a day under the assessment that held when it began."""
        assessment = self._parts.ledger.latest_assessment(outcome.started_at)
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
        """Note what the desk did under an assessment: orders filled, and the portfolio's change in dollars."""
        outcome = RegimeOutcome(trades_executed=trades_executed, portfolio_change=portfolio_change)
        self._parts.ledger.record_outcome(assessment.assessment_id, outcome)

    def record_closes(self, now: datetime) -> int:
        """Note SPY's change at the close for assessments whose session is over; return how many became known."""
        waiting = {
            record.assessment.assessment_id: day
            for record in self._parts.ledger.assessments()
            if record.outcome.spy_close_change_pct is None
            and session(day := trading_day(next_close(record.assessment.assessed_at)))[1] <= now
        }
        bars = self._closing_bars() if waiting else ()
        known = {key: change for key, day in waiting.items() if (change := change_on(bars, day)) is not None}
        for key, change in known.items():
            self._parts.ledger.record_outcome(key, RegimeOutcome(spy_close_change_pct=change))
        return len(known)

    def _closing_bars(self) -> Sequence[Bar]:
        try:
            return self._parts.closing_bars()
        except (BrokerError, BadInput):  # a close that cannot be read today is read another day
            return ()


def _observed(briefing: Message) -> Observation:
    source = f"DailyBriefing {briefing.message_id}"
    try:
        return from_briefing(MarketBriefing.of(briefing), briefing.timestamp, source)
    except (BadInput, UnreadableMessage) as error:
        return _unknown(briefing, source, str(error))


def _unknown(message: Message, source: str, why: str) -> Observation:
    return Observation(message.timestamp, source, notes=(f"{source}: {why}",))
