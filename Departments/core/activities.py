"""A broker's bookings on an account: fills, money in and out, dividends, fees, splits, new symbols. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from Departments.core.orders import Side


class ActivityKind(StrEnum):
    """The kind of an activity. The broker's own word is beside it."""

    FILL = "fill"
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    DIVIDEND = "dividend"
    INTEREST = "interest"
    FEE = "fee"
    SPLIT = "split"
    RENAME = "rename"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Activity:
    """One booking. `id` is the broker's, `word` its word for the kind, `at` the moment of booking (UTC).

    `cash` is the signed change of the cash in dollars: 0 for a split, None if the broker does not say. `qty` is the
    shares that traded, earned the dividend or changed their symbol; for a split it is the change of the shares held.
    `price` is dollars per share. `ratio` is a split's new shares for each old one, None if unknown. A rename has the
    old `symbol` and, where the broker names it, the `new_symbol`. Activities of one event share a `group`.
    A canceled activity has no effect.
    """

    id: str
    kind: ActivityKind
    word: str
    at: datetime | None
    day: date
    cash: Decimal | None
    symbol: str = ""
    side: Side | None = None
    qty: Decimal | None = None
    price: Decimal | None = None
    order_id: str = ""
    ratio: Decimal | None = None
    new_symbol: str = ""
    group: str = ""
    canceled: bool = False
    description: str = ""
