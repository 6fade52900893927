"""Orders and fills as the exchange keeps them, the table of statuses, its errors."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from Departments.core.money import ZERO
from Departments.core.orders import Order, OrderClass, OrderScope, OrderStatus, OrderType, Side, TimeInForce
from Departments.core.orders import OrderStatus as S
from Departments.core.trading_calendar import EASTERN, next_close, trading_day


class ExchangeError(Exception):
    """The exchange refuses, or does not answer."""


class ExchangeRefusal(ExchangeError):  # noqa: N818 - the field's word
    """A refusal: HTTP status, code and body as Alpaca sends them, `message` its words."""

    def __init__(self, message: str, *, http_status: int, code: int | None, body: Mapping[str, object]) -> None:
        self.message = message
        self.http_status = http_status
        self.code = code
        self.body = body
        super().__init__(message)


class Outage(ExchangeError):  # noqa: N818
    """No answer, or a senseless one. `http_status` is Alpaca's, None for silence, 200 for an unreadable answer."""

    def __init__(self, message: str, http_status: int | None = None) -> None:
        self.http_status = http_status
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Anchor:
    """A price in dollars and its moment: where the price of a symbol starts, or starts again."""

    price: Decimal
    at: datetime


class Role(StrEnum):
    """The role of an order in its group: the entry, or one of the exits."""

    ENTRY = "entry"
    TAKE_PROFIT = "take_profit"
    STOP_LOSS = "stop_loss"


@dataclass(frozen=True, slots=True)
class Record:
    """An order with the exchange's private fields.

    `group` is the id of the client's order. A bracket's exit waits for its entry, and once `live` for its price. The
    next event is at the earliest of `next_at` (matching), `cancel_at` and `expires_at`. `limit` is the worst price:
    its own, or a market order's collar. `reserve` is the reserved buying power, dollars per share. `chunk` is the size
    of the next fill if it is a part, `pause` the seconds after it (None: silence). A `forced` order fills at any
    price; the market rejects a `doomed` one on arrival. `cash_lag` is the seconds until its proceeds show.
    A trailing stop follows the `best_price` since its arrival. While it is `pending_replace`, `cancel_at` is the
    moment at which `replaced_by` takes its place. `notional` is the dollars of an order by amount.
    """

    id: str
    client_order_id: str
    group: str
    role: Role
    symbol: str
    side: Side
    qty: Decimal
    type: OrderType
    time_in_force: TimeInForce
    order_class: OrderClass
    status: OrderStatus
    submitted_at: datetime
    updated_at: datetime
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    filled_qty: Decimal = ZERO
    filled_value: Decimal = ZERO
    filled_at: datetime | None = None
    expires_at: datetime | None = None
    next_at: datetime | None = None
    visible_at: datetime | None = None
    cancel_at: datetime | None = None
    limit: Decimal | None = None
    reserve: Decimal = ZERO
    chunk: Decimal | None = None
    pause: Decimal | None = None
    cash_lag: Decimal = ZERO
    live: bool = True
    triggered: bool = False
    silent: bool = False
    forced: bool = False
    doomed: bool = False
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    best_price: Decimal | None = None
    replaces: str | None = None
    replaced_by: str | None = None
    notional: Decimal | None = None

    @property
    def remaining(self) -> Decimal:
        """Return the shares not traded yet."""
        return self.qty - self.filled_qty

    def is_visible(self, now: datetime) -> bool:
        """Return whether look-ups find the order. Only a fault hides it, for a time."""
        return self.visible_at is None or self.visible_at <= now

    @property
    def is_arriving(self) -> bool:
        """Return whether the order is still on its way to the market."""
        return self.status in {OrderStatus.PENDING_NEW, OrderStatus.ACCEPTED}

    @property
    def is_exit(self) -> bool:
        """Return whether it is a bracket's or an OCO's exit."""
        return self.role is not Role.ENTRY

    @property
    def due_at(self) -> datetime | None:
        """Return the moment of the order's next event, None if it has none."""
        if self.status.is_terminal:
            return None
        return min((at for at in (self.next_at, self.cancel_at, self.expires_at) if at), default=None)

    def order(self, legs: tuple[Order, ...] = ()) -> Order:
        """Return the order for a client."""
        average = self.filled_value / self.filled_qty if self.filled_qty else None
        return Order(
            id=self.id,
            client_order_id=self.client_order_id,
            symbol=self.symbol,
            side=self.side,
            qty=self.qty if self.notional is None else self.filled_qty,
            status=self.status,
            filled_qty=self.filled_qty,
            filled_avg_price=average,
            type=self.type,
            time_in_force=self.time_in_force,
            order_class=self.order_class,
            limit_price=self.limit_price,
            stop_price=self.stop_price,
            submitted_at=self.submitted_at,
            updated_at=self.updated_at,
            filled_at=self.filled_at,
            replaces=self.replaces,
            replaced_by=self.replaced_by,
            expires_at=self.expires_at,
            trail_price=self.trail_price,
            trail_percent=self.trail_percent,
            notional=self.notional,
            legs=legs,
        )


@dataclass(frozen=True, slots=True)
class Fill:
    """One trade of an order: shares, price (dollars per share), fee (dollars), moment (UTC)."""

    id: str
    order_id: str
    client_order_id: str
    symbol: str
    side: Side
    qty: Decimal
    price: Decimal
    fee: Decimal
    at: datetime

    @property
    def cash(self) -> Decimal:
        """Return the change of the cash in dollars, fee included (negative for a BUY)."""
        value = self.qty * self.price
        return (value if self.side is Side.SELL else -value) - self.fee


class Event(StrEnum):
    """An event in the life of an order."""

    ACTIVATE = "activate"  # the market takes it
    PART = "part"  # some shares trade
    FILL = "fill"  # the last share trades
    RELEASE = "release"  # a held exit goes live
    ASK_CANCEL = "ask_cancel"
    CANCEL = "cancel"  # the cancel is confirmed, or the order's group ends
    EXPIRE = "expire"
    REJECT = "reject"
    SUSPEND = "suspend"
    RESUME = "resume"
    END_OF_DAY = "end_of_day"
    ASK_REPLACE = "ask_replace"
    REPLACE = "replace"


_ENDS: Final = {Event.ASK_CANCEL: S.PENDING_CANCEL, Event.CANCEL: S.CANCELED, Event.EXPIRE: S.EXPIRED}
_TRADES: Final = {Event.PART: S.PARTIALLY_FILLED, Event.FILL: S.FILLED}
_LIVE: Final = {**_ENDS, **_TRADES, Event.SUSPEND: S.SUSPENDED, Event.END_OF_DAY: S.DONE_FOR_DAY,
                Event.ASK_REPLACE: S.PENDING_REPLACE}  # fmt: skip
_ARRIVING: Final = {**_ENDS, Event.ACTIVATE: S.NEW, Event.REJECT: S.REJECTED, Event.SUSPEND: S.SUSPENDED}
_PAUSED: Final = {**_ENDS, **_TRADES, Event.RESUME: S.NEW}

TRANSITIONS: Final[Mapping[S, Mapping[Event, S]]] = {
    S.PENDING_REVIEW: _ARRIVING,
    S.PENDING_NEW: _ARRIVING,
    S.ACCEPTED: _ARRIVING,
    S.ACCEPTED_FOR_BIDDING: _ARRIVING,
    S.NEW: _LIVE,
    S.PARTIALLY_FILLED: _LIVE,
    S.HELD: {**_ENDS, **_TRADES, Event.RELEASE: S.NEW, Event.REPLACE: S.REPLACED},
    S.PENDING_CANCEL: {
        Event.PART: S.PENDING_CANCEL,
        Event.FILL: S.FILLED,
        Event.CANCEL: S.CANCELED,
        Event.EXPIRE: S.EXPIRED,
    },
    S.PENDING_REPLACE: {
        **_ENDS,
        Event.PART: S.PENDING_REPLACE,
        Event.FILL: S.FILLED,
        Event.REPLACE: S.REPLACED,
        Event.RESUME: S.NEW,
    },
    S.SUSPENDED: _PAUSED,
    S.STOPPED: _PAUSED,
    S.DONE_FOR_DAY: _PAUSED,
    S.CALCULATED: _PAUSED,
    S.FILLED: {},
    S.CANCELED: {},
    S.EXPIRED: {},
    S.REJECTED: {},
    S.REPLACED: {},
}


def next_status(status: S, event: Event) -> S:
    """Return the status after `event`. Raises ValueError for an impossible pair."""
    try:
        return TRANSITIONS[status][event]
    except KeyError as error:
        raise ValueError(f"an order that is {status} cannot {event}") from error


LIFE_OF_GTC: Final = timedelta(days=90)
_AGED_AT: Final = time(16, 15)  # Eastern


def find_expiry(time_in_force: TimeInForce, now: datetime) -> datetime:
    """Return the moment at which an order expires: the next close, or for GTC 90 days later at 4:15 p.m. Eastern.

    (https://docs.alpaca.markets/docs/orders-at-alpaca, "Aged order policy")
    """
    if time_in_force is TimeInForce.DAY:
        return next_close(now)
    return datetime.combine(trading_day(now) + LIFE_OF_GTC, _AGED_AT, EASTERN).astimezone(UTC)


Group = Callable[[str], list[Record]]


def list_orders(records: Iterable[Record], scope: OrderScope, now: datetime, group: Group) -> Sequence[Order]:
    """Return the visible orders of a scope, oldest first, legs nested in their parents.

    `open` never lists held legs, and lists a live leg by itself once its parent has ended. `records` hold the parent of
    each leg, unless it has ended, and, except for `open`, every leg of each parent.
    """
    found = list(records)
    running = {r.id for r in found if not r.status.is_terminal}
    legs = group if scope == "open" else _group_records(found)
    return [nest_legs(r, legs) for r in found if r.is_visible(now) and _is_in_scope(r, scope, running)]


def _group_records(records: Iterable[Record]) -> Group:
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record.group, []).append(record)
    return groups.__getitem__


def nest_legs(record: Record, group: Group) -> Order:
    """Return an order with its legs."""
    if record.order_class is OrderClass.SIMPLE or record.id != record.group:
        return record.order()
    return record.order(tuple(leg.order() for leg in group(record.id) if leg.id != record.id))


def _is_in_scope(record: Record, scope: OrderScope, running: Container[str]) -> bool:
    is_parent = record.id == record.group
    if scope == "all":
        return is_parent
    if scope == "closed":
        return is_parent and record.status.is_terminal
    if record.status.is_terminal or record.status is OrderStatus.HELD:
        return False
    return is_parent or record.group not in running
