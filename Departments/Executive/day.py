"""The day, from top to bottom: recover → plan → review → approve → phases → report.

`Day.run` takes the steps in this order. Whoever needs one step alone (`departments plan`, `approve`, `resume`, an
existing script) calls the same method.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from decimal import Decimal

from Departments.core.approvers import AUTOMATIC, SCRIPT, Approver
from Departments.core.departments import OPERATIONS, REGIME_DETECTION
from Departments.core.documents import as_json
from Departments.core.facts import PlanFacts
from Departments.core.logs import log_about, make_logger
from Departments.core.moments import show_moment
from Departments.core.plans import TradingPlan
from Departments.core.reasons import ReasonCode
from Departments.core.statuses import ExecutionStatus
from Departments.Executive.approvals import ApprovalRefused, Approvals, Approved, FiledPlan
from Departments.Executive.day_order import Audience, DayFailed, DayOrder, Executed, ReviewedPlan
from Departments.Executive.execution import PlanExecution
from Departments.Executive.inbox import ExecutiveInbox
from Departments.Executive.manual_orders import ManualOrder
from Departments.Executive.plan_judge import NotToday, PlanJudge
from Departments.Executive.remainder import FOLLOW, describe_loose_end
from Departments.Executive.reporting.document import EXIT_CODES, Document, list_attempts, unexecuted_document
from Departments.Executive.reporting.report import Reporter
from Departments.Executive.review import is_rated, review, with_quality
from Departments.messaging.message import Message
from Departments.messaging.payloads import PlanFailure, PlanRequest
from Departments.messaging.plan_stages import OUTLOOK
from Departments.messaging.regime_payloads import RegimeRequest
from Departments.messaging.tracing import plan_of

log = make_logger(__name__)


def ignore_progress(_plan_id: str) -> None:
    """Show nothing of an execution."""


@dataclass(frozen=True, slots=True)
class Day:
    """The Executive's day.

    `hold` keeps workspace and account for one execution. `consult` has every department of this process but Trading
    read its inbox once, so nothing is ordered; `work` has Trading work, too. `compare` has Trading compare the account
    with its book; `renew` has it give exits to split and renamed shares. `execution` makes the execution of a plan.
    `briefings` lists the day's, newest first; `prepare_briefing` has Operations get one of today.
    `tell_approval` tells people that a plan waits for them, with how to approve it, and a cause beside the plan's id.
    `observe` sees the plan's id whenever its execution has gone on.
    """

    inbox: ExecutiveInbox
    judge: PlanJudge
    approvals: Approvals
    execution: Callable[[TradingPlan], PlanExecution]
    reporter: Reporter
    hold: Callable[[], AbstractContextManager[None]]
    consult: Callable[[], None]
    work: Callable[[], None]
    briefings: Callable[[], Sequence[Message]]
    compare: Callable[[], None]
    renew: Callable[[], None]
    prepare_briefing: Callable[[], None]
    tell_approval: Callable[[TradingPlan, str, str], None]
    observe: Callable[[str], None] = ignore_progress

    def run(self, order: DayOrder, audience: Audience) -> Document:
        """Take all steps and return the final document.

        An interrupted execution goes on first and instead. On an executed day a further attempt finishes what may be
        finished. A closed market ends the run at once. A plan that was approved today and is not stale is executed as
        it is, and one that a person vetoed, rejected or half approved waits. A plan without trades needs no approval,
        and leaves the day free for another. Raises DepartmentsError.
        """
        over = None if order.dry_run else self._recover(order)
        filed = self._find_approved(order.by_hand) if over is None and order.takes_an_approved_plan else None
        if over is None and filed is None and order.heeds_people:
            over = self._wait_for_a_person()
        if over is not None:
            return over
        if filed is None:
            made = self.plan(order)
            filed = made.filed
            audience.see_plan(filed.plan, made.review.document())
            if order.dry_run:
                return self.reporter.add_issues(self.judge.rehearse(filed.plan, force=order.force))
            approved = self._approve_for(audience, filed)
            filed, objection = approved.filed, approved.waits
            if objection:
                given = {"approvals": self.approvals.documents(filed.plan)}
                declined = unexecuted_document("NOT_APPROVED", filed.plan.plan_id, objection, filed.plan) | given
                return self.reporter.add_issues(declined)
        end = self.execute(filed, force=order.force)
        if isinstance(end, NotToday):
            return self.reporter.add_issues(unexecuted_document(end.status, end.plan_id, end.message, filed.plan))
        if end.document["status"] != ExecutionStatus.NOTHING_TO_DO:
            return end.document
        return end.document | {
            "message": f"{end.plan_id} has no trades; nothing was sent, and another plan may run today"
        }

    def _wait_for_a_person(self) -> Document | None:
        """Return the document of a day whose plan waits for a person, None if none does."""
        waiting = self.approvals.find_waiting()
        if waiting is None:
            return None
        plan, sentence = waiting
        given = {"approvals": self.approvals.documents(plan)}
        return self.reporter.add_issues(unexecuted_document("NOT_APPROVED", plan.plan_id, sentence, plan) | given)

    # --- recover ---

    def _recover(self, order: DayOrder) -> Document | None:
        """Finish an interrupted execution. Returns the document if the day is over, else None.

        An order by hand that was interrupted does not take the place of the day's plan.
        """
        if order.by_hand is not None:
            self._refuse_interruption(order.by_hand)
        resumed = self.resume()
        if resumed is not None and (order.by_hand is not None or not resumed.by_hand):
            return resumed.document
        stop = self.find_stop(order.plan_id, force=order.force, by_hand=order.by_hand is not None)
        if stop is None:
            return None
        filed = self.approvals.find(stop.plan_id or "") if stop.is_done and order.by_hand is None else None
        if filed is None:
            return self.reporter.add_issues(unexecuted_document(stop.status, stop.plan_id, stop.message))
        return self._finish(filed, stop, order)

    def _finish(self, filed: FiledPlan, stop: NotToday, order: DayOrder) -> Document:
        """Finish an executed plan by a further attempt, or name its rest, the reasons and the unused input."""
        plan = filed.plan
        still_open = self.chase()  # what its last wait left in Trading's inbox is handled first
        rest = self.judge.find_rest(plan)
        if order.plan_id in {None, plan.plan_id} and rest.may_go_on:
            log.info("%s is finished: %s", plan.plan_id, rest.sentence)
            end = self.execute(filed, further=True)
            if isinstance(end, Executed):
                return end.document
            rest = self.judge.find_rest(plan)
        ended = self.approvals.ledger.plans.execution(plan.plan_id)
        status = "RUNNING" if ended is None else str(ended.status)
        message = f"{stop.message}. It ended as {status}, {rest.sentence}. {self._name_unused(plan, order)}"
        message += f". {'; '.join(still_open)}: {FOLLOW}" if still_open else ""
        left = {
            "attempts": list_attempts(self.approvals.ledger, plan.plan_id),
            "left": [each.document() for each in rest.left],
            "exit_code": max(EXIT_CODES.get(status, 1), int(bool(still_open))),
        }
        return self.reporter.add_issues(unexecuted_document(stop.status, stop.plan_id, message) | left)

    def _name_unused(self, plan: TradingPlan, order: DayOrder) -> str:
        """Return the sentence about a briefing newer than the plan, and about `--force`."""
        found = [(message.timestamp, message.message_id) for message in self.briefings()]
        if order.briefing_at is not None:
            found.append((order.briefing_at, str(order.briefing_message_id)))
        at, newest = max(found, default=(plan.generated_at, ""))
        if at <= plan.generated_at:
            return "With --force another plan is made and executed today"
        return f"The newer briefing {newest} ({show_moment(at)}) was not used; --force plans from it"

    def resume(self) -> Executed | None:
        """Finish an interrupted execution. Returns None when there is none: waiting reports are read then."""
        if self.approvals.find_unfinished() is None:
            self.inbox.deliver()
            self.inbox.read()
            self.reporter.write_missing()
            return None
        end = self.execute(None)
        return end if isinstance(end, Executed) else None

    def _refuse_interruption(self, order: ManualOrder) -> None:
        """Raise DayFailed if another execution was interrupted, or this one after its end: nothing is traded twice.

        Raises WorkspaceBusy if it still runs.
        """
        unfinished = self.approvals.find_unfinished()
        if unfinished is not None and not (unfinished.by_hand and order.is_in(unfinished)):
            with self.hold():  # or it still runs in another process
                raise DayFailed(f"{unfinished.plan_id} was interrupted; finish it first: departments resume")
        missing = None if unfinished is not None else self.reporter.write_missing()
        if missing is not None and missing.by_hand and order.is_in(missing):
            found = f"this order ended as {missing.plan_id}; its missing report is written now"
            raise DayFailed(f"{found}; read it, then order what is still wanted")

    def chase(self) -> list[str]:
        """Follow the open orders of ended executions once more. Returns a sentence about each that is still open."""
        plans = self.approvals.ledger.plans
        if plans.find_loose_ends():
            with self.hold():
                self.work()
        return [describe_loose_end(plan_id, trade) for plan_id, trade in plans.find_loose_ends()]

    def find_stop(self, plan_id: str | None = None, *, force: bool = False, by_hand: bool = False) -> NotToday | None:
        """Return why nothing may be sent now: the day was executed, or the market is closed. None when it may.

        Raises DayFailed when no more orders by hand may be.
        """
        # A plan that is not made yet is another one than was executed.
        known = PlanFacts(plan_id or "", None, by_hand=by_hand)
        stop, reasons = self.judge.find_obstacles(known, account=False, force=force)
        full = next((r for r in reasons if r.code is ReasonCode.MANUAL_ORDER_LIMIT), None)
        if full is not None:
            raise DayFailed(f"nothing was sent: {full.sentence}")
        return stop

    def _find_approved(self, by_hand: ManualOrder | None) -> FiledPlan | None:
        """Load today's approved, unexecuted plan, or order `by_hand`. Returns None if there is none or it is stale."""
        filed = self.approvals.find_approved_today(by_hand)
        if filed is None or not filed.plan.trades:
            return None
        stale = self.judge.find_staleness(filed.plan)
        if stale:
            log.warning("%s was approved and is not executed: %s", filed.plan.plan_id, stale)
            return None
        log.info("%s was approved; it is executed", filed.plan.plan_id)
        return self.approvals.note_edits(filed)

    # --- plan and review ---

    def plan(self, order: DayOrder) -> ReviewedPlan:
        """Have the market assessed and a plan made, then review it. Raises DayFailed where there is no plan."""
        order.prepare()
        if order.takes_the_newest_briefing:
            self.prepare_briefing()
        waiting = None if order.by_hand is not None else self.approvals.find_approved_today()
        if waiting is not None:
            self.approvals.note_edits(waiting)
        self.inbox.read()  # a regime that waits there counts for the plan
        briefing, plan = order.briefing_message_id, order.plan
        if order.by_hand is not None:
            self.judge.refuse_order(order.by_hand)
            plan = order.by_hand.document(self.approvals.name_order(), self.approvals.clock.now())
        request = PlanRequest(
            briefing_message_id=briefing,
            mandatory_sells=as_json(order.mandatory_sells, "mandatory_sells"),
            plan=as_json(plan, "plan"),
            by_hand=order.by_hand is not None,
            sizes=order.sizes,
            fill=order.fill,
        )
        self.inbox.ask(REGIME_DETECTION, RegimeRequest(briefing_message_id=briefing))
        plan_id = self._ask_for_plan(request)
        known = self.approvals.find(plan_id)  # the answer says which plan, the ledger what is in it
        if known is None:
            raise DayFailed(f"Operations answers with {plan_id}, which the ledger does not know; make a new plan")
        filed = FiledPlan(replace(known.plan, by_hand=request.by_hand), known.document)
        if order.by_hand is not None and not filed.plan.trades:
            raise DayFailed(f"{order.by_hand} may not be ordered: {_describe_skip(filed.plan)}")
        return self.review(filed)

    def _ask_for_plan(self, request: PlanRequest) -> str:
        """Have Operations plan, and return the plan's id: its text may be long, and the ledger has it."""
        answer = self.inbox.wait_for_answer(self.inbox.ask(OPERATIONS, request))
        if answer.message_type != "TradingPlan":
            failure = PlanFailure.of(answer)
            raise DayFailed(failure.message, failure.exit_code, failure.document())
        return plan_of(answer) or ""

    def review(self, filed: FiledPlan) -> ReviewedPlan:
        """Review a plan on the account of now."""
        outlook = self.judge.foresee(filed.plan)
        found = review(filed.plan, outlook, self.judge.limits)
        rated, known = {**with_quality(filed.document, found), OUTLOOK: outlook.document()}, filed.document
        changed = {key: value for key, value in rated.items() if key not in known or value is not known[key]}
        document = rated | as_json(changed, filed.plan.plan_id)
        return ReviewedPlan(FiledPlan(filed.plan, document), outlook, found)

    # --- approve ---

    def approve(self, plan_id: str, approver: Approver, filed: FiledPlan | None = None) -> Approved:
        """Approve a plan, the ledger's by default: it is saved, and `proposed_trades_<date>.json` written.

        Above `approval.four_eyes_above` only the second person's approval does so. Raises BadInput for an unknown
        plan, DayFailed for a stale one, ApprovalRefused for an approver who does not count.
        """
        filed = filed or self.approvals.find_known(plan_id)
        stale = self.judge.find_staleness(filed.plan)
        if stale:
            raise DayFailed(f"{plan_id} cannot be approved: {stale}; make a new plan")
        if not is_rated(filed.document):  # Operations saved it before the review
            filed = self.review(filed).filed
        approved = self.approvals.approve(filed, approver, self._measure(filed.plan))
        if approved.waits:
            self.tell_approval(filed.plan, approved.waits, ":second")
        return approved

    def _approve_for(self, audience: Audience, filed: FiledPlan) -> Approved:
        """Approve a plan if the audience has no objection. Returns it with the sentence about what is missing.

        A plan without trades needs nobody.
        """
        is_empty = not filed.plan.trades
        if not is_empty and audience.approver != AUTOMATIC:
            self.tell_approval(filed.plan, f"departments approve {filed.plan.plan_id}", "")
        objection = None if is_empty else audience.objection(filed.plan)
        if objection is not None:
            return Approved(filed, None, objection)
        try:
            return self.approve(filed.plan.plan_id, AUTOMATIC if is_empty else audience.approver, filed)
        except ApprovalRefused as refusal:
            return Approved(filed, None, refusal.sentence)

    def _measure(self, plan: TradingPlan) -> Decimal | None:
        """Return the dollars of a plan's trades, None without a limit for four eyes."""
        return None if self.approvals.four_eyes_above is None else self.judge.measure(plan)

    # --- phases and report ---

    def execute(self, filed: FiledPlan | None, *, force: bool = False, further: bool = False) -> Executed | NotToday:
        """Execute an approved plan phase by phase, and report.

        An interrupted execution goes on first and instead. A plan is never executed twice; a `further` attempt
        executes what those before left. Raises WorkspaceBusy while another execution has the workspace or the account,
        DayFailed for a plan that may not be executed, and DepartmentsError.
        """
        with self.hold(), ExitStack() as notes:
            self.consult()  # reports that wait decide what is unfinished or executed
            plan = self.approvals.find_unfinished()
            if plan is None:
                cleared = self._clear(filed, force=force, further=further)
                if isinstance(cleared, NotToday):
                    return cleared
                plan = cleared
            else:
                self.work()  # what its phases sent may still wait, though the last has ended
            notes.enter_context(log_about(plan=plan.plan_id))
            execution = self.execution(plan)
            execution.begin()
            self.renew()
            phase = execution.open()
            while phase is not None:
                with log_about(phase=phase.name):
                    self.work()
                    self.observe(plan.plan_id)
                    phase = execution.advance(phase)
            self.observe(plan.plan_id)
            self.compare()
            report = execution.finish()
            self.consult()  # Regime learns what became of the day
            return Executed(plan.plan_id, report.document, self.reporter.write(plan.plan_id, report), plan.by_hand)

    def execute_or_finish(self, filed: FiledPlan | None, *, force: bool = False) -> Executed | NotToday:
        """Execute a plan; where it was executed today, start a further attempt if something of it may be sent.

        Raises as `execute` does.
        """
        end = self.execute(filed, force=force)
        if filed is None or not (isinstance(end, NotToday) and end.is_done and end.plan_id == filed.plan.plan_id):
            return end
        done = self.approvals.find(filed.plan.plan_id)
        rest = None if done is None else self.judge.find_rest(done.plan)
        if done is None or rest is None:
            return end
        if not rest.may_go_on:
            return replace(end, message=f"{end.message}; {rest.sentence}")
        return self.execute(done, further=True)

    def _clear(self, filed: FiledPlan | None, *, force: bool, further: bool) -> TradingPlan | NotToday:
        """Return the plan if it may be executed now. Raises DayFailed for what speaks against this very plan."""
        if filed is None:
            raise DayFailed("there is no plan; generate one first")
        if further:
            rest = self.judge.find_rest(filed.plan)
            return filed.plan if rest.may_go_on else NotToday("ALREADY_EXECUTED", filed.plan.plan_id, rest.sentence)
        consent = self.approvals.count(filed.plan, self._measure(filed.plan))
        known = replace(PlanFacts.of(filed.plan), consent=consent)
        stop, obstacles = self.judge.find_obstacles(known, force=force)
        if stop is not None:
            return stop
        if obstacles:
            raise DayFailed(f"{filed.plan.plan_id} is not executed: {obstacles[0].sentence or obstacles[0]}")
        self.approvals.keep(filed, SCRIPT)  # a script has approved what nobody else has
        return filed.plan


def _describe_skip(plan: TradingPlan) -> str:
    """Return why an order by hand was not planned."""
    reason = plan.skipped[0].reason
    return f"{reason.sentence or reason.code.meaning} ({reason})"
