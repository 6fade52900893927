"""Views of the market that contradict each other, as a user meets them: the careful one decides, and both are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders.commands import Said, candidates, run_of, say
from tests.builders.desk import briefing, deliver, workspace

Capture = pytest.CaptureFixture[str]
STATE = {"cash": 100_000, "prices": {"ALKS": 32.66, "COMM": 17.02, "AXTA": 28.64, "SN": 96.19}}
CALM, WILD = 13, 45


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return workspace(tmp_path / "ws", state=STATE)


def brief(folder: Path, time: str, vix: float, day: str = "20251110") -> str:
    """Deliver a briefing written at `time` (HHMM, UTC); return its id."""
    name = f"MSG_RESEARCH_{day}T{time}00Z_0badcafe"
    written = f"{day[:4]}-{day[4:6]}-{day[6:]}"
    text = briefing(candidates(), vix=vix, day=written)
    text = text.replace(f"MSG_RESEARCH_{day}T150509Z_0badcafe", name)
    text = text.replace(f"{written}T15:05:09", f"{written}T{time[:2]}:{time[2:]}:00")
    deliver(folder, "OPERATIONS", f"{name}.md", text)
    return name


def update(folder: Path, time: str, regime: str = "PANIC", confidence: str = "HIGH", to: str = "OPERATIONS") -> str:
    """Deliver a RegimeUpdate of another analyser; return its id."""
    name = f"MSG_REGIME_20251110T{time}00Z_{to[:4].lower()}"
    header = f"message_id: {name}\nfrom: REGIME_DETECTION\nto: {to}\nmessage_type: RegimeUpdate\n"
    header += f"timestamp: '2025-11-10T{time[:2]}:{time[2:]}:00Z'\nregime: {regime}\nconfidence: {confidence}\n"
    deliver(folder, to, f"{name}.md", f"---\n{header}---\n# Regime\n")
    return name


def bought(said: Said) -> list[str]:
    return [o["ticker"] for p in said.document["phases"] if p["name"] == "BUY" for o in p["orders"] if o["qty"] != "0"]


def report_of(folder: Path) -> str:
    return " ".join(next((folder / "Reports").glob("*.md")).read_text(encoding="utf-8").split())


def test_yesterdays_calm_and_a_refused_run_count_for_nothing_today(folder: Path, capsys: Capture) -> None:
    old = brief(folder, "1450", CALM, day="20251107")
    refused = say(capsys, *run_of(folder))
    assert refused.code != 0
    assert "2025-11-07" in refused.err
    assert say(capsys, "regime", "--workspace", folder, "--json").document["history"] == []
    brief(folder, "1500", WILD)
    said = say(capsys, *run_of(folder, "--json"))
    assert bought(said) == []
    assert "VIX_PANIC: vix=45" in said.out
    assert old not in report_of(folder)


@pytest.mark.parametrize("looked_between", [True, False])
@pytest.mark.parametrize(("first", "second"), [(CALM, WILD), (WILD, CALM)])
def test_of_two_briefings_of_one_day_the_careful_one_decides(
    folder: Path, capsys: Capture, *, first: int, second: int, looked_between: bool
) -> None:
    names = {first: brief(folder, "1350", first)}
    if looked_between:
        earlier: list[str | Path] = ["--workspace", folder, "--at", "2025-11-10T14:00:00Z"]
        say(capsys, "plan", *earlier, "--exchange-state", folder / "state.yaml")
    names[second] = brief(folder, "1420", second)
    said = say(capsys, *run_of(folder))
    assert "BUY " not in said.out
    plan = " ".join(said.out.split())
    for text in (plan, report_of(folder)):
        assert "Two views of the market contradict each other, and the careful one decides: " in text
        assert f"DailyBriefing {names[WILD]} (" in text
        assert f"DailyBriefing {names[CALM]} (" in text
    assert "Nothing is bought today" in plan


@pytest.mark.parametrize("to", ["OPERATIONS", "EXECUTIVE"])
@pytest.mark.parametrize("confidence", ["HIGH", "'87 %'", "very sure", "null", "[1, 2]"])
def test_a_regime_update_of_panic_before_a_calm_briefing_stops_buys(
    folder: Path, capsys: Capture, confidence: str, to: str
) -> None:
    panic = update(folder, "1455", confidence=confidence, to=to)
    calm = brief(folder, "1505", CALM)
    said = say(capsys, *run_of(folder, "--json"))
    assert bought(said) == []
    report = report_of(folder)
    assert f"RegimeUpdate {panic} (09:55:00 EST): PANIC" in report
    assert f"DailyBriefing {calm}" in report
    assert not list((folder / "Messages_Between_Departments" / "Dead_Letter").rglob("*.md"))


def test_old_panic_and_yesterdays_briefing_stop_nothing(folder: Path, capsys: Capture) -> None:
    update(folder, "1150")
    brief(folder, "1450", WILD, day="20251107")
    brief(folder, "1505", CALM)
    assert bought(say(capsys, *run_of(folder, "--json")))


def test_a_panic_that_arrives_after_the_approval_stops_the_buys(folder: Path, capsys: Capture) -> None:
    brief(folder, "1505", CALM)
    at = ("--workspace", folder, "--at", "2025-11-10T15:05:42Z")
    planned = say(capsys, "plan", *at, "--exchange-state", folder / "state.yaml", "--json")
    approved = say(capsys, "approve", planned.document["plan"]["plan_id"], *at)
    assert approved.code == 0, approved.err
    panic = update(folder, "1506")
    say(capsys, "inbox", "--workspace", folder)
    dry = say(capsys, "run", "--workspace", folder, "--at", "2025-11-10T15:07:00Z", "--dry-run", "--json")
    said = say(capsys, "run", "--workspace", folder, "--at", "2025-11-10T15:07:00Z", "--approve", "auto", "--json")
    assert bought(said) == bought(dry) == []
    assert f"REGIME_HALT: regime=PANIC source=RegimeUpdate {panic}" in said.out


def test_the_review_names_both_views(folder: Path, capsys: Capture) -> None:
    update(folder, "1455")
    brief(folder, "1505", CALM)
    said = say(capsys, *run_of(folder))
    assert "HOLD: regime: PANIC, by review.hold_panic" in said.out
