"""The last dollars: neighbouring choices that leave less money idle, for accounts in which one share is much.

Two moves, each of which must put more to work: one chosen candidate gives way to another, or some shares of one are
given up for some of another. Proposed sizes are not touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import ROUND_CEILING, Decimal

from Departments.core.money import ONE, ZERO, shares_within
from Departments.Operations.filling import Filling
from Departments.Operations.picks import Pick

TRIFLE = Decimal("0.001")  # the share of the need that may stay idle
OUTSIDERS = 200  # candidates left out that are looked at, the best first
CHOSEN = 30  # chosen candidates that are looked at
ROUNDS = 12
TRADED = 8  # most shares of one pick bought for some of another in one move


def refine(filling: Filling, outsiders: Sequence[Pick]) -> None:
    """Change a filling step by step while too much stays idle and a neighbouring one leaves less."""
    for _ in range(ROUNDS):
        if not _too_much_idle(filling):
            return
        if not _trade_shares(filling) and not _trade_places(filling, outsiders[:OUTSIDERS]):
            return
        filling.fill()


def _too_much_idle(filling: Filling) -> bool:
    return filling.idle > TRIFLE * filling.room.need


def _trade_places(filling: Filling, outsiders: Sequence[Pick]) -> bool:
    """Let the outsider in that uses most of the idle money, alone or in place of a chosen pick."""
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
    chosen = {p.ticker for p in filling.picks}
    for newcomer in outsiders:
        if newcomer.ticker in chosen:
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
    """Give up some shares of one pick for some of another where that uses more of the idle money."""
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
