"""Which candidates come in: each at its least size, as long as one more fits and is needed.

`Pick` is a candidate with the shares it may have, `Room` what all picks may have together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from Departments.core.money import ZERO, cents, shares_within
from Departments.core.reasons import Reason, ReasonCode


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


@dataclass(slots=True)
class Draft:
    """The candidates taken so far with the least each will get; it answers whether one more fits."""

    room: Room
    picks: list[Pick] = field(default_factory=list)
    lower: dict[str, Decimal] = field(default_factory=dict)
    left_out: dict[str, Reason] = field(default_factory=dict)
    cost: Decimal = ZERO
    opened: int = 0
    capacity: Decimal = ZERO
    sector_cost: dict[str, Decimal] = field(default_factory=dict)
    sector_capacity: dict[str, Decimal] = field(default_factory=dict)

    def respect(self, pick: Pick) -> None:
        """Take a proposed size as far as money, sector and places allow."""
        free = min(self.room.need - self.cost, self._sector_left(pick))
        fits = min(pick.wanted, pick.most, shares_within(max(free, ZERO), pick.price))
        self._take_or_leave(pick, max(fits, pick.least))

    def admit(self, pick: Pick, aim: int) -> None:
        """Take a candidate at its least size if it is needed to reach the goal or the wanted number of positions."""
        short_of_positions = pick.opens and self.opened < aim
        if self.capacity >= self.room.need and not short_of_positions:
            self.left_out[pick.ticker] = self.not_needed()
        elif not short_of_positions and self._gain(pick) <= 0:
            self.left_out[pick.ticker] = self._sector_is_full(pick)
        else:
            self._take_or_leave(pick, pick.least)

    def not_needed(self) -> Reason:
        """Return why a candidate that would fit is left out."""
        if self.room.money < self.room.goal:
            return self._money_is_used_up()
        says = "the deployment target is reached without it"
        return Reason.of(ReasonCode.DEPLOYMENT_TARGET, says, goal=cents(self.room.goal))

    def _take_or_leave(self, pick: Pick, shares: Decimal) -> None:
        reason = self._obstacle(pick, shares * pick.price)
        if reason is not None:
            self.left_out[pick.ticker] = reason
            return
        self.capacity += self._gain(pick)
        self.picks.append(pick)
        self.lower[pick.ticker] = shares
        self.cost += shares * pick.price
        self.opened += pick.opens
        for sums, more in ((self.sector_cost, shares * pick.price), (self.sector_capacity, pick.capacity)):
            sums[pick.sector] = sums.get(pick.sector, ZERO) + more

    def _obstacle(self, pick: Pick, cost: Decimal) -> Reason | None:
        if pick.opens and self.opened >= self.room.places:
            return Reason.of(ReasonCode.MAX_POSITIONS_TOTAL, "every place is taken", places=self.room.places)
        if cost > self._sector_left(pick):
            return self._sector_is_full(pick)
        left = max(ZERO, self.room.money - self.cost)
        if cost > left and self.room.money <= 0:
            return Reason.of(self.room.money_bound, "nothing may be spent", spendable=ZERO)
        if cost > left and pick.held + left >= self.room.minimum:
            return self._money_is_used_up()
        if cost > left:
            says = "the money left does not reach the minimum"
            return Reason.of(
                ReasonCode.MIN_POSITION_VALUE, says, value=cents(pick.held + left), minimum=self.room.minimum
            )
        return None

    def _money_is_used_up(self) -> Reason:
        says = "better candidates use up what may be spent"
        return Reason.of(self.room.money_bound, says, spendable=cents(self.room.money))

    def _sector_left(self, pick: Pick) -> Decimal:
        return self.room.sectors[pick.sector] - self.sector_cost.get(pick.sector, ZERO)

    def _sector_is_full(self, pick: Pick) -> Reason:
        left = max(ZERO, self._sector_left(pick))
        return Reason.of(
            ReasonCode.MAX_SECTOR_CONCENTRATION, "its sector is full", sector=pick.sector, room=cents(left)
        )

    def _gain(self, pick: Pick) -> Decimal:
        room, used = self.room.sectors[pick.sector], self.sector_capacity.get(pick.sector, ZERO)
        return min(room, used + pick.capacity) - min(room, used)
