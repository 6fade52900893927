"""Each constraint: it fires, it does not fire at the exact bound, and it says so when its data is missing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import pytest

from Departments.constraints.case import STAGES, Case, NotEvaluated, Stage
from Departments.constraints.engine import check_desk, check_order
from Departments.constraints.limits import Limits
from Departments.constraints.table import CONSTRAINTS
from Departments.core.approvers import Consent
from Departments.core.facts import DeskFacts, PlanFacts, RunFacts, TradingHistory
from Departments.core.halts import Halt, HaltScope
from Departments.core.orders import Side
from Departments.core.portfolio import Account
from Departments.core.quotes import MarketClock
from Departments.core.reasons import Reason, ReasonCode
from Departments.core.regimes import Regime
from Departments.core.settings import Section
from tests.builders.limits import (
    EQUITY,
    NOW,
    Changes,
    book,
    buy,
    case,
    facts,
    history,
    known,
    limits,
    market,
    no_history,
    position,
    regime,
    sell,
)

Code = ReasonCode
ROWS = {constraint.code: constraint for constraint in CONSTRAINTS}


def found(code: ReasonCode, judged: Case) -> Reason | NotEvaluated | None:
    return ROWS[code].judge(judged)


def at(moment: datetime) -> Changes:
    return market(now=moment)


def close_to(minutes: float) -> Changes:
    """A moment before the close of that day, 16:00 in New York."""
    return at(datetime(2025, 11, 10, 21, 0, tzinfo=UTC) - timedelta(minutes=minutes))


def stock(**changes: Any) -> Changes:
    return market(known("ALKS", **changes), known("HELD"))


def alike(count: int) -> dict[str, Any]:
    """Seven positions, of which `count` move together with ALKS and the others do not."""
    held = [position(f"P{i}") for i in range(7)]
    pairs = {frozenset({"ALKS", f"P{i}"}): Decimal("0.71" if i < count else "0.70") for i in range(7)}
    return {"book": book(*held), "market": market(correlations=pairs)}


def many(count: int) -> dict[str, Any]:
    return {"book": book(*(position(f"P{i}", 1) for i in range(count)))}


TODAY = {Side.BUY: {"HELD": frozenset({Side.BUY})}, Side.SELL: {"ALKS": frozenset({Side.SELL})}}


def sold(*, hours: float) -> Changes:
    """A history in which ALKS was sold some hours ago."""
    return history(sold_at={"ALKS": NOW - timedelta(hours=hours)})


THREE_DAY_TRADES = (date(2025, 11, 4), date(2025, 11, 5), date(2025, 11, 5))
SMALL = {"equity": Decimal(24_999)}
TEN_ORDERS = tuple(f"ORDER_{number}" for number in range(10))
OLD_PLAN = history(plan_generated_at=NOW - timedelta(hours=4))
CASH_ACCOUNT = limits(settlement={"account": "cash"})
NOTHING_KNOWN = market(vix=None, regime=None, spy_drawdown_pct=None, correlations={}) | {"symbols": {}}
SAME_LIMITS = Limits().fingerprint
NO_BUYS = history(halt=Halt(HaltScope.BUYS, "the feed is wrong", "ann@desk", NOW))


@dataclass(frozen=True)
class Example:
    """A case that violates, one at the exact bound that does not, and (where data can be missing) one without it."""

    violating: Case
    allowed: Case
    unknown: Case | None = None


def made_with(**changes: Any) -> Changes:
    """A plan that was made ten minutes ago, with changes."""
    return {"plan": replace(PlanFacts("PLAN_1", NOW - timedelta(minutes=10)), **changes)}


def account(**changes: Any) -> Changes:
    return {"account": replace(Account(Decimal(60_000), EQUITY, Decimal(60_000)), **changes)}


EXAMPLES: dict[ReasonCode, Example] = {
    Code.SYMBOL_LOCKED: Example(case(locks={"locks": {"ALKS": "odd"}}), case(locks={"locks": {"HELD": "odd"}})),
    Code.DESK_HALTED: Example(case(history=NO_BUYS), case(sell(qty=1), history=NO_BUYS)),
    Code.PHASE_ABORTED: Example(
        case(run={"run": RunFacts(Decimal(0), aborted="SELL")}), case(run={"run": RunFacts(Decimal(0))})
    ),
    Code.LIMITS_CHANGED: Example(
        case(plan=made_with(limits_hash="other")), case(plan=made_with(limits_hash=SAME_LIMITS))
    ),
    Code.ALREADY_EXECUTED: Example(
        case(plan=made_with(executed_on=date(2025, 11, 7))),
        case(plan=made_with(executed_on=date(2025, 11, 7)), run={"run": RunFacts(Decimal(0))}),
    ),
    Code.MANUAL_ORDER_LIMIT: Example(
        case(plan=made_with(by_hand=True), history=history(manual_orders_today=TEN_ORDERS)),
        case(plan=made_with(by_hand=True), history=history(manual_orders_today=TEN_ORDERS[1:])),
    ),
    Code.SECOND_PERSON: Example(
        case(plan=made_with(consent=Consent(frozenset({"anna"}), Decimal("50000.01"), Decimal(50_000)))),
        case(plan=made_with(consent=Consent(frozenset({"anna"}), Decimal(50_000), Decimal(50_000)))),
    ),
    Code.ACCOUNT_BLOCKED: Example(
        case(account=account(may_trade=False, blocks=("trading_blocked",))), case(account=account())
    ),
    Code.PRICE_MOVED: Example(
        case(plan=made_with(prices={"ALKS": Decimal("29.70")})), case(plan=made_with(prices={"ALKS": Decimal("29.71")}))
    ),
    Code.PRICE_MISMATCH: Example(
        case(plan=made_with(prices={"ALKS": Decimal("24.99")})), case(plan=made_with(prices={"ALKS": Decimal(25)}))
    ),
    Code.NO_FRESH_QUOTE: Example(
        case(market=stock(is_fresh=False), stage="dispatch"), case(market=stock(is_fresh=True), stage="dispatch")
    ),
    Code.INVALID_QUANTITY: Example(case(buy(qty="1.5")), case(sell(qty="1.5"))),
    Code.NO_PRICE: Example(case(buy(price=None)), case(buy(price="0.01"))),
    Code.SHORT_POSITION: Example(case(book=book(position("ALKS", -1))), case(book=book(position("ALKS", 1)))),
    Code.EQUITY_NOT_POSITIVE: Example(case(book=book(equity=Decimal(0))), case(book=book(equity=Decimal("0.01")))),
    Code.NOT_HELD: Example(case(sell("ALKS")), case(sell(qty=1))),
    Code.SELL_EXCEEDS_HOLDING: Example(case(sell(qty="100.01")), case(sell(qty=100))),
    Code.SHARES_RESERVED: Example(
        case(sell(qty=100), book=book(position(qty_available=Decimal(99)))),
        case(sell(qty=99), book=book(position(qty_available=Decimal(99)))),
    ),
    Code.MIN_POSITION_VALUE: Example(case(buy(qty=99, price=30)), case(buy(qty=100, price=30)), case(buy(price=None))),
    Code.MAX_POSITION_VALUE: Example(
        case(buy(qty=834, price=30)), case(buy(qty=1000, price=25)), case(buy(price=None))
    ),
    Code.MAX_POSITIONS_TOTAL: Example(case(**many(20)), case(**many(19))),
    Code.MAX_SECTOR_CONCENTRATION: Example(
        case(buy(qty=201, price=100), book=book(position("ABT", 200, 100, sector="Healthcare"))),
        case(buy(qty=200, price=100), book=book(position("ABT", 200, 100, sector="Healthcare"))),
        case(buy(price=None)),
    ),
    Code.MAX_CORRELATED_POSITIONS: Example(
        case(**alike(6)), case(**alike(5)), case(**(alike(5) | {"market": market(correlations={})}))
    ),
    Code.CASH_RESERVE: Example(
        case(buy(qty=100, price=30), book=book(cash=Decimal("12999.99"))),
        case(buy(qty=100, price=30), book=book(cash=Decimal(13_000))),
        case(buy(price=None)),
    ),
    Code.NO_MARGIN: Example(
        case(buy(qty=100, price=30), book=book(cash=Decimal("2999.99"))),
        case(buy(qty=100, price=30), book=book(cash=Decimal(3_000))),
        case(buy(price=None)),
    ),
    Code.UNSETTLED_FUNDS: Example(
        case(buy(qty=100, price=30), limits=CASH_ACCOUNT, book=book(unsettled_cash=Decimal("57000.01"))),
        case(buy(qty=100, price=30), limits=CASH_ACCOUNT, book=book(unsettled_cash=Decimal(57_000))),
        case(buy(price=None)),
    ),
    Code.MAX_PORTFOLIO_HEAT: Example(
        case(buy(qty=100, price=100, stop_price=Decimal("23.99"))),  # 400 of HELD + 7,601
        case(buy(qty=100, price=100, stop_price=Decimal(24))),
        case(buy(stop_price=None)),
    ),
    Code.DRAWDOWN_HALT: Example(
        case(book=book(equity=Decimal("84999.99"))),
        case(book=book(equity=Decimal(85_000))),
        case(book=book(peak_equity=None)),
    ),
    Code.MIN_DAILY_VOLUME: Example(
        case(market=stock(average_volume=Decimal(499_999))),
        case(market=stock(average_volume=Decimal(500_000))),
        case(market=stock(average_volume=None)),
    ),
    Code.MAX_ORDER_OF_VOLUME: Example(
        case(buy(qty=101), market=stock(average_volume=Decimal(1_009))),
        case(buy(qty=100), market=stock(average_volume=Decimal(1_009))),
        case(market=stock(average_volume=None)),
    ),
    Code.MAX_SPREAD: Example(
        case(market=stock(bid=Decimal("98.99"), ask=Decimal(101))),
        case(market=stock(bid=Decimal(99), ask=Decimal(101))),
        case(market=stock(bid=None)),
    ),
    Code.MIN_STOCK_PRICE: Example(case(buy(price="4.99")), case(buy(price=5)), case(buy(price=None))),
    Code.MAX_STOCK_PRICE: Example(
        case(buy(price="30.01"), limits=limits(price_constraints={"max_stock_price": 30})),
        case(buy(price=30), limits=limits(price_constraints={"max_stock_price": 30})),
        case(buy(price=None)),
    ),
    Code.MIN_MARKET_CAP: Example(
        case(market=stock(market_cap=Decimal(999_999_999))),
        case(market=stock(market_cap=Decimal(1_000_000_000))),
        case(market=stock(market_cap=None)),
    ),
    Code.VIX_PANIC: Example(
        case(market=market(vix=Decimal("40.01"))), case(market=market(vix=Decimal(40))), case(market=market(vix=None))
    ),
    Code.REGIME_HALT: Example(
        case(market=market(regime=regime(Regime.PANIC))),
        case(market=market(regime=regime(Regime.BEARISH))),
        case(market=market(regime=None)),
    ),
    Code.SPY_DRAWDOWN_HALT: Example(
        case(market=market(spy_drawdown_pct=Decimal("10.01"))),
        case(market=market(spy_drawdown_pct=Decimal(10))),
        case(market=market(spy_drawdown_pct=None)),
    ),
    Code.MARKET_CLOSED: Example(case(market=close_to(0)), case(market=close_to(0.1))),
    Code.LAST_MINUTES: Example(case(market=close_to(14.9)), case(market=close_to(15))),
    Code.TRADING_HALTED: Example(
        case(market=stock(halted=True)), case(market=stock(halted=False)), case(market=stock(halted=None))
    ),
    Code.NOT_TRADABLE: Example(
        case(market=stock(tradable=False)), case(market=stock(tradable=True)), case(market=stock(tradable=None))
    ),
    Code.EARNINGS_DAY: Example(
        case(market=stock(earnings_on=date(2025, 11, 10))),
        case(market=stock(earnings_on=date(2025, 11, 11))),
        case(market=stock(earnings_on=None, earnings_known=False)),
    ),
    Code.ONE_EXECUTION_PER_DAY: Example(
        case(history=history(executed_plan_today="PLAN_0")), case(history=history(executed_plan_today="PLAN_1"))
    ),
    Code.STALE_PLAN: Example(
        case(history=OLD_PLAN, market=at(NOW + timedelta(seconds=1))),
        case(history=OLD_PLAN),
        case(history=no_history()),
    ),
    Code.STALE_PRICE: Example(
        case(market=stock(price_at=NOW - timedelta(hours=4, seconds=1)), stage="plan"),
        case(market=stock(price_at=NOW - timedelta(hours=4)), stage="plan"),
        case(market=stock(price_at=None)),
    ),
    Code.DAY_TRADE_LIMIT: Example(
        case(sell(), book=book(**SMALL), history=history(day_trades=THREE_DAY_TRADES, same_day_sides=TODAY[Side.BUY])),
        case(
            sell(), book=book(**SMALL), history=history(day_trades=THREE_DAY_TRADES[1:], same_day_sides=TODAY[Side.BUY])
        ),
    ),
    Code.ACCOUNT_SHARED: Example(case(history=history(desk_lock="another desk trades the account")), case()),
    Code.SAME_DAY_ROUND_TRIP: Example(
        case(history=history(same_day_sides=TODAY[Side.SELL])),
        case(history=history(same_day_sides={"ALKS": frozenset({Side.BUY})})),
    ),
    Code.REOPEN_PAUSE: Example(
        case(history=sold(hours=23.99), limits=limits(timing_rules={"reopen_pause_hours": 24})),
        case(history=sold(hours=24), limits=limits(timing_rules={"reopen_pause_hours": 24})),
    ),
    Code.NEW_MONEY_LIMIT: Example(
        case(buy(qty=101, price=100), stage="plan", limits=limits(deployment={"max_new_per_day": 0.1})),
        case(buy(qty=100, price=100), stage="plan", limits=limits(deployment={"max_new_per_day": 0.1})),
        case(buy(price=None), stage="plan"),
    ),
    Code.BLOCKED_SYMBOL: Example(
        case(limits=limits(restricted_symbols={"blocklist": ["alks"]})),
        case(limits=limits(restricted_symbols={"blocklist": ["ALK"]})),
    ),
}


CODES = [code for code in ROWS if code in EXAMPLES]


def test_every_constraint_has_an_example() -> None:
    assert set(EXAMPLES) == set(ROWS)


@pytest.mark.parametrize("code", CODES)
def test_a_constraint_fires_beyond_its_bound_with_its_own_code_and_its_numbers(code: ReasonCode) -> None:
    finding = found(code, EXAMPLES[code].violating)
    assert isinstance(finding, Reason)
    assert finding.code is code
    assert "None" not in finding.values.values() or code is Code.NO_PRICE


@pytest.mark.parametrize("code", CODES)
def test_a_constraint_does_not_fire_at_its_exact_bound(code: ReasonCode) -> None:
    assert found(code, EXAMPLES[code].allowed) is None


@pytest.mark.parametrize("code", [code for code, example in EXAMPLES.items() if example.unknown])
def test_a_constraint_without_its_data_names_the_missing_facts(code: ReasonCode) -> None:
    example = EXAMPLES[code].unknown
    assert example is not None
    finding = found(code, example)
    assert isinstance(finding, NotEvaluated)
    assert (finding.code, finding.symbol) == (code, example.order.symbol)
    assert all(finding.missing)
    assert finding.missing


def test_every_constraint_that_can_lack_its_data_has_an_example_without_it() -> None:
    nothing_known = facts(book(peak_equity=None), no_history(), **NOTHING_KNOWN)
    for code, row in ((code, ROWS[code]) for code in CODES):
        order = buy(stop_price=None, price=None) if Side.BUY in row.sides else sell(price=None)
        bare = Case(nothing_known, limits(), "trade", order)
        lacks = isinstance(row.judge(bare), NotEvaluated) and code is not Code.REGIME_HALT
        assert not lacks or EXAMPLES[code].unknown is not None, code


def staged(code: ReasonCode, stage: Stage) -> Case:
    """The violating example of a constraint at another stage."""
    return replace(EXAMPLES[code].violating, stage=stage)


#: What may still change until the order is sent only warns before; everything else denies wherever it is judged.
LATER: dict[ReasonCode, Stage] = {
    Code.SHARES_RESERVED: "trade",
    Code.MARKET_CLOSED: "dispatch",
    Code.DESK_HALTED: "dispatch",
    Code.ONE_EXECUTION_PER_DAY: "dispatch",
    Code.PRICE_MOVED: "approve",
}
JUDGED = [(code, stage) for code in CODES for stage in ROWS[code].judged_at]
FOUND = [(code, stage) for code, stage in JUDGED if found(code, staged(code, stage)) is not None]


@pytest.mark.parametrize(("code", "stage"), FOUND)
def test_before_the_stage_it_denies_from_a_finding_is_a_warning(code: ReasonCode, stage: Stage) -> None:
    c = staged(code, stage)
    verdict = check_order(c.order, c.facts, c.limits, stage)
    denies = STAGES.index(stage) >= STAGES.index(LATER.get(code, stage))
    assert (code in {r.code for r in verdict.violations}) is denies
    assert (code in {r.code for r in verdict.warnings}) is not denies


def test_only_the_age_of_a_price_is_judged_more_leniently_at_a_later_stage() -> None:
    assert set(JUDGED) - set(FOUND) == {(Code.STALE_PRICE, "review"), (Code.STALE_PRICE, "trade")}


@pytest.mark.parametrize(("code", "stage"), [(code, stage) for code in CODES for stage in STAGES])
def test_a_constraint_is_judged_at_its_stages_and_at_no_other(code: ReasonCode, stage: Stage) -> None:
    c = staged(code, stage)
    verdict = check_order(c.order, c.facts, c.limits, stage)
    assert (code in {r.code for r in (*verdict.violations, *verdict.warnings)}) is ((code, stage) in FOUND)


@pytest.mark.parametrize("code", [row.code for row in CONSTRAINTS if row.desk_check])
def test_what_needs_no_order_stops_a_plan_without_orders(code: ReasonCode) -> None:
    c, row = EXAMPLES[code].violating, ROWS[code]
    assert code in {r.code for r in check_desk(c.facts, c.limits, row.denies_from).violations}
    allowed = EXAMPLES[code].allowed
    assert code not in {r.code for r in check_desk(allowed.facts, allowed.limits, row.denies_from).violations}


class Recorder:
    """Limits that remember which of their keys were read."""

    def __init__(self, of: Limits, seen: set[str], group: str = "") -> None:
        self._of, self._seen, self._group = of, seen, group

    def __getattr__(self, name: str) -> object:
        value = getattr(self._of, name)
        if isinstance(value, Section):
            return Recorder(cast(Limits, value), self._seen, name)
        if name != "fingerprint":  # it is of every key, and of none
            self._seen.add(f"{self._group or 'portfolio_risk'}.{name}")  # allow_margin is read without its group
        return value


def all_cases(side: Side) -> list[Case]:
    """Every example of a side, and days on which each regime and each level of the VIX plays its part."""
    examples = [c for e in EXAMPLES.values() for c in (e.violating, e.allowed, e.unknown) if c and c.order.side is side]
    days = [market(vix=Decimal(vix), regime=regime(kind)) for kind in Regime for vix in (18, 25, 35)]
    nowhere = case(buy(sector=None), market=stock(sector=None))
    return [*examples, nowhere, *(case(market=day) for day in days)] if side is Side.BUY else examples


@pytest.mark.parametrize("code", ROWS)
def test_a_row_names_exactly_the_keys_its_check_reads(code: ReasonCode) -> None:
    row, seen = ROWS[code], set[str]()
    for judged in (c for side in Side for c in all_cases(side) if side in row.sides):
        row.judge(replace(judged, limits=cast(Limits, Recorder(judged.limits, seen))))
    assert seen == set(row.keys)


@pytest.mark.parametrize(
    ("code", "judged"),
    [
        (Code.MAX_STOCK_PRICE, case(buy(price=1_000_000))),
        (Code.MARKET_CLOSED, case(market=close_to(0), limits=limits(timing_rules={"market_hours_only": False}))),
        (
            Code.TRADING_HALTED,
            case(market=stock(halted=True), limits=limits(timing_rules={"no_trading_on_halt": False})),
        ),
        (
            Code.EARNINGS_DAY,
            case(
                market=stock(earnings_on=date(2025, 11, 10)),
                limits=limits(timing_rules={"no_earnings_day_trades": False}),
            ),
        ),
        (
            Code.ONE_EXECUTION_PER_DAY,
            case(
                history=history(executed_plan_today="PLAN_0"),
                limits=limits(timing_rules={"one_execution_per_day": False}),
            ),
        ),
        (
            Code.DAY_TRADE_LIMIT,
            replace(EXAMPLES[Code.DAY_TRADE_LIMIT].violating, limits=limits(day_trades={"limit": None})),
        ),
        (
            Code.SAME_DAY_ROUND_TRIP,
            case(
                history=history(same_day_sides=TODAY[Side.SELL]),
                limits=limits(day_trades={"allow_same_day_rebuy": True}),
            ),
        ),
        (Code.UNSETTLED_FUNDS, case(book=book(unsettled_cash=Decimal(60_000)))),
        (
            Code.UNSETTLED_FUNDS,
            case(
                book=book(unsettled_cash=Decimal(60_000)),
                limits=limits(settlement={"account": "cash", "spend_unsettled": True}),
            ),
        ),
        (Code.CASH_RESERVE, case(book=book(cash=Decimal(0)), limits=limits(portfolio_risk={"allow_margin": True}))),
        (Code.NO_MARGIN, case(book=book(cash=Decimal(0)), limits=limits(portfolio_risk={"allow_margin": True}))),
    ],
)
def test_a_constraint_switched_off_by_the_limits_finds_nothing(code: ReasonCode, judged: Case) -> None:
    assert found(code, judged) is None


def test_the_incidents_smallest_buy_is_measured_against_three_percent_of_equity_and_not_against_1000() -> None:
    banc = case(buy("BANC", 118, "17.29"), book=book(equity=Decimal(98_950)))
    assert str(found(Code.MIN_POSITION_VALUE, banc)) == "MIN_POSITION_VALUE: value=2040.22 minimum=2968.5"


def test_in_a_small_account_the_minimum_is_the_one_in_dollars() -> None:
    small = case(buy(qty=33, price=30), book=book(equity=Decimal(20_000)))
    assert str(found(Code.MIN_POSITION_VALUE, small)) == "MIN_POSITION_VALUE: value=990 minimum=1000"


def test_what_is_held_already_counts_toward_minimum_and_maximum() -> None:
    held = book(position("ALKS", 90, 25))
    assert found(Code.MIN_POSITION_VALUE, case(buy(qty=10, price=30), book=held)) is None
    assert found(Code.MAX_POSITION_VALUE, case(buy(qty=744, price=30), book=held)) is not None


def test_a_maximum_in_dollars_binds_where_it_is_smaller_than_the_share_of_equity() -> None:
    strict = limits(position_limits={"max_position_value": 3600})
    assert found(Code.MAX_POSITION_VALUE, case(buy(qty=120), limits=strict)) is None
    assert found(Code.MAX_POSITION_VALUE, case(buy(qty=121), limits=strict)) is not None


def test_a_careful_day_halves_the_maximum() -> None:
    careful = market(vix=Decimal(31))
    assert found(Code.MAX_POSITION_VALUE, case(buy(qty=500, price=25), market=careful)) is None
    over = found(Code.MAX_POSITION_VALUE, case(buy(qty=501, price=25), market=careful))
    assert str(over) == "MAX_POSITION_VALUE: value=12525 maximum=12500 size_factor=0.5"


def test_adding_to_a_position_needs_no_further_place_and_no_correlation() -> None:
    full = book(*(position(f"P{i}", 1) for i in range(19)), position("ALKS", 1))
    assert found(Code.MAX_POSITIONS_TOTAL, case(book=full)) is None
    assert found(Code.MAX_CORRELATED_POSITIONS, case(book=full, market=market(correlations={}))) is None


def test_few_positions_cannot_be_too_many_correlated_ones_so_nothing_is_missing() -> None:
    assert found(Code.MAX_CORRELATED_POSITIONS, case(market=market(correlations={}))) is None


def test_symbols_of_unknown_sector_count_as_one_sector_or_each_by_itself() -> None:
    unknown = market(known("ALKS", sector="unknown"), known("HELD", sector=None))
    held = book(position("HELD", 800, 50, sector="Unknown"))
    order = buy(sector="")
    together = limits(position_limits={"unknown_sector": "own_bucket"})
    assert found(Code.MAX_SECTOR_CONCENTRATION, case(order, market=unknown, book=held, limits=together)) is not None
    assert isinstance(found(Code.MAX_SECTOR_CONCENTRATION, case(order, market=unknown, book=held)), NotEvaluated)


def test_an_unknown_sector_leaves_open_what_the_true_one_holds() -> None:
    unknown = market(known("ALKS", sector=None))
    for rules in (limits(), limits(position_limits={"unknown_sector": "own_bucket"})):
        gap = found(Code.MAX_SECTOR_CONCENTRATION, case(buy(sector="Unknown"), market=unknown, limits=rules))
        assert str(gap) == "MAX_SECTOR_CONCENTRATION of ALKS: no sector"
    strict = limits(missing_data={"position_limits": "deny"})
    verdict = check_order(buy(sector=None), case(market=unknown).facts, strict, "plan")
    assert str(verdict.violations[0]) == "NOT_EVALUATED: constraint=MAX_SECTOR_CONCENTRATION missing=sector"


def test_a_planned_position_is_not_too_small_because_prices_or_equity_have_moved_within_the_buffer() -> None:
    planned = PlanFacts("PLAN_1", NOW, prices={"ALKS": Decimal(30)})
    small, floor = buy(qty=99, price="29.99"), Code.MIN_POSITION_VALUE
    assert found(floor, case(small, plan={"plan": planned})) is None
    assert found(floor, case(buy(qty=98, price=30), plan={"plan": planned})) is not None
    assert found(floor, case(small, plan={"plan": planned}, stage="plan")) is not None
    assert found(floor, case(small)) is not None


def test_a_sector_that_only_the_order_names_is_used_for_it() -> None:
    unknown = market(known("ALKS", sector=None))
    held = book(position("ABT", 390, 100, sector="Healthcare"), position("ALKS", 10, 30, sector=None))
    over = found(Code.MAX_SECTOR_CONCENTRATION, case(market=unknown, book=held))
    assert str(over) == "MAX_SECTOR_CONCENTRATION: sector=Healthcare value=42900 maximum=40000"


def test_cash_promised_to_open_buys_is_not_there_any_more() -> None:
    promised = book(cash=Decimal(14_000), open_buys=Decimal(500))
    over = found(Code.CASH_RESERVE, case(buy(qty=120, price=30), book=promised))
    assert str(over) == "CASH_RESERVE: cash_after=9900 reserve=10000"


def test_promised_cash_counts_for_margin_and_settlement_too() -> None:
    promised = book(cash=Decimal(3_700), open_buys=Decimal(101))
    assert found(Code.NO_MARGIN, case(buy(qty=120, price=30), book=promised)) is not None
    assert found(Code.UNSETTLED_FUNDS, case(buy(qty=120, price=30), book=promised, limits=CASH_ACCOUNT)) is not None


def test_an_earnings_date_that_is_given_counts_however_it_is_known() -> None:
    reporting = stock(earnings_on=date(2025, 11, 10), earnings_known=False)
    assert isinstance(found(Code.EARNINGS_DAY, case(market=reporting)), Reason)
    assert found(Code.EARNINGS_DAY, case(market=stock(earnings_on=None))) is None


def test_day_trades_of_today_count() -> None:
    today = history(day_trades=(date(2025, 11, 10),) * 3, same_day_sides=TODAY[Side.BUY])
    assert found(Code.DAY_TRADE_LIMIT, case(sell(), book=book(**SMALL), history=today)) is not None


def test_a_stop_above_the_price_paid_puts_nothing_at_risk() -> None:
    safe = history(stops={"HELD": Decimal(60)})
    assert found(Code.MAX_PORTFOLIO_HEAT, case(buy(qty=100, price=100, stop_price=Decimal(20)), history=safe)) is None


def test_known_stops_that_alone_exceed_the_heat_deny_although_others_are_unknown() -> None:
    held = book(position(), position("BARE"))
    hot = case(buy(qty=100, price=100, stop_price=Decimal(1)), book=held)
    assert isinstance(found(Code.MAX_PORTFOLIO_HEAT, hot), Reason)
    cool = found(Code.MAX_PORTFOLIO_HEAT, case(book=held))
    assert isinstance(cool, NotEvaluated)
    assert cool.missing == ("stops of held positions",)


def test_a_crossed_quote_leaves_the_spread_unjudged() -> None:
    crossed = case(market=stock(bid=Decimal(31), ask=Decimal(30)))
    assert isinstance(found(Code.MAX_SPREAD, crossed), NotEvaluated)


def test_a_bid_of_zero_is_unjudged_and_a_locked_quote_has_no_spread() -> None:
    assert isinstance(found(Code.MAX_SPREAD, case(market=stock(bid=Decimal(0)))), NotEvaluated)
    assert found(Code.MAX_SPREAD, case(market=stock(bid=Decimal(30), ask=Decimal(30)))) is None


def test_selling_what_is_not_held_is_named_once() -> None:
    verdict = check_order(sell("ALKS"), facts(book(position("ALKS", 0))), limits(), "trade")
    assert [reason.code for reason in verdict.violations] == [Code.NOT_HELD]


def test_a_drawdown_may_be_written_with_or_without_its_minus() -> None:
    fallen = found(Code.SPY_DRAWDOWN_HALT, case(market=market(spy_drawdown_pct=Decimal("-10.5"))))
    assert str(fallen) == "SPY_DRAWDOWN_HALT: drawdown_pct=10.5 maximum_pct=10"


def test_an_unknown_regime_halts_buys_where_its_size_is_zero() -> None:
    strict = limits(regime_effects={"unknown": 0})
    nothing_known = market(vix=None, regime=None)
    assert isinstance(found(Code.REGIME_HALT, case(market=nothing_known, limits=strict)), Reason)
    assert found(Code.REGIME_HALT, case(market=nothing_known)) is None


@pytest.mark.parametrize(
    ("effects", "vix", "threshold"),
    [({"vix_caution": 0}, "30.01", "30"), ({"vix_elevated": 0}, "20.01", "20"), ({"vix_elevated": 0}, "31", "20")],
)
def test_a_vix_whose_size_is_zero_halts_buys(effects: dict[str, Any], vix: str, threshold: str) -> None:
    strict = limits(regime_effects=effects)
    halt = found(Code.VIX_PANIC, case(market=market(vix=Decimal(vix)), limits=strict))
    assert str(halt) == f"VIX_PANIC: vix={vix} threshold={threshold}"
    assert found(Code.VIX_PANIC, case(market=market(vix=Decimal(threshold)), limits=strict)) is None


def test_the_vix_of_the_regime_serves_where_no_other_is_known() -> None:
    told = market(vix=None, regime=regime(vix=Decimal(45)))
    assert isinstance(found(Code.VIX_PANIC, case(market=told)), Reason)


@pytest.mark.parametrize(
    ("moment", "closed", "too_late"),
    [
        (datetime(2025, 11, 28, 17, 44, tzinfo=UTC), False, False),  # the day after Thanksgiving closes at 13:00
        (datetime(2025, 11, 28, 17, 46, tzinfo=UTC), False, True),
        (datetime(2025, 11, 28, 18, 0, tzinfo=UTC), True, False),
        (datetime(2025, 11, 27, 16, 0, tzinfo=UTC), True, False),  # Thanksgiving
        (datetime(2025, 11, 9, 16, 0, tzinfo=UTC), True, False),  # a Sunday
        (datetime(2025, 7, 10, 13, 30, tzinfo=UTC), False, False),  # summer time: the opening moment
        (datetime(2025, 11, 10, 14, 29, tzinfo=UTC), True, False),  # winter time: a minute before it
    ],
)
def test_hours_are_those_of_the_exchanges_calendar(moment: datetime, closed: bool, too_late: bool) -> None:  # noqa: FBT001
    judged = case(market=at(moment))
    assert (found(Code.MARKET_CLOSED, judged) is not None) is closed
    assert (found(Code.LAST_MINUTES, judged) is not None) is too_late


def test_a_price_may_age_after_planning_by_as_much_as_the_plan_may() -> None:
    aged = stock(price_at=NOW - timedelta(hours=8))
    assert found(Code.STALE_PRICE, case(market=aged, stage="plan")) is not None
    assert found(Code.STALE_PRICE, case(market=aged, stage="review")) is None
    assert found(Code.STALE_PRICE, case(market=stock(price_at=NOW - timedelta(hours=8, seconds=1)))) is not None


def test_a_price_from_the_future_has_no_age() -> None:
    assert found(Code.STALE_PRICE, case(market=stock(price_at=NOW + timedelta(minutes=2)))) is None
    for stage in ("plan", "trade"):
        late = case(market=stock(price_at=NOW + timedelta(minutes=2, seconds=1)), stage=stage)
        assert found(Code.STALE_PRICE, late) is not None


def test_a_plan_from_the_future_has_no_age_unless_the_brokers_clock_has_come_so_far() -> None:
    ahead = made_with(made_at=NOW + timedelta(minutes=3))
    assert found(Code.STALE_PLAN, case(plan=made_with(made_at=NOW + timedelta(minutes=2)))) is None
    assert str(found(Code.STALE_PLAN, case(plan=ahead))).startswith("STALE_PLAN: generated_at=2025-11-10T15:12:00")
    broker = MarketClock.by_calendar(NOW + timedelta(minutes=1))
    assert found(Code.STALE_PLAN, case(plan=ahead, hours={"hours": broker})) is None


def test_an_approval_counts_on_its_own_day_only_however_old_a_plan_may_be() -> None:
    patient = limits(staleness={"plan_max_age_hours": 100})
    yesterday = made_with(made_at=NOW - timedelta(days=1))
    assert found(Code.STALE_PLAN, case(plan=yesterday, limits=patient, stage="trade")) is not None
    assert found(Code.STALE_PLAN, case(plan=yesterday, limits=patient, stage="dispatch")) is None


def test_a_plan_being_made_cannot_be_stale() -> None:
    assert "plan" not in ROWS[Code.STALE_PLAN].judged_at


@pytest.mark.parametrize(("planned", "price", "moved"), [("30.31", 30, True), ("30.30", 30, False), ("30", 90, False)])
def test_a_sell_is_moved_against_by_a_fall_of_its_price(planned: str, price: int, moved: bool) -> None:  # noqa: FBT001
    known_price = market(known("HELD", price=Decimal(price)))
    judged = case(sell(), market=known_price, plan=made_with(prices={"HELD": Decimal(planned)}))
    assert (found(Code.PRICE_MOVED, judged) is not None) is moved


def test_the_gates_of_an_account_that_nobody_asked_for_are_not_open() -> None:
    day = facts()
    unasked = DeskFacts(day.now, None, day.hours)
    (gap,) = (g for g in check_desk(unasked, Limits(), "dispatch").not_evaluated if g.code is Code.ACCOUNT_BLOCKED)
    assert gap.missing == ("account",)


def test_a_price_that_nobody_knows_has_not_moved() -> None:
    assert found(Code.PRICE_MOVED, case(market=stock(price=None), plan=made_with(prices={"ALKS": Decimal(1)}))) is None


def test_the_brokers_clock_precedes_the_calendar() -> None:
    closed = MarketClock(NOW, is_open=False, next_open=NOW + timedelta(days=1), next_close=NOW + timedelta(days=2))
    early = MarketClock(NOW, is_open=True, next_open=NOW + timedelta(days=1), next_close=NOW + timedelta(minutes=14))
    assert str(found(Code.MARKET_CLOSED, case(hours={"hours": closed}))).endswith("opens=2025-11-11T15:09:00.000000Z")
    assert found(Code.MARKET_CLOSED, case(hours={"hours": early})) is None
    assert str(found(Code.LAST_MINUTES, case(hours={"hours": early}))).endswith(
        "close=2025-11-10T15:23:00.000000Z minutes=15"
    )


def test_an_order_that_names_no_plan_is_a_second_execution() -> None:
    nameless = case(plan=made_with(plan_id=None), history=history(executed_plan_today="P"))
    assert str(found(Code.ONE_EXECUTION_PER_DAY, nameless)) == "ONE_EXECUTION_PER_DAY: executed=P"
    assert found(Code.ONE_EXECUTION_PER_DAY, case(plan=made_with(plan_id=None))) is None


@pytest.mark.parametrize(
    ("judged", "denied"),
    [
        (case(sell(), book=book(equity=Decimal(25_000))), False),
        (case(sell(), book=book(**SMALL), market=at(NOW + timedelta(days=1))), False),
        (case(sell(), book=book(equity=Decimal(90_000)), limits=limits(day_trades={"exempt_equity": None})), True),
        (case(sell(), book=book(**SMALL), limits=limits(day_trades={"limit": 4})), False),
    ],
)
def test_day_trades_count_in_their_window_and_below_the_exempt_equity(judged: Case, denied: bool) -> None:  # noqa: FBT001
    past = TradingHistory(day_trades=THREE_DAY_TRADES, same_day_sides=TODAY[Side.BUY])
    held = replace(judged, facts=replace(judged.facts, history=past))
    assert (found(Code.DAY_TRADE_LIMIT, held) is not None) is denied


def test_selling_the_rest_of_what_was_bought_today_is_no_further_day_trade() -> None:
    both = history(day_trades=THREE_DAY_TRADES, same_day_sides={"HELD": frozenset(Side)})
    assert found(Code.DAY_TRADE_LIMIT, case(sell(), book=book(**SMALL), history=both)) is None


def test_a_sell_of_what_was_not_bought_today_is_no_day_trade() -> None:
    past = history(day_trades=THREE_DAY_TRADES)
    assert found(Code.DAY_TRADE_LIMIT, case(sell(), book=book(**SMALL), history=past)) is None


@pytest.mark.parametrize("qty", [0, -5, Decimal("0.5")])
def test_a_buy_is_of_a_positive_number_of_whole_shares(qty: Decimal) -> None:
    assert found(Code.INVALID_QUANTITY, case(buy(qty=qty))) is not None


def test_a_sell_of_nothing_is_refused() -> None:
    assert found(Code.INVALID_QUANTITY, case(sell(qty=0))) is not None


@pytest.mark.parametrize("price", [0, -1])
def test_a_price_that_is_not_positive_is_no_price(price: int) -> None:
    assert found(Code.NO_PRICE, case(buy(price=price))) is not None
    assert isinstance(found(Code.MIN_POSITION_VALUE, case(buy(price=price))), NotEvaluated)


def test_a_price_is_needed_where_a_check_asks_for_it() -> None:
    with pytest.raises(ValueError, match="ALKS has no price"):
        _ = case(buy(price=None)).cost
