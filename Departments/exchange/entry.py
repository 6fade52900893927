"""The entry of orders: each is judged, given its records and its moment of arrival."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal
from typing import Final

from Departments.core.money import ZERO
from Departments.core.orders import OrderRequest
from Departments.exchange.accounting import Accounting
from Departments.exchange.book import ExchangeBook
from Departments.exchange.matching import Engine
from Departments.exchange.prices import Market
from Departments.exchange.records import Record
from Departments.exchange.rules import OrderCase, check_order, make_records

FRACTION: Final = Decimal("0.000000001")  # the smallest part of a share

Spoil = Callable[[Record], Record]


def _unspoilt(record: Record) -> Record:
    return record


@dataclass(frozen=True, slots=True)
class OrderEntry:
    """Accepts orders of the client and of strangers in the same account."""

    book: ExchangeBook
    market: Market
    engine: Engine
    accounting: Accounting

    def accept(
        self, request: OrderRequest, now: datetime, *, notional: Decimal | None = None, spoil: Spoil = _unspoilt
    ) -> Record:
        """Accept an order inside the caller's transaction. Raises ExchangeRefusal.

        An order by `notional` (dollars) trades the shares that it pays for at its limit, else at the ask.
        """
        quote = self.market.quote(request.symbol, now)
        if notional is not None and quote is not None:
            price = request.limit_price or quote.ask or quote.price
            request = replace(request, qty=(notional / price).quantize(FRACTION, rounding=ROUND_FLOOR))
        case = self._case(request, now, quote.ask if quote else None)
        check_order(case)
        order, *legs = make_records(request, now, case.reserve)
        order = spoil(replace(self.engine.schedule(order, now), notional=notional))
        for record in (order, *(replace(leg, visible_at=order.visible_at) for leg in legs)):
            self.book.save(record)
        return order

    def _case(self, request: OrderRequest, now: datetime, ask: Decimal | None) -> OrderCase:
        listings = self.market.listings
        return OrderCase(
            request=request,
            id_used=self.book.find_by_client_id(request.client_order_id) is not None,
            asset=listings.asset(request.symbol) if self.market.is_listed(request.symbol, now) else None,
            ask=ask,
            held_qty=self.book.holding(request.symbol).qty,
            held_for_orders=self.book.held_shares(request.symbol).get(request.symbol, ZERO),
            open_orders=self.book.open_orders(request.symbol),
            account=self.accounting.account(now),
        )
