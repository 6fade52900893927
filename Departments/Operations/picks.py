"""What is shared out: candidates with the shares they may have, and the room they have together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from Departments.core.money import ZERO
from Departments.core.reasons import ReasonCode


@dataclass(frozen=True, slots=True)
class Pick:
    """A candidate with the whole shares it may have: none, or from `least` to `most`.

    `price` in dollars a share, `held` the value already held, `wanted` the shares somebody proposed (0: nobody),
    `sector` its bucket, `opens` whether it would be a new position. `rank` orders picks, the best first.
    """

    ticker: str
    rank: tuple[Decimal, str]
    price: Decimal
    least: Decimal
    most: Decimal
    sector: str
    opens: bool = True
    held: Decimal = ZERO
    wanted: Decimal = ZERO

    @property
    def capacity(self) -> Decimal:
        """Return the most dollars it can take."""
        return self.most * self.price


@dataclass(frozen=True, slots=True)
class Room:
    """What all picks may have together, in dollars at planning prices.

    `money` is the most they may cost, `goal` what would reach the deployment target, `places` how many new positions
    may be opened, `aim` how many are wanted. `sectors` is the room in each bucket. For the reasons: `minimum` is the
    least a position may be worth, `money_bound` what limits the money.
    """

    money: Decimal
    goal: Decimal
    places: int
    sectors: Mapping[str, Decimal]
    minimum: Decimal
    aim: int = 0
    money_bound: ReasonCode = ReasonCode.CASH_RESERVE

    @property
    def need(self) -> Decimal:
        """Return what is to be spent: the goal, or all the money where that is less."""
        return max(ZERO, min(self.goal, self.money))
