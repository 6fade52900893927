"""Order statuses and what may happen to them: one table.

The statuses are Alpaca's (https://docs.alpaca.markets/docs/orders-at-alpaca). A pair that is not in the table
cannot happen; a status without events is terminal. A few rows belong to statuses that only a fault script brings
about; they stand here so that the table is whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from Departments.core.orders import OrderStatus as S


class Event(StrEnum):
    """What happens to an order."""

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
    S.HELD: {**_ENDS, **_TRADES, Event.RELEASE: S.NEW},
    S.PENDING_CANCEL: {
        Event.PART: S.PENDING_CANCEL,
        Event.FILL: S.FILLED,
        Event.CANCEL: S.CANCELED,
        Event.EXPIRE: S.EXPIRED,
    },
    S.PENDING_REPLACE: {**_ENDS, **_TRADES, Event.REPLACE: S.REPLACED, Event.RESUME: S.NEW},
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


def after(status: S, event: Event) -> S:
    """Return the status that `event` leads to. Raises ValueError for a pair that cannot happen."""
    try:
        return TRANSITIONS[status][event]
    except KeyError as error:
        raise ValueError(f"an order that is {status} cannot {event}") from error
