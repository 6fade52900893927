"""Operations at work: keeps briefings and proposals, answers a PlanRequest with a TradingPlan.

A plan, the facts and untradable holdings learnt with it, and its message are one commit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time

from Departments.brokers.snapshot import FactsReader
from Departments.constraints.amounts import is_careful
from Departments.constraints.compliance import describe_origins
from Departments.constraints.limits import Limits
from Departments.core import identifiers
from Departments.core.departments import OPERATIONS, REGIME_DETECTION
from Departments.core.errors import BadInput, BrokerError
from Departments.core.facts import PlanFacts, Readings
from Departments.core.logs import make_logger
from Departments.core.moments import iso
from Departments.core.money import count_noun
from Departments.core.open_limits import follow_limits
from Departments.core.plans import TradingPlan
from Departments.core.reasons import ReasonCode
from Departments.core.settings import ExitSettings
from Departments.core.trading_calendar import EASTERN, trading_day
from Departments.ledger.ledger import Ledger
from Departments.messaging.bus import Bus, ConsumeReport
from Departments.messaging.message import Message
from Departments.messaging.neighbours import DailyBriefing
from Departments.messaging.payloads import PlanRequest
from Departments.messaging.plan_documents import plan_document, plan_from
from Departments.messaging.plan_stages import RESEARCH
from Departments.messaging.proposal_payloads import PlanProposal, read_sells
from Departments.messaging.regime_payloads import RegimeRequest, RegimeUpdate
from Departments.messaging.router import Commit, Handler, Router
from Departments.Operations.basis import Basis, observe
from Departments.Operations.briefing import (
    Briefing,
    briefing_from,
    describe_doubts,
    merge_picks,
    refuse_other_days,
    research_document,
)
from Departments.Operations.plan_notes import find_gaps
from Departments.Operations.planning import (
    Planned,
    judge_order,
    list_unpriced,
    make_plan,
    validate_plan,
)
from Departments.Operations.proposals import Proposal, SellWish, sell_wishes
from Departments.Operations.replies import reply_with_failure, reply_with_plan
from Departments.Operations.selection import describe_holdings
from Departments.Operations.shelf import Shelf, UnusableMessage, read_briefing, read_proposal

log = make_logger(__name__)

#: Codes of skips that are only logged at debug level: there are too many of them.
QUIET = frozenset(
    {
        ReasonCode.SCORE_BELOW_THRESHOLD,
        ReasonCode.DEPLOYMENT_TARGET,
        ReasonCode.MAX_POSITIONS_TOTAL,
        ReasonCode.CASH_RESERVE,
        ReasonCode.MIN_TRADE_VALUE,
        ReasonCode.REBALANCE_BAND,
    }
)


@dataclass(frozen=True, slots=True)
class Wish:
    """The inputs of a plan: a briefing by id (else the newest), SELLs, a plan to validate.

    `resizes` lets the sizes of that plan grow, `fills` adds candidates of the day's briefing to it.
    """

    briefing_message_id: str | None = None
    mandatory_sells: Sequence[SellWish] = ()
    plan: TradingPlan | None = None
    source: str = ""
    by_hand: bool = False
    resizes: bool = False
    fills: bool = False


class Planner:
    """Makes and validates plans. `ask_regime` has the Regime department handle its inbox now.

    `prepare` has ready what a plan is made from, where nobody hands over a briefing.
    """

    def __init__(  # noqa: PLR0913 - one parameter for each part
        self,
        reader: FactsReader,
        limits: Limits,
        exits: ExitSettings,
        bus: Bus,
        ledger: Ledger,
        shelf: Shelf,
        ask_regime: Callable[[], object],
        *,
        prepare: Callable[[], None],
    ) -> None:
        self.prepare = prepare
        self._reader = reader
        self._clock = reader.clock
        self._limits = limits
        self._exits = exits
        self._bus = bus
        self._ledger = ledger
        self._shelf = shelf
        self._ask_regime = ask_regime
        handlers: dict[str, Handler] = {
            "keep_briefing": self.keep_briefing,
            "keep_proposal": self.keep_proposal,
            "answer_request": self.answer_request,
            "save_regime": self.save_regime,
        }
        self.router = Router(OPERATIONS, handlers)

    def process_inbox(self) -> ConsumeReport:
        """Handle all messages waiting for Operations."""
        return self._bus.consume(OPERATIONS, self.router)

    def accept_briefing(self, message: Message) -> None:
        """Accept a DailyBriefing from outside the inbox and deliver it there.

        Raises BadInput for one that nobody can plan from, or whose sender may not send it.
        """
        self._bus.admission.check_file(message, message.message_id)
        briefing = read_briefing(message)
        refuse_other_days(briefing, trading_day(self._reader.moment()))
        if self._shelf.find(message.message_id) is None:
            self._bus.publish(replace(message, recipient=OPERATIONS))
        self._shelf.keep(message, briefing)

    def plan_now(self, briefing: DailyBriefing | None, mandatory_sells: Sequence[SellWish]) -> TradingPlan:
        """Have the market assessed, then make and save a plan. The newest briefing is the default.

        Raises BadInput, BrokerError.
        """
        if briefing is None:
            self.prepare()
        self._have_market_assessed()
        now = self._reader.moment()
        given = None if briefing is None else briefing_from(briefing, "briefing", at=now)
        planned = self._plan(Wish(mandatory_sells=mandatory_sells), given)
        with self._ledger.transaction():
            self._save(planned)
        return planned.plan

    def _have_market_assessed(self) -> None:
        """Ask Regime, so that Trading judges the plan by the same market."""
        now = self._clock.now()
        message_id = identifiers.message_id(OPERATIONS, now, "RegimeRequest", iso(now))
        text = RegimeRequest().body("# RegimeRequest\n\nOperations asks REGIME_DETECTION.")
        self._bus.publish(Message(message_id, OPERATIONS, REGIME_DETECTION, now, "RegimeRequest", text))
        self._ask_regime()
        self.process_inbox()

    # --- messages ---

    def keep_briefing(self, message: Message, briefing: DailyBriefing) -> None:
        """Keep a briefing in hand. Raises BadInput for one that nobody can plan from."""
        self._shelf.keep(message, briefing_from(briefing, message.message_id, at=message.timestamp))

    def keep_proposal(self, message: Message, _: PlanProposal) -> None:
        """Keep a proposal in hand. Raises BadInput for one that is refused as a whole."""
        read_proposal(message)
        self._shelf.keep(message)

    def save_regime(self, message: Message, update: RegimeUpdate) -> Commit | None:
        """Save an assessment of the market. One that nothing proves counts only where it can loosen no limit."""
        assessment = update.assessment(message.timestamp, f"RegimeUpdate {message.message_id}")
        if not (self._bus.is_proven(message) or is_careful(assessment, self._limits)):
            log.info("%s is not proven; its %s is ignored", message.message_id, assessment.regime)
            return None
        return lambda: self._ledger.regimes.save_assessment(assessment)

    def answer_request(self, message: Message, request: PlanRequest) -> Commit:
        """Answer with a plan, or with the reason for having none."""
        try:
            planned = self._plan(_read_wish(message, request))
        except (BadInput, BrokerError) as error:
            log.warning("no plan: %s", error)
            failure = reply_with_failure(message, error)
            return lambda: self._bus.enqueue(failure)

        def commit() -> None:
            self._save(planned)
            self._bus.enqueue(reply_with_plan(message, planned.plan))  # written now: its text may be long

        return commit

    # --- planning ---

    def _plan(self, wish: Wish, briefing: Briefing | None = None) -> Planned:
        now = self._reader.moment()
        if wish.plan is None:
            planned = self._make(wish, briefing or self._shelf.read_briefing(now, wish.briefing_message_id), now)
        else:
            planned = self._validate(wish, wish.plan, now)
        unpriced = [self._reader.unpriced.format(symbol) for symbol in list_unpriced(planned)]
        planned = self._remind(_note(planned, unpriced), trading_day(now))
        _log_plan(planned)
        return planned

    def _remind(self, planned: Planned, today: date) -> Planned:
        """Name the limits in the plan that have lacked their data for long."""
        before, now = self._ledger.symbols.read_open_limits(today)
        found = tuple(follow_limits(before, now, today, *find_gaps(planned.plan, planned.verdict)))
        named = [each.sentence for each in found if each.named_on == today]
        return replace(_note(planned, named), open_limits=found)

    def _make(self, wish: Wish, briefing: Briefing, now: datetime) -> Planned:
        proposal, refusal = self._shelf.find_proposal(now)
        complete = merge_picks(briefing, proposal.picks) if proposal else briefing
        basis = self._basis(complete, _buyable(complete, self._limits), now)
        planned = make_plan(
            briefing,
            basis,
            mandatory_sells=wish.mandatory_sells,
            proposal=proposal,
            reported=self._reported_untradable(now),
        )
        sources = [each.source for each in (briefing, proposal) if each is not None]
        notes = [line for source in sources if (line := self._shelf.describe_source(source))]
        judged = _add_proposal(_add_research(planned, briefing, basis), proposal, refusal)
        return _note(judged, [*describe_doubts(briefing, self._limits), *notes, *describe_origins(self._limits)])

    def _validate(self, wish: Wish, plan: TradingPlan, now: datetime) -> Planned:
        known, doubts = self._find_known(wish, now)
        wanted = {trade.symbol for trade in plan.trades} | {*(_buyable(known, self._limits) if wish.fills else ())}
        basis = self._basis(known, sorted(wanted), now)
        stated = replace(
            basis, facts=replace(basis.facts, plan=PlanFacts(None, None, prices=PlanFacts.of(plan).prices))
        )
        if wish.by_hand:
            return _note(judge_order(plan, stated), doubts)
        validated = validate_plan(
            plan,
            stated,
            mandatory_sells=wish.mandatory_sells,
            reported=self._reported_untradable(now),
            source=wish.source,
            resizes=wish.resizes,
            fillers=known if wish.fills else None,
        )
        differences = describe_holdings(known, basis) if known.at else ()
        return _note(_add_research(validated, known, basis), [*differences, *doubts, *describe_origins(self._limits)])

    def _find_known(self, wish: Wish, now: datetime) -> tuple[Briefing, list[str]]:
        """Return the briefing beside a given plan, and the sentence about one that cannot be used."""
        if wish.briefing_message_id is not None:
            return self._shelf.read_briefing(now, wish.briefing_message_id), []
        nothing = Briefing(None, Readings(), (), (), wish.source)
        try:
            return self._shelf.read_todays_briefing(now) or nothing, []
        except UnusableMessage as error:
            return nothing, [f"The plan is judged without the day's briefing; {error}"]

    def _basis(self, briefing: Briefing, wanted: Sequence[str], now: datetime) -> Basis:
        others = self._shelf.read_others(briefing, now, self._reader.young)
        return Basis(observe(self._reader, briefing, wanted, others), self._limits, self._exits)

    def _reported_untradable(self, now: datetime) -> set[str]:
        """Return the untradable holdings reported before today. Every plan of the first day still reports them."""
        today = datetime.combine(trading_day(now), time.min, EASTERN)
        return self._ledger.plans.find_untradable(before=today)

    def _save(self, planned: Planned) -> None:
        plan, now = planned.plan, self._clock.now()
        self._ledger.plans.propose(plan_document(plan), plan.limits_hash, now, by_hand=plan.by_hand)
        self._ledger.symbols.learn(planned.facts, now, planned.readings, planned.views, planned.open_limits)
        for symbol in planned.untradable:
            self._ledger.plans.report_untradable(symbol, now)


def _add_proposal(planned: Planned, proposal: Proposal | None, refusal: str) -> Planned:
    """Say in the plan which proposal it follows, or why it follows none."""
    if proposal is None and not refusal:
        return planned
    used = {"mode": "exact" if proposal.is_exact else "hint", "message_id": proposal.source} if proposal else {}
    document = {"status": "REFUSED", "reason": refusal} if refusal else {"status": "FOLLOWED", **used}
    plan = replace(planned.plan, extra={**planned.plan.extra, "proposal": document})
    return _note(replace(planned, plan=plan), [refusal] if refusal else [])


def _note(planned: Planned, sentences: Sequence[str]) -> Planned:
    """Add sentences to the plan's notes."""
    return replace(planned, plan=replace(planned.plan, notes=(*planned.plan.notes, *sentences)))


def _add_research(planned: Planned, briefing: Briefing, basis: Basis) -> Planned:
    """Return a plan with what it was made from, for the tools that read plan files."""
    plan, held = planned.plan, {symbol: position.qty for symbol, position in basis.facts.positions.items()}
    seen = research_document(briefing, held, (trade.symbol for trade in plan.trades))
    return replace(planned, plan=replace(plan, extra={**plan.extra, RESEARCH: seen}))


def _read_wish(message: Message, request: PlanRequest) -> Wish:
    sells, source = request.mandatory_sells or [], message.message_id
    if not isinstance(sells, list):
        raise BadInput(source, "mandatory_sells", "is not a list", "write [{ticker, shares, reason}]")
    plan = None if request.plan is None else plan_from(request.plan, f"{source}: plan")
    wishes = sell_wishes(read_sells(sells, f"{source}: mandatory_sells"))
    resizes = request.sizes == "resize"
    return Wish(request.briefing_message_id, wishes, plan, source, request.by_hand, resizes, request.fill)


def _buyable(briefing: Briefing, limits: Limits) -> list[str]:
    """Return the symbols of possible BUYs. All their facts are needed."""
    minimum = limits.deployment.min_score
    found = {c.symbol for c in briefing.candidates if c.has_size or c.score is None or c.score >= minimum}
    return sorted(found | {h.symbol for h in briefing.holdings if h.score is not None and h.score >= minimum})


def _log_plan(planned: Planned) -> None:
    plan = planned.plan
    trades = f"{count_noun(len(plan.sells), 'SELL')}, {count_noun(len(plan.buys), 'BUY')}"
    log.info("%s: %s, %d skipped", plan.plan_id, trades, len(plan.skipped))
    for skip in plan.skipped:
        log.log(logging.DEBUG if skip.reason.code in QUIET else logging.INFO, "%s", skip.line)
    for note in plan.notes:
        log.info("%s", note)
