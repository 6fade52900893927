from datetime import UTC, datetime
from decimal import Decimal as D
from typing import Any

import pytest

from Departments.core.errors import BadInput, UnreadableMessage
from Departments.core.orders import OrderClass, OrderType, Side, TimeInForce
from Departments.core.settings import ExitSettings
from Departments.messaging import codec
from Departments.messaging.message import Message
from Departments.messaging.payloads import CancelRequest, ExecutiveApproval
from Departments.Trading.handlers import refuse_unapproved
from Departments.Trading.submission import order_intent, order_request, withdrawn_intent
from tests.builders.trading import APPROVAL_ID, asked, order, request_text

EXITS = ExitSettings()
NOW = datetime(2025, 11, 10, 15, 9, 13, tzinfo=UTC)


def received(payload: dict[str, Any] | None, **more: Any) -> Message:
    return codec.decode(request_text(payload, **more).encode(), name=f"{APPROVAL_ID}.md")


def approval(payload: dict[str, Any] | None) -> ExecutiveApproval:
    message = received(payload)
    found = ExecutiveApproval.of(message)
    refuse_unapproved(message, found)
    return found


def test_a_recent_approval_is_read_with_its_float_noise_gone() -> None:
    read = approval(
        order("DBX", "BUY", 92, 30.93000030517578, sector="Unknown", plan_id="PLAN_20251110_071530")
        | {"approved_at": "2025-11-10T15:09:12.760119Z"}
    )
    assert (read.symbol, read.side, read.qty, read.price) == ("DBX", Side.BUY, D(92), D("30.93"))
    assert read.approved_at == datetime(2025, 11, 10, 15, 9, 12, 760119, tzinfo=UTC)
    assert read.plan_id == "PLAN_20251110_071530"
    request = order_request(read, APPROVAL_ID, D("30.93"), EXITS)
    intent = order_intent(read, APPROVAL_ID, D("30.93"), request, NOW)
    assert (request.client_order_id, intent.message_id, intent.client_order_id) == (APPROVAL_ID,) * 3


def test_an_older_approval_without_price_and_sector_is_read() -> None:
    older = order("META", "BUY", 15, decision_id="DEC_20251031_R002", proposal_id="PROP_20251031_R002", risk_score=4.5)
    read = approval(older | {"approval_status": "APPROVED", "approved_timestamp": "2025-11-10T15:02:00Z"})
    assert (read.price, read.sector, read.plan_id) == (None, None, None)
    assert read.approved_at == datetime(2025, 11, 10, 15, 2, tzinfo=UTC)


def test_shares_of_a_sell_may_be_written_as_a_float() -> None:
    assert approval(order("CTVA", "SELL", 190.0, 64.64)).qty == D(190)


def test_lower_case_words_are_read_too() -> None:
    read = approval(order("ctva", "sell", 1) | {"order_type": "market"})
    assert (read.symbol, read.side) == ("CTVA", Side.SELL)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"ticker": ""}, "ticker"),
        ({"action": "HOLD"}, "action"),
        ({"action": None}, "action"),
        ({"shares": 0}, "shares"),
        ({"shares": -5}, "shares"),
        ({"shares": "many"}, "shares"),
        ({"shares": True}, "shares"),
        ({"price": -1}, "price"),
        ({"order_type": "STOP"}, "order_type"),
        ({"order_type": "LIMIT"}, "limit_price"),
        ({"approved_at": "yesterday"}, "approved_at"),
        ({"approval_status": "REJECTED"}, "approval_status"),
    ],
)
def test_a_wrong_field_is_named_with_its_mend(change: dict[str, Any], key: str) -> None:
    with pytest.raises(BadInput) as caught:
        approval(order("DBX", "BUY", 92, 30.93) | change)
    assert (caught.value.source, caught.value.key) == (APPROVAL_ID, key)
    assert caught.value.mend


def test_an_approval_without_a_payload_is_refused() -> None:
    with pytest.raises(BadInput, match="payload: is missing"):
        approval(None)


def test_a_number_that_json_does_not_know_is_unreadable() -> None:
    with pytest.raises(UnreadableMessage):
        approval(order("DBX", "BUY", float("nan")))


def test_a_buy_brings_its_exits_as_a_bracket_that_outlives_the_day() -> None:
    request = order_request(approval(order("ALKS", "BUY", 108, 32.66)), APPROVAL_ID, D("32.66"), EXITS)
    assert (request.order_class, request.time_in_force) == (OrderClass.BRACKET, TimeInForce.GTC)
    assert (request.take_profit, request.stop_loss) == (D("37.89"), D("30.05"))


def test_a_sell_and_a_fractional_buy_are_simple_day_orders() -> None:
    for payload in (order("ALKS", "SELL", 108, 32.66), order("ALKS", "BUY", 1.5, 32.66)):
        request = order_request(approval(payload), APPROVAL_ID, D("32.66"), EXITS)
        assert (request.order_class, request.time_in_force) == (OrderClass.SIMPLE, TimeInForce.DAY)


def test_a_limit_order_carries_its_price() -> None:
    payload = order("ALKS", "BUY", 10, 32.66) | {"order_type": "LIMIT", "limit_price": 32.5}
    request = order_request(approval(payload), APPROVAL_ID, D("32.66"), EXITS)
    assert (request.type, request.limit_price) == (OrderType.LIMIT, D("32.50"))


def test_exits_stand_on_the_exchanges_price_steps() -> None:
    assert EXITS.around(D("0.5051")) == (D("0.5859"), D("0.4647"))


def test_an_approval_without_a_time_is_as_old_as_its_message() -> None:
    assert approval(order("DBX", "BUY", 92)).approved_at == received(None).timestamp
    empty = order("DBX", "BUY", 92) | {"approved_at": "", "approved_timestamp": "2025-11-10T15:02:00Z"}
    assert approval(empty).approved_at == datetime(2025, 11, 10, 15, 2, tzinfo=UTC)


def test_a_market_order_has_no_limit_whatever_price_stands_beside_it() -> None:
    assert approval(order("ALKS", "BUY", 10) | {"limit_price": 32.5}).limit is None


def test_a_cancel_request_names_the_approval_it_is_about() -> None:
    payload = asked("CTVA", "SELL", 190, approval_message_id=APPROVAL_ID, code="PHASE_TIMEOUT")
    request = CancelRequest.of(received(payload, message_id="MSG_C"))
    assert (withdrawn_intent(request, NOW).message_id, request.code) == (APPROVAL_ID, "PHASE_TIMEOUT")
    del payload["approval_message_id"]
    with pytest.raises(BadInput, match="approval_message_id"):
        CancelRequest.of(received(payload))


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ((D("34.80"), D("27.60")), (D("34.80"), D("27.60"))),
        ((D("32.99"), D("27.60")), (D("37.89"), D("30.05"))),  # the limit is at the target
        ((D("40.00"), D("32.66")), (D("37.89"), D("30.05"))),  # the price is at the stop
        (None, (D("37.89"), D("30.05"))),
    ],
)
def test_new_shares_of_a_position_get_exits_at_its_prices_where_they_can(
    held: tuple[D, D] | None, expected: tuple[D, D]
) -> None:
    bought = approval(order("ALKS", "BUY", 30, 32.66) | {"limit_price": 33})
    request = order_request(bought, APPROVAL_ID, D("32.66"), EXITS, held)
    assert (request.take_profit, request.stop_loss) == expected
    assert request.order_class is OrderClass.BRACKET
