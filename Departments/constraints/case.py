"""The input of a check, and its possible findings. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from Departments.constraints.limits import Limits
from Departments.core.facts import DeskFacts, Facts, SymbolFacts
from Departments.core.orders import Side
from Departments.core.plans import Trade
from Departments.core.portfolio import Position
from Departments.core.reasons import Reason, ReasonCode

#: `plan`: Operations plans. `review`: the Executive reviews a saved plan. `approve`: a person approves it.
#: `dispatch`: a phase sends its approvals. `trade`: Trading is about to send the order. `fill`: a BUY has filled.
Stage = Literal["plan", "review", "approve", "dispatch", "trade", "fill"]
STAGES: tuple[Stage, ...] = ("plan", "review", "approve", "dispatch", "trade", "fill")


@dataclass(frozen=True, slots=True)
class NotEvaluated:
    """A constraint without a finding, for lack of facts."""

    code: ReasonCode
    symbol: str
    missing: tuple[str, ...]

    def reason(self) -> Reason:
        """Return it as a coded reason."""
        return Reason.of(ReasonCode.NOT_EVALUATED, constraint=self.code, missing=",".join(self.missing))

    def __str__(self) -> str:
        return f"{self.code} of {self.symbol}: no {', '.join(self.missing)}"


#: A violation, a constraint that cannot be judged, or no objection.
Finding = Reason | NotEvaluated | None


@dataclass(frozen=True, slots=True)
class Circumstances:
    """The input of a check on the whole desk, without an order."""

    facts: DeskFacts
    limits: Limits
    stage: Stage

    def leave_open(self, code: ReasonCode, *missing: str) -> NotEvaluated:
        """Leave `code` unjudged for lack of the `missing` facts."""
        return NotEvaluated(code, "", missing)


@dataclass(frozen=True, slots=True)
class Case(Circumstances):
    """The input of a check on one order. The facts are those before the order."""

    facts: Facts
    order: Trade

    @property
    def stock(self) -> SymbolFacts:
        """Return the facts of the order's symbol."""
        return self.facts.of(self.order.symbol)

    @property
    def held(self) -> Position | None:
        """Return the position in the order's symbol, if any."""
        return self.facts.positions.get(self.order.symbol)

    @property
    def is_new_position(self) -> bool:
        """Return whether the order opens a new position."""
        return self.order.side is Side.BUY and (self.held is None or self.held.qty == 0)

    @property
    def price(self) -> Decimal:
        """Return the order's price. Raises ValueError without one: only `needs_price` rows may ask."""
        if self.order.price is None:
            raise ValueError(f"{self.order.symbol} has no price to judge by")
        return self.order.price

    @property
    def planned_price(self) -> Decimal | None:
        """Return the plan's price of the order's symbol, in dollars; None while the plan is made."""
        plan = self.facts.plan
        return None if plan is None or self.stage == "plan" else plan.prices.get(self.order.symbol)

    @property
    def cost(self) -> Decimal:
        """Return shares × price. Raises ValueError without a price."""
        return self.order.qty * self.price

    @property
    def value_after(self) -> Decimal:
        """Return the position's value after a BUY, all shares at the order's price."""
        held = self.held.qty if self.held else Decimal(0)
        return (held + self.order.qty) * self.price

    def leave_open(self, code: ReasonCode, *missing: str) -> NotEvaluated:
        """Leave `code` unjudged for this order, for lack of the `missing` facts."""
        return NotEvaluated(code, self.order.symbol, missing)
