from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from Departments.constraints.case import Stage
from Departments.constraints.engine import PlanVerdict, Verdict, check_order, check_plan, find_violation, project
from Departments.constraints.limit_groups import MissingData
from Departments.constraints.limits import Limits
from Departments.constraints.table import CONSTRAINTS, EVERYWHERE, READ_ELSEWHERE
from Departments.core.facts import SymbolFacts
from Departments.core.orders import Side
from Departments.core.plans import Trade
from Departments.core.reasons import Reason, ReasonCode
from tests.builders.limits import (
    NOW,
    Changes,
    book,
    buy,
    case,
    facts,
    known,
    limits,
    market,
    no_history,
    position,
    sell,
)

Code = ReasonCode


def judge(order: Trade, *, stage: Stage = "trade", **parts: Any) -> Verdict:
    judged = case(order, stage=stage, **parts)
    return check_order(order, judged.facts, judged.limits, stage)


def unknown(*symbols: SymbolFacts) -> Changes:
    """A market of which nothing but these symbols is known."""
    silent = dict.fromkeys(("spy_change_pct", "spy_drawdown_pct", "vix", "vix_change_pct", "regime"))
    return market(*symbols, **silent, correlations={})


def codes(reasons: Iterable[Reason]) -> list[ReasonCode]:
    return [reason.code for reason in reasons]


def test_an_everyday_buy_and_sell_pass_with_everything_evaluated() -> None:
    assert judge(buy()) == Verdict()
    assert judge(sell()) == Verdict()


def test_a_sell_is_exempt_from_sizes_cash_sectors_prices_and_the_market() -> None:
    panic = market(known("HELD", price_at=NOW - timedelta(days=9)), vix=Decimal(60), spy_drawdown_pct=Decimal(30))
    broke = book(position("HELD", 1, "0.5", sector="Healthcare"), cash=Decimal(-5000), equity=Decimal(-1))
    assert judge(sell(qty=1, price=None), book=broke, market=panic) == Verdict()


def test_every_violation_of_an_order_is_named() -> None:
    verdict = judge(buy(qty=2000, price=4, stop_price=None), book=book(cash=Decimal(1)), market=market(vix=Decimal(41)))
    assert codes(verdict.violations) == [Code.CASH_RESERVE, Code.NO_MARGIN, Code.MIN_STOCK_PRICE, Code.VIX_PANIC]
    assert not verdict.passed


def test_with_prices_sectors_cash_and_positions_alone_an_order_passes_and_the_gaps_are_listed() -> None:
    priced = SymbolFacts("ALKS", price=Decimal(30), price_at=NOW, sector="Healthcare")
    verdict = judge(buy(stop_price=None), book=book(peak_equity=None), market=unknown(priced), history=no_history())
    assert verdict.passed
    gaps = {gap.code for gap in verdict.not_evaluated}
    assert gaps == {
        Code.MAX_PORTFOLIO_HEAT,
        Code.DRAWDOWN_HALT,
        Code.MIN_DAILY_VOLUME,
        Code.MAX_ORDER_OF_VOLUME,
        Code.MAX_SPREAD,
        Code.MIN_MARKET_CAP,
        Code.VIX_PANIC,
        Code.SPY_DRAWDOWN_HALT,
        Code.TRADING_HALTED,
        Code.NOT_TRADABLE,
        Code.EARNINGS_DAY,
        Code.STALE_PLAN,
    }
    assert len(verdict.warnings) == len(gaps)
    assert "MIN_DAILY_VOLUME of ALKS: no average volume" in [str(gap) for gap in verdict.not_evaluated]


@pytest.mark.parametrize(("policy", "denied", "warned"), [("allow", 0, 0), ("warn", 0, 1), ("deny", 1, 0)])
def test_missing_data_follows_the_policy_of_its_group(policy: str, denied: int, warned: int) -> None:
    rules = limits(missing_data={"price_constraints": policy})
    verdict = judge(buy(), market=market(known(market_cap=None)), limits=rules)
    assert (len(verdict.violations), len(verdict.warnings), len(verdict.not_evaluated)) == (denied, warned, 1)
    said = [str(reason) for reason in (*verdict.violations, *verdict.warnings)]
    assert set(said) <= {"NOT_EVALUATED: constraint=MIN_MARKET_CAP missing=market capitalisation"}


@pytest.mark.parametrize("stage", EVERYWHERE)
@pytest.mark.parametrize("group", MissingData.model_fields)
def test_what_must_not_be_missing_denies_at_every_stage(group: str, stage: Stage) -> None:
    nothing_known = unknown(SymbolFacts("ALKS", price=Decimal(30)))
    bare = book(*(position(f"H{n}") for n in range(7)), peak_equity=None)
    judged = {"market": nothing_known, "book": bare, "limits": limits(missing_data={group: "deny"})}
    verdict = judge(buy(stop_price=None), stage=stage, history=no_history(), **judged)
    of_group = {c.code for c in CONSTRAINTS if c.group == group}
    wanted = {str(gap.code) for gap in verdict.not_evaluated if gap.code in of_group}
    assert {r.values["constraint"] for r in verdict.violations if r.code is Code.NOT_EVALUATED} == wanted
    assert wanted


def test_a_missing_price_denies_a_buy_whatever_the_policies_say() -> None:
    lenient = limits(missing_data=dict.fromkeys(MissingData.model_fields, "allow"))
    assert codes(judge(buy(price=None), limits=lenient).violations) == [Code.NO_PRICE]


def plan(*orders: Trade, **parts: Any) -> PlanVerdict:
    judged = case(**parts)
    return check_plan(orders, judged.facts, judged.limits, "plan")


@pytest.mark.parametrize("order", [buy(), buy(qty=2), buy(price=3), buy("UNKNOWN", price=None), sell(qty=1_000)])
@pytest.mark.parametrize("policy", ["allow", "warn", "deny"])
def test_the_first_violation_is_that_of_the_whole_verdict_but_for_the_ignored(order: Trade, policy: str) -> None:
    strict = limits(missing_data=dict.fromkeys(MissingData.model_fields, policy))
    judged = case(order, limits=strict, market=market(known(market_cap=None)))
    whole = check_order(order, judged.facts, strict, "plan").violations
    for ignored in (frozenset[Code](), frozenset({Code.MIN_POSITION_VALUE, Code.MIN_STOCK_PRICE})):
        first = next((reason for reason in whole if reason.code not in ignored), None)
        assert find_violation(order, judged.facts, strict, "plan", ignored) == first


def test_a_plan_is_judged_sells_first_and_the_buys_in_their_order() -> None:
    verdict = plan(buy("B"), sell(), buy("A"))
    assert [order.symbol for order, _ in verdict.verdicts] == ["HELD", "B", "A"]


def test_buys_may_spend_what_the_sells_before_them_bring() -> None:
    tight = book(cash=Decimal(10_000))
    assert codes(reason for _, reason in plan(buy(), book=tight).violations) == [Code.CASH_RESERVE]
    verdict = plan(buy(), sell(), book=tight)
    assert verdict.passed
    assert verdict.facts.cash == 10_000 + 5_000 - 3_600
    assert set(verdict.facts.positions) == {"ALKS"}


def test_the_buy_that_exhausts_the_cash_is_the_one_that_is_denied() -> None:
    verdict = plan(buy("A"), buy("B"), buy("C", 101), book=book(cash=Decimal(10_000 + 3_600 + 3_030)))
    assert [(order.symbol, reason.code) for order, reason in verdict.violations] == [("B", Code.CASH_RESERVE)]


def test_two_buys_of_one_symbol_add_up() -> None:
    verdict = plan(buy(qty=800), buy(qty=100))
    assert codes(reason for _, reason in verdict.violations) == [Code.MAX_POSITION_VALUE]


def test_a_plan_never_buys_back_what_it_sells() -> None:
    verdict = plan(buy("HELD"), sell())
    assert [(order.side, reason.code) for order, reason in verdict.violations] == [(Side.BUY, Code.SAME_DAY_ROUND_TRIP)]


def test_each_planned_stop_adds_to_the_heat_of_the_next_buy() -> None:
    risky = [buy(symbol, 100, 100, stop_price=Decimal(60)) for symbol in ("A", "B")]
    rules = limits(portfolio_risk={"max_portfolio_heat": 0.084})
    assert plan(*risky, limits=rules).passed
    assert codes(r for _, r in plan(*risky, buy("C"), limits=rules).violations) == [Code.MAX_PORTFOLIO_HEAT]


def test_an_order_that_is_denied_is_not_counted_for_those_after_it() -> None:
    halted = market(known("HELD", tradable=False), known("ALKS"))
    verdict = plan(sell(), buy(), book=book(cash=Decimal(10_000)), market=halted)
    assert [(o.symbol, r.code) for o, r in verdict.violations] == [
        ("HELD", Code.NOT_TRADABLE),
        ("ALKS", Code.CASH_RESERVE),
    ]


def test_a_sell_without_a_price_frees_a_place_but_no_cash() -> None:
    verdict = plan(sell(price=None))
    assert verdict.passed
    assert verdict.facts.cash == facts().cash
    assert verdict.facts.positions == {}


def test_what_remains_after_a_sell_without_a_usable_price_keeps_its_value() -> None:
    assert plan(sell(qty=50, price=0)).facts.held_value("HELD") == 2_500
    assert plan(sell(qty=50, price=None)).facts.held_value("HELD") == 2_500


def test_a_position_without_a_price_of_its_own_is_projected_at_what_was_paid() -> None:
    assert plan(sell(qty=50, price=None), book=book(position(current_price=None))).facts.held_value("HELD") == 2_500


def test_only_sells_of_a_cash_account_bring_unsettled_proceeds() -> None:
    assert project(sell(), facts(), Limits()).unsettled_cash == 0
    assert project(buy(), facts(), limits(settlement={"account": "cash"})).unsettled_cash == 0


def test_in_a_cash_account_the_proceeds_of_a_plan_cannot_be_spent_the_same_day() -> None:
    rules = limits(settlement={"account": "cash"})
    poor = book(cash=Decimal(10_500), equity=Decimal(100_000))
    assert project(sell(), facts(poor), rules).unsettled_cash == 5_000
    strict = limits(settlement={"account": "cash"}, portfolio_risk={"min_cash_reserve_pct": 0})
    spent = plan(sell(), buy(), book=book(cash=Decimal(3_599)), limits=strict)
    assert codes(r for _, r in spent.violations) == [Code.UNSETTLED_FUNDS]
    assert plan(sell(), buy(), book=book(cash=Decimal(3_600)), limits=strict).passed


def test_a_plan_before_the_open_is_legitimate_and_warns() -> None:
    at = NOW - timedelta(hours=2)
    early = market(known("ALKS", price_at=at), now=at)
    assert plan(buy(), market=early).passed
    assert codes(r for _, r in plan(buy(), market=early).warnings) == [Code.MARKET_CLOSED]
    assert codes(judge(buy(), market=early, history=no_history() | {"plan_generated_at": at}).violations) == [
        Code.MARKET_CLOSED
    ]


def test_every_constraint_has_its_own_code_a_meaning_and_a_documented_check() -> None:
    assert len({row.code for row in CONSTRAINTS}) == len(CONSTRAINTS)
    for row in CONSTRAINTS:
        assert row.code.meaning
        assert (row.check.__doc__ or "").startswith("Refuse")
        assert row.group == "order" or row.group in MissingData.model_fields


def test_every_key_of_the_limits_is_read_by_a_constraint_or_said_to_be_read_elsewhere() -> None:
    keys = set()
    for group, value in Limits():
        keys |= {f"{group}.{name}" for name, _ in value} if not isinstance(value, dict) else {group}
    read = {key for row in CONSTRAINTS for key in row.keys}
    assert read <= keys
    assert {key for key in keys - read if not {key, key.split(".")[0]} & set(READ_ELSEWHERE)} == set()
    assert {key for key in READ_ELSEWHERE if key in read} == set()
