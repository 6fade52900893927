"""What Operations plans, Trading never denies: random days through the whole desk, messages, ledger and exchange."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from Departments.core.departments import OPERATIONS
from Departments.Operations.briefing import Briefing
from Departments.Operations.situation import Situation
from tests.builders import desk as build
from tests.builders.operations import random_day

BRIEFING = "MSG_RESEARCH_20251110T150509Z_0badcafe.md"


def state_of(briefing: Briefing, there: Situation) -> dict[str, Any]:
    positions = {
        p.symbol: {"qty": float(p.qty), "avg_entry_price": float(p.avg_entry_price)}
        for p in there.book.positions.values()
    }
    prices = {c.ticker: float(c.price or 0) for c in briefing.candidates}
    held = {p.symbol: float(p.avg_entry_price) for p in there.book.positions.values()}
    return {"cash": float(there.book.cash), "positions": positions, "prices": prices | held}


def text_of(briefing: Briefing, there: Situation) -> str:
    candidates = [
        build.candidate(
            c.ticker,
            float(c.score or 0),
            float(c.price or 0),
            c.sector or "Unknown",
            **({"weight": float(c.size.weight)} if c.size and c.size.weight else {}),
        )
        for c in briefing.candidates
    ]
    holdings = [
        {"ticker": p.symbol, "sector": p.sector or "Unknown", "research_composite_score": float(p.score or 0)}
        for p in there.book.positions.values()
    ]
    return build.briefing(candidates, holdings)


@pytest.mark.parametrize("seed", [0, 3, 8, 21])
def test_nothing_that_operations_planned_is_denied_or_deferred(tmp_path: Path, seed: int) -> None:
    briefing, there = random_day(seed, proposals=seed % 3 == 0)
    folder = build.workspace(tmp_path, state=state_of(briefing, there))
    build.deliver(folder, OPERATIONS, BRIEFING, text_of(briefing, there))
    ceo = build.desk(folder).ceo
    plan = ceo.handle_user_request("generate_plan")["plan"]
    ceo.approve_plan(plan["plan_id"])
    document = ceo.handle_user_request("execute_plan")["document"]
    orders = [order for phase in document["phases"] for order in phase["orders"]]
    assert (document["denied"], document["deferred"]) == ([], [])
    assert len(orders) == len(plan["trades"]) > 0
    assert {order["status"] for order in orders} == {"filled"}
