"""How many whole shares of what: reaching the deployment target within every limit, in score order.

Two ways of sharing out the money. Where sizes were proposed they are respected, and what is left tops them up in score
order; further candidates come in only if that does not reach the target. Where nothing was proposed, candidates come
in by score until the target can be reached with at least `aim` new positions, and all are filled to one level.

Candidates are sorted and summed up once for each order tried, so the work grows as n log n; the order of the input
never matters.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from Departments.core.money import CENT
from Departments.core.reasons import Reason
from Departments.Operations.draft import Draft, Pick, Room
from Departments.Operations.filling import Filling, refine

__all__ = ["Allocation", "Pick", "Room", "allocate"]

Order = Callable[[Sequence[Pick], Room], Iterable[Pick]]


@dataclass(frozen=True, slots=True)
class Allocation:
    """The shares of each pick taken, and for every other one the reason why not.

    `spent` and `idle` (what was to be spent and is not) in dollars at planning prices; `next_share` is the price of the
    cheapest share that position and sector would still take, None where every one is full.
    """

    shares: Mapping[str, Decimal]
    left_out: Mapping[str, Reason]
    spent: Decimal
    idle: Decimal
    next_share: Decimal | None


@dataclass(frozen=True, slots=True)
class _Attempt:
    draft: Draft
    filling: Filling

    @property
    def grain(self) -> Decimal:
        return min((p.price for p in self.filling.picks), default=CENT)


def allocate(picks: Iterable[Pick], room: Room) -> Allocation:
    """Share out the room among the picks.

    Score order first; only where that leaves money idle are those tried first that can take most of it, and the
    choice that deploys more is taken. The last dollars are then looked for nearby.
    """
    ranked = sorted(picks, key=lambda p: p.rank)
    best = _attempt(ranked, room, _by_score)
    if best.filling.idle >= best.grain:
        other = _attempt(ranked, room, _by_capacity)
        best = other if other.filling.spent >= best.filling.spent + best.grain else best
    refine(best.filling, [p for p in ranked if p.ticker not in best.filling.shares])
    best.filling.cross_the_line()
    return _allocation(best, ranked)


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
        filling.one_more_each()
    filling.fill()
    filling.cross_the_line()
    return _Attempt(draft, filling)


def _allocation(attempt: _Attempt, ranked: Sequence[Pick]) -> Allocation:
    draft, filling = attempt.draft, attempt.filling
    reasons = {p.ticker: draft.left_out.get(p.ticker) or draft.not_needed() for p in ranked}
    left_out = {ticker: reason for ticker, reason in reasons.items() if ticker not in filling.shares}
    return Allocation(filling.shares, left_out, filling.spent, filling.idle, filling.next_share)


def _by_score(pool: Sequence[Pick], room: Room) -> Iterable[Pick]:  # noqa: ARG001 - one of two orders
    return pool


def _by_capacity(pool: Sequence[Pick], room: Room) -> Iterator[Pick]:
    """Yield first what needs no new place, then what adds most dollars to what its sector can still take."""
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
