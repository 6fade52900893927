"""Time: may it be traded now, and is what we know still fresh."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal

from Departments.constraints.case import Case, Finding
from Departments.core.clock import iso
from Departments.core.orders import Side
from Departments.core.reasons import Reason, ReasonCode
from Departments.core.trading_calendar import is_open, next_close, next_open, next_trading_day, trading_day


def market_open(case: Case) -> Finding:
    """Refuse to trade outside the exchange's regular session, half days included."""
    now = case.market.now
    if is_open(now) or not case.limits.timing_rules.market_hours_only:
        return None
    return Reason.of(ReasonCode.MARKET_CLOSED, now=iso(now), opens=iso(next_open(now)))


def last_minutes(case: Case) -> Finding:
    """Refuse to buy in the last minutes before the close."""
    now, minutes = case.market.now, case.limits.timing_rules.no_positions_last_minutes
    if not is_open(now) or next_close(now) - now >= timedelta(minutes=minutes):
        return None
    return Reason.of(ReasonCode.LAST_MINUTES, now=iso(now), close=iso(next_close(now)), minutes=minutes)


def halted(case: Case) -> Finding:
    """Refuse to trade a halted symbol."""
    if not case.limits.timing_rules.no_trading_on_halt:
        return None
    if case.facts.halted is None:
        return case.lacks(ReasonCode.TRADING_HALTED, "halt status")
    return Reason.of(ReasonCode.TRADING_HALTED) if case.facts.halted else None


def tradable(case: Case) -> Finding:
    """Refuse a symbol the broker does not trade."""
    if case.facts.tradable is None:
        return case.lacks(ReasonCode.NOT_TRADABLE, "tradability")
    return None if case.facts.tradable else Reason.of(ReasonCode.NOT_TRADABLE)


def earnings_day(case: Case) -> Finding:
    """Refuse to buy on the day the company reports."""
    if not case.limits.timing_rules.no_earnings_day_trades:
        return None
    if not case.facts.earnings_known and case.facts.earnings_on is None:
        return case.lacks(ReasonCode.EARNINGS_DAY, "earnings date")
    today = trading_day(case.market.now)
    return Reason.of(ReasonCode.EARNINGS_DAY, day=today) if case.facts.earnings_on == today else None


def one_execution(case: Case) -> Finding:
    """Refuse to execute a second plan on one trading day; the same plan may go on, an order without plan is none."""
    executed, own = case.history.executed_plan_today, case.order.plan_id
    if not case.limits.timing_rules.one_execution_per_day or None in {executed, own} or executed == own:
        return None
    return Reason.of(ReasonCode.ONE_EXECUTION_PER_DAY, executed=executed)


def plan_fresh(case: Case) -> Finding:
    """Refuse to act on a plan that is too old; while planning there is none yet."""
    if case.stage == "plan":
        return None
    made, hours = case.history.plan_generated_at, case.limits.staleness.plan_max_age_hours
    if made is None:
        return case.lacks(ReasonCode.STALE_PLAN, "time of the plan")
    too_old = _hours(case.market.now, made) > hours
    return Reason.of(ReasonCode.STALE_PLAN, generated_at=iso(made), maximum_hours=hours) if too_old else None


def price_fresh(case: Case) -> Finding:
    """Refuse to buy at a price that is too old.

    After planning a price may have aged by as much as its plan may, so that what was planned is not denied for it.
    """
    made, ages = case.facts.price_at, case.limits.staleness
    if made is None:
        return case.lacks(ReasonCode.STALE_PRICE, "time of the price")
    hours = ages.price_max_age_hours + (0 if case.stage == "plan" else ages.plan_max_age_hours)
    too_old = _hours(case.market.now, made) > hours
    return Reason.of(ReasonCode.STALE_PRICE, price_at=iso(made), maximum_hours=hours) if too_old else None


def day_trade_limit(case: Case) -> Finding:
    """Refuse to sell what was bought today when that would be one day trade too many.

    The defaults are those of the former pattern-day-trader rule (FINRA rule 4210: fewer than four in five business
    days below $25,000), replaced on 2026-06-04 with a phase-in to October 2027; see the limits file.
    """
    rules, equity = case.limits.day_trades, case.book.equity
    exempt = rules.exempt_equity is not None and equity >= rules.exempt_equity
    # Several SELLs of what was bought on one day make one day trade.
    new = case.history.same_day_sides.get(case.order.symbol, frozenset()) == {Side.BUY}
    if rules.limit is None or exempt or not new:
        return None
    made = recent_day_trades(case.history.day_trades, trading_day(case.market.now), rules.window_days)
    if made < rules.limit:
        return None
    return Reason.of(ReasonCode.DAY_TRADE_LIMIT, made=made, limit=rules.limit, window_days=rules.window_days)


def same_day_round_trip(case: Case) -> Finding:
    """Refuse to buy back what was sold today."""
    sold = Side.SELL in case.history.same_day_sides.get(case.order.symbol, ())
    return (
        Reason.of(ReasonCode.SAME_DAY_ROUND_TRIP) if sold and not case.limits.day_trades.allow_same_day_rebuy else None
    )


def recent_day_trades(days: tuple[date, ...], today: date, window: int) -> int:
    """Return how many of `days` lie in the `window` trading days that end with `today`."""
    return sum(1 for day in days if day <= today < next_trading_day(day, window))


def _hours(later: datetime, earlier: datetime) -> Decimal:
    return Decimal(str((later - earlier).total_seconds())) / 3600
