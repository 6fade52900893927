"""Exactly once, whatever the line to the broker does: each ambiguous answer against the simulated exchange."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from Departments.bootstrap import Desk
from Departments.core.orders import Side
from tests.builders.desk import desk
from tests.builders.trading import (
    APPROVAL_ID,
    asked,
    order,
    reports,
    send,
    sent_by_trading,
    trade_on,
    unproven_workspace,
)

SELL = order("CTVA", "SELL", 190.0, 64.64)


@contextmanager
def desk_with(folder: Path, *faults: Mapping[str, Any]) -> Iterator[Desk]:
    opened = desk(folder, faults={"faults": list(faults)})
    try:
        yield opened
    finally:
        opened.close()


def sells(opened: Desk) -> list[str]:
    return [o.client_order_id for o in opened.broker.orders("all") if o.side is Side.SELL]


@pytest.mark.parametrize("deed", ["timeout_before", "timeout_after", "gateway_timeout", "malformed", "server_error"])
@pytest.mark.parametrize("times", [1, 2])
def test_an_unclear_answer_leads_to_one_order(tmp_path: Path, deed: str, times: int) -> None:
    send(unproven_workspace(tmp_path), SELL)
    with desk_with(tmp_path, {"call": "submit", "do": deed, "times": times}) as opened:
        trade_on(opened, 8)
        assert sells(opened) == [APPROVAL_ID]
        assert [(r["status"], r["filled_qty"]) for r in reports(tmp_path)] == [("filled", 190)]


def test_an_accepted_order_that_look_ups_do_not_find_yet_is_not_sent_twice(tmp_path: Path) -> None:
    send(unproven_workspace(tmp_path), SELL)
    faults = ({"call": "submit", "do": "timeout_after"}, {"call": "submit", "do": "invisible", "seconds": 25})
    with desk_with(tmp_path, *faults) as opened:
        trade_on(opened, 20)
        assert sells(opened) == [APPROVAL_ID]
        assert [r["status"] for r in reports(tmp_path)] == ["filled"]


def test_an_order_that_holds_its_own_shares_is_not_taken_for_refused(tmp_path: Path) -> None:
    send(unproven_workspace(tmp_path), SELL)
    held = "insufficient qty available for order (requested: 190, available: 0)"
    faults = (
        {"call": "submit", "do": "timeout_after"},
        {"call": "submit", "do": "invisible", "seconds": 5},
        {"call": "submit", "do": "refuse", "occurrence": 2, "times": 0, "message": held},
    )
    with desk_with(tmp_path, *faults) as opened:
        trade_on(opened, 20)
        assert sells(opened) == [APPROVAL_ID]
        assert [(r["status"], r["filled_qty"]) for r in reports(tmp_path)] == [("filled", 190)]


def test_an_order_that_holds_its_own_cash_is_not_taken_for_refused(tmp_path: Path) -> None:
    send(unproven_workspace(tmp_path), order("ALKS", "BUY", 150, 32.66))
    faults = (
        {"call": "submit", "do": "timeout_after"},
        {"call": "submit", "do": "invisible", "seconds": 13},
        {"call": "submit", "do": "timeout_before", "occurrence": 2},
        {"call": "submit", "do": "refuse", "occurrence": 3, "times": 0, "message": "insufficient buying power"},
    )
    with desk_with(tmp_path, *faults) as opened:
        trade_on(opened, 20)
        assert [(r["status"], r["filled_qty"]) for r in reports(tmp_path)] == [("filled", 150)]


def test_an_order_that_the_broker_has_and_does_not_show_is_never_given_up(tmp_path: Path) -> None:
    send(unproven_workspace(tmp_path), SELL)
    faults = ({"call": "submit", "do": "timeout_after"}, {"call": "submit", "do": "invisible", "seconds": 600})
    with desk_with(tmp_path, *faults) as opened:
        trade_on(opened)
        take_back = asked("CTVA", "SELL", 190, approval_message_id=APPROVAL_ID, code="PHASE_TIMEOUT")
        send(tmp_path, take_back, message_id=f"{APPROVAL_ID}1", message_type="CancelRequest", parent=APPROVAL_ID)
        trade_on(opened, 100)
        assert reports(tmp_path) == []
        (row,) = opened.trader.reconcile()
        assert (row.finding, list(opened.ledger.releases.find_locks())) == ("ambiguous", ["CTVA"])
        opened.clock.sleep(600)
        opened.trader.reconcile()
        assert opened.trader.accept("CTVA") == ["CTVA is free"]
        assert [(r["status"], r["filled_qty"]) for r in reports(tmp_path)] == [("filled", 190)]


def test_every_accepted_order_is_reported_to_portfolio_and_compliance_once(tmp_path: Path) -> None:
    send(unproven_workspace(tmp_path), SELL)
    with desk_with(tmp_path, {"call": "submit", "do": "timeout_after"}) as opened:
        trade_on(opened)
    (execution,) = sent_by_trading(tmp_path, "execution", "PORTFOLIO")
    (log,) = sent_by_trading(tmp_path, "log", "COMPLIANCE")
    keys = {"order_id", "alpaca_order_id", "ticker", "action", "shares", "order_type", "status", "submitted_at"}
    assert keys <= set(execution.payload or {})
    assert execution.payload == log.payload


def test_a_redelivered_approval_has_no_second_effect(tmp_path: Path) -> None:
    send(unproven_workspace(tmp_path), SELL)
    with desk_with(tmp_path) as opened:
        trade_on(opened)
        send(tmp_path, SELL)
        trade_on(opened)
        assert sells(opened) == [APPROVAL_ID]
        assert len(reports(tmp_path)) == 1


def test_a_broker_that_is_away_leaves_the_inbox_as_it_is(tmp_path: Path) -> None:
    send(unproven_workspace(tmp_path), SELL)
    with desk_with(tmp_path, {"call": "account", "do": "timeout_before", "times": 30}) as opened:
        opened.trading.process_inbox()
        trade_on(opened, 40)
        assert not (tmp_path / "Messages_Between_Departments" / "Dead_Letter" / "TRADING").exists()
        assert [r["status"] for r in reports(tmp_path)] == ["filled"]


def test_another_order_under_our_id_stops_the_symbol_for_a_person(tmp_path: Path) -> None:
    folder = unproven_workspace(tmp_path)
    send(folder, SELL)
    with desk_with(tmp_path) as opened:
        trade_on(opened)
    (folder / "sentinel.db").unlink()
    for path in (folder / "Messages_Between_Departments").rglob(f"{APPROVAL_ID}.md"):
        path.unlink()
    with desk_with(tmp_path) as opened:
        send(folder, order("DVN", "SELL", 100, 33.61))
        trade_on(opened)
        assert {r["ticker"]: r["code"] for r in reports(folder)} == {"CTVA": "", "DVN": "BROKER_DUPLICATE_ID"}
        assert "belongs to another order" in opened.ledger.releases.find_locks()["DVN"]
        assert len(sells(opened)) == 1
        opened.trader.reconcile()
        assert "DVN" in opened.ledger.releases.find_locks()


def test_a_locked_symbol_is_denied(tmp_path: Path) -> None:
    send(unproven_workspace(tmp_path), SELL)
    with desk_with(tmp_path) as opened:
        with opened.ledger.transaction():
            opened.ledger.releases.lock("CTVA", "a person has to look", opened.clock.now())
        trade_on(opened)
        assert sells(opened) == []
        assert [(r["status"], r["code"]) for r in reports(tmp_path)] == [("denied", "SYMBOL_LOCKED")]


def test_what_became_forbidden_after_its_intent_is_not_sent_but_withdrawn(tmp_path: Path) -> None:
    """Killed between intent and POST, started again when the exchange is closed."""
    send(unproven_workspace(tmp_path), SELL)
    with desk_with(tmp_path, {"call": "submit", "do": "timeout_before", "times": 0}) as opened:
        opened.trading.process_inbox()
        opened.clock.sleep(8 * 3_600)
        trade_on(opened, 45)
        assert sells(opened) == []
        assert [(r["status"], r["code"]) for r in reports(tmp_path)] == [("canceled", "MARKET_CLOSED")]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"message": "insufficient buying power"}, "BROKER_BUYING_POWER"),
        ({"message": "potential wash trade detected. use complex orders"}, "BROKER_WASH_TRADE"),
        ({"message": "insufficient qty available for order (requested: 190, available: 0)"}, "BROKER_QTY_HELD"),
        ({"http_status": 422, "code": 40010001, "message": "asset CTVA is not active"}, "BROKER_ASSET"),
        ({"http_status": 422, "code": 42210000, "message": 'asset "CTVA" not found'}, "BROKER_ASSET"),
        ({"http_status": 418, "code": 1, "message": "teapot"}, "BROKER_REJECTED"),
    ],
)
def test_a_refusal_is_reported_and_escalated_with_its_code(tmp_path: Path, fault: dict[str, Any], code: str) -> None:
    send(unproven_workspace(tmp_path), SELL)
    with desk_with(tmp_path, {"call": "submit", "do": "refuse", **fault}) as opened:
        trade_on(opened)
    assert [(r["status"], r["code"]) for r in reports(tmp_path)] == [("rejected", code)]
    (escalation,) = sent_by_trading(tmp_path, "escalation")
    assert escalation.body.startswith("# ORDER SUBMISSION FAILED: CTVA")


def test_a_denial_is_reported_and_escalated_in_the_existing_form(tmp_path: Path) -> None:
    send(unproven_workspace(tmp_path), order("CVE", "BUY", 100, 17.58))
    with desk_with(tmp_path) as opened:
        trade_on(opened)
        assert list(opened.broker.orders("all")) == []
    assert [(r["status"], r["code"]) for r in reports(tmp_path)] == [("denied", "MIN_POSITION_VALUE")]
    (escalation,) = sent_by_trading(tmp_path, "escalation")
    assert escalation.body.startswith("# ORDER REJECTED: CVE (Hard Constraint Violations)")
    assert "- **MIN_POSITION_VALUE:**" in escalation.body


def test_a_sell_is_exempt_from_size_and_cash(tmp_path: Path) -> None:
    state = {"cash": -500, "positions": {"CVE": {"qty": 3, "avg_entry_price": 17, "current_price": 17.58}}}
    send(unproven_workspace(tmp_path, state=state), order("CVE", "SELL", 3, 17.58))
    with desk_with(tmp_path) as opened:
        trade_on(opened)
    assert [r["status"] for r in reports(tmp_path)] == ["filled"]


def test_the_alias_of_an_approval_leads_to_an_order(tmp_path: Path) -> None:
    send(unproven_workspace(tmp_path), SELL, message_type="execution_request")
    with desk_with(tmp_path) as opened:
        trade_on(opened)
    assert [r["status"] for r in reports(tmp_path)] == ["filled"]


def test_an_approval_that_cannot_be_read_is_a_dead_letter_and_the_next_is_handled(tmp_path: Path) -> None:
    folder = unproven_workspace(tmp_path)
    send(folder, order("CTVA", "HOLD", 1), message_id="MSG_EXECUTIVE_20251110T150500Z_bad")
    send(folder, SELL)
    with desk_with(tmp_path) as opened:
        trade_on(opened)
    dead = folder / "Messages_Between_Departments" / "Dead_Letter" / "TRADING"
    assert "INVALID_PAYLOAD" in (dead / "MSG_EXECUTIVE_20251110T150500Z_bad.md.reason.yaml").read_text("utf-8")
    assert [r["status"] for r in reports(folder)] == ["filled"]
