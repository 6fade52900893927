"""The Operations department: keeps the day's briefing, answers a PlanRequest with a TradingPlan.

    OperationsManager(project_root).generate_trading_plan()

A plan, the facts and untradable holdings learnt with it, and the message that tells of it are one commit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, time
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import Any

from Departments.brokers.base import Broker
from Departments.brokers.snapshot import ExchangeHours, FactsReader
from Departments.constraints.checks import days_to_settle
from Departments.constraints.limits import Limits
from Departments.core import identifiers
from Departments.core.answers import Answer, met
from Departments.core.clock import Clock, iso
from Departments.core.departments import EXECUTIVE, OPERATIONS, REGIME_DETECTION
from Departments.core.documents import as_json, for_scripts
from Departments.core.errors import BadInput, BrokerError, DepartmentsError
from Departments.core.facts import Readings
from Departments.core.money import plain
from Departments.core.plans import TradingPlan
from Departments.core.reasons import ReasonCode
from Departments.core.settings import Settings
from Departments.core.trading_calendar import EASTERN, trading_day
from Departments.ledger.ledger import Ledger
from Departments.messaging.bus import Bus, ConsumeReport
from Departments.messaging.message import Message
from Departments.messaging.neighbours import DailyBriefing, PlanProposal, read_sells
from Departments.messaging.payloads import PlanFailure, PlanRequest, RegimeRequest, RegimeUpdate
from Departments.messaging.plan_documents import PlanDocument, plan_document, plan_from
from Departments.messaging.router import Commit, Router
from Departments.Operations.basis import Basis, observe
from Departments.Operations.briefing import Briefing, briefing_from, merge_picks
from Departments.Operations.planning import Planned, Proposal, make_plan, refuse_other_days, validate_plan
from Departments.Operations.proposals import proposal_from
from Departments.Operations.reading import plan_markdown
from Departments.Operations.selection import SellWish, sell_wishes
from Departments.Operations.shelf import Shelf

log = logging.getLogger(__name__)

MESSAGES = "Messages_Between_Departments"
NO_PLAN: Mapping[str, Any] = {"status": "FAILED", "plan": None, "stage_results": {}}
#: Skips too many to tell one by one.
QUIET = frozenset({ReasonCode.SCORE_BELOW_THRESHOLD, ReasonCode.DEPLOYMENT_TARGET, ReasonCode.CASH_RESERVE})


def nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class OperationsParts:
    """What the department works with; `bootstrap` fills it in. `ask_regime` lets Regime answer a request at once."""

    broker: Broker
    limits: Limits
    clock: Clock
    settings: Settings
    bus: Bus
    ledger: Ledger
    hours: ExchangeHours
    ask_regime: Callable[[], object] = nothing

    @property
    def reader(self) -> FactsReader:
        """What reads facts for Operations."""
        return FactsReader(self.broker, self.ledger, self.hours, self.clock, days_to_settle(self.limits))


@dataclass(frozen=True, slots=True)
class Wish:
    """What a plan is asked for with: a briefing by its message id (else the newest), SELLs, an existing plan."""

    briefing_message_id: str | None = None
    mandatory_sells: Sequence[SellWish] = ()
    plan: TradingPlan | None = None
    source: str = ""


class OperationsManager:
    """Plans what to sell and what to buy. Called bare, it asks `bootstrap` for its parts when it first needs them."""

    def __init__(self, project_root: Path | str, parts: OperationsParts | None = None) -> None:
        self._root = Path(project_root)
        if parts is not None:
            self._parts = parts
        self._turn = RLock()
        self.router = Router(
            OPERATIONS,
            {
                "keep_briefing": self.keep_briefing,
                "keep_proposal": self.keep_proposal,
                "answer_request": self.answer_request,
                "save_regime": self.save_regime,
            },
        )

    @cached_property
    def _parts(self) -> OperationsParts:
        return _parts_for(self._root)

    @cached_property
    def _shelf(self) -> Shelf:
        return Shelf(self._root / MESSAGES, self._parts.bus)

    def process_inbox(self) -> ConsumeReport:
        """Handle everything that waits for Operations."""
        return self._parts.bus.consume(OPERATIONS, self.router)

    def accept_briefing(self, message: Message) -> None:
        """Take a DailyBriefing that came another way than through the inbox, and have it delivered there.

        Raises BadInput for one that nobody can plan from.
        """
        refuse_other_days(_briefing(message), trading_day(self._parts.clock.now()))
        if self._shelf.find(message.message_id) is None:
            self._parts.bus.publish(replace(message, recipient=OPERATIONS))
        self._shelf.keep(message)

    def generate_trading_plan(
        self,
        ai_model: str | None = None,
        *,
        briefing: Mapping[str, Any] | None = None,
        mandatory_sells: Iterable[Mapping[str, Any]] | None = None,
    ) -> Answer:
        """Make a plan and keep it; answer `{"status": "SUCCESS"|"ESCALATED"|"FAILED", "plan", "stage_results"}`.

        `briefing` is a DailyBriefing payload, else the newest one is used; ESCALATED means that a person should look,
        because nothing can be traded although capital is idle. `ai_model` is accepted for the sake of existing scripts.
        """
        log.debug("planning (model %s)", ai_model)
        with self._turn:
            answer = met(self._generate, briefing, mandatory_sells or ())
        return {**answer, **NO_PLAN} if answer["status"] == "ERROR" else answer

    def _generate(self, briefing: Any, mandatory_sells: Iterable[Any]) -> Answer:
        self._ask_for_the_regime()
        told, sells = as_json(briefing, "briefing"), as_json(list(mandatory_sells), "mandatory_sells")
        given = None if told is None else _read_briefing(told, self._parts.clock.now())
        planned = self._plan(Wish(mandatory_sells=sell_wishes(read_sells(sells, "mandatory_sells"))), given)
        with self._parts.ledger.transaction():
            self._remember(planned)
        document = for_scripts(plan_document(planned.plan))
        return {"status": _status(planned.plan), "plan": document, "stage_results": document["stage_results"]}

    def _ask_for_the_regime(self) -> None:
        """Ask Regime, so that Trading will judge the plan by the market it was made for."""
        now = self._parts.clock.now()
        asked = identifiers.message_id(OPERATIONS, now, "RegimeRequest", iso(now))
        text = RegimeRequest().body("# RegimeRequest\n\nOperations asks REGIME_DETECTION.")
        self._parts.bus.publish(Message(asked, OPERATIONS, REGIME_DETECTION, now, "RegimeRequest", text))
        self._parts.ask_regime()
        self.process_inbox()

    # --- messages ---

    def keep_briefing(self, message: Message, briefing: DailyBriefing) -> None:
        """Keep a briefing at hand. Raises BadInput for one that nobody can plan from."""
        briefing_from(briefing, message.message_id, at=message.timestamp)
        self._shelf.keep(message)

    def keep_proposal(self, message: Message, proposal: PlanProposal) -> None:
        """Keep a proposal at hand. Raises BadInput for one that proposes nothing."""
        proposal_from(proposal, message.message_id)
        self._shelf.keep(message)

    def save_regime(self, message: Message, update: RegimeUpdate) -> Commit:
        """Remember what kind of market it is."""
        seen = update.assessment(message.timestamp, message.message_id)
        return lambda: self._parts.ledger.regimes.save_assessment(seen)

    def answer_request(self, message: Message, request: PlanRequest) -> Commit:
        """Answer with a plan, or with the reason why there is none."""
        try:
            planned = self._plan(_wish(message, request))
        except (BadInput, BrokerError) as error:
            log.warning("no plan: %s", error)
            body = _failure(error).body(f"# No Trading Plan\n\n{' '.join(str(error).split())}")
            answer = _answer(message, "PlanFailure", body)
            return lambda: self._parts.bus.enqueue(answer)
        body = PlanDocument.from_plan(planned.plan).body(plan_markdown(planned.plan))
        answer = _answer(message, "TradingPlan", body)

        def commit() -> None:
            self._remember(planned)
            self._parts.bus.enqueue(answer)

        return commit

    # --- planning ---

    def _plan(self, wish: Wish, briefing: Briefing | None = None) -> Planned:
        now = self._parts.clock.now()
        if wish.plan is not None:
            planned = self._validate(wish, wish.plan, now)
        else:
            day = briefing or self._briefing_of(now, wish.briefing_message_id)
            proposal = self._proposal_of(now)
            complete = merge_picks(day, proposal.picks) if proposal else day
            basis = self._basis(complete, _buyable(complete, self._parts.limits))
            planned = make_plan(
                day,
                basis,
                mandatory_sells=wish.mandatory_sells,
                proposal=proposal,
                reported=self._untradable_before(now),
            )
        _tell(planned)
        return planned

    def _validate(self, wish: Wish, plan: TradingPlan, now: datetime) -> Planned:
        named = wish.briefing_message_id
        briefing = self._todays(now) if named is None else self._briefing_of(now, named)
        known = briefing or Briefing(None, Readings(), (), (), wish.source)
        basis = self._basis(known, [t.ticker for t in plan.trades])
        return validate_plan(
            plan, basis, mandatory_sells=wish.mandatory_sells, reported=self._untradable_before(now), source=wish.source
        )

    def _basis(self, briefing: Briefing, wanted: Sequence[str]) -> Basis:
        p = self._parts
        return Basis(observe(p.reader, briefing, wanted), p.limits, p.settings.exits)

    def _untradable_before(self, now: datetime) -> set[str]:
        """Return what was told before today: every plan of the first day still tells it."""
        today = datetime.combine(trading_day(now), time.min, EASTERN)
        return self._parts.ledger.plans.reported_untradable(before=today)

    def _briefing_of(self, now: datetime, message_id: str | None) -> Briefing:
        if message_id is not None:
            message = self._shelf.find(message_id)
            if message is None:
                raise BadInput(message_id, "", "there is no such briefing", "name one that was delivered")
            return _briefing(message)
        todays = self._todays(now)
        return todays if todays is not None else _briefing(self._newest(now)[0])

    def _todays(self, now: datetime) -> Briefing | None:
        try:
            found = self._newest(now)
        except BadInput:
            return None
        return next((b for b in map(_usable, found) if b and _is_of(b, now)), None)

    def _newest(self, now: datetime) -> list[Message]:
        """Return all briefings, the newest delivered one first, then what RESEARCH has sent."""
        found = [*self._shelf.delivered("DailyBriefing", trading_day(now)), *self._shelf.researched("DailyBriefing")]
        if not found:
            where = f"{MESSAGES}/Inbox/OPERATIONS and {MESSAGES}/Outbox/RESEARCH"
            raise BadInput(where, "", "no DailyBriefing is there", "deliver one or name it with --briefing FILE")
        return found

    def _proposal_of(self, now: datetime) -> Proposal | None:
        found = self._shelf.delivered("PlanProposal", trading_day(now))
        todays = [m for m in found if trading_day(m.timestamp) == trading_day(now) and m.timestamp <= now]
        return proposal_from(PlanProposal.of(todays[0]), todays[0].message_id) if todays else None

    def _remember(self, planned: Planned) -> None:
        p, plan = self._parts, planned.plan
        now = p.clock.now()
        p.ledger.plans.save(plan_document(plan), plan.limits_hash, now)
        p.ledger.symbols.learn(planned.facts, now, planned.readings)
        for symbol in planned.untradable:
            p.ledger.plans.report_untradable(symbol, now)


def _briefing(message: Message) -> Briefing:
    return briefing_from(DailyBriefing.of(message), message.message_id, at=message.timestamp)


def _usable(message: Message) -> Briefing | None:
    with suppress(DepartmentsError):
        return _briefing(message)
    return None


def _is_of(briefing: Briefing, now: datetime) -> bool:
    try:
        refuse_other_days(briefing, trading_day(now))
    except BadInput:
        return False
    return True


def _buyable(briefing: Briefing, limits: Limits) -> list[str]:
    """Return the symbols that may be bought, of which everything has to be known."""
    minimum = limits.deployment.min_score
    return sorted(c.ticker for c in briefing.candidates if c.size or c.score is None or c.score >= minimum)


def _read_briefing(briefing: Any, now: datetime) -> Briefing:
    if not isinstance(briefing, Mapping):
        raise BadInput("briefing", "", "is not a mapping", "hand over the payload of a DailyBriefing")
    return briefing_from(DailyBriefing.read(briefing, "briefing"), "briefing", at=now)


def _wish(message: Message, request: PlanRequest) -> Wish:
    sells, source = request.mandatory_sells or [], message.message_id
    if not isinstance(sells, list):
        raise BadInput(source, "mandatory_sells", "is not a list", "write [{ticker, shares, reason}]")
    plan = None if request.plan is None else plan_from(request.plan, f"{source}: plan")
    return Wish(request.briefing_message_id, sell_wishes(read_sells(sells, f"{source}: mandatory_sells")), plan, source)


def _answer(request: Message, message_type: str, body: str) -> Message:
    return Message(
        identifiers.answer_id(OPERATIONS, message_type, request.message_id, request.timestamp),
        OPERATIONS,
        EXECUTIVE,
        request.timestamp,
        message_type,
        body,
        priority="high",
        parent_message_id=request.message_id,
    )


def _failure(error: DepartmentsError) -> PlanFailure:
    return PlanFailure(message=str(error), exit_code=error.exit_code, status="FAILED", plan=None, stage_results={})


def _status(plan: TradingPlan) -> str:
    return "SUCCESS" if plan.trades or plan.extra["deployment_goal"]["target_met"] else "ESCALATED"


def _tell(planned: Planned) -> None:
    plan, bought = planned.plan, {t.ticker: t.qty for t in planned.plan.buys}
    log.info("%s: %d SELLs, %d BUYs, %d skipped", plan.plan_id, len(plan.sells), len(plan.buys), len(plan.skipped))
    for skip in planned.set_aside:
        if skip.ticker in bought:
            log.info("%s", skip.line)
            log.info("%s comes back with %s shares: the target needs it", skip.ticker, plain(bought[skip.ticker]))
    for skip in plan.skipped:
        log.log(logging.DEBUG if skip.reason.code in QUIET else logging.INFO, "%s", skip.line)
    for note in plan.notes:
        log.info("%s", note)


def _parts_for(project_root: Path) -> OperationsParts:
    from Departments.bootstrap import open_desk  # noqa: PLC0415 - the written-down exception: called bare

    return open_desk(project_root).operations_parts
