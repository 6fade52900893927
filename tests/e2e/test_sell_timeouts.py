"""What becomes of the BUYs when a SELL does not end well: only cash that is really there is spent."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.builders.commands import Said, fault_file, plan_file, run_of, say
from tests.builders.desk import workspace

SILENT = {"call": "submit", "symbol": "CTVA", "do": "partial_then_silence", "part": 0.4}
REFUSED = {
    "call": "submit",
    "symbol": "CTVA",
    "do": "refuse",
    "http_status": 403,
    "code": 40310000,
    "message": "insufficient qty available for order (requested: 190, available: 0)",
}
#: Little cash: the BUYs need what the SELLs bring.
POOR: dict[str, Any] = {
    "cash": 9_000,
    "positions": {
        "CTVA": {"qty": 190, "avg_entry_price": 65, "current_price": 64.64},
        "DVN": {"qty": 225, "avg_entry_price": 33, "current_price": 33.61},
        "MSFT": {"qty": 120, "avg_entry_price": 480, "current_price": 502.45},
    },
    "prices": {"ALKS": 32.66, "COMM": 17.02},
}


def run(
    folder: Path, capsys: pytest.CaptureFixture[str], *faults: Mapping[str, Any], on_timeout: str = "cancel"
) -> Said:
    settings = {"messaging": {"durability": "fast"}, "phases": {"sell": {"on_timeout": on_timeout}}}
    workspace(folder, state=POOR, settings=settings)
    options: list[str | Path] = [
        "--plan",
        plan_file(folder),
        "--exchange-faults",
        fault_file(folder, *faults),
        "--json",
    ]
    return say(capsys, *run_of(folder, *options))


def bought(said: Said) -> Decimal:
    orders = said.phase("BUY")["orders"]
    return sum((Decimal(o["filled_qty"]) * Decimal(o["filled_avg_price"] or 0) for o in orders), Decimal(0))


def test_all_goes_well_without_faults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = run(tmp_path, capsys)
    assert said.document["status"] == "COMPLETED"
    assert bought(said) == 150 * Decimal("32.66") + 250 * Decimal("17.02")


def test_cancel_ends_what_is_open_and_buys_what_the_cash_covers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = run(tmp_path, capsys, SILENT)
    sell, account = said.order("CTVA"), said.document["account"]
    assert (sell["status"], sell["filled_qty"], sell["code"]) == ("canceled", "76", "PHASE_TIMEOUT")
    assert sell["terminal_at"] <= said.phase("BUY")["started_at"]
    assert "Timeout waiting for orders to fill after 60s: CTVA" in said.err
    assert Decimal(account["cash_after"]) >= Decimal(account["reserve"])
    assert said.document["cash_identity"]["holds"]
    assert (said.code, said.document["status"]) == (1, "COMPLETED_WITH_ISSUES")


def test_the_wait_lasts_as_long_as_the_settings_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = run(tmp_path, capsys, SILENT)
    waits = [line for line in said.err.splitlines() if "Waiting for 1 order to fill: CTVA" in line]
    assert 4 <= len(waits) <= 6, waits  # one at once, and then one in 15 seconds
    assert waits[0] < waits[-1]
    assert waits[1].endswith("(1 of 2 ended, 0:43 left)")


def test_leave_keeps_the_rest_open(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = run(tmp_path, capsys, SILENT, on_timeout="leave")
    assert said.order("CTVA")["status"] == "partially_filled"
    assert "Cancelling" not in said.err
    account = said.document["account"]
    assert Decimal(account["cash_after"]) >= Decimal(account["reserve"])


def test_abort_cancels_and_buys_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = run(tmp_path, capsys, SILENT, on_timeout="abort")
    assert said.order("CTVA")["status"] == "canceled"
    assert {d["code"] for d in said.document["deferred"]} == {"PHASE_ABORTED"}
    assert bought(said) == 0


def test_a_sell_that_the_broker_refuses_brings_no_cash_and_none_is_spent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = run(tmp_path, capsys, REFUSED)
    assert (said.order("CTVA")["status"], said.order("CTVA")["code"]) == ("rejected", "BROKER_QTY_HELD")
    account = said.document["account"]
    assert Decimal(account["cash_after"]) >= min(Decimal(account["reserve"]), Decimal(account["cash_before"]))
    assert bought(said) < Decimal(9_000) + 225 * Decimal("33.61") - Decimal(account["reserve"])
    assert said.document["cash_identity"]["holds"]


def test_a_sell_that_fills_while_its_cancel_is_on_the_way_counts_as_filled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = run(tmp_path, capsys, SILENT, {"call": "cancel", "symbol": "CTVA", "do": "fill_on_cancel"})
    assert said.order("CTVA")["status"] == "filled"
    assert bought(said) == 150 * Decimal("32.66") + 250 * Decimal("17.02")


def test_a_cancel_that_never_ends_does_not_stop_the_day(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = run(tmp_path, capsys, SILENT, {"call": "cancel", "symbol": "CTVA", "do": "stuck_cancel"})
    assert said.order("CTVA")["terminal_at"] is None
    assert "SELL phase: the end of these orders is unknown: CTVA" in said.err
    assert said.document["cash_identity"]["holds"]
