"""Time passes at the exchange: orders are taken by the market, trade, trigger, are cancelled, expire.

Every event has a moment; `advance` runs them in that order, however long nobody asked.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import ROUND_CEILING, Decimal

from Departments.core.money import CENT, ONE, ZERO
from Departments.core.orders import OrderStatus, OrderType, Side
from Departments.core.trading_calendar import is_open, next_open, next_trading_day, trading_day
from Departments.exchange.book import ExchangeBook, derived_id
from Departments.exchange.prices import Market, Terms, chance, collar, on_tick, sign, touch
from Departments.exchange.records import Event, Fill, Record, Role, next_status
from Departments.exchange.state import ExchangeState

#: Shares of an order's delay: until the market takes it, and from then until it trades.
_TAKEN, _TRADED = Decimal("0.25"), Decimal("0.75")


class Engine:
    """Moves the book from one moment to a later one."""

    def __init__(self, state: ExchangeState, book: ExchangeBook, market: Market) -> None:
        self._state = state
        self._book = book
        self._market = market

    def advance(self, now: datetime) -> None:
        """Let everything happen that is due by `now`; a clock that went back changes nothing."""
        if self._book.next_due(now) is None:
            return
        with self._book.transaction():
            while (record := self._book.next_due(now)) is not None:
                self._happen(record, now)

    def delay(self, record: Record, what: str, share: Decimal = Decimal(1)) -> timedelta:
        """Return how long `what` (fill or cancel) takes for this very order."""
        low, high = self._state.latency.cancel if what == "cancel" else self._state.latency.fill
        part = Decimal(str(round(chance(self._state.seed, record.client_order_id, what), 6)))
        return timedelta(seconds=float((low + (high - low) * part) * share))

    def schedule(self, record: Record, now: datetime) -> Record:
        """Say when the market takes a new order: soon, or at the open."""
        return replace(record, next_at=now + self.delay(record, "fill", _TAKEN) if is_open(now) else next_open(now))

    def ask_cancel(self, record: Record, now: datetime) -> Record:
        """Ask for a cancel; whatever trades before it is confirmed, trades."""
        next_at = record.next_at
        if record.is_arriving and next_at is not None:
            next_at = None if record.doomed else next_at + self.delay(record, "fill", _TRADED)
        status = next_status(record.status, Event.ASK_CANCEL)
        cancel_at = now + self.delay(record, "cancel")
        return replace(record, status=status, cancel_at=cancel_at, next_at=next_at, updated_at=now)

    def end(self, record: Record, event: Event, at: datetime) -> None:
        """End an order (cancel, expire, reject), and with it what is left of its group."""
        self._save(replace(record, status=next_status(record.status, event)), at)
        event = Event.EXPIRE if event is Event.EXPIRE else Event.CANCEL
        for other in self._others(record):
            self._save(replace(other, status=next_status(other.status, event)), at)

    def _happen(self, record: Record, now: datetime) -> None:
        at = record.due_at
        if at is None:  # pragma: no cover - the book returns only what is due
            return
        if at == record.expires_at:
            self.end(record, Event.EXPIRE, at)
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
            self._look(record, at, now)

    def _arrive(self, record: Record, at: datetime) -> None:
        if record.doomed:
            self.end(record, Event.REJECT, at)
            return
        price = self._market.price(record.symbol, at)
        limit = record.limit_price
        if record.type is OrderType.MARKET and price is not None:
            limit = collar(price, record.side, self._market.terms)
        status = next_status(record.status, Event.ACTIVATE)
        rest = self.delay(record, "fill", _TRADED)
        self._save(replace(record, status=status, limit=limit, next_at=at + rest), at)
        if record.is_exit:  # an OCO: its stop begins to watch
            for stop in self._others(record):
                self._save(replace(stop, live=True, next_at=at + rest), at)

    def _look(self, record: Record, at: datetime, now: datetime) -> None:
        price = self._market.price(record.symbol, at)
        if price is None or not acts(record, price, self._market.terms):
            self._rest(record, at, now)
        elif is_waiting_for_stop(record):
            self._trigger(record, at)
        elif (trade := trade_price(record, price, self._market.terms)) is not None:
            self._trade(record, trade, at)

    def _rest(self, record: Record, at: datetime, now: datetime) -> None:
        """Wait for the price; what it did up to now is looked through here, without a write for each step."""
        then = self._market.next_change(at)
        while then is not None and then <= now and not self._acts(record, then):
            then = self._market.next_change(then)
        self._book.save(replace(record, next_at=then))

    def _acts(self, record: Record, at: datetime) -> bool:
        price = self._market.price(record.symbol, at)
        return price is not None and acts(record, price, self._market.terms)

    def _trigger(self, record: Record, at: datetime) -> None:
        status = next_status(record.status, Event.RELEASE) if record.status is OrderStatus.HELD else record.status
        next_at = at + self.delay(record, "fill", _TAKEN)
        self._save(replace(record, status=status, triggered=True, next_at=next_at), at)
        self._end_others(record, at)

    def _trade(self, record: Record, price: Decimal, at: datetime) -> None:
        qty = min(record.remaining, record.chunk or record.remaining)
        fill = Fill(
            id=derived_id("fill", record.id, record.filled_qty),
            order_id=record.id,
            client_order_id=record.client_order_id,
            symbol=record.symbol,
            side=record.side,
            qty=qty,
            price=price,
            fee=self._fee(record, qty, price),
            at=at,
        )
        self._book.add_fill(fill, cash_at=self._cash_at(record, at), settles_on=self._settles_on(fill))
        if qty == record.remaining:
            self._fill_whole(record, fill)
        else:
            self._fill_part(record, fill)

    def _fill_whole(self, record: Record, fill: Fill) -> None:
        done = replace(_with_fill(record, fill), status=next_status(record.status, Event.FILL), filled_at=fill.at)
        self._save(done, fill.at)
        if record.is_exit:
            self._end_others(record, fill.at)
        else:
            self._release_exits(record, fill.at)

    def _fill_part(self, record: Record, fill: Fill) -> None:
        part = replace(_with_fill(record, fill), status=next_status(record.status, Event.PART), chunk=None)
        silent = record.pause is None
        next_at = None if record.pause is None else fill.at + timedelta(seconds=float(record.pause))
        self._save(replace(part, silent=silent, next_at=next_at, forced=False), fill.at)
        if record.role is Role.TAKE_PROFIT:
            for stop in self._others(record):
                self._save(replace(stop, qty=part.remaining), fill.at)

    def _release_exits(self, entry: Record, at: datetime) -> None:
        for leg in self._others(entry):
            goes_live = leg.role is Role.TAKE_PROFIT and leg.status is OrderStatus.HELD  # not one being cancelled
            status = next_status(leg.status, Event.RELEASE) if goes_live else leg.status
            next_at = at + self.delay(leg, "fill", _TAKEN)
            self._save(replace(leg, status=status, live=True, next_at=next_at), at)

    def _end_others(self, record: Record, at: datetime) -> None:
        for other in self._others(record):
            self._save(replace(other, status=next_status(other.status, Event.CANCEL)), at)

    def _others(self, record: Record) -> list[Record]:
        group = self._book.group(record.group)
        return [r for r in group if r.id != record.id and not r.status.is_terminal]

    def _save(self, record: Record, at: datetime) -> None:
        self._book.save(replace(record, updated_at=at))

    # --- what a fill costs, and when its cash is there ---

    def _fee(self, record: Record, qty: Decimal, price: Decimal) -> Decimal:
        fees = self._state.fees
        once = fees.per_order if record.filled_qty == ZERO else ZERO
        sold = fees.sell_rate * qty * price if record.side is Side.SELL else ZERO
        return (once + fees.per_share * qty + sold).quantize(CENT, rounding=ROUND_CEILING)

    def _cash_at(self, record: Record, at: datetime) -> datetime | None:
        lag = max(record.cash_lag, self._state.cash_lag)
        return at + timedelta(seconds=float(lag)) if lag and record.side is Side.SELL else None

    def _settles_on(self, fill: Fill) -> date | None:
        account = self._state.account
        if fill.side is Side.BUY or account.type == "margin":
            return None
        return next_trading_day(trading_day(fill.at), account.settlement_days)


def _with_fill(record: Record, fill: Fill) -> Record:
    return replace(
        record,
        filled_qty=record.filled_qty + fill.qty,
        filled_value=record.filled_value + fill.qty * fill.price,
    )


def is_triggered(record: Record, price: Decimal) -> bool:
    """Return whether a stop has been reached."""
    if record.stop_price is None:
        return False
    return price >= record.stop_price if record.side is Side.BUY else price <= record.stop_price


def is_waiting_for_stop(record: Record) -> bool:
    """Return whether an order must see its stop price before it may trade."""
    has_stop = record.type in {OrderType.STOP, OrderType.STOP_LIMIT} or record.role is Role.STOP_LOSS
    return has_stop and not record.triggered and not record.forced


def acts(record: Record, price: Decimal, terms: Terms) -> bool:
    """Return whether an order that the market has taken triggers or trades at this price."""
    return is_triggered(record, price) if is_waiting_for_stop(record) else trade_price(record, price, terms) is not None


def trade_price(record: Record, price: Decimal, terms: Terms) -> Decimal | None:
    """Return the price at which the order trades now, None when it has to wait.

    An order never trades beyond its limit (a market order's is its collar); slippage is cut off there.
    """
    limit = record.limit
    if record.forced:
        return record.limit_price or record.stop_price or on_tick(price)
    reached = touch(price, record.side, terms)
    if limit is not None and not _within(reached, limit, record.side):
        return None
    slipped = on_tick(reached * (ONE + sign(record.side) * terms.slippage))
    if limit is None:
        return slipped
    return slipped if _within(slipped, limit, record.side) else limit


def _within(price: Decimal, limit: Decimal, side: Side) -> bool:
    return price <= limit if side is Side.BUY else price >= limit
