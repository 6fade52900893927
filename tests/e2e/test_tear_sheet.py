"""The tear sheet over days: growth without deposits, days missed, reasons, beside SPY."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.builders.commands import say
from tests.builders.desk import workspace, write_yaml
from tests.builders.pages import Page
from tests.builders.years import CHANGES, START, days_from, write_days

Capture = pytest.CaptureFixture[str]
BOUNDS = ("--from", "2025-01-02", "--to", "2025-02-14")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with thirty days, of which two were missed, and SPY's bars."""
    folder = workspace(tmp_path_factory.mktemp("year") / "ws")
    write_days(folder / "sentinel.db", 30, missed=frozenset({3, 4}))
    rows = [f"{day},{100 + n},{101 + n},{99 + n},{100 + n}" for n, day in enumerate(days_from(START, 30))]
    (folder / "spy.csv").write_text("\n".join(["date,open,high,low,close", *rows]), encoding="utf-8")
    write_yaml(folder / "config" / "settings.yaml", {"regime": {"spy_bars": "spy.csv"}})
    return folder


def sheet_of(folder: Path, capsys: Capture, *bounds: str) -> dict[str, Any]:
    said = say(capsys, "report", "--workspace", folder, "--format", "json", *bounds)
    assert said.code == 0, said.err
    return dict(json.loads(said.out))


def test_growth_is_the_product_of_the_days_without_deposits(folder: Path, capsys: Capture) -> None:
    sheet = sheet_of(folder, capsys, *BOUNDS)
    expected = Decimal(1)
    for number in range(1, 30):
        expected *= 1 + CHANGES[number % len(CHANGES)]
    assert abs(Decimal(sheet["growth"][-1]["growth"]) - (expected - 1)) < Decimal("0.001")
    assert sheet["total"]["deposits"] == "5000.00"
    assert (sheet["best"]["change"], sheet["worst"]["change"]) == ("0.0110", "-0.0120")
    assert sheet["growth"][-1]["spy"] == "0.2900"


def test_the_drawdown_is_measured_from_the_peak(folder: Path, capsys: Capture) -> None:
    sheet = sheet_of(folder, capsys, *BOUNDS)
    assert sheet["max_drawdown"] == f"{min(Decimal(row['drawdown']) for row in sheet['growth']):.4f}"
    assert Decimal("-0.02") < Decimal(sheet["max_drawdown"]) < Decimal("-0.01")


def test_missed_days_are_in_the_calendar_and_holidays_are_not(folder: Path, capsys: Capture) -> None:
    calendar = {row["day"]: row["state"] for row in sheet_of(folder, capsys, *BOUNDS)["calendar"]}
    assert [day for day, state in calendar.items() if state == "missed"] == ["2025-01-07", "2025-01-08"]
    assert "2025-01-09" not in calendar  # the exchange was closed
    assert date.fromisoformat(min(calendar)) == START


def test_reasons_are_counted_and_explained(folder: Path, capsys: Capture) -> None:
    (reason,) = sheet_of(folder, capsys, *BOUNDS)["reasons"]
    assert (reason["status"], reason["code"], reason["count"]) == ("skipped", "MAX_POSITIONS_TOTAL", 280)
    assert "max_positions_total" in reason["sentence"]


def test_the_page_is_one_file_without_requests(folder: Path, capsys: Capture) -> None:
    said = say(capsys, "report", "--workspace", folder, *BOUNDS)
    path = folder / "Reports" / "TEAR_SHEET_2025-01-02_2025-02-14.html"
    assert said.out == f"Page: {path}\n"
    page = Page(path.read_text(encoding="utf-8"))
    assert page.unclosed == []
    assert [to for to in page.leads_to if not to.startswith(("#", "data:,"))] == []
    assert "28 days run, 2 missed" in page.text
    assert len(page.all("figure")) == 5


def test_markdown_has_a_row_for_each_day(folder: Path, capsys: Capture) -> None:
    said = say(capsys, "report", "--workspace", folder, "--format", "md", *BOUNDS)
    assert said.out.count("\n| 2025-") == 28
    assert "280 skipped" in said.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--from", "2026-01-01"), "no day of the ledger is within these bounds"),
        (("--from", "soon"), "'soon' is not a day"),
        (("2025-01-02", "--to", "2025-01-03"), "a tear sheet is of many days"),
    ],
)
def test_what_cannot_be_shown_is_one_sentence(
    folder: Path, capsys: Capture, arguments: tuple[str, ...], words: str
) -> None:
    said = say(capsys, "report", "--workspace", folder, *arguments)
    assert said.code == 2
    assert words in said.sentences[-1]
