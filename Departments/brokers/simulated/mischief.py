"""What a struck fault does to an order, as far as it shows in the order itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal

from Departments.brokers.simulated.book import Book
from Departments.brokers.simulated.faults import Fault, first
from Departments.brokers.simulated.prices import chance
from Departments.brokers.simulated.records import Record
from Departments.brokers.simulated.state import ExchangeState
from Departments.core.money import ONE, ZERO

_SOON = timedelta(milliseconds=100)


def spoil_order(
    records: tuple[Record, ...], struck: Sequence[Fault], state: ExchangeState, book: Book
) -> tuple[Record, ...]:
    """Return a new order and its legs as the faults and the state's partial fills want them."""
    order, *legs = records
    if chance(state.seed, order.client_order_id, "partial") < float(state.partial_fills.rate):
        share = Decimal(str(round(chance(state.seed, order.client_order_id, "part"), 3)))
        order = _in_two(order, share, state.partial_fills.pause)
    if fault := first(struck, ("partial_then_silence",)):
        order = _in_two(order, fault.part, fault.seconds)
    if fault := first(struck, ("cash_lag",)):
        order = replace(order, cash_lag=fault.seconds or ZERO)
    if fault := first(struck, ("halt",)):
        book.halt(order.symbol, _later(order.submitted_at, fault.seconds))
    order = replace(order, doomed=first(struck, ("reject",)) is not None)
    if fault := first(struck, ("invisible",)):
        seen = order.submitted_at + timedelta(seconds=float(fault.seconds or ZERO))
        return tuple(replace(r, visible_at=seen) for r in (order, *legs))
    return (order, *legs)


def spoil_cancel(record: Record, struck: Sequence[Fault], now: datetime) -> Record:
    """Return an order whose cancel was asked for as the faults want it."""
    if fault := first(struck, ("fill_on_cancel",)):
        chunk = _whole(record.remaining * fault.part) if "part" in fault.model_fields_set else None
        soon = min(now + _SOON, record.cancel_at or now)
        return replace(record, forced=True, live=True, next_at=soon, chunk=chunk or None)
    if fault := first(struck, ("stuck_cancel",)):
        return replace(record, silent=True, next_at=None, cancel_at=_later(now, fault.seconds))
    return record


def _in_two(order: Record, share: Decimal, pause: Decimal | None) -> Record:
    chunk = _whole(order.qty * share)
    return replace(order, chunk=chunk, pause=pause) if ZERO < chunk < order.qty else order


def _whole(qty: Decimal) -> Decimal:
    return qty.quantize(ONE, rounding=ROUND_FLOOR)


def _later(moment: datetime, seconds: Decimal | None) -> datetime | None:
    return None if seconds is None else moment + timedelta(seconds=float(seconds))
