"""The plans on file: in the ledger, and as `proposed_trades_<date>.json` once they are approved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from Departments.core.documents import json_text
from Departments.core.moments import iso
from Departments.core.plans import TradingPlan
from Departments.core.platform.clock import Clock
from Departments.core.trading_calendar import trading_day
from Departments.ledger.files import write_atomically
from Departments.ledger.ledger import Ledger
from Departments.ledger.plan_records import PlanRecords
from Departments.messaging.plan_documents import plan_from

APPROVED = "APPROVED_BY_USER"


@dataclass(frozen=True, slots=True)
class FiledPlan:
    """A plan with its document. The document keeps the keys of other writers."""

    plan: TradingPlan
    document: Mapping[str, Any]

    @classmethod
    def read(cls, document: Mapping[str, Any], source: str) -> FiledPlan:
        """Read a plan's document. Raises BadInput naming source and key."""
        return cls(plan_from(document, source), document)


@dataclass(frozen=True, slots=True)
class Approvals:
    """Keeps plans and their approvals. `limits_hash` is the fingerprint of the limits in force."""

    folder: Path
    ledger: Ledger
    limits_hash: str
    clock: Clock

    def find(self, plan_id: str) -> FiledPlan | None:
        """Return a plan of the ledger, or None."""
        document = self.ledger.plans.document(plan_id)
        return None if document is None else FiledPlan.read(document, plan_id)

    def find_approved_today(self) -> FiledPlan | None:
        """Return the last plan approved on this trading day, unless it was executed."""
        document = self.ledger.plans.find_approved(trading_day(self.clock.now()))
        return None if document is None else FiledPlan.read(document, str(document["plan_id"]))

    def find_unfinished(self) -> TradingPlan | None:
        """Return the plan of an interrupted execution, or None."""
        unfinished = self.ledger.plans.find_unfinished()
        return None if unfinished is None else load_plan(self.ledger.plans, unfinished.plan_id)

    def approve(self, filed: FiledPlan) -> tuple[FiledPlan, Path]:
        """Save a plan as approved now; return it and the file of the day."""
        now = self.clock.now()
        approved = FiledPlan(filed.plan, {**filed.document, "status": APPROVED, "approved_at": iso(now)})
        self._save(approved)
        path = self.folder / f"proposed_trades_{trading_day(now).isoformat()}.json"
        write_atomically(path, json_text(approved.document) + "\n")
        return approved, path

    def keep(self, filed: FiledPlan) -> None:
        """Save an approved plan unless the ledger has this very document: a script may have changed it since."""
        if self.ledger.plans.document(filed.plan.plan_id) != filed.document:
            self._save(filed)

    def _save(self, filed: FiledPlan) -> None:
        plans, now = self.ledger.plans, self.clock.now()
        with self.ledger.transaction():
            plans.save(filed.document, self.limits_hash, now)
            plans.approve(filed.plan.plan_id, now)


def load_plan(plans: PlanRecords, plan_id: str) -> TradingPlan:
    """Return a plan of the ledger. Raises LookupError where there is none."""
    document = plans.document(plan_id)
    if document is None:
        raise LookupError(f"the ledger has no document of {plan_id}")
    return plan_from(document, plan_id)
