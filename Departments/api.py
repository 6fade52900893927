"""A small, stable way into the desk for programs: open it, plan, approve, run, look.

```python
from Departments.api import open_desk

with open_desk("C:/Trading") as desk:
    made = desk.plan()                       # nothing is sent
    desk.approve(made["plan"]["plan_id"])    # as a script
    print(desk.run()["status"])              # COMPLETED, ...
```

Every method returns the document that the command of that name prints with `--json`. Errors are of
`Departments.core.errors`: each has a `code`, a `sentence` for people and an `exit_code`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from Departments.bootstrap import Choices, Desk
from Departments.bootstrap import open_desk as _open
from Departments.commands.inputs import make_clock, read_day_order
from Departments.commands.options import check_workspace
from Departments.commands.plan import describe_approval
from Departments.commands.run import audience_of
from Departments.commands.status import take_look
from Departments.core.approvers import SCRIPT
from Departments.core.platform.places import locate

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class OpenDesk:
    """An open desk. It is one process's: keep it open for one task, and close it."""

    desk: Desk

    def plan(self, briefing: Path | str | None = None) -> Document:
        """Make a plan from the day's briefing, or from a file. Nothing is sent. Raises BadInput, DayFailed."""
        path = None if briefing is None else Path(briefing)
        made = self.desk.day.plan(read_day_order(self.desk, path, None, dry_run=True))
        return {"plan": made.filed.document, "review": made.review.document(), **made.outlook.document()}

    def approve(self, plan_id: str) -> Document:
        """Approve a plan as a script; it does not count as a person. Raises DayFailed, ApprovalRefused."""
        return describe_approval(self.desk.day.approve(plan_id, SCRIPT))

    def run(self, *, approve: bool = False) -> Document:
        """Execute today's approved plan, or with `approve` make and execute one. Raises DayFailed, BrokerError."""
        order = read_day_order(self.desk, None, None, dry_run=False)
        found: Document = dict(self.desk.day.run(order, audience_of("auto" if approve else "ask", as_json=True)))
        return found

    def status(self) -> Document:
        """Return what runs, what is held and what needs a person. Nothing is sent or changed."""
        return take_look(self.desk).document()


@contextmanager
def open_desk(workspace: Path | str, *, broker: str | None = None, at: str | None = None) -> Iterator[OpenDesk]:
    """Open the desk of a workspace; `broker` and `at` are the options of that name. Raises BadInput."""
    folder = Path(workspace)
    check_workspace(folder)
    desk = _open(locate(folder), Choices(clock=make_clock(at), broker=broker))
    try:
        yield OpenDesk(desk)
    finally:
        desk.close()
