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
      - {call: cancel, symbol: CRDO, do: fill_on_cancel}             # it fills before the cancel
      - {call: cancel, symbol: AXTA, do: stuck_cancel, seconds: 60}  # pending_cancel for 60 s (none: for good)
      - {call: replace, symbol: PLD, do: reject}                     # the new order is rejected, the old one goes on
      - {call: order, symbol: DVN, do: show_status, status: suspended, times: 3}   # in three answers
      - {call: account, occurrence: 2, times: 3, do: rate_limit}     # 429
      - {call: any, occurrence: 40, do: server_error}                # 500
      - {call: positions, do: malformed}                             # an unreadable answer
      - {call: orders, do: unauthorized}                             # 401
      - {call: submit, symbol: SN, do: halt, seconds: 30}            # SN is halted for 30 s (none: for good)
      - {call: submit, symbol: SN, occurrence: 2, do: resume}        # SN trades again
      - {call: account, do: set_price, of: UPS, price: 80}           # UPS costs $80 from that call on
      - {call: positions, do: trade_outside, of: UPS, qty: -20}      # somebody else sells 20 UPS
      - {call: account, do: place_order, order: {symbol: UPS, side: SELL, qty: 5, type: stop, stop_price: 86}}
      - {call: account, do: deposit, amount: 20000}                  # money is paid in
      - {call: account, do: withdraw, amount: 500}                   # and out
      - {call: account, do: interest, amount: -3.20}                 # paid; above zero it is earned
      - {call: account, do: fee, amount: 0.46}                       # one fee by itself
      - {call: positions, do: dividend, of: UPS, amount: 1.64, pay_on: 2025-12-04}   # for each share held now
      - {call: positions, do: split, of: XSP, ratio: 10}             # ten shares for one; 1:10 is a reverse split
      - {call: positions, do: rename, of: SQ, to: XYZ}               # SQ is called XYZ from then on

The exchange's file counts occurrences by the script's content: a restart does not begin the script anew, and another
script has counts of its own. All entries that match a call apply. `takes` (seconds of the clock) fits every entry
without an answer. Events happen before the call; `halt`, `resume`, `set_price` and `trade_outside` concern the symbol
`of`, else the symbols of the call.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import Field, model_validator

from Departments.core.orders import Side
from Departments.core.platform.text_files import read_document
from Departments.core.settings import Section
from Departments.core.validation import validate
from Departments.exchange.field_types import Number, Price, Ratio, Seconds, Symbol
from Departments.exchange.market_events import NEEDS, MarketEvent, PlacedOrder
from Departments.exchange.records import ExchangeError, Outage
from Departments.exchange.rules import FORBIDDEN, make_refusal, wrong_keys

CallName = Literal[
    "submit", "cancel", "replace", "order", "order_by_client_id", "orders", "account", "positions", "fees",
    "activities", "announcements", "assets", "quotes", "bars", "market_clock",
]  # fmt: skip
Deed = Literal[
    "refuse", "timeout_before", "rate_limit", "server_error", "unauthorized",
    "timeout_after", "gateway_timeout", "malformed",
    "reject", "partial_then_silence", "cash_lag", "invisible", "fill_on_cancel", "stuck_cancel", "show_status",
    "deposit", "withdraw", "dividend", "interest", "fee", "split", "rename",
    "halt", "resume", "set_price", "trade_outside", "place_order",
]  # fmt: skip

BEFORE: Final = frozenset({"refuse", "timeout_before", "rate_limit", "server_error", "unauthorized"})
AFTER: Final = frozenset({"timeout_after", "gateway_timeout", "malformed"})
_ONLY_IN: Final = {
    **dict.fromkeys(("partial_then_silence", "cash_lag", "invisible"), frozenset({"submit"})),
    **dict.fromkeys(("fill_on_cancel", "stuck_cancel"), frozenset({"cancel"})),
    "reject": frozenset({"submit", "replace"}),
    "refuse": frozenset({"submit", "cancel", "replace"}),
    "show_status": frozenset({"submit", "replace", "order", "order_by_client_id", "orders"}),
}
#: The events that may concern the symbols of the call.
_OF_THE_CALL: Final = frozenset({"halt", "resume", "set_price", "trade_outside"})
_NEEDS: Final[dict[str, tuple[str, ...]]] = {
    **{name: tuple(key for key in keys if key != "of" or name not in _OF_THE_CALL) for name, keys in NEEDS.items()},
    **dict.fromkeys(("cash_lag", "invisible"), ("seconds",)),
    "show_status": ("status",),
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

    call: CallName | Literal["any"] = Field(description="the call that it happens to")
    do: Deed = Field(description="what happens")
    symbol: Symbol | None = Field(None, description="only calls about this symbol")
    side: Side | None = Field(None, description="only orders of this side")
    client_order_id: str | None = Field(None, description="only the order with this id")
    occurrence: int = Field(1, ge=1, description="the first of the matching calls that it happens to")
    times: int = Field(1, ge=0, description="how many calls in a row; 0 for ever")
    seconds: Seconds | None = Field(None, description="how long")
    takes: Seconds = Field(Decimal(0), description="seconds that the caller waits for an answer that does not come")
    part: Decimal = Field(Decimal("0.5"), gt=0, lt=1, description="share of the order")
    of: Symbol | None = Field(None, description="the symbol of an event, if not the call's")
    price: Price | None = Field(None, description="dollars per share")
    qty: Number | None = Field(None, description="shares; negative sells")
    amount: Number | None = Field(None, description="dollars; of a dividend dollars per share")
    pay_on: date | None = Field(None, description="the day a dividend is paid; at once without it")
    ratio: Ratio | None = Field(None, description="new shares for each old one: 10, 10:1 or 1:10")
    to: Symbol | None = Field(None, description="the new symbol")
    order: PlacedOrder | None = Field(None, description="the order of somebody else")
    status: str = Field("", description="the word to show")
    http_status: int = Field(403, ge=400, le=499, description="of a refusal")
    code: int = Field(FORBIDDEN, description="Alpaca's code of a refusal")
    message: str = Field("order refused", description="the words of a refusal")
    body: Mapping[str, Any] = Field(default_factory=dict, description="further fields of a refusal's answer")

    @model_validator(mode="after")
    def _check_sense(self) -> Self:
        calls = _ONLY_IN.get(self.do)
        if calls is not None and self.call not in calls:
            raise ValueError(
                f"{self.do} cannot happen to {self.call}; give call: {' or '.join(sorted(calls, reverse=True))}"
            )
        missing = next((key for key in _NEEDS.get(self.do, ()) if key not in self.model_fields_set), None)
        if missing is not None:
            raise ValueError(f"{self.do} lacks its {missing}; add it")
        for _ in self.events(["ANY"]):
            pass  # an event is checked by its own model
        return self

    def events(self, symbols: Iterable[str]) -> Iterator[MarketEvent]:
        """Yield the events of an entry, for the call's symbols unless it names its own."""
        if self.do not in NEEDS:
            return
        given = {name: getattr(self, name) for name in MarketEvent.model_fields if name in self.model_fields_set}
        for symbol in [self.of] if self.of or self.do not in _OF_THE_CALL else symbols:
            yield MarketEvent(**given | {"of": symbol})

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

    faults: tuple[Fault, ...] = Field((), description="the entries, in any order")

    @property
    def fingerprint(self) -> str:
        """Return the digest of the content: equal scripts count together, comments apart."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def load_faults(path: Path) -> FaultScript:
    """Read a fault script (YAML, or JSON by its ending). Raises BadInput naming file, key and mend."""
    return validate(FaultScript, read_document(path), path)
