"""How much of the capital a plan puts to work, and what keeps it from the target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from Departments.constraints import checks
from Departments.core.money import CENT, ZERO, cents, money_text, percent, usd, usd_cents
from Departments.core.plans import Skip
from Departments.core.reasons import Reason, ReasonCode
from Departments.Operations.allocation import Allocation, Room
from Departments.Operations.sizing import Sizer

#: What stops every BUY at once; the first found explains why nothing is bought.
HALTS = (
    ReasonCode.EQUITY_NOT_POSITIVE,
    ReasonCode.VIX_PANIC,
    ReasonCode.REGIME_HALT,
    ReasonCode.SPY_DRAWDOWN_HALT,
    ReasonCode.DRAWDOWN_HALT,
    ReasonCode.LAST_MINUTES,
)
#: What keeps a candidate out although there is money, the most telling first.
CORRELATED = ReasonCode.MAX_CORRELATED_POSITIONS
OBSTACLES = (
    ReasonCode.MAX_POSITIONS_TOTAL,
    ReasonCode.MAX_SECTOR_CONCENTRATION,
    CORRELATED,
    ReasonCode.MIN_POSITION_VALUE,
)

SENTENCES = {
    ReasonCode.MAX_AUTO_POSITION: "every candidate is as large as one may become that Operations adds to",
    ReasonCode.MIN_POSITION_VALUE: "the money left does not bring another candidate to the minimum",
    ReasonCode.MAX_SECTOR_CONCENTRATION: "the sectors of the candidates left are full",
}
#: What limits the money, said of the sum that may be spent.
MONEY = {
    ReasonCode.CASH_RESERVE: "beside the cash reserve BUYs may cost {}",
    ReasonCode.UNSETTLED_FUNDS: "beside proceeds that have not settled BUYs may cost {}",
    ReasonCode.MAX_PORTFOLIO_HEAT: "with what all stops together may lose BUYs may cost {}",
}
FOUR_PLACES = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The value of all positions (dollars) beside the target, and the constraint that binds where it is missed."""

    deployed: Decimal
    target: Decimal
    share: Decimal | None
    binding: Reason | None

    @property
    def shortfall(self) -> Decimal:
        """Return the dollars missing to the target."""
        return max(ZERO, self.target - self.deployed)

    @property
    def notes(self) -> tuple[str, ...]:
        """Return the sentences for people."""
        if self.binding is None:
            return ()
        missed = f"The deployment target of {usd(self.target)} is missed by {usd(self.shortfall)}"
        return (f"{missed}: {self.binding.sentence or self.binding.code.meaning} ({self.binding}).",)

    @property
    def document(self) -> dict[str, Any]:
        """Return the same for machines; money as text."""
        return {
            "target": money_text(self.target),
            "deployed": money_text(self.deployed),
            "target_met": self.binding is None,
            "binding": str(self.binding.code) if self.binding else "",
            "shortfall": money_text(self.shortfall),
        }


def of(sizer: Sizer, room: Room, allocation: Allocation, skips: Sequence[Skip], deployed: Decimal) -> Outcome:
    """Return the outcome of a plan that leads to positions worth `deployed`."""
    equity, limits = sizer.facts.equity, sizer.basis.limits
    target = max(ZERO, checks.deployment_target(limits, equity))
    met = equity > 0 and deployed >= target
    return Outcome(
        deployed,
        target,
        (deployed / equity).quantize(FOUR_PLACES) if equity > 0 else None,
        None if met else _binding(room, allocation, skips, sizer.basis.buffer),
    )


def _binding(room: Room, allocation: Allocation, skips: Sequence[Skip], buffer: Decimal) -> Reason:
    """Return what keeps the target out of reach: a halt, the money, or whatever keeps money from being spent."""
    skipped = {skip.reason.code for skip in skips}
    code = next((c for c in HALTS if c in skipped), None)
    if code is None and _money_binds(room, allocation):
        return _money(room, allocation, buffer)
    if code is None:
        found = {reason.code for reason in allocation.left_out.values()} | (skipped & {CORRELATED})
        full = allocation.shares or ReasonCode.MAX_AUTO_POSITION in skipped
        fallback = ReasonCode.MAX_AUTO_POSITION if full else ReasonCode.NO_CANDIDATES
        code = next((c for c in (*OBSTACLES, room.money_bound) if c in found), fallback)
    return Reason.of(code, SENTENCES.get(code, ""), idle=cents(allocation.idle))


def _money_binds(room: Room, allocation: Allocation) -> bool:
    """Tell whether money is what is short: what is left buys no share more, or more is missing than lies idle."""
    too_little = allocation.next_share is not None and room.money - allocation.spent < allocation.next_share
    return too_little or room.goal - room.money > allocation.idle


def _money(room: Room, allocation: Allocation, buffer: Decimal) -> Reason:
    left = max(ZERO, room.money - allocation.spent)
    what = "buy one share more" if allocation.next_share else "bring a candidate to the minimum"
    kept = f" ({percent(buffer)} is kept for worse prices)" if buffer else ""
    rest = f", and the {usd_cents(left)} left of it do not {what}" if left >= CENT else ""
    sentence = MONEY[room.money_bound].format(usd(room.money)) + kept + rest
    return Reason.of(room.money_bound, sentence, spendable=cents(room.money), left=cents(left))
