"""The CEO: the face that existing scripts and the command line call.

    ceo = CEO(project_root)
    ceo.handle_user_request("generate_plan")
    ceo.approve_plan(plan_id)
    ceo.handle_user_request("execute_plan")

The CEO talks to the other departments by messages only. A request that cannot be met is answered with
`{"status": "ERROR", "message": …}`; it does not raise. Numbers in answers are int and float, as scripts expect them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from itertools import count
from pathlib import Path
from threading import RLock
from typing import Any

from Departments.constraints.checks import cash_reserve
from Departments.constraints.engine import check_desk
from Departments.core.answers import Answer, failed, met
from Departments.core.clock import iso
from Departments.core.departments import EXECUTIVE, OPERATIONS, REGIME_DETECTION
from Departments.core.documents import as_json, for_scripts, json_text
from Departments.core.errors import DepartmentsError, WorkspaceBusy
from Departments.core.facts import DeskFacts, Facts, PlanFacts
from Departments.core.identifiers import answer_id, message_id
from Departments.core.locks import account_lock, execution_lock
from Departments.core.orders import OrderStatus, Side
from Departments.core.plans import TradingPlan, classify, plan_from
from Departments.core.reasons import Reason, ReasonCode
from Departments.core.trading_calendar import trading_day
from Departments.Executive.agenda import rehearse
from Departments.Executive.answers import executed, refused, reported, summary, told
from Departments.Executive.execution import PlanExecution
from Departments.Executive.parts import ExecutiveParts
from Departments.Executive.reporter import Reporter, saved_plan
from Departments.Executive.reporting.document import dry_run_document
from Departments.Executive.review import Outlook, Review, find_staleness, foresee, review, with_quality
from Departments.ledger.files import write_atomically
from Departments.messaging.message import Message
from Departments.messaging.payloads import (
    ExecutionReport,
    Payload,
    PlanDocument,
    PlanFailure,
    PlanRequest,
    RegimeRequest,
    RegimeUpdate,
)
from Departments.messaging.router import Commit, Handler, Router

log = logging.getLogger(__name__)

ANSWER_WITHIN = timedelta(seconds=60)  # how long another department may take to answer
ANSWERS = ("TradingPlan", "PlanFailure")
READY, APPROVED = "READY_FOR_USER_APPROVAL", "APPROVED_BY_USER"
CURRENT = "current_plan"  # where a plan stands that a script has set itself
BATCH = 50  # messages whose effects share a commit: what each is to commit follows from its own text alone


class CEO:
    """Reviews, approves, executes in phases and reports. Called bare, it asks `bootstrap` for its parts.

    It asks with the first request, and reads what scripts set (`current_plan`, the mandatory sells) when it needs it:
    so that whatever is wrong with either is an answer.
    """

    def __init__(self, project_root: Path | str, *, parts: ExecutiveParts | None = None) -> None:
        self.project_root = Path(project_root)
        if parts is not None:
            self._parts = parts
        self.current_plan: Any = None
        self.plan_approved = False
        self._mandatory_sells: Any = ()
        self._answers: dict[str, Message] = {}
        self._turn = RLock()  # a script with a window or a server calls from more than one thread
        self.router = Router(EXECUTIVE, self._handlers())

    @cached_property
    def _parts(self) -> ExecutiveParts:
        return _parts_for(self.project_root)

    @cached_property
    def _reporter(self) -> Reporter:
        return Reporter(self._parts)

    def _handlers(self) -> dict[str, Handler]:
        return {
            "record_report": self.record_report,
            "keep_answer": self.keep_answer,
            "log_regime": self.log_regime,
            "log_escalation": self.log_escalation,
        }

    # --- the interface of existing scripts ---

    def set_mandatory_sells(self, sells: Sequence[Mapping[str, Any]]) -> None:
        """Name holdings that the next plan must sell: `[{ticker, action, shares, reason, source}]`."""
        self._mandatory_sells = list(sells) if isinstance(sells, Iterable) else sells

    def handle_user_request(self, request: str, **options: Any) -> Answer:
        """Meet a request: generate_plan, execute_plan, view_dashboard or get_portfolio_summary.

        What cannot be met, whatever the reason, is answered with an error.
        """
        requests: dict[str, Callable[..., Answer]] = {
            "generate_plan": self.generate_plan,
            "execute_plan": self.execute_plan,
            "view_dashboard": self.portfolio_summary,
            "get_portfolio_summary": self.portfolio_summary,
        }
        if not isinstance(request, str) or request not in requests:
            return failed(f"unknown request {request!r}; known are {', '.join(requests)}")
        with self._turn:
            return told(met(requests[request], **options))

    def generate_plan(
        self,
        ai_model: str | None = None,
        *,
        briefing_message_id: str | None = None,
        plan: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Have the market assessed and a plan made, then review it.

        `ai_model` is accepted for the sake of existing scripts. Raises DepartmentsError.
        """
        log.debug("planning (model %s)", ai_model)
        self._ask(REGIME_DETECTION, "RegimeRequest", RegimeRequest(briefing_message_id=briefing_message_id))
        request = PlanRequest(
            briefing_message_id=briefing_message_id,
            mandatory_sells=as_json(self._mandatory_sells, "mandatory_sells"),
            plan=as_json(plan, "plan"),
        )
        answer = self._answered(self._ask(OPERATIONS, "PlanRequest", request))
        if answer.message_type != "TradingPlan":
            failure = PlanFailure.of(answer)
            return {**failure.document(), **failed(failure.message)}
        document = PlanDocument.of(answer)
        found = self._reviewed(document.plan(answer.message_id))
        made = for_scripts(with_quality(document.document(), found))
        self.current_plan, self.plan_approved = made, False
        stages = made.get("stage_results", {})
        return {"status": READY, "plan": made, "ceo_review": found.document(), "stage_results": stages}

    def approve_plan(self, plan_id: str) -> Answer:
        """Approve the current plan (or a saved one): it is saved and `proposed_trades_<date>.json` written."""
        with self._turn:
            return met(self._approve, plan_id)

    def execute_plan(self, *, force: bool = False) -> Answer:
        """Execute the approved plan in phases and report; an execution that was interrupted goes on first.

        `force` allows a second execution on one day, of another plan; a plan is never executed twice, and one that was
        interrupted is never set aside. Raises WorkspaceBusy while the workspace or the account is being executed,
        DepartmentsError.
        """
        p = self._parts
        with execution_lock(self.project_root), account_lock(p.locks, p.broker.name, p.broker.account().id):
            return self._execute(force=force)

    def portfolio_summary(self) -> Answer:
        """Return account and positions as the broker tells them."""
        broker, plan = self._parts.broker, self.current_plan
        plan_id = plan.get("plan_id") if isinstance(plan, Mapping) else None
        known = {"current_plan": plan_id, "plan_approved": self.plan_approved}
        return summary(broker.account(), broker.positions()) | known

    def process_inbox(self) -> None:
        """Read what waits for the Executive; an inbox that a watcher holds is left to it."""
        with suppress(WorkspaceBusy):
            self._parts.bus.consume(EXECUTIVE, self.router, wait=0, batch=BATCH)

    def _separate_buys_sells(
        self, trades: Sequence[Mapping[str, Any]]
    ) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
        """Return (sells, buys); each trade is in exactly one. Raises BadInput for a contradictory trade."""
        sides = [classify(trade, "plan", f"trades[{index}]") for index, trade in enumerate(trades)]
        pairs = list(zip(trades, sides, strict=True))
        return [t for t, side in pairs if side is Side.SELL], [t for t, side in pairs if side is Side.BUY]

    def _wait_for_orders_to_fill(self, tickers: Sequence[str] | None, timeout: float = 60) -> bool:
        """Wait until the newest order of each ticker is terminal; tell whether all of them filled.

        Orders are followed by their own ids in the ledger, never by "no open order for the symbol".
        """
        p, tickers = self._parts, [tickers] if isinstance(tickers, str) else list(tickers or ())
        give_up = p.clock.now() + timedelta(seconds=timeout)
        while True:
            self.look()
            newest = {o.intent.ticker: o for o in p.ledger.orders.recent(tickers)}
            waiting = [t for t in tickers if t in newest and not newest[t].status.is_terminal]
            if not waiting:
                break
            if p.clock.now() >= give_up:
                log.warning("Timeout waiting for orders to fill after %gs", timeout)
                return False
            log.info("Waiting for %d orders to fill: %s", len(waiting), ", ".join(waiting))
            p.clock.sleep(p.settings.phases.sell.poll)
        unfilled = [t for t in tickers if t not in newest or newest[t].status is not OrderStatus.FILLED]
        if not unfilled:
            log.info("All orders filled: %s", ", ".join(tickers))
        return not unfilled

    # --- planning ---

    def look(self) -> None:
        """Let the departments of this process work, and read what they sent."""
        self._parts.work()
        self.process_inbox()

    def _ask(self, recipient: str, message_type: str, payload: Payload) -> Message:
        """Send a question and return it; what is asked again at the same moment is a new question."""
        now, identity = self._parts.clock.now(), (message_type, json_text(payload.document()))
        body = payload.body(f"# {message_type}\n\nThe Executive asks {recipient}.")
        tries = (message_id(EXECUTIVE, now, *identity, *((n,) if n else ())) for n in count())
        letters = (Message(asked, EXECUTIVE, recipient, now, message_type, body, priority="high") for asked in tries)
        return next(letter for letter in letters if self._was_sent(letter))

    def _was_sent(self, question: Message) -> bool:
        """Send a question unless it was answered before, be it to a ledger that is lost; tell whether it was sent."""
        bus, recipient, asked = self._parts.bus, question.recipient, question.message_id
        if bus.journal.disposition(recipient, asked) is not None:
            return False
        bus.publish(question)  # which does nothing where its copy lies in the Outbox
        return question.name in bus.mailbox.waiting(recipient) or bus.journal.disposition(recipient, asked) is not None

    def _answered(self, asked: Message) -> Message:
        p = self._parts
        give_up = p.clock.now() + ANSWER_WITHIN
        while True:
            self.look()
            answer = self._answers.pop(asked.message_id, None) or self._read_by_another(asked)
            if answer is not None:
                return answer
            if p.clock.now() >= give_up:
                raise DepartmentsError(f"no department answered {asked.message_id} within {ANSWER_WITHIN.seconds} s.")
            p.clock.sleep(p.settings.phases.sell.poll)

    def _read_by_another(self, asked: Message) -> Message | None:
        """Return an answer that a watcher of the Executive's inbox, or another run, has handled meanwhile."""
        bus = self._parts.bus
        answers = [answer_id(asked.recipient, kind, asked.message_id, asked.timestamp) for kind in ANSWERS]
        return next(map(bus.find, bus.journal.dispositions(EXECUTIVE, answers)), None)

    def foresee(self, plan: TradingPlan) -> Outlook:
        """Judge a plan by account, ledger and limits of this moment. Raises BrokerUnavailable."""
        p = self._parts
        return foresee(plan, self._facts(plan), p.limits, p.settings.exits)

    def _facts(self, plan: TradingPlan) -> Facts:
        facts = self._parts.reader.read(t.ticker for t in plan.trades)
        return replace(facts, plan=self._with_execution(PlanFacts.of(plan)))

    def _with_execution(self, known: PlanFacts) -> PlanFacts:
        executions = self._parts.ledger.plans.executions()
        return replace(known, executed_on=next((e.trading_day for e in executions if e.plan_id == known.plan_id), None))

    def _reviewed(self, plan: TradingPlan) -> Review:
        return review(plan, self.foresee(plan), self._parts.limits)

    def take_up_approved_plan(self) -> TradingPlan | None:
        """Make the plan that was approved today, was not executed and still holds the current one; None without one."""
        document = self._parts.ledger.plans.approved_on(trading_day(self._parts.clock.now()))
        if document is None:
            return None
        plan = plan_from(document, str(document["plan_id"]))
        stale = self._stale(plan)
        if stale:
            log.warning("%s was approved and is not executed: %s", plan.plan_id, stale)
            return None
        log.info("%s was approved; it is executed", plan.plan_id)
        self.current_plan, self.plan_approved = document, True
        return plan

    def _approve(self, plan_id: str) -> Answer:
        p = self._parts
        document = as_json(self.current_plan, CURRENT)
        if not isinstance(document, dict) or str(document.get("plan_id")) != str(plan_id):
            document = p.ledger.plans.document(str(plan_id))
        if document is None:
            return failed(f"there is no plan {plan_id}; generate one first")
        plan = plan_from(document, str(plan_id))
        stale = self._stale(plan)
        if stale:
            return failed(f"{plan_id} cannot be approved: {stale}; make a new plan")
        now = p.clock.now()
        if "stage_quality" not in document:  # the ledger's, which was saved before it was reviewed
            document = with_quality(document, self._reviewed(plan))
        document |= {"status": APPROVED, "approved_at": iso(now)}
        self._save(document, now)
        path = self.project_root / f"proposed_trades_{trading_day(now).isoformat()}.json"
        write_atomically(path, json_text(document) + "\n")
        self.current_plan, self.plan_approved = for_scripts(document), True
        return {"status": "PLAN_APPROVED", "plan_id": plan_id, "file": str(path)}

    def _stale(self, plan: TradingPlan) -> str | None:
        return find_staleness(plan, self._facts(plan), self._parts.limits)

    def _save(self, document: Mapping[str, Any], now: datetime) -> None:
        p = self._parts
        with p.ledger.transaction():
            p.ledger.plans.save(document, p.limits.fingerprint, now)
            p.ledger.plans.approve(str(document["plan_id"]), now)

    # --- executing ---

    def resume(self) -> dict[str, Any] | None:
        """Finish an execution that was interrupted and return its document; None when there is none."""
        plans = self._parts.ledger.plans
        if plans.find_unfinished() is None:
            self._parts.bus.deliver_pending()
            self._reporter.write_missing()
            return None
        document: dict[str, Any] = self.execute_plan()["document"]
        return document

    def reason_not_to_trade(self, plan: Mapping[str, Any] | None = None, *, force: bool = False) -> Answer | None:
        """Return why nothing may be sent now: executed already, or the market is closed. None when all is well."""
        wanted = None if plan is None else plan.get("plan_id")
        # A plan that is not made yet is another one than was executed.
        facts = self._glance(PlanFacts("" if wanted is None else str(wanted), None), account=False)
        return _not_today(facts, self._obstacles(facts, force=force), wanted)

    def _glance(self, known: PlanFacts, *, account: bool = True) -> DeskFacts:
        return replace(self._parts.reader.glance(account=account), plan=self._with_execution(known))

    def _obstacles(self, facts: DeskFacts, *, force: bool = False) -> list[Reason]:
        """Return what forbids to send anything; `force` allows a second execution on one day."""
        found = check_desk(facts, self._parts.limits, "dispatch").violations
        return [r for r in found if not (force and r.code is ReasonCode.ONE_EXECUTION_PER_DAY)]

    def preview(self, plan: TradingPlan, *, force: bool = False) -> dict[str, Any]:
        """Return what executing `plan` now would send, phase by phase; nothing is sent."""
        p, facts = self._parts, self._facts(plan)
        if force:
            facts = replace(facts, history=replace(facts.history, executed_plan_today=plan.plan_id))
        foreseen = rehearse(plan, facts, p.limits, p.settings.phases.buy.shortfall)
        return dry_run_document(plan, facts, cash_reserve(p.limits, facts.equity), foreseen)

    def _execute(self, *, force: bool) -> Answer:
        self.look()
        plans = self._parts.ledger.plans
        unfinished = plans.find_unfinished()
        if unfinished is not None:
            log.warning("%s was interrupted; going on where it stood", unfinished.plan_id)
            return self._run(saved_plan(plans.document(unfinished.plan_id), unfinished.plan_id))
        document = as_json(self.current_plan, CURRENT)
        if document is None:
            return failed("there is no plan; generate one first")
        plan = plan_from(document, CURRENT)
        if not self.plan_approved:
            return failed(f"the plan {plan.plan_id} is not approved")
        facts = self._glance(PlanFacts.of(plan))
        obstacles = self._obstacles(facts, force=force)
        stop = _not_today(facts, obstacles, plan.plan_id)
        if stop is not None:
            return stop
        if obstacles:
            return failed(f"{plan.plan_id} is not executed: {obstacles[0].sentence or obstacles[0]}")
        if plans.document(plan.plan_id) != document:
            self._save(document, self._parts.clock.now())
        return self._run(plan)

    def _run(self, plan: TradingPlan) -> Answer:
        report = PlanExecution(plan, self._parts, self.look).run()
        self.look()  # Regime learns what became of the day
        path = self._reporter.write(plan.plan_id, report)
        return executed(plan.plan_id, self._parts.ledger.plans.trades(plan.plan_id), report.document, path)

    # --- what comes in ---

    def record_report(self, message: Message, report: ExecutionReport) -> Commit:
        """Record how an approval or request ended."""
        facts = reported(report)

        def commit() -> None:
            if not self._parts.ledger.plans.report_trade(report.approval_message_id, facts):
                about = report.approval_message_id
                log.info("%s reports an order of no running plan (%s)", message.message_id, about)

        return commit

    def keep_answer(self, message: Message, _: Payload) -> None:
        """Keep the answer to a question until it is asked for."""
        if message.parent_message_id:
            self._answers[message.parent_message_id] = message

    def log_regime(self, _: Message, update: RegimeUpdate) -> None:
        """Log what kind of market it is."""
        log.info("Regime: %s (%s)", update.regime, update.confidence)

    def log_escalation(self, message: Message, _: Payload) -> None:
        """Log the first line of an escalation."""
        log.warning("%s escalates: %s", message.sender, message.body.strip().partition("\n")[0].lstrip("# "))


def _not_today(facts: DeskFacts, obstacles: Iterable[Reason], plan_id: str | None) -> Answer | None:
    """Return the answer where a plan is in order and not executed today: one was already, or the market is closed."""
    found = {reason.code: reason for reason in obstacles}
    done = found.get(ReasonCode.ALREADY_EXECUTED) or found.get(ReasonCode.ONE_EXECUTION_PER_DAY)
    if done is not None:
        return refused("ALREADY_EXECUTED", done.values["executed"], done.sentence)
    if ReasonCode.MARKET_CLOSED not in found:
        return None
    opens = facts.hours.next_open
    message = f"the market is closed, it opens on {opens:%Y-%m-%d at %H:%M} UTC; nothing was sent"
    return refused("MARKET_CLOSED", plan_id, message)


def _parts_for(project_root: Path) -> ExecutiveParts:
    from Departments.bootstrap import open_desk  # noqa: PLC0415 - the written-down exception: called bare

    return open_desk(project_root).executive_parts
