"""Unprotected shares: a row for each symbol that has some, and the history of its changes.

The exits of a BUY's bracket are live only after it has filled completely. A SELL needs the exits of its shares
cancelled first. In between the shares are unprotected; PROTECT gives exits to those that stay so.

Each transaction about an order changes the row too, by the difference of its group's sum before and after. So a repeat
changes nothing, and within a group the order of the news does not matter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from Departments.core.money import ZERO, whole_shares
from Departments.core.orders import OrderStatus, OrderType, Purpose, Side
from Departments.ledger.database import Database
from Departments.ledger.order_records import FillRow, OrderRecord, is_adopted
from Departments.ledger.tables import Table

#: An exit in one of these states does not protect yet.
NOT_LIVE: Final = frozenset({OrderStatus.UNKNOWN, OrderStatus.PENDING_NEW, OrderStatus.PENDING_REVIEW})


class ChangeCause(StrEnum):
    """The cause of a change of unprotected shares."""

    BOUGHT = "bought"  # a BUY filled, or its own exits went live
    SOLD = "sold"
    COVERED = "covered"  # exits went live that PROTECT asked for
    LOST = "lost"  # exits ended with shares unsold
    RELEASED = "released"  # exits were cancelled for a SELL
    SPLIT = "split"  # each share became more shares, or fewer
    ADOPTED = "adopted"  # somebody else bought or sold them, and the desk answers for what is held
    RENAMED = "renamed"  # the shares have another symbol


#: The causes that count if BUYs have no exits: a SELL may still take away exits that somebody wanted.
_OF_A_RELEASE: Final = frozenset({ChangeCause.RELEASED, ChangeCause.SOLD, ChangeCause.COVERED})


@dataclass(frozen=True, slots=True)
class UnprotectedShares:
    """The shares of a symbol without live exits; `released` of them lost their exits to a RELEASE."""

    symbol: str
    qty: Decimal
    released: Decimal


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a symbol's unprotected shares (negative: fewer), its moment and cause."""

    symbol: str
    at: datetime
    qty: Decimal
    cause: ChangeCause


@dataclass(frozen=True, slots=True)
class Stretch:
    """Shares of a symbol without live exits, from a moment to another (None: still)."""

    symbol: str
    qty: Decimal
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class OrderGroup:
    """An order, its exits and their fills: a bracket, an OCO, or an order alone.

    `entry` is the traded order; exits placed by somebody else have none.
    """

    entry: OrderRecord | None = None
    exits: tuple[OrderRecord, ...] = ()
    fills: tuple[FillRow, ...] = ()

    @classmethod
    def of(cls, orders: Iterable[OrderRecord], fills: Iterable[FillRow]) -> OrderGroup:
        """Return the group of some orders, each with its fills."""
        found = list(orders)
        entry = next((o for o in found if o.purpose is Purpose.TRADE), None)
        return cls(entry, tuple(o for o in found if o.purpose is Purpose.EXIT), tuple(fills))

    def after(self, changed: OrderRecord, fill: FillRow | None = None) -> OrderGroup:
        """Return the group after news of one of its orders, known or new, and its new fill."""
        orders = {order.client_order_id: order for order in (self.entry, *self.exits) if order is not None}
        fills = self.fills if fill is None else (*self.fills, fill)
        return OrderGroup.of((orders | {changed.client_order_id: changed}).values(), fills)

    @property
    def cover(self) -> OrderRecord | None:
        """Return the exit to represent all: the target, else the stop."""
        targets = (e for e in self.exits if e.order_type == OrderType.LIMIT)
        return next(targets, self.exits[0] if self.exits else None)

    @property
    def unsold(self) -> Decimal:
        """Return the unsold shares under the exits."""
        cover = self.cover
        return ZERO if cover is None else max(ZERO, cover.qty - sum((e.filled_qty for e in self.exits), ZERO))

    @property
    def last(self) -> OrderRecord:
        """Return the order of the group that ended last, the entry if none has. Raises ValueError without orders."""
        orders = [order for order in (self.entry, *self.exits) if order is not None]
        return max(orders, key=lambda order: (order.terminal_at is not None, order.terminal_at or order.created_at))

    @property
    def is_cut_off(self) -> bool:
        """Return whether it was cancelled before its end: an entry with shares unfilled, or exits of shares unsold."""
        if self.entry is not None and self.entry.status is not OrderStatus.FILLED:
            return self.entry.status is OrderStatus.CANCELED
        return self.unsold > 0 and all(exit_.status.is_terminal for exit_ in self.exits)

    def fills_of(self, *orders: OrderRecord) -> Iterator[FillRow]:
        """Yield the fills of some orders of the group."""
        ids = {order.id for order in orders}
        return (fill for fill in self.fills if fill.order_id in ids)


TimedChange = tuple[datetime, ChangeCause]

UNPROTECTED: Final = Table("desk_unprotected", UnprotectedShares, rules=("PRIMARY KEY (symbol)",))
CHANGES: Final = Table(
    "desk_unprotected_changes",
    Change,
    identity="id",
    indexes=("CREATE INDEX desk_unprotected_changes_by_time ON desk_unprotected_changes (at)",),
)


class UnprotectedRecords:
    """The rows and their history. Every method joins the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def find_all(self) -> list[UnprotectedShares]:
        """Return the unprotected shares of every symbol with some."""
        return UNPROTECTED.find(self._db, "1 = 1", order="symbol")

    def find(self, symbol: str) -> UnprotectedShares:
        """Return the unprotected shares of a symbol."""
        return UNPROTECTED.first(self._db, "symbol = ?", symbol) or UnprotectedShares(symbol, ZERO, ZERO)

    def changes_of(self, symbol: str, until: datetime) -> list[Change]:
        """Return the changes of a symbol before a moment, oldest first."""
        return CHANGES.find(self._db, "symbol = ? AND at < ?", symbol, until, order="at, id")

    def changes_since(self, moment: datetime) -> list[Change]:
        """Return the changes at or after a moment, oldest first."""
        return CHANGES.find(self._db, "at >= ?", moment, order="at, id")

    def split(self, symbol: str, ratio: Decimal, at: datetime) -> None:
        """Multiply the row of a symbol by the ratio of a split; fractions of a share are dropped."""
        known = UNPROTECTED.first(self._db, "symbol = ?", symbol)
        if known is not None:
            qty, released = whole_shares(known.qty * ratio), whole_shares(known.released * ratio)
            self._set(UnprotectedShares(symbol, qty, released))
            CHANGES.insert(self._db, Change(symbol, at, qty - known.qty, ChangeCause.SPLIT))

    def adopt(self, symbol: str, qty: Decimal, at: datetime, cause: ChangeCause = ChangeCause.ADOPTED) -> None:
        """Answer for whole shares outside the ledger's orders (negative: sold, as far as they were unprotected)."""
        known = self.find(symbol)
        now = max(ZERO, known.qty + whole_shares(qty))
        if now != known.qty:
            self._set(UnprotectedShares(symbol, now, min(known.released, now)))
            CHANGES.insert(self._db, Change(symbol, at, now - known.qty, cause))

    def rename(self, symbol: str, new: str, at: datetime) -> None:
        """Move the row of a symbol to another, and join it with that one's."""
        old = UNPROTECTED.first(self._db, "symbol = ?", symbol)
        if old is not None:
            known = self.find(new)
            self._set(UnprotectedShares(symbol, ZERO, ZERO))
            self._set(UnprotectedShares(new, known.qty + old.qty, known.released + old.released))
            CHANGES.insert(self._db, Change(symbol, at, -old.qty, ChangeCause.RENAMED))
            CHANGES.insert(self._db, Change(new, at, old.qty, ChangeCause.RENAMED))

    def follow(self, symbol: str, before: OrderGroup, after: OrderGroup) -> None:
        """Change the row of a symbol by the change of a group."""
        news = difference(before, after)
        if not news:
            return
        known = self.find(symbol)
        row, changes = change(known, news)
        self._set(row)
        for each in changes:
            CHANGES.insert(self._db, each)

    def _set(self, row: UnprotectedShares) -> None:
        if row.qty or row.released:
            UNPROTECTED.replace(self._db, row, "symbol")
        else:
            self._db.execute("DELETE FROM desk_unprotected WHERE symbol = ?", (row.symbol,))


def change(known: UnprotectedShares, news: Mapping[TimedChange, Decimal]) -> tuple[UnprotectedShares, list[Change]]:
    """Return a row after news of one group, and the changes to remember.

    A sale takes unprotected shares first; if it sells more of them than there are, the rest never needed our exits.
    """
    qty = known.qty + sum(news.values(), ZERO)
    released = known.released + sum((n for (_, cause), n in news.items() if cause in _OF_A_RELEASE), ZERO)
    too_many, changes = max(ZERO, -qty), []
    for (at, cause), by in sorted(news.items(), reverse=True):
        spared = min(too_many, max(ZERO, -by))
        too_many -= spared
        changes.append(Change(known.symbol, at, by + spared, cause))
    row = UnprotectedShares(known.symbol, max(ZERO, qty), max(ZERO, released))
    return row, [each for each in reversed(changes) if each.qty]


def difference(before: OrderGroup, after: OrderGroup) -> dict[TimedChange, Decimal]:
    """Return a group's difference in unprotected shares, by moment and cause."""
    found: defaultdict[TimedChange, Decimal] = defaultdict(Decimal)
    for sign, group in ((-1, before), (1, after)):
        for at, cause, qty in _history(group):
            found[at, cause] += sign * qty
    return {key: qty for key, qty in found.items() if qty}


def sum_by_moment(course: Iterable[tuple[datetime, Decimal]]) -> list[tuple[datetime, Decimal]]:
    """Return the changes of each moment as one, oldest first, without empty ones."""
    sums: defaultdict[datetime, Decimal] = defaultdict(Decimal)
    for at, qty in course:
        sums[at] += qty
    return sorted((at, qty) for at, qty in sums.items() if qty)


def stretches(symbol: str, course: Iterable[tuple[datetime, Decimal]]) -> Iterator[Stretch]:
    """Yield the stretches with unprotected shares from the changes at each moment, oldest first."""
    unprotected, since = ZERO, None
    for at, qty in course:
        if unprotected > 0 and since is not None and at > since:
            yield Stretch(symbol, unprotected, since, at)
        unprotected, since = unprotected + qty, at
    if unprotected > 0 and since is not None:
        yield Stretch(symbol, unprotected, since, None)


def _history(group: OrderGroup) -> Iterator[tuple[datetime, ChangeCause, Decimal]]:
    """Yield every change of unprotected shares by a group since its beginning."""
    entry, cover = group.entry, group.cover
    if entry is not None:
        bought = entry.side is Side.BUY
        for fill in group.fills_of(entry):
            yield fill.filled_at, *((ChangeCause.BOUGHT, fill.qty) if bought else (ChangeCause.SOLD, -fill.qty))
    live_at = None if cover is None else _find_live_moment(cover, entry)
    if cover is None or live_at is None:
        yield from _list_uncovered_sales(group)
        return
    if not _is_strange(cover, entry):
        yield live_at, ChangeCause.COVERED if entry is None else ChangeCause.BOUGHT, -cover.qty
    ended_at = _find_end(group.exits)
    if ended_at is not None:
        taken = any(e.released_at for e in group.exits)
        yield ended_at, ChangeCause.RELEASED if taken else ChangeCause.LOST, group.unsold


def may_protect(before: OrderRecord, after: OrderRecord) -> bool:
    """Return whether news of an order may change protection: fills, an end, or an exit that goes live."""
    goes_live = before.purpose is Purpose.EXIT and before.status in NOT_LIVE
    return goes_live or after.filled_qty != before.filled_qty or after.status.is_terminal


def _find_live_moment(cover: OrderRecord, entry: OrderRecord | None) -> datetime | None:
    """Return the first moment of protection, or None: a bracket protects after its entry has filled."""
    if cover.status is OrderStatus.REJECTED:
        return None
    if entry is not None:
        return entry.terminal_at if entry.filled_qty == entry.qty else None
    if _is_strange(cover, entry):
        return cover.created_at
    return None if cover.status in NOT_LIVE else cover.submitted_at


def _find_end(exits: Iterable[OrderRecord]) -> datetime | None:
    """Return when the last exit ended: a stop that has triggered protects although its target is gone."""
    times = [e.terminal_at if e.status.is_terminal else None for e in exits]
    known = [at for at in times if at is not None]
    return max(known) if len(known) == len(times) else None


def _is_strange(cover: OrderRecord, entry: OrderRecord | None) -> bool:
    """Return whether exits cover shares bought outside this ledger. They were live before it knew them."""
    return entry is None and is_adopted(cover)


def _list_uncovered_sales(group: OrderGroup) -> Iterator[tuple[datetime, ChangeCause, Decimal]]:
    """Yield the sales of exits without protection; a bracket's never exceed its entry's fills."""
    left = None if group.entry is None else group.entry.filled_qty
    for fill in group.fills_of(*group.exits):
        qty = fill.qty if left is None else min(left, fill.qty)
        left = None if left is None else left - qty
        yield fill.filled_at, ChangeCause.SOLD, -qty
