from dataclasses import replace
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Departments.core.money import ZERO
from Departments.core.orders import MARKET_COLLAR, Side
from Departments.core.plans import Trade
from Departments.core.reasons import ReasonCode
from Departments.Executive.funding import Budget, Floor, Funding, Shortfall, capped, fund

FLOOR = Floor(minimum=D(2000), held={}, buffer=D("0.01"))


def buy(ticker: str, qty: int, price: str | None, score: int = 60) -> Trade:
    return Trade(ticker, Side.BUY, D(qty), None if price is None else D(price), score=D(score))


def test_the_best_score_is_funded_first() -> None:
    funded = fund([buy("LOW", 100, "30", 60), buy("HIGH", 100, "30", 80)], D(3100), FLOOR, "by_priority")
    assert [(f.trade.ticker, f.qty) for f in funded] == [("HIGH", D(100)), ("LOW", ZERO)]


def test_a_buy_that_does_not_fit_is_trimmed_to_what_does() -> None:
    (only,) = fund([buy("ALKS", 100, "30")], D(2525), FLOOR, "by_priority")
    assert only.qty == D(83)
    assert only.reason is not None
    assert only.reason.code is ReasonCode.TRIMMED_TO_CASH


def test_nothing_is_trimmed_below_the_minimum() -> None:
    (only,) = fund([buy("ALKS", 100, "30")], D(2000), FLOOR, "by_priority")
    assert only.qty == ZERO
    assert only.reason is not None
    assert only.reason.code is ReasonCode.INSUFFICIENT_CASH


@pytest.mark.parametrize("shortfall", ["by_priority", "pro_rata", "strict"])
def test_a_buy_planned_too_small_is_not_said_to_lack_cash_and_takes_none_from_others(shortfall: Shortfall) -> None:
    funded = fund([buy("BANC", 118, "15"), buy("ALKS", 100, "30")], D(3030), FLOOR, shortfall)
    told = {f.trade.ticker: (f.qty, str(f.reason)) for f in funded}
    assert told == {"ALKS": (D(100), "None"), "BANC": (ZERO, "MIN_POSITION_VALUE: value=1770 minimum=2000")}
    assert [f.reason.sentence for f in funded if f.reason] == ["position would be $1,770 (< $2,000 minimum)"]


def test_what_is_held_already_counts_towards_the_minimum() -> None:
    floor = Floor(minimum=D(2000), held={"ALKS": D(1900)}, buffer=ZERO)
    (only,) = fund([buy("ALKS", 100, "30")], D(150), floor, "by_priority")
    assert only.qty == D(5)


def test_a_smaller_buy_further_down_may_use_what_a_larger_one_could_not() -> None:
    floor = Floor(minimum=D(500), held={}, buffer=ZERO)
    funded = fund([buy("BIG", 1, "5000", 90), buy("SMALL", 10, "60", 60)], D(700), floor, "by_priority")
    assert [(f.trade.ticker, f.qty) for f in funded] == [("BIG", ZERO), ("SMALL", D(10))]


def test_strict_defers_everything_when_not_everything_fits() -> None:
    funded = fund([buy("A", 100, "30"), buy("B", 100, "30")], D(6000), FLOOR, "strict")
    assert [f.qty for f in funded] == [ZERO, ZERO]


def test_strict_funds_everything_when_everything_fits() -> None:
    funded = fund([buy("A", 100, "30"), buy("B", 100, "30")], D(6060), FLOOR, "strict")
    assert [f.qty for f in funded] == [D(100), D(100)]


def test_pro_rata_makes_all_buys_smaller_alike() -> None:
    funded = fund([buy("A", 100, "40"), buy("B", 100, "40")], D(6060), FLOOR, "pro_rata")
    assert [f.qty for f in funded] == [D(75), D(75)]


def test_a_buy_without_a_price_is_deferred() -> None:
    (only,) = fund([buy("A", 100, None)], D(10_000), FLOOR, "by_priority")
    assert only.reason is not None
    assert (only.qty, only.reason.code) == (ZERO, ReasonCode.NO_PRICE)


def test_a_buy_that_has_become_too_small_is_not_said_to_lack_cash() -> None:
    (only,) = fund([buy("ALKS", 60, "30")], D(50_000), FLOOR, "by_priority")
    assert str(only.reason) == "MIN_POSITION_VALUE: value=1800 minimum=2000"


def test_a_part_of_a_share_is_not_bought_and_not_said_to_lack_cash() -> None:
    (only,) = fund([replace(buy("ALKS", 100, "30"), qty=D("100.5"))], D(50_000), FLOOR, "by_priority")
    assert (only.qty, str(only.reason)) == (D(100), "INVALID_QUANTITY: planned=100.5 qty=100")


def test_what_strict_defers_is_said_to_cost_too_much_together() -> None:
    first, _ = fund([buy("A", 100, "30"), buy("B", 100, "30")], D(6000), FLOOR, "strict")
    assert str(first.reason) == "INSUFFICIENT_CASH: all_together=6060 available=6000 shortfall=strict"


def test_cash_that_must_settle_is_not_in_the_budget() -> None:
    assert Budget(D(1000), D(1000), D(100), D(50), unsettled=D(400)).amount == D(500)


def test_buying_power_is_the_budget_only_where_margin_is_allowed() -> None:
    assert Budget(D(-200), D(-200), D(100), D(50), lent=D(7000)).amount == D(7000)


def test_the_budget_is_the_smaller_of_account_and_fills_less_open_buys_and_reserve() -> None:
    assert Budget(D(1000), D(900), D(100), D(50)).amount == D(750)
    assert Budget(D(800), D(900), D(100), D(50)).amount == D(650)


def test_a_budget_that_covers_every_buy_at_its_dearest_sets_no_limit() -> None:
    funded = fund([buy("A", 100, "30"), buy("B", 100, "30")], D(6300), FLOOR, "by_priority")
    assert [f.limit_price for f in capped(funded, D(6300))] == [None, None]


def test_what_a_tight_budget_leaves_above_the_prices_is_shared_alike() -> None:
    funded = fund([buy("A", 100, "30"), buy("B", 100, "40")], D(7210), FLOOR, "by_priority")
    assert [f.limit_price for f in capped(funded, D(7210))] == [D("30.90"), D("41.20")]


def test_a_limit_at_or_above_a_dollar_is_in_cents_though_the_price_is_below() -> None:
    (only,) = capped([Funding(buy("A", 1000, "0.98"), D(1000))], D(1018))
    assert only.limit_price == D("1.01")


def test_what_is_deferred_has_no_limit() -> None:
    nothing = Funding(buy("A", 100, None), ZERO)
    assert capped([nothing], D(-5)) == [nothing]


@given(
    st.lists(st.tuples(st.integers(1, 500), st.decimals(1, 900, places=2), st.integers(0, 100)), max_size=12),
    st.decimals(-1000, 50_000, places=2),
    st.sampled_from(["by_priority", "pro_rata", "strict"]),
)
def test_funding_never_spends_more_than_the_budget(rows: list[tuple[int, D, int]], budget: D, policy: str) -> None:
    buys = [buy(f"T{i}", qty, str(price), score) for i, (qty, price, score) in enumerate(rows)]
    funded = fund(buys, budget, FLOOR, policy)  # type: ignore[arg-type]
    assert sorted(f.trade.ticker for f in funded) == sorted(b.ticker for b in buys)
    assert sum((FLOOR.cost(f.trade, f.qty) for f in funded), ZERO) <= max(budget, ZERO)
    assert all(f.qty == 0 or FLOOR.allows(f.trade, f.qty) for f in funded)
    sent = [f for f in capped(funded, budget) if f.qty]
    dearest = [f.limit_price or (f.trade.price or ZERO) * (1 + MARKET_COLLAR) for f in sent]
    assert sum((f.qty * price for f, price in zip(sent, dearest, strict=True)), ZERO) <= max(budget, ZERO)
    assert all(price >= (f.trade.price or ZERO) for f, price in zip(sent, dearest, strict=True))
