"""Run due events: the market takes orders, they trade, trigger, end by a cancel, expire.

Every event has a moment; `advance` runs them in that order, however long nobody called.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import ROUND_CEILING, Decimal

from Departments.core.money import CENT, ONE, ZERO
from Departments.core.orders import OrderStatus, OrderType, Side
from Departments.core.trading_calendar import is_open, next_open, next_trading_day, trading_day
from Departments.exchange.book import ExchangeBook
from Departments.exchange.derivation import derive_id, draw_chance
from Departments.exchange.prices import Market, Terms, find_collar, find_touch, round_to_tick, sign
from Departments.exchange.records import Event, Fill, Record, Role, next_status
from Departments.exchange.replacing import full_reserve, is_held_exit
from Departments.exchange.state import ExchangeState

#: Parts of an order's delay: until the market takes it, and from then until it trades.
_TAKEN, _TRADED = Decimal("0.25"), Decimal("0.75")


class Engine:
    """Moves the book from one moment to a later one."""

    def __init__(self, state: ExchangeState, book: ExchangeBook, market: Market) -> None:
        self._state = state
        self._book = book
        self._market = market

    def advance(self, now: datetime) -> None:
        """Run every event due by `now`; a clock set back changes nothing."""
        if self._book.next_due(now) is None:
            return
        with self._book.transaction():
            while (record := self._book.next_due(now)) is not None:
                self._run_event(record, now)

    def find_delay(self, record: Record, kind: str, share: Decimal = Decimal(1)) -> timedelta:
        """Return an order's own delay of a `kind` (fill or cancel)."""
        low, high = self._state.latency.cancel if kind == "cancel" else self._state.latency.fill
        part = Decimal(str(round(draw_chance(self._state.seed, record.client_order_id, kind), 6)))
        return timedelta(seconds=float((low + (high - low) * part) * share))

    def schedule(self, record: Record, now: datetime) -> Record:
        """Return a new order with the moment of its arrival: soon, or at the open."""
        arrives_at = now + self.find_delay(record, "fill", _TAKEN) if is_open(now) else next_open(now)
        return replace(record, next_at=arrives_at)

    def ask_cancel(self, record: Record, now: datetime) -> Record:
        """Return an order with a requested cancel. It may still trade before the confirmation."""
        next_at = record.next_at
        if record.is_arriving and next_at is not None:
            next_at = None if record.doomed else next_at + self.find_delay(record, "fill", _TRADED)
        status = next_status(record.status, Event.ASK_CANCEL)
        cancel_at = now + self.find_delay(record, "cancel")
        return replace(record, status=status, cancel_at=cancel_at, next_at=next_at, updated_at=now)

    def end(self, record: Record, event: Event, at: datetime) -> None:
        """End an order (cancel, expire, reject), the rest of its group, and its awaited successor."""
        self._end_successor(record, Event.CANCEL, at)
        self._save(replace(record, status=next_status(record.status, event)), at)
        event = Event.EXPIRE if event is Event.EXPIRE else Event.CANCEL
        for other in self._others(record):
            self._save(replace(other, status=next_status(other.status, event)), at)

    def _run_event(self, record: Record, now: datetime) -> None:
        at = record.due_at
        if at is None:  # pragma: no cover - the book returns only due orders
            return
        if at == record.expires_at:
            self.end(record, Event.EXPIRE, at)
        elif at == record.cancel_at and record.status is OrderStatus.PENDING_REPLACE:
            self._switch(record, at)
        elif at == record.cancel_at:
            self.end(record, Event.CANCEL, at)
        else:
            self._meet_market(replace(record, next_at=None), at, now)

    def _meet_market(self, record: Record, at: datetime, now: datetime) -> None:
        halted, until = self._market.find_halt(record.symbol, at)
        if not is_open(at):
            self._book.save(replace(record, next_at=next_open(at)))
        elif record.is_arriving:
            self._arrive(record, at)
        elif halted and not record.forced:
            self._book.save(replace(record, next_at=until))
        else:
            self._try_trade(record, at, now)

    def _arrive(self, record: Record, at: datetime) -> None:
        if record.doomed:
            self.end(record, Event.REJECT, at)
            return
        price = self._market.price(record.symbol, at)
        limit = record.limit_price
        if record.type is OrderType.MARKET and price is not None:
            limit = find_collar(price, record.side, self._market.terms)
        status = next_status(record.status, Event.ACTIVATE)
        rest = self.find_delay(record, "fill", _TRADED)
        self._save(replace(record, status=status, limit=limit, next_at=at + rest), at)
        if record.is_exit:  # an OCO: its stop goes live
            for stop in self._others(record):
                self._save(replace(stop, live=True, next_at=at + rest), at)

    def _try_trade(self, record: Record, at: datetime, now: datetime) -> None:
        record = self._follow(record, at)
        price = self._market.price(record.symbol, at)
        if price is None or not may_act(record, price, self._market.terms):
            self._rest(record, at, now)
        elif is_waiting_for_stop(record):
            self._trigger(record, at)
        elif (trade := find_trade_price(record, price, self._market.terms)) is not None:
            self._trade(record, trade, at)

    def _rest(self, record: Record, at: datetime, now: datetime) -> None:
        """Wait for the price. Look through its past changes here, without a write for each."""
        then = self._market.next_change(at)
        while then is not None and then <= now:
            record = self._follow(record, then)
            if self._may_act(record, then):
                break
            then = self._market.next_change(then)
        self._book.save(replace(record, next_at=then))

    def _follow(self, record: Record, at: datetime) -> Record:
        """Return a trailing stop with the best price so far and its stop behind it; any other order as it is."""
        if record.type is not OrderType.TRAILING_STOP or record.triggered:
            return record
        price = self._market.price(record.symbol, at)
        return record if price is None else follow_price(record, price)

    def _may_act(self, record: Record, at: datetime) -> bool:
        price = self._market.price(record.symbol, at)
        return price is not None and may_act(record, price, self._market.terms)

    def _trigger(self, record: Record, at: datetime) -> None:
        status = next_status(record.status, Event.RELEASE) if record.status is OrderStatus.HELD else record.status
        next_at = at + self.find_delay(record, "fill", _TAKEN)
        self._save(replace(record, status=status, triggered=True, next_at=next_at), at)
        self._end_others(record, at)

    def _trade(self, record: Record, price: Decimal, at: datetime) -> None:
        qty = min(record.remaining, record.chunk or record.remaining)
        fill = Fill(
            id=derive_id("fill", record.id, record.filled_qty),
            order_id=record.id,
            client_order_id=record.client_order_id,
            symbol=record.symbol,
            side=record.side,
            qty=qty,
            price=price,
            fee=self._find_fee(record, qty, price),
            at=at,
        )
        self._book.add_fill(fill, cash_at=self._find_cash_time(record, at), settles_on=self._find_settlement(fill))
        if qty == record.remaining:
            self._fill_whole(record, fill)
        else:
            self._fill_part(record, fill)

    def _fill_whole(self, record: Record, fill: Fill) -> None:
        done = replace(_add_fill(record, fill), status=next_status(record.status, Event.FILL), filled_at=fill.at,
                       replaced_by=None)  # fmt: skip
        self._end_successor(record, Event.REJECT, fill.at)
        self._save(done, fill.at)
        if record.is_exit:
            self._end_others(record, fill.at)
        else:
            self._release_exits(record, fill.at)

    def _fill_part(self, record: Record, fill: Fill) -> None:
        part = replace(_add_fill(record, fill), status=next_status(record.status, Event.PART), chunk=None)
        silent = record.pause is None
        next_at = None if record.pause is None else fill.at + timedelta(seconds=float(record.pause))
        self._save(replace(part, silent=silent, next_at=next_at, forced=False), fill.at)
        if (successor := self._successor(record)) is not None:
            self._save(replace(successor, qty=max(successor.qty - fill.qty, ONE)), fill.at)
        if record.role is Role.TAKE_PROFIT:
            for stop in self._others(record):
                self._save(replace(stop, qty=part.remaining), fill.at)

    def _release_exits(self, entry: Record, at: datetime) -> None:
        for leg in self._others(entry):
            goes_live = leg.role is Role.TAKE_PROFIT and leg.status is OrderStatus.HELD  # not one being cancelled
            status = next_status(leg.status, Event.RELEASE) if goes_live else leg.status
            next_at = at + self.find_delay(leg, "fill", _TAKEN)
            self._save(replace(leg, status=status, live=True, next_at=next_at), at)

    def _end_others(self, record: Record, at: datetime) -> None:
        for other in self._others(record):
            self._save(replace(other, status=next_status(other.status, Event.CANCEL)), at)

    def _others(self, record: Record) -> list[Record]:
        group = self._book.group(record.group)
        return [r for r in group if r.id != record.id and not r.status.is_terminal]

    def _save(self, record: Record, at: datetime) -> None:
        self._book.save(replace(record, updated_at=at))

    # --- replacement ---

    def replace_order(self, record: Record, successor: Record, now: datetime) -> Record:
        """Let a successor take an order's place: at once for a held exit, else when the market confirms."""
        if is_held_exit(record):
            ended = replace(record, status=next_status(record.status, Event.REPLACE), replaced_by=successor.id)
            self._save(replace(ended, next_at=None, live=False), now)
            held = replace(successor, status=OrderStatus.HELD, live=record.live, next_at=now if record.live else None)
            self._book.save(held)
            return held
        status = next_status(record.status, Event.ASK_REPLACE)
        switch_at = now + self.find_delay(successor, "cancel")
        self._save(replace(record, status=status, replaced_by=successor.id, cancel_at=switch_at), now)
        self._book.save(successor)
        return successor

    def _switch(self, record: Record, at: datetime) -> None:
        """Confirm a replacement, or go on with the old order where its successor has ended."""
        successor = self._successor(record)
        if successor is not None and successor.doomed:
            self._save(replace(successor, status=next_status(successor.status, Event.REJECT)), at)
        if successor is None or successor.doomed:
            status = next_status(record.status, Event.RESUME)
            self._save(
                replace(record, status=status, cancel_at=None, replaced_by=None, next_at=record.next_at or at), at
            )
            return
        if record.id == record.group:
            for leg in self._others(record):
                self._book.save(replace(leg, group=successor.group))
        ended = replace(
            record, status=next_status(record.status, Event.REPLACE), cancel_at=None, next_at=None, live=False
        )
        self._save(ended, at)
        status = next_status(successor.status, Event.ACTIVATE)
        next_at = at + self.find_delay(successor, "fill", _TAKEN)
        self._save(replace(successor, status=status, live=record.live, triggered=record.triggered, next_at=next_at,
                           best_price=record.best_price, reserve=full_reserve(record, successor)), at)  # fmt: skip

    def _successor(self, record: Record) -> Record | None:
        found = self._book.find_by_id(record.replaced_by) if record.replaced_by else None
        return None if found is None or found.status.is_terminal else found

    def _end_successor(self, record: Record, event: Event, at: datetime) -> None:
        if (successor := self._successor(record)) is not None:
            self._save(replace(successor, status=next_status(successor.status, event)), at)

    # --- fee, cash and settlement of a fill ---

    def _find_fee(self, record: Record, qty: Decimal, price: Decimal) -> Decimal:
        fees = self._state.fees
        once = fees.per_order if record.filled_qty == ZERO else ZERO
        sold = fees.sell_rate * qty * price if record.side is Side.SELL else ZERO
        return (once + fees.per_share * qty + sold).quantize(CENT, rounding=ROUND_CEILING)

    def _find_cash_time(self, record: Record, at: datetime) -> datetime | None:
        lag = max(record.cash_lag, self._state.cash_lag)
        return at + timedelta(seconds=float(lag)) if lag and record.side is Side.SELL else None

    def _find_settlement(self, fill: Fill) -> date | None:
        account = self._state.account
        if fill.side is Side.BUY or account.type == "margin":
            return None
        return next_trading_day(trading_day(fill.at), account.settlement_days)


def _add_fill(record: Record, fill: Fill) -> Record:
    return replace(
        record,
        filled_qty=record.filled_qty + fill.qty,
        filled_value=record.filled_value + fill.qty * fill.price,
    )


def is_triggered(record: Record, price: Decimal) -> bool:
    """Return whether the price has reached a stop."""
    if record.stop_price is None:
        return False
    return price >= record.stop_price if record.side is Side.BUY else price <= record.stop_price


def follow_price(record: Record, price: Decimal) -> Record:
    """Return a trailing stop after a price: the best price so far, and the stop behind it."""
    best = record.best_price or price
    best = max(best, price) if record.side is Side.SELL else min(best, price)
    distance = record.trail_price or best * (record.trail_percent or ZERO) / 100
    return replace(record, best_price=best, stop_price=round_to_tick(best + sign(record.side) * distance))


def is_waiting_for_stop(record: Record) -> bool:
    """Return whether an order still waits for its stop price."""
    has_stop = (
        record.type in {OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP} or record.role is Role.STOP_LOSS
    )
    return has_stop and not record.triggered and not record.forced


def may_act(record: Record, price: Decimal, terms: Terms) -> bool:
    """Return whether a live order triggers or trades at this price."""
    if is_waiting_for_stop(record):
        return is_triggered(record, price)
    return find_trade_price(record, price, terms) is not None


def find_trade_price(record: Record, price: Decimal, terms: Terms) -> Decimal | None:
    """Return the order's present trade price, or None if it has to wait.

    An order never trades beyond its limit (a market order's collar), slippage included.
    """
    limit = record.limit
    if record.forced:
        return record.limit_price or record.stop_price or round_to_tick(price)
    reached = find_touch(price, record.side, terms)
    if limit is not None and not _within(reached, limit, record.side):
        return None
    slipped = round_to_tick(reached * (ONE + sign(record.side) * terms.slippage))
    if limit is None:
        return slipped
    return slipped if _within(slipped, limit, record.side) else limit


def _within(price: Decimal, limit: Decimal, side: Side) -> bool:
    return price <= limit if side is Side.BUY else price >= limit
