"""Three days with an exit, money, a trade of somebody else and a split between them: the bridge adds up each day."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from Departments.core.moments import parse_iso
from Departments.core.platform.clock import SimulatedClock
from Departments.exchange.exchange import SimulatedExchange
from Departments.exchange.market_events import MarketEvent
from tests.builders.commands import Said, plan_file, say
from tests.builders.desk import plan, trade, workspace

D = Decimal
SETTINGS = {"messaging": {"durability": "fast"}}


def run_plan(folder: Path, capsys: pytest.CaptureFixture[str], day: str, symbol: str, price: float) -> Said:
    document = plan(
        trade(symbol, "BUY", 150, price),
        plan_id=f"PLAN_{day.replace('-', '')}_150000",
        generated_at=f"{day}T15:00:00.000000Z",
    )
    file = plan_file(folder, document)
    state = ("--exchange-state", folder / "state.yaml") if day == "2025-11-10" else ()
    words = ("run", "--workspace", folder, "--plan", file, "--approve", "auto", "--json", *state)
    return say(capsys, *words, "--at", f"{day}T15:05:42Z")


def check_bridge(since: dict[str, Any], labels: set[str]) -> dict[str, Decimal]:
    """Check that the bridge has these rows between its ends, and adds up to the cent."""
    rows = {row["label"]: D(row["amount"]) for row in since["bridge"]}
    assert set(rows) - {"Cash then", "Cash now", "Rounding"} == labels
    assert sum(amount for label, amount in rows.items() if label != "Cash now") == rows["Cash now"]
    return rows


def let_somebody_else_sell(folder: Path, at: str, symbol: str, qty: int) -> None:
    exchange = SimulatedExchange(folder / "simulated_exchange.db", SimulatedClock(parse_iso(at)))
    try:
        exchange.floor.occur(MarketEvent(do="trade_outside", of=symbol, qty=D(-qty)))
    finally:
        exchange.close()


def test_the_bridge_adds_up_on_each_of_three_days(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = workspace(tmp_path, settings=SETTINGS)

    def exchange(at: str, *words: str) -> None:
        said = say(capsys, "exchange", *words, "--workspace", folder, "--at", at)
        assert said.code == 0, said.err

    first = run_plan(folder, capsys, "2025-11-10", "ALKS", 32.66)
    assert first.code == 0, first.err
    evening = "2025-11-10T19:00:00Z"
    exchange(evening, "deposit", "20000")
    exchange(evening, "deposit", "20000")
    exchange(evening, "price", "ALKS", "28.50")
    exchange(evening, "dividend", "DVN", "0.24")

    second = run_plan(folder, capsys, "2025-11-11", "SN", 96.19)
    since = second.document["since_last"]
    rows = check_bridge(since, {"Exits", "Deposits", "Dividends"})
    assert rows["Deposits"] == 40_000
    assert [row["kind"] for row in since["exits"]] == ["Stop-loss"]
    assert rows["Cash now"] == D(second.document["account"]["cash_before"])

    evening = "2025-11-11T19:00:00Z"
    exchange(evening, "fee", "12.34")
    exchange(evening, "interest", "-3.33")
    exchange(evening, "split", "MSFT", "2")
    let_somebody_else_sell(folder, evening, "DVN", 5)

    at = "2025-11-11T20:00:00Z"
    told = say(capsys, "reconcile", "--workspace", folder, "--at", at)
    assert told.code == 1
    assert "Interest paid: $3.33 on 2025-11-11" in told.out
    assert "Somebody else sold 5 DVN" in told.out
    assert "departments reconcile --accept DVN" in told.out
    freed = say(capsys, "reconcile", "--workspace", folder, "--at", at, "--accept", "DVN", "--json")
    assert "DVN is free" in freed.document["accepted"]
    assert (freed.document["locks"], freed.document["since_last"]["differences"]) == ([], [])

    third = run_plan(folder, capsys, "2025-11-12", "COMM", 17.02)
    since = third.document["since_last"]
    rows = check_bridge(since, {"Fees", "Interest", "Trades by somebody else"})
    assert (rows["Fees"], rows["Interest"]) == (D("-12.34"), D("-3.33"))
    assert rows["Trades by somebody else"] > 0
    assert rows["Cash now"] == D(third.document["account"]["cash_before"])
    assert since["plan_id"] == "PLAN_20251111_150000"
    assert any("MSFT" in row["sentence"] and "split" in row["sentence"] for row in since["changes"])
    assert since["differences"] == []
    assert [day.document["cash_identity"]["holds"] for day in (first, second, third)] == [True, True, True]


def test_two_equal_deposits_are_two_changes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = workspace(tmp_path, settings=SETTINGS)
    run_plan(folder, capsys, "2025-11-10", "ALKS", 32.66)
    at = "2025-11-10T19:00:00Z"
    for _ in range(2):
        assert say(capsys, "exchange", "deposit", "100", "--workspace", folder, "--at", at).code == 0
    told = say(capsys, "reconcile", "--workspace", folder, "--at", at).out
    assert "2 things changed" in told
    assert told.count("- Deposit of $100.00 on 2025-11-10") == 2
