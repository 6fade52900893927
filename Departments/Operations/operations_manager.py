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
from Departments.constraints.limits import Limits
from Departments.core import identifiers
from Departments.core.answers import Answer, met
from Departments.core.clock import Clock, iso
from Departments.core.departments import EXECUTIVE, OPERATIONS, REGIME_DETECTION
from Departments.core.documents import as_json, for_scripts
from Departments.core.errors import BadInput, BrokerError, DepartmentsError
from Departments.core.market import Told
from Departments.core.money import plain
from Departments.core.plans import TradingPlan, plan_document, plan_from
from Departments.core.reasons import ReasonCode
from Departments.core.regimes import assessment_from
from Departments.core.settings import Settings
from Departments.core.trading_calendar import EASTERN, trading_day
from Departments.ledger.ledger import Ledger
from Departments.messaging.bus import Bus, ConsumeReport
from Departments.messaging.message import Message, body_with
from Departments.messaging.router import Commit, Router, Skip
from Departments.Operations.briefing import Briefing, briefing_from, merged
from Departments.Operations.observation import Known, observe
from Departments.Operations.planning import Planned, Proposal, make_plan, refuse_other_days, validate_plan
from Departments.Operations.proposals import proposal_from
from Departments.Operations.reading import plan_markdown
from Departments.Operations.selection import SellWish, sell_wishes
from Departments.Operations.shelf import Shelf
from Departments.Operations.situation import Situation

log = logging.getLogger(__name__)

MESSAGES = "Messages_Between_Departments"
#: These ask for something that this department does not do: they become dead letters, with a reason.
DEAD_LETTERED = frozenset(
    {
        "CancelRequest",
        "CandidateRequest",
        "ExecutionReport",
        "ExecutiveApproval",
        "FinalReport",
        "PlanFailure",
        "ProtectRequest",
        "RegimeRequest",
        "ReleaseRequest",
        "TradeOrder",
        "TradingPlan",
        "escalation",
    }
)
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
    ask_regime: Callable[[], object] = nothing


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
                "DailyBriefing": self._on_briefing,
                "PlanProposal": self._on_proposal,
                "PlanRequest": self._on_request,
                "RegimeUpdate": self._on_regime,
                "RiskAssessment": Skip("the limits decide about risk"),
                "execution": Skip("the account tells what was traded"),
                "log": Skip("the account tells what was traded"),
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
            answer = met(self._generated, briefing, mandatory_sells or ())
        return {**answer, **NO_PLAN} if answer["status"] == "ERROR" else answer

    def _generated(self, briefing: Any, mandatory_sells: Iterable[Any]) -> Answer:
        self._have_the_market_assessed()
        told, sells = as_json(briefing, "briefing"), as_json(list(mandatory_sells), "mandatory_sells")
        given = None if told is None else briefing_from(told, "briefing", at=self._parts.clock.now())
        planned = self._planned(Wish(mandatory_sells=sell_wishes(sells)), given)
        with self._parts.ledger.transaction():
            self._remember(planned)
        document = for_scripts(plan_document(planned.plan))
        return {"status": _status(planned.plan), "plan": document, "stage_results": document["stage_results"]}

    def _have_the_market_assessed(self) -> None:
        """Ask Regime, so that Trading will judge the plan by the market it was made for."""
        now = self._parts.clock.now()
        asked = identifiers.message_id(OPERATIONS, now, "RegimeRequest", iso(now))
        text = body_with("# RegimeRequest\n\nOperations asks REGIME_DETECTION.", {})
        self._parts.bus.publish(Message(asked, OPERATIONS, REGIME_DETECTION, now, "RegimeRequest", text))
        self._parts.ask_regime()
        self.process_inbox()

    # --- messages ---

    def _on_briefing(self, message: Message) -> None:
        _briefing(message)
        self._shelf.keep(message)

    def _on_proposal(self, message: Message) -> None:
        proposal_from(message.payload, message.message_id)
        self._shelf.keep(message)

    def _on_regime(self, message: Message) -> Commit:
        try:
            seen = assessment_from(message.payload or message.extra, message.timestamp, message.message_id)
        except ValueError as error:
            raise BadInput(message.message_id, "regime", str(error), "name a known regime and confidence") from error
        return lambda: self._parts.ledger.regimes.save_assessment(seen)

    def _on_request(self, message: Message) -> Commit:
        try:
            planned = self._planned(_wish(message))
        except (BadInput, BrokerError) as error:
            log.warning("no plan: %s", error)
            answer = _answer(
                message, "PlanFailure", f"# No Trading Plan\n\n{' '.join(str(error).split())}", _failure(error)
            )
            return lambda: self._parts.bus.enqueue(answer)
        document = plan_document(planned.plan)
        answer = _answer(message, "TradingPlan", plan_markdown(planned.plan), document)

        def commit() -> None:
            self._remember(planned)
            self._parts.bus.enqueue(answer)

        return commit

    # --- planning ---

    def _planned(self, wish: Wish, briefing: Briefing | None = None) -> Planned:
        now = self._parts.clock.now()
        if wish.plan is not None:
            planned = self._validated(wish, wish.plan, now)
        else:
            day = briefing or self._briefing_of(now, wish.briefing_message_id)
            proposal = self._proposal_of(now)
            complete = merged(day, proposal.picks) if proposal else day
            situation = self._situation(complete, _wanted(complete, self._parts.limits), now)
            planned = make_plan(
                day, situation, mandatory_sells=wish.mandatory_sells, proposal=proposal, reported=self._reported(now)
            )
        _tell(planned)
        return planned

    def _validated(self, wish: Wish, plan: TradingPlan, now: datetime) -> Planned:
        named = wish.briefing_message_id
        briefing = self._todays(now) if named is None else self._briefing_of(now, named)
        known = briefing or Briefing(None, Told(), (), (), wish.source)
        situation = self._situation(known, [t.ticker for t in plan.trades], now)
        return validate_plan(
            plan, situation, mandatory_sells=wish.mandatory_sells, reported=self._reported(now), source=wish.source
        )

    def _situation(self, briefing: Briefing, wanted: Sequence[str], now: datetime) -> Situation:
        p = self._parts
        learnt = p.ledger.symbols.knowledge(now, p.limits.settlement.days)
        known = Known(briefing, learnt, p.ledger.regimes.latest_assessment(now))
        book, market = observe(p.broker, known, now, wanted)
        exits = p.settings.exits
        stop = exits.stop_loss_pct if exits.enabled else None
        return Situation(book, market, p.limits, p.ledger.history(now), stop)

    def _reported(self, now: datetime) -> set[str]:
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
        return proposal_from(todays[0].payload, todays[0].message_id) if todays else None

    def _remember(self, planned: Planned) -> None:
        p, plan = self._parts, planned.plan
        now = p.clock.now()
        p.ledger.plans.save(plan_document(plan), plan.limits_hash, now)
        p.ledger.symbols.learn(planned.facts, now, planned.told)
        for symbol in planned.untradable:
            p.ledger.plans.report_untradable(symbol, now)


def _briefing(message: Message) -> Briefing:
    return briefing_from(message.payload, message.message_id, at=message.timestamp)


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


def _wanted(briefing: Briefing, limits: Limits) -> list[str]:
    """Return the symbols that may be bought, of which everything has to be known."""
    minimum = limits.deployment.min_score
    return sorted(c.ticker for c in briefing.candidates if c.size or c.score is None or c.score >= minimum)


def _wish(message: Message) -> Wish:
    payload, source = message.payload or {}, message.message_id
    sells = payload.get("mandatory_sells") or []
    if not isinstance(sells, list):
        raise BadInput(source, "mandatory_sells", "is not a list", "write [{ticker, shares, reason}]")
    plan = payload.get("plan")
    wanted = payload.get("briefing_message_id")
    return Wish(
        None if wanted is None else str(wanted),
        sell_wishes(sells, f"{source}: mandatory_sells"),
        None if plan is None else plan_from(plan, f"{source}: plan"),
        source,
    )


def _answer(request: Message, message_type: str, markdown: str, payload: Mapping[str, Any]) -> Message:
    return Message(
        identifiers.answer_id(OPERATIONS, message_type, request.message_id, request.timestamp),
        OPERATIONS,
        EXECUTIVE,
        request.timestamp,
        message_type,
        body_with(markdown, payload),
        priority="high",
        parent_message_id=request.message_id,
    )


def _failure(error: DepartmentsError) -> dict[str, Any]:
    return {"message": str(error), "exit_code": error.exit_code, **NO_PLAN}


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
