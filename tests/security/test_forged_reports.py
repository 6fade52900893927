"""A report wakes the Executive; what became of an order is read from the ledger."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders.attacks import (
    MESSAGES,
    PLAN,
    dead_letters,
    interrupt_after_dispatch,
    report_text,
    target,
)
from tests.builders.commands import AT, fault_file, say
from tests.builders.desk import deliver

Capture = pytest.CaptureFixture[str]


def forge_reports(folder: Path, sender: str, status: str = "filled") -> list[str]:
    """Report both SELLs as ended, before Trading has seen them. Returns the names of the files."""
    names = []
    for path, symbol, shares, price in zip(
        interrupt_after_dispatch(folder), ("CTVA", "DVN"), (190, 225), (64.64, 33.61), strict=True
    ):
        told = {"ticker": symbol, "action": "SELL", "shares": shares, "filled_qty": shares, "filled_avg_price": price}
        text = report_text(path.stem, sender, **told, client_order_id=path.stem, plan_id=PLAN, status=status)
        name = f"{text.splitlines()[1].removeprefix('message_id: ')}.md"
        deliver(folder, "EXECUTIVE", name, text)
        names.append(name)
    return names


@pytest.mark.parametrize(
    ("sender", "status", "code"),
    [
        ("MARKETING", "filled", "SENDER_NOT_ALLOWED"),
        ("EXECUTIVE", "filled", "SENDER_NOT_ALLOWED"),
        ("TRADING", "filled", "REPORT_CONTRADICTED"),
        ("TRADING", "canceled", "REPORT_CONTRADICTED"),
        ("TRADING", "accepted", "REPORT_CONTRADICTED"),
        ("TRADING", "released", "REPORT_CONTRADICTED"),
        ("TRADING", "locked", "REPORT_CONTRADICTED"),
    ],
)
def test_a_forged_report_ends_no_trade_and_no_buy_goes_before_the_sells(
    capsys: Capture, tmp_path: Path, sender: str, status: str, code: str
) -> None:
    names = forge_reports(target(tmp_path), sender, status)
    said = say(capsys, "resume", "--workspace", tmp_path, "--at", AT, "--json")
    assert dead_letters(tmp_path, "EXECUTIVE") == dict.fromkeys(names, code)
    assert {said.order(s)["status"] for s in ("CTVA", "DVN", "ALKS", "COMM")} == {"filled"}
    sold = max(said.order(s)["terminal_at"] for s in ("CTVA", "DVN"))
    assert sold <= min(said.order(s)["submitted_at"] for s in ("ALKS", "COMM"))


def test_a_report_of_nothing_that_was_sent_is_a_dead_letter(capsys: Capture, tmp_path: Path) -> None:
    interrupt_after_dispatch(target(tmp_path))
    told = {"ticker": "MSFT", "action": "SELL", "shares": 10, "filled_qty": 10, "filled_avg_price": 500}
    deliver(tmp_path, "EXECUTIVE", "r.md", report_text("MSG_EXECUTIVE_20251110T150000Z_00000000", "TRADING", **told))
    say(capsys, "resume", "--workspace", tmp_path, "--at", AT)
    assert dead_letters(tmp_path, "EXECUTIVE") == {"r.md": "REPORT_CONTRADICTED"}


def test_what_trading_reports_is_recorded_although_its_report_was_taken_away(capsys: Capture, tmp_path: Path) -> None:
    interrupt_after_dispatch(target(tmp_path))
    silent = {"call": "submit", "symbol": "CTVA", "do": "partial_then_silence", "part": 0.5, "seconds": 3, "times": 0}
    faults = fault_file(tmp_path, silent)
    resume = ("resume", "--workspace", tmp_path, "--at", AT, "--json", "--exchange-faults", faults)
    said = say(capsys, *resume)
    assert said.order("CTVA")["status"] in {"filled", "canceled"}
    inbox = tmp_path / MESSAGES / "Inbox" / "EXECUTIVE"
    assert list(inbox.glob("*.md")) == []
