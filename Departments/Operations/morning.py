"""The morning before a plan: Operations has a briefing of the day, enriched, and a proposal, where hooks make them.

A hook that fails, takes too long or answers nonsense ends the morning: nothing is planned from an older list.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any

from Departments.brokers.base import Broker
from Departments.core import identifiers
from Departments.core.departments import OPERATIONS, PORTFOLIO, RESEARCH
from Departments.core.errors import BadInput
from Departments.core.logs import make_logger
from Departments.core.platform.clock import Clock
from Departments.core.trading_calendar import EASTERN, trading_day
from Departments.messaging.bus import Bus
from Departments.messaging.message import Message, body_with
from Departments.messaging.neighbours import CandidateRequest, DailyBriefing
from Departments.messaging.proposal_payloads import PlanProposal
from Departments.Operations.briefing import Briefing, briefing_from, refuse_other_days
from Departments.Operations.hooks import Hooks
from Departments.Operations.proposals import proposal_from
from Departments.Operations.shelf import Shelf, UnusableMessage

log = make_logger(__name__)

POLL = 1.0  # seconds between two looks for the briefing
#: How the ids of what hooks make end, after the id of the briefing.
ENRICHED = "_enriched"
PROPOSED = "_proposed"


@dataclass(frozen=True, slots=True)
class Morning:
    """Has the day's briefing made and enriched, and a proposal made."""

    hooks: Hooks
    broker: Broker
    bus: Bus
    shelf: Shelf
    clock: Clock

    def prepare(self) -> None:
        """Have everything ready that a plan is made from. Raises HookFailed, BrokerError.

        Without a briefing of today RESEARCH is asked. If none comes and there is no hook, the planner says what is
        missing.
        """
        found = self._have_briefing()
        if found is None or not (self.hooks.enrich.is_set or self.hooks.propose.is_set):
            return
        message = self.shelf.find(found.source)
        if message is None:
            return
        if self.hooks.enrich.is_set and not message.message_id.endswith(ENRICHED):
            message = self._enrich(message)
        if self.hooks.propose.is_set:
            self._propose(message)

    def _have_briefing(self) -> Briefing | None:
        try:
            found = self.shelf.read_todays_briefing(self.clock.now())
        except UnusableMessage:
            return None  # the planner names what is wrong with it
        if found is not None:
            return found
        self._ask_research()
        hook = self.hooks.briefing
        if not hook.is_set:
            return self._await_answer()
        hook.run(self.clock.now())
        try:
            found = self._await_briefing(self.hooks.wait)
        except UnusableMessage as error:
            raise hook.refuse(f"made an unusable briefing: {error}") from error
        if found is None:
            raise hook.refuse("succeeded, but delivered no DailyBriefing of today")
        return found

    def _await_answer(self) -> Briefing | None:
        """Return what RESEARCH answers by itself, as long as the settings have us wait for it."""
        if self.hooks.wait_for_research:
            log.info("Waiting %g s for the answer of RESEARCH", self.hooks.wait_for_research)
        with suppress(UnusableMessage):  # the planner names what is wrong with it
            return self._await_briefing(self.hooks.wait_for_research)
        return None

    def _await_briefing(self, seconds: float) -> Briefing | None:
        """Return today's briefing as soon as it is there. Raises UnusableMessage."""
        give_up = self.clock.now() + timedelta(seconds=seconds)
        while True:
            found = self.shelf.read_todays_briefing(self.clock.now())
            if found is not None:
                log.info("operations.briefing: %s is there", found.source)
            if found is not None or self.clock.now() >= give_up:
                return found
            self.clock.sleep(POLL)

    def _ask_research(self) -> None:
        """Ask RESEARCH for a briefing, once a day."""
        now = self.clock.now()
        day = trading_day(now)
        asked = identifiers.message_id(OPERATIONS, datetime.combine(day, time.min, EASTERN), "CandidateRequest")
        log.info("There is no briefing of %s; RESEARCH is asked for it (%s)", day, asked)
        if self.bus.find(asked) is not None:
            return
        request = CandidateRequest(request_type="CANDIDATE_REQUEST", criteria={"date": day.isoformat()})
        text = f"# CandidateRequest\n\nOperations asks for the DailyBriefing of {day.isoformat()}."
        self.bus.publish(Message(asked, OPERATIONS, RESEARCH, now, "CandidateRequest", request.body(text)))

    def _enrich(self, message: Message) -> Message:
        """Return the briefing as the hook gives it back, delivered to Operations. Raises HookFailed."""
        now = self.clock.now()
        answer = self.hooks.enrich.run(now, _spell_numbers(message.foreign_payload))
        try:
            known = DailyBriefing.read(answer, self.hooks.enrich.name)
            refuse_other_days(briefing_from(known, self.hooks.enrich.name, at=message.timestamp), trading_day(now))
        except BadInput as error:
            raise self.hooks.enrich.refuse(f"returned an unusable briefing: {error}") from error
        return self._deliver(RESEARCH, "DailyBriefing", message, answer, ENRICHED)

    def _propose(self, message: Message) -> None:
        """Deliver what the optimiser proposes for a briefing, once. Raises HookFailed, BrokerError."""
        if self.bus.find(message.message_id + PROPOSED) is not None:
            return
        given = {"briefing": _spell_numbers(message.foreign_payload), **self._describe_account()}
        answer = self.hooks.propose.run(self.clock.now(), given)
        if not any(answer.get(key) for key in ("picks", "sells", "trades")):
            log.info("operations.propose: no proposal")
            return
        try:
            proposal_from(PlanProposal.read(answer, self.hooks.propose.name), self.hooks.propose.name)
        except BadInput as error:
            raise self.hooks.propose.refuse(f"made an unusable proposal: {error}") from error
        self._deliver(PORTFOLIO, "PlanProposal", message, answer, PROPOSED)

    def _describe_account(self) -> dict[str, Any]:
        account = self.broker.account()
        held = [
            {"ticker": p.symbol, "shares": p.qty, "current_price": p.current_price} for p in self.broker.positions()
        ]
        return {"account": {"equity": account.equity, "cash": account.cash}, "positions": held}

    def _deliver(self, sender: str, kind: str, about: Message, payload: Mapping[str, Any], made: str) -> Message:
        now = max(self.clock.now(), about.timestamp + timedelta(microseconds=1))
        body = body_with(f"# {kind}\n\nMade from {about.message_id} by a hook.", payload)
        message = Message(
            about.message_id + made, sender, OPERATIONS, now, kind, body, parent_message_id=about.message_id
        )
        self.bus.publish(message)
        self.shelf.keep(message)
        return message


def _spell_numbers(value: Any) -> Any:
    """Return a payload for a program: NaN and infinities, which JSON has not, as texts that every reader refuses."""
    if isinstance(value, Mapping):
        return {key: _spell_numbers(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_spell_numbers(inner) for inner in value]
    return str(value) if isinstance(value, Decimal) and not value.is_finite() else value
