"""The script of the exchange's faults.

Each entry names a call (or `any`), optionally a symbol, side or client order id, the occurrence among the matching
calls (`occurrence`, default the first; `times` in a row, default 1, 0 for ever), and the fault (`do`):

    faults:
      - {call: submit, symbol: UPS, do: refuse, http_status: 403, code: 40310000, message: insufficient buying power}
      - {call: submit, symbol: DVN, do: timeout_before, takes: 15}   # it never arrives; the caller waits 15 s
      - {call: submit, symbol: EXE, do: timeout_after}               # accepted, but without an answer
      - {call: submit, symbol: EXE, do: invisible, seconds: 5}       # look-ups do not find it for 5 s
      - {call: submit, symbol: PLD, do: gateway_timeout}             # 504 after acceptance
      - {call: submit, side: BUY, occurrence: 3, do: reject}         # accepted, then rejected by the market
      - {call: submit, symbol: ALKS, do: partial_then_silence, part: 0.4}           # 40 % trade, then nothing
      - {call: submit, symbol: COMM, do: partial_then_silence, part: 0.5, seconds: 20}   # the rest after 20 s
      - {call: submit, symbol: CTVA, do: cash_lag, seconds: 8}       # proceeds show in the cash 8 s late
      - {call: submit, symbol: SN, do: halt, seconds: 30}            # SN is halted for 30 s (none: for good)
      - {call: account, do: set_price, of: UPS, price: 80}           # UPS costs $80 from that call on
      - {call: positions, do: trade_outside, of: UPS, qty: -20}      # somebody else sells 20 UPS
      - {call: cancel, symbol: CRDO, do: fill_on_cancel}             # it fills before the cancel
      - {call: cancel, symbol: AXTA, do: stuck_cancel, seconds: 60}  # pending_cancel for 60 s (none: for good)
      - {call: order, symbol: DVN, do: show_status, status: suspended, times: 3}   # in three answers
      - {call: account, occurrence: 2, times: 3, do: rate_limit}     # 429
      - {call: any, occurrence: 40, do: server_error}                # 500
      - {call: positions, do: malformed}                             # an unreadable answer
      - {call: orders, do: unauthorized}                             # 401

The exchange's file counts occurrences, so a restart does not begin the script anew. All entries that match a call
apply. `takes` (seconds of the clock) fits every entry without an answer. Events in the market (`halt`, `set_price`,
`trade_outside`) concern the symbol `of`, else the symbols of the call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import Field, model_validator

from Departments.core.money import ONE, ZERO, whole_shares
from Departments.core.orders import Order, OrderStatus, Side
from Departments.core.platform.text_files import read_document
from Departments.core.settings import Section
from Departments.core.validation import validate
from Departments.exchange.prices import draw_chance
from Departments.exchange.records import ExchangeError, Outage, Record
from Departments.exchange.rules import FORBIDDEN, make_refusal, wrong_keys
from Departments.exchange.state import ExchangeState, Number, Price, Seconds, Symbol
from Departments.exchange.storage import ExchangeFile

CallName = Literal[
    "submit", "cancel", "order", "order_by_client_id", "orders", "account", "positions", "fees", "assets", "quotes",
    "bars", "market_clock",
]  # fmt: skip
Deed = Literal[
    "refuse", "timeout_before", "rate_limit", "server_error", "unauthorized",
    "timeout_after", "gateway_timeout", "malformed",
    "reject", "partial_then_silence", "cash_lag", "invisible", "fill_on_cancel", "stuck_cancel", "show_status",
    "halt", "set_price", "trade_outside",
]  # fmt: skip

BEFORE: Final = frozenset({"refuse", "timeout_before", "rate_limit", "server_error", "unauthorized"})
AFTER: Final = frozenset({"timeout_after", "gateway_timeout", "malformed"})
_ONLY_IN: Final = {
    **dict.fromkeys(("reject", "partial_then_silence", "cash_lag", "invisible"), frozenset({"submit"})),
    **dict.fromkeys(("fill_on_cancel", "stuck_cancel"), frozenset({"cancel"})),
    "refuse": frozenset({"submit", "cancel"}),
    "show_status": frozenset({"submit", "order", "order_by_client_id", "orders"}),
}
_NEEDS: Final = {
    **dict.fromkeys(("cash_lag", "invisible"), "seconds"),
    "show_status": "status",
    "set_price": "price",
    "trade_outside": "qty",
}


@dataclass(frozen=True, slots=True)
class Call:
    """One call to the exchange."""

    name: CallName
    symbols: frozenset[str] = frozenset()
    side: Side | None = None
    client_order_id: str | None = None


class Fault(Section):
    """One entry of the script. `seconds` and `takes` in seconds; `part` of the order's quantity.

    `price` in dollars, `qty` in shares (negative: sold).
    """

    call: CallName | Literal["any"]
    do: Deed
    symbol: Symbol | None = None
    side: Side | None = None
    client_order_id: str | None = None
    occurrence: int = Field(1, ge=1)
    times: int = Field(1, ge=0)
    seconds: Seconds | None = None
    takes: Seconds = Decimal(0)
    part: Decimal = Field(Decimal("0.5"), gt=0, lt=1)
    of: Symbol | None = None
    price: Price | None = None
    qty: Number | None = None
    status: str = ""
    http_status: int = Field(403, ge=400, le=499)
    code: int = FORBIDDEN
    message: str = "order refused"
    body: Mapping[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check_sense(self) -> Self:
        calls = _ONLY_IN.get(self.do)
        if calls is not None and self.call not in calls:
            raise ValueError(f"{self.do} cannot happen to {self.call}; give call: {' or '.join(sorted(calls))}")
        needed = _NEEDS.get(self.do)
        if needed is not None and needed not in self.model_fields_set:
            raise ValueError(f"{self.do} lacks its {needed}; add it")
        return self

    def is_about(self, call: Call) -> bool:
        """Return whether the entry counts a call."""
        return (
            self.call in {"any", call.name}
            and (self.symbol is None or self.symbol in call.symbols)
            and (self.side is None or self.side is call.side)
            and (self.client_order_id is None or self.client_order_id == call.client_order_id)
        )

    def is_due(self, count: int) -> bool:
        """Return whether the entry applies to its `count`-th matching call."""
        return count >= self.occurrence and (self.times == 0 or count < self.occurrence + self.times)

    def make_error(self) -> ExchangeError:
        """Return the error for the caller."""
        if self.do == "refuse":
            return make_refusal(self.http_status, self.code, self.message, **self.body)
        if self.do == "unauthorized":
            return wrong_keys()
        status, sentence = _OUTAGES[self.do]
        return Outage(f"simulated exchange: {sentence} ({self.call})", status)


_OUTAGES: Final[dict[str, tuple[int | None, str]]] = {
    "timeout_before": (None, "no answer in time"),
    "timeout_after": (None, "no answer in time"),
    "gateway_timeout": (504, "504 gateway timeout"),
    "rate_limit": (429, "429 too many requests"),
    "server_error": (500, "500 internal server error"),
    "malformed": (200, "an answer that cannot be read"),
}


class FaultScript(Section):
    """A whole script."""

    faults: tuple[Fault, ...] = ()


def load_faults(path: Path) -> FaultScript:
    """Read a fault script (YAML, or JSON by its ending). Raises BadInput naming file, key and mend."""
    return validate(FaultScript, read_document(path), path)


class FaultDesk:
    """Counts calls, in the exchange's file, and finds their faults."""

    def __init__(self, script: FaultScript | None, storage: ExchangeFile) -> None:
        self._faults = script.faults if script else ()
        self._storage = storage

    def count(self, call: Call) -> tuple[Fault, ...]:
        """Count a call and return its faults."""
        counted = [(n, fault) for n, fault in enumerate(self._faults) if fault.is_about(call)]
        if not counted:
            return ()
        with self._storage.transaction():
            return tuple(fault for n, fault in counted if fault.is_due(self._count_entry(n)))

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
