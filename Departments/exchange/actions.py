"""Let events happen to the account and its symbols, each with its booking and one sentence for its operator.

A split multiplies the quantities of open orders and leaves their prices: so Alpaca was seen to do
(https://github.com/alpacahq/alpaca-py/issues/469). Its documentation says that it adjusts prices
(https://docs.alpaca.markets/docs/orders-at-alpaca, "Time in force"), and orders were also seen cancelled;
`orders_at_split` chooses. FINRA's rule 5330 has open orders cancelled at a reverse split.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from Departments.core.activities import ActivityKind
from Departments.core.errors import BadInput
from Departments.core.money import ONE, ZERO, cents, count_noun, plain, usd_cents, whole_shares
from Departments.core.orders import OrderStatus
from Departments.exchange.account_log import AccountLog, Booking
from Departments.exchange.book import Adjustment, ExchangeBook, Lot
from Departments.exchange.derivation import derive_id
from Departments.exchange.entry import OrderEntry
from Departments.exchange.market_events import EventName, MarketEvent
from Departments.exchange.matching import Engine
from Departments.exchange.prices import Market, round_to_tick
from Departments.exchange.records import Event, Record
from Departments.exchange.state import ExchangeState

_MICRO: Final = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class MarketActions:
    """Carries out events, inside the caller's transaction."""

    state: ExchangeState
    book: ExchangeBook
    log: AccountLog
    market: Market
    engine: Engine
    entry: OrderEntry
    plan: Callable[[MarketEvent, datetime], None]

    def occur(self, event: MarketEvent, at: datetime) -> str:
        """Let an event happen, and return its effect.

        Raises ExchangeRefusal for an order that is refused, and BadInput for a symbol that is called otherwise now.
        """
        if event.of is not None and (new := self.market.listings.new_name(event.of)) is not None:
            raise BadInput(event.of, "", f"is called {new} now", f"name {new}")
        deeds: dict[EventName, Callable[[MarketEvent, datetime], str]] = {
            "deposit": self._deposit,
            "withdraw": self._withdraw,
            "dividend": self._pay_dividend,
            "interest": self._book_interest,
            "fee": self._charge,
            "split": self._split,
            "rename": self._rename,
            "halt": self._halt,
            "resume": self._resume,
            "set_price": self._set_price,
            "trade_outside": self._trade_outside,
            "place_order": self._place_order,
        }
        return deeds[event.do](event, at)

    def _deposit(self, event: MarketEvent, at: datetime) -> str:
        amount = event.amount or ZERO
        self.log.book(Booking(ActivityKind.DEPOSIT, at, amount, description="deposit"))
        return f"Deposited {usd_cents(amount)}; cash is {usd_cents(self.book.cash)}"

    def _withdraw(self, event: MarketEvent, at: datetime) -> str:
        amount = event.amount or ZERO
        self.log.book(Booking(ActivityKind.WITHDRAWAL, at, -amount, description="withdrawal"))
        return f"Withdrew {usd_cents(amount)}; cash is {usd_cents(self.book.cash)}"

    def _book_interest(self, event: MarketEvent, at: datetime) -> str:
        amount = event.amount or ZERO
        self.log.book(Booking(ActivityKind.INTEREST, at, amount, description="interest"))
        deed = "Booked" if amount > 0 else "Paid"
        return f"{deed} interest of {usd_cents(abs(amount))}; cash is {usd_cents(self.book.cash)}"

    def _charge(self, event: MarketEvent, at: datetime) -> str:
        amount = event.amount or ZERO
        self.log.book(Booking(ActivityKind.FEE, at, -amount, description="fee"))
        return f"Charged a fee of {usd_cents(amount)}; cash is {usd_cents(self.book.cash)}"

    def _pay_dividend(self, event: MarketEvent, at: datetime) -> str:
        """Pay at once, or plan the payment for its day: who holds the shares now gets it."""
        symbol, each = event.of or "", event.amount or ZERO
        qty = self.book.holding(symbol).qty if event.qty is None else event.qty
        if event.pay_on is not None:
            due = MarketEvent(do="dividend", of=symbol, amount=each, qty=qty, at=event.pay_on)  # type: ignore[arg-type]
            self.plan(due, due.at or at)
            return f"{symbol} will pay {_dollars(each)} on each of {count_noun(qty, 'share')} on {event.pay_on}"
        cash = cents(qty * each)
        if qty:
            self.log.book(Booking(ActivityKind.DIVIDEND, at, cash, symbol, qty, each, description="cash dividend"))
        return f"{symbol} paid {usd_cents(cash)} on {count_noun(qty, 'share')}; cash is {usd_cents(self.book.cash)}"

    def _halt(self, event: MarketEvent, at: datetime) -> str:
        symbol, seconds = event.of or "", event.seconds
        self.book.halt(symbol, None if seconds is None else at + timedelta(seconds=float(seconds)))
        return f"{symbol} is halted " + ("until it is resumed" if seconds is None else f"for {plain(seconds)} seconds")

    def _resume(self, event: MarketEvent, at: datetime) -> str:
        self.book.resume(event.of or "")
        self.book.wake(event.of or "", at)
        return f"{event.of} trades again"

    def _set_price(self, event: MarketEvent, at: datetime) -> str:
        symbol, price = event.of or "", event.price or ZERO
        self.book.set_price(symbol, at, price)
        self.book.wake(symbol, at)
        return f"{symbol} costs {_dollars(price)}"

    def _trade_outside(self, event: MarketEvent, at: datetime) -> str:
        """Trade past the client. Shares held by open orders cannot be sold: Alpaca refuses that."""
        symbol, held = event.of or "", self.book.holding(event.of or "")
        for_orders = self.book.held_shares(symbol).get(symbol, ZERO)
        qty = max(event.qty or ZERO, min(ZERO, for_orders - held.qty))
        if qty:
            price = self.market.price(symbol, at) or held.avg_entry_price
            self.book.adjust(Adjustment(at, symbol, qty, -qty * price))
            cost = held.qty * held.avg_entry_price + qty * price
            average = held.avg_entry_price if qty < 0 else (cost / (held.qty + qty)).quantize(_MICRO)
            self.book.set_holding(Lot(symbol, held.qty + qty, average))
        return f"Somebody else {'bought' if qty > 0 else 'sold'} {plain(abs(qty))} {symbol}"

    def _place_order(self, event: MarketEvent, at: datetime) -> str:
        order = event.order
        if order is None:  # pragma: no cover - the model refuses it
            return ""
        name = derive_id("stranger", at, order.symbol, len(self.book.open_orders(order.symbol)))
        placed = self.entry.accept(order.request(name), at, notional=order.notional)
        return f"Somebody else placed {placed.side} {plain(placed.qty)} {placed.symbol} ({placed.type}, {placed.id})"

    # --- corporate actions ---

    def _split(self, event: MarketEvent, at: datetime) -> str:
        symbol, ratio = event.of or "", event.ratio or ONE
        price, held = self.market.price(symbol, at), self.book.holding(symbol)
        changed = self._change_orders(symbol, ratio, at)
        self.market.listings.split(symbol, ratio, at)
        if price is not None and self.book.find_set_price(symbol, at) is not None:
            self.book.set_price(symbol, at, round_to_tick(price / ratio))
        qty = held.qty * ratio
        whole = qty if self.market.listings.asset(symbol).fractionable else whole_shares(qty)
        self.log.book(Booking(ActivityKind.SPLIT, at, ZERO, symbol, whole - held.qty, ratio=ratio,
                              description=f"split {plain(ratio)} for 1"))  # fmt: skip
        if held.qty:
            average = (held.avg_entry_price / ratio).quantize(_MICRO)
            self.book.set_holding(Lot(symbol, whole, average))
            self._pay_fraction(symbol, qty - whole, (price or held.avg_entry_price) / ratio, at)
        self.book.wake(symbol, at)
        now_at = f" at {_dollars(round_to_tick(price / ratio))}" if price else ""
        return f"{symbol} split {plain(ratio)} for 1: {plain(held.qty)} → {plain(whole)} shares{now_at}{changed}"

    def _pay_fraction(self, symbol: str, fraction: Decimal, price: Decimal, at: datetime) -> None:
        if fraction:
            words = f"cash in lieu of {plain(fraction)} {symbol}"
            self.log.book(Booking(ActivityKind.OTHER, at, cents(fraction * price), symbol, description=words))

    def _change_orders(self, symbol: str, ratio: Decimal, at: datetime) -> str:
        """Treat the open orders of a symbol as `orders_at_split` says, and say so."""
        orders = self.book.open_orders(symbol)
        policy = "cancel" if ratio < ONE else self.state.orders_at_split
        for record in orders:
            changed = replace(record, qty=whole_shares(record.qty * ratio))
            if policy == "keep":
                continue
            if policy == "cancel" or record.filled_qty or not changed.qty or record.status is _REPLACING:
                self._cancel(record.id, at)
            else:
                self.book.save(changed if policy == "multiply" else _adjust(changed, ratio))
        return f"; {count_noun(len(orders), 'open order')}: {_POLICIES[policy]}" if orders else ""

    def _rename(self, event: MarketEvent, at: datetime) -> str:
        symbol, new = event.of or "", event.to or ""
        held, other = self.book.holding(symbol), self.book.holding(new)
        orders = self.book.open_orders(symbol)
        for record in orders:
            if self.state.orders_at_rename == "cancel":
                self._cancel(record.id, at)
            else:
                self.book.save(replace(record, symbol=new))
        price = self.market.price(symbol, at)
        self.market.listings.rename(symbol, new, at)
        if self.book.find_set_price(symbol, at) is not None and price is not None and not other.qty:
            self.book.set_price(new, at, price)
        self.log.book(Booking(ActivityKind.RENAME, at, ZERO, symbol, held.qty, new_symbol=new,
                              description=f"{symbol} is {new} now"))  # fmt: skip
        if held.qty:
            qty = held.qty + other.qty
            cost = held.qty * held.avg_entry_price + other.qty * other.avg_entry_price
            self.book.set_holding(replace(held, qty=ZERO))
            self.book.set_holding(Lot(new, qty, (cost / qty).quantize(_MICRO)))
        done = "cancelled" if self.state.orders_at_rename == "cancel" else "kept"
        kept = f"; {count_noun(len(orders), 'open order')}: {done}" if orders else ""
        joined = f", joined with {plain(other.qty)} {new} held" if held.qty and other.qty else ""
        return f"{symbol} is called {new} now: {count_noun(held.qty, 'share')}{joined}{kept}"

    def _cancel(self, order_id: str, at: datetime) -> None:
        record = self.book.find_by_id(order_id)
        if record is not None and not record.status.is_terminal:
            self.engine.end(record, Event.CANCEL, at)


_REPLACING: Final = OrderStatus.PENDING_REPLACE
_POLICIES: Final = {
    "multiply": "their quantities follow, their prices stay",
    "adjust": "their quantities and prices follow",
    "cancel": "cancelled",
    "keep": "they stay as they are",
}


def _dollars(price: Decimal) -> str:
    """Return a price with cents, and with its hundredths of a cent: $187.20, $0.5125."""
    return usd_cents(price) if price == cents(price) else f"${plain(price)}"


def _adjust(record: Record, ratio: Decimal) -> Record:
    def divide(price: Decimal | None) -> Decimal | None:
        return None if price is None else round_to_tick(price / ratio)

    return replace(
        record,
        limit_price=divide(record.limit_price),
        stop_price=divide(record.stop_price),
        limit=divide(record.limit),
        best_price=divide(record.best_price),
        trail_price=divide(record.trail_price),
        reserve=record.reserve / ratio,
    )
