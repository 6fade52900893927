"""Filling: how many shares each chosen candidate gets within the room they share.

Two moves refine a filling, each of which must put more to work: one chosen candidate gives way to another, or some
shares of one are given up for some of another. Proposed sizes stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal

from Departments.core.money import ONE, ZERO, shares_within, whole_shares
from Departments.core.reasons import Reason, ReasonCode

LEVEL_STEPS = 40  # halvings of the range in which the common level is sought: far below a cent
TRIFLE = Decimal("0.001")  # the share of the need that may stay idle
OUTSIDERS = 200  # candidates left out that are looked at, the best first
CHOSEN = 30  # chosen candidates that are looked at
ROUNDS = 12
TRADED = 8  # most shares of one pick bought for some of another in one move


@dataclass(frozen=True, slots=True)
class Pick:
    """A candidate with its bounds in whole shares: none, or `least` to `most`.

    `price` in dollars a share, `held` the value already held, `wanted` the shares somebody proposed (0: nobody),
    `sector` its bucket, `opens` whether it would be a new position. `rank` orders picks, the best first.
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

    @property
    def capacity(self) -> Decimal:
        """Return the most dollars it may cost."""
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
        """Return the dollars to spend: the goal, or all the money if less."""
        return max(ZERO, min(self.goal, self.money))


@dataclass(slots=True)
class Filling:
    """The chosen picks and their shares, at first the least of each (`lower`).

    `spent` and the sums `in_sector` are in dollars at planning prices. `left_out` are the reasons of the other picks.
    """

    room: Room
    picks: list[Pick]
    lower: dict[str, Decimal]
    shares: dict[str, Decimal] = field(default_factory=dict)
    spent: Decimal = ZERO
    in_sector: dict[str, Decimal] = field(default_factory=dict)
    left_out: Mapping[str, Reason] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for pick in self.picks:
            self.add(pick, self.lower[pick.symbol])

    @property
    def idle(self) -> Decimal:
        """Return the dollars to spend that are not spent."""
        return max(ZERO, self.room.need - self.spent)

    def level(self) -> None:
        """Raise all picks to one value, within their bounds and their sector's room."""
        start = dict(self.shares)
        tops = {
            sector: _level(mine, start, min(self.room.sectors[sector], self.room.need))
            for sector, mine in _by_sector(self.picks).items()
        }
        common = _level(self.picks, start, self.room.need, tops)
        for pick in self.picks:
            target = _shares_at(pick, start[pick.symbol], min(common, tops[pick.sector]))
            self.add(pick, target - start[pick.symbol])

    def add_one_each(self) -> None:
        """Give every pick one share more, the best first, up to the goal."""
        for pick in self.picks:
            self.add(pick, min(ONE, self._fits(pick, self.room.need)))

    def fill(self) -> None:
        """Top the picks up, the best first, up to the goal."""
        for pick in self.picks:
            self.add(pick, self._fits(pick, self.room.need))

    def cross_the_line(self) -> None:
        """Buy the one share crossing the goal, if the money covers it."""
        for pick in self.picks:
            if self.spent >= self.room.need:
                return
            self.add(pick, min(ONE, self._fits(pick, self.room.money)))

    @property
    def next_share(self) -> Decimal | None:
        """Return the price of the cheapest share within position and sector; None if every pick is full."""
        growing = (p for p in self.picks if self.shares[p.symbol] < p.most and p.price <= self.sector_left(p))
        return min((p.price for p in growing), default=None)

    def value(self, pick: Pick) -> Decimal:
        """Return the cost of a pick's shares."""
        return self.shares[pick.symbol] * pick.price

    def sector_left(self, pick: Pick) -> Decimal:
        """Return the room left in a pick's sector."""
        return self.room.sectors[pick.sector] - self.in_sector.get(pick.sector, ZERO)

    @property
    def places_left(self) -> int:
        """Return how many more positions may be opened."""
        return self.room.places - sum(p.opens for p in self.picks)

    def add(self, pick: Pick, shares: Decimal) -> None:
        """Buy more shares of a chosen pick, or fewer for negative `shares`."""
        cost = shares * pick.price
        self.shares[pick.symbol] = self.shares.get(pick.symbol, ZERO) + shares
        self.spent += cost
        self.in_sector[pick.sector] = self.in_sector.get(pick.sector, ZERO) + cost

    def take(self, pick: Pick, shares: Decimal) -> None:
        """Choose one pick more."""
        self.picks.append(pick)
        self.lower[pick.symbol] = pick.least
        self.add(pick, shares)

    def drop(self, pick: Pick) -> None:
        """Choose one pick less."""
        self.add(pick, -self.shares[pick.symbol])
        self.picks.remove(pick)
        del self.shares[pick.symbol], self.lower[pick.symbol]

    def may_swap(self, giver: Pick, given: Decimal, taker: Pick, taken: Decimal) -> bool:
        """Return True if shares of one pick may be exchanged for shares of another."""
        freed = given * giver.price if giver.sector == taker.sector else ZERO
        return (
            self.shares[giver.symbol] - given >= self.lower[giver.symbol]
            and self.shares[taker.symbol] + taken <= taker.most
            and taken * taker.price <= self.sector_left(taker) + freed
        )

    def _fits(self, pick: Pick, total: Decimal) -> Decimal:
        free = max(ZERO, min(total - self.spent, self.sector_left(pick)))
        return max(ZERO, min(pick.most - self.shares[pick.symbol], shares_within(free, pick.price)))


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
    """Return the highest common value at which the picks cost at most `money`."""
    low, high = ZERO, max((p.held + p.capacity for p in picks), default=ZERO)
    for _ in range(LEVEL_STEPS):
        middle = (low + high) / 2
        at = {p.symbol: min(middle, tops[p.sector]) if tops else middle for p in picks}
        cost = sum((_shares_at(p, lower[p.symbol], at[p.symbol]) * p.price for p in picks), ZERO)
        low, high = (middle, high) if cost <= money else (low, middle)
    return low


# --- the last dollars: neighbouring choices that leave less money idle, for accounts in which one share is much ---


def refine(filling: Filling, outsiders: Sequence[Pick]) -> None:
    """Improve a filling step by step while too much money stays idle."""
    for _ in range(ROUNDS):
        if not _too_much_idle(filling):
            return
        if not _trade_shares(filling) and not _trade_places(filling, outsiders[:OUTSIDERS]):
            return
        filling.fill()


def _too_much_idle(filling: Filling) -> bool:
    return filling.idle > TRIFLE * filling.room.need


def _trade_places(filling: Filling, outsiders: Sequence[Pick]) -> bool:
    """Take the outsider using most idle money, alone or in place of a chosen pick."""
    best = max(_newcomers(filling, outsiders), key=lambda move: move[0], default=None)
    if best is None or best[0] <= ZERO:
        return False
    _, leaver, newcomer, shares = best
    if leaver is not None:
        filling.drop(leaver)
    filling.take(newcomer, shares)
    return True


def _newcomers(filling: Filling, outsiders: Iterable[Pick]) -> Iterator[tuple[Decimal, Pick | None, Pick, Decimal]]:
    leavers: list[Pick | None] = [None, *(p for p in filling.picks[:CHOSEN] if not p.wanted)]
    chosen = {p.symbol for p in filling.picks}
    for newcomer in outsiders:
        if newcomer.symbol in chosen:
            continue
        for leaver in leavers:
            shares = _shares_instead(filling, leaver, newcomer)
            if shares >= newcomer.least:
                lost = filling.value(leaver) if leaver else ZERO
                yield shares * newcomer.price - lost, leaver, newcomer, shares


def _shares_instead(filling: Filling, leaver: Pick | None, newcomer: Pick) -> Decimal:
    freed = filling.value(leaver) if leaver else ZERO
    places = filling.places_left + (leaver.opens if leaver else 0)
    if newcomer.opens and places < 1:
        return ZERO
    in_sector = filling.sector_left(newcomer) + (freed if leaver and leaver.sector == newcomer.sector else ZERO)
    free = min(filling.idle + freed, in_sector)
    return min(newcomer.most, shares_within(max(free, ZERO), newcomer.price))


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
