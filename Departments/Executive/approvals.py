"""The plans on file: in the ledger, and as `proposed_trades_<date>.json` once they are approved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

from Departments.constraints.checks.timing import describe_need
from Departments.core.approvers import Approver, Consent, user_of
from Departments.core.documents import json_text
from Departments.core.errors import BadInput, DepartmentsError
from Departments.core.identifiers import manual_plan_id
from Departments.core.logs import make_logger
from Departments.core.moments import iso
from Departments.core.plans import TradingPlan
from Departments.core.platform.atomic_files import write_atomically
from Departments.core.platform.clock import Clock
from Departments.core.platform.rights import Rights
from Departments.core.platform.text_files import read_json
from Departments.core.trading_calendar import trading_day
from Departments.Executive.manual_orders import ManualOrder
from Departments.ledger.executive_records import PlanRecords
from Departments.ledger.ledger import Ledger
from Departments.ledger.plan_records import ApprovalRecord
from Departments.messaging.plan_documents import READY, plan_from

log = make_logger(__name__)

APPROVED = "APPROVED_BY_USER"
NAMED = 5  # plans that a wrong id is answered with
EDITED = "To trade the changed file: departments run --plan {}"


class ApprovalRefused(DepartmentsError):  # noqa: N818 - the user's word
    """This approver may not approve this plan."""


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
class Approved:
    """A plan with a new approval, and the file of the day.

    While a second person must approve there is no file, and `waits` is the sentence about it. An order by hand has
    none.
    """

    filed: FiledPlan
    path: Path | None
    waits: str = ""


@dataclass(frozen=True, slots=True)
class Approvals:
    """Keeps plans and their approvals. `limits_hash` is the fingerprint of the limits in force.

    Above `four_eyes_above` dollars two persons must approve; None asks for no second one. `ahead` is how far the
    broker's clock is known to be ahead of ours: an approval has the broker's time.
    """

    folder: Path
    ledger: Ledger
    limits_hash: str
    clock: Clock
    rights: Rights
    four_eyes_above: Decimal | None = None
    ahead: Callable[[], timedelta] = timedelta

    def find(self, plan_id: str) -> FiledPlan | None:
        """Return a plan of the ledger, or None."""
        document = self.ledger.plans.document(plan_id)
        return None if document is None else FiledPlan(_read_plan(self.ledger.plans, document), document)

    def find_known(self, plan_id: str) -> FiledPlan:
        """Return a plan of the ledger. Raises BadInput for an unknown one; it names the newest."""
        filed = self.find(plan_id)
        if filed is not None:
            return filed
        newest = ", ".join(reversed([known for known, _ in self.ledger.plans.list_days()][-NAMED:]))
        mend = f"name one of {newest}" if newest else "make one: departments plan"
        raise BadInput("plan", plan_id, "there is no such plan", mend)

    def find_approved_today(self, by_hand: ManualOrder | None = None) -> FiledPlan | None:
        """Return the last plan, or this order `by_hand`, approved on this trading day.

        Returns None if there is none, or it was executed, or changed since.
        """
        day = trading_day(self.clock.now())
        documents = self.ledger.plans.list_approved(day, by_hand=by_hand is not None)
        found = (FiledPlan(_read_plan(self.ledger.plans, document), document) for document in documents)
        filed = next((f for f in found if by_hand is None or by_hand.is_in(f.plan)), None)
        if filed is None or self._list(filed.plan):
            return filed
        log.warning("%s changed after its approval; the approval does not count", filed.plan.plan_id)
        return None

    def find_waiting(self) -> tuple[TradingPlan, str] | None:
        """Return the day's newest plan and why it waits, if a person has vetoed, rejected or half approved it."""
        plans = self.ledger.plans
        newest = plans.find_newest(trading_day(self.clock.now()))
        if newest is None or plans.execution(newest) is not None or plans.approved_at(newest) is not None:
            return None
        plan = load_plan(plans, newest)
        said = [each.sentence for each in self.ledger.opinions.find(plan.plan_id) if each.is_decision]
        said += [f"{each.approved_by} approved it, and two must" for each in self._list(plan)]
        if not said or not plan.trades:
            return None
        mend = f"departments approve {plan.plan_id} approves it, departments run --force makes another plan"
        return plan, f"{plan.plan_id} waits for a person: {'; '.join(said)}; {mend}"

    def note_edits(self, filed: FiledPlan) -> FiledPlan:
        """Return an approved plan, with a note if the file of the day holds another one: the ledger's counts."""
        path = self._days_file()
        if filed.plan.by_hand or not path.exists():
            return filed
        try:
            if plan_from(read_json(path), path.name).digest == filed.plan.digest:
                return filed
            problem = "differs from the approved plan"
        except BadInput as error:
            problem = f"cannot be read as a plan ({error.problem})"
        plan_id = filed.plan.plan_id
        note = f"{path.name} {problem}; the ledger's {plan_id} counts. {EDITED.format(path)}"
        log.warning("%s", note)
        notes = [*filed.plan.notes, note]
        return FiledPlan(replace(filed.plan, notes=tuple(notes)), {**filed.document, "notes": notes})

    def _days_file(self) -> Path:
        return self.folder / f"proposed_trades_{trading_day(self.clock.now()).isoformat()}.json"

    def name_order(self) -> str:
        """Return a new plan id for an order by hand."""
        now, plans = self.clock.now(), self.ledger.plans
        return next(name for n in count(1) if plans.document(name := manual_plan_id(now, n)) is None)

    def find_unfinished(self) -> TradingPlan | None:
        """Return the plan of an interrupted execution, or None."""
        unfinished = self.ledger.plans.find_unfinished()
        return None if unfinished is None else load_plan(self.ledger.plans, unfinished.plan_id)

    def count(self, plan: TradingPlan, amount: Decimal | None) -> Consent:
        """Return the approvals of this very plan, which trades `amount` dollars."""
        return Consent.of((a.approved_by for a in self._list(plan)), amount, self.four_eyes_above)

    def documents(self, plan: TradingPlan) -> list[dict[str, str]]:
        """Return the approvals of this very plan, as they are in documents."""
        return approval_documents(self._list(plan))

    def approve(self, filed: FiledPlan, approver: Approver, amount: Decimal | None = None) -> Approved:
        """Record an approval of a plan that trades `amount` dollars. The last one needed writes the file of the day.

        Raises ApprovalRefused, also for a plan that was executed.
        """
        if self.ledger.plans.has_trades(filed.plan.plan_id):
            raise ApprovalRefused(f"{filed.plan.plan_id} was executed; an approval changes nothing any more")
        with self.ledger.transaction():
            self._refuse_forbidden(filed.plan)
            consent = _add_person(filed.plan.plan_id, approver, self.count(filed.plan, amount))
            approved = self._record(filed, approver, is_enough=not consent.is_lacking)
        if consent.is_lacking:
            return Approved(approved, None, _describe_wait(filed.plan.plan_id, approver, consent))
        if approved.plan.by_hand:
            return Approved(approved, None)  # the file is the day's plan
        path = self._days_file()
        write_atomically(path, json_text(approved.document) + "\n", self.rights)
        return Approved(approved, path)

    def keep(self, filed: FiledPlan, approver: Approver) -> None:
        """Save an approved plan unless the ledger has this very document: a script may have changed it since.

        A plan without an approval is the decision of `approver`. Raises ApprovalRefused for a rejected or vetoed one.
        """
        plans = self.ledger.plans
        with self.ledger.transaction(durable=False):  # the first phase is, before anything of it is sent
            self._refuse_forbidden(filed.plan)
            if not self._list(filed.plan):
                self._record(filed, approver, is_enough=True)
            elif plans.document(filed.plan.plan_id) != filed.document:
                plans.save(filed.document, self.limits_hash, self.clock.now(), by_hand=filed.plan.by_hand)

    def _refuse_forbidden(self, plan: TradingPlan) -> None:
        """Raise ApprovalRefused for a plan that a person has rejected, or one with an order that was taken out."""
        said = self.ledger.opinions.find_objection(plan.plan_id, plan.symbols)
        if said is not None:
            mend = "make a new plan" if said.symbol == "" else f"look at {plan.plan_id} again"
            raise ApprovalRefused(f"{plan.plan_id} may not be traded: {said.sentence}; {mend}")

    def _record(self, filed: FiledPlan, approver: Approver, *, is_enough: bool) -> FiledPlan:
        """Save plan and approval, the last one if it `is_enough`. Returns the plan as it is saved."""
        plans, plan, now = self.ledger.plans, filed.plan, self.clock.now() + self.ahead()
        record = ApprovalRecord(approver.name, now, approver.place, self.limits_hash, plan.digest)
        others = [a for a in self._list(plan) if a.approved_by != record.approved_by]
        approvals = sorted([*others, record], key=lambda a: (a.approved_at, a.approved_by))
        names = ", ".join(a.approved_by for a in approvals)
        stage = {"status": APPROVED, "approved_at": iso(now)} if is_enough else {"status": READY}
        kept = {key: value for key, value in filed.document.items() if key != "approved_at"}
        document = {**kept, **stage, "approved_by": names, "approvals": approval_documents(approvals)}
        plans.save(document, self.limits_hash, now, by_hand=plan.by_hand)
        plans.add_approval(plan.plan_id, record)
        if is_enough:
            plans.approve(plan.plan_id, now)
        return FiledPlan(plan, document)

    def _list(self, plan: TradingPlan) -> list[ApprovalRecord]:
        return self.ledger.plans.approvals(plan.plan_id, plan.digest)


def _add_person(plan_id: str, approver: Approver, before: Consent) -> Consent:
    """Count an approver in. Raises ApprovalRefused for one who is no person, or counts already, where two must."""
    user = user_of(approver.name)
    if before.needs_two and user is None:
        raise ApprovalRefused(
            f"{plan_id} is not approved: {describe_need(before)}; {approver.name} does not count as a person"
        )
    if before.needs_two and user in before.users:
        raise ApprovalRefused(f"{approver.name} has approved {plan_id} already; another user must approve it")
    return replace(before, users=before.users | ({user} if user else set()))


def _describe_wait(plan_id: str, approver: Approver, consent: Consent) -> str:
    what = f"departments approve {plan_id} ({describe_need(consent)})"
    return f"{plan_id} is approved by {approver.name}; a second person must approve: {what}"


def approval_documents(approvals: Iterable[ApprovalRecord]) -> list[dict[str, str]]:
    """Return approvals as they are in documents: who, when, from where, under which limits."""
    return [
        {
            "approved_by": approval.approved_by,
            "approved_at": iso(approval.approved_at),
            "approved_from": str(approval.place),
            "limits_hash": approval.limits_hash,
        }
        for approval in approvals
    ]


def load_plan(plans: PlanRecords, plan_id: str) -> TradingPlan:
    """Return a plan of the ledger. Raises LookupError where there is none."""
    document = plans.document(plan_id)
    if document is None:
        raise LookupError(f"the ledger has no document of {plan_id}")
    return _read_plan(plans, document)


def _read_plan(plans: PlanRecords, document: Mapping[str, Any]) -> TradingPlan:
    plan_id = str(document["plan_id"])
    return replace(plan_from(document, plan_id), by_hand=plans.is_by_hand(plan_id))
