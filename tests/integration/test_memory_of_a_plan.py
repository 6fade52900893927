"""How much memory each candidate of a briefing takes while a plan is made: long texts are held while they are read."""

from __future__ import annotations

import tracemalloc
from contextlib import closing
from pathlib import Path

from Departments.bootstrap import Choices, open_desk
from Departments.core.moments import parse_iso
from Departments.core.platform.clock import SimulatedClock
from Departments.Executive.day_order import DayOrder
from tests.builders import desk as build

MORNING = parse_iso("2025-11-10T15:05:42Z")
FEW, MANY = 5, 500
SECTORS = ("Technology", "Healthcare", "Energy", "Industrials", "Utilities")
NEWS = {"score": 50.0, "summary": "Pending News Department analysis", "news_count": 0}
TECHNICAL = {"score": 100.0, "rsi": None, "macd": None, "details": "new_buys"}
#: Bytes of live memory for each candidate, at most.
MOST = 5_000


def test_each_candidate_of_a_plan_takes_little_memory(tmp_path: Path) -> None:
    plan_from(write_briefing(tmp_path / "warm", FEW))  # makes what is made once: modules, models, caches
    peak = measure_peak(write_briefing(tmp_path / "cold", MANY))
    assert peak / MANY < MOST


def measure_peak(folder: Path) -> int:
    """Plan in a workspace and return the bytes of the highest live memory."""
    tracemalloc.start()
    try:
        plan_from(folder)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def plan_from(folder: Path) -> None:
    """Plan from the briefing of a workspace."""
    choices = Choices(clock=SimulatedClock(MORNING), exchange_state=folder / "state.yaml")
    with closing(open_desk(folder, choices)) as desk:
        assert desk.day.plan(DayOrder()).filed.plan.buys


def write_briefing(folder: Path, count: int) -> Path:
    """Make a workspace with a briefing of so many candidates, and an exchange with their prices. Return its folder."""
    rows = [
        build.candidate(
            name_symbol(number),
            60 + number % 30,
            20 + number % 50,
            SECTORS[number % 5],
            technical=TECHNICAL,
            sentiment=NEWS,
        )
        for number in range(count)
    ]
    prices = {row["ticker"]: row["current_price"] for row in rows}
    build.workspace(folder, state={"cash": 100_000, "positions": {}, "prices": prices})
    build.deliver(folder, "OPERATIONS", "MSG_RESEARCH_20251110T150509Z_0badcafe.md", build.briefing(rows))
    return folder


def name_symbol(number: int) -> str:
    """Return a symbol of four letters."""
    return "".join(chr(ord("A") + number // 26**place % 26) for place in range(4))
