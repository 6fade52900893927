"""The account and its positions, as values. Pure.

Money is in dollars, quantities in shares. None means *unknown*, never zero.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from Departments.core.money import ONE, ZERO

UNKNOWN_SECTOR = "Unknown"
#: A number of so many characters shows five of them, a longer one six; four at least stay hidden.
SHOWN_IN_PART = 9


@dataclass(frozen=True, slots=True)
class Account:
    """The broker's account. `cash` is not reduced by open buys; `buying_power` is, and may include margin.

    `may_trade` is the broker's verdict; `blocks` (its closed gates) and `status` (its word) are for people.
    `id` is the broker's own, empty if it has none. `number` is the one that its owner knows: it is shown and kept
    masked only.
    """

    cash: Decimal
    equity: Decimal
    buying_power: Decimal
    multiplier: Decimal = ONE
    status: str = "ACTIVE"
    may_trade: bool = True
    blocks: tuple[str, ...] = ()
    last_equity: Decimal | None = None
    unsettled_cash: Decimal | None = None
    id: str = ""
    number: str = field(default="", repr=False, compare=False)

    @property
    def masked(self) -> str:
        """Return the number with its middle hidden: `PA3…7QX`. A short one is hidden whole, none is empty."""
        length = len(self.number)
        if length < SHOWN_IN_PART:
            return "…" if self.number else ""
        return f"{self.number[: 2 if length == SHOWN_IN_PART else 3]}…{self.number[-3:]}"


@dataclass(frozen=True, slots=True)
class Position:
    """Shares held of one symbol (negative: sold short). `qty_available` excludes shares held by open orders.

    At least one of the two prices is known. `asset_id` is the broker's name of the asset; it stays when the symbol
    changes.
    """

    symbol: str
    qty: Decimal
    avg_entry_price: Decimal | None
    current_price: Decimal | None
    qty_available: Decimal | None = None
    sector: str | None = None
    score: Decimal | None = None
    asset_id: str = ""

    @property
    def market_value(self) -> Decimal:
        """Return the value at the current price, else at the entry price."""
        return self.qty * self.price

    @property
    def price(self) -> Decimal:
        """Return the current price, else the entry price."""
        return (self.avg_entry_price or ZERO) if self.current_price is None else self.current_price

    @property
    def available(self) -> Decimal:
        """Return the shares free to sell now."""
        return self.qty if self.qty_available is None else self.qty_available
