"""Trading's records: the intent of every order, its later states, and each fill."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import fields, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from Departments.core.moments import iso
from Departments.core.money import ZERO
from Departments.core.orders import Order, OrderStatus, Purpose, RejectionSource, Side
from Departments.core.trading_calendar import trading_day
from Departments.ledger.database import Database
from Departments.ledger.old_orders import OldOrders
from Departments.ledger.order_records import (
    BOTH,
    FILLS,
    OPEN,
    ORDERS,
    REJECTIONS,
    TRADED,
    WITH_STOP,
    FillRecord,
    FillRow,
    OrderRecord,
    Rejection,
    TradedSides,
    apply_news,
    end_order,
    limit_moment,
)
from Departments.ledger.tables import Table, marks
from Departments.ledger.unprotected import OrderGroup, UnprotectedRecords, may_protect

#: The columns that a snapshot of the broker changes.
_SEEN: Final = (
    "status",
    "broker_order_id",
    "filled_qty",
    "filled_avg_price",
    "submitted_at",
    "terminal_at",
    "updated_at",
    "code",
    "reason",
)
#: The columns that the end of an order changes.
_ENDED: Final = ("status", "code", "reason", "terminal_at", "updated_at")
#: A fill joined with its order.
_FILL: Final = Table("desk_fills", FillRecord)
_FILL_COLUMNS: Final = ", ".join(f"f.{field.name}" for field in fields(FillRow))


class OrderRecords:
    """Orders, fills and rejections in the ledger. Every method joins the caller's transaction."""

    def __init__(self, database: Database, unprotected: UnprotectedRecords, old: OldOrders) -> None:
        self._db = database
        self._unprotected = unprotected
        self._old = old

    def find(self, client_order_id: str) -> OrderRecord | None:
        """Return the order with this client order id, or None."""
        return next(iter(self._records("client_order_id = ?", client_order_id)), None)

    def find_many(self, client_order_ids: Sequence[str]) -> dict[str, OrderRecord]:
        """Return the known ones of some orders, by their client order ids."""
        records = self._records(f"client_order_id IN ({marks(client_order_ids)})", *client_order_ids)
        return {record.client_order_id: record for record in records}

    def find_by_message(self, message_id: str) -> OrderRecord | None:
        """Return the order of an approval message, or None."""
        return next(iter(self._records("message_id = ?", message_id)), None)

    def has_any(self) -> bool:
        """Return whether an order was ever intended."""
        return self._db.row("SELECT id FROM desk_orders LIMIT 1") is not None

    def find_open(self) -> list[OrderRecord]:
        """Return every order not known to be terminal, oldest first."""
        return self._records(OPEN)

    def list_broker_ids(self, order_ids: Sequence[str]) -> set[str]:
        """Return those of the broker's ids that are of orders in the ledger."""
        found = f"SELECT broker_order_id FROM desk_orders WHERE broker_order_id IN ({marks(order_ids)})"  # noqa: S608 - only marks
        return {row[0] for row in self._db.rows(found, order_ids)}

    def find_at_broker(self, order_ids: Sequence[str]) -> list[OrderRecord]:
        """Return the orders with some of the broker's ids, oldest first."""
        return self._records(f"broker_order_id IN ({marks(order_ids)})", *order_ids) if order_ids else []

    def find_open_trades(self) -> list[OrderRecord]:
        """Return every approved order not known to be terminal, oldest first."""
        return self._records(f"{OPEN} AND purpose = 'trade'")

    def find_open_exits(
        self, *, statuses: Collection[OrderStatus] = (), symbols: Collection[str] = ()
    ) -> list[OrderRecord]:
        """Return every open exit in one of `statuses` or of one of `symbols`."""
        condition = f"status IN ({marks(statuses)}) OR symbol IN ({marks(symbols)})"
        return self._records(f"{OPEN} AND purpose = 'exit' AND ({condition})", *statuses, *symbols)

    def find_filled_brackets(self) -> list[OrderRecord]:
        """Return every filled entry with an open exit, oldest first."""
        parents = f"SELECT parent_id FROM desk_orders WHERE {OPEN} AND purpose = 'exit'"  # noqa: S608 - no outside text
        return self._records(f"status = ? AND purpose = 'trade' AND client_order_id IN ({parents})", OrderStatus.FILLED)

    def find_exits_of(self, client_order_id: str) -> list[OrderRecord]:
        """Return the exits of an entry, ended ones included."""
        return self._records("parent_id = ? AND purpose = 'exit'", client_order_id)

    def find_expired_exits(self, symbols: Collection[str], since: datetime) -> list[OrderRecord]:
        """Return the exits of some symbols that the broker let expire since a moment, oldest first."""
        ended = f"symbol IN ({marks(symbols)}) AND purpose = 'exit' AND status = ? AND terminal_at >= ?"
        return self._records(ended, *symbols, OrderStatus.EXPIRED, iso(since))

    def find_cancelled(self, symbols: Collection[str], plan_id: str, since: datetime) -> list[OrderGroup]:
        """Return what was cancelled since a moment and not by the desk: exits of symbols, orders of a plan."""
        ours = "released_at IS NULL AND cancel_requested_at IS NULL AND broker_order_id IS NOT NULL"
        which = f"(symbol IN ({marks(symbols)}) AND purpose = 'exit') OR plan_id = ?"
        ended = f"({which}) AND status = ? AND terminal_at >= ? AND {ours}"
        found = self._records(ended, *symbols, plan_id, OrderStatus.CANCELED, iso(since))
        groups = {self._root(order): self._group(order) for order in found}
        return [group for group in groups.values() if group.is_cut_off]

    def sum_under_exits(self, *, releasing: bool = False) -> dict[str, Decimal]:
        """Return the shares under open exits, or only under those in a RELEASE, by symbol."""
        found: dict[str, Decimal] = {}
        condition = f"{OPEN} AND purpose = 'exit'{' AND released_at IS NOT NULL' if releasing else ''}"
        roots = f"SELECT coalesce(parent_id, client_order_id) FROM desk_orders WHERE {condition}"  # noqa: S608 - our own
        groups: defaultdict[str, list[OrderRecord]] = defaultdict(list)
        for record in self._records(f"client_order_id IN ({roots}) OR parent_id IN ({roots})"):
            groups[self._root(record)].append(record)
        for group in (OrderGroup.of(orders, ()) for orders in groups.values()):
            symbol = group.exits[0].symbol
            found[symbol] = found.get(symbol, ZERO) + group.unsold
        return found

    def find_by_plan(self, plan_id: str) -> list[OrderRecord]:
        """Return every order of a plan, oldest first."""
        return self._records("plan_id = ?", plan_id)

    def find_of_symbol(self, symbol: str) -> list[OrderRecord]:
        """Return every order of a symbol, exits included, oldest first."""
        return self._records("symbol = ?", symbol)

    def find_newest(self, symbols: Sequence[str]) -> list[OrderRecord]:
        """Return the newest trade of each symbol, oldest first, without exits."""
        ours = f"purpose = 'trade' AND symbol IN ({marks(symbols)})"
        query = f"SELECT max(id) FROM desk_orders WHERE {ours} GROUP BY symbol"  # noqa: S608 - only marks
        return self._records(f"id IN ({query})", *symbols)

    def intend(self, intent: OrderRecord) -> None:
        """Record an order before it is sent; its status is `unknown` until the broker answers."""
        self._add(replace(intent, updated_at=intent.created_at))

    def mark_taken(self, client_order_id: str, at: datetime) -> None:
        """Record an order accepted by the broker but not shown by it yet."""
        changes = {"status": OrderStatus.PENDING_NEW, "updated_at": at}
        ORDERS.update(self._db, changes, "client_order_id = ? AND status = ?", client_order_id, OrderStatus.UNKNOWN)

    def adopt(
        self,
        intent: OrderRecord,
        order: Order,
        at: datetime,
        known: OrderRecord | None,
        entry: OrderRecord | None = None,
    ) -> OrderRecord | None:
        """Record an order found at the broker, such as a bracket's exit; `known` is its record, if any.

        `entry` is the record of its bracket's entry, if the caller has it: exits protect nothing before that has
        filled. Returns its record, None for a new order without a fill.
        """
        if known is None:
            is_waiting = entry is not None and entry.purpose is Purpose.TRADE and entry.filled_qty != entry.qty
            before = None if is_waiting else self._group(intent)
            status = OrderStatus.UNKNOWN if order.filled_qty else order.status
            seen = replace(
                intent,
                status=status,
                broker_order_id=order.id,
                submitted_at=limit_moment(at, order.submitted_at),
                terminal_at=limit_moment(at, order.updated_at) if status.is_terminal else None,
                updated_at=at,
            )
            self._add(seen)
            if before is not None:
                self._follow(before, seen)
            if order.filled_qty == 0:
                return None
        return self.observe(order, at, known or self.find(intent.client_order_id))

    def deny(self, intent: OrderRecord, code: str, reason: str, at: datetime, escalation_id: str | None) -> None:
        """Record an order denied by our own check; the broker never sees it."""
        self._add(end_order(intent, OrderStatus.DENIED, code, reason, at))
        self._reject(intent.client_order_id, code, reason, RejectionSource.CONSTRAINT, at, escalation_id)

    def refuse(
        self,
        client_order_id: str,
        code: str,
        reason: str,
        at: datetime,
        escalation_id: str | None,
        source: RejectionSource = RejectionSource.BROKER,
    ) -> None:
        """Record an intended order as rejected by the broker."""
        known = self.find(client_order_id)
        if known is None:
            return
        self._end(known, OrderStatus.REJECTED, code, reason, at)
        self._reject(client_order_id, code, reason, source, at, escalation_id)

    def observe(
        self, order: Order, at: datetime, known: OrderRecord | None = None, *, corrected: bool = False
    ) -> OrderRecord:
        """Record the broker's snapshot of an order, with any new fill; return the new record.

        A snapshot older than the record (fewer filled shares, or a terminal order) changes nothing. `known` is the
        record, if the caller has read it already. With `corrected`, a person has accepted that a terminal record was
        wrong. Raises KeyError for an unknown order.
        """
        known = known or self.find(order.client_order_id)
        if known is None:
            raise KeyError(order.client_order_id)
        if (known.status.is_terminal and not corrected) or order.filled_qty < known.filled_qty:
            return known
        seen = apply_news(known, order, at)
        if seen is known:
            return known
        before = self._group(known) if may_protect(known, seen) else None
        fill = self._record_fill(known, order, at)
        ORDERS.update(self._db, {name: getattr(seen, name) for name in _SEEN}, "id = ?", seen.id)
        self._old.follow(seen, fill)
        if before is not None:
            self._follow(before, seen, fill)
        return seen

    def request_cancel(self, client_order_id: str, code: str, reason: str, at: datetime) -> None:
        """Record a request to cancel an order, and its reason. The broker reports the outcome later."""
        changes = {"code": code, "reason": reason, "cancel_requested_at": at}
        ORDERS.update(self._db, changes, "client_order_id = ?", client_order_id)

    def shrink(self, exit_: OrderRecord, qty: Decimal) -> None:
        """Record that a person took shares out of an exit; the caller counts them as unprotected."""
        if qty < exit_.qty:
            ORDERS.update(self._db, {"qty": qty}, "id = ?", exit_.id)

    def release(self, client_order_ids: Sequence[str], at: datetime) -> None:
        """Record the beginning of a RELEASE of exits."""
        condition = f"client_order_id IN ({marks(client_order_ids)}) AND released_at IS NULL"
        ORDERS.update(self._db, {"released_at": at}, condition, *client_order_ids)

    def withdraw(self, intent: OrderRecord, code: str, reason: str, at: datetime) -> None:
        """Record an order cancelled before it was sent."""
        known = self.find(intent.client_order_id)
        if known is None:
            self._add(end_order(intent, OrderStatus.CANCELED, code, reason, at))
        else:
            self._end(known, OrderStatus.CANCELED, code, reason, at)

    def fills_since(self, since: datetime) -> list[FillRecord]:
        """Return the fills at or after a moment, oldest first."""
        return self._fills("f.filled_at >= ?", iso(since))

    def find_last_sales(self, since: datetime) -> dict[str, datetime]:
        """Return the moment of each symbol's last SELL fill at or after a moment."""
        return {fill.symbol: fill.fill.filled_at for fill in self.fills_since(since) if fill.side is Side.SELL}

    def fills_in(self, plan_id: str, attempt: int, since: datetime, until: datetime | None) -> list[FillRecord]:
        """Return the fills of an attempt's orders, and all others in its time, oldest first.

        Attempts follow one another, so what filled while another one ran is not in this one's time, whatever the
        clock says: a day that is replayed with `--at` begins at the same moment again.
        """
        sent = "SELECT message_id FROM desk_trades WHERE plan_id = ? AND attempt = ? AND message_id IS NOT NULL"
        its_own = (
            f"SELECT x.id FROM desk_fills x JOIN desk_orders y ON y.id = x.order_id WHERE y.message_id IN ({sent})"  # noqa: S608
        )
        ended = "" if until is None else " AND filled_at <= ?"
        elsewhere = (
            "SELECT z.id FROM desk_fills z JOIN desk_orders w ON w.id = z.order_id JOIN desk_executions e "
            "ON e.plan_id = w.plan_id WHERE NOT (e.plan_id = ? AND e.attempt = ?) "
            "AND z.filled_at BETWEEN e.started_at AND e.ended_at"
        )
        others = f"SELECT id FROM desk_fills WHERE filled_at >= ?{ended} AND id NOT IN ({elsewhere})"  # noqa: S608
        times = [iso(moment) for moment in (since, until) if moment is not None]
        return self._fills(f"f.id IN ({its_own} UNION {others})", plan_id, attempt, *times, plan_id, attempt)

    def fills_after(self, row: int) -> list[FillRecord]:
        """Return the fills recorded after a row."""
        return self._fills("f.id > ?", str(row))

    def fills_of(self, symbol: str, before: datetime) -> list[FillRecord]:
        """Return the fills of a symbol before a moment, oldest first."""
        return self._fills("o.symbol = ? AND +f.filled_at < ?", symbol, iso(before))

    def find_by_ids(self, ids: Collection[int]) -> dict[int, OrderRecord]:
        """Return the orders of some rows, by the row."""
        return {record.id: record for record in self._records(f"id IN ({marks(ids)})", *map(str, ids))}

    def _records(self, condition: str, *values: str) -> list[OrderRecord]:
        return ORDERS.find(self._db, condition, *values, order="+id")  # the plus keeps the planner from walking the key

    def _fills(self, condition: str, *values: str | int) -> list[FillRecord]:
        rows = self._db.rows(
            f"SELECT o.symbol, o.side, {_FILL_COLUMNS} "  # noqa: S608 - no outside text
            f"FROM desk_fills f JOIN desk_orders o ON o.id = f.order_id WHERE {condition} ORDER BY +f.filled_at, f.id",
            values,
        )
        return [_FILL.read(self._db, row) for row in rows]

    def sides_on(self, day: date) -> dict[str, frozenset[Side]]:
        """Return the filled sides of a trading day, by symbol."""
        rows = TRADED.find(self._db, "day = ?", day)
        return {row.symbol: frozenset(Side if row.sides == BOTH else {Side(row.sides)}) for row in rows}

    def day_trades_since(self, day: date) -> list[date]:
        """Return the day of each day trade since a day, oldest first."""
        return [row.day for row in TRADED.find(self._db, "sides = 'BOTH' AND day >= ?", day, order="day")]

    def stops(self, symbols: Collection[str] | None = None) -> dict[str, Decimal]:
        """Return the stop of each symbol, or of some: its newest filled BUY's, or newest exit's."""
        if symbols is not None and not symbols:
            return {}
        condition = WITH_STOP if symbols is None else f"{WITH_STOP} AND symbol IN ({marks(symbols)})"
        newest = f"SELECT max(id) FROM desk_orders WHERE {condition} GROUP BY symbol"  # noqa: S608 - only marks
        rows = self._db.rows(
            f"SELECT symbol, stop_price FROM desk_orders WHERE id IN ({newest})",  # noqa: S608 - only marks
            list(symbols or ()),
        )
        return {row["symbol"]: ORDERS.convert(self._db, "stop_price", row["stop_price"]) for row in rows}

    def _record_fill(self, known: OrderRecord, order: Order, at: datetime) -> FillRow | None:
        """Record the new part of a fill. Returns None if there is none."""
        new = order.filled_qty - known.filled_qty
        if new <= 0 or order.filled_avg_price is None:
            return None
        before = known.filled_qty * (known.filled_avg_price or ZERO)
        price = (order.filled_qty * order.filled_avg_price - before) / new
        filled_at = limit_moment(at, order.filled_at or order.updated_at)
        self._note_side(known, trading_day(filled_at))
        fill = FillRow(known.id, new, price, filled_at, known.expected_price, order.filled_qty)
        return fill if FILLS.insert(self._db, fill, "DO NOTHING") else None

    def _note_side(self, intent: OrderRecord, day: date) -> None:
        both = "DO UPDATE SET sides = 'BOTH' WHERE desk_traded.sides <> excluded.sides"
        TRADED.insert(self._db, TradedSides(day, intent.symbol, intent.side), f"(day, symbol) {both}")

    def _end(self, known: OrderRecord, status: OrderStatus, code: str, reason: str, at: datetime) -> None:
        ended = end_order(known, status, code, reason, at)
        before = self._group(known)
        ORDERS.update(self._db, {name: getattr(ended, name) for name in _ENDED}, "id = ?", known.id)
        self._old.follow(ended)
        self._follow(before, ended)

    def _follow(self, before: OrderGroup, changed: OrderRecord, fill: FillRow | None = None) -> None:
        """Change the unprotected shares by the change of one order of a group."""
        self._unprotected.follow(changed.symbol, before, before.after(changed, fill))

    @staticmethod
    def _root(intent: OrderRecord) -> str:
        return intent.parent_id or intent.client_order_id

    def _group(self, intent: OrderRecord) -> OrderGroup:
        """Read an order's group as it is now."""
        root = self._root(intent)
        orders = self._records("client_order_id = ? OR parent_id = ?", root, root)
        ids = [order.id for order in orders if order.filled_qty]
        fills = FILLS.find(self._db, f"order_id IN ({marks(ids)})", *ids, order="id") if ids else ()
        return OrderGroup.of(orders, fills)

    def _reject(
        self,
        client_order_id: str,
        code: str,
        reason: str,
        source: RejectionSource,
        at: datetime,
        escalation_id: str | None,
    ) -> None:
        record = self.find(client_order_id)
        if record is not None:
            rejection = Rejection(record.id, code, reason, source, at, escalation_id)
            if REJECTIONS.insert(self._db, rejection, "DO NOTHING"):
                self._old.reject(record, rejection)

    def _add(self, record: OrderRecord) -> None:
        ORDERS.insert(self._db, record)
        self._old.add(record)
