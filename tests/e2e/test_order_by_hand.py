"""`departments order`: one trade by hand, with a plan's checks, approval, phases and report, beside the day's plan."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from Departments.core.approvers import ApprovalPlace, Approver
from Departments.core.errors import WorkspaceBusy
from Departments.core.platform.locks import execution_lock
from Departments.Executive.day_order import DayOrder
from Departments.Executive.manual_orders import ManualOrder
from tests.builders.commands import Said, fault_file, plan_file, run_of, say
from tests.builders.desk import MORNING, STATE, desk, two_and_two, workspace, write_yaml
from tests.builders.pages import Page

AT = "2025-11-10T15:05:42Z"
SELL_TEN = ManualOrder.read("SELL", "MSFT", "10")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return workspace(tmp_path)


def order(capsys: pytest.CaptureFixture[str], folder: Path, words: str, *more: str | Path, at: str = AT) -> Said:
    is_new = not (folder / "simulated_exchange.db").exists()
    state: list[str | Path] = ["--exchange-state", folder / "state.yaml"] if is_new else []
    seeded: list[str | Path] = [*state, "--workspace", folder, "--at", at]
    approve = [] if "--approve" in more else ["--approve", "auto"]
    return say(capsys, "order", *words.split(), "--json", *seeded, *approve, *more)


def executions(folder: Path) -> list[tuple[str, int]]:
    with closing(sqlite3.connect(folder / "sentinel.db")) as ledger:
        return ledger.execute("SELECT plan_id, by_hand FROM desk_executions ORDER BY rowid").fetchall()


def sent(folder: Path) -> list[tuple[str, str, str]]:
    """Return the entries and sales that reached the exchange."""
    file = folder / "simulated_exchange.db"
    if not file.exists():
        return []
    with closing(sqlite3.connect(file)) as exchange:
        found = exchange.execute('SELECT symbol, side, qty FROM orders WHERE "group" = id ORDER BY seq').fetchall()
    return [(str(symbol), str(side).upper(), str(qty)) for symbol, side, qty in found]


def live_exits(folder: Path, symbol: str) -> list[str]:
    """Return the shares of each open exit at the exchange."""
    with closing(sqlite3.connect(folder / "simulated_exchange.db")) as exchange:
        found = exchange.execute("SELECT qty FROM orders WHERE symbol = ? AND is_open = 1", (symbol,)).fetchall()
    return [str(qty) for (qty,) in found]


# --- it trades, and is told ---


def test_a_sell_is_filled_reported_and_recorded_with_who_and_why(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = order(capsys, folder, "SELL MSFT 10", "--reason", "rent is due")
    assert (done.code, done.document["status"]) == (0, "COMPLETED")
    assert done.order("MSFT")["filled_qty"] == "10"
    assert [a["approved_by"] for a in done.document["approvals"]] == ["automatic"]
    report = (folder / "Reports" / f"{done.document['plan_id']}.md").read_text(encoding="utf-8")
    assert "by hand: rent is due" in report
    assert sent(folder) == [("MSFT", "SELL", "10")]
    assert not list(folder.glob("proposed_trades_*.json"))


def test_a_buy_gets_live_exits_like_a_plans(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = order(capsys, folder, "BUY SN 40")
    assert done.order("SN")["status"] == "filled"
    with closing(desk(folder, at=MORNING + timedelta(minutes=5))) as opened:
        assert opened.ledger.shares_without_exits(exits_wanted=True) == {}
    assert live_exits(folder, "SN") == ["40", "40"]


def test_a_sell_of_shares_under_resting_exits_frees_them_and_protects_the_rest(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert order(capsys, folder, "BUY SN 60").code == 0
    sold = order(capsys, folder, "SELL SN 20", at="2025-11-11T15:05:42Z")
    assert [p["name"] for p in sold.document["phases"] if p["orders"]] == ["RELEASE", "SELL", "PROTECT"]
    assert live_exits(folder, "SN") == ["40", "40"]


def test_a_dry_run_shows_the_decision_and_sends_and_keeps_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert order(capsys, folder, "SELL CTVA 5").code == 0
    before = (sent(folder), executions(folder))
    dry = order(capsys, folder, "SELL MSFT 10", "--dry-run")
    assert (dry.code, dry.document["status"], dry.order("MSFT")["status"]) == (0, "DRY_RUN", "planned")
    assert (sent(folder), executions(folder)) == before


def test_nobody_at_the_terminal_approves_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = order(capsys, folder, "SELL MSFT 10", "--approve", "ask")
    assert (asked.code, asked.document["status"], sent(folder)) == (1, "NOT_APPROVED", [])


def test_the_person_is_shown_plan_and_review_before_being_asked(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seeded: list[str | Path] = ["--exchange-state", folder / "state.yaml", "--workspace", folder, "--at", AT]
    shown = say(capsys, "order", "SELL", "MSFT", "10", *seeded).out
    assert "SELL     MSFT         10   $502.45" in shown
    assert "Review: " in shown


def test_a_closed_market_ends_it_as_it_ends_a_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    closed = order(capsys, folder, "SELL MSFT 10", at="2025-11-09T15:05:42Z")
    assert (closed.code, closed.document["status"], sent(folder)) == (5, "MARKET_CLOSED", [])


# --- beside the day's plan ---


def run_plan(capsys: pytest.CaptureFixture[str], folder: Path) -> Said:
    return say(capsys, *run_of(folder, "--json", "--plan", plan_file(folder)))


def test_neither_uses_up_the_other(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = order(capsys, folder, "SELL MSFT 10")
    day = run_plan(capsys, folder)
    second = order(capsys, folder, "SELL MSFT 5")
    assert [said.document["status"] for said in (first, day, second)] == ["COMPLETED"] * 3
    assert [by_hand for _, by_hand in executions(folder)] == [1, 0, 1]
    again = say(capsys, *run_of(folder, "--json", "--plan", plan_file(folder, two_and_two() | {"plan_id": "PLAN_B"})))
    assert (again.document["status"], again.document["plan_id"]) == ("ALREADY_EXECUTED", day.document["plan_id"])


def test_the_days_report_names_the_orders_before_and_after_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = order(capsys, folder, "SELL MSFT 10").document["plan_id"]
    day = run_plan(capsys, folder).document
    assert [o["plan_id"] for o in day["orders_by_hand"]] == [first]
    later = [order(capsys, folder, f"SELL MSFT {n}", at="2025-11-10T16:00:00Z").document["plan_id"] for n in (5, 6)]
    report = (folder / "Reports" / f"{day['plan_id']}.md").read_text(encoding="utf-8")
    assert f"- {first}: SELL 10 MSFT, 10 filled, COMPLETED, approved by automatic" in report
    after = report.partition("## Orders by hand after this report")[2]
    assert [line.partition(":")[0] for line in after.split("\n") if line] == [f"- {plan_id}" for plan_id in later]
    page = Page((folder / "Reports" / f"{day['plan_id']}.html").read_text(encoding="utf-8")).text
    before, _, after = page.partition("By hand, after this report")
    assert first in before
    assert [plan_id in after for plan_id in later] == [True, True]


def test_the_limit_of_orders_a_day_is_the_limits_and_counts_no_plan(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_yaml(folder / "config" / "hard_constraints.yaml", {"timing_rules": {"max_manual_orders_per_day": 2}})
    codes = [order(capsys, folder, "SELL MSFT 1").code, run_plan(capsys, folder).code]
    codes += [order(capsys, folder, "SELL MSFT 1").code]
    third = order(capsys, folder, "SELL MSFT 1")
    assert (codes, third.code) == ([0, 0, 0], 1)
    assert "max_manual_orders_per_day allows 2" in third.document["message"]
    assert order(capsys, folder, "SELL MSFT 1", at="2025-11-11T15:05:42Z").code == 0


def test_a_limit_of_none_forbids_orders_by_hand(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_yaml(folder / "config" / "hard_constraints.yaml", {"timing_rules": {"max_manual_orders_per_day": 0}})
    assert (order(capsys, folder, "SELL MSFT 1").code, sent(folder)) == (1, [])


def test_while_something_executes_it_is_refused_by_the_same_lock(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with execution_lock(folder):
        busy = order(capsys, folder, "SELL MSFT 10")
    assert busy.code == WorkspaceBusy.exit_code
    assert (busy.document["status"], sent(folder)) == ("FAILED", [])


def test_an_approved_order_that_was_never_begun_is_not_the_days_plan(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(desk(folder)) as opened:
        made = opened.day.plan(DayOrder(by_hand=SELL_TEN)).filed
        opened.day.approve(made.plan.plan_id, Approver("anna@desk1", ApprovalPlace.COMMAND))
    assert run_plan(capsys, folder).document["plan_id"] == "PLAN_20251110_150000"
    done = order(capsys, folder, "SELL MSFT 10", "--approve", "ask")
    assert (done.document["status"], done.document["plan_id"]) == ("COMPLETED", made.plan.plan_id)
    assert [s for s in sent(folder) if s[0] == "MSFT"] == [("MSFT", "SELL", "10")]


def test_a_plan_file_that_calls_itself_by_hand_is_the_days_plan(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_plan(capsys, folder)
    posing = two_and_two() | {"plan_id": "ORDER_20251110_150000", "by_hand": True, "kind": "order"}
    again = say(capsys, *run_of(folder, "--json", "--plan", plan_file(folder, posing)))
    assert again.document["status"] == "ALREADY_EXECUTED"


def test_a_large_order_needs_two_persons_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = workspace(tmp_path, settings={"approval": {"four_eyes_above": 4_000}})
    refused = order(capsys, folder, "SELL MSFT 10")
    assert (refused.document["status"], sent(folder)) == ("NOT_APPROVED", [])
    plan_id = refused.document["plan_id"]
    for name in ("anna", "ben"):
        with closing(desk(folder)) as opened:
            opened.day.approve(plan_id, Approver(f"{name}@desk1", ApprovalPlace.COMMAND))
    done = order(capsys, folder, "SELL MSFT 10")
    assert [a["approved_by"] for a in done.document["approvals"]] == ["anna@desk1", "ben@desk1"]


# --- interrupted ---


def interrupt(folder: Path, wanted: ManualOrder) -> str:
    """Begin an order by hand and stop after its beginning. Returns its plan's id."""
    with closing(desk(folder)) as opened:
        made = opened.day.plan(DayOrder(by_hand=wanted)).filed
        approved = opened.day.approve(made.plan.plan_id, Approver("anna@desk1", ApprovalPlace.COMMAND))
        opened.day.execution(approved.filed.plan).begin()
    return made.plan.plan_id


@pytest.mark.parametrize("words", ["resume", "order SELL MSFT 10"])
def test_an_interrupted_order_goes_on_and_is_sent_once(
    folder: Path, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    plan_id = interrupt(folder, SELL_TEN)
    done = say(capsys, *words.split(), "--json", "--workspace", folder, "--at", "2025-11-10T15:20:00Z")
    assert (done.document["plan_id"], done.document["status"]) == (plan_id, "COMPLETED")
    assert sent(folder) == [("MSFT", "SELL", "10")]


def test_another_order_does_not_start_beside_an_interrupted_one(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan_id = interrupt(folder, SELL_TEN)
    other = order(capsys, folder, "SELL MSFT 11")
    assert (other.code, sent(folder)) == (1, [])
    assert other.sentences == [f"{plan_id} was interrupted; finish it first: departments resume"]


def test_a_run_finishes_an_interrupted_order_and_still_executes_its_plan(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupt(folder, SELL_TEN)
    day = run_plan(capsys, folder)
    assert (day.document["plan_id"], day.document["status"]) == ("PLAN_20251110_150000", "COMPLETED")
    assert sent(folder)[0] == ("MSFT", "SELL", "10")


def test_an_order_killed_before_its_report_was_written_is_not_traded_again(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = folder / "Reports" / f"{order(capsys, folder, 'SELL MSFT 10').document['plan_id']}.md"
    report.unlink()
    again = order(capsys, folder, "SELL MSFT 10")
    assert (again.code, len(sent(folder)), report.exists()) == (1, 1, True)
    assert "its missing report is written" in again.sentences[0]


def test_an_order_that_the_broker_refuses_is_an_issue(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    faults = fault_file(folder, {"call": "submit", "symbol": "MSFT", "do": "refuse"})
    done = order(capsys, folder, "SELL MSFT 10", "--exchange-faults", faults)
    assert (done.code, done.document["status"]) == (1, "COMPLETED_WITH_ISSUES")


# --- bad input: one sentence each ---

BAD: list[tuple[list[str], str]] = [
    (["sell", "MSFT", "10"], "order: 'sell' is neither BUY nor SELL; write SELL."),
    (["HOLD", "MSFT", "10"], "order: 'HOLD' is neither BUY nor SELL; write departments order SELL MSFT 10."),
    (["SELL", "", "10"], "order: '' is not a symbol; name it like UPS or BRK.B."),
    (["SELL", "../x", "10"], "order: '../x' is not a symbol; name it like UPS or BRK.B."),
    (["BUY", "ZZZZ", "10"], "order BUY 10 ZZZZ: the broker knows no ZZZZ; check the symbol."),
    (["SELL", "ZZZZ", "10"], "order SELL 10 ZZZZ: the broker knows no ZZZZ; check the symbol."),
    (["SELL", "ALKS", "10"], "order SELL 10 ALKS: 0 shares are held; name a symbol of the account."),
    (["SELL", "MSFT", "81"], "order SELL 81 MSFT: 80 shares are held; order at most 80."),
    (["SELL", "MSFT", "0"], "order: 0 shares cannot be traded; write 1 or more."),
    *(
        (["SELL", "MSFT", n], f"order: {n!r} is no whole number of shares; write 1 or more in digits.")
        for n in ("-5", "1.5", "10.0", "nan", "inf", "1e3", "1_000", "\u0661\u0660", "", "9999999999999")
    ),
    (["SELL", "MSFT", "10", "--reason", "a\x1b[2J"],
     "--reason: has characters that cannot be shown; write one line of plain text."),
    (["SELL", "MSFT", "10", "--reason", "a\nb"],
     "--reason: has characters that cannot be shown; write one line of plain text."),
    (["SELL", "MSFT", "10", "--reason", "x" * 201], "--reason: has 201 characters; write 200 at most."),
    (["SELL", "MSFT", "10", "--aprove", "auto"], "Got unexpected extra argument(s) (--aprove auto); see --help."),
]  # fmt: skip


@pytest.mark.parametrize(("words", "sentence"), BAD, ids=lambda value: " ".join(value)[:30] if value else "")
def test_bad_input_gets_one_sentence_and_sends_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    seeded: list[str | Path] = ["--exchange-state", folder / "state.yaml", "--workspace", folder, "--at", AT]
    refused = say(capsys, "order", *words, *seeded, "--approve", "auto")
    assert (refused.code, refused.sentences) == (2, [sentence])
    assert sent(folder) == []


def test_a_reason_that_reads_like_no_number_is_a_text(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = order(capsys, folder, "SELL msft 10", "--reason", "NaN")
    assert done.code == 0
    assert "by hand: NaN" in (folder / "Reports" / f"{done.document['plan_id']}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("BUY COMM 5", "MIN_POSITION_VALUE"),
        ("BUY ALKS 2000", "MAX_POSITION_VALUE"),
        ("BUY SN 10", "MIN_POSITION_VALUE"),
    ],
)
def test_what_a_limit_forbids_is_not_made_to_fit(
    folder: Path, capsys: pytest.CaptureFixture[str], words: str, code: str
) -> None:
    refused = order(capsys, folder, words)
    assert (refused.code, refused.document["status"], sent(folder)) == (1, "FAILED", [])
    assert code in refused.document["message"]


def test_a_buy_without_cash_is_refused_before_anybody_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    poor: dict[str, Any] = {**STATE, "cash": 9_000}
    folder = workspace(tmp_path, state=poor)
    refused = order(capsys, folder, "BUY SN 40", "--approve", "ask")
    assert (refused.code, refused.document["status"]) == (1, "FAILED")
    assert "CASH_RESERVE" in refused.document["message"]


def test_the_document_is_one_json_document_and_the_plan_is_in_the_ledger(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = order(capsys, folder, "SELL MSFT 10", "--reason", "why not")
    with closing(sqlite3.connect(folder / "sentinel.db")) as ledger:
        ((text, by_hand),) = ledger.execute("SELECT document, by_hand FROM desk_plans").fetchall()
    assert (json.loads(text)["plan_id"], by_hand) == (done.document["plan_id"], 1)
    assert json.loads(text)["trades"][0]["reason"] == "by hand: why not"
