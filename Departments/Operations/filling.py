"""Filling: how many shares each chosen pick gets within the room they share.

All come to one level; then shares of one are given up for shares of another where that leaves less money idle. Nobody
joins and nobody leaves, but a held position may end with no share more: it gets its least or none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal

from Departments.core.money import ONE, ZERO, shares_within, whole_shares
from Departments.core.orders import Side
from Departments.core.plans import Trade
from Departments.core.reasons import Reason, ReasonCode

LEVEL_STEPS = 40  # halvings of the range in which the common level is sought: far below a cent
TRIFLE = Decimal("0.001")  # the share of the need that may stay idle
CHOSEN = 30  # chosen candidates that are looked at
ROUNDS = 12
TRADED = 8  # most shares of one pick bought for some of another in one move


@dataclass(frozen=True, slots=True)
class Pick:
    """A candidate with its bounds in whole shares: none, or `least` to `most`.

    `price` in dollars a share, `held` the value already held, `wanted` the shares somebody proposed (0: nobody),
    `sector` its bucket, `opens` whether it would be a new position. `rank` orders picks, the best first. `bound` says
    what asks for the least: of a held position it is a top-up worth its fees.
    """

    symbol: str
    rank: tuple[Decimal, str]
    price: Decimal
    least: Decimal
    most: Decimal
    sector: str
    opens: bool = True
    held: Decimal = ZERO
    wanted: Decimal = ZERO
    bound: ReasonCode = ReasonCode.MIN_POSITION_VALUE

    @property
    def capacity(self) -> Decimal:
        """Return the most dollars it may cost."""
        return self.most * self.price


def buy(pick: Pick, qty: Decimal) -> Trade:
    """Return a BUY of a pick; the plan adds score and reason."""
    return Trade(pick.symbol, Side.BUY, qty, pick.price)


@dataclass(frozen=True, slots=True)
class Room:
    """The money of all picks together, in dollars at planning prices.

    `money` is the most they may cost, `goal` what would reach the deployment target, `slack` by how much the last new
    position may go beyond it, `places` how many new positions may be opened. `sectors` is the room in each bucket. If
    it `keeps_sizes`, given sizes do not end at the goal. For the reasons: `minimum` is the least a position may be
    worth, `money_bound` what limits the money.
    """

    money: Decimal
    goal: Decimal
    places: int
    sectors: Mapping[str, Decimal]
    minimum: Decimal
    money_bound: ReasonCode = ReasonCode.CASH_RESERVE
    keeps_sizes: bool = False
    slack: Decimal = ZERO

    @property
    def for_given(self) -> Decimal:
        """Return the dollars for given sizes: kept ones are cut by the money alone, others by the goal, too."""
        return max(ZERO, self.money) if self.keeps_sizes else self.need

    @property
    def need(self) -> Decimal:
        """Return the dollars to spend: the goal, or all the money if less."""
        return max(ZERO, min(self.goal, self.money))

    @property
    def most(self) -> Decimal:
        """Return the most dollars that new positions at their least may cost together."""
        return min(self.money, self.need + self.slack) if self.need else ZERO


@dataclass(slots=True)
class Filling:
    """The chosen picks and a BUY of each, at first the one it begins with (`begun`).

    `spent`, the sums `in_sector` and the `common` level are in dollars at planning prices. `left_out` are the reasons
    of the other picks.
    """

    room: Room
    picks: list[Pick]
    begun: Mapping[str, Trade]
    trades: dict[str, Trade] = field(default_factory=dict)
    spent: Decimal = ZERO
    in_sector: dict[str, Decimal] = field(default_factory=dict)
    left_out: Mapping[str, Reason] = field(default_factory=dict)
    common: Decimal = ZERO

    def __post_init__(self) -> None:
        for pick in self.picks:
            self.trades[pick.symbol] = buy(pick, ZERO)
            self.add(pick, self.begun[pick.symbol].qty)

    @property
    def idle(self) -> Decimal:
        """Return the dollars to spend that are left."""
        return max(ZERO, self.room.need - self.spent)

    def level(self) -> None:
        """Raise all picks to one value, within their bounds and their sector's room.

        A held position takes part only if the level brings it its least; the others then share what it leaves.
        """
        self.common = self._raise_level(self.picks)
        self._raise_level([p for p in self.picks if self.shares_of(p) > 0])

    def _raise_level(self, picks: Sequence[Pick]) -> Decimal:
        """Raise picks to one value and return it, in dollars."""
        start = {pick.symbol: self.shares_of(pick) for pick in picks}
        tops = {
            sector: _level(mine, start, min(self.room.sectors[sector], self.room.need))
            for sector, mine in _by_sector(picks).items()
        }
        common = _level(picks, start, self.room.need, tops)
        for pick in picks:
            target = _shares_at(pick, start[pick.symbol], min(common, tops[pick.sector]))
            self.add(pick, target - start[pick.symbol])
        return common

    def fill(self) -> None:
        """Give every pick one share more (its least if it has none), then as many as fit, the best first."""
        for pick in self.picks:
            self.add(pick, min(self._fits(pick, self.room.need), ONE if self.shares_of(pick) else pick.least))
        for pick in self.picks:
            self.add(pick, self._fits(pick, self.room.need) if self.shares_of(pick) else ZERO)

    def drop_empty(self) -> None:
        """Choose no pick without a share."""
        self.picks = [p for p in self.picks if self.shares_of(p) > 0]
        self.trades = {p.symbol: self.trades[p.symbol] for p in self.picks}

    def cross_the_line(self) -> None:
        """Buy the one share crossing the goal, if the money covers it."""
        for pick in self.picks:
            if self.spent >= self.room.need:
                return
            if self.shares_of(pick) > 0:
                self.add(pick, min(ONE, self._fits(pick, self.room.money)))

    def shares_of(self, pick: Pick) -> Decimal:
        """Return the shares of a chosen pick."""
        return self.trades[pick.symbol].qty

    def sector_left(self, pick: Pick) -> Decimal:
        """Return the room left in a pick's sector."""
        return self.room.sectors[pick.sector] - self.in_sector.get(pick.sector, ZERO)

    def add(self, pick: Pick, shares: Decimal) -> None:
        """Buy more shares of a chosen pick, or fewer for negative `shares`."""
        cost = shares * pick.price
        self.trades[pick.symbol] = buy(pick, self.shares_of(pick) + shares)
        self.spent += cost
        self.in_sector[pick.sector] = self.in_sector.get(pick.sector, ZERO) + cost

    def refine(self) -> None:
        """Exchange shares step by step while too much money stays idle."""
        for _ in range(ROUNDS):
            if not _too_much_idle(self) or not _trade_shares(self):
                return
            self.fill()

    def may_swap(self, giver: Pick, given: Decimal, taker: Pick, taken: Decimal) -> bool:
        """Return True if shares of one pick may be exchanged for shares of another."""
        freed = given * giver.price if giver.sector == taker.sector else ZERO
        return (
            self.shares_of(giver) - given >= max(self.begun[giver.symbol].qty, giver.least)
            and self.shares_of(taker) > 0
            and self.shares_of(taker) + taken <= taker.most
            and taken * taker.price <= self.sector_left(taker) + freed
        )

    def _fits(self, pick: Pick, total: Decimal) -> Decimal:
        """Return how many shares more fit; none where they would make a BUY under the least."""
        free = max(ZERO, min(total - self.spent, self.sector_left(pick)))
        has = self.shares_of(pick)
        fits = max(ZERO, min(pick.most - has, shares_within(free, pick.price)))
        return fits if has + fits >= pick.least else ZERO


def _by_sector(picks: Iterable[Pick]) -> dict[str, list[Pick]]:
    sectors: dict[str, list[Pick]] = {}
    for pick in picks:
        sectors.setdefault(pick.sector, []).append(pick)
    return sectors


def _shares_at(pick: Pick, lower: Decimal, level: Decimal) -> Decimal:
    wanted = min(pick.most, whole_shares((level - pick.held) / pick.price))
    return max(lower, wanted) if wanted >= pick.least else lower


def _level(
    picks: Sequence[Pick], lower: Mapping[str, Decimal], money: Decimal, tops: Mapping[str, Decimal] | None = None
) -> Decimal:
    """Return the highest common value at which the picks cost at most `money`."""
    low, high = ZERO, max((p.held + p.capacity for p in picks), default=ZERO)
    for _ in range(LEVEL_STEPS):
        middle = (low + high) / 2
        at = {p.symbol: min(middle, tops[p.sector]) if tops else middle for p in picks}
        cost = sum((_shares_at(p, lower[p.symbol], at[p.symbol]) * p.price for p in picks), ZERO)
        low, high = (middle, high) if cost <= money else (low, middle)
    return low


# --- the last dollars: exchanges that leave less money idle, for accounts in which one share is much ---


def _too_much_idle(filling: Filling) -> bool:
    return filling.idle > TRIFLE * filling.room.need


def _trade_shares(filling: Filling) -> bool:
    """Exchange shares of one pick for another's if that uses more idle money."""
    best = max(_exchanges(filling), key=lambda move: move[0], default=None)
    if best is None or best[0] <= ZERO:
        return False
    _, giver, given, taker, taken = best
    filling.add(giver, -given)
    filling.add(taker, taken)
    return True


def _exchanges(filling: Filling) -> Iterator[tuple[Decimal, Pick, Decimal, Pick, Decimal]]:
    for taker in filling.picks[:CHOSEN]:
        for giver in filling.picks[:CHOSEN]:
            if giver is taker:
                continue
            for count in range(1, TRADED + 1):
                taken = ONE * count
                given = max(ONE, ((taken * taker.price - filling.idle) / giver.price).to_integral_value(ROUND_CEILING))
                gain = taken * taker.price - given * giver.price
                if gain > ZERO and filling.may_swap(giver, given, taker, taken):
                    yield gain, giver, given, taker, taken
