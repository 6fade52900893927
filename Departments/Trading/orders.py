"""From an approval message to an order request, without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from Departments.core.clock import parse_iso
from Departments.core.departments import EXECUTIVE
from Departments.core.errors import BadInput, UnreadableMessage
from Departments.core.identifiers import client_order_id
from Departments.core.money import decimal_of, on_tick, plain, price_of
from Departments.core.orders import OrderClass, OrderRequest, OrderType, Side, TimeInForce
from Departments.core.portfolio import ProposedOrder
from Departments.core.settings import ExitSettings
from Departments.ledger.order_records import OrderIntent
from Departments.messaging.message import Message


@dataclass(frozen=True, slots=True)
class Approval:
    """What an ExecutiveApproval asks for. `qty` in shares, prices in dollars per share."""

    message_id: str
    ticker: str
    side: Side
    qty: Decimal
    approved_at: datetime
    price: Decimal | None = None
    sector: str | None = None
    plan_id: str | None = None
    limit_price: Decimal | None = None

    @property
    def client_order_id(self) -> str:
        """Return the id that makes the order unique at the broker."""
        return client_order_id(self.message_id)


def approval_from(message: Message) -> Approval:
    """Read an approval. Raises BadInput naming the message, the key and the mend."""
    _refuse_strangers(message)
    payload = message.payload
    if payload is None:
        raise BadInput(message.message_id, "payload", "is missing", "add a json block with ticker, action and shares")
    read = _Reader(message.message_id, payload)
    read.refuse_unapproved()
    return Approval(
        message_id=message.message_id,
        ticker=read.ticker(),
        side=read.side(),
        qty=read.positive("shares"),
        approved_at=read.moment(("approved_at", "approved_timestamp"), message.timestamp),
        price=read.price("price"),
        sector=read.text("sector"),
        plan_id=read.text("plan_id"),
        limit_price=read.limit_price(),
    )


def approved_symbols(approvals: Iterable[Message]) -> Iterator[str]:
    """Yield the symbols of those approvals that can be read."""
    for message in approvals:
        with suppress(BadInput, UnreadableMessage):
            yield _Reader(message.message_id, message.payload or {}).ticker()


@dataclass(frozen=True, slots=True)
class Instruction:
    """What every other request of the Executive names: symbol, side, shares, and the plan it belongs to."""

    ticker: str
    side: Side
    qty: Decimal
    plan_id: str | None


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """What is to be cancelled (named by its approval), and why."""

    intent: OrderIntent
    code: str
    reason: str


def instruction_from(message: Message) -> Instruction:
    """Read an instruction. Raises BadInput naming the message, the key and the mend."""
    _refuse_strangers(message)
    read = _Reader(message.message_id, message.payload or {})
    return Instruction(read.ticker(), read.side(), read.positive("shares"), read.text("plan_id"))


def cancel_from(message: Message) -> CancelRequest:
    """Read a cancel request. Raises BadInput naming the message, the key and the mend."""
    asked = instruction_from(message)
    read = _Reader(message.message_id, message.payload or {})
    approval_id = read.text("approval_message_id")
    if approval_id is None:
        raise BadInput(message.message_id, "approval_message_id", "is missing", "name the approval to cancel")
    intent = OrderIntent(
        client_order_id=client_order_id(approval_id),
        message_id=approval_id,
        ticker=asked.ticker,
        side=asked.side,
        qty=asked.qty,
        order_type=OrderType.MARKET,
        plan_id=asked.plan_id,
    )
    return CancelRequest(intent, read.text("code") or "", read.text("reason") or "")


def _refuse_strangers(message: Message) -> None:
    if message.sender != EXECUTIVE:
        raise BadInput(message.message_id, "from", f"{message.sender} cannot approve", "only EXECUTIVE approves orders")


@dataclass(frozen=True, slots=True)
class _Reader:
    source: str
    payload: Mapping[str, Any]

    def ticker(self) -> str:
        ticker = str(self.payload.get("ticker") or "").strip().upper()
        if not ticker:
            raise BadInput(self.source, "ticker", "is missing", "name the symbol")
        return ticker

    def side(self) -> Side:
        action = str(self.payload.get("action") or "").strip().upper()
        if action not in Side.__members__:
            raise BadInput(self.source, "action", f"{action!r} is neither BUY nor SELL", "write BUY or SELL")
        return Side[action]

    def positive(self, key: str) -> Decimal:
        try:
            number = decimal_of(self.payload.get(key))
        except ValueError as error:
            raise BadInput(self.source, key, str(error), "give a positive number") from error
        if number <= 0:
            raise BadInput(self.source, key, f"{plain(number)} is not positive", "give a positive number")
        return number

    def price(self, key: str) -> Decimal | None:
        return None if self.payload.get(key) is None else price_of(self.positive(key))

    def limit_price(self) -> Decimal | None:
        kind = str(self.payload.get("order_type") or "MARKET").strip().lower()
        if kind == OrderType.MARKET:
            return None
        if kind != OrderType.LIMIT:
            raise BadInput(self.source, "order_type", f"{kind!r} is not known", "write MARKET or LIMIT")
        limit = self.price("limit_price")
        if limit is None:
            raise BadInput(self.source, "limit_price", "is missing for a LIMIT order", "give the price")
        return limit

    def text(self, key: str) -> str | None:
        value = self.payload.get(key)
        return str(value) if value else None

    def refuse_unapproved(self) -> None:
        """Older approvals say what was decided; only APPROVED is an approval."""
        status = str(self.payload.get("approval_status") or "APPROVED").strip().upper()
        if status != "APPROVED":
            raise BadInput(self.source, "approval_status", f"is {status}", "send an approval for what is approved")

    def moment(self, keys: tuple[str, ...], default: datetime) -> datetime:
        key = next((k for k in keys if self.payload.get(k)), keys[0])
        value = self.payload.get(key)
        try:
            return parse_iso(str(value)) if value else default
        except ValueError as error:
            raise BadInput(self.source, key, f"{value!r} is not an ISO time", "write 2025-11-10T15:09:12Z") from error


def proposed(approval: Approval, price: Decimal | None, exits: ExitSettings) -> ProposedOrder:
    """Return the order as the constraint engine judges it, at `price` (dollars per share)."""
    stop = None
    if approval.side is Side.BUY and exits.enabled and price is not None:
        stop = exit_prices(price, exits)[1]
    return ProposedOrder(
        approval.ticker, approval.side, approval.qty, price, approval.sector, stop_price=stop, plan_id=approval.plan_id
    )


def order_request(approval: Approval, price: Decimal | None, exits: ExitSettings) -> OrderRequest:
    """Return what is asked of the broker: a BUY brings its exits along as a bracket where they are possible.

    A bracket takes whole shares only and lives until cancelled, so that the exits outlast the day
    (https://docs.alpaca.markets/docs/orders-at-alpaca#bracket-orders). `price` is the market price now.
    """
    common = OrderRequest(
        client_order_id=approval.client_order_id,
        symbol=approval.ticker,
        side=approval.side,
        qty=approval.qty,
        type=OrderType.MARKET if approval.limit_price is None else OrderType.LIMIT,
        limit_price=approval.limit_price,
    )
    whole = approval.qty == approval.qty.to_integral_value()
    if approval.side is Side.SELL or not exits.enabled or price is None or not whole:
        return common
    take_profit, stop_loss = exit_prices(price, exits)
    return replace(
        common,
        time_in_force=TimeInForce.GTC,
        order_class=OrderClass.BRACKET,
        take_profit=take_profit,
        stop_loss=stop_loss,
    )


def exit_prices(price: Decimal, exits: ExitSettings) -> tuple[Decimal, Decimal]:
    """Return take-profit and stop-loss prices for an entry at `price`, on the exchange's price steps."""
    return (
        on_tick(price * (1 + exits.take_profit_pct)),
        on_tick(price * (1 - exits.stop_loss_pct)),
    )
