"""What a fault that strikes does: to the world, to a new order, to a cancel, to an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal

from Departments.brokers.simulated.faults import Call, Fault, first
from Departments.brokers.simulated.floor import Floor
from Departments.brokers.simulated.prices import chance
from Departments.brokers.simulated.records import Record
from Departments.brokers.simulated.state import ExchangeState
from Departments.core.money import ONE, ZERO
from Departments.core.orders import Order, OrderStatus

_SOON = timedelta(milliseconds=100)


def upset(floor: Floor, struck: Sequence[Fault], call: Call) -> None:
    """Move the world before the call is looked at: halts, prices, shares traded by somebody else."""
    for fault in struck:
        for symbol in sorted({fault.of} if fault.of else call.symbols):
            if fault.do == "halt":
                floor.halt(symbol, fault.seconds)
            elif fault.do == "set_price" and fault.price is not None:
                floor.set_price(symbol, fault.price)
            elif fault.do == "trade_outside" and fault.qty is not None:
                floor.trade_outside(symbol, fault.qty)


def spoiled_order(order: Record, struck: Sequence[Fault], state: ExchangeState) -> Record:
    """Return a new order as the state's partial fills and the faults want it."""
    if chance(state.seed, order.client_order_id, "partial") < float(state.partial_fills.rate):
        share = Decimal(str(round(chance(state.seed, order.client_order_id, "part"), 3)))
        order = _in_two(order, share, state.partial_fills.pause)
    if fault := first(struck, ("partial_then_silence",)):
        order = _in_two(order, fault.part, fault.seconds)
    if fault := first(struck, ("cash_lag",)):
        order = replace(order, cash_lag=fault.seconds or ZERO)
    if fault := first(struck, ("invisible",)):
        order = replace(order, visible_at=_later(order.submitted_at, fault.seconds))
    return replace(order, doomed=first(struck, ("reject",)) is not None)


def spoiled_cancel(record: Record, struck: Sequence[Fault], now: datetime) -> Record:
    """Return an order whose cancel was asked for as the faults want it."""
    if (fault := first(struck, ("fill_on_cancel",))) and record.live:
        part = fault.part if "part" in fault.model_fields_set else ONE
        confirmed = max(record.cancel_at or now, now + 2 * _SOON)
        record = replace(record, chunk=_whole(record.remaining * part) or None, cancel_at=confirmed)
        return replace(record, forced=True, next_at=now + _SOON)
    if fault := first(struck, ("stuck_cancel",)):
        return replace(record, silent=True, next_at=None, cancel_at=_later(now, fault.seconds))
    return record


def disguised(order: Order, struck: Sequence[Fault]) -> Order:
    """Return an order under the status that a fault makes the answer carry."""
    fault = first(struck, ("show_status",))
    return order if fault is None else replace(order, status=OrderStatus.parse(fault.status))


def _in_two(order: Record, share: Decimal, pause: Decimal | None) -> Record:
    chunk = _whole(order.qty * share)
    return replace(order, chunk=chunk, pause=pause) if ZERO < chunk < order.qty else order


def _whole(qty: Decimal) -> Decimal:
    return qty.quantize(ONE, rounding=ROUND_FLOOR)


def _later(moment: datetime, seconds: Decimal | None) -> datetime | None:
    return None if seconds is None else moment + timedelta(seconds=float(seconds))
