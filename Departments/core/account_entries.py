"""What moved the account besides our orders, and what is still unexplained. Pure.

The book of the account is its opening balance, the ledger's fills and the bookings. Where the account differs from
its book, a person has to look.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from Departments.core.money import ZERO


class EntryKind(StrEnum):
    """The kind of a booking."""

    OPENING = "opening balance"
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    DIVIDEND = "dividend"
    INTEREST = "interest"
    FEE = "fee"
    FOREIGN_TRADE = "trade by somebody else"
    SPLIT = "split"
    RENAME = "symbol change"
    OTHER = "other booking"
    ACCEPTED = "accepted by a person"
    EXPLAINED = "explained later"  # takes back an accepted amount that an activity explains


class DifferenceKind(StrEnum):
    """The kind of an unexplained difference."""

    MISSING_SHARES = "missing shares"
    UNKNOWN_SHARES = "unknown shares"
    UNEXPLAINED_CASH = "unexplained cash"


@dataclass(frozen=True, slots=True)
class AccountEntry:
    """One change of the account by something else than our orders.

    `qty` (shares, signed) changes the holding of `symbol`, `cash` (dollars, signed) the cash; `price` is dollars per
    share. `activity_id` is the broker's, empty without one. `noted_at` is the moment of the booking here.
    """

    kind: EntryKind
    day: date
    noted_at: datetime
    symbol: str = ""
    qty: Decimal = ZERO
    price: Decimal | None = None
    cash: Decimal = ZERO
    activity_id: str = ""
    sentence: str = ""

    @property
    def is_against_its_kind(self) -> bool:
        """Return whether the cash has the wrong sign for its kind, like interest that is paid."""
        return self.cash * _AGAINST.get(self.kind, (0, ""))[0] > 0

    @property
    def title(self) -> str:
        """Return the words for its kind, or for the opposite if its cash is against it."""
        return _AGAINST[self.kind][1] if self.is_against_its_kind else self.kind.capitalize()


#: The sign of cash that is against a kind, and the words for it.
_AGAINST: Final[Mapping[EntryKind, tuple[int, str]]] = {
    EntryKind.DEPOSIT: (-1, "Deposit taken back"),
    EntryKind.WITHDRAWAL: (1, "Withdrawal returned"),
    EntryKind.DIVIDEND: (-1, "Dividend paid"),
    EntryKind.INTEREST: (-1, "Interest paid"),
    EntryKind.FEE: (1, "Fee refunded"),
}


@dataclass(frozen=True, slots=True)
class AccountDifference:
    """An unexplained difference: account minus book, in shares of a symbol or in dollars, first seen `since`."""

    kind: DifferenceKind
    symbol: str
    qty: Decimal
    cash: Decimal
    since: datetime
    sentence: str


@dataclass(frozen=True, slots=True)
class Statement:
    """The account's cash (dollars) at the end of a run, and its book: cash, shares by symbol, last entry and fill."""

    plan_id: str
    at: datetime
    cash: Decimal
    book_cash: Decimal
    holdings: dict[str, Any]
    last_entry: int
    last_fill: int
