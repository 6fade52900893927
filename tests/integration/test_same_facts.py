"""Planner, reviewer and trader judge by the same facts: nothing is denied for what only one of them knows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from Departments.constraints.limit_groups import MissingData
from Departments.core.departments import OPERATIONS
from tests.builders import desk as build

BRIEFING = "MSG_RESEARCH_20251110T150509Z_0badcafe.md"
GROUPS = tuple(MissingData.model_fields)
CANDIDATES = (("ALKS", 79, 32.66), ("COMM", 77, 17.02), ("AXTA", 73, 28.64), ("SN", 71, 96.19))
ASSET = {"average_volume": 2_000_000, "market_cap": 5_000_000_000, "earnings_on": "2025-12-20"}
STATE = {
    "cash": 90_000,
    "positions": {"CTVA": {"qty": 150, "avg_entry_price": 65, "current_price": 64.64}},
    "prices": {symbol: price for symbol, _, price in CANDIDATES},
}


def day(
    folder: Path,
    limits: Mapping[str, Any],
    *,
    state: Mapping[str, Any] = STATE,
    at: datetime = build.MORNING,
    holdings: tuple[Mapping[str, Any], ...] = (),
    **payload: Any,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Plan, approve and execute; return the plan and the final document."""
    rows = [
        build.candidate(symbol, score, price, f"Sector {symbol}", **payload.pop(symbol, {}))
        for symbol, score, price in CANDIDATES
    ]
    build.workspace(folder, state=state, limits=limits)
    build.deliver(folder, OPERATIONS, BRIEFING, build.briefing(rows, holdings, **payload))
    ceo = build.desk(folder, at=at).ceo
    answer = ceo.handle_user_request("generate_plan")
    assert "plan" in answer, answer
    ceo.approve_plan(answer["plan"]["plan_id"])
    return answer["plan"], ceo.handle_user_request("execute_plan")["document"]


def everything_told() -> dict[str, Any]:
    """What a briefing and the exchange have to say so that every constraint can be judged."""
    assets = {symbol: ASSET for symbol, _, _ in CANDIDATES}
    pairs = {f"{one}|{other}": 0.2 for one, _, _ in CANDIDATES for other in ("CTVA", "ALKS", "COMM", "AXTA", "SN")}
    correlations = {pair: value for pair, value in pairs.items() if len(set(pair.split("|"))) == 2}
    return {
        "state": {**STATE, "assets": assets},
        "conditions": {"spy_drawdown_pct": 2},
        "correlations": correlations,
    }


@pytest.mark.parametrize("group", GROUPS)
def test_where_missing_data_denies_nothing_is_planned_that_trading_would_deny(tmp_path: Path, group: str) -> None:
    plan, document = day(tmp_path, {"missing_data": {group: "deny"}})
    assert document["denied"] == []
    assert {t["ticker"] for t in plan["trades"]} == {o["ticker"] for p in document["phases"] for o in p["orders"]}


@pytest.mark.parametrize("group", [g for g in GROUPS if g != "portfolio_risk"])
def test_where_the_data_is_given_the_strictest_policy_lets_buys_through(tmp_path: Path, group: str) -> None:
    plan, document = day(tmp_path, {"missing_data": {group: "deny"}}, **everything_told())
    assert [t["action"] for t in plan["trades"]] == ["BUY"] * 4
    assert (document["denied"], document["deferred"]) == ([], [])


def test_correlations_that_were_given_are_known_to_trading_too(tmp_path: Path) -> None:
    limits = {"missing_data": {"position_limits": "deny"}, "position_limits": {"max_correlated_positions": 0}}
    plan, document = day(tmp_path, limits, **everything_told())
    assert len(plan["trades"]) == 4
    assert document["denied"] == []


def test_what_the_briefing_adds_to_an_earlier_assessment_is_known_to_trading_too(tmp_path: Path) -> None:
    indicators = {"spy_change_pct": 0.4, "vix": 18}
    update = {"regime": "BULLISH", "confidence": "MEDIUM", "indicators": indicators}
    name = "MSG_REGIME_20251110T140000Z_oper"
    text = (
        f"---\nmessage_id: {name}\nfrom: REGIME_DETECTION\nto: OPERATIONS\ntimestamp: '2025-11-10T14:00:00Z'\n"
        f"message_type: RegimeUpdate\n---\n```json\n{json.dumps(update)}\n```\n"
    )
    build.deliver(tmp_path, OPERATIONS, f"{name}.md", text)
    build.workspace(tmp_path, state=STATE)
    there = build.desk(tmp_path)
    there.operations.process_inbox()
    there.close()
    plan, document = day(tmp_path, {"missing_data": {"market_conditions": "deny"}}, **everything_told())
    assert len(plan["trades"]) == 4
    assert document["denied"] == []


def test_of_two_sectors_of_a_holding_the_briefings_counts_for_trading_too(tmp_path: Path) -> None:
    limits = {"position_limits": {"max_sector_concentration_pct": 0.12}}
    state = {**STATE, "assets": {"CTVA": {**ASSET, "sector": "Sector ALKS"}}}
    plan, document = day(tmp_path, limits, state=state, holdings=({"ticker": "CTVA", "sector": "Energy"},))
    assert "ALKS" in {t["ticker"] for t in plan["trades"]}
    assert document["denied"] == []


def stated(**asset: Any) -> dict[str, Any]:
    """An exchange that says this of ALKS."""
    return {"state": {**STATE, "assets": {"ALKS": {**ASSET, **asset}}}}


TOO_CORRELATED = {
    "limits": {"position_limits": {"max_correlated_positions": 0}},
    "correlations": {"ALKS|CTVA": 0.9, "COMM|CTVA": 0.1, "AXTA|CTVA": 0.1, "CTVA|SN": -0.9},
}
#: What a person can tell the desk of ALKS or of the market → the code ALKS is then left out for.
FIRING: dict[str, tuple[dict[str, Any], str]] = {
    "correlations": (TOO_CORRELATED, "MAX_CORRELATED_POSITIONS"),
    "halt": (stated(halted=True), "TRADING_HALTED"),
    "untradable": (stated(tradable=False), "NOT_TRADABLE"),
    "earnings at the broker": (stated(earnings_on="2025-11-10"), "EARNINGS_DAY"),
    "earnings in the briefing": ({"ALKS": {"earnings_date": "2025-11-10"}}, "EARNINGS_DAY"),
    "volume at the broker": (stated(average_volume=400_000), "MIN_DAILY_VOLUME"),
    "volume in the briefing": ({"ALKS": {"average_volume": 400_000}}, "MIN_DAILY_VOLUME"),
    "capital at the broker": (stated(market_cap=900_000_000), "MIN_MARKET_CAP"),
    "capital in the briefing": ({"ALKS": {"market_cap": 900_000_000}}, "MIN_MARKET_CAP"),
    "spread": ({"state": {**STATE, "spread": 0.03}}, "MAX_SPREAD"),
    "drawdown of the market": ({"conditions": {"spy_drawdown_pct": 11}}, "SPY_DRAWDOWN_HALT"),
    "panic": ({"conditions": {"vix": 41}}, "VIX_PANIC"),
    "price floor": ({"limits": {"price_constraints": {"min_stock_price": 40}}}, "MIN_STOCK_PRICE"),
    "price ceiling": ({"limits": {"price_constraints": {"max_stock_price": 30}}}, "MAX_STOCK_PRICE"),
}


@pytest.mark.parametrize("what", FIRING)
def test_what_a_person_tells_the_desk_makes_the_constraint_fire(tmp_path: Path, what: str) -> None:
    given, code = FIRING[what]
    plan, document = day(tmp_path, given.get("limits", {}), **{k: v for k, v in given.items() if k != "limits"})
    assert code in {s["code"] for s in plan["skipped"] if s["ticker"] == "ALKS"}
    assert "ALKS" not in {t["ticker"] for t in plan["trades"]}
    assert document["denied"] == []


def test_a_volume_bounds_the_size_of_the_order(tmp_path: Path) -> None:
    limits = {"liquidity_requirements": {"min_daily_volume_shares": 0, "max_order_pct_of_volume": 0.1}}
    plan, document = day(tmp_path, limits, ALKS={"average_volume": 1000})
    assert {t["ticker"]: t["shares"] for t in plan["trades"]}["ALKS"] == 100
    assert document["denied"] == []


def test_in_the_last_minutes_no_buy_is_planned_and_sells_go(tmp_path: Path) -> None:
    holdings = ({"ticker": "CTVA", "research_composite_score": 40},)
    plan, document = day(tmp_path, {}, holdings=holdings, at=datetime(2025, 11, 10, 20, 50, tzinfo=UTC))
    assert [(t["ticker"], t["action"]) for t in plan["trades"]] == [("CTVA", "SELL")]
    assert {s["code"] for s in plan["skipped"]} == {"LAST_MINUTES"}
    assert plan["deployment_goal"]["binding"] == "LAST_MINUTES"
    assert document["denied"] == []


def test_buys_whose_turn_comes_in_the_last_minutes_are_deferred_and_not_denied(tmp_path: Path) -> None:
    holdings = ({"ticker": "CTVA", "research_composite_score": 40},)
    slow = {**STATE, "latency": {"fill": [30, 30], "cancel": [0, 0]}}
    at = datetime(2025, 11, 10, 20, 44, 45, tzinfo=UTC)
    plan, document = day(tmp_path, {}, state=slow, holdings=holdings, at=at)
    assert len(plan["trades"]) == 5
    assert [reason["code"] for reason in document["deferred"]] == ["LAST_MINUTES"] * 4
    assert document["denied"] == []
