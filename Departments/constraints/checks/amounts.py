"""The amounts that limits come to on a given day: Operations sizes by them, the checks judge by them.

Money is in dollars. Every bound is inclusive: exactly the minimum and exactly the maximum are allowed.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from Departments.constraints.limits import Limits
from Departments.core.history import TradingHistory
from Departments.core.market import MarketFacts, SymbolFacts
from Departments.core.money import ONE, ZERO, whole_shares
from Departments.core.portfolio import UNKNOWN_SECTOR, Book, ProposedOrder
from Departments.core.reasons import Reason, ReasonCode
from Departments.core.regimes import Regime


def minimum_position(limits: Limits, equity: Decimal) -> Decimal:
    """Return the least a position may be worth: max(min_position_value, min_position_pct × equity)."""
    rules = limits.position_limits
    return max(rules.min_position_value, rules.min_position_pct * equity)


def maximum_position(limits: Limits, equity: Decimal, factor: Decimal = ONE) -> Decimal:
    """Return the most a position may be worth, `factor` of it on a careful day (see `size_factor`).

    A careful day never makes the maximum smaller than the minimum: it asks for small positions, not for none.
    """
    rules = limits.position_limits
    cap = rules.max_single_position_pct * equity
    if rules.max_position_value is not None:
        cap = min(cap, rules.max_position_value)
    return _careful(limits, equity, cap, factor)


def maximum_auto_position(limits: Limits, equity: Decimal, factor: Decimal = ONE) -> Decimal:
    """Return the most a position may be worth that Operations adds of its own accord."""
    cap = min(limits.deployment.max_auto_position_pct * equity, maximum_position(limits, equity))
    return _careful(limits, equity, cap, factor)


def _careful(limits: Limits, equity: Decimal, cap: Decimal, factor: Decimal) -> Decimal:
    return min(cap, max(minimum_position(limits, equity), factor * cap))


def cash_reserve(limits: Limits, equity: Decimal) -> Decimal:
    """Return the cash that must stay untouched."""
    return limits.portfolio_risk.min_cash_reserve_pct * equity


def deployment_target(limits: Limits, equity: Decimal) -> Decimal:
    """Return the value of positions that Operations aims at."""
    return limits.deployment.target_pct * equity


def spendable_cash(limits: Limits, book: Book) -> Decimal:
    """Return what BUYs may cost in all, never negative; Infinity where margin is allowed and the broker decides."""
    if limits.allow_margin:
        return Decimal("Infinity")
    free = book.cash - book.open_buys
    unsettled = book.unsettled_cash if must_settle(limits) else ZERO
    return max(ZERO, free - max(unsettled, cash_reserve(limits, book.equity)))


def must_settle(limits: Limits) -> bool:
    """Tell whether the proceeds of SELLs must be settled before they are spent."""
    return limits.settlement.account == "cash" and not limits.settlement.spend_unsettled


def positions_room(limits: Limits, book: Book) -> int:
    """Return how many more symbols may be held, never negative."""
    held = sum(1 for p in book.positions.values() if p.qty != 0)
    return max(0, limits.position_limits.max_positions_total - held)


def known_sector(sector: str | None) -> str | None:
    """Return a sector's name, None for an empty one or the word Unknown."""
    name = (sector or "").strip()
    return None if not name or name.casefold() == UNKNOWN_SECTOR.casefold() else name


def sector_of(limits: Limits, symbol: str, market: MarketFacts, *others: str | None) -> str:
    """Return the bucket a symbol counts in: the first known sector of the market's and `others`.

    An unknown one follows `unknown_sector`: all in the bucket Unknown, or each symbol in one of its own.
    """
    for candidate in (market.sector_of(symbol), *others):
        if known := known_sector(candidate):
            return known
    alone = limits.position_limits.unknown_sector == "each_by_itself"
    return f"{UNKNOWN_SECTOR}:{symbol}" if alone else UNKNOWN_SECTOR


def sector_cap(limits: Limits, equity: Decimal) -> Decimal:
    """Return the most that the positions of one sector may be worth."""
    return limits.position_limits.max_sector_concentration_pct * equity


def sector_value(limits: Limits, book: Book, market: MarketFacts, bucket: str, *, without: str = "") -> Decimal:
    """Return what is held in a bucket of `sector_of`, `without` one symbol."""
    held = (p for p in book.positions.values() if p.qty > 0 and p.symbol != without)
    return sum((p.market_value for p in held if sector_of(limits, p.symbol, market, p.sector) == bucket), ZERO)


def sector_room(limits: Limits, book: Book, market: MarketFacts, bucket: str) -> Decimal:
    """Return what may still be bought in a bucket of `sector_of`, never negative."""
    return max(ZERO, sector_cap(limits, book.equity) - sector_value(limits, book, market, bucket))


def volume_cap(limits: Limits, facts: SymbolFacts) -> Decimal | None:
    """Return the most whole shares one order may have beside the average volume, None where that is unknown."""
    if facts.average_volume is None:
        return None
    return whole_shares(limits.liquidity_requirements.max_order_pct_of_volume * facts.average_volume)


def order_heat(order: ProposedOrder) -> Decimal | None:
    """Return what a BUY loses when its stop is hit, None without price or stop."""
    if order.price is None or order.stop_price is None:
        return None
    return max(ZERO, order.price - order.stop_price) * order.qty


def portfolio_heat(book: Book, history: TradingHistory) -> tuple[Decimal, tuple[str, ...]]:
    """Return what is lost of the money paid when every known stop is hit, and the symbols whose stop is unknown."""
    held = [p for p in book.positions.values() if p.qty > 0]
    known = [(p, history.stops[p.symbol]) for p in held if p.symbol in history.stops]
    unknown = tuple(sorted(p.symbol for p in held if p.symbol not in history.stops))
    return sum((max(ZERO, p.avg_entry_price - stop) * p.qty for p, stop in known), ZERO), unknown


def heat_room(limits: Limits, book: Book, history: TradingHistory) -> Decimal:
    """Return how much more may be at risk down to the stops, as far as stops are known; never negative."""
    return max(ZERO, limits.portfolio_risk.max_portfolio_heat * book.equity - portfolio_heat(book, history)[0])


def regime_of(market: MarketFacts) -> Regime | None:
    """Return the day's regime; UNKNOWN without any data, None when only the VIX speaks."""
    if market.regime is not None:
        return market.regime.regime
    return Regime.UNKNOWN if vix_of(market) is None else None


def regime_factor(limits: Limits, regime: Regime) -> Decimal:
    """Return the share of its usual size a BUY has in a regime; 0 halts BUYs."""
    factor: Decimal = getattr(limits.regime_effects, regime.value.lower())
    return factor


def vix_of(market: MarketFacts) -> Decimal | None:
    """Return the VIX, failing that the one the regime was assessed with."""
    if market.vix is not None or market.regime is None:
        return market.vix
    return market.regime.vix


def vix_halt(limits: Limits) -> Decimal:
    """Return the VIX above which nothing is bought: the panic threshold, or a lower one whose size is 0."""
    effects, levels = limits.regime_effects, limits.market_conditions
    sizes = (
        (levels.vix_elevated_threshold, effects.vix_elevated),
        (levels.vix_caution_threshold, effects.vix_caution),
    )
    return min((level for level, size in sizes if size == 0), default=levels.vix_panic_threshold)


def size_effects(limits: Limits, market: MarketFacts) -> tuple[Reason, ...]:
    """Return what the regime and the VIX do to the size of BUYs today, for plan and report; empty on a normal day."""
    return tuple(
        Reason.of(ReasonCode.SIZE_REDUCED, cause=cause, factor=factor)
        for cause, factor in _effects(limits, market)
        if factor < 1
    )


def size_factor(limits: Limits, market: MarketFacts) -> Decimal:
    """Return the share of its usual size a BUY may have today: 1, less on a careful day, 0 when BUYs are halted."""
    return min((factor for _, factor in _effects(limits, market)), default=ONE)


def _effects(limits: Limits, market: MarketFacts) -> Iterator[tuple[str, Decimal]]:
    effects, levels = limits.regime_effects, limits.market_conditions
    regime, vix = regime_of(market), vix_of(market)
    if regime is not None:
        yield f"regime_{regime.value.lower()}", regime_factor(limits, regime)
    if vix is None:
        return
    if vix > levels.vix_panic_threshold:
        yield "vix_panic_threshold", ZERO
    elif vix > levels.vix_caution_threshold:
        yield "vix_caution_threshold", min(effects.vix_caution, effects.vix_elevated)
    elif vix > levels.vix_elevated_threshold:
        yield "vix_elevated_threshold", effects.vix_elevated
