"""What Operations plans, Trading never denies: random days through the whole desk, messages, ledger and exchange."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from Departments.constraints.limit_groups import MissingData
from Departments.core.departments import OPERATIONS
from Departments.Operations.basis import Basis
from Departments.Operations.briefing import Briefing
from tests.builders import desk as build
from tests.builders.operations import random_day

BRIEFING = "MSG_RESEARCH_20251110T150509Z_0badcafe.md"
#: Ordinary, elevated, caution, panic, falling, and a market of which nothing is known.
MARKETS: tuple[dict[str, Any], ...] = (
    {"vix": 18.0},
    {"vix": 24.0, "spy_change_pct": -0.8},
    {"vix": 33.0},
    {"vix": 45.0},
    {"vix": 22.0, "conditions": {"spy_drawdown_pct": 9.9}},
    {"vix": None, "spy_change_pct": None},
)


def state_of(briefing: Briefing, there: Basis, rng: random.Random) -> dict[str, Any]:
    positions = {
        p.symbol: {"qty": float(p.qty), "avg_entry_price": float(p.avg_entry_price or p.price)}
        for p in there.facts.positions.values()
    }
    prices = {c.symbol: float(c.price or 0) for c in briefing.candidates}
    held = {p.symbol: float(p.avg_entry_price or p.price) for p in there.facts.positions.values()}
    kind = rng.choice(("margin", "margin", "cash"))
    return {
        "cash": float(there.facts.cash),
        "positions": positions,
        "prices": prices | held,
        "account": {"type": kind},
        "assets": {symbol: _asset(rng) for symbol in (*prices, *positions)},
        "spread": rng.choice((0, 0.001)),
    }


def _asset(rng: random.Random) -> dict[str, Any]:
    """Most are large, liquid and trading; of some something is not known."""
    odd = rng.random() < 0.2
    told = {
        "average_volume": rng.choice((400_000, 600_000)) if odd else 5_000_000,
        "market_cap": rng.choice((900_000_000, 2_000_000_000)) if odd else 5_000_000_000,
        "earnings_on": "2025-11-10" if rng.random() < 0.05 else "2025-12-02",
        "halted": rng.random() < 0.05,
        "tradable": rng.random() > 0.05,
    }
    return {name: value for name, value in told.items() if rng.random() > 0.03}


def briefing_of(briefing: Briefing, there: Basis, rng: random.Random, **market: Any) -> str:
    candidates = [
        build.candidate(
            c.symbol,
            float(c.score or 0),
            float(c.price or 0),
            c.sector or "Unknown",
            **({"weight": float(c.weight)} if c.weight else {}),
        )
        for c in briefing.candidates
    ]
    holdings = [
        {"ticker": p.symbol, "sector": p.sector or "Unknown", "research_composite_score": float(p.score or 0)}
        for p in there.facts.positions.values()
    ]
    symbols = [str(row["ticker"]) for row in (*candidates, *holdings)]
    pairs = {f"{a}|{b}": rng.choice((0.2, 0.2, 0.9)) for a in symbols for b in symbols if a < b}
    told: dict[str, Any] = {"correlations": pairs} if rng.random() < 0.5 else {}
    return build.briefing(candidates, holdings, **market, **told)


def proposal(briefing: Briefing, rng: random.Random) -> str:
    picks = [{"ticker": c.symbol, "weight": round(rng.uniform(0.01, 0.1), 3)} for c in briefing.candidates[:6]]
    name = "MSG_OPTIMISER_20251110T150520Z_0badcafe"
    return (
        f"---\nmessage_id: {name}\nfrom: PORTFOLIO\nto: OPERATIONS\ntimestamp: '2025-11-10T15:05:20Z'\n"
        f"message_type: PlanProposal\n---\n```json\n{json.dumps({'picks': picks})}\n```\n"
    )


def plan_of(briefing: Briefing, there: Basis, rng: random.Random) -> dict[str, Any]:
    """Return a plan as the existing system made them: sizes at random, BUYs first."""
    bought = [c for c in briefing.candidates if rng.random() < 0.5]
    buys = [build.trade(c.symbol, "BUY", rng.randint(1, 300), float(c.price or 1)) for c in bought]
    sold = [p for p in there.facts.positions.values() if rng.random() < 0.3]
    return build.plan(
        *buys, *(build.trade(p.symbol, "SELL", float(p.qty), float(p.avg_entry_price or p.price)) for p in sold)
    )


def limits_of(there: Basis, rng: random.Random) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(there.limits.model_dump_json(include=set(GIVEN)))
    denied = rng.sample(sorted(MissingData.model_fields), rng.choice((0, 1, 3)))
    account = rng.choice(("margin", "cash"))
    numbers = {section: _numbers(values) for section, values in found.items()}
    numbers["position_limits"] |= {"max_correlated_positions": rng.choice((1, 3, 5))}
    return {**numbers, "missing_data": dict.fromkeys(denied, "deny"), "settlement": {"account": account}}


GIVEN = ("position_limits", "portfolio_risk", "deployment")


def _numbers(section: dict[str, Any]) -> dict[str, Any]:
    return {k: float(v) if isinstance(v, str) and v[:1].isdigit() else v for k, v in section.items()}


@pytest.mark.parametrize("seed", range(24))
def test_nothing_that_operations_planned_is_denied_or_deferred(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    briefing, there = random_day(seed, count=rng.randint(5, 25), proposals=seed % 3 == 0)
    folder = build.workspace(tmp_path, state=state_of(briefing, there, rng), limits=limits_of(there, rng))
    text = briefing_of(briefing, there, rng, **MARKETS[seed % len(MARKETS)])
    build.deliver(folder, OPERATIONS, BRIEFING, text)
    if seed % 4 == 0:
        build.deliver(folder, OPERATIONS, "MSG_OPTIMISER_20251110T150520Z_0badcafe.md", proposal(briefing, rng))
    ceo = build.desk(folder).ceo
    given = {"plan": plan_of(briefing, there, rng)} if seed % 5 == 0 else {}
    answer = ceo.handle_user_request("generate_plan", **given)
    assert ceo.approve_plan(answer["plan"]["plan_id"])["status"] == "PLAN_APPROVED"
    document = ceo.handle_user_request("execute_plan")["document"]
    orders = [o for phase in document["phases"] if phase["name"] in {"SELL", "BUY"} for o in phase["orders"]]
    assert (document["denied"], document["deferred"]) == ([], [])
    assert len(orders) == len(answer["plan"]["trades"])
    assert {order["status"] for order in orders} <= {"filled"}
