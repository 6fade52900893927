"""What a check is given, and what it may answer."""

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

#: `plan` while Operations plans, `review` when the Executive looks at a saved plan, `approve` when a person's word on
#: it counts, `dispatch` when a phase sends its approvals, `trade` right before an order is sent.
Stage = Literal["plan", "review", "approve", "dispatch", "trade"]
STAGES: tuple[Stage, ...] = ("plan", "review", "approve", "dispatch", "trade")


@dataclass(frozen=True, slots=True)
class NotEvaluated:
    """A constraint that could not be judged for an order, and the facts that are missing for it."""

    code: ReasonCode
    symbol: str
    missing: tuple[str, ...]

    def reason(self) -> Reason:
        """Return the same as a coded reason."""
        return Reason.of(ReasonCode.NOT_EVALUATED, constraint=self.code, missing=",".join(self.missing))

    def __str__(self) -> str:
        return f"{self.code} of {self.symbol}: no {', '.join(self.missing)}"


#: A violation, an honest "cannot tell", or nothing to say.
Finding = Reason | NotEvaluated | None


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is judged without an order: may anything of a plan be sent at all."""

    facts: DeskFacts
    limits: Limits
    stage: Stage

    def lacks(self, code: ReasonCode, *missing: str) -> NotEvaluated:
        """Return that `code` cannot be judged for want of `missing`."""
        return NotEvaluated(code, "", missing)


@dataclass(frozen=True, slots=True)
class Case(Circumstances):
    """One order with everything it is judged by. The facts are those before the order."""

    facts: Facts
    order: Trade

    @property
    def stock(self) -> SymbolFacts:
        """Return what is known of the order's symbol."""
        return self.facts.of(self.order.ticker)

    @property
    def held(self) -> Position | None:
        """Return the position in the order's symbol, None where there is none."""
        return self.facts.positions.get(self.order.ticker)

    @property
    def opens(self) -> bool:
        """Tell whether the order is a BUY of something not held yet."""
        return self.order.side is Side.BUY and (self.held is None or self.held.qty == 0)

    @property
    def price(self) -> Decimal:
        """Return the order's price. Raises ValueError where there is none: check `needs_price` constraints first."""
        if self.order.price is None:
            raise ValueError(f"{self.order.ticker} has no price to judge by")
        return self.order.price

    @property
    def cost(self) -> Decimal:
        """Return shares × price. Raises ValueError without a price."""
        return self.order.qty * self.price

    @property
    def value_after(self) -> Decimal:
        """Return the value of the position after a BUY, everything at the order's price."""
        held = self.held.qty if self.held else Decimal(0)
        return (held + self.order.qty) * self.price

    def lacks(self, code: ReasonCode, *missing: str) -> NotEvaluated:
        """Return that `code` cannot be judged of the order for want of `missing`."""
        return NotEvaluated(code, self.order.ticker, missing)
