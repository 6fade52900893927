"""The deployment target: how much of it a plan reaches, and what keeps it from more. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from Departments.constraints import amounts
from Departments.core.money import CENT, ZERO, cents, money_text, percent, usd, usd_cents
from Departments.core.plans import SkippedTrade
from Departments.core.reasons import Reason, ReasonCode
from Departments.Operations.filling import Filling, Room
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
    ReasonCode.MAX_AUTO_POSITION: "every candidate is already at its cap (max_auto_position_pct)",
    ReasonCode.MIN_POSITION_VALUE: "the money left does not bring another candidate to the minimum",
    ReasonCode.MAX_SECTOR_CONCENTRATION: "the sectors of the candidates left are full",
}


#: What limits the money, said of the sum that may be spent.
MONEY = {
    ReasonCode.CASH_RESERVE: "without touching the cash reserve BUYs may cost {}",
    ReasonCode.UNSETTLED_FUNDS: "without unsettled proceeds BUYs may cost {}",
    ReasonCode.MAX_PORTFOLIO_HEAT: "within the loss allowed at all stops (max_portfolio_heat) BUYs may cost {}",
}


FOUR_PLACES = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The value of all positions beside the target (dollars), and the binding constraint if missed."""

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


def measure_deployment(
    sizer: Sizer, room: Room, filling: Filling, skips: Sequence[SkippedTrade], deployed: Decimal
) -> Outcome:
    """Return the outcome of a plan with positions worth `deployed` dollars."""
    equity, limits = sizer.facts.equity, sizer.basis.limits
    target = max(ZERO, amounts.deployment_target(limits, equity))
    is_reached = equity > 0 and deployed >= target
    return Outcome(
        deployed,
        target,
        (deployed / equity).quantize(FOUR_PLACES) if equity > 0 else None,
        None if is_reached else find_binding(room, filling, skips, sizer.basis.buffer),
    )


def find_binding(room: Room, filling: Filling, skips: Sequence[SkippedTrade], buffer: Decimal) -> Reason:
    """Return the reason for missing the target: a halt, the money, or an obstacle to spending it."""
    skipped = {skip.reason.code for skip in skips}
    code = next((c for c in HALTS if c in skipped), None)
    if code is None and _is_money_short(room, filling):
        return _money(room, filling, buffer)
    if code is None:
        found = {reason.code for reason in filling.left_out.values()} | (skipped & {CORRELATED})
        full = filling.trades or ReasonCode.MAX_AUTO_POSITION in skipped
        fallback = ReasonCode.MAX_AUTO_POSITION if full else ReasonCode.NO_CANDIDATES
        code = next((c for c in (*OBSTACLES, room.money_bound) if c in found), fallback)
    return Reason.of(code, SENTENCES.get(code, ""), idle=cents(filling.idle))


def _is_money_short(room: Room, filling: Filling) -> bool:
    """Return True if the rest buys no share, or more is missing than is idle."""
    too_little = filling.next_share is not None and room.money - filling.spent < filling.next_share
    return too_little or room.goal - room.money > filling.idle


def _money(room: Room, filling: Filling, buffer: Decimal) -> Reason:
    left = max(ZERO, room.money - filling.spent)
    what = "buy one share more" if filling.next_share else "bring a candidate to the minimum"
    kept = f" ({percent(buffer)} is kept for worse prices)" if buffer else ""
    rest = f", and the {usd_cents(left)} left of it do not {what}" if left >= CENT else ""
    sentence = MONEY[room.money_bound].format(usd(room.money)) + kept + rest
    return Reason.of(room.money_bound, sentence, spendable=cents(room.money), left=cents(left))
