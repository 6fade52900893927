"""Allocation: whole shares of each pick, up to the deployment target, in score order.

Score decides who comes in: picks are taken in score order as far as money, places and sectors allow each of them its
minimum. The money ends with the first pick it does not reach, so more money never costs a pick its place. Then all
taken come to one level; only the last dollars of whole shares are looked for among them. Held positions need no
place and no minimum: they take part in the levelling alone.

The target is no limit: the last one taken may go beyond it by the price buffer, if the money covers it.

Proposed sizes are respected first. Further candidates come in only where those cannot reach the target.

Picks are sorted once, so the work grows as n log n; the order of the input never matters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from Departments.core.money import ZERO, cents, shares_within, usd
from Departments.core.plans import Trade
from Departments.core.reasons import Reason, ReasonCode
from Departments.Operations.filling import Filling, Pick, Room, buy


@dataclass(slots=True)
class Draft:
    """The picks taken so far and the BUY each begins with: its least, its proposed size, none of a held one.

    `ended_with` is the first pick that the money did not reach.
    """

    room: Room
    picks: list[Pick] = field(default_factory=list)
    trades: dict[str, Trade] = field(default_factory=dict)
    left_out: dict[str, Reason] = field(default_factory=dict)
    cost: Decimal = ZERO
    opened: int = 0
    capacity: Decimal = ZERO
    sector_cost: dict[str, Decimal] = field(default_factory=dict)
    sector_capacity: dict[str, Decimal] = field(default_factory=dict)
    ended_with: str = ""

    def respect(self, pick: Pick) -> None:
        """Take a proposed size as far as money, sector and places allow."""
        free = min(self.room.for_given - self.cost, self._sector_left(pick))
        fits = min(pick.wanted, pick.most, shares_within(max(free, ZERO), pick.price))
        self._take_or_skip(pick, max(fits, pick.least), self.room.money)

    def include(self, pick: Pick) -> None:
        """Take a held position without a share yet: the level decides whether it gets any."""
        self._take(pick, ZERO)

    def admit(self, pick: Pick, *, is_wide: bool) -> None:
        """Take a candidate at its least size. If not `is_wide`, only where those taken cannot reach the goal."""
        need = self.room.need
        is_needed = self.cost < need and self.capacity < need
        if is_needed or is_wide:
            most = self.room.money if is_needed else self.room.most if self.cost < need else need
            self._take_or_skip(pick, pick.least, most)
        else:
            self.left_out[pick.symbol] = self.explain_unneeded()

    def explain_unneeded(self) -> Reason:
        """Return the reason for leaving out a fitting candidate."""
        if self.room.money < self.room.goal:
            return self._explain_used_up_money()
        sentence = "the plan reaches the deployment target without it"
        return Reason.of(ReasonCode.DEPLOYMENT_TARGET, sentence, goal=cents(self.room.goal))

    def _take_or_skip(self, pick: Pick, shares: Decimal, most: Decimal) -> None:
        reason = self._find_obstacle(pick, shares * pick.price, most)
        if reason is None:
            self._take(pick, shares)
        else:
            self.left_out[pick.symbol] = reason

    def _take(self, pick: Pick, shares: Decimal) -> None:
        self.capacity += self._gain(pick)
        self.picks.append(pick)
        self.trades[pick.symbol] = buy(pick, shares)
        self.cost += shares * pick.price
        self.opened += pick.opens
        for sums, more in ((self.sector_cost, shares * pick.price), (self.sector_capacity, pick.capacity)):
            sums[pick.sector] = sums.get(pick.sector, ZERO) + more

    def _find_obstacle(self, pick: Pick, cost: Decimal, most: Decimal) -> Reason | None:
        """Return why a pick is left out, or None. `most` is what all together may cost with it, in dollars."""
        if pick.opens and self.opened >= self.room.places:
            return Reason.of(
                ReasonCode.MAX_POSITIONS_TOTAL,
                "the plan has max_positions_total positions already",
                places=self.room.places,
            )
        if cost > self._sector_left(pick):
            return self._explain_full_sector(pick)
        if self.cost + cost <= most and not self.ended_with:
            return None
        self.ended_with = self.ended_with or pick.symbol
        return self._explain_money(pick, cost)

    def _explain_money(self, pick: Pick, cost: Decimal) -> Reason:
        left = max(ZERO, self.room.money - self.cost)
        if self.room.money <= 0:
            return Reason.of(self.room.money_bound, "no money may be spent", spendable=ZERO)
        if cost > left and pick.held + left < self.room.minimum:
            sentence = "the money left is below the minimum"
            return Reason.of(
                ReasonCode.MIN_POSITION_VALUE, sentence, value=cents(pick.held + left), minimum=self.room.minimum
            )
        if cost <= left and self.room.money < self.room.goal and self.ended_with != pick.symbol:
            sentence = f"the money waits for {self.ended_with}, whose score is higher"
            return Reason.of(self.room.money_bound, sentence, spendable=cents(self.room.money))
        if cost > left and not self.picks:
            sentence = f"the least it may cost is {usd(cost)}, and only {usd(left)} may be spent"
            return Reason.of(self.room.money_bound, sentence, spendable=cents(left), least=cents(cost))
        return self._explain_used_up_money() if cost > left else self.explain_unneeded()

    def _explain_used_up_money(self) -> Reason:
        sentence = "candidates with higher scores use all the money"
        return Reason.of(self.room.money_bound, sentence, spendable=cents(self.room.money))

    def _sector_left(self, pick: Pick) -> Decimal:
        return self.room.sectors[pick.sector] - self.sector_cost.get(pick.sector, ZERO)

    def _explain_full_sector(self, pick: Pick) -> Reason:
        left = max(ZERO, self._sector_left(pick))
        return Reason.of(
            ReasonCode.MAX_SECTOR_CONCENTRATION, "its sector is full", sector=pick.sector, room=cents(left)
        )

    def _gain(self, pick: Pick) -> Decimal:
        room, used = self.room.sectors[pick.sector], self.sector_capacity.get(pick.sector, ZERO)
        return min(room, used + pick.capacity) - min(room, used)


def allocate(picks: Iterable[Pick], room: Room) -> Filling:
    """Share out the room among the picks. The filling names the reason for each pick left out."""
    ranked = sorted(picks, key=lambda p: p.rank)
    draft = _draft(ranked, room)
    chosen = sorted(draft.picks, key=lambda p: (p.wanted < p.least, p.rank))
    filling = Filling(room, chosen, draft.trades)
    filling.level()
    filling.fill()
    filling.refine()
    filling.cross_the_line()
    filling.drop_empty()
    filling.left_out = _explain(draft, filling, ranked)
    return filling


def _draft(ranked: Sequence[Pick], room: Room) -> Draft:
    draft = Draft(room)
    for pick in ranked:
        if pick.wanted >= pick.least:
            draft.respect(pick)
    is_wide = not draft.trades
    pool = [p for p in ranked if p.wanted < p.least]
    for pick in pool:
        if not pick.opens:
            draft.include(pick)
    for pick in pool:
        if pick.opens:
            draft.admit(pick, is_wide=is_wide)
    return draft


def _explain(draft: Draft, filling: Filling, ranked: Sequence[Pick]) -> dict[str, Reason]:
    left = [p for p in ranked if p.symbol not in filling.trades]
    return {p.symbol: draft.left_out.get(p.symbol) or _explain_empty(draft, filling, p) for p in left}


def _explain_empty(draft: Draft, filling: Filling, pick: Pick) -> Reason:
    """Return why a held position gets no share more."""
    if draft.room.need <= 0:
        return draft.explain_unneeded()
    if pick.least * pick.price > filling.sector_left(pick):
        left = cents(max(ZERO, filling.sector_left(pick)))
        return Reason.of(ReasonCode.MAX_SECTOR_CONCENTRATION, "its sector is full", sector=pick.sector, room=left)
    level, least = cents(filling.common), pick.least * pick.price
    sentence = (
        f"its position of {usd(pick.held)} is near the {usd(level)} of the others; the smallest top-up is {usd(least)}"
    )
    code = pick.bound if pick.held < level else ReasonCode.REBALANCE_BAND
    return Reason.of(code, sentence, level=level, held=cents(pick.held), least=cents(least))
