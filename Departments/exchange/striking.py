"""Strike with the faults of a script: count the calls, spoil orders, cancels and answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from Departments.core.money import ONE, ZERO, whole_shares
from Departments.core.orders import Order, OrderStatus
from Departments.exchange.derivation import draw_chance
from Departments.exchange.faults import Call, Fault, FaultScript
from Departments.exchange.records import Record
from Departments.exchange.state import ExchangeState
from Departments.exchange.storage import ExchangeFile


class FaultDesk:
    """Counts calls, in the exchange's file, and finds their faults."""

    def __init__(self, script: FaultScript | None, storage: ExchangeFile) -> None:
        self._faults = script.faults if script else ()
        self._script = script.fingerprint if script else ""
        self._storage = storage

    def count(self, call: Call) -> tuple[Fault, ...]:
        """Count a call and return its faults."""
        counted = [(n, fault) for n, fault in enumerate(self._faults) if fault.is_about(call)]
        if not counted:
            return ()
        with self._storage.transaction():
            first = self._find_first_entry()
            return tuple(fault for n, fault in counted if fault.is_due(self._count_entry(first + n)))

    def _find_first_entry(self) -> int:
        """Return the number of the script's first entry: each content has numbers of its own."""
        row = self._storage.row("SELECT first_entry FROM fault_scripts WHERE script = ?", (self._script,))
        if row is not None:
            return int(row[0])
        used = self._storage.row(
            "SELECT max((SELECT coalesce(max(entry) + 1, 0) FROM fault_counts), "
            "(SELECT coalesce(max(first_entry + entries), 0) FROM fault_scripts))"
        )
        first = int(used[0]) if used else 0
        values = (self._script, first, len(self._faults))
        self._storage.execute("INSERT INTO fault_scripts VALUES (?, ?, ?)", values)
        return first

    def _count_entry(self, entry: int) -> int:
        self._storage.execute(
            "INSERT INTO fault_counts VALUES (?, 1) ON CONFLICT (entry) DO UPDATE SET seen = seen + 1", (entry,)
        )
        row = self._storage.row("SELECT seen FROM fault_counts WHERE entry = ?", (entry,))
        return int(row["seen"]) if row else 0


def find_fault(faults: Iterable[Fault], deeds: Iterable[str]) -> Fault | None:
    """Return the first fault with one of `deeds`, or None."""
    return next((fault for fault in faults if fault.do in deeds), None)


_SOON = timedelta(milliseconds=100)


def spoil_order(order: Record, faults: Sequence[Fault], state: ExchangeState) -> Record:
    """Apply the state's partial fills and the faults to a new order."""
    if draw_chance(state.seed, order.client_order_id, "partial") < float(state.partial_fills.rate):
        share = Decimal(str(round(draw_chance(state.seed, order.client_order_id, "part"), 3)))
        order = _split(order, share, state.partial_fills.pause)
    if fault := find_fault(faults, ("partial_then_silence",)):
        order = _split(order, fault.part, fault.seconds)
    if fault := find_fault(faults, ("cash_lag",)):
        order = replace(order, cash_lag=fault.seconds or ZERO)
    if fault := find_fault(faults, ("invisible",)):
        order = replace(order, visible_at=_add_seconds(order.submitted_at, fault.seconds))
    return replace(order, doomed=find_fault(faults, ("reject",)) is not None)


def spoil_successor(order: Record, faults: Sequence[Fault]) -> Record:
    """Apply the faults to an order that is to replace another."""
    return replace(order, doomed=find_fault(faults, ("reject",)) is not None)


def spoil_cancel(record: Record, faults: Sequence[Fault], now: datetime) -> Record:
    """Apply the faults to an order with a requested cancel."""
    if (fault := find_fault(faults, ("fill_on_cancel",))) and record.live:
        part = fault.part if "part" in fault.model_fields_set else ONE
        confirmed = max(record.cancel_at or now, now + 2 * _SOON)
        record = replace(record, chunk=whole_shares(record.remaining * part) or None, cancel_at=confirmed)
        return replace(record, forced=True, next_at=now + _SOON)
    if fault := find_fault(faults, ("stuck_cancel",)):
        return replace(record, silent=True, next_at=None, cancel_at=_add_seconds(now, fault.seconds))
    return record


def disguise(order: Order, faults: Sequence[Fault]) -> Order:
    """Return an order with the false status of a fault, if any."""
    fault = find_fault(faults, ("show_status",))
    return order if fault is None else replace(order, status=OrderStatus.parse(fault.status))


def _split(order: Record, share: Decimal, pause: Decimal | None) -> Record:
    chunk = whole_shares(order.qty * share)
    return replace(order, chunk=chunk, pause=pause) if ZERO < chunk < order.qty else order


def _add_seconds(moment: datetime, seconds: Decimal | None) -> datetime | None:
    return None if seconds is None else moment + timedelta(seconds=float(seconds))
