"""The first mornings: a day invests no more money anew than `deployment.max_new_per_day` or `ramp_days` allow.

The ramp begins with the first plan that is executed, and ends.
"""

from __future__ import annotations

from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.builders.desk import MORNING, briefing, candidate, deliver, desk, workspace

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


def run_day(there: Path, day: datetime) -> float:
    """Plan and execute one day from a briefing of it; return the share of equity that is invested afterwards."""
    text = briefing(ROWS, day=f"{day:%Y-%m-%d}")
    deliver(there, "OPERATIONS", f"MSG_RESEARCH_{day:%Y%m%d}T150509Z_0badcafe.md", text)
    with closing(desk(there, at=day)) as opened:
        ceo = opened.ceo
        ceo.approve_plan(ceo.handle_user_request("generate_plan")["plan"]["plan_id"])
        assert ceo.handle_user_request("execute_plan")["status"] == "EXECUTION_INITIATED"
        seen = ceo.handle_user_request("get_portfolio_summary")["summary"]
    return float(1 - seen["cash_balance"] / seen["equity"])


def test_a_ramp_of_three_days_ends_on_the_fourth_whoever_opens_the_desk(tmp_path: Path) -> None:
    there = workspace(tmp_path, limits={"deployment": {"ramp_days": 3, "rebalance_band_pct": 0}}, state=EMPTY)
    days = [MORNING + timedelta(days=n) for n in (0, 1, 4)]  # Monday, Tuesday, then nothing until Friday
    invested = [run_day(there, day) for day in days[:2]]
    assert 0.25 < invested[0] <= 0.30
    assert 0.50 < invested[1] <= 0.60
    assert run_day(there, days[2]) > 0.85


def test_a_ramp_from_a_day_spares_the_days_before_it(tmp_path: Path) -> None:
    keys = {"ramp_days": 5, "ramp_from": f"{MORNING + timedelta(days=1):%Y-%m-%d}"}
    assert bought(tmp_path / "before", keys)[0] > 85_000
    assert bought(tmp_path / "after", keys | {"ramp_from": "2025-11-10"})[0] <= 18_000
