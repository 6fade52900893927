"""The order itself: can it be sent at all. Nothing here is configurable."""

from __future__ import annotations

from Departments.constraints.case import Case, Finding
from Departments.core.money import ZERO, whole_shares
from Departments.core.orders import Side
from Departments.core.reasons import Reason, ReasonCode


def quantity(case: Case) -> Finding:
    """Refuse a quantity that is not positive; a BUY is of whole shares, a SELL may close a fraction."""
    qty = case.order.qty
    fractional = case.order.side is Side.BUY and qty != whole_shares(qty)
    return Reason.of(ReasonCode.INVALID_QUANTITY, qty=qty) if qty <= 0 or fractional else None


def price_known(case: Case) -> Finding:
    """Refuse a BUY at a price that nobody knows or that is not positive."""
    price = case.order.price
    return Reason.of(ReasonCode.NO_PRICE, price=price) if price is None or price <= 0 else None


def long_only(case: Case) -> Finding:
    """Refuse to buy into a short position."""
    held = case.held
    return Reason.of(ReasonCode.SHORT_POSITION, held=held.qty) if held is not None and held.qty < 0 else None


def something_held(case: Case) -> Finding:
    """Refuse to sell a symbol of which nothing is held."""
    held = case.held.qty if case.held else ZERO
    return Reason.of(ReasonCode.NOT_HELD, held=held) if held <= 0 else None


def enough_held(case: Case) -> Finding:
    """Refuse to sell more shares than are held."""
    held = case.held.qty if case.held else ZERO
    excess = 0 < held < case.order.qty
    return Reason.of(ReasonCode.SELL_EXCEEDS_HOLDING, qty=case.order.qty, held=held) if excess else None


def enough_available(case: Case) -> Finding:
    """Refuse to sell shares that resting orders hold; the RELEASE phase frees them before the SELL is sent."""
    held = case.held
    if held is None or case.order.qty > held.qty or case.order.qty <= held.available:
        return None
    return Reason.of(ReasonCode.SHARES_RESERVED, qty=case.order.qty, available=held.available)
