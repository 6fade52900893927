"""The first mornings: a day invests no more money anew than `deployment.max_new_per_day` or `ramp_days` allow."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.builders.desk import briefing, candidate, deliver, desk, workspace

ROWS = [candidate(name, 80 - n, 20 + n, f"Sector {n}") for n, name in enumerate("ABCDEFGHIJKL")]
EMPTY: dict[str, Any] = {"cash": 100_000, "prices": {row["ticker"]: row["current_price"] for row in ROWS}}


def bought(
    folder: Path, deployment: dict[str, Any], state: dict[str, Any] | None = None
) -> tuple[float, dict[str, Any]]:
    there = workspace(folder, limits={"deployment": deployment}, state=state or EMPTY)
    deliver(there, "OPERATIONS", "MSG_RESEARCH_20251110T150509Z_0badcafe.md", briefing(ROWS))
    with closing(desk(there)) as opened:
        plan = opened.operations.generate_trading_plan()["plan"]
    return sum(t["allocated_capital"] for t in plan["trades"] if t["action"] == "BUY"), plan


def test_without_the_keys_the_first_morning_goes_to_the_target(tmp_path: Path) -> None:
    assert bought(tmp_path, {})[0] > 85_000


@pytest.mark.parametrize(("keys", "most"), [({"ramp_days": 5}, 18_000), ({"max_new_per_day": 0.25}, 25_000)])
def test_a_day_invests_no_more_than_its_share(tmp_path: Path, keys: dict[str, Any], most: float) -> None:
    spent, plan = bought(tmp_path, keys)
    assert 0.8 * most < spent <= most
    assert plan["deployment_goal"]["binding"] == "NEW_MONEY_LIMIT"
    assert any("NEW_MONEY_LIMIT" in note for note in plan["notes"])


def test_the_smaller_of_both_binds(tmp_path: Path) -> None:
    assert bought(tmp_path, {"ramp_days": 5, "max_new_per_day": 0.1})[0] <= 10_000


def test_the_proceeds_of_a_sell_may_be_invested_again(tmp_path: Path) -> None:
    held = {"ZZ": {"qty": 400, "avg_entry_price": 100, "current_price": 100}}
    state = {"cash": 60_000, "positions": held, "prices": EMPTY["prices"]}
    there = workspace(tmp_path, limits={"deployment": {"ramp_days": 9}}, state=state)
    rows = [{"ticker": "ZZ", "quantity": 400, "research_composite_score": 20.0, "sector": "Other"}]
    deliver(there, "OPERATIONS", "MSG_RESEARCH_20251110T150509Z_0badcafe.md", briefing(ROWS, rows))
    with closing(desk(there)) as opened:
        plan = opened.operations.generate_trading_plan()["plan"]
    assert [t["ticker"] for t in plan["trades"] if t["action"] == "SELL"] == ["ZZ"]
    spent = sum(t["allocated_capital"] for t in plan["trades"] if t["action"] == "BUY")
    assert 40_000 < spent <= 50_000
