"""Whether an approval may become an order: the constraint engine on the account as it is."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from Departments.brokers.snapshot import Listing, book_of
from Departments.constraints.checks.amounts import known_sector, must_settle
from Departments.constraints.engine import check_order, project
from Departments.core.errors import BrokerUnavailable
from Departments.core.history import TradingHistory
from Departments.core.market import Knowledge, MarketFacts
from Departments.core.money import ONE
from Departments.core.orders import MARKET_COLLAR, Side
from Departments.core.portfolio import Book, ProposedOrder
from Departments.core.reasons import Reason, ReasonCode
from Departments.core.regimes import RegimeAssessment
from Departments.core.trading_calendar import trading_day
from Departments.messaging.payloads import ExecutiveApproval
from Departments.Trading.orders import proposed
from Departments.Trading.parts import TradingParts

log = logging.getLogger(__name__)

#: How old the account may be that orders are judged on, when nothing but our own orders has moved it, and a quote.
LASTING: Final = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was judged of an approval: the order at today's price, and what speaks against sending it."""

    order: ProposedOrder
    violations: tuple[Reason, ...]

    @property
    def price(self) -> Decimal | None:
        """Return the price in dollars a share that the order was judged at, None where nobody knows one."""
        return self.order.price


@dataclass(frozen=True, slots=True)
class _Actual:
    """Account, past and knowledge at a moment, and the symbols that something has been sent for since."""

    read_at: datetime
    known: Knowledge
    book: Book
    history: TradingHistory
    regime: RegimeAssessment | None
    sent: frozenset[str] = frozenset()

    def tells_of(self, approval: ExecutiveApproval) -> bool:
        """Tell whether it may serve again: not for a symbol sent since, nor for a BUY where an open one may fill."""
        may_fill = approval.side is Side.BUY and self.book.open_buys > 0
        return approval.symbol not in self.sent and not may_fill


class Judge:
    """Judges approvals, all that wait together by one look at the account and one at the prices.

    A BUY that is sent meanwhile is counted in as if it had filled at the worst price it takes, so that no two BUYs are
    given the same cash while the broker's own lists lag behind. It gives nobody shares to sell: a symbol that something
    was sent for is looked at anew. So is everything before anything is denied: cash may have come in.
    """

    def __init__(self, parts: TradingParts) -> None:
        self._parts = parts
        self._last: _Actual | None = None
        self._listed: tuple[datetime, Listing] | None = None
        self._expected: frozenset[str] = frozenset()

    def expect(self, symbols: Iterable[str]) -> None:
        """Note of which symbols approvals will be judged next; their prices are asked for together."""
        self._expected = frozenset(symbols)

    def judged(self, approval: ExecutiveApproval) -> Judgement:
        """Judge one approval now. Raises BrokerUnavailable."""
        if self._last is not None and not self._last.tells_of(approval):
            self.forget()
        before = self._last, self._listed
        judgement = self._judged(approval)
        if judgement.violations and (self._last is before[0] or self._listed is before[1]):
            self.forget()
            judgement = self._judged(approval)
        self._expected -= {approval.symbol}
        return judgement

    def _judged(self, approval: ExecutiveApproval) -> Judgement:
        p, actual = self._parts, self._actual()
        known = actual.known.with_sector(approval.symbol, known_sector(approval.sector))
        facts = self._listing(approval).facts(approval.symbol, known)
        price = facts.price or approval.price
        order = replace(proposed(approval, price, p.settings.exits), sector=facts.sector)
        market = MarketFacts.of_day(p.clock.now(), {approval.symbol: facts}, actual.regime, known.told)
        history = replace(actual.history, plan_generated_at=approval.approved_at)
        verdict = check_order(order, actual.book, market, p.limits, history)
        return Judgement(order, (*self.locked(approval.symbol), *verdict.violations))

    def locked(self, ticker: str) -> list[Reason]:
        """Return why a symbol waits for a person, nothing where it does not."""
        why = self._parts.ledger.releases.locked().get(ticker)
        return [] if why is None else [Reason.of(ReasonCode.SYMBOL_LOCKED, why)]

    def count_in(self, order: ProposedOrder, limit_price: Decimal | None = None) -> None:
        """Judge what comes next as if this order had filled; the cash of a SELL is there when the account says so."""
        if self._last is None:
            return
        last = replace(self._last, sent=self._last.sent | {order.symbol})
        if order.side is Side.BUY:
            dear = replace(order, price=_dearest(order.price, limit_price))
            today = trading_day(last.read_at)
            history = last.history.after(today, order.symbol, order.side, order.stop_price)
            last = replace(last, book=project(dear, last.book, self._parts.limits), history=history)
        self._last = last

    def forget(self) -> None:
        """Look at account and prices again before anything else is judged."""
        self._last = self._listed = None

    def _actual(self) -> _Actual:
        now = self._parts.clock.now()
        if self._last is None or not _lasts(self._last.read_at, now):
            self._last = self._read(now)
        return self._last

    def _listing(self, approval: ExecutiveApproval) -> Listing:
        """Return prices among which is the symbol's; asked for together with those of what will be judged next."""
        now, symbol = self._parts.clock.now(), approval.symbol
        if self._listed is None or not _lasts(self._listed[0], now) or symbol not in self._listed[1].symbols:
            listing = self._list({symbol, *self._expected}, needs_price=approval.side is Side.BUY)
            self._listed = self._parts.clock.now(), listing
        return self._listed[1]

    def _list(self, symbols: set[str], *, needs_price: bool) -> Listing:
        """Ask for prices; where nobody tells them, what is held can be sold all the same."""
        broker = self._parts.broker
        try:
            return Listing.read(broker, symbols)
        except BrokerUnavailable as error:
            if needs_price:
                raise
            log.warning("Selling without prices (%s)", error)
            return Listing(frozenset(symbols), {}, broker.assets(symbols))

    def _read(self, now: datetime) -> _Actual:
        p = self._parts
        known = p.ledger.symbols.knowledge(now, p.limits.settlement.days if must_settle(p.limits) else 0)
        book = book_of(p.broker, known)
        return _Actual(
            read_at=now,
            known=known,
            book=book,
            history=p.ledger.history(now, held=book.positions),
            regime=p.ledger.regimes.latest_assessment(now),
        )


def _lasts(read_at: datetime, now: datetime) -> bool:
    """Tell whether what was read may serve still; a clock that was set back ends it, too."""
    return timedelta() <= now - read_at <= LASTING


def _dearest(price: Decimal | None, limit_price: Decimal | None) -> Decimal | None:
    """Return the most dollars a share that a BUY may cost, None where nobody knows."""
    if price is None or limit_price is None:
        return limit_price if price is None else price * (ONE + MARKET_COLLAR)
    return max(price, limit_price)
