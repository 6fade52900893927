"""What will be different is told with the project's own numbers, and every sentence is true for its limits."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from Departments.migration.adapters import add_news
from Departments.migration.forecast import forecast, read_accounts
from Departments.migration.project_hooks import find_hooks
from Departments.migration.pythons import list_requirements
from Departments.migration.survey import survey_project
from tests.builders.desk import write_yaml

NEWS = "class NewsDepartment:\n    def get_sentiment_scores(self, symbols): ...\n"
RESEARCH = (
    "class ResearchDepartment:\n    def __init__(self, db_path, alpaca_client=None): ...\n"
    "    def generate_daily_briefing(self): ...\n"
)


def project(folder: Path, *snapshots: tuple[Any, ...], limits: dict[str, Any] | None = None) -> Path:
    """A project that has recorded its account: timestamp, total value, cash and buying power."""
    (folder / "Departments" / "Executive").mkdir(parents=True)
    (folder / "Departments" / "Executive" / "ceo.py").write_text("", encoding="utf-8")
    (folder / "config").mkdir()
    write_yaml(folder / "config" / "hard_constraints.yaml", limits or {"deployment": {"target_pct": 0.9}})
    with closing(sqlite3.connect(folder / "sentinel.db")) as db:
        db.execute("CREATE TABLE portfolio_snapshots (timestamp, total_value, cash_balance, buying_power)")
        db.executemany("INSERT INTO portfolio_snapshots VALUES (?, ?, ?, ?)", snapshots)
        db.commit()
    return folder


def told(root: Path) -> str:
    return "\n".join(forecast(survey_project(root)))


@pytest.mark.parametrize(
    ("power", "words"),
    [(0, "counted $0.00"), (0.0, "counted $0.00"), (-5.5, "counted -$5.50"), (None, "$9,000.00 may be spent.")],
)
def test_any_buying_power_is_told(tmp_path: Path, power: float | None, words: str) -> None:
    assert words in told(project(tmp_path, ("2026-03-06 09:30", 100_000, 19_000, power)))


@pytest.mark.parametrize("odd", [1e300, "much", None, float("inf")])
def test_an_amount_that_no_account_has_is_left_out(tmp_path: Path, odd: Any) -> None:
    root = project(tmp_path, ("2026-03-06", odd, 1, 1), ("2026-03-06", 5, odd, 1), ("2026-03-05", 9, 3, 6))
    assert [day.isoformat() for day in read_accounts(root / "sentinel.db")] == ["2026-03-05"]
    assert told(root)


def test_an_account_of_nothing_is_told_nothing_about(tmp_path: Path) -> None:
    assert "of equity" not in told(project(tmp_path, ("2026-03-06", 0, 0, 0)))


def test_shares_of_equity_are_not_rounded_away(tmp_path: Path) -> None:
    limits = {"portfolio_risk": {"min_cash_reserve_pct": 0.025}, "deployment": {"target_pct": 0.875}}
    text = told(project(tmp_path, ("2026-03-06", 100_000, 19_000, None), limits=limits))
    assert "2.5% of equity stay in cash" in text
    assert "The goal is 87.5% of equity" in text


def test_with_margin_allowed_nothing_is_said_of_a_reserve(tmp_path: Path) -> None:
    limits = {"portfolio_risk": {"allow_margin": True}, "deployment": {"target_pct": 0.9}}
    text = told(project(tmp_path, ("2026-03-06", 100_000, 19_000, None), limits=limits))
    assert "nothing is bought on margin" not in text
    assert "would buy for up to $9,000.00" in text


def test_exits_and_settlement_are_those_of_the_files(tmp_path: Path) -> None:
    root = project(tmp_path, limits={"settlement": {"account": "cash"}})
    assert "a stop 8 % below and a target 16 % above" in told(root)
    write_yaml(root / "config" / "settings.yaml", {"exits": {"stop_loss_pct": 0.055}})
    assert "a stop 5.5 % below" in told(root)
    assert "when they have settled: trading days 1 later" in told(root)
    write_yaml(root / "config" / "settings.yaml", {"exits": {"kind": "trailing"}})
    assert "a stop " not in told(root)
    write_yaml(root / "config" / "settings.yaml", {"exits": "none"})
    assert "a stop " not in told(root)


@pytest.mark.parametrize("spelled", ["Utils", "utils", "UTILS"])
def test_a_hook_names_the_folder_of_the_client_as_it_is_spelled(tmp_path: Path, spelled: str) -> None:
    research = tmp_path / "Departments" / "Research" / "research_department.py"
    for path, text in (
        (research, RESEARCH),
        (tmp_path / spelled / "alpaca_client.py", "class AlpacaClient: ...\n"),
    ):
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")
    assert f"from {spelled}.alpaca_client import AlpacaClient" in json.dumps(find_hooks(tmp_path)["briefing"])


@pytest.mark.parametrize(
    "text", [b"\xef\xbb\xbf[project]\nname = 'theirs'\n", b"[project\n", b"\xff", b"project = 3\n"]
)
def test_a_project_file_of_somebody_else_says_nothing_of_our_requirements(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "pyproject.toml").write_bytes(text)
    assert any(each.startswith("pydantic") for each in list_requirements(tmp_path))


def test_news_passes_over_rows_that_nobody_can_trade(monkeypatch: pytest.MonkeyPatch) -> None:
    class News:
        def __init__(self, **_: Any) -> None: ...

        def get_sentiment_scores(self, symbols: list[str]) -> dict[str, Any]:
            return {symbol: {"sentiment_score": 50} for symbol in symbols}

    def imported(name: str) -> Any:
        return type("module", (), {"NewsDepartment": News})

    monkeypatch.setattr("importlib.import_module", imported)
    good = {"ticker": "CVE", "technical": {"score": 80}, "fundamental": {"score": 60}, "composite_score": 1}
    odd = {"ticker": "UPS", "technical": 70, "fundamental": {"score": "high"}, "composite_score": 2}
    briefing = {"candidates": [good, odd, {"score": 3}, "row"], "current_holdings": None}
    found = add_news(briefing, db_path="", key_name="X")["candidates"]
    assert [row["composite_score"] for row in found[:2]] == [66.0, 2]
    assert found[2:] == [{"score": 3}, "row"]


def test_amounts_are_decimal(tmp_path: Path) -> None:
    (rows,) = read_accounts(project(tmp_path, ("2026-03-06", 1.1, "2.2", 0)) / "sentinel.db").values()
    assert [rows[0].equity, rows[0].cash, rows[0].buying_power] == [Decimal("1.10"), Decimal("2.20"), Decimal(0)]
