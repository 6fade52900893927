"""The stock (liquid, dear and large enough?) and the market as a whole (one to buy in?)."""

from __future__ import annotations

from decimal import Decimal

from Departments.constraints.case import Case, Finding
from Departments.constraints.checks import amounts
from Departments.core.reasons import Reason, ReasonCode

MILLION = Decimal(1_000_000)


def daily_volume(case: Case) -> Finding:
    """Refuse a stock of which too few shares trade a day."""
    volume, minimum = case.stock.average_volume, case.limits.liquidity_requirements.min_daily_volume_shares
    if volume is None:
        return case.lacks(ReasonCode.MIN_DAILY_VOLUME, "average volume")
    return Reason.of(ReasonCode.MIN_DAILY_VOLUME, volume=volume, minimum=minimum) if volume < minimum else None


def share_of_volume(case: Case) -> Finding:
    """Refuse an order that is too large a share of the daily volume."""
    cap = amounts.volume_cap(case.limits, case.stock)
    if cap is None:
        return case.lacks(ReasonCode.MAX_ORDER_OF_VOLUME, "average volume")
    return Reason.of(ReasonCode.MAX_ORDER_OF_VOLUME, qty=case.order.qty, maximum=cap) if case.order.qty > cap else None


def spread(case: Case) -> Finding:
    """Refuse a stock whose ask is too far above its bid, as a share of their middle.

    The key's old name says `min`; it is a maximum. A crossed quote (ask under bid) says nothing.
    """
    bid, ask = case.stock.bid, case.stock.ask
    if bid is None or ask is None or bid <= 0 or ask < bid:
        return case.lacks(ReasonCode.MAX_SPREAD, "bid and ask")
    middle, share = (bid + ask) / 2, case.limits.liquidity_requirements.min_bid_ask_spread_pct
    return Reason.of(ReasonCode.MAX_SPREAD, bid=bid, ask=ask, maximum=share) if ask - bid > share * middle else None


def price_floor(case: Case) -> Finding:
    """Refuse a stock that is too cheap."""
    minimum = case.limits.price_constraints.min_stock_price
    return Reason.of(ReasonCode.MIN_STOCK_PRICE, price=case.price, minimum=minimum) if case.price < minimum else None


def price_ceiling(case: Case) -> Finding:
    """Refuse a stock that is too dear, where the limits name a ceiling."""
    maximum = case.limits.price_constraints.max_stock_price
    if maximum is None or case.price <= maximum:
        return None
    return Reason.of(ReasonCode.MAX_STOCK_PRICE, price=case.price, maximum=maximum)


def market_cap(case: Case) -> Finding:
    """Refuse a company that is too small."""
    minimum, value = case.limits.price_constraints.min_market_cap_millions * MILLION, case.stock.market_cap
    if value is None:
        return case.lacks(ReasonCode.MIN_MARKET_CAP, "market capitalisation")
    return Reason.of(ReasonCode.MIN_MARKET_CAP, market_cap=value, minimum=minimum) if value < minimum else None


# --- the market as a whole: is it one to buy in ---


def vix_panic(case: Case) -> Finding:
    """Refuse to buy while the VIX is above the panic threshold, or above a lower one whose size is 0."""
    vix, threshold = amounts.vix_of(case.facts), amounts.vix_halt(case.limits)
    if vix is None:
        return case.lacks(ReasonCode.VIX_PANIC, "VIX")
    return Reason.of(ReasonCode.VIX_PANIC, vix=vix, threshold=threshold) if vix > threshold else None


def regime_halt(case: Case) -> Finding:
    """Refuse to buy in a regime whose effect is 0."""
    regime = amounts.regime_of(case.facts)
    if regime is None:
        return case.lacks(ReasonCode.REGIME_HALT, "regime")
    halted = amounts.regime_factor(case.limits, regime) == 0
    return Reason.of(ReasonCode.REGIME_HALT, regime=regime) if halted else None


def spy_drawdown(case: Case) -> Finding:
    """Refuse to buy while the S&P 500 is too far below its high (a percentage, with or without its minus)."""
    drawdown, share = case.facts.readings.spy_drawdown_pct, case.limits.market_conditions.max_spy_drawdown_pct
    if drawdown is None:
        return case.lacks(ReasonCode.SPY_DRAWDOWN_HALT, "SPY drawdown")
    if abs(drawdown) <= share * 100:
        return None
    return Reason.of(ReasonCode.SPY_DRAWDOWN_HALT, drawdown_pct=abs(drawdown), maximum_pct=share * 100)
