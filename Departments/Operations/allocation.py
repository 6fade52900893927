"""Allocation: whole shares of each pick, up to the deployment target, in score order.

Two ways of sharing out the money. Where sizes were proposed they are respected, and what is left tops them up in score
order; further candidates come in only if that does not reach the target. Where nothing was proposed, candidates come
in by score until the target can be reached with at least `aim` new positions, and all are filled to one level.

Candidates are sorted and summed up once for each order tried, so the work grows as n log n; the order of the input
never matters.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from Departments.core.money import CENT, ZERO, cents, shares_within
from Departments.core.reasons import Reason, ReasonCode
from Departments.Operations.filling import Filling, Pick, Room, refine

Order = Callable[[Sequence[Pick], Room], Iterable[Pick]]


@dataclass(slots=True)
class Draft:
    """The picks taken so far, each at its least size."""

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
        self._take_or_skip(pick, max(fits, pick.least))

    def admit(self, pick: Pick, aim: int) -> None:
        """Take a candidate at its least size if the goal or the wanted positions need it."""
        short_of_positions = pick.opens and self.opened < aim
        if self.capacity >= self.room.need and not short_of_positions:
            self.left_out[pick.symbol] = self.explain_unneeded()
        elif not short_of_positions and self._gain(pick) <= 0:
            self.left_out[pick.symbol] = self._explain_full_sector(pick)
        else:
            self._take_or_skip(pick, pick.least)

    def explain_unneeded(self) -> Reason:
        """Return the reason for leaving out a fitting candidate."""
        if self.room.money < self.room.goal:
            return self._explain_used_up_money()
        sentence = "the deployment target is reached without it"
        return Reason.of(ReasonCode.DEPLOYMENT_TARGET, sentence, goal=cents(self.room.goal))

    def _take_or_skip(self, pick: Pick, shares: Decimal) -> None:
        reason = self._find_obstacle(pick, shares * pick.price)
        if reason is not None:
            self.left_out[pick.symbol] = reason
            return
        self.capacity += self._gain(pick)
        self.picks.append(pick)
        self.lower[pick.symbol] = shares
        self.cost += shares * pick.price
        self.opened += pick.opens
        for sums, more in ((self.sector_cost, shares * pick.price), (self.sector_capacity, pick.capacity)):
            sums[pick.sector] = sums.get(pick.sector, ZERO) + more

    def _find_obstacle(self, pick: Pick, cost: Decimal) -> Reason | None:
        if pick.opens and self.opened >= self.room.places:
            return Reason.of(ReasonCode.MAX_POSITIONS_TOTAL, "every place is taken", places=self.room.places)
        if cost > self._sector_left(pick):
            return self._explain_full_sector(pick)
        left = max(ZERO, self.room.money - self.cost)
        if cost > left and self.room.money <= 0:
            return Reason.of(self.room.money_bound, "nothing may be spent", spendable=ZERO)
        if cost > left and pick.held + left >= self.room.minimum:
            return self._explain_used_up_money()
        if cost > left:
            sentence = "the money left does not reach the minimum"
            return Reason.of(
                ReasonCode.MIN_POSITION_VALUE, sentence, value=cents(pick.held + left), minimum=self.room.minimum
            )
        return None

    def _explain_used_up_money(self) -> Reason:
        sentence = "better candidates use up what may be spent"
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


@dataclass(frozen=True, slots=True)
class _Attempt:
    draft: Draft
    filling: Filling

    @property
    def grain(self) -> Decimal:
        return min((p.price for p in self.filling.picks), default=CENT)


def allocate(picks: Iterable[Pick], room: Room) -> Filling:
    """Share out the room among the picks. The filling names the reason for each pick left out.

    Score order first; only where that leaves money idle are those tried first that can take most of it, and the
    choice that deploys more is taken. The last dollars are then looked for nearby.
    """
    ranked = sorted(picks, key=lambda p: p.rank)
    best = _attempt(ranked, room, _by_score)
    if best.filling.idle >= best.grain:
        other = _attempt(ranked, room, _by_capacity)
        best = other if other.filling.spent >= best.filling.spent + best.grain else best
    refine(best.filling, [p for p in ranked if p.symbol not in best.filling.shares])
    best.filling.cross_the_line()
    best.filling.left_out = _explain(best, ranked)
    return best.filling


def _attempt(ranked: Sequence[Pick], room: Room, order: Order) -> _Attempt:
    draft = Draft(room)
    for pick in ranked:
        if pick.wanted >= pick.least:
            draft.respect(pick)
    proposed = bool(draft.lower)
    pool = [p for p in ranked if p.wanted < p.least]
    for pick in order(pool, room):
        draft.admit(pick, aim=0 if proposed else room.aim)
    filling = Filling(room, sorted(draft.picks, key=lambda p: (p.wanted < p.least, p.rank)), dict(draft.lower))
    if not proposed:
        filling.level()
        filling.add_one_each()
    filling.fill()
    filling.cross_the_line()
    return _Attempt(draft, filling)


def _explain(attempt: _Attempt, ranked: Sequence[Pick]) -> dict[str, Reason]:
    draft, taken = attempt.draft, attempt.filling.shares
    left = [p.symbol for p in ranked if p.symbol not in taken]
    return {symbol: draft.left_out.get(symbol) or draft.explain_unneeded() for symbol in left}


def _by_score(pool: Sequence[Pick], room: Room) -> Iterable[Pick]:  # noqa: ARG001 - one of two orders
    return pool


def _by_capacity(pool: Sequence[Pick], room: Room) -> Iterator[Pick]:
    """Yield picks without a new place first, then those adding most dollars within their sector."""
    left = dict(room.sectors)
    heap = [(p.opens, -min(p.capacity, left[p.sector]), p.rank, p) for p in pool]
    heapq.heapify(heap)
    while heap:
        opens, gain, rank, pick = heapq.heappop(heap)
        now = -min(pick.capacity, left[pick.sector])
        if now > gain:
            heapq.heappush(heap, (opens, now, rank, pick))
            continue
        left[pick.sector] += now
        yield pick
