"""`departments plan` and `approve` as a person meets them, at 80 columns."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.builders import desk as build
from tests.builders.commands import AT, Said, deliver_briefing, say

LIMITS = ("min_cash_reserve_pct", "max_positions_total", "max_single_position_pct", "max_sector_concentration_pct")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    deliver_briefing(build.workspace(tmp_path))
    return tmp_path


def plan_of(capsys: pytest.CaptureFixture[str], folder: Path, *more: str) -> Said:
    return say(capsys, "plan", "--workspace", folder, "--exchange-state", folder / "state.yaml", "--at", AT, *more)


def test_the_headroom_names_every_limit_in_one_piece(
    capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    said = plan_of(capsys, folder)
    assert said.code == 0
    assert max(map(len, said.out.splitlines())) <= 80
    for key in (*LIMITS, "max_portfolio_heat"):
        assert [line for line in said.out.splitlines() if f" {key} " in line], key


def test_weights_and_sectors_are_shown_before_and_after(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    document = plan_of(capsys, folder, "--json").document
    weights = {row["name"]: (float(row["before"]), float(row["after"])) for row in document["weights"]}
    assert weights["ALKS"][0] == 0 < weights["ALKS"][1]
    assert weights["MSFT"][0] == weights["MSFT"][1] > 0
    assert {row["name"] for row in document["sectors"]} >= {"Sector Alks", "Unknown"}


def test_the_stops_of_the_plan_count_in_the_heat_it_leaves(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    document = plan_of(capsys, folder, "--json").document
    (heat,) = (row for row in document["headroom"] if row["limit"].endswith("max_portfolio_heat"))
    bought = sum(t["shares"] * t["entry_price"] for t in document["plan"]["trades"] if t["action"] == "BUY")
    assert float(heat["used"]) == pytest.approx(0.08 * bought, rel=0.001)


def test_a_plan_file_that_is_too_old_leaves_no_exchange_behind(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    old = {"plan_id": "PLAN_OLD", "generated_at": "2025-11-09T15:00:00Z", "trades": []}
    (folder / "old.json").write_text(json.dumps(old), encoding="utf-8")
    assert plan_of(capsys, folder, "--plan", str(folder / "old.json")).code == 2
    assert not list(folder.glob("*.db"))


def approved(capsys: pytest.CaptureFixture[str], folder: Path, plan: dict[str, Any], at: str = AT) -> Said:
    return say(capsys, "approve", plan["plan_id"], "--workspace", folder, "--at", at)


def test_a_plan_is_approved_and_written_down(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    plan = plan_of(capsys, folder, "--json").document["plan"]
    said = approved(capsys, folder, plan)
    assert said.code == 0
    assert (folder / "proposed_trades_2025-11-10.json").exists()


def test_a_plan_made_under_other_limits_is_not_approved(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    plan = plan_of(capsys, folder, "--json").document["plan"]
    build.write_yaml(folder / "config" / "hard_constraints.yaml", {"position_limits": {"max_positions_total": 19}})
    said = approved(capsys, folder, plan)
    assert (said.code, (folder / "proposed_trades_2025-11-10.json").exists()) == (1, False)
    assert "made with other limits" in said.sentences[-1]


def test_a_plan_that_is_too_old_is_not_approved(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    plan = plan_of(capsys, folder, "--json").document["plan"]
    said = approved(capsys, folder, plan, at="2025-11-10T20:05:42Z")
    assert said.code == 1
    assert "5.00 hours old, 4 are allowed" in said.sentences[-1]


def test_a_plan_whose_prices_have_moved_is_not_approved(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    plan = plan_of(capsys, folder, "--json").document["plan"]
    desk = build.desk(folder)
    desk.broker.exchange.floor.set_price("ALKS", Decimal("33.20"))  # type: ignore[attr-defined]
    desk.close()
    said = approved(capsys, folder, plan)
    assert said.code == 1
    assert "the prices of ALKS have moved more than 1.0% against it" in said.sentences[-1]


def test_a_plan_nobody_made_cannot_be_approved(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    plan_of(capsys, folder)
    said = approved(capsys, folder, {"plan_id": "PLAN_20250101_000000"})
    assert said.code == 2
    assert "PLAN_20250101_000000: there is no such plan" in said.sentences[-1]
