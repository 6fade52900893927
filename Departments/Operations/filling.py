"""How many shares each chosen candidate gets, once it is known which ones come in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from Departments.core.money import ONE, ZERO, shares_within, whole_shares
from Departments.Operations.picks import Pick, Room

LEVEL_STEPS = 40  # halvings of the range in which the common level is sought: far below a cent


@dataclass(slots=True)
class Filling:
    """The chosen picks and their shares: at first the least each is to have (`lower`), then more.

    `spent` and the sums `in_sector` are in dollars at planning prices.
    """

    room: Room
    picks: list[Pick]
    lower: dict[str, Decimal]
    shares: dict[str, Decimal] = field(default_factory=dict)
    spent: Decimal = ZERO
    in_sector: dict[str, Decimal] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for pick in self.picks:
            self.add(pick, self.lower[pick.ticker])

    @property
    def idle(self) -> Decimal:
        """Return the dollars that were to be spent and are not."""
        return max(ZERO, self.room.need - self.spent)

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
            self.add(pick, target - start[pick.ticker])

    def one_more_each(self) -> None:
        """Give every pick, the best first, at most one share more, as far as the goal goes."""
        for pick in self.picks:
            self.add(pick, min(ONE, self._fits(pick, self.room.need)))

    def fill(self) -> None:
        """Top the picks up one after the other, the best first, as far as the goal goes."""
        for pick in self.picks:
            self.add(pick, self._fits(pick, self.room.need))

    def cross_the_line(self) -> None:
        """Buy the one share that carries the sum over the goal, where the money covers it."""
        for pick in self.picks:
            if self.spent >= self.room.need:
                return
            self.add(pick, min(ONE, self._fits(pick, self.room.money)))

    @property
    def next_share(self) -> Decimal | None:
        """Return the price of the cheapest share that may still be bought of a chosen pick, money apart."""
        growing = (p for p in self.picks if self.shares[p.ticker] < p.most and p.price <= self.sector_left(p))
        return min((p.price for p in growing), default=None)

    def value(self, pick: Pick) -> Decimal:
        """Return what the shares bought of a pick cost."""
        return self.shares[pick.ticker] * pick.price

    def sector_left(self, pick: Pick) -> Decimal:
        """Return the room left in a pick's sector."""
        return self.room.sectors[pick.sector] - self.in_sector.get(pick.sector, ZERO)

    @property
    def places_left(self) -> int:
        """Return how many more positions may be opened."""
        return self.room.places - sum(p.opens for p in self.picks)

    def add(self, pick: Pick, shares: Decimal) -> None:
        """Buy more shares of a chosen pick, or fewer where `shares` is negative."""
        cost = shares * pick.price
        self.shares[pick.ticker] = self.shares.get(pick.ticker, ZERO) + shares
        self.spent += cost
        self.in_sector[pick.sector] = self.in_sector.get(pick.sector, ZERO) + cost

    def take(self, pick: Pick, shares: Decimal) -> None:
        """Choose one pick more."""
        self.picks.append(pick)
        self.lower[pick.ticker] = pick.least
        self.add(pick, shares)

    def drop(self, pick: Pick) -> None:
        """Choose one pick less."""
        self.add(pick, -self.shares[pick.ticker])
        self.picks.remove(pick)
        del self.shares[pick.ticker], self.lower[pick.ticker]

    def may_swap(self, giver: Pick, given: Decimal, taker: Pick, taken: Decimal) -> bool:
        """Tell whether shares of one pick may be given up for shares of another."""
        freed = given * giver.price if giver.sector == taker.sector else ZERO
        return (
            self.shares[giver.ticker] - given >= self.lower[giver.ticker]
            and self.shares[taker.ticker] + taken <= taker.most
            and taken * taker.price <= self.sector_left(taker) + freed
        )

    def _fits(self, pick: Pick, total: Decimal) -> Decimal:
        free = max(ZERO, min(total - self.spent, self.sector_left(pick)))
        return max(ZERO, min(pick.most - self.shares[pick.ticker], shares_within(free, pick.price)))


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
