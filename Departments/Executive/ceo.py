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
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from Departments.core.answers import Answer, answer_request, error_answer
from Departments.core.approvers import SCRIPT
from Departments.core.documents import as_json, for_scripts
from Departments.core.logs import make_logger
from Departments.Executive.approvals import FiledPlan
from Departments.Executive.ceo_answers import (
    approval_answer,
    execution_answer,
    failure_answer,
    legacy_answer,
    plan_answer,
    portfolio_answer,
    separate_buys_sells,
    wait_for_orders_to_fill,
)
from Departments.Executive.day_order import DayFailed, DayOrder

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
        self._mandatory_sells: Any = ()
        self._turn = RLock()  # a script with a window or a server calls from more than one thread

    @cached_property
    def _desk(self) -> Desk:
        return _open_desk(self.project_root)

    def set_mandatory_sells(self, sells: Sequence[Mapping[str, Any]]) -> None:
        """Set the mandatory sells of the next plan: `[{ticker, action, shares, reason, source}]`."""
        self._mandatory_sells = list(sells) if isinstance(sells, Iterable) else sells

    def handle_user_request(self, request: str, **options: Any) -> Answer:
        """Answer generate_plan, execute_plan, view_dashboard or get_portfolio_summary; a failure is an answer, too."""
        requests: dict[str, Callable[..., Answer]] = {
            "generate_plan": self.generate_plan,
            "execute_plan": self.execute_plan,
            "view_dashboard": self.portfolio_summary,
            "get_portfolio_summary": self.portfolio_summary,
        }
        if not isinstance(request, str) or request not in requests:
            return error_answer(f"unknown request {request!r}; known are {', '.join(requests)}")
        with self._turn:
            return legacy_answer(answer_request(requests[request], **options))

    def generate_plan(
        self,
        ai_model: str | None = None,
        *,
        briefing_message_id: str | None = None,
        plan: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Make a plan and review it. `ai_model` is accepted for existing scripts. Raises DepartmentsError."""
        log.debug("planning (model %s)", ai_model)
        order = DayOrder(briefing_message_id, plan, mandatory_sells=self._mandatory_sells)
        try:
            made = self._desk.day.plan(order)
        except DayFailed as failure:
            return failure_answer(failure)
        self.current_plan, self.plan_approved = for_scripts(made.filed.document), False
        return plan_answer(self.current_plan, made.review)

    def approve_plan(self, plan_id: str) -> Answer:
        """Approve the current plan, or a saved one, and write `proposed_trades_<date>.json`."""
        with self._turn:
            return answer_request(self._approve, plan_id)

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

        `force` allows a second execution on one day, of another plan. Raises DepartmentsError.
        """
        day = self._desk.day
        try:
            unfinished = day.approvals.find_unfinished()
            if unfinished is not None and unfinished.by_hand:
                day.resume()
                unfinished = None
            plan = self._read_approved_plan() if unfinished is None else None
            end = day.execute(plan, force=force)
        except DayFailed as failure:
            return failure_answer(failure)
        return execution_answer(end, self._desk.ledger.plans)

    def _read_approved_plan(self) -> FiledPlan | None:
        document = as_json(self.current_plan, CURRENT)
        if document is None:
            return None
        filed = FiledPlan.read(document, CURRENT)
        if not self.plan_approved:
            raise DayFailed(f"the plan {filed.plan.plan_id} is not approved")
        return filed

    def portfolio_summary(self) -> Answer:
        """Return the broker's account and positions."""
        broker, plan = self._desk.patient_broker, self.current_plan
        known = {
            "current_plan": plan.get("plan_id") if isinstance(plan, Mapping) else None,
            "plan_approved": self.plan_approved,
        }
        return portfolio_answer(broker.account(), broker.positions()) | known

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


def _open_desk(project_root: Path) -> Desk:
    from Departments.bootstrap import open_desk  # noqa: PLC0415 - the written-down exception: made alone

    desk = open_desk(project_root)
    _ = desk.limits  # without them the folder is no workspace
    return desk
