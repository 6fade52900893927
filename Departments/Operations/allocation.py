"""How many whole shares of what: reaching the deployment target within every limit, in score order.

Two ways of sharing out the money. Where sizes were proposed they are respected, and what is left tops them up in score
order; further candidates come in only if that does not reach the target. Where nothing was proposed, candidates come
in by score until the target can be reached with at least `aim` new positions, and all are filled to one level.

Everything is a sum over candidates sorted once, so the work grows as n log n and never depends on the input's order.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from Departments.core.money import CENT, ONE, ZERO, cents, shares_within, whole_shares
from Departments.core.reasons import Reason, ReasonCode

LEVEL_STEPS = 40  # halvings of the range in which the common level is sought: far below a cent


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


@dataclass(frozen=True, slots=True)
class Allocation:
    """The shares of each pick taken, and for every other one the reason why not.

    `spent` in dollars at planning prices; `grain` is the price of the cheapest share taken: less than that cannot be
    spent better.
    """

    shares: Mapping[str, Decimal]
    left_out: Mapping[str, Reason]
    spent: Decimal
    grain: Decimal = CENT

    def idle(self, room: Room) -> Decimal:
        """Return what was to be spent and is not."""
        return max(ZERO, room.need - self.spent)


Order = Callable[[Sequence[Pick], Room], Iterable[Pick]]


def allocate(picks: Iterable[Pick], room: Room) -> Allocation:
    """Share out the room among the picks.

    Score order first; only where that leaves money idle that another choice of candidates could use do the other
    orders get a try, and the one that deploys most is taken.
    """
    ranked = sorted(picks, key=lambda p: p.rank)
    best = _attempt(ranked, room, _by_score)
    for order in (_by_capacity, _by_price):
        if best.idle(room) < best.grain:
            break
        other = _attempt(ranked, room, order)
        if other.spent >= best.spent + best.grain:
            best = other
    return best


def _attempt(ranked: Sequence[Pick], room: Room, order: Order) -> Allocation:
    draft = Draft(room)
    for pick in ranked:
        if pick.wanted >= pick.least:
            draft.respect(pick)
    proposed = bool(draft.lower)
    pool = [p for p in ranked if p.wanted < p.least]
    for pick in order(pool, room):
        draft.admit(pick, aim=0 if proposed else room.aim)
    chosen = sorted(draft.picks, key=lambda p: (p.wanted < p.least, p.rank))
    filling = Filling(room, chosen, dict(draft.lower))
    if not proposed:
        filling.level()
        filling.one_more_each()
    filling.fill()
    filling.cross_the_line()
    grain = min((p.price for p in chosen), default=CENT)
    return Allocation(filling.shares, draft.left_out, filling.spent, grain)


def _by_score(pool: Sequence[Pick], room: Room) -> Iterable[Pick]:  # noqa: ARG001 - one of several orders
    return pool


def _by_price(pool: Sequence[Pick], room: Room) -> Iterable[Pick]:  # noqa: ARG001 - one of several orders
    return sorted(pool, key=lambda p: (p.price, p.rank))


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
            self.left_out[pick.ticker] = self._not_needed()
        elif not short_of_positions and self._gain(pick) <= 0:
            self.left_out[pick.ticker] = self._sector_is_full(pick)
        else:
            self._take_or_leave(pick, pick.least)

    def _not_needed(self) -> Reason:
        if self.room.money < self.room.goal:
            says = "better candidates use up what may be spent"
            return Reason.of(self.room.money_bound, says, spendable=cents(self.room.money))
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
        if cost > left:
            says = "the money left does not reach the minimum"
            return Reason.of(
                ReasonCode.MIN_POSITION_VALUE, says, value=cents(pick.held + left), minimum=self.room.minimum
            )
        return None

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


@dataclass(slots=True)
class Filling:
    """The chosen picks and their shares, growing until the goal, the money or every cap is reached."""

    room: Room
    picks: Sequence[Pick]
    shares: dict[str, Decimal]
    spent: Decimal = ZERO
    in_sector: dict[str, Decimal] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lower, self.shares = self.shares, dict.fromkeys(self.shares, ZERO)
        for pick in self.picks:
            self._add(pick, lower[pick.ticker])

    def level(self) -> None:
        """Raise all picks to one level of value, each within its own bounds and its sector's room."""
        start = dict(self.shares)
        tops = {
            sector: _level(mine, start, min(self.room.sectors[sector], self.room.need))
            for sector, mine in _by_sector(self.picks).items()
        }
        common = _level(self.picks, start, self.room.need, tops)
        for pick in self.picks:
            target = _shares_at(pick, start[pick.ticker], min(common, tops[pick.sector]))
            self._add(pick, target - start[pick.ticker])

    def one_more_each(self) -> None:
        """Give every pick, the best first, at most one share more, as far as the goal goes."""
        for pick in self.picks:
            self._add(pick, min(ONE, self._fits(pick, self.room.need)))

    def fill(self) -> None:
        """Top the picks up one after the other, the best first, as far as the goal goes."""
        for pick in self.picks:
            self._add(pick, self._fits(pick, self.room.need))

    def cross_the_line(self) -> None:
        """Buy the one share that carries the sum over the goal, where the money covers it."""
        for pick in self.picks:
            if self.spent >= self.room.need:
                return
            self._add(pick, min(ONE, self._fits(pick, self.room.money)))

    def _fits(self, pick: Pick, total: Decimal) -> Decimal:
        in_sector = self.room.sectors[pick.sector] - self.in_sector.get(pick.sector, ZERO)
        free = min(total - self.spent, in_sector)
        return max(ZERO, min(pick.most - self.shares[pick.ticker], shares_within(max(free, ZERO), pick.price)))

    def _add(self, pick: Pick, shares: Decimal) -> None:
        self.shares[pick.ticker] += shares
        self.spent += shares * pick.price
        self.in_sector[pick.sector] = self.in_sector.get(pick.sector, ZERO) + shares * pick.price


def _by_sector(picks: Iterable[Pick]) -> dict[str, list[Pick]]:
    sectors: dict[str, list[Pick]] = {}
    for pick in picks:
        sectors.setdefault(pick.sector, []).append(pick)
    return sectors


def _shares_at(pick: Pick, lower: Decimal, level: Decimal) -> Decimal:
    wanted = whole_shares((level - pick.held) / pick.price)
    return max(lower, min(pick.most, wanted))


def _level(
    picks: Sequence[Pick], lower: Mapping[str, Decimal], money: Decimal, tops: Mapping[str, Decimal] | None = None
) -> Decimal:
    """Return the highest level of value at which the picks, at least at `lower`, cost no more than `money`."""
    low, high = ZERO, max((p.held + p.capacity for p in picks), default=ZERO)
    for _ in range(LEVEL_STEPS):
        middle = (low + high) / 2
        at = {p.ticker: min(middle, tops[p.sector]) if tops else middle for p in picks}
        cost = sum((_shares_at(p, lower[p.ticker], at[p.ticker]) * p.price for p in picks), ZERO)
        low, high = (middle, high) if cost <= money else (low, middle)
    return low
