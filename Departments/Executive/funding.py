"""Which BUYs the cash that is really there covers, and with how many shares. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from Departments.core.money import ONE, ZERO, cents, shares_within, usd
from Departments.core.plans import Trade
from Departments.core.portfolio import Account
from Departments.core.reasons import Reason, ReasonCode

Shortfall = Literal["by_priority", "pro_rata", "strict"]


@dataclass(frozen=True, slots=True)
class Funding:
    """What one BUY gets: `qty` shares, 0 when it is deferred; `reason` says why it is less than planned."""

    trade: Trade
    qty: Decimal
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class CashCount:
    """The account as it is, the cash (dollars) that it should have by fills and fees, and those fees."""

    account: Account
    expected_cash: Decimal
    fees: Decimal

    @property
    def difference(self) -> Decimal:
        """Return what nobody can explain, to the cent: negative when cash is missing."""
        return cents(self.account.cash - self.expected_cash)


@dataclass(frozen=True, slots=True)
class Budget:
    """The dollars that BUYs may spend, and what they were made of."""

    cash: Decimal
    expected_cash: Decimal
    open_buys: Decimal
    reserve: Decimal

    @property
    def amount(self) -> Decimal:
        """Return min(account cash, start cash + actual fills − fees) − open buys − reserve; it may be negative."""
        return min(self.cash, self.expected_cash) - self.open_buys - self.reserve


@dataclass(frozen=True, slots=True)
class Floor:
    """The smallest position (dollars), what is held of each symbol already, and the price buffer (0.01 is 1 %)."""

    minimum: Decimal
    held: Mapping[str, Decimal]
    buffer: Decimal

    def cost(self, trade: Trade, qty: Decimal) -> Decimal:
        """Return what `qty` shares may cost at most, buffer included."""
        return qty * (trade.price or ZERO) * (ONE + self.buffer)

    def worth(self, trade: Trade, qty: Decimal) -> Decimal:
        """Return what the position would be worth with `qty` more shares."""
        return self.held.get(trade.ticker, ZERO) + qty * (trade.price or ZERO)

    def allows(self, trade: Trade, qty: Decimal) -> bool:
        """Tell whether the position would be large enough with `qty` more shares."""
        return qty > 0 and self.worth(trade, qty) >= self.minimum

    def objection(self, trade: Trade) -> Reason | None:
        """Return why a BUY is not sent however much cash there is; None for one that may be."""
        if trade.price is None:
            return Reason.of(ReasonCode.NO_PRICE)
        if self.allows(trade, trade.qty):
            return None
        value = self.worth(trade, trade.qty)
        sentence = f"position would be {usd(value)} (< {usd(self.minimum)} minimum)"
        return Reason.of(ReasonCode.MIN_POSITION_VALUE, sentence, value=value, minimum=self.minimum)


def fund(buys: Sequence[Trade], budget: Decimal, floor: Floor, shortfall: Shortfall) -> list[Funding]:
    """Share `budget` (dollars) among BUYs in score order.

    `by_priority` funds the best first and trims the one that does not fit; `pro_rata` makes all of them smaller
    alike; `strict` defers all of them when not all fit. Nobody gets less than the minimum; a BUY that is planned
    smaller, or has no price, is deferred and takes no cash from the others.
    """
    ranked = sorted(buys, key=lambda t: (-(t.score or ZERO), t.ticker))
    needed = sum((floor.cost(t, t.qty) for t in ranked if floor.objection(t) is None), ZERO)
    if needed > budget and shortfall == "strict":
        return [_deferred(trade, budget, floor) for trade in ranked]
    share = max(ZERO, budget) / needed if needed > max(ZERO, budget) and shortfall == "pro_rata" else ONE
    funded, left = [], budget
    for trade in ranked:
        got = _funded(trade, min(left, floor.cost(trade, trade.qty) * share), floor)
        left -= floor.cost(trade, got.qty)
        funded.append(got)
    return funded


def _funded(trade: Trade, money: Decimal, floor: Floor) -> Funding:
    if trade.price is None:
        return _deferred(trade, money, floor)
    qty = min(trade.qty, shares_within(money, trade.price * (ONE + floor.buffer)))
    if not floor.allows(trade, qty):
        return _deferred(trade, money, floor)
    if qty < trade.qty:
        sentence = f"{trade.ticker} was trimmed from {trade.qty} to {qty} shares"
        reason = Reason.of(ReasonCode.TRIMMED_TO_CASH, sentence, planned=trade.qty, qty=qty, cash=cents(money))
        return Funding(trade, qty, reason)
    return Funding(trade, qty)


def _deferred(trade: Trade, money: Decimal, floor: Floor) -> Funding:
    needed, available = cents(floor.cost(trade, trade.qty)), cents(max(ZERO, money))
    short = Reason.of(ReasonCode.INSUFFICIENT_CASH, needed=needed, available=available, minimum=cents(floor.minimum))
    return Funding(trade, ZERO, floor.objection(trade) or short)
