"""The day's job from plan to report, in the order in which a person would do it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from Departments.core.errors import DepartmentsError
from Departments.core.plans import TradingPlan, plan_from, skip_documents
from Departments.Executive.ceo import CEO
from Departments.Executive.reporting.document import EXIT_CODES

Document = dict[str, Any]


def nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class DayOrder:
    """What the day's job starts from: a briefing (its message id), a plan document, or neither; and how far it goes.

    `prepare` is done right before planning, and not at all where nothing is to be planned. `force` allows a second
    execution on one day, of another plan.
    """

    briefing_message_id: str | None = None
    plan: Mapping[str, Any] | None = None
    dry_run: bool = False
    prepare: Callable[[], None] = nothing
    force: bool = False

    @property
    def takes_an_approved_plan(self) -> bool:
        """Tell whether a plan that was approved today is to be executed instead of making a new one."""
        return self.plan is None and self.briefing_message_id is None and not self.dry_run


class Audience(Protocol):
    """The person (or setting) the job is done for."""

    def see_plan(self, plan: TradingPlan, review: Mapping[str, Any]) -> None:
        """Be shown the plan before anything is sent."""
        ...

    def objection(self, plan: TradingPlan) -> str | None:
        """Say why the plan may not be executed; None when it may."""
        ...


class DayFailed(DepartmentsError):  # noqa: N818 - what the user is told
    """A step of the day's job could not be done."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def run_day(ceo: CEO, order: DayOrder, audience: Audience) -> Document:
    """Plan, review, approve, execute, report; return the final document.

    An execution that was interrupted is finished first and instead. A day that has had its execution, or a closed
    market, is said so and nothing is sent. A plan that was approved today and still holds is executed as it is.
    Raises DepartmentsError.
    """
    resumed = None if order.dry_run else ceo.resume()
    if resumed is not None:
        return resumed
    stop = None if order.dry_run else ceo.reason_not_to_trade(order.plan, force=order.force)
    if stop is not None:
        return not_executed(stop["status"], stop.get("plan_id"), stop["message"])
    approved = ceo.take_up_approved_plan() if order.takes_an_approved_plan else None
    if approved is not None:
        return _executed(ceo, approved, force=order.force)
    plan, review = _planned(ceo, order)
    audience.see_plan(plan, review)
    if order.dry_run:
        return ceo.preview(plan, force=order.force)
    objection = audience.objection(plan)
    if objection is not None:
        return not_executed("NOT_APPROVED", plan.plan_id, objection, plan)
    succeeded(ceo.approve_plan(plan.plan_id))
    return _executed(ceo, plan, force=order.force)


def _executed(ceo: CEO, plan: TradingPlan, *, force: bool) -> Document:
    answer = ceo.execute_plan(force=force)
    if "document" in answer:
        return dict(answer["document"])
    succeeded(answer)
    return not_executed(answer["status"], answer.get("plan_id"), answer["message"], plan)


def not_executed(status: str, plan_id: str | None, message: str, plan: TradingPlan | None = None) -> Document:
    """Return the document of a run that sent nothing; `message` says why."""
    return {
        "plan_id": plan_id,
        "status": status,
        "account": dict.fromkeys(("equity", "cash_before", "cash_after", "lowest_cash", "reserve")),
        "skipped": skip_documents(plan.skipped) if plan else [],
        "phases": [],
        "denied": [],
        "deferred": [],
        "unprotected": [],
        "cash_identity": {"holds": True, "difference": "0.00", "fees": "0.00"},
        "exit_code": EXIT_CODES.get(status, 1),
        "message": message,
    }


def _planned(ceo: CEO, order: DayOrder) -> tuple[TradingPlan, Mapping[str, Any]]:
    order.prepare()
    answer = succeeded(ceo.generate_plan(briefing_message_id=order.briefing_message_id, plan=order.plan))
    return plan_from(answer["plan"], "the plan of Operations"), answer["ceo_review"]


def succeeded(answer: Document) -> Document:
    """Return the CEO's answer. Raises DayFailed when it is an error."""
    if answer["status"] == "ERROR":
        raise DayFailed(str(answer["message"]), int(answer.get("exit_code", 1)))
    return answer
