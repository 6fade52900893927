"""Bookkeeping: the account beside its book, named changes booked, the rest a difference that a person accepts.

The broker's activities name the changes: deposits, dividends, fees, trades by somebody else, splits, new symbols. An
activity may come a day late; until then its amount is a difference.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Final

from Departments.brokers.base import Activities, Broker, BrokerList
from Departments.brokers.patience import ask_patiently
from Departments.core.account_entries import AccountDifference, AccountEntry, EntryKind
from Departments.core.activities import Activity, ActivityKind
from Departments.core.errors import BrokerError
from Departments.core.logs import make_logger
from Departments.core.money import CENT, ZERO, count_noun, plain, usd_cents
from Departments.core.orders import Side
from Departments.core.platform.clock import Clock
from Departments.core.portfolio import Position
from Departments.core.trading_calendar import trading_day
from Departments.ledger.account_book import Balance
from Departments.ledger.ledger import Ledger
from Departments.Trading.corporate_booking import CORPORATE, LATE_ACTIVITIES, AccountReading, CorporateBooking
from Departments.Trading.differences import (
    CASH,
    describe_acceptance,
    describe_cash,
    find_differences,
    mend_of,
    with_sign,
)
from Departments.Trading.edits import LifeReader
from Departments.Trading.exits import known_as

log = make_logger(__name__)

HALF_CENT: Final = CENT / 2  # brokers round each fill's amount
ASK_AGAIN: Final = timedelta(minutes=10)  # activities that could not be read are not waited for again so soon
MOMENT: Final = timedelta(minutes=1)  # a lock comes a moment after its booking

_KINDS: Final = {
    ActivityKind.DEPOSIT: EntryKind.DEPOSIT,
    ActivityKind.WITHDRAWAL: EntryKind.WITHDRAWAL,
    ActivityKind.DIVIDEND: EntryKind.DIVIDEND,
    ActivityKind.INTEREST: EntryKind.INTEREST,
    ActivityKind.FEE: EntryKind.FEE,
    ActivityKind.FILL: EntryKind.FOREIGN_TRADE,
}


@dataclass(frozen=True, slots=True)
class BookComparison:
    """Unexplained differences, the symbols to lock with the reason, and those locked for somebody else's trade."""

    differences: tuple[AccountDifference, ...]
    locks: Mapping[str, str]
    foreign_locks: Mapping[str, str]


class Bookkeeper:
    """Keeps the book of the account. `patience` is how many seconds to wait for the broker.

    `foreign` returns the policy for somebody else's trades in a symbol: `tell`, `lock` or `adopt`, None by default.
    """

    def __init__(
        self,
        broker: Broker,
        ledger: Ledger,
        clock: Clock,
        *,
        patience: float,
        foreign: Callable[[str], str | None],
    ) -> None:
        self._broker = broker
        self._ledger = ledger
        self._clock = clock
        self.patience = patience
        self._foreign = foreign
        self._actions = CorporateBooking(ledger, clock)
        self._unread_at: datetime | None = None
        self.positions: Mapping[str, Position] = {}  # the account's, as last compared

    def compare(
        self, follow: Callable[[], None], ours: Collection[str] = (), disputed: Collection[str] = ()
    ) -> tuple[AccountDifference, ...]:
        """Compare the account with its book, book named changes, and lock unexplained ones.

        `follow` brings the ledger's orders up to date: a fill between two readings is no difference. `ours` are the
        broker's ids of orders under our ids, known to the ledger or not; orders of the symbols `disputed` may explain
        cash. The first comparison takes the account as the opening balance. Raises BrokerUnavailable.
        """
        if not self._ledger.book.has_opening():
            self._open()
            return ()
        found = self._compare_once(ours)
        if found.differences:
            follow()
            again = self._compare_once(ours, self._read_announcements({d.symbol for d in found.differences} - {CASH}))
            found = replace(again, locks={**found.foreign_locks, **again.locks})
        differences = tuple(
            each if each.symbol else replace(each, sentence=describe_cash(each.cash, disputed))
            for each in found.differences
        )
        now = self._clock.now()
        with self._ledger.transaction():
            self._ledger.book.set_differences(differences)
            for symbol, reason in found.locks.items():
                self._ledger.releases.lock(symbol, reason, now)
        for difference in differences:
            log.warning("%s", difference.sentence)
        return differences

    def _open(self) -> None:
        """Take the account as the opening balance: its cash, its shares, and the activities until now."""
        now = self._clock.now()
        reading, activities = self._read_account(), self._read_activities(now - LATE_ACTIVITIES)
        day = trading_day(now)
        cash = AccountEntry(EntryKind.OPENING, day, now, cash=reading.balance.cash, sentence="opening balance")
        shares = [
            replace(cash, symbol=symbol, qty=qty, price=reading.prices.get(symbol), cash=ZERO)
            for symbol, qty in sorted(reading.balance.holdings.items())
        ]
        seen = [
            replace(cash, day=a.day, cash=ZERO, activity_id=a.id, sentence=f"{a.word} before the opening")
            for a in (*activities, *activities.foreign)
        ]
        with self._ledger.transaction():
            self._ledger.book.add((cash, *shares, *seen))
        is_new = not self._ledger.plans.executions()
        log.info(
            "%s %s in cash and %s",
            "The ledger is new: it takes the account as it is," if is_new else "The book of the account begins now:",
            usd_cents(reading.balance.cash),
            count_noun(len(shares), "position"),
        )

    def _compare_once(self, ours: Collection[str], announced: Sequence[Activity] | None = None) -> BookComparison:
        """Read the account, book its new activities, and compare it with its book.

        `announced` are the broker's announcements about differing symbols. Once asked for, splits that nobody has
        announced count, too.
        """
        reading, now = self._read_account(), self._clock.now()
        unseen = self._find_unseen()
        reading = replace(reading, unreadable=reading.unreadable | {symbol for symbol, _ in unseen})
        since = min(now, self._ledger.book.last_noted() or now) - LATE_ACTIVITIES
        activities = self._read_activities(since)
        book = self._ledger.book
        listed = (*activities, *activities.foreign)
        bookings, locks = list[AccountEntry](), dict[str, str]()

        ours = self._find_ours(listed, ours)
        listed = tuple(a for a in listed if a.order_id in ours or (a.symbol, a.side) not in unseen)

        with self._ledger.transaction():
            known, balance = book.find_known([a.id for a in listed]), book.balance()
            for booking in list_bookings(listed, known, ours.__contains__, now):
                bookings.append(booking)
                locks |= self._lock_foreign(booking, balance.holdings)
                self._answer_for(booking, now)
                log.info("%s", booking.sentence)
                earlier = book.find_accepted(booking.cash) if booking.cash else None
                if earlier is not None:
                    bookings.append(take_back(earlier, booking, now))
            if bookings:
                book.add(bookings)
                balance = book.balance()
            new = [activity for activity in activities if activity.id not in known]
            new += self._list_new(announced or (), activities)
            balance = self._actions.book(new, balance, reading, unannounced=announced is not None)
            before = {d.symbol: d.since for d in book.differences()}
            differences = find_differences(balance, reading, now, before, self._tolerance())
            if unseen:  # what an order may have filled changes cash as well
                differences = [*(d for d in book.differences() if not d.symbol), *(d for d in differences if d.symbol)]
        shares = {d.symbol: d.sentence for d in differences if d.symbol}
        return BookComparison(tuple(differences), {**shares, **locks}, locks)

    def _find_unseen(self) -> set[tuple[str, Side | None]]:
        """Return symbol and side of our orders not seen at the broker yet: they may fill before they are."""
        found = (order for order in self._ledger.orders.find_open() if order.broker_order_id is None)
        return {(order.symbol, order.side) for order in found}

    def _find_ours(self, activities: Sequence[Activity], ours: Collection[str]) -> set[str]:
        """Return `ours` and the broker's ids of our other filled orders, every row of edited ones."""
        orders, found = self._ledger.orders, set(ours)
        known = self._ledger.book.find_known([activity.id for activity in activities])
        filled = {a.order_id for a in activities if a.kind is ActivityKind.FILL and a.order_id and a.id not in known}
        lives = LifeReader(self._broker, lambda _: False)
        new = sorted(filled - found)
        recorded = orders.list_broker_ids(new)
        for order_id in new:
            if order_id not in recorded:
                first = ask_patiently(partial(lives.find_first, order_id), self._clock, seconds=self.patience)
                if first is None or (first.id not in ours and orders.find(known_as(first)) is None):
                    continue
            found.add(order_id)
        return found

    def _lock_foreign(self, booking: AccountEntry, held: Mapping[str, Decimal]) -> dict[str, str]:
        """Return the lock for somebody else's trade, by the policy of its symbol."""
        if booking.kind is not EntryKind.FOREIGN_TRADE or not booking.qty:
            return {}
        policy = self._foreign(booking.symbol) or ("lock" if booking.symbol in held else "tell")
        if policy != "lock":
            return {}
        return {booking.symbol: f"{booking.sentence}. {mend_of(booking.symbol)}"}

    def _answer_for(self, booking: AccountEntry, now: datetime) -> None:
        """Let shares that somebody else bought get exits where the policy adopts them; what was sold needs none."""
        is_adopted = self._foreign(booking.symbol) == "adopt"
        if booking.kind is EntryKind.FOREIGN_TRADE and booking.symbol and (booking.qty < 0 or is_adopted):
            self._ledger.unprotected.adopt(booking.symbol, booking.qty, now)

    def adopt_foreign(self, symbol: str, since: datetime) -> None:
        """Answer for the shares that somebody else bought since a lock, on a person's word."""
        bought = self._ledger.book.sum_foreign(symbol, since - MOMENT)
        if bought > 0 and self._foreign(symbol) != "adopt":
            self._ledger.unprotected.adopt(symbol, bought, self._clock.now())

    def _tolerance(self) -> Decimal:
        """Return the tolerance for rounding, in dollars: a cent, and half a cent for each fill."""
        return CENT + HALF_CENT * self._ledger.book.count_fills()

    def _read_account(self) -> AccountReading:
        account, positions = ask_patiently(
            lambda: (self._broker.account(), self._broker.positions()), self._clock, seconds=self.patience
        )
        holdings = {p.symbol: p.qty for p in positions}
        prices = {p.symbol: p.avg_entry_price or p.price for p in positions}
        unreadable = frozenset(row.symbol for row in positions.unreadable)
        self.positions = {p.symbol: p for p in positions}
        return AccountReading(Balance(account.cash, holdings), prices, unreadable, self.positions)

    def _read_activities(self, since: datetime) -> Activities:
        """Read the activities. Without them nothing is named, and the differences stay."""
        now, seconds = self._clock.now(), self.patience
        if self._unread_at is not None and timedelta() <= now - self._unread_at < ASK_AGAIN:
            seconds = 0  # the wait would be as vain as the one before
        try:
            found = ask_patiently(lambda: self._broker.activities(since), self._clock, seconds=seconds)
        except BrokerError as error:
            self._unread_at = self._clock.now()
            log.warning("The account's activities cannot be read; its changes stay unexplained (%s)", error)
            return BrokerList(())
        return found

    def _read_announcements(self, symbols: Collection[str]) -> Sequence[Activity]:
        """Read what the broker announced about some symbols. It is optional: ratios and assets explain most."""
        if not symbols:
            return ()
        try:
            return self._broker.announcements(symbols, trading_day(self._clock.now() - LATE_ACTIVITIES))
        except BrokerError as error:
            log.info("The broker's announcements of splits and new symbols cannot be read (%s)", error)
            return ()

    def _list_new(self, announced: Sequence[Activity], activities: Sequence[Activity]) -> list[Activity]:
        """Return the announcements that neither the book nor an activity knows."""
        known = self._ledger.book.find_known([a.id for a in announced])
        booked = {(a.kind, a.symbol) for a in activities}
        return [a for a in announced if a.id not in known and (a.kind, a.symbol) not in booked]

    # --- on a person's word ---

    def accept(self, symbol: str) -> list[str]:
        """Accept the difference of a symbol (empty: of cash) into the book; return the sentence about it."""
        now, day = self._clock.now(), trading_day(self._clock.now())
        found = [d for d in self._ledger.book.differences() if d.symbol == symbol]
        bookings = [
            AccountEntry(EntryKind.ACCEPTED, day, now, d.symbol, d.qty, cash=d.cash, sentence=describe_acceptance(d))
            for d in found
        ]
        with self._ledger.transaction():
            self._ledger.book.add(bookings)
            for each in found:
                if each.symbol:
                    self._ledger.unprotected.adopt(each.symbol, each.qty, now)
            left = [d for d in self._ledger.book.differences() if d not in found]
            self._ledger.book.set_differences(left)
        return [booking.sentence for booking in bookings]


def list_bookings(
    activities: Iterable[Activity], known: Collection[str], is_ours: Callable[[str], bool], now: datetime
) -> Iterator[AccountEntry]:
    """Yield the bookings of new activities, without splits and renames.

    Fills of our own orders are in the ledger already.
    """
    for activity in activities:
        if activity.id in known or activity.canceled or activity.kind in CORPORATE:
            continue
        if activity.kind is ActivityKind.FILL and is_ours(activity.order_id):
            continue
        yield from _book(activity, now)


def _book(activity: Activity, now: datetime) -> Iterator[AccountEntry]:
    kind = _KINDS.get(activity.kind, EntryKind.OTHER)
    qty, cash = ZERO, activity.cash or ZERO
    if activity.kind is ActivityKind.FILL and activity.side is not None and activity.qty is not None:
        qty = activity.qty if activity.side is Side.BUY else -activity.qty
        if activity.cash is None:
            cash = -qty * (activity.price or ZERO)
    elif activity.kind is ActivityKind.OTHER:
        qty = activity.qty or ZERO
    booking = AccountEntry(kind, activity.day, now, activity.symbol, qty, activity.price, cash, activity.id)
    yield replace(booking, sentence=describe_booking(booking, activity))


def describe_booking(booking: AccountEntry, activity: Activity) -> str:
    """Return the sentence about a booking."""
    day, amount = booking.day.isoformat(), usd_cents(abs(booking.cash))
    of_symbol = f" of {booking.symbol}" if booking.symbol else ""
    if booking.kind is EntryKind.FOREIGN_TRADE:
        deed = "bought" if booking.cash < 0 or booking.qty > 0 else "sold"
        at = "" if booking.price is None else f" at {usd_cents(booking.price)}"
        return f"Somebody else {deed} {plain(abs(activity.qty or ZERO))} {booking.symbol}{at} on {day}"
    if booking.kind is EntryKind.OTHER:
        shares = f", {count_noun(booking.qty, 'share')}" if booking.qty else ""
        return f"{activity.word}{of_symbol} on {day}: {with_sign(booking.cash)}{shares}"
    if booking.is_against_its_kind:
        return f"{booking.title}{of_symbol}: {amount} on {day}"
    return f"{booking.title}{of_symbol} of {amount} on {day}"


def take_back(earlier: AccountEntry, booking: AccountEntry, now: datetime) -> AccountEntry:
    """Return the booking that takes back an accepted amount which an activity explains."""
    sentence = f"The {usd_cents(abs(earlier.cash))} accepted on {earlier.day.isoformat()} was this {booking.kind}"
    return AccountEntry(EntryKind.EXPLAINED, booking.day, now, cash=-earlier.cash, sentence=sentence)
