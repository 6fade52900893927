"""The final report of an execution: its text, the letters that carry it, the file that keeps it.

All of it comes from the ledger, so making it again gives the same text.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from Departments.core.money import ZERO
from Departments.core.orders import OrderStatus
from Departments.core.plans import TradingPlan, plan_from
from Departments.Executive.dispatches import outcome_message, report_message
from Departments.Executive.exposure import Exposure, exposures_of
from Departments.Executive.parts import ExecutiveParts
from Departments.Executive.reporting.document import final_document, lowest_cash_with_buys_first
from Departments.Executive.reporting.markdown import report_text
from Departments.ledger.files import write_atomically


@dataclass(frozen=True, slots=True)
class Reporter:
    """Reports executions of one workspace."""

    parts: ExecutiveParts

    def _document_and_text(self, plan: TradingPlan) -> tuple[dict[str, Any], str]:
        ledger, plan_id, unprotected = self.parts.ledger, plan.plan_id, self._unprotected(plan.plan_id)
        document, execution = final_document(ledger, plan, unprotected=unprotected), ledger.plans.execution(plan_id)
        before = execution.cash_before if execution else ZERO
        return document, report_text(
            document,
            lowest_with_buys_first=lowest_cash_with_buys_first(before, ledger.execution_fills(plan_id)),
            limits_hash=str(ledger.plans.limits_hash(plan_id) or ""),
            unprotected=list(map(str, unprotected)),
            regime=plan.regime,
            notes=plan.notes,
        )

    def send(self, plan: TradingPlan, equity_after: Decimal) -> None:
        """Enqueue the report, and for Regime what became of the day, inside the transaction that ends it."""
        p, plan_id, now = self.parts, plan.plan_id, self.parts.clock.now()
        document, text = self._document_and_text(plan)
        p.bus.enqueue(report_message(plan_id, text, document, now))
        execution = p.ledger.plans.execution(plan_id)
        if execution is not None:
            filled = sum(t.status == OrderStatus.FILLED for t in p.ledger.plans.trades(plan_id))
            change = equity_after - execution.equity
            p.bus.enqueue(outcome_message(plan_id, execution.started_at, filled, change, now))

    def write(self, plan: TradingPlan) -> tuple[dict[str, Any], Path]:
        """Write the report as it is sent; return the final document and the file.

        Raises BadInput when the folder cannot be written, LookupError for a plan that was never executed.
        """
        (document, text), path = self._document_and_text(plan), self._path(plan.plan_id)
        write_atomically(path, text)
        return document, path

    def write_missing(self) -> None:
        """Write what a kill between the end of an execution and its report left unwritten."""
        ended = [e.plan_id for e in self.parts.ledger.plans.executions() if e.ended_at is not None]
        if ended and not self._path(ended[-1]).exists():
            self.write(saved_plan(self.parts.ledger.plans.document(ended[-1]), ended[-1]))

    def _path(self, plan_id: str) -> Path:
        return self.parts.project_root / "Reports" / f"{plan_id}.md"

    def _unprotected(self, plan_id: str) -> list[Exposure]:
        return exposures_of(self.parts.ledger, plan_id) if self.parts.settings.exits.enabled else []


def saved_plan(document: dict[str, Any] | None, plan_id: str) -> TradingPlan:
    """Return the plan of a saved document. Raises LookupError where there is none."""
    if document is None:
        raise LookupError(f"the ledger has no document of {plan_id}")
    return plan_from(document, plan_id)
