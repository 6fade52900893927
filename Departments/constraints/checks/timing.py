"""Checks of time and state: hours, ages of plan and price, executions, locks, halts, day trades."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal

from Departments.constraints.case import Case, Circumstances, Finding
from Departments.constraints.limits import Limits
from Departments.core.approvers import Consent
from Departments.core.halts import UNHALT
from Departments.core.moments import is_in_future, iso, show_moment
from Departments.core.money import ZERO, percent, usd
from Departments.core.orders import Side
from Departments.core.reasons import Reason, ReasonCode
from Departments.core.trading_calendar import next_trading_day, trading_day

# --- the desk, without an order ---


def check_limits(desk: Circumstances) -> Finding:
    """Refuse a plan made with other limits. A plan without a hash is another program's."""
    plan, now = desk.facts.plan, desk.limits.fingerprint
    if plan is None or not plan.limits_hash or plan.limits_hash == now:
        return None
    sentence = f"it was made with other limits ({plan.limits_hash}, now {now})"
    return Reason.of(ReasonCode.LIMITS_CHANGED, sentence, made_with=plan.limits_hash, now=now)


def check_plan_age(desk: Circumstances) -> Finding:
    """Refuse to act on an old plan, on one from the future, and to trade on another day's approval."""
    plan, hours, now = desk.facts.plan, desk.limits.staleness.plan_max_age_hours, desk.facts.now
    if plan is None or plan.made_at is None:
        return desk.leave_open(ReasonCode.STALE_PLAN, "time of the plan")
    if is_in_future(plan.made_at, now, desk.facts.hours.now):
        sentence = f"its time, {show_moment(plan.made_at, seconds=True)}, is in the future, so its age is unknown"
        return Reason.of(ReasonCode.STALE_PLAN, sentence, generated_at=iso(plan.made_at), now=iso(now))
    is_of_another_day = desk.stage == "trade" and trading_day(plan.made_at) != trading_day(now)
    too_old = is_of_another_day or _is_older(plan.made_at, now, hours)
    return Reason.of(ReasonCode.STALE_PLAN, generated_at=iso(plan.made_at), maximum_hours=hours) if too_old else None


def check_market_hours(desk: Circumstances) -> Finding:
    """Refuse to trade outside the exchange's regular session; half days close early."""
    now, hours = desk.facts.now, desk.facts.hours
    if hours.is_open_at(now) or not desk.limits.timing_rules.market_hours_only:
        return None
    return Reason.of(ReasonCode.MARKET_CLOSED, now=iso(now), opens=iso(hours.next_open))


def check_first_execution(desk: Circumstances) -> Finding:
    """Refuse to execute a plan again, on any day. A running execution continues."""
    plan = desk.facts.plan
    if plan is None or plan.executed_on is None or desk.facts.run is not None:
        return None
    sentence = _execution_text(plan.plan_id, plan.executed_on)
    return Reason.of(ReasonCode.ALREADY_EXECUTED, sentence, executed=plan.plan_id)


def check_one_execution(desk: Circumstances) -> Finding:
    """Refuse to execute a second plan on one trading day. The same plan may continue; no plan is another one.

    Orders by hand do not count.
    """
    plan, executed = desk.facts.plan, desk.facts.history.executed_plan_today
    own = None if plan is None else plan.plan_id
    is_exempt = plan.by_hand if plan is not None else desk.stage in {"plan", "review"}
    if not desk.limits.timing_rules.one_execution_per_day or is_exempt or executed in {None, own}:
        return None
    sentence = _execution_text(executed, trading_day(desk.facts.now))
    return Reason.of(ReasonCode.ONE_EXECUTION_PER_DAY, sentence, executed=executed)


def check_manual_orders(desk: Circumstances) -> Finding:
    """Refuse more orders by hand than a trading day may have. One that has begun may continue."""
    plan, most = desk.facts.plan, desk.limits.timing_rules.max_manual_orders_per_day
    if plan is None or not plan.by_hand or desk.facts.run is not None:
        return None
    made = len([order for order in desk.facts.history.manual_orders_today if order != plan.plan_id])
    if made < most:
        return None
    sentence = f"{made} orders by hand were executed today, timing_rules.max_manual_orders_per_day allows {most}"
    return Reason.of(ReasonCode.MANUAL_ORDER_LIMIT, sentence, made=made, maximum=most)


def _execution_text(plan_id: str | None, day: date) -> str:
    return f"{plan_id} was executed on {day}; nothing is traded twice"


def check_persons(desk: Circumstances) -> Finding:
    """Refuse to execute a large plan approved by fewer than two persons."""
    consent = desk.facts.plan.consent if desk.facts.plan is not None else None
    if consent is None or not consent.is_lacking:
        return None
    amount, most = consent.amount, consent.four_eyes_above
    return Reason.of(ReasonCode.SECOND_PERSON, describe_need(consent), amount=amount, four_eyes_above=most)


def describe_need(consent: Consent) -> str:
    """Return the sentence about a plan that needs two persons."""
    size = "a trade has no known price" if consent.amount is None else f"it trades {usd(consent.amount)}"
    most = usd(consent.four_eyes_above or ZERO)
    return f"{size}; above {most} two different users must approve (approval.four_eyes_above)"


def check_account(desk: Circumstances) -> Finding:
    """Refuse to send anything while the broker blocks the account."""
    account = desk.facts.account
    if account is None:
        return desk.leave_open(ReasonCode.ACCOUNT_BLOCKED, "account")
    if account.may_trade:
        return None
    gates = ", ".join((f"status {account.status}", *account.blocks))
    sentence = f"the broker blocks the account ({gates})"
    return Reason.of(ReasonCode.ACCOUNT_BLOCKED, sentence, status=account.status, blocks=",".join(account.blocks))


def check_desk_lock(desk: Circumstances) -> Finding:
    """Refuse to trade at all while somebody else seems to trade with this desk's ids."""
    why = desk.facts.history.desk_lock
    return Reason.of(ReasonCode.ACCOUNT_SHARED, why) if why else None


# --- the order ---


def check_lock(case: Case) -> Finding:
    """Refuse to trade a locked symbol."""
    why = case.facts.locks.get(case.order.symbol)
    return None if why is None else Reason.of(ReasonCode.SYMBOL_LOCKED, why)


def check_desk_halt(case: Case) -> Finding:
    """Refuse what a person has halted. Exits are never judged by it."""
    halt = case.facts.history.halt
    if halt is None or not halt.stops(case.order.side):
        return None
    sentence = f"{halt.sentence}; {UNHALT}"
    return Reason.of(ReasonCode.DESK_HALTED, sentence, scope=halt.scope, since=iso(halt.halted_at))


def check_phases(case: Case) -> Finding:
    """Refuse to buy after an aborted phase."""
    run = case.facts.run
    return Reason.of(ReasonCode.PHASE_ABORTED, phase=run.aborted) if run is not None and run.aborted else None


def check_price_move(case: Case) -> Finding:
    """Refuse a price moved against the plan beyond the buffer. An unknown price has not moved."""
    planned = case.facts.plan.prices.get(case.order.symbol) if case.facts.plan else None
    price, buffer = case.stock.price_for(case.order.side), case.limits.deployment.price_buffer_pct
    if price is None or not planned:
        return None
    worse = (price - planned) / planned * (1 if case.order.side is Side.BUY else -1)
    if worse <= buffer:
        return None
    sentence = f"the price has moved {percent(worse)} against the plan"
    return Reason.of(ReasonCode.PRICE_MOVED, sentence, planned=planned, price=price, maximum=buffer)


def check_last_minutes(case: Case) -> Finding:
    """Refuse to buy in the last minutes before the close."""
    now, hours, minutes = case.facts.now, case.facts.hours, case.limits.timing_rules.no_positions_last_minutes
    if not hours.is_open_at(now) or hours.closes_after(now) - now >= timedelta(minutes=minutes):
        return None
    return Reason.of(ReasonCode.LAST_MINUTES, now=iso(now), close=iso(hours.closes_after(now)), minutes=minutes)


def check_halt(case: Case) -> Finding:
    """Refuse to trade a halted symbol."""
    if not case.limits.timing_rules.no_trading_on_halt:
        return None
    if case.stock.halted is None:
        return case.leave_open(ReasonCode.TRADING_HALTED, "halt status")
    return Reason.of(ReasonCode.TRADING_HALTED) if case.stock.halted else None


def check_tradable(case: Case) -> Finding:
    """Refuse a symbol not tradable at the broker."""
    if case.stock.tradable is None:
        return case.leave_open(ReasonCode.NOT_TRADABLE, "tradability")
    return None if case.stock.tradable else Reason.of(ReasonCode.NOT_TRADABLE)


def check_earnings_day(case: Case) -> Finding:
    """Refuse to buy on the day of the company's earnings report."""
    if not case.limits.timing_rules.no_earnings_day_trades:
        return None
    if not case.stock.earnings_known and case.stock.earnings_on is None:
        return case.leave_open(ReasonCode.EARNINGS_DAY, "earnings date")
    today = trading_day(case.facts.now)
    return Reason.of(ReasonCode.EARNINGS_DAY, day=today) if case.stock.earnings_on == today else None


def check_price_age(case: Case) -> Finding:
    """Refuse to buy at an old price.

    After planning, the maximum age grows by the plan's own: so an order is not denied for its plan's price.
    """
    made, ages = case.stock.price_at, case.limits.staleness
    if made is None:
        return case.leave_open(ReasonCode.STALE_PRICE, "time of the price")
    hours = ages.price_max_age_hours + (0 if case.stage == "plan" else ages.plan_max_age_hours)
    too_old = _is_older(made, case.facts.now, hours) or is_in_future(made, case.facts.now, case.facts.hours.now)
    return Reason.of(ReasonCode.STALE_PRICE, price_at=iso(made), maximum_hours=hours) if too_old else None


def is_plan_old(limits: Limits, made: datetime, now: datetime) -> bool:
    """Return whether a plan is too old to act on."""
    return _is_older(made, now, limits.staleness.plan_max_age_hours)


def is_price_old(limits: Limits, made: datetime, now: datetime) -> bool:
    """Return whether a price is too old to plan with. One from the future has no age either."""
    return is_in_future(made, now) or _is_older(made, now, limits.staleness.price_max_age_hours)


def _is_older(made: datetime, now: datetime, hours: Decimal) -> bool:
    return _hours(now, made) > hours


def check_day_trades(case: Case) -> Finding:
    """Refuse a SELL beyond the limit of day trades.

    The defaults are those of the former pattern-day-trader rule (FINRA rule 4210: fewer than four in five business
    days below $25,000), replaced on 2026-06-04 with a phase-in to October 2027; see the limits file.
    """
    rules, equity = case.limits.day_trades, case.facts.equity
    exempt = rules.exempt_equity is not None and equity >= rules.exempt_equity
    # Several SELLs of one day's BUYs are one day trade.
    new = case.facts.history.same_day_sides.get(case.order.symbol, frozenset()) == {Side.BUY}
    if rules.limit is None or exempt or not new:
        return None
    made = count_recent_day_trades(case.facts.history.day_trades, trading_day(case.facts.now), rules.window_days)
    if made < rules.limit:
        return None
    return Reason.of(ReasonCode.DAY_TRADE_LIMIT, made=made, limit=rules.limit, window_days=rules.window_days)


def check_round_trip(case: Case) -> Finding:
    """Refuse to buy back a symbol sold today."""
    sold = Side.SELL in case.facts.history.same_day_sides.get(case.order.symbol, ())
    return (
        Reason.of(ReasonCode.SAME_DAY_ROUND_TRIP) if sold and not case.limits.day_trades.allow_same_day_rebuy else None
    )


def check_reopening(case: Case) -> Finding:
    """Refuse to open a position again too soon after it was sold."""
    hours, sold = case.limits.timing_rules.reopen_pause_hours, case.facts.history.sold_at.get(case.order.symbol)
    if sold is None or not case.is_new_position or _hours(case.facts.now, sold) >= hours:
        return None
    return Reason.of(ReasonCode.REOPEN_PAUSE, sold_at=iso(sold), minimum_hours=hours)


def check_blocklist(case: Case) -> Finding:
    """Refuse to buy a blocked symbol."""
    blocked = case.order.symbol in case.limits.restricted_symbols.blocklist
    return Reason.of(ReasonCode.BLOCKED_SYMBOL) if blocked else None


def count_recent_day_trades(days: tuple[date, ...], today: date, window: int) -> int:
    """Count the `days` within the last `window` trading days, `today` included."""
    return sum(1 for day in days if day <= today < next_trading_day(day, window))


def _hours(later: datetime, earlier: datetime) -> Decimal:
    return Decimal(str((later - earlier).total_seconds())) / 3600
