"""The pre-trade check: the constraint engine judges an approval on actual facts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from Departments.brokers.snapshot import FactsReader, Listing
from Departments.constraints.amounts import known_sector
from Departments.constraints.engine import check_order, project
from Departments.constraints.limits import Limits
from Departments.core.errors import BrokerUnavailable
from Departments.core.facts import Facts, PlanFacts, SymbolFacts
from Departments.core.halts import Halt
from Departments.core.logs import make_logger
from Departments.core.money import ONE
from Departments.core.orders import MARKET_COLLAR, Side
from Departments.core.plans import Trade
from Departments.core.portfolio import Account
from Departments.core.reasons import Reason
from Departments.core.settings import ExitSettings
from Departments.messaging.payloads import ExecutiveApproval

log = make_logger(__name__)

#: How old account and quotes may be while only our own orders have moved the account.
LASTING: Final = timedelta(seconds=10)
#: How old an account may be to be part of a new look.
JUST_NOW: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Judgement:
    """An approval's order at today's price, and its violations."""

    order: Trade
    violations: tuple[Reason, ...]

    @property
    def price(self) -> Decimal | None:
        """Return the judged price in dollars a share. Returns None if nobody knows one."""
        return self.order.price


def judge(approval: ExecutiveApproval, facts: Facts, limits: Limits, exits: ExitSettings) -> Judgement:
    """Judge an approval at today's price, else at its own."""
    stock = facts.of(approval.symbol)
    price = stock.price_for(approval.side) or approval.price
    stop = exits.stop_of(approval.side, price, facts.live_stop(approval.symbol))
    order = Trade(approval.symbol, approval.side, approval.qty, price, sector=stock.sector, stop_price=stop)
    return Judgement(order, check_order(order, facts, limits, "trade").violations)


@dataclass(frozen=True, slots=True)
class _Reading:
    """Facts without prices, and the symbols of orders sent since they were read."""

    facts: Facts
    sent: frozenset[str] = frozenset()

    def is_valid_for(self, approval: ExecutiveApproval) -> bool:
        """Return False for a symbol sent since, and for a BUY beside an open BUY."""
        may_fill = approval.side is Side.BUY and self.facts.open_buys != 0
        return approval.symbol not in self.sent and not may_fill


class Judge:
    """Judges approvals. Those waiting together share one reading of account and prices.

    A BUY that was sent is counted in as if it had filled at the worst price it takes: two BUYs never get the same cash
    while the broker's lists lag behind. It gives nobody shares to sell, so a symbol of an order sent is read anew.
    Everything is read anew before a denial, because cash may have come in.
    """

    def __init__(
        self,
        reader: FactsReader,
        locked: Callable[[], Mapping[str, str]],
        find_halt: Callable[[], Halt | None],
        limits: Limits,
        exits: ExitSettings,
    ) -> None:
        self._reader = reader
        self._broker, self._clock = reader.broker, reader.clock
        self._locked = locked
        self._find_halt = find_halt
        self._limits = limits
        self._exits = exits
        self._last: _Reading | None = None
        self._account: tuple[datetime, Account] | None = None
        self._listed: tuple[datetime, Listing] | None = None
        self._expected: frozenset[str] = frozenset()

    def expect(self, symbols: Iterable[str]) -> None:
        """Expect approvals of these symbols next. Their prices are read together."""
        self._expected = frozenset(symbols)

    def take(self, account: Account) -> None:
        """Take the account as it was read just now, for the next look at it."""
        self._account = self._clock.now(), account

    def judge(self, approval: ExecutiveApproval) -> Judgement:
        """Judge one approval now. Raises BrokerUnavailable."""
        if self._last is not None and not self._last.is_valid_for(approval):
            self.forget()
        before = self._last, self._listed
        judgement = self._judge(approval)
        if judgement.violations and (self._last is before[0] or self._listed is before[1]):
            self.forget()
            judgement = self._judge(approval)
        self._expected -= {approval.symbol}
        return judgement

    def _judge(self, approval: ExecutiveApproval) -> Judgement:
        return judge(approval, self._facts_for(approval), self._limits, self._exits)

    def _facts_for(self, approval: ExecutiveApproval) -> Facts:
        facts = self._read().facts
        known = facts.of(approval.symbol)
        sector = known.sector or known_sector(approval.sector)
        named = known if sector == known.sector else replace(known, sector=sector)
        stock: SymbolFacts = self._listing(approval).facts(named)
        return replace(
            facts,
            now=self._reader.moment(),
            symbols={**facts.symbols, approval.symbol: stock},
            plan=PlanFacts(
                approval.plan_id,
                approval.approved_at,
                prices=_list_planned_prices(approval),
                by_hand=approval.plan_id in facts.history.manual_orders_today,
            ),
            locks={**facts.locks, **self._locked()},
            history=replace(facts.history, halt=self._find_halt()),
        )

    def count_in(self, order: Trade, limit_price: Decimal | None = None) -> None:
        """Judge the next approvals as if this BUY had filled. A SELL's cash counts once the account has it."""
        if self._last is None:
            return
        facts, sent = self._last.facts, self._last.sent | {order.symbol}
        if order.side is Side.BUY:
            dear = replace(order, price=_highest(order.price, limit_price))
            facts = project(dear, facts, self._limits)
        self._last = _Reading(facts, sent)

    def forget(self) -> None:
        """Read account and prices anew for the next approval."""
        self._last = self._listed = self._account = None

    def _read(self) -> _Reading:
        if self._last is None or not _is_fresh(self._last.facts.now, self._reader.moment()):
            (read_at, account), self._account = self._account or (self._clock.now(), None), None
            is_new = timedelta() <= self._clock.now() - read_at <= JUST_NOW
            self._last = _Reading(self._reader.read(account=account if is_new else None))
        return self._last

    def _listing(self, approval: ExecutiveApproval) -> Listing:
        """Return prices of the symbol and of the expected ones, read together."""
        now, symbol = self._clock.now(), approval.symbol
        if self._listed is None or not _is_fresh(self._listed[0], now) or symbol not in self._listed[1].symbols:
            listing = self._list({symbol, *self._expected}, needs_price=approval.side is Side.BUY)
            self._listed = self._clock.now(), listing
        return self._listed[1]

    def _list(self, symbols: set[str], *, needs_price: bool) -> Listing:
        """Read prices. Without them held shares can still be sold."""
        try:
            return self._reader.list_symbols(symbols)
        except BrokerUnavailable as error:
            if needs_price:
                raise
            log.warning("Selling without prices (%s)", error)
            return Listing(frozenset(symbols), {}, self._broker.assets(symbols), self._clock.now())


def _list_planned_prices(approval: ExecutiveApproval) -> dict[str, Decimal]:
    return {} if approval.price is None else {approval.symbol: approval.price}


def _is_fresh(read_at: datetime, now: datetime) -> bool:
    """Return True within LASTING of the reading. A clock set back ends it too."""
    return timedelta() <= now - read_at <= LASTING


def _highest(price: Decimal | None, limit_price: Decimal | None) -> Decimal | None:
    """Return the highest price a BUY may fill at, in dollars a share. Returns None if unknown."""
    if price is None or limit_price is None:
        return limit_price if price is None else price * (ONE + MARKET_COLLAR)
    return max(price, limit_price)
