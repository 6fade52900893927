"""What messages carry: typed, refused with source, key and mend, and written as they always were."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal as D
from typing import Any

import pytest
from pydantic import ValidationError

from Departments.core.errors import BadInput
from Departments.core.orders import OrderStatus, Side
from Departments.core.regimes import Regime
from Departments.messaging.catalogue import CATALOGUE
from Departments.messaging.message import Message, payload_of
from Departments.messaging.payloads import (
    CancelRequest,
    Escalation,
    ExecutionReport,
    ExecutiveApproval,
    Payload,
    PlanRequest,
)
from Departments.messaging.plan_documents import PlanDocument
from Departments.messaging.regime_payloads import RegimeRequest, RegimeUpdate

AT = datetime(2025, 11, 10, 15, 9, 12, tzinfo=UTC)
APPROVAL: dict[str, Any] = {"ticker": "ALKS", "action": "BUY", "shares": 108}


@pytest.mark.parametrize(
    ("model", "document", "sentence"),
    [
        (ExecutiveApproval, APPROVAL | {"shars": 3}, "MSG: shars: is not a known key; did you mean `shares`?"),
        (
            ExecutiveApproval,
            APPROVAL | {"colour": 3},
            "MSG: colour: is not a known key; correct its name or remove it.",
        ),
        (ExecutiveApproval, {"tickr": "A"}, "MSG: tickr: is not a known key; did you mean `ticker`?"),
        (ExecutiveApproval, {"ticker": "A"}, 'MSG: action: is missing; write "action": "BUY".'),
        (ExecutiveApproval, APPROVAL | {"shares": True}, "MSG: shares: True is not a number; give a positive number."),
        (ExecutiveApproval, APPROVAL | {"shares": -5}, "MSG: shares: -5 is not positive; give a positive number."),
        (ExecutiveApproval, APPROVAL | {"action": None}, "MSG: action: '' is neither BUY nor SELL; write BUY or SELL."),
        (
            ExecutiveApproval,
            APPROVAL | {"order_type": "LIMIT"},
            "MSG: limit_price: is missing for a LIMIT order; give the price.",
        ),
        (
            ExecutiveApproval,
            APPROVAL | {"order_type": "STOP"},
            "MSG: order_type: 'stop' is not known; write MARKET or LIMIT.",
        ),
        (ExecutiveApproval, None, "MSG: payload: is missing; add a json block with ticker, action and shares."),
        (
            ExecutiveApproval,
            APPROVAL | {"symbol": "A"},
            "MSG: symbol: is not a known key; correct its name or remove it.",
        ),
        (ExecutiveApproval, {"symbol": "A", "action": "BUY", "shares": 1}, "MSG: symbol: is not a known key"),
        (CancelRequest, APPROVAL, 'MSG: approval_message_id: is missing; write "approval_message_id": "MSG_EXEC'),
        (ExecutionReport, APPROVAL | {"approval_message_id": ""}, "MSG: approval_message_id: is missing; name it."),
        (PlanDocument, {"plan_id": "P"}, "MSG: trades: is missing or not a list; list the trades."),
    ],
)
def test_a_wrong_payload_is_one_sentence_with_source_key_and_mend(
    model: type[Payload], document: dict[str, Any] | None, sentence: str
) -> None:
    with pytest.raises(BadInput) as caught:
        model.read(document, "MSG")
    assert str(caught.value).startswith(sentence)


def test_keys_are_written_in_order_and_a_limit_only_where_there_is_one() -> None:
    payload = ExecutiveApproval(
        symbol="ALKS",
        side=Side.BUY,
        qty=D(108),
        price=D("33.01"),
        order_type="MARKET",
        limit_price=None,
        approved_at=AT,
    )
    assert payload.body("# Approval") == (
        '# Approval\n\n```json\n{\n  "ticker": "ALKS",\n  "action": "BUY",\n  "shares": 108,\n  "price": 33.01,\n'
        '  "order_type": "MARKET",\n  "approved_at": "2025-11-10T15:09:12.000000Z"\n}\n```\n'
    )


def test_a_null_that_was_given_is_written_and_a_key_that_was_not_is_left_out() -> None:
    assert RegimeRequest(briefing_message_id=None).document() == {"briefing_message_id": None}
    assert RegimeRequest().document() == {}
    assert PlanRequest(briefing_message_id=None, mandatory_sells=[], plan=None).document() == {}


def test_a_payload_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        RegimeRequest().briefing_message_id = "MSG"  # type: ignore[misc]


def test_what_was_written_is_read_back_equal() -> None:
    report = ExecutionReport(
        approval_message_id="MSG_0",
        broker_order_id="B",
        symbol="SN",
        side=Side.SELL,
        qty=D("12.5"),
        status=OrderStatus.FILLED,
        filled_qty=D(12),
        filled_avg_price=D("96.19"),
        terminal_at=AT,
    )
    assert ExecutionReport.read(payload_of(report.body("# Report")), "MSG") == report


def test_unknown_keys_of_neighbours_are_kept_and_those_of_our_own_types_and_proposals_are_refused() -> None:
    ours = {"ExecutiveApproval", "CancelRequest", "ReleaseRequest", "ProtectRequest", "ExecutionReport", "execution"}
    ours |= {"log", "RegimeRequest", "PlanRequest", "PlanFailure", "FinalReport", "PlanProposal"}
    refusing = {row.name for row in CATALOGUE if row.payload.model_config["extra"] == "forbid"}
    assert refusing - {"escalation"} == ours
    kept = RegimeUpdate.read({"regime": "BULLISH", "mood": "calm"}, "MSG")
    assert kept.document() == {"regime": "BULLISH", "mood": "calm"}


def test_an_escalation_is_read_whatever_it_carries() -> None:
    assert Escalation.read(None, "MSG") == Escalation()


def test_a_regime_may_stand_in_the_front_matter_alone() -> None:
    extra = {"regime": "panic", "indicators": {"vix": 44.5, "spy": "n/a"}, "author": "analyser"}
    message = Message("MSG_R", "REGIME_DETECTION", "OPERATIONS", AT, "RegimeUpdate", "# Regime\n", extra=extra)
    found = RegimeUpdate.of(message).assessment(message.timestamp, message.message_id)
    assert (found.regime, found.vix, found.spy, found.source) == (Regime.PANIC, D("44.5"), None, "MSG_R")


def test_a_field_has_one_key_in_a_message() -> None:
    with pytest.raises(BadInput):
        ExecutionReport.read(
            {**APPROVAL, "approval_message_id": "M", "status": "filled", "broker_order_id": "B"}, "MSG"
        )
