"""The CEO as existing scripts call it; the work is done in `day.py`.

    ceo = CEO(project_root)
    ceo.handle_user_request("generate_plan")
    ceo.approve_plan(plan_id)
    ceo.handle_user_request("execute_plan")

A request that fails is answered with `{"status": "ERROR", "message": …}`; it does not raise. Numbers in answers are int
and float.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from Departments.core.answers import Answer, answer_request, error_answer
from Departments.core.approvers import SCRIPT
from Departments.core.documents import as_json, for_scripts
from Departments.core.errors import DepartmentsError
from Departments.core.logs import make_logger
from Departments.core.plans import Trade
from Departments.core.portfolio import Account, Position
from Departments.Executive.approvals import FiledPlan
from Departments.Executive.ceo_answers import (
    approval_answer,
    complete_answer,
    execution_answer,
    failure_answer,
    legacy_answer,
    plan_answer,
    rejected_answer,
    separate_buys_sells,
    wait_for_orders_to_fill,
)
from Departments.Executive.day import Day
from Departments.Executive.day_order import DayFailed, DayOrder, Executed
from Departments.Executive.older_parts import DataSource, make_executive_department, make_realism_simulator
from Departments.Executive.portfolio_answers import dashboard_answer, summary_answer
from Departments.Executive.walkthrough import find_replaced_trading, walk_through
from Departments.messaging.message import Message
from Departments.messaging.plan_documents import READY, write_trade

if TYPE_CHECKING:
    from Departments.bootstrap import Desk

log = make_logger(__name__)

CURRENT = "current_plan"  # the attribute in which a script sets a plan of its own


class CEO:
    """Plans, approves and executes on request. Made alone, it opens the desk of its folder with the first request.

    Scripts may set `current_plan` and `plan_approved`; both are read when a request needs them.
    """

    def __init__(self, project_root: Path | str, *, desk: Desk | None = None) -> None:
        self.project_root = Path(project_root)
        if desk is not None:
            self._desk = desk
        self.current_plan: Any = None
        self.plan_approved = False
        self.mandatory_sells: Any = []
        self.logger = log
        self._turn = RLock()  # a script with a window or a server calls from more than one thread
        self._outgoing: Message | None = None

    @cached_property
    def _desk(self) -> Desk:
        return _open_desk(self.project_root)

    @property
    def db_path(self) -> Path:
        """The ledger's file."""
        return self.project_root / "sentinel.db"

    @property
    def operations_manager(self) -> object:
        """Operations as scripts call it."""
        return self._desk.operations

    @property
    def data_source(self) -> DataSource:
        """The account's data as scripts read them."""
        return DataSource(lambda: self._desk.patient_broker)

    @cached_property
    def executive_dept(self) -> Any:
        """The project's own ExecutiveDepartment, None without one."""
        return make_executive_department(self.project_root, self.db_path)

    @cached_property
    def realism_sim(self) -> Any:
        """The project's own RealismSimulator, None without one."""
        return make_realism_simulator(self.project_root)

    def set_mandatory_sells(self, sells: Sequence[Mapping[str, Any]]) -> None:
        """Set the mandatory sells of the next plan: `[{ticker, action, shares, reason, source}]`."""
        self.mandatory_sells = list(sells) if isinstance(sells, Iterable) else sells

    def handle_user_request(self, request: str, **options: Any) -> Answer:
        """Answer generate_plan, execute_plan, view_dashboard or get_portfolio_summary; a failure is an answer, too."""
        requests: dict[str, Callable[..., Answer]] = {
            "generate_plan": self.generate_plan,
            "execute_plan": self.execute_plan,
            "view_dashboard": self._show_dashboard,
            "get_portfolio_summary": self._sum_up_portfolio,
        }
        if not isinstance(request, str) or request not in requests:
            return error_answer(f"unknown request {request!r}; known are {', '.join(requests)}")
        with self._turn:
            answer = answer_request(requests[request], **options)
            if "report" in answer:  # a plan was executed
                self._desk.pages.write_after_day(str(answer["plan_id"]))
            return complete_answer(request, legacy_answer(answer))

    def generate_trading_plan(self, ai_model: str | None = None) -> Answer:
        """Answer the request generate_plan."""
        return self.handle_user_request("generate_plan", ai_model=ai_model)

    def execute_approved_plan(self) -> Answer:
        """Answer the request execute_plan."""
        return self.handle_user_request("execute_plan")

    def get_dashboard_data(self) -> Answer:
        """Answer the request view_dashboard."""
        return self.handle_user_request("view_dashboard")

    def get_portfolio_summary(self) -> Answer:
        """Answer the request get_portfolio_summary."""
        return self.handle_user_request("get_portfolio_summary")

    def generate_plan(
        self,
        ai_model: str | None = None,
        *,
        briefing_message_id: str | None = None,
        plan: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Make a plan and review it; without one the answer is REJECTED. `ai_model` is accepted and not used."""
        log.debug("planning (model %s)", ai_model)
        order = DayOrder(briefing_message_id, plan, mandatory_sells=self.mandatory_sells or ())
        try:
            made = self._desk.day.plan(order)
        except DepartmentsError as error:
            return rejected_answer(error)
        answer = plan_answer(for_scripts(made.filed.document), made.review)
        if answer["status"] == READY:
            self.current_plan, self.plan_approved = answer["plan"], False
        return answer

    def approve_plan(self, plan_id: str) -> Answer:
        """Approve the current plan, or a saved one, and write `proposed_trades_<date>.json`."""
        with self._turn:
            return complete_answer("approve_plan", answer_request(self._approve, plan_id))

    def _approve(self, plan_id: str) -> Answer:
        day, document = self._desk.day, as_json(self.current_plan, CURRENT)
        is_current = isinstance(document, dict) and str(document.get("plan_id")) == str(plan_id)
        try:
            current = FiledPlan.read(document, str(plan_id)) if is_current else None
            approved = day.approve(str(plan_id), SCRIPT, current)
        except DayFailed as failure:
            return failure_answer(failure)
        self.current_plan, self.plan_approved = for_scripts(approved.filed.document), True
        return approval_answer(plan_id, approved)

    def execute_plan(self, *, force: bool = False) -> Answer:
        """Execute the approved plan; an interrupted execution goes on first and instead.

        `force` allows a second execution on one day, of another plan. With its senders replaced the CEO only walks
        through the plan. Raises DepartmentsError.
        """
        trading = find_replaced_trading()
        if trading is not None or not self._has_own_sender():
            return self._walk_through(trading)
        day = self._make_day()
        try:
            unfinished = day.approvals.find_unfinished()
            if unfinished is not None and unfinished.by_hand:
                day.resume()
                unfinished = None
            plan = self._read_approved_plan() if unfinished is None else None
            end = day.execute_or_finish(plan, force=force)
        except DayFailed as failure:
            return failure_answer(failure)
        if isinstance(end, Executed):
            self._desk.announcer.tell_end(end.document)
        return execution_answer(end, self._desk.ledger.plans, self._count_positions())

    def _walk_through(self, trading: Any) -> Answer:
        plan = as_json(self.current_plan, CURRENT)
        if not isinstance(plan, dict) or not self.plan_approved:
            raise DayFailed("there is no approved plan to walk through")
        send, wait = self._send_trade_to_trading_dept, self._wait_for_orders_to_fill
        answer: Answer = for_scripts(walk_through(plan, send, wait, trading, self.db_path))
        return answer

    def _make_day(self) -> Day:
        """Return the day whose executions send every trade by `_send_trade_to_trading_dept`."""
        day = self._desk.day
        return replace(day, execution=lambda plan: replace(day.execution(plan), courier=self._dispatch))

    def _dispatch(self, trade: Trade, letter: Message) -> bool:
        """Send the instruction of one trade. Returns False if what a script put in the sender's place did not."""
        self._outgoing = letter
        try:
            self._send_trade_to_trading_dept(for_scripts(write_trade(trade)))
        except Exception:
            log.exception("%s %s is not sent", trade.side, trade.symbol)
        is_sent, self._outgoing = self._outgoing is None, None
        return is_sent

    def _send_trade_to_trading_dept(self, trade: Mapping[str, Any]) -> str:
        """Send the trade that the running execution hands over; return the id of its message. Raises DayFailed."""
        letter, self._outgoing = self._outgoing, None
        if letter is None:
            raise DayFailed(f"{trade.get('ticker')} is not sent: a trade is sent only while its plan is executed")
        self._desk.bus.enqueue(letter)
        return letter.message_id

    def _count_positions(self) -> int | None:
        with suppress(DepartmentsError):
            return len(self._desk.broker.positions())
        return None

    def _read_approved_plan(self) -> FiledPlan | None:
        document = as_json(self.current_plan, CURRENT)
        if document is None:
            return None
        filed = FiledPlan.read(document, CURRENT)
        if not self.plan_approved:
            raise DayFailed(f"the plan {filed.plan.plan_id} is not approved")
        return filed

    def _show_dashboard(self) -> Answer:
        account, positions = self._read_account("dashboard_query")
        executions = self._desk.ledger.plans.executions()
        start = executions[0].equity if executions else account.equity
        return dashboard_answer(account, positions, start) | self._known_plan()

    def _sum_up_portfolio(self) -> Answer:
        return summary_answer(*self._read_account("control_panel_query")) | self._known_plan()

    def _read_account(self, source: str) -> tuple[Account, list[Position]]:
        """Read the account and keep it in the older system's table, as asked by `source`."""
        broker = self._desk.patient_broker
        account, positions = broker.account(), list(broker.positions())
        try:
            with self._desk.ledger.transaction():
                self._desk.ledger.snapshots.add(account, len(positions), source, self._desk.clock.now())
        except DepartmentsError as error:
            log.warning("The account is not kept in portfolio_snapshots: %s", error)
        return account, positions

    def _known_plan(self) -> Answer:
        plan = self.current_plan
        plan_id = plan.get("plan_id") if isinstance(plan, Mapping) else None
        return {"current_plan": plan_id, "plan_approved": self.plan_approved}

    def process_inbox(self) -> None:
        """Read the Executive's messages. An inbox that a watcher holds is left to it."""
        self._desk.day.inbox.read()

    def _separate_buys_sells(
        self, trades: Sequence[Mapping[str, Any]]
    ) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
        return separate_buys_sells(trades)

    def _wait_for_orders_to_fill(self, tickers: Sequence[str] | str | None, timeout: float = 60) -> bool:
        wanted = [tickers] if isinstance(tickers, str) else list(tickers or ())
        desk = self._desk
        poll = desk.settings.phases.sell.poll
        return wait_for_orders_to_fill(wanted, timeout, desk.ledger.orders, desk.clock, desk.follow, poll)

    #: The senders as they are written here: a script may replace them on its CEO.
    _SENDERS = (_send_trade_to_trading_dept, _wait_for_orders_to_fill)

    def _has_own_sender(self) -> bool:
        """Return False if a script has replaced both sender and waiting."""
        senders = (self._send_trade_to_trading_dept, self._wait_for_orders_to_fill)
        return any(getattr(mine, "__func__", None) is own for mine, own in zip(senders, self._SENDERS, strict=True))


def _open_desk(project_root: Path) -> Desk:
    from Departments.bootstrap import open_desk  # noqa: PLC0415 - the written-down exception: made alone

    desk = open_desk(project_root)
    _ = desk.limits  # without them the folder is no workspace
    return desk
