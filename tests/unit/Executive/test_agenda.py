"""What a phase sends follows from facts alone, and a rehearsal decides what the execution will."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Departments.constraints.limits import Limits
from Departments.core.facts import Facts, PlanFacts, RunFacts, SymbolFacts
from Departments.core.orders import Side
from Departments.core.plans import Trade, TradingPlan
from Departments.core.quotes import MarketClock
from Departments.core.statuses import PhaseName
from Departments.Executive.agenda import decide, rehearse
from Departments.Executive.funding import Decision, Shortfall
from tests.builders.limits import NOW, book, facts, known, limits, market, position

RELEASE, SELL, BUY, PROTECT = PhaseName
PLAN = TradingPlan(
    "PLAN_1",
    NOW - timedelta(minutes=10),
    (
        Trade("HELD", Side.SELL, D(100), D(50)),
        Trade("ALKS", Side.BUY, D(120), D(30), score=D(80)),
        Trade("COMM", Side.BUY, D(200), D(20), score=D(70)),
    ),
)
RUN = RunFacts(D(10_000))


def quoted(symbol: str, price: int, **changes: Any) -> SymbolFacts:
    """A symbol whose bid and ask are its price, and fresh."""
    return known(symbol, price=D(price), bid=D(price), ask=D(price), is_fresh=True, **changes)


def there(*parts: Mapping[str, Any], plan: TradingPlan = PLAN, **changes: Any) -> Facts:
    """A moment of the plan's execution, with changes."""
    prices = market(quoted("HELD", 50), quoted("ALKS", 30), quoted("COMM", 20))
    given_facts = facts(prices, *map(dict, parts), **changes)
    return replace(given_facts, plan=PlanFacts.of(plan), run=given_facts.run or RUN)


def outcome(decisions: list[Decision]) -> list[tuple[str, int, str]]:
    """Each trade's symbol, its shares and the code of its reason."""
    return [(d.planned.symbol, int(d.qty), str(d.reason.code) if d.reason else "") for d in decisions]


def decided(name: PhaseName, at: Facts, plan: TradingPlan = PLAN) -> list[tuple[str, int, str]]:
    return outcome(decide(name, plan, at, Limits()))


def at(*, minutes: int) -> dict[str, Any]:
    """A moment after the plan was made, by a clock that agrees with the calendar."""
    moment = NOW + timedelta(minutes=minutes)
    return {"now": moment, "hours": MarketClock.by_calendar(moment)}


CLOSED = {
    "hours": MarketClock(NOW, is_open=False, next_open=NOW + timedelta(days=1), next_close=NOW + timedelta(days=2))
}
LATE = {
    "hours": MarketClock(NOW, is_open=True, next_open=NOW + timedelta(days=1), next_close=NOW + timedelta(minutes=9))
}
STALE = at(minutes=231)
BLOCKED = {"account": replace(facts().account, may_trade=False)}
LOCKED = {"locks": {"HELD": "odd", "ALKS": "odd"}}
ABORTED = {"run": replace(RUN, aborted="SELL")}


@pytest.mark.parametrize(
    ("day", "sell", "buys"),
    [
        ({}, "", ("", "")),
        (CLOSED, "MARKET_CLOSED", ("MARKET_CLOSED", "MARKET_CLOSED")),
        (STALE, "STALE_PLAN", ("STALE_PLAN", "STALE_PLAN")),
        (LATE, "", ("LAST_MINUTES", "LAST_MINUTES")),
        (BLOCKED, "ACCOUNT_BLOCKED", ("ACCOUNT_BLOCKED", "ACCOUNT_BLOCKED")),
        (LOCKED, "SYMBOL_LOCKED", ("SYMBOL_LOCKED", "")),
        (ABORTED, "", ("PHASE_ABORTED", "PHASE_ABORTED")),
    ],
)
def test_whatever_forbids_an_order_defers_it_with_its_code(
    day: dict[str, Any], sell: str, buys: tuple[str, str]
) -> None:
    assert decided(SELL, there(day)) == [("HELD", 0 if sell else 100, sell)]
    wanted = zip(("ALKS", "COMM"), (120, 200), buys, strict=True)
    assert decided(BUY, there(day)) == [(symbol, 0 if code else qty, code) for symbol, qty, code in wanted]


@pytest.mark.parametrize(
    ("available", "decision"),
    [
        (100, (100, "")),
        (40, (40, "TRIMMED_TO_AVAILABLE")),
        (0, (0, "NOTHING_AVAILABLE")),
        (-5, (0, "NOTHING_AVAILABLE")),
    ],
)
def test_no_more_is_sold_than_is_free(available: int, decision: tuple[int, str]) -> None:
    held = there(book(position(qty_available=D(available))))
    assert decided(SELL, held) == [("HELD", *decision)]


def test_what_is_not_held_is_not_sold() -> None:
    assert decided(SELL, there(book(positions={}))) == [("HELD", 0, "NOTHING_AVAILABLE")]


RESTING = book(position(qty_available=D(30)))


def test_shares_that_resting_exits_hold_are_released() -> None:
    assert decided(RELEASE, there(RESTING)) == [("HELD", 70, "")]
    assert decided(RELEASE, there()) == []


@pytest.mark.parametrize("day", [CLOSED, STALE, BLOCKED])
def test_nothing_is_released_where_nothing_will_be_sold(day: dict[str, Any]) -> None:
    assert decided(RELEASE, there(RESTING, day)) == []


def test_the_exits_of_a_locked_symbol_stay() -> None:
    assert decided(RELEASE, there(RESTING, LOCKED)) == [("HELD", 0, "SYMBOL_LOCKED")]


def protections(available: int = 100, day: dict[str, Any] | None = None, **run: Any) -> list[tuple[str, int, str]]:
    held = book(position(qty_available=D(available)))
    return decided(PROTECT, there(held, day or {}, run=replace(RUN, unprotected={"HELD": D(60), "GONE": D(5)}, **run)))


@pytest.mark.parametrize("day", [{}, CLOSED, STALE, LATE, BLOCKED])
def test_unprotected_shares_get_exits_at_any_time(day: dict[str, Any]) -> None:
    assert protections(day=day) == [("HELD", 60, "")]


@pytest.mark.parametrize(
    ("given_facts", "decision"),
    [
        ({"available": 20}, [("HELD", 20, "")]),
        ({"available": 0}, []),
        ({"day": LOCKED}, [("HELD", 0, "SYMBOL_LOCKED")]),
        ({"entering": frozenset({"HELD"})}, [("HELD", 0, "ENTRY_STILL_OPEN")]),
        ({"available": 0, "releasing": frozenset({"HELD"})}, [("HELD", 0, "RELEASE_STILL_OPEN")]),
    ],
)
def test_exits_are_given_to_free_shares_alone(given_facts: dict[str, Any], decision: list[Any]) -> None:
    assert protections(**given_facts) == decision


def filled(name: PhaseName, decisions: list[Decision], before: Facts, rules: Limits) -> Facts:
    """The account after a phase at an exchange of plain arithmetic; equity and market stay as they are."""
    account, positions, unsettled = before.account, dict(before.positions), before.unsettled_cash
    for decision in decisions:
        symbol, qty = decision.planned.symbol, decision.qty
        if name is RELEASE and qty:
            positions[symbol] = replace(positions[symbol], qty_available=positions[symbol].qty)
        if name is SELL and qty:
            left, paid = positions[symbol].qty - qty, qty * (before.of(symbol).price or D(40))
            positions[symbol] = replace(positions[symbol], qty=left, qty_available=left)
            account = replace(account, cash=account.cash + paid, buying_power=account.buying_power + paid)
            unsettled += paid if rules.settlement.account == "cash" else D(0)
    held = {symbol: p for symbol, p in positions.items() if p.qty}
    run = RunFacts(rules.portfolio_risk.min_cash_reserve_pct * account.equity, expected_cash=account.cash)
    return replace(before, account=account, positions=held, unsettled_cash=unsettled, run=run)


@st.composite
def executions(draw: st.DrawFn) -> tuple[TradingPlan, Facts, Limits, Shortfall]:
    """Any account, locks, hours, limits and plan."""
    symbols = ("A", "B", "C", "D")
    sold = draw(st.sets(st.sampled_from(symbols)))
    trades = [Trade(s, Side.SELL, D(draw(st.integers(1, 150))), D(40)) for s in sorted(sold)]
    for symbol in sorted(draw(st.sets(st.sampled_from(("E", "F", "G", *symbols)))) - sold):
        qty, score = D(draw(st.integers(1, 400))), D(draw(st.integers(50, 52)))
        trades.append(Trade(symbol, Side.BUY, qty, draw(st.sampled_from((D(30), None))), score=score))
    plan = TradingPlan("PLAN_1", NOW - timedelta(minutes=draw(st.sampled_from((5, 5, 5, 241)))), tuple(trades))
    held = [position(s, draw(st.integers(0, 200)), 40, qty_available=draw(st.none() | st.just(D(0)))) for s in symbols]
    prices = market(
        *(known(s, price=draw(st.none() | st.sampled_from((D(29), D("41.5"))))) for s in (*symbols, *"EFG"))
    )
    cash = book(*(p for p in held if p.qty), cash=D(draw(st.integers(-5_000, 60_000))))
    hours = draw(st.sampled_from(({}, {}, {}, CLOSED, LATE)))
    locks = dict.fromkeys(draw(st.sets(st.sampled_from((*symbols, "E")), max_size=2)), "odd")
    unsettled = {"unsettled_cash": D(draw(st.integers(0, 5_000)))}
    rules = limits(
        settlement={"account": draw(st.sampled_from(("cash", "margin")))},
        portfolio_risk={"allow_margin": draw(st.sampled_from((False, False, True)))},
        deployment={"price_buffer_pct": draw(st.sampled_from((0, 0.01)))},
    )
    now = replace(facts(prices, cash, hours, unsettled, locks=locks), plan=PlanFacts.of(plan))
    return plan, now, rules, draw(st.sampled_from(("by_priority", "pro_rata", "strict")))


@given(executions())
def test_a_rehearsal_decides_what_the_execution_decides(day: tuple[TradingPlan, Facts, Limits, Shortfall]) -> None:
    plan, now, rules, shortfall = day
    shown = rehearse(plan, now, rules, shortfall).decisions
    for name in (RELEASE, SELL, BUY):
        sent = decide(name, plan, now, rules, shortfall)
        assert outcome(shown[name]) == outcome(sent)
        now = filled(name, sent, now, rules)


def test_a_dry_run_counts_the_cash_at_todays_prices_and_not_at_the_plans() -> None:
    only = replace(PLAN, trades=PLAN.trades[:1])  # 100 HELD, planned at $50
    now = facts(market(known("HELD", price=D(40))))
    before = replace(now, plan=PlanFacts.of(only), run=RUN)
    assert rehearse(only, before, Limits(), "by_priority").facts.cash == before.cash + 100 * D(40)
