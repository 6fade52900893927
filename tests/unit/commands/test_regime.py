import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from Departments.commands.regime import document, register, show
from Departments.core.regimes import Confidence, Regime, RegimeAssessment, RegimeOutcome, RegimeRecord
from Departments.ledger.ledger import Ledger

NOW = datetime(2025, 11, 10, 15, 10, tzinfo=UTC)
TODAY = RegimeAssessment(
    Regime.BULLISH,
    Confidence.HIGH,
    "GOOD DAY TO TRADE",
    NOW,
    "DailyBriefing [MSG_1]",
    spy_change_pct=Decimal("1.1505778314029769"),
    vix=Decimal("18.04"),
    score=3,
)
OUTCOME = RegimeOutcome(16, Decimal("-31.505"), Decimal("1.54"))


def assessed(workspace: Path, *assessments: RegimeAssessment) -> None:
    ledger = Ledger(workspace / "sentinel.db")
    for assessment in assessments:
        ledger.regimes.save_assessment(assessment)
    ledger.regimes.record_outcome(TODAY.assessment_id, OUTCOME)
    ledger.close()


def called(*arguments: str) -> str:
    app = typer.Typer()
    register(app)
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    return result.stdout


def test_today_and_the_history_with_outcomes_are_shown(tmp_path: Path) -> None:
    assessed(tmp_path, TODAY)
    text = called("--workspace", str(tmp_path), "--at", "2025-11-10T20:00:00Z")
    for part in ("Today: BULLISH, confidence HIGH: GOOD DAY TO TRADE", "DailyBriefing [MSG_1]", "2025-11-10 10:10"):
        assert part in text


def test_at_80_columns_no_column_of_the_history_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    worst = replace(TODAY, regime=Regime.BEARISH, confidence=Confidence.MEDIUM, spy_change_pct=Decimal("-10.15"))
    assessed(tmp_path, TODAY, worst)
    lines = called("--workspace", str(tmp_path), "--at", "2025-11-10T20:00:00Z").splitlines()
    (row,) = [line.split() for line in lines if "BULLISH" in line and "10:10" in line]
    assert row == ["2025-11-10", "10:10", "EST", "BULLISH", "HIGH", "+3", "+1.15%", "18.04", "16", "-31.51", "+1.54%"]
    assert [line for line in lines if "BEARISH MEDIUM" in line]


def test_json_is_one_document_and_nothing_else(tmp_path: Path) -> None:
    assessed(tmp_path, TODAY)
    found = json.loads(called("--workspace", str(tmp_path), "--at", "2025-11-10T20:00:00Z", "--json"))
    assert found["today"]["regime"] == "BULLISH"
    assert found["today"]["indicators"]["spy_change_pct"] == "1.1505778314029769"
    assert found["history"][0]["outcome"] == {
        "trades_executed": 16,
        "portfolio_change": "-31.505",
        "spy_close_change_pct": "1.54",
    }


def test_an_assessment_of_yesterday_is_history_only(tmp_path: Path) -> None:
    assessed(tmp_path, TODAY)
    found = json.loads(called("--workspace", str(tmp_path), "--at", "2025-11-11T15:00:00Z", "--json"))
    assert (found["today"], len(found["history"])) == (None, 1)


def test_the_exchanges_day_counts_and_not_that_of_utc(tmp_path: Path) -> None:
    assessed(tmp_path, TODAY)
    found = json.loads(called("--workspace", str(tmp_path), "--at", "2025-11-11T01:00:00Z", "--json"))
    assert found["today"] is not None


def test_the_history_is_limited(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "sentinel.db")
    for days in range(3):
        moment = NOW + timedelta(days=days)
        ledger.regimes.save_assessment(RegimeAssessment(Regime.NEUTRAL, Confidence.MEDIUM, "", moment, "x"))
    ledger.close()
    assert len(json.loads(called("--workspace", str(tmp_path), "--limit", "2", "--json"))["history"]) == 2


def test_looking_at_a_new_workspace_leaves_it_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    assert "There is no assessment for today." in called("--workspace", str(tmp_path))
    assert list(tmp_path.rglob("*")) == [tmp_path / "config"]


def test_a_workspace_without_assessments_has_an_empty_document(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    assert json.loads(called("--workspace", str(tmp_path), "--json")) == {"today": None, "history": []}


def printed(today: RegimeAssessment | None, *history: RegimeRecord) -> str:
    page = StringIO()
    show(Console(file=page, width=120), today, history)
    return page.getvalue()


def test_what_is_not_known_is_a_question_mark() -> None:
    unknown = RegimeAssessment(
        Regime.UNKNOWN, Confidence.LOW, "CAREFUL", NOW, "no data", notes=("the VIX is not known",)
    )
    text = printed(unknown, RegimeRecord(unknown))
    row = next(line for line in text.splitlines() if "2025-11-10" in line)
    assert row.count("?") == 6
    assert "not known: the VIX is not known" in text


@pytest.mark.parametrize("cell", ["BULLISH", "HIGH", "+3", "+1.15%", "18.04", "16", "-31.51", "+1.54%"])
def test_a_row_tells_what_was_seen_and_what_became_of_it(cell: str) -> None:
    assert cell in printed(None, RegimeRecord(TODAY, OUTCOME))


def test_the_documents_numbers_are_text_so_that_none_is_rounded() -> None:
    assert document(TODAY, [])["today"]["indicators"]["vix"] == "18.04"


def test_assess_makes_one_from_the_files_named_in_the_settings_and_tells(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "hard_constraints.yaml").write_text("", encoding="utf-8")
    (tmp_path / "config" / "settings.yaml").write_text(
        "regime: {spy_bars: spy.csv, vix_bars: vix.csv}\n", encoding="utf-8"
    )
    for name, level in (("spy", 670), ("vix", 18)):
        rows = [f"2025-11-{day:02},{level},{level},{level},{level}" for day in (6, 7)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["date,open,high,low,close", *rows]), encoding="utf-8")
    arguments = ("--workspace", str(tmp_path), "--at", "2025-11-10T15:00:00Z", "--assess", "--json")
    found = json.loads(called(*arguments))
    assert found["today"]["source"] == "SPY bars of spy.csv; VIX bars of vix.csv"
    told = sorted(path.name for path in (tmp_path / "Messages_Between_Departments" / "Inbox").rglob("*.md"))
    assert told == ["MSG_REGIME_20251110T150000Z_exec.md", "MSG_REGIME_20251110T150000Z_oper.md"]
