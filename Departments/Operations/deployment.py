"""The deployment target: how much a plan invests, and the limit that keeps it from more.

The limit is computed: each is relaxed alone by a step, the BUYs are sized anew, and the one that lets most money in is
named with the amount. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final

from Departments.constraints import amounts
from Departments.constraints.limits import Limits, value_at
from Departments.constraints.table import BUY_HALTS
from Departments.core.facts import Facts
from Departments.core.money import ONE, ZERO, cents, count_noun, money_text, plain, usd
from Departments.core.plans import SkippedTrade
from Departments.core.reasons import Reason, ReasonCode
from Departments.Operations.filling import Filling
from Departments.Operations.sizing import Sizer

FOUR_PLACES: Final = Decimal("0.0001")
POINT: Final = Decimal("0.01")
FURTHER: Final = 5  # steps at once, where one lets nothing in
#: The limits and their steps. A step below zero lowers the limit.
STEPS: Final[tuple[tuple[ReasonCode, str, Decimal], ...]] = (
    (ReasonCode.MAX_POSITIONS_TOTAL, "position_limits.max_positions_total", ONE),
    (ReasonCode.MAX_SECTOR_CONCENTRATION, "position_limits.max_sector_concentration_pct", 5 * POINT),
    (ReasonCode.MAX_AUTO_POSITION, "deployment.max_auto_position_pct", POINT),
    (ReasonCode.MAX_POSITION_VALUE, "position_limits.max_single_position_pct", POINT),
    (ReasonCode.MAX_CORRELATED_POSITIONS, "position_limits.max_correlated_positions", ONE),
    (ReasonCode.CASH_RESERVE, "portfolio_risk.min_cash_reserve_pct", -POINT),
    (ReasonCode.MAX_PORTFOLIO_HEAT, "portfolio_risk.max_portfolio_heat", POINT),
    (ReasonCode.MIN_POSITION_VALUE, "position_limits.min_position_pct", -POINT),
    (ReasonCode.MIN_POSITION_VALUE, "position_limits.min_position_value", Decimal(-500)),
    (ReasonCode.MAX_ORDER_OF_VOLUME, "liquidity_requirements.max_order_pct_of_volume", POINT),
    (ReasonCode.MIN_TRADE_VALUE, "deployment.min_trade_pct", -POINT / 2),
    (ReasonCode.MIN_TRADE_VALUE, "deployment.min_trade_value", Decimal(-250)),
    (ReasonCode.REBALANCE_BAND, "deployment.rebalance_band_pct", -5 * POINT),
    (ReasonCode.SCORE_BELOW_THRESHOLD, "deployment.min_score", Decimal(-5)),
)


@dataclass(frozen=True, slots=True)
class Relaxed:
    """A sizer with one limit relaxed by a step, its code, and the change in words."""

    code: ReasonCode
    change: str
    sizer: Sizer


def relax_each(sizer: Sizer, times: int = 1) -> Iterator[Relaxed]:
    """Yield the sizer with each limit relaxed alone, by its step so many times."""
    limits = sizer.basis.limits
    for code, key, step in STEPS:
        before = Decimal(value_at(limits, key))
        after = max(ZERO, before + step * times)
        if after != before:
            change = f"with {key.partition('.')[2]} {plain(after)} instead of {plain(before)}"
            yield Relaxed(code, change, _with_limits(sizer, _set(limits, key, type(value_at(limits, key))(after))))
    effects = amounts.size_effects(limits, sizer.facts)
    if effects:
        cause = min(effects, key=lambda reason: Decimal(reason.values["factor"])).values["cause"]
        usual = _with_limits(sizer, amounts.usual_sizes(limits))
        yield Relaxed(ReasonCode.SIZE_REDUCED, f"without {cause}", usual)
    if amounts.must_settle(limits):
        change = "with spend_unsettled true instead of false"
        relaxed = _set(limits, "settlement.spend_unsettled", True)
        yield Relaxed(ReasonCode.UNSETTLED_FUNDS, change, _with_limits(sizer, relaxed))
    if sizer.keeps_sizes:
        change = "the plan's sizes are kept; with --sizes resize"
        yield Relaxed(ReasonCode.SIZES_KEPT, change, replace(sizer, keeps_sizes=False))
    if amounts.new_money_room(limits, sizer.facts).is_finite():
        relaxed = _set(_set(limits, "deployment.max_new_per_day", None), "deployment.ramp_days", 0)
        day = amounts.find_ramp_day(limits, sizer.facts)
        keys = f"ramp_days, day {day} of {limits.deployment.ramp_days}" if day else "max_new_per_day"
        change = f"without the daily limit of new money ({keys})"
        yield Relaxed(ReasonCode.NEW_MONEY_LIMIT, change, _with_limits(sizer, relaxed))


def _with_limits(sizer: Sizer, limits: Limits) -> Sizer:
    return replace(sizer, basis=replace(sizer.basis, limits=limits))


def _set(limits: Limits, key: str, value: object) -> Limits:
    group, _, name = key.partition(".")
    section = getattr(limits, group).model_copy(update={name: value})
    return limits.model_copy(update={group: section})


@dataclass(frozen=True, slots=True)
class Binding:
    """What keeps a plan from investing more. `openings` are changes of one limit each that let a symbol in, by symbol.

    The BUYs were sized anew with each change.
    """

    reason: Reason
    openings: Mapping[str, Sequence[str]] = field(default_factory=dict)


def find_binding(
    sizer: Sizer, bought: Filling, skips: Iterable[SkippedTrade], fill: Callable[[Relaxed], Filling]
) -> Binding:
    """Return what keeps a plan from investing more than it `bought`: a halt, a limit, or no candidate.

    `fill` sizes the BUYs anew.
    """
    skipped = {skip.reason.code for skip in skips}
    halt = next((code for code in BUY_HALTS if code in skipped), None)
    if halt is not None:
        return Binding(Reason.of(halt))
    openings: dict[str, list[str]] = {}
    for times in (1, FURTHER):
        filled = [(relaxed, fill(relaxed)) for relaxed in relax_each(sizer, times)]
        for relaxed, filling in filled:
            for symbol in filling.trades.keys() - bought.trades.keys():
                openings.setdefault(symbol, []).append(relaxed.change)
        best, most = max(filled, key=lambda each: each[1].spent)
        more = most.spent - bought.spent
        if more >= ONE:
            sentence = f"{best.change}, {usd(more)} more would be invested"
            return Binding(Reason.of(best.code, sentence, more=cents(more)), openings)
    return Binding(Reason.of(ReasonCode.NO_CANDIDATES, "no limit keeps a further candidate out"), openings)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The value of all positions beside the target (dollars), and what binds if it is missed.

    `tolerance` is what the price buffer keeps back, in dollars. `positions` are held in the end, `aim` are wanted.
    `openings` are those of `Binding`.
    """

    deployed: Decimal
    target: Decimal
    tolerance: Decimal
    share: Decimal | None
    binding: Reason | None
    positions: int
    aim: int
    openings: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def shortfall(self) -> Decimal:
        """Return the dollars missing to the target."""
        return max(ZERO, self.target - self.deployed)

    @property
    def notes(self) -> tuple[str, ...]:
        """Return the sentences for people."""
        found = []
        if self.binding is not None:
            missed = f"Deployment is {usd(self.shortfall)} short of the target of {usd(self.target)}"
            found.append(f"{missed}: {self.binding.sentence or self.binding.code.meaning} ({self.binding}).")
        if self.positions < self.aim and self.binding is not None:
            there = count_noun(self.positions, "position")
            found.append(f"The plan leads to {there}; deployment.min_positions asks for {self.aim}.")
        return tuple(found)

    @property
    def document(self) -> dict[str, Any]:
        """Return the same for machines; money as text."""
        return {
            "target": money_text(self.target),
            "deployed": money_text(self.deployed),
            "target_met": self.binding is None,
            "binding": str(self.binding.code) if self.binding else "",
            "shortfall": money_text(self.shortfall),
            "openings": {symbol: list(changes) for symbol, changes in sorted(self.openings.items())},
        }


def measure_deployment(sizer: Sizer, after: Facts, sold: Decimal, find: Callable[[], Binding]) -> Outcome:
    """Return the outcome of a plan with the account `after` it; it sells for `sold` dollars.

    The target is met within the price buffer: of equity and proceeds a plan spends that much less. `find` returns
    what binds.
    """
    deployed = after.invested
    equity, limits, buffer = sizer.facts.equity, sizer.basis.limits, sizer.basis.buffer
    target = max(ZERO, amounts.deployment_target(limits, equity))
    tolerance = buffer * (max(ZERO, equity) + sold)
    is_met = equity > 0 and deployed >= target - tolerance
    found = None if is_met else find()
    return Outcome(
        deployed,
        target,
        tolerance,
        (deployed / equity).quantize(FOUR_PLACES) if equity > 0 else None,
        None if found is None else found.reason,
        sum(1 for position in after.positions.values() if position.qty != 0),
        limits.deployment.min_positions,
        {} if found is None else found.openings,
    )
