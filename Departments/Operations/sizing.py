"""Sizing: the bounds of each pick and the room for all, by the constraints' own functions.

Every bound is taken so that the plan still holds when prices become worse by the buffer: a BUY dearer (cash, maximum,
sector, heat) or, for the minimum, cheaper.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from Departments.constraints import amounts
from Departments.core.facts import Facts
from Departments.core.money import (
    ONE,
    ZERO,
    percent,
    price_tick,
    shares_to_reach,
    shares_within,
    usd,
    whole_shares,
)
from Departments.core.orders import Side
from Departments.core.plans import SkippedTrade, Trade
from Departments.core.reasons import ReasonCode
from Departments.messaging.neighbours import Candidate
from Departments.Operations.basis import Basis
from Departments.Operations.filling import Pick, Room
from Departments.Operations.selection import best_first, skip, skip_for

#: What allocation takes care of for all picks together; everything else is asked of the engine for each candidate.
SHARED_OUT = frozenset(
    {
        ReasonCode.MIN_POSITION_VALUE,
        ReasonCode.MAX_POSITIONS_TOTAL,
        ReasonCode.MAX_SECTOR_CONCENTRATION,
        ReasonCode.CASH_RESERVE,
        ReasonCode.NO_MARGIN,
        ReasonCode.UNSETTLED_FUNDS,
        ReasonCode.MAX_PORTFOLIO_HEAT,
    }
)


@dataclass(frozen=True, slots=True)
class Sized:
    """A candidate as a pick; `set_aside` is its skip for a proposed size under the minimum."""

    candidate: Candidate
    pick: Pick
    set_aside: SkippedTrade | None = None


@dataclass(frozen=True, slots=True)
class Sizer:
    """Bounds candidates on `facts`, the account after the plan's SELLs at worse prices.

    Sizes of an exact proposal (`is_exact`) are the most: limits cut them, nothing is added.
    """

    basis: Basis
    facts: Facts
    is_exact: bool = False

    def size(self, candidate: Candidate) -> Sized | SkippedTrade:
        """Return the pick of a candidate, or its skip."""
        price = self.basis.price(candidate.symbol, Side.BUY) or candidate.price
        if price is None:
            return skip(candidate.symbol, ReasonCode.NO_PRICE, "its price is unknown")
        pick = self._pick(candidate, price)
        trade = Trade(candidate.symbol, Side.BUY, pick.least, price, candidate.score, candidate.sector)
        verdict = self.basis.judge(trade, self.facts, self.basis.buffer)
        violation = next((v for v in verdict.violations if v.code not in SHARED_OUT), None)
        if violation is not None:
            return skip_for(candidate.symbol, violation)
        set_aside = self._find_set_aside(candidate, pick)
        if self.is_exact and set_aside is not None:
            return set_aside
        if pick.most < pick.least:
            return self._skip_too_large(pick)
        return Sized(candidate, pick, set_aside)

    def room(self, sized: Sequence[Sized]) -> Room:
        """Return the common room of all picks."""
        limits, facts, picks = self.basis.limits, self.facts, [s.pick for s in sized]
        heat = self._heat_for_buys(picks)
        return Room(
            money=min(self.cash_for_buys, heat),
            goal=self._goal,
            places=amounts.positions_room(limits, facts),
            sectors=self._sector_rooms(picks),
            minimum=self.basis.minimum,
            money_bound=self._money_bound(heat),
        )

    def _money_bound(self, heat: Decimal) -> ReasonCode:
        limits, facts = self.basis.limits, self.facts
        if heat < self.cash_for_buys:
            return ReasonCode.MAX_PORTFOLIO_HEAT
        settling = amounts.must_settle(limits) and facts.unsettled_cash > amounts.cash_reserve(limits, facts.equity)
        return ReasonCode.UNSETTLED_FUNDS if settling else ReasonCode.CASH_RESERVE

    @property
    def _goal(self) -> Decimal:
        """Return the dollars that reach the deployment target. An exact proposal has none but its own sizes."""
        if self.is_exact:
            return Decimal("Infinity")
        return max(ZERO, amounts.deployment_target(self.basis.limits, self.facts.equity) - self.facts.invested)

    @property
    def cash_for_buys(self) -> Decimal:
        """Return the dollars for BUYs at planning prices. The reserve is kept at worse ones."""
        return amounts.spendable_cash(self.basis.limits, self.facts) / (ONE + self.basis.buffer)

    def _pick(self, candidate: Candidate, price: Decimal) -> Pick:
        position = self.facts.positions.get(candidate.symbol)
        held = position.qty if position else ZERO
        cheap = price * (ONE - self.basis.buffer)
        least = max(ONE, shares_to_reach(self.basis.minimum - held * cheap, cheap))
        wanted = self._count_proposed(candidate, price, held, least)
        return Pick(
            candidate.symbol,
            best_first(candidate),
            price,
            least,
            self._most(candidate.symbol, price, held, wanted),
            self.basis.bucket(candidate.symbol, candidate.sector),
            opens=held == 0,
            held=held * price,
            wanted=wanted,
        )

    def _count_proposed(self, candidate: Candidate, price: Decimal, held: Decimal, least: Decimal) -> Decimal:
        """Return the proposed shares, 0 for a position under the minimum."""
        if not candidate.has_size:
            return ZERO
        value = candidate.value_at(price, self.facts.equity)
        shares = shares_within(value, price)
        if held * price + value < self.basis.minimum or (self.is_exact and shares < least):
            return ZERO
        return max(least, shares)

    def _most(self, symbol: str, price: Decimal, held: Decimal, wanted: Decimal) -> Decimal:
        """Return the most shares: the automatic maximum, or a proposal up to the position maximum."""
        limits, equity, factor = self.basis.limits, self.facts.equity, self.basis.factor
        dear = price * (ONE + self.basis.buffer)
        auto = whole_shares(amounts.maximum_auto_position(limits, equity, factor) / dear - held)
        single = whole_shares(amounts.maximum_position(limits, equity, factor) / dear - held)
        volume = amounts.volume_cap(limits, self.facts.of(symbol))
        most = min(single, wanted if self.is_exact else max(auto, wanted))
        return most if volume is None else min(most, volume)

    def _find_set_aside(self, candidate: Candidate, pick: Pick) -> SkippedTrade | None:
        if not candidate.has_size or pick.wanted > 0:
            return None
        value = pick.held + candidate.value_at(pick.price, self.facts.equity)
        if value >= self.basis.minimum:  # exact, and under the minimum once the price falls by the buffer
            shares = shares_within(value - pick.held, pick.price)
            value = (pick.held + shares * pick.price) * (ONE - self.basis.buffer)
        return skip_under_minimum(pick.symbol, value, self.basis.minimum)

    def _heat_for_buys(self, picks: Iterable[Pick]) -> Decimal:
        """Return the dollars for BUYs within the heat. A stop may be half a price step lower."""
        exits = self.basis.exits
        if not exits.enabled:
            return Decimal("Infinity")
        step = max((price_tick(p.price) / p.price for p in picks), default=ZERO) / 2
        lost = exits.stop_loss_pct * (ONE + self.basis.buffer) + step
        return amounts.heat_room(self.basis.limits, self.facts) / lost

    def _sector_rooms(self, picks: Iterable[Pick]) -> dict[str, Decimal]:
        """Return the room of each bucket at planning prices, with held picks at worse prices."""
        cap, worse = amounts.sector_cap(self.basis.limits, self.facts.equity), self.basis.buffer
        taken: dict[str, Decimal] = {}
        for position in self.facts.positions.values():
            if position.qty > 0:
                bucket = self.basis.bucket(position.symbol, position.sector)
                taken[bucket] = taken.get(bucket, ZERO) + position.market_value
        for pick in picks:
            more = pick.held * (ONE + worse) - self.facts.held_value(pick.symbol)
            taken[pick.sector] = taken.get(pick.sector, ZERO) + more
        return {bucket: max(ZERO, cap - value) / (ONE + worse) for bucket, value in taken.items()}

    def _skip_too_large(self, pick: Pick) -> SkippedTrade:
        maximum = amounts.maximum_auto_position(self.basis.limits, self.facts.equity, self.basis.factor)
        value = (pick.held + pick.least * pick.price) * (ONE + self.basis.buffer)
        worse = f" at prices {percent(self.basis.buffer)} worse" if self.basis.buffer else ""
        what = "with one share more its position" if pick.held and pick.least == ONE else "its smallest position"
        sentence = f"{what} would be {usd(value)}{worse} (> {usd(maximum)} maximum)"
        return skip(pick.symbol, ReasonCode.MAX_AUTO_POSITION, sentence, value=value, maximum=maximum)


def skip_under_minimum(symbol: str, value: Decimal, minimum: Decimal) -> SkippedTrade:
    """Return the skip of a too small position, in the sentence scripts know."""
    sentence = f"position would be {usd(value)} (< {usd(minimum)} minimum)"
    return skip(symbol, ReasonCode.MIN_POSITION_VALUE, sentence, value=value, minimum=minimum)
