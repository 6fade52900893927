"""The limits as amounts of one day. Operations sizes by them, the checks judge by them.

Money is in dollars. Every bound is inclusive: exactly the minimum and exactly the maximum are allowed. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from string import capwords

from Departments.constraints.limits import Limits
from Departments.core.facts import NO_READINGS, DeskFacts, Facts, SymbolFacts
from Departments.core.money import ONE, ZERO, whole_shares
from Departments.core.plans import Trade
from Departments.core.portfolio import UNKNOWN_SECTOR
from Departments.core.reasons import Reason, ReasonCode
from Departments.core.regimes import MarketView, Regime, RegimeAssessment
from Departments.core.trading_calendar import count_trading_days, next_trading_day, trading_day


def minimum_position(limits: Limits, equity: Decimal) -> Decimal:
    """Return the minimum value of a position: max(min_position_value, min_position_pct × equity)."""
    rules = limits.position_limits
    return max(rules.min_position_value, rules.min_position_pct * equity)


def maximum_position(limits: Limits, equity: Decimal, factor: Decimal = ONE) -> Decimal:
    """Return the maximum value of a position, times `factor` on a careful day.

    `factor` comes from `size_factor`. It never takes the maximum below the minimum: a careful day asks for small
    positions, not for none.
    """
    rules = limits.position_limits
    cap = rules.max_single_position_pct * equity
    if rules.max_position_value is not None:
        cap = min(cap, rules.max_position_value)
    return _careful(limits, equity, cap, factor)


def maximum_auto_position(limits: Limits, equity: Decimal, factor: Decimal = ONE) -> Decimal:
    """Return the maximum value of a position chosen by Operations itself."""
    cap = min(limits.deployment.max_auto_position_pct * equity, maximum_position(limits, equity))
    return _careful(limits, equity, cap, factor)


def _careful(limits: Limits, equity: Decimal, cap: Decimal, factor: Decimal) -> Decimal:
    return min(cap, max(minimum_position(limits, equity), factor * cap))


def is_large_enough(limits: Limits, facts: Facts, order: Trade, planned: Decimal | None) -> bool:
    """Return whether the position after a BUY reaches the minimum.

    A BUY with a `planned` price (dollars a share) counts at that price if it is higher, and the minimum gives way by
    the price buffer: it is not too small because prices and equity have moved since.
    """
    held, minimum = facts.positions.get(order.symbol), minimum_position(limits, facts.equity)
    shares = order.qty + (held.qty if held else ZERO)
    if planned is not None:
        minimum *= ONE - limits.deployment.price_buffer_pct
    return shares * max(order.price or ZERO, planned or ZERO) >= minimum


def minimum_trade(limits: Limits, equity: Decimal) -> Decimal:
    """Return the minimum value of a BUY of a held symbol: max(min_trade_value, min_trade_pct × equity)."""
    return max(limits.deployment.min_trade_value, limits.deployment.min_trade_pct * equity)


def cash_reserve(limits: Limits, equity: Decimal) -> Decimal:
    """Return the reserve: cash never spent."""
    return limits.portfolio_risk.min_cash_reserve_pct * equity


def deployment_target(limits: Limits, equity: Decimal) -> Decimal:
    """Return the target value of all positions."""
    return limits.deployment.target_pct * equity


def new_money_room(limits: Limits, facts: Facts) -> Decimal:
    """Return the dollars that BUYs may invest today beside what was invested before it; Infinity without a limit."""
    goals = limits.deployment
    shares = [goals.max_new_per_day] if goals.max_new_per_day is not None else []
    shares += [goals.target_pct / goals.ramp_days] if find_ramp_day(limits, facts) else []
    if not shares:
        return Decimal("Infinity")
    before = facts.invested if facts.invested_before is None else facts.invested_before
    return max(ZERO, before + min(shares) * facts.equity - facts.invested)


def find_ramp_day(limits: Limits, facts: DeskFacts) -> int:
    """Return which day of the ramp it is, from 1 to ramp_days; 0 before and after it, and without one.

    It begins with the first execution of a plan, yet not before ramp_from, and counts trading days from then on.
    """
    goals, today = limits.deployment, trading_day(facts.now)
    begin = max(goals.ramp_from or date.min, facts.history.began_on or today)
    is_over = not goals.ramp_days or today > next_trading_day(begin - timedelta(days=1), goals.ramp_days)
    return 0 if is_over or today < begin else max(1, count_trading_days(begin, today))


def cash_for_buys(limits: Limits, facts: Facts) -> Decimal:
    """Return the cash for all BUYs; negative if the reserve is already touched.

    During an execution: min(account cash, start cash + actual fills − fees) − open buys − the reserve of the start.
    Outside: account cash − open buys − today's reserve. Unsettled cash of a cash account also stays.
    """
    run, left = facts.run, facts.free_cash
    if run is not None and run.expected_cash is not None:
        left -= max(ZERO, facts.cash - run.expected_cash)
    reserve = cash_reserve(limits, facts.equity) if run is None else run.reserve
    return left - max(reserve, facts.unsettled_cash if must_settle(limits) else ZERO)


def spendable_cash(limits: Limits, facts: Facts) -> Decimal:
    """Return the cash for all BUYs, never negative; Infinity with margin: then the broker decides."""
    return Decimal("Infinity") if limits.allow_margin else max(ZERO, cash_for_buys(limits, facts))


def must_settle(limits: Limits) -> bool:
    """Return whether the proceeds of SELLs must settle before they are spent."""
    return limits.settlement.account == "cash" and not limits.settlement.spend_unsettled


def days_to_settle(limits: Limits) -> int:
    """Return the trading days until a SELL's proceeds may be spent."""
    return limits.settlement.days if must_settle(limits) else 0


def deployable_money(limits: Limits, facts: Facts, bought: Iterable[str] = ()) -> Decimal:
    """Return the dollars for more BUYs of the day, in new positions and in those `bought` today.

    The target, the cash above the reserve, the new money of the day and the room for positions bound it. With smaller
    sizes, target and room are smaller, too; during a halt there is none.
    """
    factor = size_factor(limits, facts)
    cap = maximum_auto_position(limits, facts.equity, factor)
    if cap <= minimum_position(limits, facts.equity):  # a halt, or hardly any whole shares fit
        return ZERO
    sizes = positions_room(limits, facts) * cap + sum((max(ZERO, cap - facts.held_value(s)) for s in bought), ZERO)
    goal = factor * deployment_target(limits, facts.equity) - facts.invested
    return max(ZERO, min(goal, spendable_cash(limits, facts), new_money_room(limits, facts), sizes))


def positions_room(limits: Limits, facts: Facts) -> int:
    """Return the number of further positions allowed, never negative."""
    held = sum(1 for p in facts.positions.values() if p.qty != 0)
    return max(0, limits.position_limits.max_positions_total - held)


def known_sector(sector: str | None) -> str | None:
    """Return a sector's name in its one spelling, as in Real Estate; None if it is empty or Unknown."""
    name = capwords(sector or "")
    return None if name in {"", UNKNOWN_SECTOR} else name


def sector_of(limits: Limits, symbol: str, facts: Facts, *others: str | None) -> str:
    """Return a symbol's bucket: the first known sector of the facts and `others`.

    Unknown sectors follow `unknown_sector`: one bucket Unknown for all, or one for each symbol.
    """
    for candidate in (facts.of(symbol).sector, *others):
        if known := known_sector(candidate):
            return known
    alone = limits.position_limits.unknown_sector == "each_by_itself"
    return f"{UNKNOWN_SECTOR}:{symbol}" if alone else UNKNOWN_SECTOR


def sector_cap(limits: Limits, equity: Decimal, bucket: str) -> Decimal:
    """Return the maximum value of a sector: the smaller of the maximum for all and its own."""
    rules = limits.position_limits
    own = (most for name, most in rules.sector_maxima.items() if capwords(name) == capwords(bucket))
    return min((rules.max_sector_concentration_pct, *own)) * equity


def sector_value(limits: Limits, facts: Facts, bucket: str, *, without: str = "") -> Decimal:
    """Return the value held in a bucket of `sector_of`, `without` one symbol."""
    held = (p for p in facts.positions.values() if p.qty > 0 and p.symbol != without)
    return sum((p.market_value for p in held if sector_of(limits, p.symbol, facts, p.sector) == bucket), ZERO)


def volume_cap(limits: Limits, stock: SymbolFacts) -> Decimal | None:
    """Return the maximum whole shares of an order by average volume, None if unknown."""
    if stock.average_volume is None:
        return None
    return whole_shares(limits.liquidity_requirements.max_order_pct_of_volume * stock.average_volume)


def order_heat(order: Trade) -> Decimal | None:
    """Return a BUY's loss at its stop, None without price or stop."""
    if order.price is None or order.stop_price is None:
        return None
    return max(ZERO, order.price - order.stop_price) * order.qty


def portfolio_heat(facts: Facts) -> tuple[Decimal, tuple[str, ...]]:
    """Return the loss at all known stops, and the symbols without one.

    A symbol without a known entry price counts as one without a stop.
    """
    stops = facts.history.stops
    held = [p for p in facts.positions.values() if p.qty > 0]
    losses = {
        p.symbol: max(ZERO, p.avg_entry_price - stops[p.symbol]) * p.qty
        for p in held
        if p.symbol in stops and p.avg_entry_price is not None
    }
    return sum(losses.values(), ZERO), tuple(sorted(p.symbol for p in held if p.symbol not in losses))


def heat_room(limits: Limits, facts: Facts) -> Decimal:
    """Return the dollars of heat left, by the known stops; never negative."""
    return max(ZERO, limits.portfolio_risk.max_portfolio_heat * facts.equity - portfolio_heat(facts)[0])


def regimes_of(facts: Facts) -> tuple[Regime, ...]:
    """Return the regimes of all views; UNKNOWN without any data, none with only the VIX.

    A view of UNKNOWN counts until a later view knows the regime.
    """
    known = max((view.at for view in facts.views if _knows_regime(view)), default=None)
    views = (view for view in facts.views if _knows_regime(view) or known is None or view.at > known)
    seen = tuple(dict.fromkeys(view.regime for view in views if view.regime is not None))
    return seen or ((Regime.UNKNOWN,) if vix_of(facts) is None else ())


def _knows_regime(view: MarketView) -> bool:
    return view.regime not in {None, Regime.UNKNOWN}


def regime_of(limits: Limits, facts: Facts) -> Regime | None:
    """Return the day's regime: of contradicting views the one with the smallest factor. None with only the VIX."""
    return min(regimes_of(facts), key=lambda regime: regime_factor(limits, regime), default=None)


def is_careful(assessment: RegimeAssessment, limits: Limits) -> bool:
    """Return whether an assessment makes BUYs at least as small as an unknown regime does."""
    return regime_factor(limits, assessment.regime) <= regime_factor(limits, Regime.UNKNOWN)


def regime_factor(limits: Limits, regime: Regime) -> Decimal:
    """Return a regime's factor for the size of BUYs; 0 halts BUYs."""
    factor: Decimal = getattr(limits.regime_effects, regime.value.lower())
    return factor


def vix_of(facts: Facts) -> Decimal | None:
    """Return the VIX: the highest of all views."""
    known = (facts.readings.vix, *(view.vix for view in facts.views))
    return max((vix for vix in known if vix is not None), default=None)


def spy_drawdown_of(facts: Facts) -> Decimal | None:
    """Return the drawdown of the S&P 500 (percent, positive): the largest of all views."""
    known = (facts.readings.spy_drawdown_pct, *(view.spy_drawdown_pct for view in facts.views))
    return max((abs(drawdown) for drawdown in known if drawdown is not None), default=None)


def find_source(facts: Facts, **reading: object) -> dict[str, str]:
    """Return the source of the view with this reading, as values of a reason; nothing if no view has it."""
    ((name, value),) = reading.items()
    found = next((view.source for view in facts.views if getattr(view, name) == value), None)
    return {} if found is None else {"source": found}


def would_halt_as_share(limits: Limits, drawdown: Decimal) -> bool:
    """Return whether a drawdown below 1 would stop all BUYs if it were a share of one instead of percent."""
    return limits.market_conditions.max_spy_drawdown_pct < abs(drawdown) < 1


def find_contradiction(limits: Limits, facts: Facts) -> str | None:
    """Return the sentence about contradicting views of the market, or None. It names both."""
    telling = [view for view in facts.views if _knows_regime(view) or view.vix is not None]
    weighed = [(_weigh(limits, facts, view), view) for view in telling]
    if len({weight for weight, _ in weighed}) < 2:
        return None
    careful, calm = min(weighed, key=lambda each: each[0])[1], max(weighed, key=lambda each: each[0])[1]
    return f"Two views of the market contradict each other, and the careful one decides: {careful}; {calm}."


def _weigh(limits: Limits, facts: Facts, view: MarketView) -> Decimal:
    """Return the factor of BUYs if this were the only view."""
    alone = replace(facts, readings=NO_READINGS, views=(view,))
    drawdown = spy_drawdown_of(alone)
    is_deep = drawdown is not None and drawdown > 100 * limits.market_conditions.max_spy_drawdown_pct
    return ZERO if is_deep else size_factor(limits, alone)


def vix_halt(limits: Limits) -> Decimal:
    """Return the maximum VIX for BUYs: the panic threshold, or a lower one whose size is 0."""
    effects, levels = limits.regime_effects, limits.market_conditions
    sizes = (
        (levels.vix_elevated_threshold, effects.vix_elevated),
        (levels.vix_caution_threshold, effects.vix_caution),
    )
    return min((level for level, size in sizes if size == 0), default=levels.vix_panic_threshold)


def size_effects(limits: Limits, facts: Facts) -> tuple[Reason, ...]:
    """Return today's reductions of BUYs by regime and VIX."""
    return tuple(
        Reason.of(ReasonCode.SIZE_REDUCED, cause=cause, factor=factor)
        for cause, factor in _effects(limits, facts)
        if factor < 1
    )


def usual_sizes(limits: Limits) -> Limits:
    """Return the limits of a day on which neither regime nor VIX makes BUYs smaller."""
    effects = limits.regime_effects
    usual = effects.model_copy(update=dict.fromkeys(type(effects).model_fields, ONE))
    return limits.model_copy(update={"regime_effects": usual})


def size_factor(limits: Limits, facts: Facts) -> Decimal:
    """Return today's factor for the size of BUYs: 1, less on a careful day, 0 during a halt."""
    return min((factor for _, factor in _effects(limits, facts)), default=ONE)


def _effects(limits: Limits, facts: Facts) -> Iterator[tuple[str, Decimal]]:
    effects, levels = limits.regime_effects, limits.market_conditions
    vix = vix_of(facts)
    for regime in regimes_of(facts):
        yield f"regime_{regime.value.lower()}", regime_factor(limits, regime)
    if vix is None:
        return
    if vix > levels.vix_panic_threshold:
        yield "vix_panic_threshold", ZERO
    elif vix > levels.vix_caution_threshold:
        yield "vix_caution_threshold", min(effects.vix_caution, effects.vix_elevated)
    elif vix > levels.vix_elevated_threshold:
        yield "vix_elevated_threshold", effects.vix_elevated
