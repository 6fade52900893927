"""What a form of the page does: one call of the function that the command line calls, and a sentence about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from Departments.bootstrap import Choices, Desk, open_desk
from Departments.core.errors import DepartmentsError
from Departments.core.halts import Halt, HaltScope, read_reason
from Departments.core.logs import make_logger
from Departments.Executive.approvals import FiledPlan
from Departments.Executive.day_order import DayFailed, Executed
from Departments.web.sessions import Session

log = make_logger(__name__)


@dataclass(frozen=True, slots=True)
class Done:
    """The end of a deed, for the person: what happened, and where to look next; `tone` is `ok` or `warn`."""

    sentence: str
    path: str
    tone: str = "ok"


Form = Mapping[str, str]


def approve(desk: Desk, session: Session, plan_id: str, form: Form) -> Done:
    """Approve the plan that was seen. A second click by the same person changes nothing."""
    filed = desk.opinions.find_seen(plan_id, form.get("digest", ""))
    names = [each["approved_by"] for each in desk.day.approvals.documents(filed.plan)]
    if session.who.name in names:
        return Done(f"{plan_id} was approved by you before; nothing has changed", f"/plans/{plan_id}")
    approved = desk.day.approve(plan_id, session.who)
    return Done(approved.waits or f"{plan_id} is approved; departments run executes it", f"/plans/{plan_id}")


def veto(desk: Desk, session: Session, plan_id: str, form: Form) -> Done:
    """Take one order out of the plan that was seen."""
    symbol = form.get("symbol", "")
    made = desk.opinions.veto(plan_id, symbol, session.who, form.get("comment", ""), form.get("digest", ""))
    left, advice = len(made.filed.plan.trades), made.review.recommendation
    checked = f"The rest was checked again: {left} orders, and the review says {advice}"
    found = f" ({made.review.concerns[0]})" if advice != "APPROVE" and made.review.concerns else ""
    said = f"{symbol} is out of the plan. {checked}{found}. Look at it before you approve"
    return Done(said, f"/plans/{plan_id}", "ok" if advice == "APPROVE" else "warn")


def comment(desk: Desk, session: Session, plan_id: str, form: Form) -> Done:
    """Record a comment on the plan that was seen."""
    desk.opinions.comment(plan_id, session.who, form.get("comment", ""), form.get("digest", ""))
    return Done("Your comment is in the ledger", f"/plans/{plan_id}")


def reject(desk: Desk, session: Session, plan_id: str, form: Form) -> Done:
    """Reject the plan that was seen."""
    desk.opinions.reject(plan_id, session.who, form.get("comment", ""), form.get("digest", ""))
    return Done(f"{plan_id} is rejected; nobody can approve it any more", f"/plans/{plan_id}")


def halt(desk: Desk, session: Session, _plan_id: str, form: Form) -> Done:
    """Halt BUYs and SELLs, or BUYs alone."""
    try:
        reason = read_reason(form.get("comment", ""))
    except ValueError as error:
        raise DayFailed(f"nothing was done: {error}") from error
    scope = HaltScope.BUYS if form.get("scope") == "buys" else HaltScope.ALL
    wanted = Halt(scope, reason, session.who.name, desk.clock.now())
    desk.ledger.halts.begin(wanted)
    return Done(f"{wanted.sentence}. Open orders stay at the broker", "/")


def unhalt(desk: Desk, session: Session, _plan_id: str, _form: Form) -> Done:
    """End the halt in force."""
    ended = desk.ledger.halts.end(session.who.name, desk.clock.now())
    return Done("Nothing is halted" if ended is None else f"Ended: {ended.sentence}", "/")


#: Deeds by the last part of their path.
OF_A_PLAN: Mapping[str, Callable[[Desk, Session, str, Form], Done]] = {
    "approve": approve,
    "veto": veto,
    "comment": comment,
    "reject": reject,
}
OF_THE_DESK: Mapping[str, Callable[[Desk, Session, str, Form], Done]] = {"halt": halt, "unhalt": unhalt}


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

    def begin(self, desk: Desk, _session: Session, plan_id: str, form: Form) -> Done:
        """Execute the plan that was seen, if it is today's approved one. Raises DayFailed."""
        if self.is_running:
            raise DayFailed("an execution goes on already; wait until it ends")
        seen = desk.opinions.find_seen(plan_id, form.get("digest", ""))
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
