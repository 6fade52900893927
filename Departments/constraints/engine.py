"""Judge orders by every constraint: the one engine that planner, reviewer and trader call."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from Departments.constraints.case import NOTHING_DONE, Case, NotEvaluated, Stage
from Departments.constraints.checks import must_settle
from Departments.constraints.limits import Limits
from Departments.constraints.table import CONSTRAINTS, Constraint
from Departments.core.history import TradingHistory
from Departments.core.market import MarketFacts
from Departments.core.money import ZERO
from Departments.core.orders import Side
from Departments.core.portfolio import Book, ProposedOrder
from Departments.core.reasons import Reason
from Departments.core.trading_calendar import trading_day

__all__ = ["CONSTRAINTS", "PlanVerdict", "Verdict", "check_order", "check_plan", "project"]


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
    """What the constraints say of a plan; `book` and `history` are as when every order that passed has filled."""

    verdicts: tuple[tuple[ProposedOrder, Verdict], ...]
    book: Book
    history: TradingHistory = NOTHING_DONE

    @property
    def passed(self) -> bool:
        """Tell whether no order violates anything."""
        return not self.violations

    @property
    def violations(self) -> tuple[tuple[ProposedOrder, Reason], ...]:
        """Return every violation with its order."""
        return tuple((order, reason) for order, verdict in self.verdicts for reason in verdict.violations)

    @property
    def warnings(self) -> tuple[tuple[ProposedOrder, Reason], ...]:
        """Return every warning with its order."""
        return tuple((order, reason) for order, verdict in self.verdicts for reason in verdict.warnings)

    @property
    def not_evaluated(self) -> tuple[NotEvaluated, ...]:
        """Return every constraint that could not be judged, for each order."""
        return tuple(gap for _, verdict in self.verdicts for gap in verdict.not_evaluated)


def check_order(
    order: ProposedOrder,
    book: Book,
    market: MarketFacts,
    limits: Limits,
    history: TradingHistory = NOTHING_DONE,
    *,
    stage: Stage = "trade",
) -> Verdict:
    """Judge one order on the book before it."""
    case = Case(order, book, market, limits, history, stage)
    tally = _Tally(case)
    for constraint in CONSTRAINTS:
        if order.side in constraint.sides and (finding := constraint.find(case)) is not None:
            tally.count(constraint, finding)
    return Verdict(tuple(tally.violations), tuple(tally.warnings), tuple(tally.not_evaluated))


@dataclass(slots=True)
class _Tally:
    case: Case
    violations: list[Reason] = field(default_factory=list)
    warnings: list[Reason] = field(default_factory=list)
    not_evaluated: list[NotEvaluated] = field(default_factory=list)

    def count(self, constraint: Constraint, finding: Reason | NotEvaluated) -> None:
        if isinstance(finding, NotEvaluated):
            self._missing(constraint, finding)
        else:
            denies = constraint.denies_at(self.case.stage)
            (self.violations if denies else self.warnings).append(finding)

    def _missing(self, constraint: Constraint, gap: NotEvaluated) -> None:
        self.not_evaluated.append(gap)
        policy = self.case.limits.missing_data.of(constraint.group)
        if policy == "deny":
            self.violations.append(gap.reason())
        elif policy != "allow":
            self.warnings.append(gap.reason())


def check_plan(
    orders: Iterable[ProposedOrder],
    book: Book,
    market: MarketFacts,
    limits: Limits,
    history: TradingHistory = NOTHING_DONE,
    *,
    stage: Stage = "trade",
) -> PlanVerdict:
    """Judge a plan: SELLs first, then BUYs, each in the given order on what the passed ones before it lead to."""
    today = trading_day(market.now)
    verdicts: list[tuple[ProposedOrder, Verdict]] = []
    for order in sorted(orders, key=lambda o: o.side is Side.BUY):
        verdict = check_order(order, book, market, limits, history, stage=stage)
        verdicts.append((order, verdict))
        if verdict.passed:
            book = project(order, book, limits)
            history = history.after(today, order.symbol, order.side, order.stop_price)
    return PlanVerdict(tuple(verdicts), book, history)


def project(order: ProposedOrder, book: Book, limits: Limits) -> Book:
    """Return the book as it will be when `order` has filled at its price.

    The proceeds of a SELL count as unsettled where they must settle first; a SELL without a price frees no cash.
    """
    if order.price is None or order.price <= 0:
        held = book.positions.get(order.symbol)
        priced = replace(order, price=held.current_price or held.avg_entry_price if held else ZERO)
        return replace(book.after(priced), cash=book.cash)
    after = book.after(order)
    if order.side is Side.BUY or not must_settle(limits):
        return after
    return replace(after, unsettled_cash=book.unsettled_cash + order.qty * order.price)
