"""Cash, and what may be lost."""

from __future__ import annotations

from Departments.constraints.case import Case, Finding
from Departments.constraints.checks import amounts
from Departments.core.reasons import Reason, ReasonCode


def equity_positive(case: Case) -> Finding:
    """Refuse to buy for an account without equity, where every share of it is meaningless."""
    equity = case.book.equity
    return Reason.of(ReasonCode.EQUITY_NOT_POSITIVE, equity=equity) if equity <= 0 else None


def reserve_kept(case: Case) -> Finding:
    """Refuse a BUY after which, with all open BUYs paid, the cash is less than the reserve."""
    if case.limits.allow_margin:
        return None
    left = case.book.cash - case.book.open_buys - case.cost
    reserve = amounts.cash_reserve(case.limits, case.book.equity)
    return Reason.of(ReasonCode.CASH_RESERVE, cash_after=left, reserve=reserve) if left < reserve else None


def no_margin(case: Case) -> Finding:
    """Refuse a BUY after which, with all open BUYs paid, the cash is below zero."""
    if case.limits.allow_margin:
        return None
    left = case.book.cash - case.book.open_buys - case.cost
    return Reason.of(ReasonCode.NO_MARGIN, cash_after=left) if left < 0 else None


def settled_funds(case: Case) -> Finding:
    """Refuse a BUY that a cash account would pay with proceeds that have not settled."""
    if not amounts.must_settle(case.limits):
        return None
    settled = case.book.cash - case.book.open_buys - case.book.unsettled_cash
    return Reason.of(ReasonCode.UNSETTLED_FUNDS, cost=case.cost, settled=settled) if case.cost > settled else None


def portfolio_heat(case: Case) -> Finding:
    """Refuse a BUY after which all stops together would lose too large a share of equity.

    Heat is counted from the price paid: a stop above it puts nothing at risk. Positions without a known stop
    are left out of the sum, and the constraint is then only judged where the known part alone exceeds it.
    """
    code, added = ReasonCode.MAX_PORTFOLIO_HEAT, amounts.order_heat(case.order)
    held, unknown = amounts.portfolio_heat(case.book, case.history)
    maximum = case.limits.portfolio_risk.max_portfolio_heat * case.book.equity
    heat = held + (added or 0)
    if heat > maximum:
        return Reason.of(code, heat=heat, maximum=maximum)
    missing = (*(() if added is not None else ("stop price",)), *(("stops of held positions",) if unknown else ()))
    return case.lacks(code, *missing) if missing else None


def drawdown(case: Case) -> Finding:
    """Refuse to buy while equity is too far below its peak."""
    peak, equity = case.book.peak_equity, case.book.equity
    share = case.limits.portfolio_risk.max_drawdown_halt_pct
    if peak is None:
        return case.lacks(ReasonCode.DRAWDOWN_HALT, "peak equity")
    if peak - equity <= share * peak:
        return None
    return Reason.of(ReasonCode.DRAWDOWN_HALT, equity=equity, peak=peak, maximum=share)
