"""The funding of BUYs: shares of each from the cash really there. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_FLOOR, Decimal
from typing import Literal

from Departments.constraints.amounts import cash_for_buys, is_large_enough, minimum_position, minimum_trade
from Departments.constraints.limits import Limits
from Departments.core.facts import Facts
from Departments.core.money import CENT, ONE, ZERO, cents, count_noun, price_tick, shares_within, usd, whole_shares
from Departments.core.orders import BUY_COLLAR, Side
from Departments.core.plans import Trade
from Departments.core.reasons import Reason, ReasonCode

Shortfall = Literal["by_priority", "pro_rata", "strict"]


@dataclass(frozen=True, slots=True)
class Decision:
    """A phase's decision on one trade: `sent` is the trade as it goes to Trading, None if it does not go.

    `planned` has the plan's price, `sent` that of now. `reason` explains fewer shares than planned. `limit_price` is
    the most a share may cost in dollars, None for any price.
    """

    planned: Trade
    sent: Trade | None
    reason: Reason | None = None
    limit_price: Decimal | None = None

    @classmethod
    def of(cls, planned: Trade, qty: Decimal, reason: Reason | None = None) -> Decision:
        """Return the decision to send `qty` shares of a trade, 0 for none."""
        return cls(planned, replace(planned, qty=qty) if qty > 0 else None, reason)

    @property
    def qty(self) -> Decimal:
        """Return the shares sent, 0 for none."""
        return ZERO if self.sent is None else self.sent.qty


def budget_for(facts: Facts, limits: Limits) -> Decimal:
    """Return the budget of BUYs in dollars; it may be negative.

    The broker's buying power counts only where margin is allowed; the broker has taken the open BUYs from it.
    """
    return facts.account.buying_power if limits.allow_margin else cash_for_buys(limits, facts)


def fund(
    buys: Sequence[Trade], facts: Facts, limits: Limits, shortfall: Shortfall, collar: Decimal = BUY_COLLAR
) -> list[Decision]:
    """Share the budget of this moment among BUYs in score order, at the price that each pays now.

    `by_priority` funds the best first and trims the one that does not fit; `pro_rata` makes all of them smaller
    alike; `strict` defers all of them when not all fit. Nobody gets less than the minimum; a BUY that is planned
    smaller, or has no price, is deferred and takes no cash from the others. A BUY that has become dearer gets no more
    than the money planned for it. Every BUY gets a limit: `collar` above its price (a share of one), or less where
    the budget does not cover all of them there.
    """
    priced = [replace(t, price=facts.of(t.symbol).price_for(Side.BUY) or t.price) for t in buys]
    prices = {t.symbol: t.price for t in buys if t.price is not None}
    planned = {
        t.symbol: t.notional * (ONE + limits.deployment.price_buffer_pct) for t in buys if t.notional is not None
    }
    budget, sizes = budget_for(facts, limits), _Sizes(facts, limits, planned, prices)
    funded = _cap(_share_out(sorted(priced, key=in_score_order), budget, sizes, shortfall), budget, collar)
    asked = {t.symbol: t for t in buys}
    return [replace(each, planned=asked[each.planned.symbol]) for each in funded]


def in_score_order(trade: Trade) -> tuple[Decimal, str]:
    """Return the sort key of a trade: the highest score first, ties by symbol."""
    return -(trade.score or ZERO), trade.symbol


@dataclass(frozen=True, slots=True)
class _Sizes:
    """The least size of positions, the highest cost of shares within the price buffer, the money `planned` for each.

    `prices` are the plan's, in dollars a share.
    """

    facts: Facts
    limits: Limits
    planned: Mapping[str, Decimal]
    prices: Mapping[str, Decimal]

    @property
    def minimum(self) -> Decimal:
        return minimum_position(self.limits, self.facts.equity)

    def dearest(self, trade: Trade) -> Decimal:
        return (trade.price or ZERO) * (ONE + self.limits.deployment.price_buffer_pct)

    def cost(self, trade: Trade, qty: Decimal) -> Decimal:
        return qty * self.dearest(trade)

    def most(self, trade: Trade) -> Decimal:
        """Return the most shares: those planned, or what the money planned for them buys."""
        planned = self.planned.get(trade.symbol)
        whole = whole_shares(trade.qty)
        return whole if planned is None or not trade.price else min(whole, shares_within(planned, trade.price))

    def full_cost(self, trade: Trade) -> Decimal:
        """Return the cost of the most shares."""
        return self.cost(trade, self.most(trade))

    def worth(self, trade: Trade, qty: Decimal) -> Decimal:
        """Return the position's value with `qty` more shares."""
        return self.facts.held_value(trade.symbol) + qty * (trade.price or ZERO)

    def allow(self, trade: Trade, qty: Decimal) -> bool:
        """Return whether a BUY of `qty` shares is large enough; all that is planned is judged as the engine does."""
        if qty < whole_shares(trade.qty):
            return qty > 0 and self.worth(trade, qty) >= self.minimum
        return qty > 0 and is_large_enough(self.limits, self.facts, trade, self.prices.get(trade.symbol))

    def is_crumb(self, trade: Trade, qty: Decimal) -> bool:
        """Return whether cash leaves less of a top-up than the smallest one."""
        is_held = self.facts.held_value(trade.symbol) > 0
        return is_held and qty * (trade.price or ZERO) < minimum_trade(self.limits, self.facts.equity)

    def too_small(self, trade: Trade, qty: Decimal) -> Reason:
        value = self.worth(trade, qty)
        sentence = f"position would be {usd(value)} (< {usd(self.minimum)} minimum)"
        return Reason.of(ReasonCode.MIN_POSITION_VALUE, sentence, value=value, minimum=self.minimum)

    def lack(self, code: ReasonCode, sentence: str = "", **values: object) -> Reason:
        """Return why cash is short: by `code`, or because the account is still behind the fills."""
        expected = self.facts.run.expected_cash if self.facts.run is not None else None
        awaited = ZERO if expected is None else cents(expected - self.facts.cash)
        if awaited <= CENT:
            return Reason.of(code, sentence, **values)
        return Reason.of(ReasonCode.CASH_LAG, sentence, **values, awaited=awaited)

    def objection(self, trade: Trade) -> Reason | None:
        """Return why no cash is enough for a BUY, or None."""
        if trade.price is None:
            return Reason.of(ReasonCode.NO_PRICE)
        return None if self.allow(trade, trade.qty) else self.too_small(trade, trade.qty)


def _share_out(ranked: Sequence[Trade], budget: Decimal, sizes: _Sizes, shortfall: Shortfall) -> list[Decision]:
    needed = sum((sizes.full_cost(t) for t in ranked if sizes.objection(t) is None), ZERO)
    if needed > budget and shortfall == "strict":
        return [_none_of_all(trade, needed, budget, sizes) for trade in ranked]
    share = max(ZERO, budget) / needed if needed > max(ZERO, budget) and shortfall == "pro_rata" else ONE
    funded, left = [], budget
    for trade in ranked:
        got = _fund_one(trade, min(left, sizes.full_cost(trade) * share), sizes)
        left -= sizes.cost(trade, got.qty)
        funded.append(got)
    return funded


def _cap(funded: Sequence[Decision], budget: Decimal, collar: Decimal) -> list[Decision]:
    """Limit every BUY: all alike, so that their sum at the limits stays within the budget."""
    worth = sum((f.qty * (f.planned.price or ZERO) for f in funded), ZERO)
    most = ONE + collar
    if worth > 0 and worth * most > budget:
        most = budget / worth
    return [replace(f, limit_price=_at_most(f.planned.price, most)) if f.sent else f for f in funded]


def _at_most(price: Decimal | None, factor: Decimal) -> Decimal | None:
    if price is None:
        return None
    most = price * factor
    return most.quantize(price_tick(most), rounding=ROUND_FLOOR)


def _fund_one(trade: Trade, money: Decimal, sizes: _Sizes) -> Decision:
    objection = sizes.objection(trade)
    if objection is not None or trade.price is None:
        return Decision(trade, None, objection)
    most, covered = sizes.most(trade), sizes.full_cost(trade) <= money
    qty = min(most, shares_within(money, sizes.dearest(trade)))
    if not covered and qty < most and sizes.is_crumb(trade, qty):
        return Decision(trade, None, _no_cash(trade, money, sizes))
    if not sizes.allow(trade, qty):
        return Decision(trade, None, sizes.too_small(trade, qty) if covered else _no_cash(trade, money, sizes))
    if qty == trade.qty:
        return Decision.of(trade, qty)
    return Decision.of(trade, qty, _explain_trim(trade, qty, money, sizes, covered=covered))


def _explain_trim(trade: Trade, qty: Decimal, money: Decimal, sizes: _Sizes, *, covered: bool) -> Reason:
    """Return why a BUY has fewer shares than planned: a fraction, its price, or the cash."""
    if covered and qty == whole_shares(trade.qty):
        return Reason.of(ReasonCode.INVALID_QUANTITY, planned=trade.qty, qty=qty)
    sentence = f"{trade.symbol} was trimmed from {trade.qty} to {count_noun(qty, 'share')}"
    if covered:
        planned = cents(sizes.planned[trade.symbol])
        return Reason.of(
            ReasonCode.TRIMMED_TO_BUDGET, sentence, planned=trade.qty, qty=qty, price=trade.price, money=planned
        )
    return sizes.lack(ReasonCode.TRIMMED_TO_CASH, sentence, planned=trade.qty, qty=qty, cash=cents(money))


def _no_cash(trade: Trade, money: Decimal, sizes: _Sizes) -> Reason:
    needed, available = cents(sizes.cost(trade, trade.qty)), cents(max(ZERO, money))
    return sizes.lack(ReasonCode.INSUFFICIENT_CASH, needed=needed, available=available, minimum=cents(sizes.minimum))


def _none_of_all(trade: Trade, needed: Decimal, budget: Decimal, sizes: _Sizes) -> Decision:
    """Defer a BUY because all together cost too much and none may shrink."""
    of_all = sizes.lack(
        ReasonCode.INSUFFICIENT_CASH,
        all_together=cents(needed),
        available=cents(max(ZERO, budget)),
        shortfall="strict",
    )
    return Decision(trade, None, sizes.objection(trade) or of_all)
