"""The one engine of planner, reviewer, sender and trader: it judges orders by every constraint. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cache

from Departments.constraints.amounts import must_settle
from Departments.constraints.case import Case, Circumstances, NotEvaluated, Stage
from Departments.constraints.limits import Limits
from Departments.constraints.table import CONSTRAINTS, Constraint
from Departments.core.facts import DeskFacts, Facts
from Departments.core.orders import Side
from Departments.core.plans import Trade
from Departments.core.reasons import Reason, ReasonCode


@dataclass(frozen=True, slots=True)
class Verdict:
    """The findings on one order. Without violations the order may go."""

    violations: tuple[Reason, ...] = ()
    warnings: tuple[Reason, ...] = ()
    not_evaluated: tuple[NotEvaluated, ...] = ()

    @property
    def passed(self) -> bool:
        """Return whether there is no violation."""
        return not self.violations

    @property
    def open_codes(self) -> frozenset[ReasonCode]:
        """Return the constraints that lack data."""
        return frozenset(gap.code for gap in self.not_evaluated)


@dataclass(frozen=True, slots=True)
class PlanVerdict:
    """The findings on a plan. `facts` are projected: every passed order has filled."""

    verdicts: tuple[tuple[Trade, Verdict], ...]
    facts: Facts

    @property
    def passed(self) -> bool:
        """Return whether no order has a violation."""
        return not self.violations

    @property
    def violations(self) -> tuple[tuple[Trade, Reason], ...]:
        """Return every violation with its order."""
        return tuple((order, reason) for order, verdict in self.verdicts for reason in verdict.violations)

    @property
    def warnings(self) -> tuple[tuple[Trade, Reason], ...]:
        """Return every warning with its order."""
        return tuple((order, reason) for order, verdict in self.verdicts for reason in verdict.warnings)

    @property
    def not_evaluated(self) -> tuple[NotEvaluated, ...]:
        """Return the unjudged constraints of every order."""
        return tuple(gap for _, verdict in self.verdicts for gap in verdict.not_evaluated)

    def list_evaluated(self, stage: Stage) -> frozenset[ReasonCode]:
        """Return the constraints of a stage that some order was judged by."""
        return frozenset(
            row.code
            for order, verdict in self.verdicts
            for row in _list_rows(order.side, stage)
            if row.code not in verdict.open_codes
        )


def check_order(order: Trade, facts: Facts, limits: Limits, stage: Stage) -> Verdict:
    """Judge one order on the facts before it."""
    case = Case(facts, limits, stage, order)
    tally = _Tally(stage, limits)
    for constraint in _list_rows(order.side, stage):
        tally.count(constraint, constraint.judge(case))
    return tally.verdict()


def find_violation(
    order: Trade, facts: Facts, limits: Limits, stage: Stage, ignored: frozenset[ReasonCode]
) -> Reason | None:
    """Return the first violation of one order whose code is not `ignored`, or None."""
    case = Case(facts, limits, stage, order)
    for constraint in _list_rows(order.side, stage):
        if constraint.code not in ignored:
            finding = constraint.judge(case)
            if finding is not None and (violation := _find_denial(constraint, finding, limits, stage)) is not None:
                return violation
    return None


@cache
def _list_rows(side: Side, stage: Stage) -> tuple[Constraint, ...]:
    return tuple(row for row in CONSTRAINTS if side in row.sides and stage in row.judged_at)


def _find_denial(constraint: Constraint, finding: Reason | NotEvaluated, limits: Limits, stage: Stage) -> Reason | None:
    """Return the reason for which a finding denies, None if it is a warning or less."""
    if isinstance(finding, NotEvaluated):
        return finding.reason() if limits.missing_data.of(constraint.group) == "deny" else None
    return finding if constraint.denies_at(stage) else None


def check_desk(facts: DeskFacts, limits: Limits, stage: Stage) -> Verdict:
    """Judge the whole desk, without an order."""
    circumstances = Circumstances(facts, limits, stage)
    tally = _Tally(stage, limits)
    for constraint in CONSTRAINTS:
        if constraint.desk_check is not None and stage in constraint.judged_at:
            tally.count(constraint, constraint.desk_check(circumstances))
    return tally.verdict()


@dataclass(slots=True)
class _Tally:
    stage: Stage
    limits: Limits
    violations: list[Reason] = field(default_factory=list)
    warnings: list[Reason] = field(default_factory=list)
    not_evaluated: list[NotEvaluated] = field(default_factory=list)

    def count(self, constraint: Constraint, finding: Reason | NotEvaluated | None) -> None:
        if finding is None:
            return
        denial = _find_denial(constraint, finding, self.limits, self.stage)
        if denial is not None:
            self.violations.append(denial)
        if isinstance(finding, NotEvaluated):
            self.not_evaluated.append(finding)
            if self.limits.missing_data.of(constraint.group) == "warn":
                self.warnings.append(finding.reason())
        elif denial is None:
            self.warnings.append(finding)

    def verdict(self) -> Verdict:
        return Verdict(tuple(self.violations), tuple(self.warnings), tuple(self.not_evaluated))


def check_plan(orders: Iterable[Trade], facts: Facts, limits: Limits, stage: Stage) -> PlanVerdict:
    """Judge a plan: SELLs first, then BUYs, each on the facts after the passed ones before it."""
    verdicts: list[tuple[Trade, Verdict]] = []
    for order in sorted(orders, key=lambda o: o.side is Side.BUY):
        verdict = check_order(order, facts, limits, stage)
        verdicts.append((order, verdict))
        if verdict.passed:
            facts = project(order, facts, limits)
    return PlanVerdict(tuple(verdicts), facts)


def project(order: Trade, facts: Facts, limits: Limits) -> Facts:
    """Project the facts: `order` fills at its price.

    The proceeds of a SELL count as unsettled if they must settle first. A SELL without a price frees no cash.
    """
    after = facts.after(order)
    if order.side is Side.BUY or not must_settle(limits):
        return after
    return replace(after, unsettled_cash=facts.unsettled_cash + after.cash - facts.cash)
