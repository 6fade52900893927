"""The Executive's correspondence: its questions to other departments, and its handlers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from itertools import count

from Departments.constraints.amounts import is_careful
from Departments.constraints.limits import Limits
from Departments.core.departments import EXECUTIVE
from Departments.core.documents import json_text
from Departments.core.errors import ContradictedReport, Unanswered, WorkspaceBusy
from Departments.core.identifiers import answer_id, message_id
from Departments.core.logs import make_logger
from Departments.core.money import plain
from Departments.core.platform.clock import Clock
from Departments.core.safe_text import make_safe
from Departments.core.statuses import RequestStatus
from Departments.Executive.outcomes import find_contradiction, with_order
from Departments.ledger.ledger import Ledger
from Departments.ledger.plan_records import TradeReport
from Departments.messaging.bus import Bus
from Departments.messaging.message import Message
from Departments.messaging.payloads import ExecutionReport, Payload
from Departments.messaging.regime_payloads import RegimeUpdate
from Departments.messaging.router import Commit, Handler, Router

log = make_logger(__name__)

ANSWER_WITHIN = timedelta(seconds=60)  # how long another department may take to answer
ANSWERS = ("TradingPlan", "PlanFailure")
BATCH = 50  # messages whose effects share a commit: each effect follows from its own message alone


class ExecutiveInbox:
    """Asks by message and reads the answers.

    `work` has the other departments of this process read their inboxes once; `poll` is the pause between two looks, in
    seconds.
    """

    def __init__(
        self, bus: Bus, ledger: Ledger, limits: Limits, clock: Clock, work: Callable[[], None], poll: float
    ) -> None:
        self._bus = bus
        self._ledger = ledger
        self._limits = limits
        self._clock = clock
        self._work = work
        self._poll = poll
        self._answers: dict[str, Message] = {}
        handlers: dict[str, Handler] = {
            "record_report": self.record_report,
            "keep_answer": self.keep_answer,
            "log_regime": self.log_regime,
            "log_escalation": self.log_escalation,
        }
        self.router = Router(EXECUTIVE, handlers)

    def read(self) -> None:
        """Handle the waiting messages. A watcher's inbox is left to it."""
        with suppress(WorkspaceBusy):
            self._bus.consume(EXECUTIVE, self.router, wait=0, batch=BATCH)

    def deliver(self) -> None:
        """Deliver messages committed and not sent."""
        self._bus.deliver_pending()

    # --- questions ---

    def ask(self, recipient: str, payload: Payload) -> Message:
        """Send a question and return it. The same question at the same moment is a new one."""
        message_type, now = type(payload).__name__, self._clock.now()
        identity = (message_type, json_text(payload.document()))
        body = payload.body(f"# {message_type}\n\nThe Executive asks {recipient}.")
        for attempt in count():
            asked = message_id(EXECUTIVE, now, *identity, *((attempt,) if attempt else ()))
            question = Message(asked, EXECUTIVE, recipient, now, message_type, body, priority="high")
            if self._send_new(question):
                return question
        raise AssertionError  # a count has no end

    def _send_new(self, question: Message) -> bool:
        """Send a question unless it was handled before, perhaps under a lost ledger. Returns True if it was sent."""
        bus, recipient, asked = self._bus, question.recipient, question.message_id
        if bus.journal.disposition(recipient, asked) is not None:
            return False
        bus.publish(question)  # which does nothing where its copy is in the Outbox
        return question.name in bus.mailbox.waiting(recipient) or bus.journal.disposition(recipient, asked) is not None

    def wait_for_answer(self, question: Message) -> Message:
        """Return the answer to a question. Raises Unanswered when none comes in time."""
        give_up = self._clock.now() + ANSWER_WITHIN
        while True:
            self._work()
            answer = self._answers.pop(question.message_id, None) or self._find_handled_answer(question)
            if answer is not None:
                return answer
            if self._clock.now() >= give_up:
                asked, seconds = question.message_id, ANSWER_WITHIN.seconds
                mend = "start `departments watch` for the inboxes that nobody watches, and run again"
                raise Unanswered(f"no department answered {asked} within {seconds} seconds; {mend}.")
            self._clock.sleep(self._poll)

    def _find_handled_answer(self, question: Message) -> Message | None:
        """Return an answer handled meanwhile by a watcher or another run, or None."""
        bus, recipient = self._bus, question.recipient
        answers = [answer_id(recipient, kind, question.message_id, question.timestamp) for kind in ANSWERS]
        return next(map(bus.find, bus.journal.dispositions(EXECUTIVE, answers)), None)

    # --- handlers ---

    def record_report(self, message: Message, report: ExecutionReport) -> Commit:
        """Record how an approval or request ended, as the ledger has it: a report only says where to look.

        Raises ContradictedReport for one of nothing that was sent, or that says what the ledger does not.
        """
        about, outcome = report.approval_message_id, self._read_outcome(message, report)

        def commit() -> None:
            if not self._ledger.plans.report_trade(about, outcome):
                log.info("No running plan has the order %s; its report %s is recorded", about, message.message_id)

        return commit

    def _read_outcome(self, message: Message, report: ExecutionReport) -> TradeReport:
        about = report.approval_message_id
        if isinstance(report.status, RequestStatus):  # of which the ledger keeps nothing but Trading's own letter
            _refuse(message, report, None if self._bus.is_proven(message) else "the ledger does not hold this report")
            return report
        decision, order = self._ledger.plans.find_decision(about), self._ledger.orders.find_by_message(about)
        trade = None if decision is None else decision.trade
        _refuse(message, report, find_contradiction(report, trade, order))
        return report if trade is None or order is None else with_order(trade, order)

    def keep_answer(self, message: Message, _: Payload) -> None:
        """Keep the answer to a question until `wait_for_answer` takes it."""
        if message.parent_message_id:
            self._answers[message.parent_message_id] = message

    def log_regime(self, message: Message, update: RegimeUpdate) -> Commit | None:
        """Log the market's regime, and save it unless nothing proves it and it could loosen a limit."""
        log.info("Regime: %s (%s)", update.regime, update.confidence)
        assessment = update.assessment(message.timestamp, f"RegimeUpdate {message.message_id}")
        is_saved = self._bus.is_proven(message) or is_careful(assessment, self._limits)
        return (lambda: self._ledger.regimes.save_assessment(assessment)) if is_saved else None

    def log_escalation(self, message: Message, _: Payload) -> None:
        """Log the first line of an escalation."""
        log.warning("%s escalates: %s", message.sender, message.body.strip().partition("\n")[0].lstrip("# "))


def _refuse(message: Message, report: ExecutionReport, problem: str | None) -> None:
    if problem is not None:
        claim = f"{report.symbol} {report.status}, {plain(report.filled_qty)} filled"
        about = make_safe(report.approval_message_id)
        raise ContradictedReport(f"{message.message_id} claims {claim} ({about}), but {problem}; it is ignored")
