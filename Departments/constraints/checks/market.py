"""The market as a whole: is it one to buy in."""

from __future__ import annotations

from Departments.constraints.case import Case, Finding
from Departments.constraints.checks import amounts
from Departments.core.reasons import Reason, ReasonCode


def vix_panic(case: Case) -> Finding:
    """Refuse to buy while the VIX is above the panic threshold, or above a lower one whose size is 0."""
    vix, threshold = amounts.vix_of(case.market), amounts.vix_halt(case.limits)
    if vix is None:
        return case.lacks(ReasonCode.VIX_PANIC, "VIX")
    return Reason.of(ReasonCode.VIX_PANIC, vix=vix, threshold=threshold) if vix > threshold else None


def regime_halt(case: Case) -> Finding:
    """Refuse to buy in a regime whose effect is 0."""
    regime = amounts.regime_of(case.market)
    if regime is None:
        return case.lacks(ReasonCode.REGIME_HALT, "regime")
    halted = amounts.regime_factor(case.limits, regime) == 0
    return Reason.of(ReasonCode.REGIME_HALT, regime=regime) if halted else None


def spy_drawdown(case: Case) -> Finding:
    """Refuse to buy while the S&P 500 is too far below its high (a percentage, with or without its minus)."""
    drawdown, share = case.market.spy_drawdown_pct, case.limits.market_conditions.max_spy_drawdown_pct
    if drawdown is None:
        return case.lacks(ReasonCode.SPY_DRAWDOWN_HALT, "SPY drawdown")
    if abs(drawdown) <= share * 100:
        return None
    return Reason.of(ReasonCode.SPY_DRAWDOWN_HALT, drawdown_pct=abs(drawdown), maximum_pct=share * 100)
