from dataclasses import replace
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Departments.constraints.limits import Limits
from Departments.core.facts import Facts, RunFacts
from Departments.core.money import ZERO
from Departments.core.orders import Side
from Departments.core.plans import Trade
from Departments.core.portfolio import Position
from Departments.core.reasons import ReasonCode
from Departments.Executive.funding import Decision, Shortfall, budget_for, fund
from tests.builders.limits import book, facts, known, limits, market, position

MINIMUM, BUFFER = D(2000), D("0.01")
NOTHING = position("NOTHING", 0)


def rules(minimum: D = MINIMUM, buffer: D = BUFFER) -> Limits:
    """Limits without a reserve, so that the budget is all the cash there is."""
    return limits(
        position_limits={"min_position_value": minimum, "min_position_pct": 0},
        portfolio_risk={"min_cash_reserve_pct": 0},
        deployment={"price_buffer_pct": buffer, "min_trade_value": 0, "min_trade_pct": 0},
    )


def shared(
    buys: list[Trade],
    budget: D,
    shortfall: Shortfall = "by_priority",
    *,
    given: Limits | None = None,
    held: Position = NOTHING,
) -> list[Decision]:
    """Fund BUYs of which nobody knows another price than the plan's."""
    return fund(buys, facts(book(held, cash=budget), symbols={}), given or rules(), shortfall)


def buy(symbol: str, qty: int, price: str | None, score: int = 60) -> Trade:
    return Trade(symbol, Side.BUY, D(qty), None if price is None else D(price), score=D(score))


def test_the_best_score_is_funded_first() -> None:
    funded = shared([buy("LOW", 100, "30", 60), buy("HIGH", 100, "30", 80)], D(3100), "by_priority")
    assert [(f.planned.symbol, f.qty) for f in funded] == [("HIGH", D(100)), ("LOW", ZERO)]


def test_a_buy_that_does_not_fit_is_trimmed_to_what_does() -> None:
    (only,) = shared([buy("ALKS", 100, "30")], D(2525), "by_priority")
    assert only.qty == D(83)
    assert only.reason is not None
    assert only.reason.code is ReasonCode.TRIMMED_TO_CASH


def test_nothing_is_trimmed_below_the_minimum() -> None:
    (only,) = shared([buy("ALKS", 100, "30")], D(2000), "by_priority")
    assert only.qty == ZERO
    assert only.reason is not None
    assert only.reason.code is ReasonCode.INSUFFICIENT_CASH


@pytest.mark.parametrize("shortfall", ["by_priority", "pro_rata", "strict"])
def test_a_buy_planned_too_small_is_not_said_to_lack_cash_and_takes_none_from_others(shortfall: Shortfall) -> None:
    funded = shared([buy("BANC", 118, "15"), buy("ALKS", 100, "30")], D(3030), shortfall)
    told = {f.planned.symbol: (f.qty, str(f.reason)) for f in funded}
    assert told == {"ALKS": (D(100), "None"), "BANC": (ZERO, "MIN_POSITION_VALUE: value=1770 minimum=2000")}
    assert [f.reason.sentence for f in funded if f.reason] == ["position would be $1,770 (< $2,000 minimum)"]


def test_what_is_held_already_counts_towards_the_minimum() -> None:
    held = position("ALKS", 1, 1900)
    (only,) = shared([buy("ALKS", 100, "30")], D(150), given=rules(buffer=ZERO), held=held)
    assert only.qty == D(5)


def test_a_smaller_buy_further_down_may_use_what_a_larger_one_could_not() -> None:
    given = rules(minimum=D(500), buffer=ZERO)
    funded = shared([buy("BIG", 1, "5000", 90), buy("SMALL", 10, "60", 60)], D(700), given=given)
    assert [(f.planned.symbol, f.qty) for f in funded] == [("BIG", ZERO), ("SMALL", D(10))]


def test_strict_defers_everything_when_not_everything_fits() -> None:
    funded = shared([buy("A", 100, "30"), buy("B", 100, "30")], D(6000), "strict")
    assert [f.qty for f in funded] == [ZERO, ZERO]


def test_strict_funds_everything_when_everything_fits() -> None:
    funded = shared([buy("A", 100, "30"), buy("B", 100, "30")], D(6060), "strict")
    assert [f.qty for f in funded] == [D(100), D(100)]


def test_pro_rata_makes_all_buys_smaller_alike() -> None:
    funded = shared([buy("A", 100, "40"), buy("B", 100, "40")], D(6060), "pro_rata")
    assert [f.qty for f in funded] == [D(75), D(75)]


def test_a_buy_without_a_price_is_deferred() -> None:
    (only,) = shared([buy("A", 100, None)], D(10_000), "by_priority")
    assert only.reason is not None
    assert (only.qty, only.reason.code) == (ZERO, ReasonCode.NO_PRICE)


def test_a_buy_that_has_become_too_small_is_not_said_to_lack_cash() -> None:
    (only,) = shared([buy("ALKS", 60, "30")], D(50_000), "by_priority")
    assert str(only.reason) == "MIN_POSITION_VALUE: value=1800 minimum=2000"


def test_a_part_of_a_share_is_not_bought_and_not_said_to_lack_cash() -> None:
    (only,) = shared([replace(buy("ALKS", 100, "30"), qty=D("100.5"))], D(50_000), "by_priority")
    assert (only.qty, str(only.reason)) == (D(100), "INVALID_QUANTITY: planned=100.5 qty=100")


def test_what_strict_defers_is_said_to_cost_too_much_together() -> None:
    first, _ = shared([buy("A", 100, "30"), buy("B", 100, "30")], D(6000), "strict")
    assert str(first.reason) == "INSUFFICIENT_CASH: all_together=6060 available=6000 shortfall=strict"


def test_today_s_price_counts_before_the_plan_s() -> None:
    dearer = facts(book(NOTHING, cash=D(2525)), market(known("ALKS", price=D(40))))
    (only,) = fund([buy("ALKS", 100, "30")], dearer, rules(), "by_priority")
    assert only.sent is not None
    assert (only.sent.price, only.qty) == (D(40), D(62))


def running(cash: int, expected: int | None, **changes: D) -> Facts:
    """An execution with a reserve of $50 and $100 promised to open BUYs."""
    there = book(cash=D(cash), open_buys=D(100), **changes)
    return facts(there, run=RunFacts(D(50), None if expected is None else D(expected)))


def test_cash_that_must_settle_is_not_in_the_budget() -> None:
    assert budget_for(running(1000, 1000, unsettled_cash=D(400)), limits(settlement={"account": "cash"})) == D(500)
    assert budget_for(running(1000, 1000, unsettled_cash=D(400)), limits()) == D(850)


def test_buying_power_is_the_budget_only_where_margin_is_allowed() -> None:
    lent = replace(running(-200, -200).account, buying_power=D(7000))
    there = replace(running(-200, -200), account=lent)
    assert budget_for(there, limits(portfolio_risk={"allow_margin": True})) == D(7000)
    assert budget_for(there, limits()) == D(-350)


@pytest.mark.parametrize(("cash", "expected", "budget"), [(1000, 900, 750), (800, 900, 650), (800, None, 650)])
def test_the_budget_is_the_smaller_of_account_and_fills_less_open_buys_and_reserve(
    cash: int, expected: int | None, budget: int
) -> None:
    assert budget_for(running(cash, expected), limits()) == budget


def test_without_an_execution_the_reserve_is_today_s() -> None:
    assert budget_for(replace(running(12_000, None), run=None), limits()) == D(1900)


def test_what_open_orders_take_must_be_known_before_buys_are_funded() -> None:
    with pytest.raises(LookupError, match="open orders were not read"):
        budget_for(facts(open_buys=None), limits())


def test_every_buy_has_a_limit_a_collar_above_its_price() -> None:
    funded = shared([buy("A", 100, "30"), buy("B", 100, "30")], D(6300))
    assert [f.limit_price for f in funded] == [D("30.30"), D("30.30")]


def test_a_buy_is_priced_at_the_fresh_ask() -> None:
    there = facts(book(NOTHING, cash=D(6000)), market(known("A", bid=D(29), ask=D("30.60"), is_fresh=True)))
    (only,) = fund([buy("A", 100, "30")], there, rules(), "by_priority", D("0.02"))
    assert only.sent is not None
    assert (only.sent.price, only.qty, only.limit_price) == (D("30.60"), D(99), D("31.21"))
    assert only.planned.price == D(30)
    assert str(only.reason) == "TRIMMED_TO_BUDGET: planned=100 qty=99 price=30.6 money=3030"


@pytest.mark.parametrize(("price", "qty"), [("30", 100), ("30.30", 100), ("33", 91), ("36", 84)])
def test_a_dearer_buy_gets_the_money_planned_for_it(price: str, qty: int) -> None:
    there = facts(book(NOTHING, cash=D(50_000)), market(known("A", price=D(price))))
    (only,) = fund([buy("A", 100, "30")], there, rules(), "by_priority")
    assert only.qty == qty
    assert only.qty * D(price) <= 3030


def test_what_the_money_planned_does_not_bring_to_the_minimum_is_deferred() -> None:
    there = facts(book(NOTHING, cash=D(50_000)), market(known("A", price=D(35))))
    (only,) = fund([buy("A", 66, "30")], there, rules(), "by_priority")
    assert str(only.reason) == "MIN_POSITION_VALUE: value=1995 minimum=2000"


def test_what_a_tight_budget_leaves_above_the_prices_is_shared_alike() -> None:
    there = facts(book(NOTHING, cash=D(7070)), symbols={})
    funded = fund([buy("A", 100, "30"), buy("B", 100, "40")], there, rules(), "by_priority", D("0.05"))
    assert [f.limit_price for f in funded] == [D("30.30"), D("40.40")]


def test_a_limit_at_or_above_a_dollar_is_in_cents_though_the_price_is_below() -> None:
    (only,) = shared([buy("A", 1000, "0.998")], D(1018), given=rules(minimum=D(500)))
    assert (only.qty, only.limit_price) == (D(1000), D("1.00"))


def test_what_is_deferred_has_no_limit() -> None:
    (only,) = shared([buy("A", 100, None)], D(-5))
    assert (only.qty, only.limit_price) == (ZERO, None)


@given(
    st.lists(st.tuples(st.integers(1, 500), st.decimals(1, 900, places=2), st.integers(0, 100)), max_size=12),
    st.decimals(-1000, 50_000, places=2),
    st.sampled_from(["by_priority", "pro_rata", "strict"]),
)
def test_funding_never_spends_more_than_the_budget(rows: list[tuple[int, D, int]], budget: D, policy: str) -> None:
    buys = [buy(f"T{i}", qty, str(price), score) for i, (qty, price, score) in enumerate(rows)]
    funded = shared(buys, budget, policy)  # type: ignore[arg-type]
    prices = {f.planned.symbol: f.planned.price or ZERO for f in funded}
    assert sorted(f.planned.symbol for f in funded) == sorted(b.symbol for b in buys)
    assert sum((f.qty * prices[f.planned.symbol] * (1 + BUFFER) for f in funded), ZERO) <= max(budget, ZERO)
    assert all(f.qty == 0 or f.qty * prices[f.planned.symbol] >= MINIMUM for f in funded)
    sent = [f for f in funded if f.qty]
    dearest = [f.limit_price or ZERO for f in sent]
    assert sum((f.qty * price for f, price in zip(sent, dearest, strict=True)), ZERO) <= max(budget, ZERO)
    assert all(price >= (f.planned.price or ZERO) for f, price in zip(sent, dearest, strict=True))


def test_a_planned_size_is_not_too_small_because_its_price_fell_within_the_buffer() -> None:
    planned = buy("A", 67, "30")
    cheaper = facts(book(NOTHING, cash=D(5000)), market(known("A", price=D("29.90"), ask=D("29.90"), is_fresh=True)))
    assert planned.qty * D("29.90") < D(2005)
    (funded,) = fund([planned], cheaper, rules(D(2005)), "by_priority")
    assert funded.qty == 67


def test_cash_leaves_no_crumb_of_a_top_up() -> None:
    topped = buy("HELD", 40, "50")
    held = position("HELD", 100, 50)
    given = limits(
        position_limits={"min_position_value": 1000, "min_position_pct": 0},
        portfolio_risk={"min_cash_reserve_pct": 0},
        deployment={"price_buffer_pct": 0, "min_trade_value": 900, "min_trade_pct": 0},
    )
    assert shared([topped], D(950), given=given, held=held)[0].qty == 19
    (nothing,) = shared([topped], D(890), given=given, held=held)
    assert (nothing.qty, str(nothing.reason and nothing.reason.code)) == (ZERO, "INSUFFICIENT_CASH")
