"""How large a position may be, how many there may be, and how alike."""

from __future__ import annotations

from Departments.constraints.case import Case, Finding
from Departments.constraints.checks import amounts
from Departments.core.money import ONE
from Departments.core.reasons import Reason, ReasonCode


def minimum_size(case: Case) -> Finding:
    """Refuse a BUY that leaves a position, with what is held already, under the minimum."""
    value, minimum = case.value_after, amounts.minimum_position(case.limits, case.book.equity)
    return Reason.of(ReasonCode.MIN_POSITION_VALUE, value=value, minimum=minimum) if value < minimum else None


def maximum_size(case: Case) -> Finding:
    """Refuse a BUY that makes a position, with what is held already, larger than today's maximum."""
    factor = amounts.size_factor(case.limits, case.market) or ONE  # a halt has constraints of its own
    value, maximum = case.value_after, amounts.maximum_position(case.limits, case.book.equity, factor)
    if value <= maximum:
        return None
    return Reason.of(ReasonCode.MAX_POSITION_VALUE, value=value, maximum=maximum, size_factor=factor)


def number_of_positions(case: Case) -> Finding:
    """Refuse to open one position more than may be held."""
    if not case.opens or amounts.positions_room(case.limits, case.book) > 0:
        return None
    return Reason.of(ReasonCode.MAX_POSITIONS_TOTAL, maximum=case.limits.position_limits.max_positions_total)


def sector_concentration(case: Case) -> Finding:
    """Refuse a BUY that makes a sector too large a share of equity."""
    order, limits = case.order, case.limits
    held_sector = case.held.sector if case.held else None
    bucket = amounts.sector_of(limits, order.symbol, case.market, held_sector, order.sector)
    others = amounts.sector_value(limits, case.book, case.market, bucket, without=order.symbol)
    value = others + case.value_after
    cap = amounts.sector_cap(limits, case.book.equity)
    if value <= cap:
        return None
    return Reason.of(ReasonCode.MAX_SECTOR_CONCENTRATION, sector=bucket, value=value, maximum=cap)


def correlated_positions(case: Case) -> Finding:
    """Refuse to open a position that moves together with too many held ones."""
    if not case.opens:
        return None
    rules, code = case.limits.position_limits, ReasonCode.MAX_CORRELATED_POSITIONS
    others = [p.symbol for p in case.book.positions.values() if p.qty > 0]
    known = [case.market.correlations.get(frozenset({case.order.symbol, other})) for other in others]
    alike = sum(1 for c in known if c is not None and c > rules.correlated_above)
    if alike > rules.max_correlated_positions:
        return Reason.of(code, correlated=alike, maximum=rules.max_correlated_positions)
    could_matter = alike + known.count(None) > rules.max_correlated_positions
    return case.lacks(code, "correlations") if could_matter else None
