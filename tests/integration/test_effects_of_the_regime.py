"""What the regime does to a day is done, and is told in plan, terminal and report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.builders import desk as build
from tests.builders.commands import BRIEFING, Said, candidates, run_of, say

STATE = {
    "cash": 100_000,
    "positions": {"OLD": {"qty": 100, "avg_entry_price": 50, "current_price": 50}},
    "prices": {"ALKS": 32.66, "COMM": 17.02, "AXTA": 28.64, "SN": 96.19},
}


def day(capsys: pytest.CaptureFixture[str], folder: Path, *more: str, **market: Any) -> tuple[Said, str]:
    """Run a day; return what the command says and the report."""
    build.workspace(folder, state=STATE)
    weak = [{"ticker": "OLD", "research_composite_score": 20.0}]
    build.deliver(folder, "OPERATIONS", BRIEFING, build.briefing(candidates(), weak, **market))
    said = say(capsys, *run_of(folder, *more))
    return said, next((folder / "Reports").glob("*.md")).read_text(encoding="utf-8")


def test_on_a_day_of_panic_nothing_is_bought_sells_go_and_everybody_is_informed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    said, report = day(capsys, tmp_path, vix=45)
    assert said.code == 0
    assert "regime PANIC" in said.out
    assert "SELL     OLD" in said.out
    assert "BUY " not in said.out
    for text in (said.out, report):
        assert "Nothing is bought today (SIZE_REDUCED: cause=regime_panic factor=0)." in " ".join(text.split())
    assert "Market regime: PANIC" in report


def buys(said: Said) -> dict[str, float]:
    return {o["ticker"]: float(o["filled_qty"]) * float(o["filled_avg_price"]) for o in said.phase("BUY")["orders"]}


@pytest.mark.parametrize(
    ("market", "effect"),
    [
        ({"vix": 35}, "cause=vix_caution_threshold factor=0.5"),
        ({"vix": None, "spy_change_pct": None}, "cause=regime_unknown factor=0.5"),
    ],
)
def test_on_a_careful_day_positions_are_half_as_large_and_the_report_gives_the_reason(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, market: dict[str, Any], effect: str
) -> None:
    usual = buys(day(capsys, tmp_path / "usual", "--json")[0])
    said, report = day(capsys, tmp_path / "careful", "--json", **market)
    assert max(buys(said).values()) <= max(usual.values()) / 2
    assert said.document["denied"] == []
    most = "The largest position is $4,200 today instead of $8,400 if Operations chooses the size, $13,125"
    assert f"{most} today instead of $26,250 if the plan gives it (SIZE_REDUCED: {effect})." in " ".join(report.split())


def test_on_a_quiet_day_the_report_names_the_regime_and_no_effect(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    report = day(capsys, tmp_path)[1]
    assert "Market regime: BULLISH" in report
    assert "SIZE_REDUCED" not in report
