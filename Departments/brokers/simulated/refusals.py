"""Alpaca's refusals: HTTP status, code and body, as its paper accounts answer.

40310000 means three things and 40010001 two: only the other fields and the message tell them apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from Departments.core.errors import NotFound, OrderRefused
from Departments.core.money import plain

FORBIDDEN = 40310000
NOT_UNIQUE = 40010001
INVALID = 42210000


def refused(http_status: int, code: int, message: str, **fields: object) -> OrderRefused:
    """Build a refusal whose body is Alpaca's: code, message and the fields of the case."""
    body = {"code": code, "message": message, **fields}
    return OrderRefused(message, http_status=http_status, code=code, body=body)


def invalid(message: str, **fields: object) -> OrderRefused:
    """Refuse an order whose own terms are wrong (422)."""
    return refused(422, INVALID, message, **fields)


def id_used() -> OrderRefused:
    """Refuse a client order id that was used before, however that order ended."""
    return refused(422, NOT_UNIQUE, "client_order_id must be unique")


def inactive(symbol: str) -> OrderRefused:
    """Refuse an asset that is no longer active."""
    return refused(422, NOT_UNIQUE, f"asset {symbol} is not active")


def buying_power(available: Decimal, cost: Decimal) -> OrderRefused:
    """Refuse a BUY that the buying power does not cover."""
    return refused(403, FORBIDDEN, "insufficient buying power", buying_power=plain(available), cost_basis=plain(cost))


def held_shares(
    symbol: str, requested: Decimal, existing: Decimal, held: Decimal, related: Sequence[str]
) -> OrderRefused:
    """Refuse a SELL of more shares than are free."""
    available = plain(max(Decimal(0), existing - held))
    message = f"insufficient qty available for order (requested: {plain(requested)}, available: {available})"
    return refused(403, FORBIDDEN, message, available=available, existing_qty=plain(existing),
                   held_for_orders=plain(held), related_orders=list(related), symbol=symbol)  # fmt: skip


def wash_trade(existing_order_id: str, kind: str) -> OrderRefused:
    """Refuse an order opposite to an open one on the same symbol."""
    return refused(
        403,
        FORBIDDEN,
        "potential wash trade detected. use complex orders",
        existing_order_id=existing_order_id,
        reject_reason=f"opposite side {kind} order exists",
    )


def too_late(status: str) -> OrderRefused:
    """Refuse to cancel an order that has ended."""
    return invalid(f'order is already in "{status}" state')


def order_not_found(reference: str) -> NotFound:
    """Say that no such order is known (404, 40410000)."""
    return NotFound(f"order not found for {reference}")
