"""What a form of the page does: one call of the function that the command line calls, and a sentence about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any, Generic, TypeVar

from Departments.bootstrap import Choices, Desk, open_desk
from Departments.core.errors import DepartmentsError
from Departments.core.halts import Halt
from Departments.core.logs import make_logger
from Departments.core.money import count_noun
from Departments.Executive.approvals import FiledPlan
from Departments.Executive.day_order import DayFailed, Executed
from Departments.Executive.desk_halts import begin_halt
from Departments.Executive.opinions import PlanChanged
from Departments.web.forms import (
    ApproveForm,
    CommentForm,
    HaltForm,
    PageForm,
    PlanForm,
    RejectForm,
    VetoForm,
    read_form,
)
from Departments.web.sessions import Session
from Departments.web.views import find_newest

AnyForm = TypeVar("AnyForm", bound=PageForm)
log = make_logger(__name__)


@dataclass(frozen=True, slots=True)
class Done:
    """The end of a deed, for the person: what happened, and where to look next; `tone` is `ok` or `warn`."""

    sentence: str
    path: str
    tone: str = "ok"


def approve(desk: Desk, session: Session, plan_id: str, form: ApproveForm) -> Done:
    """Approve the plan that was seen. A second click by the same person changes nothing.

    Raises PlanChanged if a newer plan was made meanwhile: the last one approved is the one that a run executes.
    """
    filed = desk.opinions.find_seen(plan_id, form.digest)
    newest = find_newest(desk, filed.plan)
    if newest != form.newest:
        raise PlanChanged(f"{newest} was made since you saw {plan_id}; nothing was done, look at both")
    names = [each["approved_by"] for each in desk.day.approvals.documents(filed.plan)]
    if session.who.name in names:
        return Done(f"{plan_id} was approved by you before; nothing has changed", f"/plans/{plan_id}")
    approved = desk.day.approve(plan_id, session.who, filed)
    return Done(approved.waits or f"{plan_id} is approved; departments run executes it", f"/plans/{plan_id}")


def veto(desk: Desk, session: Session, plan_id: str, form: VetoForm) -> Done:
    """Take one order out of the plan that was seen."""
    made = desk.opinions.veto(plan_id, form.symbol, session.who, form.comment, form.digest)
    left, advice = len(made.filed.plan.trades), made.review.recommendation
    checked = f"The rest was checked again: {count_noun(left, 'order')}, and the review says {advice}"
    found = f" ({made.review.concerns[0]})" if advice != "APPROVE" and made.review.concerns else ""
    said = f"{form.symbol} is out of the plan. {checked}{found}. Look at it before you approve"
    return Done(said, f"/plans/{plan_id}", "ok" if advice == "APPROVE" else "warn")


def comment(desk: Desk, session: Session, plan_id: str, form: CommentForm) -> Done:
    """Record a comment on the plan that was seen."""
    desk.opinions.comment(plan_id, session.who, form.comment, form.digest)
    return Done("Your comment is in the ledger", f"/plans/{plan_id}")


def reject(desk: Desk, session: Session, plan_id: str, form: RejectForm) -> Done:
    """Reject the plan that was seen."""
    desk.opinions.reject(plan_id, session.who, form.comment, form.digest)
    return Done(f"{plan_id} is rejected; nobody can approve it any more", f"/plans/{plan_id}")


def halt(desk: Desk, session: Session, _plan_id: str, form: HaltForm) -> Done:
    """Halt BUYs and SELLs, or BUYs alone."""
    wanted = Halt(form.scope, form.comment, session.who.name, desk.clock.now())
    begun = begin_halt(desk.ledger, desk.announcer, wanted)
    return Done(" ".join([f"{wanted.sentence}.", *begun.effects]).removesuffix("."), "/")


def unhalt(desk: Desk, session: Session, _plan_id: str, _form: PageForm) -> Done:
    """End the halt in force."""
    ended = desk.ledger.halts.end(session.who.name, desk.clock.now())
    return Done("Nothing is halted" if ended is None else f"Ended: {ended.sentence}", "/")


@dataclass(frozen=True, slots=True)
class Deed(Generic[AnyForm]):
    """A function and the form that it takes."""

    form: type[AnyForm]
    do: Callable[[Desk, Session, str, AnyForm], Done]

    def carry_out(self, desk: Desk, session: Session, plan_id: str, fields: dict[str, str]) -> Done:
        """Read the form and do what it asks for. Raises FormFault, and what the function raises."""
        return self.do(desk, session, plan_id, read_form(self.form, fields))


#: Deeds by the last part of their path.
OF_A_PLAN: Mapping[str, Deed[Any]] = {
    "approve": Deed(ApproveForm, approve),
    "veto": Deed(VetoForm, veto),
    "comment": Deed(CommentForm, comment),
    "reject": Deed(RejectForm, reject),
}
OF_THE_DESK: Mapping[str, Deed[Any]] = {"halt": Deed(HaltForm, halt), "unhalt": Deed(PageForm, unhalt)}


class Executions:
    """Executes an approved plan beside the page, one at a time. `said` is how the last one began or ended."""

    def __init__(self, workspace: Path, choices: Choices) -> None:
        self._workspace = workspace
        self._choices = choices
        self._thread: Thread | None = None
        self.said = ""

    @property
    def is_running(self) -> bool:
        """Return whether an execution goes on here."""
        return self._thread is not None and self._thread.is_alive()

    def begin(self, desk: Desk, _session: Session, plan_id: str, form: PlanForm) -> Done:
        """Execute the plan that was seen, if it is today's approved one; once only. Raises DayFailed."""
        run = desk.ledger.plans.execution(plan_id)
        if run is not None:
            so_far = "is being executed" if run.ended_at is None else f"was executed, and ended as {run.status}"
            return Done(f"{plan_id} {so_far}; a second click sends nothing", f"/reports/{plan_id}", "warn")
        if self.is_running:
            raise DayFailed(f"{self.said}; wait until that has ended")
        seen = desk.opinions.find_seen(plan_id, form.digest)
        approved = desk.day.approvals.find_approved_today()
        if approved is None or approved.plan.digest != seen.plan.digest:
            raise DayFailed(f"{plan_id} is not today's approved plan; nothing was sent")
        self.said = f"{plan_id} is being executed"
        self._thread = Thread(target=self._execute, args=(approved,), name=f"execution of {plan_id}", daemon=False)
        self._thread.start()
        return Done(f"{plan_id} is being executed", "/")

    def wait(self) -> None:
        """Wait for the execution to end."""
        if self._thread is not None:
            self._thread.join()

    def _execute(self, filed: FiledPlan) -> None:
        desk = open_desk(self._workspace, self._choices)
        try:
            end = desk.day.execute(filed)
            if isinstance(end, Executed):
                self.said = f"{end.plan_id} has ended: {end.document['status']}"
                desk.pages.write_after_day(end.plan_id)
            else:
                self.said = end.message
        except DepartmentsError as error:
            self.said = error.sentence
        except Exception as error:
            log.exception("the execution of %s failed", filed.plan.plan_id)
            self.said = f"an unexpected error ({type(error).__name__}); departments resume finishes what was begun"
        finally:
            desk.close()
