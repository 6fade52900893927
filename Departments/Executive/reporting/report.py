"""The final report of an execution: the document, its text, the file that keeps it.

All of it comes from the ledger, so making it again gives the same text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from Departments.core.money import ZERO, plain
from Departments.core.plans import TradingPlan
from Departments.core.platform.atomic_files import write_atomically
from Departments.core.platform.rights import Rights
from Departments.core.statuses import ExecutionStatus, PhaseName
from Departments.Executive.approvals import load_plan
from Departments.Executive.reporting.document import final_document, orders_by_hand
from Departments.Executive.reporting.issues import find_issues
from Departments.Executive.reporting.markdown import LATER_ORDERS, manual_lines, report_text
from Departments.Executive.reporting.run_cash import lowest_cash_with_buys_first
from Departments.ledger.ledger import Ledger
from Departments.ledger.plan_records import ExecutionRecord
from Departments.ledger.unprotected import Stretch, stretches
from Departments.messaging.admission import UNPROVEN_WARNING, Instructions


@dataclass(frozen=True, slots=True)
class Report:
    """The final report of an execution: for programs, and for people in Markdown."""

    document: dict[str, Any]
    text: str


@dataclass(frozen=True, slots=True)
class Reporter:
    """Reports executions into `folder`. Where no `exits_wanted`, unprotected shares are no news.

    `instructions` is the evidence that Trading asks of an instruction.
    """

    ledger: Ledger
    folder: Path
    exits_wanted: bool
    rights: Rights
    instructions: Instructions = "decided"

    def report(self, plan: TradingPlan) -> Report:
        """Make the report from the ledger. Raises LookupError for a plan never executed."""
        ledger, plan_id = self.ledger, plan.plan_id
        unprotected = unprotected_stretches(ledger, plan_id) if self.exits_wanted else []
        document = final_document(ledger, plan, instructions=self.instructions, unprotected=unprotected)
        execution = ledger.plans.execution(plan_id)
        if execution is not None and execution.status is not ExecutionStatus.COMPLETED:  # else it ended without any
            document = find_issues(ledger, plan_id).add_to(document)
        before = execution.cash_before if execution else ZERO
        text = report_text(
            document,
            lowest_with_buys_first=lowest_cash_with_buys_first(before, ledger.execution_fills(plan_id)),
            limits_hash=str(ledger.plans.limits_hash(plan_id) or ""),
            unprotected=list(map(stretch_text, unprotected)),
            regime=plan.regime,
            notes=[*([f"{UNPROVEN_WARNING}."] if self.instructions == "unproven" else []), *plan.notes],
        )
        return Report(document, text)

    def add_issues(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Return the document of a run without an execution, with the issues that no report has named."""
        return find_issues(self.ledger).add_to(document)

    def write(self, plan_id: str, report: Report) -> Path:
        """Write the report as it was sent; return the file. Raises BadInput when the folder cannot be written.

        The report of an order by hand is added to that of the day's plan, which may have been written before.
        """
        path = self._path(plan_id)
        self._amend_days_report(plan_id)
        write_atomically(path, report.text, self.rights)
        return path

    def write_missing(self) -> TradingPlan | None:
        """Write the last report if a kill came between the execution's end and the file; return its plan."""
        ended = [e for e in self.ledger.plans.executions() if e.ended_at is not None]
        if not ended or self._is_written(ended[-1]):
            return None
        plan = load_plan(self.ledger.plans, ended[-1].plan_id)
        self.write(plan.plan_id, self.report(plan))
        return plan

    def _amend_days_report(self, plan_id: str) -> None:
        """Name the orders by hand that came after the day's plan at the end of its report."""
        plans, order = self.ledger.plans, self.ledger.plans.execution(plan_id)
        if order is None or not order.by_hand:
            return
        for day in (e for e in plans.executions(order.trading_day) if not e.by_hand and e.ended_at is not None):
            path = self._path(day.plan_id)
            later = orders_by_hand(self.ledger, day.trading_day, since=day.ended_at)
            if later and path.exists():
                before = path.read_text(encoding="utf-8").partition(f"\n{LATER_ORDERS}\n")[0]
                write_atomically(path, "\n".join([before, LATER_ORDERS, "", *manual_lines(later), ""]), self.rights)

    def _is_written(self, run: ExecutionRecord) -> bool:
        """Return whether the file of a plan tells of an attempt."""
        path = self._path(run.plan_id)
        if run.attempt == 1 or not path.exists():
            return path.exists()
        return f"**Attempt {run.attempt}**: " in path.read_text(encoding="utf-8", errors="replace")

    def _path(self, plan_id: str) -> Path:
        return self.folder / f"{plan_id}.md"


def unprotected_stretches(ledger: Ledger, plan_id: str) -> list[Stretch]:
    """Return every stretch of an execution with shares without live exits, by symbol and time.

    Shares without exits before count from the start, as far as PROTECT found them in the account.
    """
    run = ledger.plans.execution(plan_id)
    if run is None:
        return []
    courses = _unprotected_before(ledger, run)
    for change in ledger.unprotected.changes_since(run.started_at):
        if run.is_running_at(change.at):
            course = courses.setdefault(change.symbol, {})
            course[change.at] = course.get(change.at, ZERO) + change.qty
    return [
        stretch
        for symbol, course in sorted(courses.items())
        for stretch in stretches(symbol, sorted((at, qty) for at, qty in course.items() if qty))
    ]


def _unprotected_before(ledger: Ledger, run: ExecutionRecord) -> dict[str, dict[datetime, Decimal]]:
    """Return the unprotected shares at the start, as the first change of each symbol."""
    before = {row.symbol: row.qty for row in ledger.unprotected.find_all()}
    for change in ledger.unprotected.changes_since(run.started_at):
        before[change.symbol] = before.get(change.symbol, ZERO) - change.qty
    trades = ledger.plans.trades(run.plan_id, PhaseName.PROTECT)
    found = {t.symbol: t.planned_qty for t in trades if t.attempt == run.attempt}
    return {symbol: {run.started_at: min(qty, before.get(symbol, ZERO))} for symbol, qty in found.items()}


def stretch_text(stretch: Stretch) -> str:
    """Return the sentence about a stretch without live exits."""
    what = f"{stretch.symbol}: {plain(stretch.qty)} shares had no live exits from {stretch.since:%H:%M:%S}"
    if stretch.until is None:
        return f"{what} UTC on, and have none now"
    return f"{what} to {stretch.until:%H:%M:%S} UTC ({(stretch.until - stretch.since).total_seconds():.0f} s)"
