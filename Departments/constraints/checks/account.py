"""Checks of the account: the order's shares, sizes and correlations of positions, cash, losses."""

from __future__ import annotations

from Departments.constraints import amounts
from Departments.constraints.case import Case, Finding
from Departments.core.money import ONE, ZERO, whole_shares
from Departments.core.orders import Side
from Departments.core.reasons import Reason, ReasonCode

# --- the order itself: nothing here is configurable ---


def check_quantity(case: Case) -> Finding:
    """Refuse a quantity of zero or less, and a BUY of fractions. A SELL may close a fraction."""
    qty = case.order.qty
    fractional = case.order.side is Side.BUY and qty != whole_shares(qty)
    return Reason.of(ReasonCode.INVALID_QUANTITY, qty=qty) if qty <= 0 or fractional else None


def check_price(case: Case) -> Finding:
    """Refuse a BUY without a known, positive price."""
    price = case.order.price
    return Reason.of(ReasonCode.NO_PRICE, price=price) if price is None or price <= 0 else None


def check_not_short(case: Case) -> Finding:
    """Refuse to buy into a short position."""
    held = case.held
    return Reason.of(ReasonCode.SHORT_POSITION, held=held.qty) if held is not None and held.qty < 0 else None


def check_held(case: Case) -> Finding:
    """Refuse to sell a symbol without a position."""
    held = case.held.qty if case.held else ZERO
    return Reason.of(ReasonCode.NOT_HELD, held=held) if held <= 0 else None


def check_enough_held(case: Case) -> Finding:
    """Refuse to sell more shares than the account holds."""
    held = case.held.qty if case.held else ZERO
    excess = 0 < held < case.order.qty
    return Reason.of(ReasonCode.SELL_EXCEEDS_HOLDING, qty=case.order.qty, held=held) if excess else None


def check_available(case: Case) -> Finding:
    """Refuse to sell shares held by resting orders. RELEASE frees them before the SELL."""
    held = case.held
    if held is None or case.order.qty > held.qty or case.order.qty <= held.available:
        return None
    return Reason.of(ReasonCode.SHARES_RESERVED, qty=case.order.qty, available=held.available)


# --- sizes ---


def check_minimum_size(case: Case) -> Finding:
    """Refuse a BUY with a resulting position under the minimum (see `is_large_enough`)."""
    if amounts.is_large_enough(case.limits, case.facts, case.order, case.planned_price):
        return None
    minimum = amounts.minimum_position(case.limits, case.facts.equity)
    return Reason.of(ReasonCode.MIN_POSITION_VALUE, value=case.value_after, minimum=minimum)


def check_maximum_size(case: Case) -> Finding:
    """Refuse a BUY with a resulting position above today's maximum."""
    factor = amounts.size_factor(case.limits, case.facts) or ONE  # a halt has constraints of its own
    value, maximum = case.value_after, amounts.maximum_position(case.limits, case.facts.equity, factor)
    if value <= maximum:
        return None
    return Reason.of(ReasonCode.MAX_POSITION_VALUE, value=value, maximum=maximum, size_factor=factor)


def check_number_of_positions(case: Case) -> Finding:
    """Refuse to open a position beyond the maximum number."""
    if not case.is_new_position or amounts.positions_room(case.limits, case.facts) > 0:
        return None
    return Reason.of(ReasonCode.MAX_POSITIONS_TOTAL, maximum=case.limits.position_limits.max_positions_total)


def check_sector(case: Case) -> Finding:
    """Refuse a BUY beyond the sector's share of equity. An unknown sector leaves open what its true one holds."""
    order, limits = case.order, case.limits
    sectors = (case.held.sector if case.held else None, order.sector)
    bucket = amounts.sector_of(limits, order.symbol, case.facts, *sectors)
    others = amounts.sector_value(limits, case.facts, bucket, without=order.symbol)
    value = others + case.value_after
    cap = amounts.sector_cap(limits, case.facts.equity, bucket)
    if value <= cap:
        is_known = any(map(amounts.known_sector, (case.stock.sector, *sectors)))
        return None if is_known else case.leave_open(ReasonCode.MAX_SECTOR_CONCENTRATION, "sector")
    return Reason.of(ReasonCode.MAX_SECTOR_CONCENTRATION, sector=bucket, value=value, maximum=cap)


def check_correlation(case: Case) -> Finding:
    """Refuse to open a position correlated with too many others."""
    if not case.is_new_position:
        return None
    rules, code = case.limits.position_limits, ReasonCode.MAX_CORRELATED_POSITIONS
    others = [p.symbol for p in case.facts.positions.values() if p.qty > 0]
    known = [case.facts.readings.correlations.get(frozenset({case.order.symbol, other})) for other in others]
    alike = sum(1 for c in known if c is not None and c > rules.correlated_above)
    if alike > rules.max_correlated_positions:
        return Reason.of(code, correlated=alike, maximum=rules.max_correlated_positions)
    could_matter = alike + known.count(None) > rules.max_correlated_positions
    return case.leave_open(code, "correlations") if could_matter else None


# --- cash and losses ---


def check_equity(case: Case) -> Finding:
    """Refuse to buy for an account without equity: its shares mean nothing."""
    equity = case.facts.equity
    return Reason.of(ReasonCode.EQUITY_NOT_POSITIVE, equity=equity) if equity <= 0 else None


def check_reserve(case: Case) -> Finding:
    """Refuse to touch the reserve, all open BUYs paid."""
    if case.limits.allow_margin:
        return None
    left, run = case.facts.free_cash - case.cost, case.facts.run
    reserve = amounts.cash_reserve(case.limits, case.facts.equity) if run is None else run.reserve
    return Reason.of(ReasonCode.CASH_RESERVE, cash_after=left, reserve=reserve) if left < reserve else None


def check_margin(case: Case) -> Finding:
    """Refuse a BUY beyond the cash, all open BUYs paid."""
    if case.limits.allow_margin:
        return None
    left = case.facts.free_cash - case.cost
    return Reason.of(ReasonCode.NO_MARGIN, cash_after=left) if left < 0 else None


def check_new_money(case: Case) -> Finding:
    """Refuse a BUY beyond the money that one day may invest anew."""
    room = amounts.new_money_room(case.limits, case.facts)
    return Reason.of(ReasonCode.NEW_MONEY_LIMIT, cost=case.cost, room=room) if case.cost > room else None


def check_settlement(case: Case) -> Finding:
    """Refuse to spend unsettled proceeds in a cash account."""
    if not amounts.must_settle(case.limits):
        return None
    settled = case.facts.free_cash - case.facts.unsettled_cash
    return Reason.of(ReasonCode.UNSETTLED_FUNDS, cost=case.cost, settled=settled) if case.cost > settled else None


def check_heat(case: Case) -> Finding:
    """Refuse a BUY beyond the maximum heat: the loss at all stops, as a share of equity.

    Heat counts from the entry price; a stop above it puts nothing at risk. The sum leaves out positions without a
    known stop. With such positions the check only judges whether the known part alone exceeds the maximum.
    """
    code, added = ReasonCode.MAX_PORTFOLIO_HEAT, amounts.order_heat(case.order)
    held, unknown = amounts.portfolio_heat(case.facts)
    maximum = case.limits.portfolio_risk.max_portfolio_heat * case.facts.equity
    heat = held + (added or 0)
    if heat > maximum:
        return Reason.of(code, heat=heat, maximum=maximum)
    missing = (*(() if added is not None else ("stop price",)), *(("stops of held positions",) if unknown else ()))
    return case.leave_open(code, *missing) if missing else None


def check_drawdown(case: Case) -> Finding:
    """Refuse to buy too far below the peak of equity."""
    peak, equity = case.facts.peak_equity, case.facts.equity
    share = case.limits.portfolio_risk.max_drawdown_halt_pct
    if peak is None:
        return case.leave_open(ReasonCode.DRAWDOWN_HALT, "peak equity")
    if peak - equity <= share * peak:
        return None
    return Reason.of(ReasonCode.DRAWDOWN_HALT, equity=equity, peak=peak, maximum=share)
