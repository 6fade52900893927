"""What a day is asked for, who approves it, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from Departments.core.approvers import Approver
from Departments.core.errors import DepartmentsError
from Departments.core.plans import TradingPlan
from Departments.Executive.approvals import FiledPlan
from Departments.Executive.manual_orders import ManualOrder
from Departments.Executive.reporting.document import Document
from Departments.Executive.review import Outlook, Review
from Departments.messaging.payloads import Sizes


def prepare_nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class DayOrder:
    """The start of a day: a briefing (its message id), a plan document, or neither.

    A dry run ends with the decisions. `mandatory_sells` are holdings that a new plan must sell. `prepare` runs right
    before planning, if there is planning. `force` allows a second execution on one day, of another plan. An order
    `by_hand` is planned alone, and goes beside the day's plan. `briefing_at` is the briefing's own time. `sizes` says
    whether the sizes of a given plan are kept or made anew; `fill` adds candidates of the day's briefing to it.
    """

    briefing_message_id: str | None = None
    plan: Mapping[str, Any] | None = None
    dry_run: bool = False
    prepare: Callable[[], None] = prepare_nothing
    force: bool = False
    mandatory_sells: Any = ()
    by_hand: ManualOrder | None = None
    briefing_at: datetime | None = None
    sizes: Sizes = "keep"
    fill: bool = False

    @property
    def takes_an_approved_plan(self) -> bool:
        """Return True if a plan, or this order by hand, approved today comes before a new one."""
        return self.plan is None and self.briefing_message_id is None and not self.dry_run

    @property
    def takes_the_newest_briefing(self) -> bool:
        """Return True if Operations plans from what it finds, and may have a briefing made."""
        return self.takes_an_approved_plan and self.by_hand is None

    @property
    def heeds_people(self) -> bool:
        """Return True if no new plan takes the place of one that waits for a person."""
        return self.takes_the_newest_briefing and not self.force

    @property
    def plan_id(self) -> str | None:
        """Return the id of the given plan, None without one."""
        wanted = None if self.plan is None else self.plan.get("plan_id")
        return None if wanted is None else str(wanted)


class Audience(Protocol):
    """The person, or the setting, behind a day."""

    @property
    def approver(self) -> Approver:
        """Return the approver."""
        ...

    def see_plan(self, plan: TradingPlan, review: Mapping[str, Any]) -> None:
        """Look at the plan before anything is sent."""
        ...

    def objection(self, plan: TradingPlan) -> str | None:
        """Return why the plan may not be executed, or None."""
        ...


class DayFailed(DepartmentsError):  # noqa: N818 - the command's own word
    """A step of the day failed. `document` is the answer of the department that could not do it."""

    def __init__(self, message: str, exit_code: int = 1, document: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.document = document or {}


@dataclass(frozen=True, slots=True)
class ReviewedPlan:
    """A new plan with its outlook and its review."""

    filed: FiledPlan
    outlook: Outlook
    review: Review


@dataclass(frozen=True, slots=True)
class Executed:
    """An ended execution: its final document, and the file of its report."""

    plan_id: str
    document: Document
    report: Path
    by_hand: bool = False
