"""Checks of the stock (volume, spread, price, size) and of the market (VIX, regime, drawdown)."""

from __future__ import annotations

from decimal import Decimal

from Departments.constraints import amounts
from Departments.constraints.case import Case, Finding
from Departments.core.money import usd_cents
from Departments.core.reasons import Reason, ReasonCode

MILLION = Decimal(1_000_000)


def check_volume(case: Case) -> Finding:
    """Refuse a stock with too little daily volume."""
    volume, minimum = case.stock.average_volume, case.limits.liquidity_requirements.min_daily_volume_shares
    if volume is None:
        return case.leave_open(ReasonCode.MIN_DAILY_VOLUME, "average volume")
    return Reason.of(ReasonCode.MIN_DAILY_VOLUME, volume=volume, minimum=minimum) if volume < minimum else None


def check_share_of_volume(case: Case) -> Finding:
    """Refuse an order beyond its share of the daily volume."""
    cap = amounts.volume_cap(case.limits, case.stock)
    if cap is None:
        return case.leave_open(ReasonCode.MAX_ORDER_OF_VOLUME, "average volume")
    return Reason.of(ReasonCode.MAX_ORDER_OF_VOLUME, qty=case.order.qty, maximum=cap) if case.order.qty > cap else None


def check_spread(case: Case) -> Finding:
    """Refuse a stock with too wide a spread, as a share of the middle.

    The key's old name says `min`; it is a maximum. A crossed quote (ask under bid) counts as missing.
    """
    bid, ask = case.stock.bid, case.stock.ask
    if bid is None or ask is None or bid <= 0 or ask < bid:
        return case.leave_open(ReasonCode.MAX_SPREAD, "bid and ask")
    middle, share = (bid + ask) / 2, case.limits.liquidity_requirements.min_bid_ask_spread_pct
    return Reason.of(ReasonCode.MAX_SPREAD, bid=bid, ask=ask, maximum=share) if ask - bid > share * middle else None


def check_price_floor(case: Case) -> Finding:
    """Refuse a stock below the minimum price."""
    minimum = case.limits.price_constraints.min_stock_price
    return Reason.of(ReasonCode.MIN_STOCK_PRICE, price=case.price, minimum=minimum) if case.price < minimum else None


def check_price_ceiling(case: Case) -> Finding:
    """Refuse a stock above the maximum price, if there is one."""
    maximum = case.limits.price_constraints.max_stock_price
    if maximum is None or case.price <= maximum:
        return None
    return Reason.of(ReasonCode.MAX_STOCK_PRICE, price=case.price, maximum=maximum)


def check_price_mismatch(case: Case) -> Finding:
    """Refuse a price far from the plan's, to either side. An unknown price does not differ."""
    plan, price = case.facts.plan, case.stock.price_for(case.order.side)
    planned = plan.prices.get(case.order.symbol) if plan is not None else None
    share = case.limits.price_constraints.max_price_mismatch_pct
    if price is None or not planned or abs(price - planned) <= share * planned:
        return None
    sentence = f"the plan's price is {usd_cents(planned)}, the broker's {usd_cents(price)}"
    return Reason.of(ReasonCode.PRICE_MISMATCH, sentence, planned=planned, price=price, maximum=share)


def check_fresh_quote(case: Case) -> Finding:
    """Refuse to buy without a fresh ask: the limit of a BUY stands above it."""
    return None if case.stock.is_fresh else Reason.of(ReasonCode.NO_FRESH_QUOTE)


def check_market_cap(case: Case) -> Finding:
    """Refuse a company below the minimum size."""
    minimum, value = case.limits.price_constraints.min_market_cap_millions * MILLION, case.stock.market_cap
    if value is None:
        return case.leave_open(ReasonCode.MIN_MARKET_CAP, "market capitalisation")
    return Reason.of(ReasonCode.MIN_MARKET_CAP, market_cap=value, minimum=minimum) if value < minimum else None


# --- the market as a whole ---


def check_vix(case: Case) -> Finding:
    """Refuse to buy above the VIX of a halt (see `vix_halt`)."""
    vix, threshold = amounts.vix_of(case.facts), amounts.vix_halt(case.limits)
    if vix is None:
        return case.leave_open(ReasonCode.VIX_PANIC, "VIX")
    if vix <= threshold:
        return None
    return Reason.of(ReasonCode.VIX_PANIC, vix=vix, threshold=threshold, **amounts.find_source(case.facts, vix=vix))


def check_regime(case: Case) -> Finding:
    """Refuse to buy in a regime with the factor 0."""
    regime = amounts.regime_of(case.limits, case.facts)
    if regime is None:
        return case.leave_open(ReasonCode.REGIME_HALT, "regime")
    if amounts.regime_factor(case.limits, regime) > 0:
        return None
    return Reason.of(ReasonCode.REGIME_HALT, regime=regime, **amounts.find_source(case.facts, regime=regime))


def check_spy_drawdown(case: Case) -> Finding:
    """Refuse to buy during a large drawdown of the S&P 500 (percent, either sign)."""
    drawdown, share = amounts.spy_drawdown_of(case.facts), case.limits.market_conditions.max_spy_drawdown_pct
    if drawdown is None:
        return case.leave_open(ReasonCode.SPY_DRAWDOWN_HALT, "SPY drawdown")
    if drawdown <= share * 100:
        return None
    return Reason.of(ReasonCode.SPY_DRAWDOWN_HALT, drawdown_pct=drawdown, maximum_pct=share * 100)
