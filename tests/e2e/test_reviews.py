"""The review beside the plan: on the second day it knows the first, and plan file and report keep it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.builders.commands import say
from tests.builders.desk import briefing, candidate, deliver, workspace

STATE: dict[str, Any] = {
    "cash": 100_000,
    "prices": {"ALKS": "32.66", "COMM": "17.02", "SN": "96.19"},
    "fees": {"per_share": "0.01"},
}
FIRST, SECOND = ("ALKS", 32.66), ("COMM", 17.02)


def brief(folder: Path, day: str, *rows: tuple[str, float]) -> list[str | Path]:
    """Deliver a briefing of a day and return the options of a command on it."""
    text = briefing([candidate(symbol, 80, price, f"Sector {symbol}") for symbol, price in rows], day=day)
    deliver(folder, "OPERATIONS", f"MSG_RESEARCH_{day.replace('-', '')}T150509Z_0badcafe.md", text)
    return ["--workspace", folder, "--at", f"{day}T15:05:42Z", "--exchange-state", folder / "state.yaml"]


def test_the_second_day_is_seen_beside_the_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = workspace(tmp_path, state=STATE)
    first = say(capsys, "run", *brief(folder, "2025-11-10", FIRST), "--approve", "auto", "--json").document
    assert first["status"] == "COMPLETED"
    plan = say(capsys, "plan", *brief(folder, "2025-11-11", FIRST, SECOND)[:4], "--json").document
    lines = {fact["fact"]: fact["value"] for fact in plan["review"]["facts"]}
    assert lines["against the plan of 2025-11-10"].startswith("in: BUY ")
    assert lines["names in"] == "COMM"
    assert lines["trading days since the last run"] == "1"
    assert lines["sector Sector Alks"].endswith("%")
    filled = next(o for p in first["phases"] if p["name"] == "BUY" for o in p["orders"])
    paid = 100 * 0.01 / float(filled["filled_avg_price"])
    assert f"by {paid:.4f}% of what the last 90 days traded" in lines["expected fees"]


def test_plan_file_and_report_keep_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = workspace(tmp_path, state=STATE)
    done = say(capsys, "run", *brief(folder, "2025-11-10", FIRST), "--approve", "auto", "--json").document
    written = json.loads((folder / "proposed_trades_2025-11-10.json").read_text(encoding="utf-8"))
    assert done["review"] == written["review"]
    assert {"turnover", "cash after", "portfolio heat"} <= {fact["fact"] for fact in written["review"]["facts"]}
    report = (folder / "Reports" / f"{done['plan_id']}.md").read_text(encoding="utf-8")
    section = report.partition("## Review")[2].partition("\n## ")[0]
    assert "| turnover | 0.0% | 50.0% |" in section
    assert f"Review: {done['review']['quality_rating']}/10, {done['review']['recommendation']}." in section
