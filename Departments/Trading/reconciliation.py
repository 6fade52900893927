"""Reconciliation of ledger and account: what the two dispute is locked until a person accepts it. The rest goes on.

Reconciling sends nothing. Unknown is not rejected, and unknown is not flat.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from Departments.brokers.base import Broker, Orders
from Departments.brokers.patience import ask_patiently
from Departments.core.errors import BadInput
from Departments.core.logs import make_logger
from Departments.core.money import ZERO
from Departments.core.orders import Order, Side
from Departments.core.platform.clock import Clock
from Departments.core.reasons import ReasonCode
from Departments.core.trading_calendar import trading_day
from Departments.ledger.account_book import measure_effect
from Departments.ledger.ledger import Ledger
from Departments.ledger.order_records import FillRecord, OrderRecord
from Departments.ledger.releases import WHOLE_DESK
from Departments.Trading.bookkeeping import Bookkeeper
from Departments.Trading.comparison import (
    A_LITTLE_BEFORE,
    LOOK_BACK,
    ComparedOrder,
    Finding,
    compare_orders,
    describe_order,
    describe_strangers,
)
from Departments.Trading.coverage import ExitCoverage
from Departments.Trading.differences import CASH_NAME, advise_symbols_first
from Departments.Trading.exits import adopt_exits, entry_intent, known_as, with_parents

log = make_logger(__name__)

Follow = Callable[[Orders | None], None]
"""Brings the ledger's orders up to date, by the broker's list of them if it was read just now."""

EXITS_LIVE = timedelta(days=91)  # orders good till cancelled end after 90 days


@dataclass(frozen=True, slots=True)
class MissingShares:
    """Shares of a symbol bought by the ledger's fills, beside the broker's holding."""

    symbol: str
    bought: Decimal
    held: Decimal


@dataclass(frozen=True, slots=True)
class ComparedPositions:
    """The broker's readable positions in shares, and shares missing beside the ledger's fills."""

    held: Mapping[str, Decimal]
    missing: tuple[MissingShares, ...]


@dataclass(frozen=True, slots=True)
class FollowedBuys:
    """The ledger's open BUYs, those with fills now, and those at their end without any."""

    pending: int
    opened: int
    ended: int


class Reconciler:
    """Compares the ledger with the account: orders, then shares and cash. Locks the disputed, frees the accepted.

    `report` reports the outcome of an order to the Executive.
    """

    def __init__(
        self,
        broker: Broker,
        ledger: Ledger,
        clock: Clock,
        report: Callable[[OrderRecord], None],
        books: Bookkeeper,
        coverage: ExitCoverage,
    ) -> None:
        self._broker = broker
        self._ledger = ledger
        self._clock = clock
        self._report = report
        self._books = books
        self._coverage = coverage

    def reconcile(self, in_hand: Container[str], follow: Follow) -> list[ComparedOrder]:
        """Compare orders, shares and cash. `in_hand` as in `compare_orders`, `follow` as in `Bookkeeper.compare`.

        Raises BrokerUnavailable.
        """
        rows, listed = self._lock_disputed(in_hand)
        follow(listed)
        self._compare_books(rows, follow)
        return rows

    def _compare_books(self, rows: Sequence[ComparedOrder], follow: Follow) -> None:
        ours = {row.order.id for row in rows if row.order is not None}
        self._books.compare(partial(follow, None), ours, self._find_disputed(rows))
        self._coverage.check(self._books.positions)

    def _find_disputed(self, rows: Sequence[ComparedOrder]) -> Collection[str]:
        return disputed_symbols(rows, self._ledger.releases.find_accepted()).keys()

    def accept(self, symbol: str | None, in_hand: Container[str], follow: Follow) -> list[str]:
        """Accept the disputes of a symbol on a person's word, of cash (`CASH`), or all (None), and free it.

        Returns a sentence about each change. Raises BrokerUnavailable, and BadInput for cash that disputed orders may
        explain: accepted first, it would be explained twice.
        """
        rows, releases, done = self.reconcile(in_hand, follow), self._ledger.releases, list[str]()
        locked = {lock.symbol: lock.locked_at for lock in releases.locks()}
        known = {*locked} | {difference.symbol or CASH_NAME for difference in self._ledger.book.differences()}
        wanted = known if symbol is None else known & {symbol}
        if wanted == {CASH_NAME} and (disputed := self._find_disputed(rows)):
            raise BadInput("--accept", CASH_NAME, "is not accepted", advise_symbols_first(disputed))
        for each in sorted(wanted, key=lambda one: (one == CASH_NAME, one)):  # cash last: orders may explain it
            done += self._accept_orders(each, rows)
            self._compare_books(rows, follow)
            done += self._books.accept("" if each == CASH_NAME else each)
            if each in locked and each != WHOLE_DESK:
                with self._ledger.transaction():
                    self._books.adopt_foreign(each, locked[each])
                    releases.unlock(each)
                done.append(f"{each} is free")
        if WHOLE_DESK in locked and not self._find_strange(rows):  # each order was accepted with its symbol
            with self._ledger.transaction():
                releases.unlock(WHOLE_DESK)
            done.append("the desk may trade again")
        follow(None)  # what became of the accepted is reported
        return done

    def _find_strange(self, rows: Iterable[ComparedOrder]) -> list[ComparedOrder]:
        """Return today's orders under our ids, unknown to ledger and person."""
        accepted, today = self._ledger.releases.find_accepted(), trading_day(self._clock.now())
        return [r for r in rows if r.is_unknown_since(today) and r.client_order_id not in accepted]

    def _lock_disputed(self, in_hand: Container[str]) -> tuple[list[ComparedOrder], Orders]:
        """Compare ledger and broker, and lock disputed symbols; `in_hand` and the result as in `compare_orders`.

        Orders of today that the ledger does not know lock the whole desk. Raises BrokerUnavailable.
        """
        now = self._clock.now()
        compare = partial(self._compare_orders, self._find_start(now), in_hand)
        rows, listed = ask_patiently(compare, self._clock, seconds=self._books.patience)
        with self._ledger.transaction():
            accepted = self._ledger.releases.find_accepted()
            for symbol, reason in disputed_symbols(rows, accepted).items():
                self._ledger.releases.lock(symbol, reason, now)
            strange = self._find_strange(rows)
            if strange:
                self._ledger.releases.lock(WHOLE_DESK, describe_strangers(strange), now)
        for row in rows:
            is_locked = row.is_disputed and row.client_order_id not in accepted
            log.log(logging.WARNING if is_locked else logging.DEBUG, "%s: %s", row.finding, row.sentence)
        return rows, listed

    def _compare_orders(self, since: datetime, in_hand: Container[str]) -> tuple[list[ComparedOrder], Orders]:
        rows, listed = compare_orders(self._broker, self._ledger.orders, since, in_hand)
        return self._coverage.end_gone(rows), listed

    def _find_start(self, now: datetime) -> datetime:
        """Return the moment from which ended orders are compared; a new ledger looks as far back as exits live."""
        if not self._ledger.book.has_opening():
            return now - EXITS_LIVE
        last = self._ledger.book.last_statement()
        return now - LOOK_BACK if last is None else min(now - LOOK_BACK, last.at - A_LITTLE_BEFORE)

    def _accept_orders(self, symbol: str, rows: Iterable[ComparedOrder]) -> list[str]:
        """Accept a symbol's disputed orders on a person's word; return a sentence about each.

        The ledger takes over what the broker has; an order that the broker does not know is withdrawn.
        """
        known = self._ledger.releases.find_accepted()
        disputed = [r for r in rows if r.is_disputed and r.symbol == symbol and r.client_order_id not in known]
        with self._ledger.transaction():
            return [self._accept(row) for row in disputed]

    def _accept(self, row: ComparedOrder) -> str:
        """Accept one order and return the sentence about it."""
        now, orders = self._clock.now(), self._ledger.orders
        self._ledger.releases.accept(row.client_order_id, row.sentence, now)
        record = orders.find(row.client_order_id)
        if row.order is not None:
            self._take_over(row.order, record, now)
            return f"{describe_order(row.order.side, row.order.qty, row.symbol)} taken into the ledger"
        if row.finding is Finding.UNREADABLE or record is None:
            return f"order {row.client_order_id} of {row.symbol} is left to the broker"
        orders.withdraw(record, ReasonCode.SYMBOL_LOCKED, row.sentence, now)
        self._report(record)
        return f"{describe_order(record.side, record.qty, row.symbol)} is withdrawn: it never arrived"

    def _take_over(self, order: Order, record: OrderRecord | None, now: datetime) -> None:
        """Take the broker's order, its fills and its exits into the ledger."""
        orders = self._ledger.orders
        if record is not None:
            orders.observe(order, now, record, corrected=True)
            return
        orders.adopt(entry_intent(order, now), order, now, None)
        adopt_exits(orders, with_parents(order.legs, known_as(order)), None, now, {})

    def follow_buys(self, follow: Follow) -> FollowedBuys:
        """Follow the BUYs that are open in the ledger. Raises BrokerUnavailable."""
        orders = self._ledger.orders
        waiting = [order.client_order_id for order in orders.find_open_trades() if order.side is Side.BUY]
        if waiting:
            follow(None)
        found = orders.find_many(waiting).values()
        opened = sum(order.filled_qty > 0 for order in found)
        ended = sum(order.status.is_terminal and order.filled_qty == 0 for order in found)
        return FollowedBuys(len(waiting), opened, ended)

    def compare_positions(self, age: timedelta) -> ComparedPositions:
        """Compare the ledger's fills of the last `age` with the broker's positions. Raises BrokerUnavailable."""
        since = self._clock.now() - age
        positions = self._broker.positions()
        held = {position.symbol: position.qty for position in positions}
        unknown = {row.symbol for row in positions.unreadable}
        fills = (fill for fill in self._ledger.orders.fills_since(since) if fill.symbol not in unknown)
        return ComparedPositions(held, tuple(find_missing(fills, held)))


def disputed_symbols(rows: Sequence[ComparedOrder], accepted: Container[str] = ()) -> dict[str, str]:
    """Return the symbols to lock with the reason; orders a person `accepted` lock nothing."""
    return {row.symbol: row.sentence for row in rows if row.is_disputed and row.client_order_id not in accepted}


def find_missing(fills: Iterable[FillRecord], held: Mapping[str, Decimal]) -> Iterator[MissingShares]:
    """Yield symbols with fewer shares held than bought, in order."""
    bought: dict[str, Decimal] = {}
    for record in fills:
        bought[record.symbol] = bought.get(record.symbol, ZERO) + measure_effect(record)
    for symbol, qty in sorted(bought.items()):
        if held.get(symbol, ZERO) < max(ZERO, qty):
            yield MissingShares(symbol, qty, held.get(symbol, ZERO))
