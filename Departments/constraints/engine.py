"""Judge orders by every constraint: the one engine that planner, reviewer, sender and trader call."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from Departments.constraints.case import Case, Circumstances, NotEvaluated, Stage
from Departments.constraints.checks import must_settle
from Departments.constraints.limits import Limits
from Departments.constraints.table import CONSTRAINTS, Constraint
from Departments.core.facts import DeskFacts, Facts
from Departments.core.orders import Side
from Departments.core.plans import Trade
from Departments.core.reasons import Reason

__all__ = ["CONSTRAINTS", "PlanVerdict", "Verdict", "check_desk", "check_order", "check_plan", "project"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the constraints say of one order: it may go when nothing is violated."""

    violations: tuple[Reason, ...] = ()
    warnings: tuple[Reason, ...] = ()
    not_evaluated: tuple[NotEvaluated, ...] = ()

    @property
    def passed(self) -> bool:
        """Tell whether nothing is violated."""
        return not self.violations


@dataclass(frozen=True, slots=True)
class PlanVerdict:
    """What the constraints say of a plan; `facts` are as when every order that passed has filled."""

    verdicts: tuple[tuple[Trade, Verdict], ...]
    facts: Facts

    @property
    def passed(self) -> bool:
        """Tell whether no order violates anything."""
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
        """Return every constraint that could not be judged, for each order."""
        return tuple(gap for _, verdict in self.verdicts for gap in verdict.not_evaluated)


def check_order(order: Trade, facts: Facts, limits: Limits, stage: Stage) -> Verdict:
    """Judge one order on the facts before it."""
    case = Case(facts, limits, stage, order)
    tally = _Tally(stage, limits)
    for constraint in CONSTRAINTS:
        if order.side in constraint.sides and stage in constraint.judged_at:
            tally.count(constraint, constraint.find(case))
    return tally.verdict()


def check_desk(facts: DeskFacts, limits: Limits, stage: Stage) -> Verdict:
    """Judge whether anything of a plan may be sent at all, whatever the order."""
    circumstances = Circumstances(facts, limits, stage)
    tally = _Tally(stage, limits)
    for constraint in CONSTRAINTS:
        if constraint.of_desk is not None and stage in constraint.judged_at:
            tally.count(constraint, constraint.of_desk(circumstances))
    return tally.verdict()


@dataclass(slots=True)
class _Tally:
    stage: Stage
    limits: Limits
    violations: list[Reason] = field(default_factory=list)
    warnings: list[Reason] = field(default_factory=list)
    not_evaluated: list[NotEvaluated] = field(default_factory=list)

    def count(self, constraint: Constraint, finding: Reason | NotEvaluated | None) -> None:
        if isinstance(finding, NotEvaluated):
            self._missing(constraint, finding)
        elif finding is not None:
            denies = constraint.denies_at(self.stage)
            (self.violations if denies else self.warnings).append(finding)

    def verdict(self) -> Verdict:
        return Verdict(tuple(self.violations), tuple(self.warnings), tuple(self.not_evaluated))

    def _missing(self, constraint: Constraint, gap: NotEvaluated) -> None:
        self.not_evaluated.append(gap)
        policy = self.limits.missing_data.of(constraint.group)
        if policy == "deny":
            self.violations.append(gap.reason())
        elif policy != "allow":
            self.warnings.append(gap.reason())


def check_plan(orders: Iterable[Trade], facts: Facts, limits: Limits, stage: Stage) -> PlanVerdict:
    """Judge a plan: SELLs first, then BUYs, each in the given order on what the passed ones before it lead to."""
    verdicts: list[tuple[Trade, Verdict]] = []
    for order in sorted(orders, key=lambda o: o.side is Side.BUY):
        verdict = check_order(order, facts, limits, stage)
        verdicts.append((order, verdict))
        if verdict.passed:
            facts = project(order, facts, limits)
    return PlanVerdict(tuple(verdicts), facts)


def project(order: Trade, facts: Facts, limits: Limits) -> Facts:
    """Return the facts after `order` has filled at its price.

    The proceeds of a SELL count as unsettled where they must settle first; a SELL without a price frees no cash.
    """
    after = facts.after(order)
    if order.side is Side.BUY or not must_settle(limits):
        return after
    return replace(after, unsettled_cash=facts.unsettled_cash + after.cash - facts.cash)
