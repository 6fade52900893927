"""Trading's records: the intent of every order before it is sent, what became of it, and each fill."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from Departments.core.clock import iso
from Departments.core.money import ZERO, plain
from Departments.core.orders import TERMINAL, Order, OrderStatus, Side
from Departments.core.trading_calendar import trading_day
from Departments.ledger.database import Database
from Departments.ledger.order_records import (
    COLUMNS,
    FillRecord,
    OrderIntent,
    OrderRecord,
    as_seen,
    fill_of,
    record_of,
    seen_by,
)
from Departments.ledger.values import marks, number_text, time_text

RejectionSource = Literal["HARD_CONSTRAINT", "ALPACA", "DUPLICATE"]
_OPEN = "status NOT IN (" + ", ".join(f"'{status}'" for status in sorted(TERMINAL)) + ")"


class OrderRecords:
    """Orders, fills and rejections in the ledger. Every method joins the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def find(self, client_order_id: str) -> OrderRecord | None:
        """Return the order with this client order id, or None."""
        return next(iter(self._records("client_order_id = ?", client_order_id)), None)

    def known(self, client_order_ids: Sequence[str]) -> dict[str, OrderRecord]:
        """Return those of some orders that the ledger has, by their client order ids."""
        records = self._records(f"client_order_id IN ({marks(client_order_ids)})", *client_order_ids)
        return {record.intent.client_order_id: record for record in records}

    def by_message(self, message_id: str) -> OrderRecord | None:
        """Return the order that an approval message led to, or None."""
        return next(iter(self._records("message_id = ?", message_id)), None)

    def open(self) -> list[OrderRecord]:
        """Return every order that is not known to be terminal, oldest first."""
        return self._records(_OPEN)

    def open_trades(self) -> list[OrderRecord]:
        """Return every order of an approval that is not known to be terminal, oldest first."""
        return self._records(f"{_OPEN} AND purpose = 'trade'")

    def open_exits(self, *, statuses: Collection[OrderStatus] = (), tickers: Collection[str] = ()) -> list[OrderRecord]:
        """Return every exit not known to be terminal that is in one of `statuses` or of one of `tickers`."""
        which = f"status IN ({marks(statuses)}) OR ticker IN ({marks(tickers)})"
        return self._records(f"{_OPEN} AND purpose = 'exit' AND ({which})", *statuses, *tickers)

    def of_plan(self, plan_id: str) -> list[OrderRecord]:
        """Return every order of a plan, oldest first."""
        return self._records("plan_id = ?", plan_id)

    def of_symbols(self, tickers: Collection[str]) -> list[OrderRecord]:
        """Return every order of some symbols, oldest first."""
        return self._records(f"ticker IN ({marks(tickers)})", *tickers)

    def of_symbols_moved_since(self, moment: datetime) -> list[OrderRecord]:
        """Return every order of each symbol of which some order has changed since a moment, oldest first."""
        return self._records("ticker IN (SELECT ticker FROM desk_orders WHERE updated_at >= ?)", iso(moment))

    def recent(self, tickers: Sequence[str]) -> list[OrderRecord]:
        """Return the newest order of each ticker that has one, exits left out, oldest first."""
        ours = f"purpose = 'trade' AND ticker IN ({marks(tickers)})"
        query = f"SELECT max(id) FROM desk_orders WHERE {ours} GROUP BY ticker"  # noqa: S608 - only marks
        return self._records(f"id IN ({query})", *tickers)

    def intend(self, intent: OrderIntent, at: datetime) -> None:
        """Record that an order is about to be sent; its status is `unknown` until the broker answers."""
        self._insert(intent, OrderStatus.UNKNOWN, at)

    def taken(self, client_order_id: str, at: datetime) -> None:
        """Record that the broker has an order that it does not show yet."""
        self._db.execute(
            "UPDATE desk_orders SET status = ?, updated_at = ? WHERE client_order_id = ? AND status = ?",
            (OrderStatus.PENDING_NEW, iso(at), client_order_id, OrderStatus.UNKNOWN),
        )

    def adopt(self, intent: OrderIntent, order: Order, at: datetime, known: OrderRecord | None) -> OrderRecord | None:
        """Record an order that the broker has, such as a bracket's exit; `known` is its record, None for a new one.

        Returns its record, None for one that is new and of which nothing has traded.
        """
        if known is None and order.filled_qty == 0:
            self._insert(intent, order.status, at, seen=order)
            return None
        if known is None:
            self._insert(intent, OrderStatus.UNKNOWN, at)
        return self.observe(order, at, known or self.find(intent.client_order_id))

    def deny(self, intent: OrderIntent, code: str, reason: str, at: datetime, escalation_id: str | None) -> None:
        """Record an order that our own check stopped; the broker never sees it."""
        self._insert(intent, OrderStatus.DENIED, at, passed=False, code=code, reason=reason)
        self._reject(intent.client_order_id, code, reason, "HARD_CONSTRAINT", at, escalation_id)

    def refuse(
        self,
        client_order_id: str,
        code: str,
        reason: str,
        at: datetime,
        escalation_id: str | None,
        source: RejectionSource = "ALPACA",
    ) -> None:
        """Record that the broker refused an intended order."""
        self._db.execute(
            "UPDATE desk_orders SET status = ?, code = ?, reason = ?, terminal_at = ?, updated_at = ? "
            "WHERE client_order_id = ?",
            (OrderStatus.REJECTED, code, reason, iso(at), iso(at), client_order_id),
        )
        self._reject(client_order_id, code, reason, source, at, escalation_id)

    def observe(self, order: Order, at: datetime, known: OrderRecord | None = None) -> OrderRecord:
        """Record what the broker says of an order now, with any new fill; return the new record.

        A snapshot that is older than what is known (fewer shares filled, or a terminal order that moves) changes
        nothing. `known` is the record, where the caller has read it already. Raises KeyError for an order the ledger
        does not know.
        """
        known = known or self.find(order.client_order_id)
        if known is None:
            raise KeyError(order.client_order_id)
        if known.status.is_terminal or order.filled_qty < known.filled_qty:
            return known
        seen = as_seen(known, order, at)
        if seen == known:
            return known
        self._record_fill(known, order, at)
        self._db.execute(
            "UPDATE desk_orders SET status = ?, broker_order_id = ?, filled_qty = ?, filled_avg_price = ?, "
            "submitted_at = ?, terminal_at = ?, updated_at = ?, code = ?, reason = ? WHERE id = ?",
            (
                seen.status,
                seen.broker_order_id,
                plain(seen.filled_qty),
                number_text(seen.filled_avg_price),
                time_text(seen.submitted_at),
                time_text(seen.terminal_at),
                iso(at),
                seen.code,
                seen.reason,
                seen.id,
            ),
        )
        return replace(seen, updated_at=at)

    def cancel_requested(self, client_order_id: str, code: str, reason: str, at: datetime) -> None:
        """Record that an order is to be cancelled, and why; the outcome is what the broker says later."""
        self._db.execute(
            "UPDATE desk_orders SET code = ?, reason = ?, cancel_requested_at = ? WHERE client_order_id = ?",
            (code, reason, iso(at), client_order_id),
        )

    def withdraw(self, intent: OrderIntent, code: str, reason: str, at: datetime) -> None:
        """Record an order that was cancelled before it was ever sent."""
        if self.find(intent.client_order_id) is None:
            self._insert(intent, OrderStatus.CANCELED, at, code=code, reason=reason)
            return
        self._db.execute(
            "UPDATE desk_orders SET status = ?, code = ?, reason = ?, terminal_at = ?, updated_at = ? "
            "WHERE client_order_id = ?",
            (OrderStatus.CANCELED, code, reason, iso(at), iso(at), intent.client_order_id),
        )

    def fills_since(self, since: datetime) -> list[FillRecord]:
        """Return the fills at or after a moment, oldest first."""
        return self._fills("f.filled_at >= ?", iso(since))

    def fills_in(self, plan_id: str, since: datetime, until: datetime | None) -> list[FillRecord]:
        """Return the fills of what an execution of a plan sent, and all others in its time, oldest first."""
        sent = "SELECT message_id FROM desk_trades WHERE plan_id = ? AND message_id IS NOT NULL"
        its_own = (
            f"SELECT x.id FROM desk_fills x JOIN desk_orders y ON y.id = x.order_id WHERE y.message_id IN ({sent})"  # noqa: S608
        )
        others = "SELECT id FROM desk_fills WHERE filled_at >= ? AND filled_at <= coalesce(?, filled_at)"
        return self._fills(f"f.id IN ({its_own} UNION {others})", plan_id, iso(since), time_text(until))

    def _records(self, which: str, *values: str) -> list[OrderRecord]:
        rows = self._db.rows(f"SELECT {COLUMNS} FROM desk_orders WHERE {which} ORDER BY +id", values)  # noqa: S608 - no outside text
        return [record_of(row) for row in rows]

    def _fills(self, which: str, *values: str | None) -> list[FillRecord]:
        rows = self._db.rows(
            "SELECT o.ticker, o.side, o.plan_id, o.client_order_id, f.qty, f.price, f.filled_at "  # noqa: S608 - no outside text
            f"FROM desk_fills f JOIN desk_orders o ON o.id = f.order_id WHERE {which} ORDER BY f.filled_at, f.id",
            values,
        )
        return [fill_of(row) for row in rows]

    def sides_on(self, day: date) -> dict[str, frozenset[Side]]:
        """Return which sides filled on a trading day, by symbol."""
        rows = self._db.rows("SELECT ticker, sides FROM desk_traded WHERE day = ?", (day.isoformat(),))
        return {t: frozenset(Side) if sides == "BOTH" else frozenset({Side(sides)}) for t, sides in rows}

    def day_trades_since(self, day: date) -> list[date]:
        """Return the day of each symbol that was bought and sold on one trading day, since a day, oldest first."""
        query = "SELECT day FROM desk_traded WHERE sides = 'BOTH' AND day >= ? ORDER BY day"
        return [date.fromisoformat(row["day"]) for row in self._db.rows(query, (day.isoformat(),))]

    def stops(self, tickers: Collection[str] | None = None) -> dict[str, Decimal]:
        """Return the protective stop of each symbol, or of some: its newest filled BUY's, or its newest exit's."""
        if tickers is not None and not tickers:
            return {}
        which = "" if tickers is None else f" AND ticker IN ({marks(tickers)})"
        rows = self._db.rows(
            "SELECT ticker, stop_price, max(id) FROM desk_orders "  # noqa: S608 - only marks
            f"WHERE stop_price IS NOT NULL AND (filled_qty <> '0' OR purpose = 'exit'){which} GROUP BY ticker",
            list(tickers or ()),
        )
        return {row["ticker"]: Decimal(row["stop_price"]) for row in rows}

    def _record_fill(self, known: OrderRecord, order: Order, at: datetime) -> None:
        new = order.filled_qty - known.filled_qty
        if new <= 0 or order.filled_avg_price is None:
            return
        before = known.filled_qty * (known.filled_avg_price or ZERO)
        price = (order.filled_qty * order.filled_avg_price - before) / new
        filled_at = seen_by(at, order.filled_at or order.updated_at)
        self._note_side(known.intent, trading_day(filled_at))
        self._db.execute(
            "INSERT OR IGNORE INTO desk_fills (order_id, qty, price, filled_at, expected_price, cumulative_qty) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (
                known.id,
                plain(new),
                plain(price),
                iso(filled_at),
                number_text(known.intent.expected_price),
                plain(order.filled_qty),
            ),
        )

    def _note_side(self, intent: OrderIntent, day: date) -> None:
        self._db.execute(
            "INSERT INTO desk_traded VALUES (?, ?, ?) "
            "ON CONFLICT (day, ticker) DO UPDATE SET sides = 'BOTH' WHERE sides <> excluded.sides",
            (day.isoformat(), intent.ticker, intent.side),
        )

    def _insert(
        self,
        intent: OrderIntent,
        status: OrderStatus,
        at: datetime,
        *,
        passed: bool = True,
        code: str = "",
        reason: str = "",
        seen: Order | None = None,
    ) -> None:
        self._db.execute(
            "INSERT INTO desk_orders (client_order_id, message_id, plan_id, ticker, side, qty, order_type, "
            "limit_price, expected_price, stop_price, purpose, status, constraints_passed, violations, created_at, "
            "updated_at, code, reason, terminal_at, broker_order_id, submitted_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                intent.client_order_id,
                intent.message_id,
                intent.plan_id,
                intent.ticker,
                intent.side,
                plain(intent.qty),
                intent.order_type,
                number_text(intent.limit_price),
                number_text(intent.expected_price),
                number_text(intent.stop_price),
                intent.purpose,
                status,
                int(passed),
                "" if passed else reason,
                iso(at),
                iso(at),
                code,
                reason,
                iso(seen_by(at, seen.updated_at if seen else None)) if status.is_terminal else None,
                seen and seen.id,
                seen and iso(seen_by(at, seen.submitted_at)),
            ),
        )

    def _reject(
        self,
        client_order_id: str,
        code: str,
        reason: str,
        source: RejectionSource,
        at: datetime,
        escalation_id: str | None,
    ) -> None:
        self._db.execute(
            "INSERT OR IGNORE INTO desk_rejections (order_id, code, reason, source, at, escalation_msg_id) "
            "SELECT id, ?, ?, ?, ?, ? FROM desk_orders WHERE client_order_id = ?",
            (code, reason, source, iso(at), escalation_id, client_order_id),
        )
