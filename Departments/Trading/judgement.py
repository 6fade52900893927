"""Whether an approval may become an order: the constraint engine on the account as it is."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from Departments.brokers.snapshot import Listing
from Departments.constraints.checks.amounts import known_sector
from Departments.constraints.engine import check_order, project
from Departments.constraints.limits import Limits
from Departments.core.errors import BrokerUnavailable
from Departments.core.facts import Facts, PlanFacts, SymbolFacts
from Departments.core.money import ONE
from Departments.core.orders import MARKET_COLLAR, Side
from Departments.core.portfolio import ProposedOrder
from Departments.core.reasons import Reason
from Departments.core.settings import ExitSettings
from Departments.messaging.payloads import ExecutiveApproval
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


def judge(approval: ExecutiveApproval, facts: Facts, limits: Limits, exits: ExitSettings) -> Judgement:
    """Judge an approval at today's price, at its own where nobody knows one."""
    stock = facts.of(approval.symbol)
    price = stock.price or approval.price
    stop = exits.stop_of(approval.side, price)
    order = ProposedOrder(approval.symbol, approval.side, approval.qty, price, stock.sector, stop)
    return Judgement(order, check_order(order, facts, limits, "trade").violations)


@dataclass(frozen=True, slots=True)
class _Look:
    """Facts without prices, and the symbols that something has been sent for since."""

    facts: Facts
    sent: frozenset[str] = frozenset()

    def serves(self, approval: ExecutiveApproval) -> bool:
        """Tell whether it may serve again: not for a symbol sent since, nor for a BUY where an open one may fill."""
        may_fill = approval.side is Side.BUY and self.facts.open_buys != 0
        return approval.symbol not in self.sent and not may_fill


class Judge:
    """Judges approvals, all that wait together by one look at the account and one at the prices.

    A BUY that is sent meanwhile is counted in as if it had filled at the worst price it takes, so that no two BUYs are
    given the same cash while the broker's own lists lag behind. It gives nobody shares to sell: a symbol that something
    was sent for is looked at anew. So is everything before anything is denied: cash may have come in.
    """

    def __init__(self, parts: TradingParts) -> None:
        self._parts = parts
        self._last: _Look | None = None
        self._listed: tuple[datetime, Listing] | None = None
        self._expected: frozenset[str] = frozenset()

    def expect(self, symbols: Iterable[str]) -> None:
        """Note of which symbols approvals will be judged next; their prices are asked for together."""
        self._expected = frozenset(symbols)

    def judge(self, approval: ExecutiveApproval) -> Judgement:
        """Judge one approval now. Raises BrokerUnavailable."""
        if self._last is not None and not self._last.serves(approval):
            self.forget()
        before = self._last, self._listed
        judgement = self._judge(approval)
        if judgement.violations and (self._last is before[0] or self._listed is before[1]):
            self.forget()
            judgement = self._judge(approval)
        self._expected -= {approval.symbol}
        return judgement

    def _judge(self, approval: ExecutiveApproval) -> Judgement:
        return judge(approval, self._facts_for(approval), self._parts.limits, self._parts.settings.exits)

    def _facts_for(self, approval: ExecutiveApproval) -> Facts:
        p, facts = self._parts, self._look().facts
        known = facts.of(approval.symbol)
        named = replace(known, sector=known.sector or known_sector(approval.sector))
        stock: SymbolFacts = self._listing(approval).facts(named)
        return replace(
            facts,
            now=p.clock.now(),
            symbols={**facts.symbols, approval.symbol: stock},
            plan=PlanFacts(approval.plan_id, approval.approved_at),
            locks={**facts.locks, **p.ledger.releases.find_locks()},
        )

    def count_in(self, order: ProposedOrder, limit_price: Decimal | None = None) -> None:
        """Judge what comes next as if this order had filled; the cash of a SELL is there when the account says so."""
        if self._last is None:
            return
        facts, sent = self._last.facts, self._last.sent | {order.symbol}
        if order.side is Side.BUY:
            dear = replace(order, price=_dearest(order.price, limit_price))
            facts = project(dear, facts, self._parts.limits)
        self._last = _Look(facts, sent)

    def forget(self) -> None:
        """Look at account and prices again before anything else is judged."""
        self._last = self._listed = None

    def _look(self) -> _Look:
        if self._last is None or not _lasts(self._last.facts.now, self._parts.clock.now()):
            self._last = _Look(self._parts.reader.read())
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


def _lasts(read_at: datetime, now: datetime) -> bool:
    """Tell whether what was read may serve still; a clock that was set back ends it, too."""
    return timedelta() <= now - read_at <= LASTING


def _dearest(price: Decimal | None, limit_price: Decimal | None) -> Decimal | None:
    """Return the most dollars a share that a BUY may cost, None where nobody knows."""
    if price is None or limit_price is None:
        return limit_price if price is None else price * (ONE + MARKET_COLLAR)
    return max(price, limit_price)
