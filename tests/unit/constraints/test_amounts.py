from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from Departments.constraints import amounts
from Departments.core.regimes import MarketView, Regime
from tests.builders.limits import (
    EQUITY,
    NOW,
    Changes,
    book,
    buy,
    facts,
    history,
    known,
    limits,
    market,
    position,
    regime,
)


def test_the_minimum_is_the_larger_of_dollars_and_share() -> None:
    assert amounts.minimum_position(limits(), Decimal(98_950)) == Decimal("2968.50")
    assert amounts.minimum_position(limits(), Decimal(10_000)) == 1000


@pytest.mark.parametrize(
    ("day", "factor"),
    [
        (market(), "1"),
        (market(regime=None), "1"),  # a VIX of 18 from the briefing is a normal day
        (market(regime=regime(Regime.BEARISH)), "1"),
        (market(vix=Decimal(20)), "1"),
        (market(vix=Decimal(21)), "0.8"),
        (market(vix=Decimal(30)), "0.8"),
        (market(vix=Decimal("30.01")), "0.5"),
        (market(vix=Decimal(40)), "0.5"),
        (market(vix=Decimal("40.01")), "0"),
        (market(regime=regime(Regime.PANIC)), "0"),
        (market(regime=regime(Regime.UNKNOWN)), "0.5"),
        (market(vix=None, regime=None), "0.5"),
        (market(vix=None, regime=None, symbols={}), "0.5"),
    ],
)
def test_the_size_factor_is_the_smallest_effect_of_regime_and_vix(day: Changes, factor: str) -> None:
    rules = limits(regime_effects={"vix_elevated": 0.8})
    assert amounts.size_factor(rules, facts(day)) == Decimal(factor)


def test_a_vix_above_caution_is_above_elevated_too() -> None:
    rules = limits(regime_effects={"vix_elevated": 0.4, "vix_caution": 0.7})
    assert amounts.size_factor(rules, facts(market(vix=Decimal(35)))) == Decimal("0.4")


def test_two_views_contradict_each_other_where_one_would_halt_for_the_drawdown() -> None:
    calm, deep = (MarketView(name, NOW, Regime.NEUTRAL, Decimal(18), spy_drawdown_pct=Decimal(d)) for name, d in VIEWS)
    found = amounts.find_contradiction(limits(), facts(market(views=(calm, deep))))
    assert found is not None
    assert "the careful one decides: a deep one" in found
    assert amounts.find_contradiction(limits(), facts(market(views=(calm, calm)))) is None


VIEWS = (("a calm one", "2"), ("a deep one", "10.1"))


def test_with_the_shipped_limits_an_elevated_vix_changes_nothing() -> None:
    assert amounts.size_factor(limits(), facts(market(vix=Decimal(25)))) == 1
    assert amounts.size_effects(limits(), facts(market(vix=Decimal(25)))) == ()


def test_each_effect_on_size_is_named() -> None:
    effects = amounts.size_effects(limits(), facts(market(vix=Decimal(31), regime=regime(Regime.UNKNOWN))))
    assert [str(effect) for effect in effects] == [
        "SIZE_REDUCED: cause=regime_unknown factor=0.5",
        "SIZE_REDUCED: cause=vix_caution_threshold factor=0.5",
    ]


def test_a_careful_day_never_makes_the_maximum_smaller_than_the_minimum() -> None:
    half = Decimal("0.5")
    assert amounts.maximum_auto_position(limits(), EQUITY, half) == 4000
    narrow = limits(deployment={"max_auto_position_pct": 0.05})
    assert amounts.maximum_auto_position(narrow, EQUITY, half) == 3000
    assert amounts.maximum_position(limits(), EQUITY, Decimal(0)) == 3000


def test_where_even_the_minimum_exceeds_the_maximum_the_maximum_stays() -> None:
    assert amounts.maximum_auto_position(limits(), Decimal(10_000)) == 800
    assert amounts.maximum_position(limits(), Decimal(3_000), Decimal("0.5")) == 750


def test_the_auto_maximum_never_exceeds_the_maximum() -> None:
    assert amounts.maximum_auto_position(limits(position_limits={"max_position_value": 5000}), EQUITY) == 5000


def test_spendable_cash_leaves_the_reserve_and_what_is_promised() -> None:
    assert amounts.spendable_cash(limits(), facts(book(cash=Decimal(15_000), open_buys=Decimal(1_000)))) == 4000
    assert amounts.spendable_cash(limits(), facts(book(cash=Decimal(5_000)))) == 0


def test_spendable_cash_of_a_cash_account_leaves_unsettled_proceeds() -> None:
    held = facts(book(cash=Decimal(30_000), unsettled_cash=Decimal(25_000)))
    assert amounts.spendable_cash(limits(), held) == 20_000
    assert amounts.spendable_cash(limits(settlement={"account": "cash"}), held) == 5_000


def test_with_margin_allowed_the_broker_decides_what_can_be_spent() -> None:
    rules = limits(portfolio_risk={"allow_margin": True})
    assert amounts.spendable_cash(rules, facts(book(cash=Decimal(-1)))) == Decimal("Infinity")


def test_reserve_target_and_caps_are_shares_of_equity() -> None:
    assert amounts.cash_reserve(limits(), EQUITY) == 10_000
    assert amounts.deployment_target(limits(), EQUITY) == 90_000
    assert amounts.sector_cap(limits(), EQUITY, "Energy") == 40_000


def test_the_smaller_maximum_of_a_sector_counts() -> None:
    own = limits(position_limits={"sector_maxima": {"Energy": 0.15, "Utilities": 0.9}})
    caps = [amounts.sector_cap(own, EQUITY, sector) for sector in ("Energy", "energy", "Utilities", "Technology")]
    assert caps == [15_000, 15_000, 40_000, 40_000]


def test_of_two_spellings_of_one_sector_the_stricter_counts() -> None:
    own = limits(position_limits={"sector_maxima": {"Energy": 0.15, "energy": 0.25}})
    assert amounts.sector_cap(own, EQUITY, "ENERGY") == 15_000


def test_room_is_what_is_left_and_never_negative() -> None:
    held = facts(book(*(position(f"P{i}", 100) for i in range(9)), position("S", -1), position("Z", 0)))
    assert amounts.positions_room(limits(), held) == 10
    assert amounts.positions_room(limits(position_limits={"max_positions_total": 5}), held) == 0
    assert amounts.sector_value(limits(), held, "Energy") >= amounts.sector_cap(limits(), held.equity, "Energy")
    assert amounts.sector_value(limits(), held, "Utilities") == 0


def test_the_markets_word_on_a_sector_comes_before_the_positions_and_the_orders() -> None:
    day = facts(market(known("A", sector="Energy"), known("B", sector=None)))
    assert amounts.sector_of(limits(), "A", day, "Utilities") == "Energy"
    assert amounts.sector_of(limits(), "B", day, " Unknown ", "Utilities") == "Utilities"
    together = limits(position_limits={"unknown_sector": "own_bucket"})
    assert amounts.sector_of(together, "B", day, None) == "Unknown"
    assert amounts.sector_of(limits(), "B", day) == "Unknown:B"


def test_the_volume_cap_is_in_whole_shares() -> None:
    assert amounts.volume_cap(limits(), known(average_volume=Decimal(1_019))) == 101
    assert amounts.volume_cap(limits(), known(average_volume=None)) is None


def test_heat_is_what_the_stops_lose_of_the_money_paid() -> None:
    there = (position("HELD", 100, 50), position("BARE", 10, 10), position("SHORT", -5, 10), position("GONE", 0))
    held = facts(book(*there))
    assert amounts.portfolio_heat(held) == (Decimal(400), ("BARE",))
    assert amounts.heat_room(limits(), held) == 7_600
    assert amounts.order_heat(buy(qty=100, price=30)) == 240
    assert amounts.order_heat(buy(stop_price=None)) is None


MONDAY = NOW.date()


@pytest.mark.parametrize(
    ("keys", "began_on", "day"),
    [
        ({}, None, 0),
        ({"ramp_days": 5}, None, 1),
        ({"ramp_days": 5}, MONDAY, 1),
        ({"ramp_days": 5}, MONDAY - timedelta(days=4), 3),  # Thursday
        ({"ramp_days": 5}, MONDAY - timedelta(days=6), 5),  # Tuesday
        ({"ramp_days": 5}, MONDAY - timedelta(days=7), 0),
        ({"ramp_days": 5}, MONDAY - timedelta(days=700), 0),
        ({"ramp_days": 5, "ramp_from": MONDAY - timedelta(days=1)}, MONDAY - timedelta(days=700), 1),  # Sunday
        ({"ramp_days": 5, "ramp_from": MONDAY - timedelta(days=3)}, MONDAY - timedelta(days=700), 2),
        ({"ramp_days": 5, "ramp_from": MONDAY - timedelta(days=700)}, None, 1),
        ({"ramp_days": 5, "ramp_from": MONDAY + timedelta(days=1)}, None, 0),
        ({"ramp_days": 1}, MONDAY, 1),
        ({"ramp_days": 1}, MONDAY - timedelta(days=3), 0),
    ],
)
def test_a_ramp_begins_with_the_first_execution_and_ends_after_its_days(
    keys: Mapping[str, Any], began_on: date | None, day: int
) -> None:
    rules = limits(deployment=keys)
    today = facts(history(began_on=began_on), cash=Decimal(95_000))
    assert amounts.find_ramp_day(rules, today) == day
    assert amounts.new_money_room(rules, today).is_finite() == bool(day)


def test_after_the_ramp_the_share_of_a_day_still_binds() -> None:
    rules = limits(deployment={"ramp_days": 5, "max_new_per_day": 0.1})
    over = facts(history(began_on=MONDAY - timedelta(days=30)), cash=Decimal(95_000))
    assert amounts.new_money_room(rules, over) == 10_000


SPELLINGS = ("Real Estate", "real estate", "REAL ESTATE", " Real  estate ")


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_sector_is_one_whatever_its_spelling(spelling: str) -> None:
    assert amounts.known_sector(spelling) == "Real Estate"
    held = facts(market(known("O", sector=None)), book(replace(position("O", 10), sector=spelling)))
    assert amounts.sector_value(limits(), held, "Real Estate") == held.positions["O"].market_value
    assert (
        amounts.sector_cap(limits(position_limits={"sector_maxima": {spelling: 0.15}}), EQUITY, "Real Estate") == 15_000
    )
