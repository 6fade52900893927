"""How much of the capital a plan puts to work, and what keeps it from the target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from Departments.constraints import checks
from Departments.core.money import ZERO, cents, money_text, percent, usd
from Departments.core.plans import Skip
from Departments.core.reasons import Reason, ReasonCode
from Departments.Operations.allocation import Allocation, Room
from Departments.Operations.sizing import Sizer

#: What stops every BUY at once; the first found explains a plan without BUYs.
HALTS = (
    ReasonCode.EQUITY_NOT_POSITIVE,
    ReasonCode.VIX_PANIC,
    ReasonCode.REGIME_HALT,
    ReasonCode.SPY_DRAWDOWN_HALT,
    ReasonCode.DRAWDOWN_HALT,
    ReasonCode.LAST_MINUTES,
)
#: What keeps a candidate out although there is money, the most telling first.
OBSTACLES = (ReasonCode.MAX_POSITIONS_TOTAL, ReasonCode.MAX_SECTOR_CONCENTRATION, ReasonCode.MIN_POSITION_VALUE)


SENTENCES = {
    ReasonCode.MAX_AUTO_POSITION: "every candidate taken is as large as one may become that Operations adds to",
    ReasonCode.MIN_POSITION_VALUE: "the money left does not bring another candidate to the minimum",
    ReasonCode.MAX_SECTOR_CONCENTRATION: "the sectors of the candidates left are full",
}
FOUR_PLACES = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The value of all positions (dollars) beside the target, and the constraint that binds where it is missed."""

    deployed: Decimal
    target: Decimal
    share: Decimal | None
    binding: Reason | None
    buffer: Decimal

    @property
    def shortfall(self) -> Decimal:
        """Return the dollars missing to the target."""
        return max(ZERO, self.target - self.deployed)

    @property
    def notes(self) -> tuple[str, ...]:
        """Return the sentences for people."""
        if self.binding is None:
            return ()
        room = f"; {percent(self.buffer)} is kept for worse prices" if self.binding.code in MONEY else ""
        missed = f"The deployment target of {usd(self.target)} is missed by {usd(self.shortfall)}"
        return (f"{missed}: {self.binding.sentence or self.binding.code.meaning} ({self.binding}){room}.",)

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


MONEY = frozenset({ReasonCode.CASH_RESERVE, ReasonCode.UNSETTLED_FUNDS, ReasonCode.MAX_PORTFOLIO_HEAT})


def of(sizer: Sizer, room: Room, allocation: Allocation, unfit: Sequence[Skip], deployed: Decimal) -> Outcome:
    """Return the outcome of a plan that leads to positions worth `deployed`."""
    equity, limits = sizer.book.equity, sizer.situation.limits
    target = max(ZERO, checks.deployment_target(limits, equity))
    met = equity > 0 and deployed >= target
    return Outcome(
        deployed,
        target,
        (deployed / equity).quantize(FOUR_PLACES) if equity > 0 else None,
        None if met else _binding(room, allocation, unfit),
        sizer.situation.buffer,
    )


def _binding(room: Room, allocation: Allocation, unfit: Sequence[Skip]) -> Reason:
    if room.money < room.goal and allocation.idle < allocation.grain:
        return Reason.of(room.money_bound, spendable=cents(room.money))
    found = {reason.code for reason in allocation.left_out.values()}
    halts = {skip.reason.code for skip in unfit}
    code = next((c for c in OBSTACLES if c in found), None) or next((c for c in HALTS if c in halts), None)
    if code is None:
        code = ReasonCode.MAX_AUTO_POSITION if allocation.shares else ReasonCode.NO_CANDIDATES
    return Reason.of(code, SENTENCES.get(code, ""), idle=cents(allocation.idle))
