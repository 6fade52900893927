"""Splits and renames, booked when the account shows them: the ledger's exits and entry prices follow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from Departments.core.account_entries import AccountEntry, EntryKind
from Departments.core.activities import Activity, ActivityKind
from Departments.core.logs import make_logger
from Departments.core.money import ZERO, count_noun
from Departments.core.orders import Side
from Departments.core.platform.clock import Clock
from Departments.core.portfolio import Position
from Departments.core.trading_calendar import trading_day
from Departments.ledger.account_book import Balance
from Departments.ledger.ledger import Ledger
from Departments.ledger.order_records import FillRecord, FillRow
from Departments.Trading.splits import ChangedHolding, Split, find_split, replay

log = make_logger(__name__)

MOST_SALES: Final = 20  # of a symbol after its split, before the desk looks
MOMENT: Final = timedelta(seconds=1)
LATE_ACTIVITIES: Final = timedelta(days=5)  # a broker books some activities days late, and some with a day only
CORPORATE: Final = frozenset({ActivityKind.SPLIT, ActivityKind.RENAME})
_KINDS: Final = {ActivityKind.SPLIT: EntryKind.SPLIT, ActivityKind.RENAME: EntryKind.RENAME}


@dataclass(frozen=True, slots=True)
class AccountReading:
    """The account as the broker shows it; `unreadable` are symbols with an unreadable position."""

    balance: Balance
    prices: Mapping[str, Decimal]
    unreadable: frozenset[str]
    positions: Mapping[str, Position]


class CorporateBooking:
    """Books splits and renames. An announcement waits until the account shows it. Joins the caller's transaction."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    def book(self, new: Iterable[Activity], balance: Balance, reading: AccountReading, *, unannounced: bool) -> Balance:
        """Book the renames and splits that explain a holding, and return the book's balance after them.

        `new` are activities that the book lacks. Splits that nobody has announced count if `unannounced`.
        """
        announced, now = [a for a in new if a.kind in CORPORATE], self._clock.now()
        replayed = self._book_in_order(announced, balance, reading, now)
        balance = self._ledger.book.balance() if replayed else balance
        moved = self._book_renames(announced, balance, reading, now, unannounced=unannounced)
        balance = self._ledger.book.balance() if moved else balance
        announced = [replace(a, symbol=moved.get(a.symbol, a.symbol)) for a in announced]
        former = {new: old for old, new in moved.items()}
        split = self._book_splits(announced, balance, reading, now, former, unannounced=unannounced)
        done = [
            a
            for a in announced
            if a.symbol in {*moved, *moved.values(), *split, *replayed} or self._is_settled(a, balance, reading, now)
        ]
        self._ledger.book.add(AccountEntry(_KINDS[a.kind], a.day, now, a.symbol, activity_id=a.id) for a in done)
        self._ledger.actions.learn_assets({p.symbol: p.asset_id for p in reading.positions.values()})
        return self._ledger.book.balance() if split else balance

    def _is_settled(self, announced: Activity, balance: Balance, reading: AccountReading, now: datetime) -> bool:
        """Return whether an announcement has nothing to change any more."""
        symbol, book = announced.symbol, self._ledger.book
        is_held = bool(balance.holdings.get(symbol) or reading.balance.holdings.get(symbol))
        return announced.canceled or not is_held or book.find_split(symbol, now - LATE_ACTIVITIES) is not None

    def _book_in_order(
        self, announced: Sequence[Activity], balance: Balance, reading: AccountReading, now: datetime
    ) -> set[str]:
        """Book announced actions that lead to the account, one after another. Returns their symbols.

        Old exits may have sold shares after them, before the desk could look: those sales come last.
        """
        if not announced or balance.holdings == reading.balance.holdings:
            return set()
        symbols = {symbol for a in announced for symbol in (a.symbol, a.new_symbol) if symbol}
        sales = sorted((sale for symbol in symbols for sale in self._list_sales(symbol, now)), key=_moment_of)
        for number in range(min(len(sales), MOST_SALES) + 1):
            later = sales[len(sales) - number :]
            steps = list(replay(_add(balance, later), announced, _add(reading.balance, later)))
            if steps:
                at = min([now, *(sale.fill.filled_at - MOMENT for sale in later)])
                for event, held in steps:
                    self._book_step(event, held, [s for s in later if s.symbol in {event.symbol, event.new_symbol}], at)
                return {symbol for event, _ in steps for symbol in (event.symbol, event.new_symbol) if symbol}
        return set()

    def _book_step(self, event: Activity, held: ChangedHolding, later: Sequence[FillRecord], at: datetime) -> None:
        if event.ratio is None or event.kind is ActivityKind.RENAME:
            sold = sum((sale.fill.qty for sale in later if sale.symbol == event.new_symbol), ZERO)
            self._book_rename(event.symbol, event.new_symbol, held.after - sold, event.id, at)
            return
        paid = self._ledger.book.find_entry_price(event.symbol, at + MOMENT)
        self._book_split(Split(replace(held, paid=paid), event.ratio, event.id), [s.fill for s in later], at)

    def _list_sales(self, symbol: str, now: datetime) -> list[FillRecord]:
        """Return the recent sales of a symbol, oldest first."""
        fills = self._ledger.orders.fills_of(symbol, now + MOMENT)
        return [f for f in fills if f.side is Side.SELL and f.fill.filled_at >= now - LATE_ACTIVITIES]

    # --- renames ---

    def _book_renames(
        self,
        announced: Sequence[Activity],
        balance: Balance,
        reading: AccountReading,
        now: datetime,
        *,
        unannounced: bool,
    ) -> dict[str, str]:
        """Book the renames of symbols that the account has no more. Returns the new symbol of each old one.

        Shares that were split on the same day are renamed first.
        """
        held, found = reading.balance.holdings, dict[str, str]()
        gone = {symbol for symbol, qty in balance.holdings.items() if qty > 0 and symbol not in held}
        for old in sorted(gone - reading.unreadable):
            new, activity_id = self._find_successor(old, announced, reading)
            before, joined = balance.holdings[old], balance.holdings.get(new, ZERO)
            if held.get(new, ZERO) - joined == before:
                self._book_rename(old, new, held[new], activity_id, now)
                found[old] = new
            elif new and not joined and self._find_split_of(old, new, announced, balance, reading, unannounced):
                self._book_rename(old, new, before, activity_id, now)
                found[old] = new
        return found

    def _find_split_of(
        self,
        old: str,
        new: str,
        announced: Sequence[Activity],
        balance: Balance,
        reading: AccountReading,
        unannounced: bool,  # noqa: FBT001 - passed on
    ) -> Split | None:
        """Return the split that explains the shares of a symbol under its new name, or None."""
        paid, position = self._ledger.book.find_entry_price(old, self._clock.now()), reading.positions.get(new)
        entry, market = (position.avg_entry_price, position.current_price) if position else (None, None)
        after = reading.balance.holdings.get(new, ZERO)
        holding = ChangedHolding(new, balance.holdings[old], after, paid, entry, market)
        under_new = [replace(a, symbol=new) if a.symbol == old else a for a in announced]
        return find_split(holding, under_new, unannounced=unannounced)

    def _find_successor(self, old: str, announced: Sequence[Activity], reading: AccountReading) -> tuple[str, str]:
        """Return the new symbol of an old one, empty if unknown, and the announcement's id, if any."""
        told = next((a for a in announced if a.kind is ActivityKind.RENAME and a.symbol == old and a.new_symbol), None)
        if told is not None:
            return told.new_symbol, told.id
        asset_id = self._ledger.actions.find_assets().get(old)
        same = (p.symbol for p in reading.positions.values() if asset_id and p.asset_id == asset_id)
        return next(same, ""), ""

    def _book_rename(self, old: str, new: str, held: Decimal, activity_id: str, now: datetime) -> None:
        book, day = self._ledger.book, trading_day(now)
        price = book.find_entry_price(old, now + MOMENT)
        self._ledger.actions.rename(old, new, now)
        holdings = book.balance().holdings  # the fills of moved exits have moved, too
        leaves, joins = holdings.get(old, ZERO), held - holdings.get(new, ZERO)
        sentence = f"{old} is called {new} now: {count_noun(leaves, 'share')}"
        book.add(
            [
                AccountEntry(EntryKind.RENAME, day, now, old, -leaves, price, ZERO, activity_id, sentence),
                AccountEntry(EntryKind.RENAME, day, now, new, joins, price, ZERO, activity_id, sentence),
            ]
        )
        log.warning("%s", sentence)

    # --- splits ---

    def _book_splits(
        self,
        announced: Sequence[Activity],
        balance: Balance,
        reading: AccountReading,
        now: datetime,
        former: Mapping[str, str],
        *,
        unannounced: bool,
    ) -> set[str]:
        """Book the splits that explain a holding. Returns their symbols. `former` names symbols renamed just now."""
        found = set[str]()
        for symbol in sorted({*reading.positions, *balance.holdings} - reading.unreadable):
            change = reading.balance.holdings.get(symbol, ZERO) - balance.holdings.get(symbol, ZERO)
            if not change:
                continue
            split, later = None, tuple[FillRow, ...]()
            for holding, sales in self._list_past_holdings(symbol, balance, reading, former.get(symbol, symbol), now):
                seen = find_split(holding, announced, unannounced=unannounced)
                if seen is not None and (split is None or seen.is_exact):
                    split, later = seen, sales
                if split is not None and split.is_exact:
                    break
            if split is not None:
                self._book_split(split, later, now)
                found.add(symbol)
        return found

    def _list_past_holdings(
        self, symbol: str, balance: Balance, reading: AccountReading, former: str, now: datetime
    ) -> Iterator[tuple[ChangedHolding, tuple[FillRow, ...]]]:
        """Yield a holding as it is, then as it was before its last sale, before the last two, and so on.

        An old stop may have sold shares after their split, before the desk could look. With each holding come the
        sales after it.
        """
        book, position = self._ledger.book, reading.positions.get(symbol)
        before, after = balance.holdings.get(symbol, ZERO), reading.balance.holdings.get(symbol, ZERO)
        entry, market = (position.avg_entry_price, position.current_price) if position else (None, None)
        sales = [sale.fill for sale in self._list_sales(symbol, now)]
        for number in range(min(len(sales), MOST_SALES) + 1):
            later = tuple(sales[len(sales) - number :])
            sold, moment = sum((f.qty for f in later), ZERO), later[0].filled_at if later else now
            price = later[0].price if later and market is None else market
            paid = book.find_entry_price(former, moment)
            yield ChangedHolding(symbol, before + sold, after + sold, paid, entry, price), later

    def _book_split(self, split: Split, later: Sequence[FillRow], now: datetime) -> None:
        """Book a split before the sales after it."""
        held, day = split.holding, trading_day(now)
        at = min([now, *(fill.filled_at - MOMENT for fill in later)])
        price, change = held.entry if held.paid is None else held.paid / split.ratio, held.after - held.before
        booking = AccountEntry(EntryKind.SPLIT, day, at, held.symbol, change, price, ZERO, split.activity_id)
        self._ledger.book.add([replace(booking, sentence=split.sentence)])
        self._ledger.actions.split(held.symbol, split.ratio, at, later)
        log.warning("%s", split.sentence)


def _moment_of(sale: FillRecord) -> datetime:
    return sale.fill.filled_at


def _add(balance: Balance, sales: Iterable[FillRecord]) -> dict[str, Decimal]:
    """Return holdings as they were before some sales."""
    holdings = dict(balance.holdings)
    for sale in sales:
        holdings[sale.symbol] = holdings.get(sale.symbol, ZERO) + sale.fill.qty
    return holdings
