"""Sizing: the bounds of each pick and the room for all, by the constraints' own functions.

Every bound is taken so that the plan still holds when prices become worse by the buffer: a BUY dearer (cash, maximum,
sector, heat) or, for the minimum, cheaper.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from Departments.constraints import amounts
from Departments.core.facts import Facts
from Departments.core.money import (
    ONE,
    ZERO,
    percent,
    plain,
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
        ReasonCode.NEW_MONEY_LIMIT,
    }
)


#: A top-up that is too small, and what a larger one than there may be would break.
TOO_SMALL = frozenset({ReasonCode.MIN_TRADE_VALUE, ReasonCode.REBALANCE_BAND})
OF_SIZE = frozenset({ReasonCode.MAX_POSITION_VALUE, ReasonCode.MAX_ORDER_OF_VOLUME})


@dataclass(frozen=True, slots=True)
class Raise:
    """A given size under the minimum, in shares and dollars, and the shares up to it."""

    symbol: str
    given: Decimal
    value: Decimal
    least: Decimal
    minimum: Decimal

    @property
    def line(self) -> str:
        """Return the sentence for people."""
        small = f"position would be {usd(self.value)} (< {usd(self.minimum)} minimum)"
        return f"Raised {self.symbol} from {plain(self.given)} to {plain(self.least)} shares - {small}"

    @property
    def skip(self) -> SkippedTrade:
        """Return the skip, where it cannot be raised."""
        return skip_under_minimum(self.symbol, self.value, self.minimum)


@dataclass(frozen=True, slots=True)
class Sized:
    """A candidate as a pick; `raised` is its given size if that is under the minimum.

    `misfit` is its skip if it fits in no size.
    """

    candidate: Candidate
    pick: Pick
    raised: Raise | None = None
    misfit: SkippedTrade | None = None


@dataclass(frozen=True, slots=True)
class Sizer:
    """Bounds candidates on `facts`, the account after the plan's SELLs at worse prices.

    If it `keeps_sizes`, a given size never grows, except to the minimum; those of an exact proposal (`is_exact`) are
    not even raised. `factor` is the share of its usual size a BUY may have today.
    """

    basis: Basis
    facts: Facts
    keeps_sizes: bool = False
    is_exact: bool = False
    factor: Decimal = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "factor", amounts.size_factor(self.basis.limits, self.basis.facts))

    def size(self, candidate: Candidate) -> Sized | SkippedTrade:
        """Return the pick of a candidate, or its skip."""
        price = self.basis.price(candidate.symbol, Side.BUY) or candidate.price
        if price is None:
            return skip(candidate.symbol, ReasonCode.NO_PRICE, "its price is unknown")
        sized = self.bound(candidate, price)
        trade = Trade(candidate.symbol, Side.BUY, sized.pick.least, price, candidate.score, candidate.sector)
        is_small = sized.misfit is not None and sized.misfit.reason.code in TOO_SMALL  # then no size is the reason
        violation = self.basis.find_violation(trade, self.facts, SHARED_OUT | OF_SIZE if is_small else SHARED_OUT)
        return sized if violation is None else skip_for(candidate.symbol, violation)

    def bound(self, candidate: Candidate, price: Decimal) -> Sized:
        """Return a candidate with its bounds; a misfit where they contradict each other."""
        position = self.facts.positions.get(candidate.symbol)
        held = position.qty if position else ZERO
        least, why = self._least(price, held, is_given=candidate.has_size)
        given = self._count_given(candidate, price)
        value = (held + given) * price if candidate.shares else held * price + self._value(candidate, price)
        raised = None
        if candidate.has_size and value < self.basis.minimum:
            raised = Raise(candidate.symbol, given, value, least, self.basis.minimum)
        wanted = least if raised else ZERO if not candidate.has_size else given if held else max(least, given)
        if self.is_exact and not raised and 0 < given < least and held == 0:  # its whole shares are under the minimum
            raised = Raise(candidate.symbol, given, given * price, least, self.basis.minimum)
        pick = Pick(
            candidate.symbol,
            best_first(candidate),
            price,
            least,
            self._most(candidate, price, held, wanted),
            self.basis.bucket(candidate.symbol, candidate.sector),
            opens=held == 0,
            held=held * price,
            wanted=wanted,
            bound=why,
        )
        return Sized(candidate, pick, raised, self._find_misfit(pick, raised))

    def room(self, sized: Sequence[Sized]) -> Room:
        """Return the common room of all picks."""
        limits, facts, picks = self.basis.limits, self.facts, [s.pick for s in sized]
        heat = self._heat_for_buys(picks)
        goal = amounts.deployment_target(limits, facts.equity) - facts.invested
        slack = self.basis.buffer * max(ZERO, facts.equity)
        return Room(
            money=min(self.cash_for_buys, heat, self.new_money),
            goal=goal if goal > slack else ZERO,
            places=amounts.positions_room(limits, facts),
            sectors=self._sector_rooms(picks),
            minimum=self.basis.minimum,
            money_bound=self._money_bound(heat),
            keeps_sizes=self.keeps_sizes,
            slack=slack,
        )

    def spare_heat(self, sized: Sequence[Sized]) -> tuple[list[Sized], dict[str, SkippedTrade]]:
        """Cut top-ups with a live stop too far below the price for the portfolio's heat.

        Returns who is left, and the skips of the others.
        """
        lost = self._lost_share([s.pick for s in sized]) or ZERO
        heat = amounts.heat_room(self.basis.limits, self.facts)
        needed = lost * min(self.cash_for_buys, self._most_cost([s.pick for s in sized]))
        slack, left, barred = heat - min(heat, needed), [], {}
        for each in sorted(sized, key=lambda s: s.pick.rank):
            pick, more = each.pick, self._extra_loss(each.pick, lost)
            most = pick.most if more <= 0 else min(pick.most, whole_shares(slack / more))
            if most >= pick.least:
                left.append(each if most == pick.most else replace(each, pick=replace(pick, most=most)))
                slack -= max(ZERO, more) * most
            else:
                barred[pick.symbol] = self._skip_hot(pick)
        return left, barred

    def _most_cost(self, picks: Sequence[Pick]) -> Decimal:
        """Return what picks can cost together at most, in dollars, by their maxima, places and sectors."""
        capacities: dict[str, Decimal] = {}
        for pick in picks:
            capacities[pick.sector] = capacities.get(pick.sector, ZERO) + pick.capacity
        rooms = self._sector_rooms(picks)
        in_sectors = sum((min(rooms[sector], most) for sector, most in capacities.items()), ZERO)
        places = amounts.positions_room(self.basis.limits, self.facts)
        opening = sorted((p.capacity for p in picks if p.opens), reverse=True)[:places]
        return min(in_sectors, sum((*opening, *(p.capacity for p in picks if not p.opens)), ZERO))

    def _extra_loss(self, pick: Pick, lost: Decimal) -> Decimal:
        """Return what a share may lose at its live stop beyond the usual, in dollars."""
        stop = self.facts.live_stop(pick.symbol)
        dear = pick.price * (ONE + self.basis.buffer)
        return ZERO if stop is None or stop >= dear else dear - stop - lost * pick.price

    def _skip_hot(self, pick: Pick) -> SkippedTrade:
        sentence = "its live stop is far below the price; a top-up would exceed max_portfolio_heat"
        stop = self.facts.live_stop(pick.symbol) or ZERO
        return skip(pick.symbol, ReasonCode.MAX_PORTFOLIO_HEAT, sentence, stop=stop, price=pick.price)

    def _money_bound(self, heat: Decimal) -> ReasonCode:
        limits, facts = self.basis.limits, self.facts
        if self.new_money < min(self.cash_for_buys, heat):
            return ReasonCode.NEW_MONEY_LIMIT
        if heat < self.cash_for_buys:
            return ReasonCode.MAX_PORTFOLIO_HEAT
        settling = amounts.must_settle(limits) and facts.unsettled_cash > amounts.cash_reserve(limits, facts.equity)
        return ReasonCode.UNSETTLED_FUNDS if settling else ReasonCode.CASH_RESERVE

    @property
    def cash_for_buys(self) -> Decimal:
        """Return the dollars for BUYs at planning prices. The reserve is kept at worse ones."""
        return amounts.spendable_cash(self.basis.limits, self.facts) / (ONE + self.basis.buffer)

    @property
    def new_money(self) -> Decimal:
        """Return the dollars that today's BUYs may invest anew, at planning prices."""
        return amounts.new_money_room(self.basis.limits, self.facts) / (ONE + self.basis.buffer)

    def _least(self, price: Decimal, held: Decimal, *, is_given: bool) -> tuple[Decimal, ReasonCode]:
        """Return the fewest shares to buy, and what asks for them."""
        minimum = max(ONE, shares_to_reach(self.basis.minimum - held * price, price))
        if held == 0:
            return minimum, ReasonCode.MIN_POSITION_VALUE
        limits, equity = self.basis.limits, self.facts.equity
        trade = shares_to_reach(amounts.minimum_trade(limits, equity), price)
        band = ZERO if is_given else shares_to_reach(limits.deployment.rebalance_band_pct * held * price, price)
        return max(
            (minimum, ReasonCode.MIN_POSITION_VALUE),
            (trade, ReasonCode.MIN_TRADE_VALUE),
            (band, ReasonCode.REBALANCE_BAND),
            key=lambda bound: bound[0],
        )

    def _count_given(self, candidate: Candidate, price: Decimal) -> Decimal:
        shares = candidate.shares
        return whole_shares(shares) if shares else shares_within(self._value(candidate, price), price)

    def _value(self, candidate: Candidate, price: Decimal) -> Decimal:
        return candidate.value_at(price, self.facts.equity)

    def _most(self, candidate: Candidate, price: Decimal, held: Decimal, wanted: Decimal) -> Decimal:
        """Return the most shares: the automatic maximum, or a given size up to the position maximum."""
        limits, equity, factor = self.basis.limits, self.facts.equity, self.factor
        dear = price * (ONE + self.basis.buffer)
        auto = whole_shares(amounts.maximum_auto_position(limits, equity, factor) / dear - held)
        single = whole_shares(amounts.maximum_position(limits, equity, factor) / dear - held)
        volume = amounts.volume_cap(limits, self.facts.of(candidate.symbol))
        is_kept = self.keeps_sizes and candidate.has_size
        most = min(single, wanted if is_kept else max(auto, wanted))
        return most if volume is None else min(most, volume)

    def _find_misfit(self, pick: Pick, raised: Raise | None) -> SkippedTrade | None:
        """Return why a candidate fits in no size, or None."""
        limits = self.basis.limits
        if raised is not None:
            dear = pick.held + pick.least * pick.price * (ONE + self.basis.buffer)
            auto = amounts.maximum_auto_position(limits, self.facts.equity, self.factor)
            if self.is_exact or limits.deployment.too_small == "skip" or dear > auto or pick.most < pick.least:
                return raised.skip
        if 0 < pick.wanted < pick.least:
            return skip_under_trade(pick, pick.wanted * pick.price)
        if pick.most >= pick.least:
            return None
        is_near = pick.held > 0 and pick.most >= ONE
        return skip_under_trade(pick, pick.most * pick.price) if is_near else self._too_large(pick)

    def _heat_for_buys(self, picks: Iterable[Pick]) -> Decimal:
        """Return the dollars for BUYs within the heat. A stop may be half a price step lower."""
        lost = self._lost_share(picks)
        return Decimal("Infinity") if lost is None else amounts.heat_room(self.basis.limits, self.facts) / lost

    def _lost_share(self, picks: Iterable[Pick]) -> Decimal | None:
        """Return what a new position loses at its stop, as a share of one; None without exits."""
        exits = self.basis.exits
        if not exits.enabled:
            return None
        step = max((price_tick(p.price) / p.price for p in picks), default=ZERO) / 2
        return exits.stop_loss_pct * (ONE + self.basis.buffer) + step

    def _sector_rooms(self, picks: Iterable[Pick]) -> dict[str, Decimal]:
        """Return the room of each bucket at planning prices, with held picks at worse prices."""
        limits, equity, worse = self.basis.limits, self.facts.equity, self.basis.buffer
        taken: dict[str, Decimal] = {}
        for position in self.facts.positions.values():
            if position.qty > 0:
                bucket = self.basis.bucket(position.symbol, position.sector)
                taken[bucket] = taken.get(bucket, ZERO) + position.market_value
        for pick in picks:
            more = pick.held * (ONE + worse) - self.facts.held_value(pick.symbol)
            taken[pick.sector] = taken.get(pick.sector, ZERO) + more
        caps = {bucket: amounts.sector_cap(limits, equity, bucket) for bucket in taken}
        return {bucket: max(ZERO, caps[bucket] - value) / (ONE + worse) for bucket, value in taken.items()}

    def _too_large(self, pick: Pick) -> SkippedTrade:
        maximum = amounts.maximum_auto_position(self.basis.limits, self.facts.equity, self.factor)
        shares = ONE if pick.held else pick.least
        value = (pick.held + shares * pick.price) * (ONE + self.basis.buffer)
        buffer = f"; prices count {percent(self.basis.buffer)} higher" if self.basis.buffer else ""
        what = "one more share makes the position" if pick.held else "the smallest position is"
        sentence = f"{what} {usd(value)}, the maximum is {usd(maximum)}{buffer}"
        return skip(pick.symbol, ReasonCode.MAX_AUTO_POSITION, sentence, value=value, maximum=maximum)


def skip_under_minimum(symbol: str, value: Decimal, minimum: Decimal) -> SkippedTrade:
    """Return the skip of a too small position, in the sentence scripts know."""
    sentence = f"position would be {usd(value)} (< {usd(minimum)} minimum)"
    return skip(symbol, ReasonCode.MIN_POSITION_VALUE, sentence, value=value, minimum=minimum)


def skip_under_trade(pick: Pick, value: Decimal) -> SkippedTrade:
    """Return the skip of a top-up that is too small; `value` is the largest there may be, in dollars."""
    least = pick.least * pick.price
    what = "the rebalancing band" if pick.bound is ReasonCode.REBALANCE_BAND else "the minimum trade"
    sentence = f"its top-up would be {usd(value)} (< {usd(least)}, {what})"
    return skip(pick.symbol, pick.bound, sentence, value=value, least=least, held=pick.held)
