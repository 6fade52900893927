"""The daily script of an existing project, unchanged, at fixed times in a migrated project: exit codes and files."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from Departments.migration.applying import apply_migration
from Departments.migration.undoing import undo_migration
from tests.builders.existing import existing_project
from tests.builders.existing_messages import FOLDER as MESSAGES
from tests.builders.scripts_at import Morning, run_mornings, use_exchange

NOW = datetime(2026, 3, 8, 13, 0, tzinfo=UTC)


def read(root: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(root / "sentinel.db")) as db:
        return db.execute(sql).fetchall()


def prepare(folder: Path) -> Path:
    """Migrate a project that has cash to invest and one weak holding."""
    root = existing_project(folder, name="Mein Börsen Projekt")
    account, universe = root / "stand_in_account.json", root / "research_universe.json"
    there = json.loads(account.read_text(encoding="utf-8"))
    account.write_text(json.dumps({**there, "cash": 45_000}), encoding="utf-8")
    seen = json.loads(universe.read_text(encoding="utf-8"))
    next(row for row in seen["current_holdings"] if row["ticker"] == "WFC")["research_composite_score"] = 41.0
    universe.write_text(json.dumps(seen), encoding="utf-8")
    use_exchange(root, apply_migration(root, NOW).settings, NOW)
    return root


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare(tmp_path_factory.mktemp("daily"))


@pytest.fixture(scope="module")
def mornings(project: Path) -> dict[str, Morning]:
    """Run the script on a Monday too early, with Research failing, well, and once more; then on a holiday."""
    runs = {
        "closed": ("2026-03-09T12:00:00Z", {}),
        "no plan": ("2026-03-09T16:00:00Z", {"STANDIN_RESEARCH": "fail"}),
        "fresh": ("2026-03-09T16:05:00Z", {}),
        "again": ("2026-03-09T17:00:00Z", {}),
        "holiday": ("2026-04-03T16:00:00Z", {}),
    }
    return dict(zip(runs, run_mornings(project, *runs.values()), strict=True))


@pytest.mark.parametrize(
    ("morning", "code", "status"),
    [
        ("closed", 0, "MARKET_CLOSED"),
        ("no plan", 1, "PLAN_GENERATION_FAILED"),
        ("fresh", 0, "SUCCESS"),
        ("again", 0, "ALREADY_TRADED"),
        ("holiday", 1, "EXECUTION_FAILED"),
    ],
)
def test_every_kind_of_morning_ends_as_it_always_did(
    mornings: dict[str, Morning], morning: str, code: int, status: str
) -> None:
    assert mornings[morning].outcome == (code, status)


def test_a_fresh_morning_has_its_briefing_made_and_trades_from_it(project: Path, mornings: dict[str, Morning]) -> None:
    results = mornings["fresh"].results
    trades = {(row["action"], row["ticker"]): row["status"] for row in results["trades_executed"]}
    assert trades[("SELL", "WFC")] == trades[("BUY", "CVE")] == "filled"
    assert results["trades_executed"][0]["action"] == "SELL"
    assert (results["plan_generated"], results["plan_approved"], results["verification"]["passed"]) == (True,) * 3
    assert results["plan_summary"]["total_trades"] == len(trades)
    assert results["plan_summary"]["ceo_rating"] in {"EXCELLENT", "GOOD", "ACCEPTABLE", "CONCERNS"}
    made = (project / MESSAGES / "Outbox" / "RESEARCH").glob("MSG_RESEARCH_20260309*.md")
    assert [path.stem[:29] for path in made if "enriched" not in path.name] == ["MSG_RESEARCH_20260309T160500Z"]
    saved = json.loads((project / "proposed_trades_2026-03-09.json").read_text(encoding="utf-8"))
    assert {t["ticker"]: t["sentiment_summary"] for t in saved["trades"]} == {
        t["ticker"]: f"News of {t['ticker']}" for t in saved["trades"]
    }


def test_the_first_morning_goes_a_fifth_of_the_way(project: Path, mornings: dict[str, Morning]) -> None:
    assert mornings["fresh"].results["status"] == "SUCCESS"
    saved = json.loads((project / "proposed_trades_2026-03-09.json").read_text(encoding="utf-8"))
    bought, sold = (
        sum(t["shares"] * t[price] for t in saved["trades"] if t["action"] == side)
        for side, price in (("BUY", "entry_price"), ("SELL", "current_price"))
    )
    equity = 45_000 + sum(p["qty"] * p["price"] for p in _account(project)["positions"])
    assert abs(bought - sold) <= 0.18 * equity


def _account(root: Path) -> dict[str, Any]:
    return dict(json.loads((root / "stand_in_account.json").read_text(encoding="utf-8")))


def test_the_second_run_reads_the_first_in_trading_sessions(project: Path, mornings: dict[str, Morning]) -> None:
    count = len(mornings["fresh"].results["trades_executed"])
    assert mornings["again"].results["warnings"][0].startswith(f"{count} trades at 2026-03-09T")
    sql = "SELECT trades_submitted, market_status FROM trading_sessions WHERE date = '2026-03-09'"
    assert read(project, sql) == [(count, "OPEN")]
    assert read(project, "SELECT count(*) FROM trading_orders WHERE created_at LIKE '2026-03-09%'") == [(count,)]


@pytest.mark.parametrize(
    ("morning", "sentence"),
    [
        ("no plan", "failed with exit code 1 (RuntimeError: no prices today); nothing was planned"),
        ("holiday", "the market is closed, it opens on 2026-04-06 09:30 EDT; nothing was sent"),
    ],
)
def test_the_results_file_says_why_nothing_was_traded(
    mornings: dict[str, Morning], morning: str, sentence: str
) -> None:
    (error,) = mornings[morning].results["errors"]
    assert sentence in error
    assert "returned:" not in error


def test_the_mail_of_a_day_has_its_plan_and_its_trades(mornings: dict[str, Morning]) -> None:
    assert [name for name, morning in mornings.items() if morning.mail] == ["fresh"]
    text = mornings["fresh"].mail
    assert text.startswith("SUCCESS 2026-03-09T16:05:00")
    assert "plan PLAN_2026" in text
    assert "None" not in text


def test_after_an_undo_the_old_code_goes_on_from_the_days_of_ours(project: Path, mornings: dict[str, Morning]) -> None:
    count = len(mornings["fresh"].results["trades_executed"])
    before = read(project, "SELECT count(*) FROM trading_orders")[0][0]
    undo_migration(project, NOW)
    runs = [("2026-03-09T18:00:00Z", dict[str, str]()), ("2026-03-11T16:00:00Z", dict[str, str]())]
    same_day, later = run_mornings(project, *runs, installed=False)
    assert (same_day.outcome, later.outcome) == ((0, "ALREADY_TRADED"), (0, "SUCCESS"))
    sent = (project / "sent_by_old_code.jsonl").read_text(encoding="utf-8").splitlines()
    rows = read(project, "SELECT id, order_id FROM trading_orders ORDER BY id")
    assert len(rows) == len({number for number, _ in rows}) == before + len(sent) > before
    assert sum(order.startswith("MSG_") for _, order in rows) >= count
