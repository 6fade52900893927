"""What a person does with a plan besides approving it: take orders out, comment, reject."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from Departments.core.approvers import Approver
from Departments.core.errors import BadInput
from Departments.core.moments import iso, show_moment
from Departments.core.orders import Side
from Departments.core.plans import SkippedTrade, TradingPlan
from Departments.core.platform.clock import Clock
from Departments.core.reasons import Reason, ReasonCode
from Departments.Executive.approvals import FiledPlan
from Departments.Executive.day_order import DayFailed, ReviewedPlan
from Departments.ledger.ledger import Ledger
from Departments.ledger.opinion_records import Opinion, OpinionKind
from Departments.messaging.plan_documents import READY, plan_document
from Departments.messaging.plan_stages import REVIEW

LONGEST_COMMENT: Final = 300  # characters; it stands in tables and reports
#: What a plan document says of approvals and ratings; it goes when the plan changes.
_OF_THE_PLAN_BEFORE: Final = ("approved_at", "approved_by", "approvals", "workflow_summary", "stage_quality", REVIEW)


class PlanChanged(DayFailed):
    """The plan is another one than the person has seen."""


@dataclass(frozen=True, slots=True)
class Opinions:
    """Records opinions, with their effect on the plan. `review` reviews a plan on the account of now."""

    ledger: Ledger
    clock: Clock
    limits_hash: str
    find: Callable[[str], FiledPlan]
    review: Callable[[FiledPlan], ReviewedPlan]

    def find_seen(self, plan_id: str, digest: str | None = None) -> FiledPlan:
        """Return a plan if it is the one that was seen, by its digest (None: whatever it is).

        Raises BadInput for an unknown one, PlanChanged for another one.
        """
        filed = self.find(plan_id)
        if digest is not None and filed.plan.digest != digest:
            raise PlanChanged(f"{plan_id} has changed since you saw it; nothing was done, look at it again")
        return filed

    def veto(
        self, plan_id: str, symbol: str, approver: Approver, comment: str = "", digest: str | None = None
    ) -> ReviewedPlan:
        """Take a symbol's order out of a plan, and review the rest. Approvals of the plan before count no more.

        Raises DayFailed for an executed or rejected plan, PlanChanged, and BadInput for a symbol without an order.
        """
        filed = self._find_open(plan_id, digest)
        if not any(trade.symbol == symbol for trade in filed.plan.trades):
            named = ", ".join(trade.symbol for trade in filed.plan.trades) or "none"
            raise BadInput("SYMBOL", "", f"{plan_id} has no order of {symbol}", f"its orders are {named}")
        opinion = self._make(OpinionKind.VETO, filed.plan, approver, comment, symbol)
        made = self.review(_take_out(filed, opinion))
        plans, now = self.ledger.plans, self.clock.now()
        with self.ledger.transaction():
            self._find_open(plan_id, filed.plan.digest)  # meanwhile a run may have begun, or somebody else decided
            self.ledger.opinions.add(plan_id, opinion)
            plans.withdraw_approval(plan_id)
            plans.save(made.filed.document, self.limits_hash_of(filed), now, by_hand=filed.plan.by_hand)
        return made

    def limits_hash_of(self, filed: FiledPlan) -> str:
        """Return the fingerprint of the limits that a plan was made under."""
        return filed.plan.limits_hash or self.limits_hash

    def comment(self, plan_id: str, approver: Approver, comment: str, digest: str | None = None) -> Opinion:
        """Record a comment on a plan. Raises DayFailed, PlanChanged, and BadInput for an empty one."""
        filed = self.find_seen(plan_id, digest)
        opinion = self._make(OpinionKind.COMMENT, filed.plan, approver, comment)
        if not opinion.comment:
            raise BadInput("TEXT", "", "the comment is empty", "write a word")
        with self.ledger.transaction():
            self.ledger.opinions.add(plan_id, opinion)
        return opinion

    def reject(self, plan_id: str, approver: Approver, comment: str = "", digest: str | None = None) -> Opinion:
        """Reject a plan: nobody can approve it any more. Raises as `veto` does."""
        filed = self._find_open(plan_id, digest)
        opinion = self._make(OpinionKind.REJECTION, filed.plan, approver, comment)
        with self.ledger.transaction():
            self._find_open(plan_id, filed.plan.digest)
            self.ledger.opinions.add(plan_id, opinion)
            self.ledger.plans.withdraw_approval(plan_id)
        return opinion

    def _find_open(self, plan_id: str, digest: str | None) -> FiledPlan:
        filed, rejection = self.find_seen(plan_id, digest), self.ledger.opinions.find_rejection(plan_id)
        run = self.ledger.plans.execution(plan_id)
        if run is not None and run.ended_at is None:
            begun = f"the execution of {plan_id} began {show_moment(run.started_at)}"
            raise DayFailed(f"{begun}; departments halt stops what it has not sent yet")
        if run is not None:
            mend = f"departments report {plan_id} shows its orders, departments order trades back by hand"
            raise DayFailed(f"{plan_id} was executed and ended as {run.status}; {mend}")
        if rejection is not None:
            raise DayFailed(f"{plan_id} is rejected already: {rejection.sentence}")
        return filed

    def _make(
        self, kind: OpinionKind, plan: TradingPlan, approver: Approver, comment: str, symbol: str = ""
    ) -> Opinion:
        words = " ".join(comment.split())
        if len(words) > LONGEST_COMMENT:
            raise BadInput("--comment", "", f"it has {len(words)} characters", f"write at most {LONGEST_COMMENT}")
        return Opinion(kind, approver.name, self.clock.now(), approver.place, plan.digest, symbol, words)


def _take_out(filed: FiledPlan, veto: Opinion) -> FiledPlan:
    """Return a plan with a vetoed symbol among its skips; other programs' keys of the document stay."""
    said = f": {veto.comment}" if veto.comment else ""
    line = f"Skipped {veto.symbol} - vetoed by {veto.said_by}{said}"
    skip = SkippedTrade(veto.symbol, Reason.of(ReasonCode.VETOED_BY, by=veto.said_by, at=iso(veto.said_at)), line)
    plan = replace(
        filed.plan,
        trades=tuple(trade for trade in filed.plan.trades if trade.symbol != veto.symbol),
        skipped=(*filed.plan.skipped, skip),
        deployment=_deploy_without(filed.plan, veto.symbol),
    )
    written = plan_document(plan)
    kept = {key: value for key, value in filed.document.items() if key not in _OF_THE_PLAN_BEFORE}
    rows = [row for row in filed.document["trades"] if str(row.get("ticker")) != veto.symbol]
    changed = {key: written[key] for key in ("skipped", "summary", "made_from")}
    return FiledPlan(plan, {**kept, **changed, "trades": rows, "status": READY})


def _deploy_without(plan: TradingPlan, symbol: str) -> Decimal | None:
    """Return the deployment of a plan without the order of a symbol, None where it is unknown."""
    trade = next(t for t in plan.trades if t.symbol == symbol)
    if plan.deployment is None or trade.notional is None or not plan.equity:
        return None
    share = trade.notional / plan.equity
    return plan.deployment - share if trade.side is Side.BUY else plan.deployment + share
