"""A desk at a broker that the program does not know: one row is all it takes."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from Departments.brokers.registry import BROKERS
from tests.builders.desk import desk
from tests.builders.trading import order, reports, send, sent_by_trading, trade_on, unproven_workspace
from tests.fakes import bourse

AT_BOURSE: dict[str, Any] = {"broker": "bourse", "brokers": [*BROKERS, bourse.ROW]}


def test_an_order_fills_at_a_broker_of_other_words(tmp_path: Path) -> None:
    send(unproven_workspace(tmp_path), order("CTVA", "SELL", 190.0, 64.64))
    with closing(desk(tmp_path, **AT_BOURSE)) as opened:
        trade_on(opened)
        assert opened.broker.name == "bourse"
    assert [(r["status"], r["filled_qty"]) for r in reports(tmp_path)] == [("filled", 190)]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("insufficient buying power", "BROKER_BUYING_POWER"),
        ("potential wash trade detected. use complex orders", "BROKER_WASH_TRADE"),
        ("insufficient qty available for order (requested: 190, available: 0)", "BROKER_QTY_HELD"),
        ("odd", "BROKER_REJECTED"),
    ],
)
def test_its_refusals_read_as_everybody_elses(tmp_path: Path, message: str, code: str) -> None:
    send(unproven_workspace(tmp_path), order("CTVA", "SELL", 190.0, 64.64))
    faults = {"faults": [{"call": "submit", "do": "refuse", "message": message}]}
    with closing(desk(tmp_path, faults=faults, **AT_BOURSE)) as opened:
        trade_on(opened)
    assert [(r["status"], r["code"]) for r in reports(tmp_path)] == [("rejected", code)]
    (escalation,) = sent_by_trading(tmp_path, "escalation")
    assert escalation.body.startswith("# ORDER SUBMISSION FAILED: CTVA")


@pytest.mark.parametrize("deed", ["timeout_after", "malformed"])
def test_its_unclear_answers_lead_to_one_order(tmp_path: Path, deed: str) -> None:
    send(unproven_workspace(tmp_path), order("CTVA", "SELL", 190.0, 64.64))
    faults = {"faults": [{"call": "submit", "do": deed}]}
    with closing(desk(tmp_path, faults=faults, **AT_BOURSE)) as opened:
        trade_on(opened, 8)
        assert len(opened.broker.orders("all")) == 1
    assert [r["status"] for r in reports(tmp_path)] == ["filled"]


def test_its_account_is_locked_with_its_workspace(tmp_path: Path) -> None:
    with closing(desk(unproven_workspace(tmp_path), **AT_BOURSE)) as opened:
        assert opened.locks == opened.mutexes.folder
