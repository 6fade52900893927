"""Which BUYs the cash that is really there covers, and with how many shares. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_FLOOR, Decimal
from typing import Literal

from Departments.core.money import ONE, ZERO, cents, price_tick, shares_within, usd, whole_shares
from Departments.core.orders import MARKET_COLLAR
from Departments.core.plans import Trade
from Departments.core.portfolio import Account
from Departments.core.reasons import Reason, ReasonCode

Shortfall = Literal["by_priority", "pro_rata", "strict"]


@dataclass(frozen=True, slots=True)
class Funding:
    """What one BUY gets: `qty` shares, 0 when it is deferred; `reason` says why it is less than planned.

    `limit_price` is the most it may cost (dollars per share), None where it may cost what the market asks.
    """

    trade: Trade
    qty: Decimal
    reason: Reason | None = None
    limit_price: Decimal | None = None


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
    """The dollars that BUYs may spend, and what they were made of.

    `unsettled` is cash that must settle before it is spent; `lent` is the broker's buying power, where margin is
    allowed.
    """

    cash: Decimal
    expected_cash: Decimal
    open_buys: Decimal
    reserve: Decimal
    unsettled: Decimal = ZERO
    lent: Decimal | None = None

    @property
    def amount(self) -> Decimal:
        """Return min(account cash, start cash + actual fills − fees) − open buys − reserve; it may be negative.

        Buying power counts only where margin is allowed; the broker has taken the open buys from it.
        """
        if self.lent is not None:
            return self.lent
        return min(self.cash, self.expected_cash) - self.open_buys - max(self.reserve, self.unsettled)

    def after_sells(self, proceeds: Decimal, *, settling: bool) -> Budget:
        """Return the budget when SELLs will have brought `proceeds` (dollars), which may have to settle first."""
        return replace(
            self,
            cash=self.cash + proceeds,
            expected_cash=self.expected_cash + proceeds,
            unsettled=self.unsettled + proceeds if settling else ZERO,
            lent=None if self.lent is None else self.lent + proceeds,
        )


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

    def too_small(self, trade: Trade, qty: Decimal) -> Reason:
        """Return why `qty` more shares may not be bought."""
        value = self.worth(trade, qty)
        sentence = f"position would be {usd(value)} (< {usd(self.minimum)} minimum)"
        return Reason.of(ReasonCode.MIN_POSITION_VALUE, sentence, value=value, minimum=self.minimum)

    def objection(self, trade: Trade) -> Reason | None:
        """Return why a BUY is not sent however much cash there is; None for one that may be."""
        if trade.price is None:
            return Reason.of(ReasonCode.NO_PRICE)
        return None if self.allows(trade, trade.qty) else self.too_small(trade, trade.qty)


def fund(buys: Sequence[Trade], budget: Decimal, floor: Floor, shortfall: Shortfall) -> list[Funding]:
    """Share `budget` (dollars) among BUYs in score order.

    `by_priority` funds the best first and trims the one that does not fit; `pro_rata` makes all of them smaller
    alike; `strict` defers all of them when not all fit. Nobody gets less than the minimum; a BUY that is planned
    smaller, or has no price, is deferred and takes no cash from the others.
    """
    ranked = sorted(buys, key=lambda t: (-(t.score or ZERO), t.ticker))
    needed = sum((floor.cost(t, t.qty) for t in ranked if floor.objection(t) is None), ZERO)
    if needed > budget and shortfall == "strict":
        return [_none_of_all(trade, needed, budget, floor) for trade in ranked]
    share = max(ZERO, budget) / needed if needed > max(ZERO, budget) and shortfall == "pro_rata" else ONE
    funded, left = [], budget
    for trade in ranked:
        got = _funded(trade, min(left, floor.cost(trade, trade.qty) * share), floor)
        left -= floor.cost(trade, got.qty)
        funded.append(got)
    return funded


def capped(funded: Sequence[Funding], budget: Decimal) -> list[Funding]:
    """Give BUYs a limit where `budget` does not cover them all at the dearest price that a market order takes.

    What there is above their prices is shared alike, so that together they stay within it whatever the market does.
    """
    worth = sum((f.qty * (f.trade.price or ZERO) for f in funded), ZERO)
    if worth * (ONE + MARKET_COLLAR) <= max(ZERO, budget):
        return list(funded)
    return [replace(f, limit_price=_at_most(f.trade.price, budget / worth)) if f.qty else f for f in funded]


def _at_most(price: Decimal | None, factor: Decimal) -> Decimal | None:
    if price is None:
        return None
    most = price * factor
    return most.quantize(price_tick(most), rounding=ROUND_FLOOR)


def _funded(trade: Trade, money: Decimal, floor: Floor) -> Funding:
    objection = floor.objection(trade)
    if objection is not None or trade.price is None:
        return Funding(trade, ZERO, objection)
    covered = floor.cost(trade, trade.qty) <= money
    qty = min(whole_shares(trade.qty), shares_within(money, trade.price * (ONE + floor.buffer)))
    if not floor.allows(trade, qty):
        return Funding(trade, ZERO, floor.too_small(trade, qty) if covered else _no_cash(trade, money, floor))
    if qty == trade.qty:
        return Funding(trade, qty)
    if covered:
        return Funding(trade, qty, Reason.of(ReasonCode.INVALID_QUANTITY, planned=trade.qty, qty=qty))
    sentence = f"{trade.ticker} was trimmed from {trade.qty} to {qty} shares"
    reason = Reason.of(ReasonCode.TRIMMED_TO_CASH, sentence, planned=trade.qty, qty=qty, cash=cents(money))
    return Funding(trade, qty, reason)


def _no_cash(trade: Trade, money: Decimal, floor: Floor) -> Reason:
    needed, available = cents(floor.cost(trade, trade.qty)), cents(max(ZERO, money))
    return Reason.of(ReasonCode.INSUFFICIENT_CASH, needed=needed, available=available, minimum=cents(floor.minimum))


def _none_of_all(trade: Trade, needed: Decimal, budget: Decimal, floor: Floor) -> Funding:
    """Defer a BUY because all BUYs together cost too much, and none is to be made smaller."""
    of_all = Reason.of(
        ReasonCode.INSUFFICIENT_CASH,
        all_together=cents(needed),
        available=cents(max(ZERO, budget)),
        shortfall="strict",
    )
    return Funding(trade, ZERO, floor.objection(trade) or of_all)
