"""The demo: the day of 2025-11-10 as it should have gone."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from Departments.bootstrap import open_desk
from Departments.Executive.approvals import load_plan
from Departments.Executive.reporting.document import final_document
from Departments.Executive.reporting.markdown import report_text
from Departments.Executive.reporting.run_cash import lowest_cash_with_buys_first
from Departments.messaging import codec
from tests.builders.commands import Demo, say

MESSAGES = "Messages_Between_Departments"
SOLD = ["CTVA", "DVN", "EXE", "PLD", "UPS"]
#: Too small as proposed: its shares, those that reach the minimum, and what the position would have been.
RAISED = {
    "BANC": (118, 172, "$2,040"),
    "BBIO": (45, 48, "$2,821"),
    "CVE": (163, 169, "$2,865"),
    "ESI": (86, 108, "$2,383"),
}
NO_PLACE = ("BKR", "DBX")
OLD_REGIME = ["20251107T084308Z", "20251110T063559Z", "20251110T065004Z", "20251110T070430Z"]


def test_the_demo_ends_well(demo: Demo) -> None:
    assert demo.said.code == demo.said.document["exit_code"] == 0
    assert demo.said.document["status"] == "COMPLETED"
    assert [s for s in demo.said.sentences if not s.startswith("Demo workspace: ")] == []


def test_the_demo_names_its_workspace(demo: Demo) -> None:
    assert f"Demo workspace: {demo.folder}" in demo.said.err


def test_every_order_that_reaches_trading_is_accepted_and_fills(demo: Demo) -> None:
    document = demo.said.document
    sells, buys = demo.said.phase("SELL")["orders"], demo.said.phase("BUY")["orders"]
    assert sorted(o["ticker"] for o in sells) == SOLD
    assert len(buys) >= 5
    assert {o["status"] for o in sells + buys} == {"filled"}
    assert document["denied"] == []
    assert document["deferred"] == []


def test_every_sell_is_over_before_the_first_buy_is_submitted(demo: Demo) -> None:
    last_sell = max(o["terminal_at"] for o in demo.said.phase("SELL")["orders"])
    assert last_sell <= min(o["submitted_at"] for o in demo.said.phase("BUY")["orders"])
    assert demo.said.phase("SELL")["ended_at"] <= demo.said.phase("BUY")["started_at"]


def test_cash_never_falls_below_the_reserve_or_below_where_it_started(demo: Demo) -> None:
    account = {key: Decimal(value) for key, value in demo.said.document["account"].items()}
    assert account["lowest_cash"] >= min(account["reserve"], account["cash_before"])
    assert account["cash_after"] >= account["reserve"]


def test_the_sell_proceeds_are_needed(demo: Demo) -> None:
    account = {key: Decimal(value) for key, value in demo.said.document["account"].items()}
    bought = sum(Decimal(o["filled_qty"]) * Decimal(o["filled_avg_price"]) for o in demo.said.phase("BUY")["orders"])
    assert Decimal(98_900) <= account["equity"] <= Decimal(99_000)
    assert bought > account["cash_before"]


def test_the_cash_adds_up_from_the_orders_themselves(demo: Demo) -> None:
    cash = Decimal(demo.said.document["account"]["cash_before"])
    for name, sign in (("SELL", 1), ("BUY", -1)):
        for order in demo.said.phase(name)["orders"]:
            cash += sign * Decimal(order["filled_qty"]) * Decimal(order["filled_avg_price"])
    assert cash == Decimal(demo.said.document["account"]["cash_after"])
    identity = {"holds": True, "difference": "0.00", "fees": "0.00", "other": "0.00"}
    assert demo.said.document["cash_identity"] == identity


def test_what_is_too_small_is_raised_and_what_has_no_place_is_never_sent(demo: Demo) -> None:
    for symbol, (few, least, value) in RAISED.items():
        line = f"Raised {symbol} from {few} to {least} shares - position would be {value} (< $2,968 minimum)"
        assert line in demo.said.err
        assert int(demo.said.order(symbol)["filled_qty"]) >= least
    skipped = {s["ticker"]: s["code"] for s in demo.said.document["skipped"]}
    assert {symbol: skipped[symbol] for symbol in NO_PLACE} == dict.fromkeys(NO_PLACE, "MAX_POSITIONS_TOTAL")


def test_the_log_tells_the_day_in_the_words_of_the_incident_report(demo: Demo) -> None:
    lines = [line[13:] for line in demo.said.err.splitlines() if line[:2].isdigit()]
    order = [
        "SELL phase: 5 orders sent to Trading",
        "Waiting for 5 orders to fill: CTVA, DVN, EXE, PLD, UPS",
        "All SELL orders filled",
        "BUY phase: 9 orders sent to Trading",
        "All BUY orders filled",
    ]
    assert [lines.index(line) for line in order] == sorted(lines.index(line) for line in order)
    sent = [line.split()[1] for line in lines if line.startswith("Sent ")]
    assert sent == ["SELL"] * 5 + ["BUY"] * 9


def test_the_old_regime_messages_are_archived_and_no_error_is_logged(demo: Demo) -> None:
    archive = demo.folder / MESSAGES / "Archive" / "2025-11-10" / "TRADING"
    assert all((archive / f"MSG_REGIME_{stamp}_trad.md").exists() for stamp in OLD_REGIME)
    assert "ERROR" not in demo.said.err
    assert "Invalid message format" not in demo.said.err
    assert not (demo.folder / MESSAGES / "Dead_Letter").exists()


def test_the_old_regime_messages_are_of_both_kinds_and_one_is_windows_1252(demo: Demo) -> None:
    archive = demo.folder / MESSAGES / "Archive" / "2025-11-10" / "TRADING"
    files = [(archive / f"MSG_REGIME_{stamp}_trad.md").read_bytes() for stamp in OLD_REGIME]
    assert sum(data.startswith(b"---") for data in files) == 2
    assert sum(not _is_utf8(data) for data in files) == 1


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_the_report_is_the_ledger_s_and_can_be_written_again_from_it(demo: Demo) -> None:
    plan_id = demo.said.document["plan_id"]
    desk = open_desk(demo.folder)
    plan = load_plan(desk.ledger.plans, plan_id)
    document = final_document(desk.ledger, plan, instructions=desk.settings.trading.instructions)
    run = desk.ledger.plans.execution(plan_id)
    fills = desk.ledger.execution_fills(run) if run else []
    before = Decimal(document["account"]["cash_before"])
    text = report_text(
        document,
        lowest_with_buys_first=lowest_cash_with_buys_first(before, fills),
        limits_hash=desk.limits.fingerprint,
        regime=plan.regime,
        notes=plan.notes,
    )
    desk.close()
    assert (demo.folder / "Reports" / f"{plan_id}.md").read_text(encoding="utf-8") == text
    assert document == demo.said.document


def test_the_report_is_in_the_outbox_of_the_executive(demo: Demo) -> None:
    outbox = demo.folder / MESSAGES / "Outbox" / "EXECUTIVE"
    sent = [codec.decode(p.read_bytes(), name=p.name) for p in outbox.glob("*.md")]
    (report,) = [m for m in sent if m.message_type == "FinalReport" and m.recipient == "COMPLIANCE"]
    assert report.payload is not None
    assert report.payload["plan_id"] == demo.said.document["plan_id"]
    assert f"# Execution Report: {demo.said.document['plan_id']}" in report.body


def test_each_order_has_its_approval_in_the_archive(demo: Demo) -> None:
    archive = demo.folder / MESSAGES / "Archive" / "2025-11-10" / "TRADING"
    for name in ("SELL", "BUY"):
        for order in demo.said.phase(name)["orders"]:
            approval = codec.decode((archive / f"{order['message_id']}.md").read_bytes(), name=order["message_id"])
            assert approval.payload is not None
            assert approval.payload["ticker"] == order["ticker"]


def test_the_approved_plan_is_saved(demo: Demo) -> None:
    saved = json.loads((demo.folder / "proposed_trades_2025-11-10.json").read_text(encoding="utf-8"))
    assert saved["plan_id"] == demo.said.document["plan_id"]
    assert saved["status"] == "APPROVED_BY_USER"


def test_a_demo_workspace_is_used_again_only_with_keep(demo: Demo, capsys: pytest.CaptureFixture[str]) -> None:
    refused = say(capsys, "demo", "--workspace", demo.folder, "--json")
    assert refused.code == 2
    assert "--keep" in refused.document["message"]
    kept = say(capsys, "demo", "--workspace", demo.folder, "--keep", "--json")
    assert kept.code == 0
    assert kept.document["status"] == "ALREADY_EXECUTED"


def test_a_demo_workspace_below_a_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    said = say(capsys, "demo", "--workspace", tmp_path / "file" / "ws")
    assert said.code == 2
    assert len(said.sentences) == 1
