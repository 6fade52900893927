"""What changed between two runs comes first in log, terminal, report and JSON, and adds up to the cent."""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest

from tests.builders.commands import Said, plan_file, say
from tests.builders.desk import plan, trade, workspace

D = Decimal
SETTINGS = {"messaging": {"durability": "fast"}}


def run_plan(folder: Path, capsys: pytest.CaptureFixture[str], day: str, symbol: str, price: float, *more: str) -> Said:
    document = plan(
        trade(symbol, "BUY", 150, price),
        plan_id=f"PLAN_{day.replace('-', '')}_150000",
        generated_at=f"{day}T15:00:00.000000Z",
    )
    file = plan_file(folder, document)
    state = ("--exchange-state", folder / "state.yaml") if day == "2025-11-10" else ()
    at = f"{day}T15:05:42Z"
    return say(capsys, "run", "--workspace", folder, "--at", at, "--plan", file, "--approve", "auto", *state, *more)


def exchange(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> None:
    said = say(capsys, "exchange", *words, "--workspace", folder, "--at", "2025-11-10T19:00:00Z")
    assert said.code == 0, said.err


def test_the_next_run_names_exits_money_and_trades_of_somebody_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = workspace(tmp_path, settings=SETTINGS)
    first = run_plan(folder, capsys, "2025-11-10", "ALKS", 32.66)
    assert first.code == 0, first.err
    exchange(folder, capsys, "deposit", "20000")
    exchange(folder, capsys, "price", "ALKS", "28.50")
    said = run_plan(folder, capsys, "2025-11-11", "SN", 96.19)
    sold = "Stop-loss sold 150 ALKS at $"
    assert sold in said.out
    assert "Since the last report: Deposit of $20,000.00 on 2025-11-10" in said.out
    assert sold in said.err  # the log
    report = (folder / "Reports" / "PLAN_20251111_150000.md").read_text(encoding="utf-8")
    assert report.index("## Since the last report") < report.index("## Cash")
    assert sold in report
    rows = [line.split("|")[1:3] for line in report.split("## Cash")[0].splitlines() if line.count("|") == 3]
    amounts = [D(cell.strip().replace("$", "").replace(",", "")) for _, cell in rows if "$" in cell]
    assert sum(amounts[:-1]) == amounts[-1]


def test_reconcile_begins_with_one_sentence_and_names_the_differences_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = workspace(tmp_path, settings=SETTINGS)
    run_plan(folder, capsys, "2025-11-10", "ALKS", 32.66)
    quiet = say(capsys, "reconcile", "--workspace", folder, "--at", "2025-11-10T18:00:00Z")
    assert (quiet.code, quiet.out) == (0, "4 positions, all protected; 0 things changed since 10 Nov 2025.\n")
    exchange(folder, capsys, "withdraw", "1000")
    told = say(capsys, "reconcile", "--workspace", folder, "--at", "2025-11-10T20:00:00Z")
    assert told.out.splitlines() == [
        "4 positions, all protected; 1 thing changed since 10 Nov 2025.",
        "- Withdrawal of $1,000.00 on 2025-11-10",
    ]
    wrong = say(capsys, "reconcile", "--workspace", folder, "--at", "2025-11-10T20:00:00Z", "--accept", "ALKS")
    assert (wrong.code, "ALKS is not locked and does not differ" in wrong.err) == (2, True)


def test_a_ledger_with_an_execution_is_not_called_new(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = workspace(tmp_path, settings=SETTINGS)
    first = run_plan(folder, capsys, "2025-11-10", "ALKS", 32.66)
    assert "The ledger is new: it takes the account as it is, $" in first.err
    with sqlite3.connect(folder / "sentinel.db") as connection:
        connection.execute("DELETE FROM desk_bookings")
        connection.execute("DELETE FROM desk_statements")
    connection.close()
    later = say(capsys, "reconcile", "--workspace", folder, "--at", "2025-11-10T18:00:00Z")
    assert "The book of the account begins now: $" in later.err
    assert "is new" not in later.err
