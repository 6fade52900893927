"""From an approval to an order request, without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

from Departments.core.departments import EXECUTIVE
from Departments.core.errors import BadInput, UnreadableMessage
from Departments.core.identifiers import client_order_id
from Departments.core.orders import OrderClass, OrderRequest, OrderType, Side, TimeInForce
from Departments.core.settings import ExitSettings
from Departments.ledger.order_records import OrderIntent
from Departments.messaging.message import Message
from Departments.messaging.payloads import CancelRequest, ExecutiveApproval


def refuse_strangers(message: Message) -> None:
    """Raise BadInput for an instruction that the Executive did not send."""
    if message.sender != EXECUTIVE:
        raise BadInput(message.message_id, "from", f"{message.sender} cannot approve", "only EXECUTIVE approves orders")


def refuse_unapproved(message: Message, approval: ExecutiveApproval) -> None:
    """Raise BadInput for an older approval whose decision was not APPROVED."""
    status = (approval.approval_status or "APPROVED").strip().upper()
    if status != "APPROVED":
        mend = "send an approval for what is approved"
        raise BadInput(message.message_id, "approval_status", f"is {status}", mend)


def approved_symbols(approvals: Iterable[Message]) -> Iterator[str]:
    """Yield the symbols of those approvals that can be read."""
    for message in approvals:
        with suppress(BadInput, UnreadableMessage):
            yield ExecutiveApproval.of(message).symbol


def order_intent(
    approval: ExecutiveApproval, message_id: str, price: Decimal | None, request: OrderRequest
) -> OrderIntent:
    """Return the intent to send what an approval asks for; `price` is the dollars a share that are expected."""
    return OrderIntent(
        client_order_id=client_order_id(message_id),
        message_id=message_id,
        ticker=approval.symbol,
        side=approval.side,
        qty=approval.qty,
        order_type=str(request.type),
        plan_id=approval.plan_id,
        limit_price=approval.limit,
        expected_price=price,
        stop_price=request.stop_loss,
    )


def withdrawn_intent(request: CancelRequest) -> OrderIntent:
    """Return the intent of an approval that is taken back before anything was sent for it."""
    return OrderIntent(
        client_order_id=client_order_id(request.approval_message_id),
        message_id=request.approval_message_id,
        ticker=request.symbol,
        side=request.side,
        qty=request.qty,
        order_type=OrderType.MARKET,
        plan_id=request.plan_id,
    )


def order_request(
    approval: ExecutiveApproval, message_id: str, price: Decimal | None, exits: ExitSettings
) -> OrderRequest:
    """Return what is asked of the broker: a BUY brings its exits along as a bracket where they are possible.

    A bracket takes whole shares only and lives until cancelled, so the exits outlast the day. `price` is the market
    price now.
    """
    common = OrderRequest(
        client_order_id=client_order_id(message_id),
        symbol=approval.symbol,
        side=approval.side,
        qty=approval.qty,
        type=OrderType.MARKET if approval.limit is None else OrderType.LIMIT,
        limit_price=approval.limit,
    )
    whole = approval.qty == approval.qty.to_integral_value()
    if approval.side is Side.SELL or not exits.enabled or price is None or not whole:
        return common
    take_profit, stop_loss = exits.around(price)
    return replace(
        common,
        time_in_force=TimeInForce.GTC,
        order_class=OrderClass.BRACKET,
        take_profit=take_profit,
        stop_loss=stop_loss,
    )
