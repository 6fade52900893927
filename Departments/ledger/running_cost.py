"""The average cost of a holding as its fills, splits and renames come in. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from Departments.core.money import ZERO


@dataclass(slots=True)
class RunningCost:
    """Shares held of a symbol and their average cost in dollars a share, None if unknown.

    A SELL takes shares at the average, as the broker's entry price does. Of a short position nothing is known.
    """

    held: Decimal = ZERO
    price: Decimal | None = None

    @property
    def value(self) -> Decimal | None:
        """Return what the held shares cost in dollars, None if unknown."""
        return ZERO if not self.held else None if self.price is None else self.held * self.price

    def split(self, shares: Decimal, price: Decimal | None) -> None:
        """Change the shares by a split; `price` is the average after it."""
        self.price = price
        self._move(shares)

    def trade(self, shares: Decimal, price: Decimal | None) -> None:
        """Buy shares, or sell them (negative), at a price in dollars a share, None if unknown."""
        if shares > 0 and self.held >= 0:
            is_known = price is not None and (self.price is not None or not self.held)
            paid = (self.price or ZERO) * self.held + shares * (price or ZERO)
            self.price = paid / (self.held + shares) if is_known else None
        self._move(shares)

    def _move(self, shares: Decimal) -> None:
        self.held += shares
        if self.held <= 0:
            self.held, self.price = ZERO, None
