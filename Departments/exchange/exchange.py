"""The simulated exchange, and the floor for its operator.

Time passes when somebody asks: each call first runs everything due by the clock. An acknowledgement is in the file
before it leaves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from Departments.core import trading_calendar
from Departments.core.money import ZERO
from Departments.core.orders import Order, OrderRequest, OrderScope, OrderStatus, Side
from Departments.core.platform.clock import Clock
from Departments.core.platform.steps import Step, no_step
from Departments.core.portfolio import Account, Position
from Departments.core.quotes import Asset, Bar, MarketClock, Quote
from Departments.exchange.accounting import Accounting
from Departments.exchange.book import Adjustment, ExchangeBook, Lot, derive_id, open_book
from Departments.exchange.faults import (
    AFTER,
    BEFORE,
    Call,
    CallName,
    Fault,
    FaultDesk,
    FaultScript,
    disguise,
    find_fault,
    spoil_cancel,
    spoil_order,
)
from Departments.exchange.matching import Engine
from Departments.exchange.prices import Market
from Departments.exchange.records import Fill, Record, list_orders, nest_legs
from Departments.exchange.rules import OrderCase, check_order, make_records, order_not_found, too_late
from Departments.exchange.state import ExchangeState


class SimulatedExchange:
    """An exchange in the file `path`. `state` seeds a new file, and is ignored otherwise.

    Raises BadInput without file and state, and for an unusable file.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        state: ExchangeState | None = None,
        faults: FaultScript | None = None,
        step: Step = no_step,
    ) -> None:
        self._clock = clock
        self._storage, self._state, started_at = open_book(path, clock.now(), state, step)
        self._book = ExchangeBook(self._storage)
        self._market = Market(self._state, self._book, started_at)
        self._engine = Engine(self._state, self._book, self._market)
        self._accounting = Accounting(self._state, self._book, self._market)
        self.floor = TradingFloor(self._state, self._book, self._market, self._engine, clock)
        self._faults = FaultDesk(faults, self._storage)
        self._account_id = derive_id("account", path.resolve())  # the account is the file, by whatever path

    # --- the port ---

    def account(self) -> Account:
        """Return cash, equity, buying power and gates."""
        with self._answer(Call("account")):
            return replace(self._accounting.account(self._clock.now()), id=self._account_id)

    def positions(self) -> Sequence[Position]:
        """Return every open position."""
        with self._answer(Call("positions")):
            return self._accounting.positions(self._clock.now())

    def position(self, symbol: str) -> Position | None:
        """Return the open position in a symbol, or None."""
        with self._answer(Call("positions", frozenset({symbol}))):
            return self._accounting.position(symbol, self._clock.now())

    def fees(self, since: datetime) -> Decimal:
        """Return the fees of fills since a moment, in dollars."""
        with self._answer(Call("fees")):
            rows = self._storage.rows("SELECT fee FROM fills WHERE at >= ?", (since,))
            return sum((Decimal(row["fee"]) for row in rows), ZERO)

    def submit(self, request: OrderRequest) -> Order:
        """Accept one order, once."""
        call = Call("submit", frozenset({request.symbol}), request.side, request.client_order_id)
        with self._answer(call) as faults:
            now = self._clock.now()
            with self._book.transaction("exchange.submit"):
                reserve = self._judge_order(request, now)
                order, *legs = make_records(request, now, reserve)
                order = spoil_order(self._engine.schedule(order, now), faults, self._state)
                for record in (order, *(replace(leg, visible_at=order.visible_at) for leg in legs)):
                    self._book.save(record)
            return disguise(nest_legs(order, self._book.group), faults)

    def cancel(self, order_id: str) -> None:
        """Accept a request to cancel an order. The confirmation comes later, if at all."""
        found = self._book.find_by_id(order_id)
        with self._answer(_make_call("cancel", found)) as faults:
            now = self._clock.now()
            with self._book.transaction("exchange.cancel"):
                record = self._check_visible(self._book.find_by_id(order_id), order_id, now)
                self._cancel(record, faults, now)

    def order(self, order_id: str) -> Order:
        """Return an order with its legs by the exchange's id."""
        with self._answer(_make_call("order", self._book.find_by_id(order_id))) as faults:
            record = self._check_visible(self._book.find_by_id(order_id), order_id, self._clock.now())
            return disguise(nest_legs(record, self._book.group), faults)

    def order_by_client_id(self, client_order_id: str) -> Order:
        """Return an order with its legs by the client's id."""
        call = _make_call("order_by_client_id", self._book.find_by_client_id(client_order_id))
        with self._answer(replace(call, client_order_id=client_order_id)) as faults:
            found = self._book.find_by_client_id(client_order_id)
            record = self._check_visible(found, client_order_id, self._clock.now())
            return disguise(nest_legs(record, self._book.group), faults)

    def orders(
        self,
        scope: OrderScope = "open",
        *,
        symbols: Iterable[str] = (),
        after: datetime | None = None,
        side: Side | None = None,
    ) -> Sequence[Order]:
        """Return orders, oldest first. `open` leaves held legs out and lists live ones by themselves."""
        wanted = frozenset(symbols)
        with self._answer(Call("orders", wanted)) as faults:
            records = self._records(scope, after, side)
            chosen = [
                r for r in records if (not wanted or r.symbol in wanted) and (after is None or r.submitted_at > after)
            ]
            listed = list_orders(chosen, scope, self._clock.now(), self._book.group)
            return [disguise(o, faults) for o in listed if side is None or o.side is side]

    def assets(self, symbols: Iterable[str]) -> Mapping[str, Asset]:
        """Return the facts of symbols, without the unknown ones."""
        wanted = tuple(symbols)
        with self._answer(Call("assets", frozenset(wanted))):
            return {s: self._asset(s) for s in wanted if self._is_known(s)}

    def quotes(self, symbols: Iterable[str]) -> Mapping[str, Quote]:
        """Return the latest quotes; one without a price is absent."""
        wanted = tuple(symbols)
        with self._answer(Call("quotes", frozenset(wanted))):
            now = self._clock.now()
            return {s: quote for s in wanted if (quote := self._market.quote(s, now)) is not None}

    def bars(self, symbols: Iterable[str], *, days: int) -> Mapping[str, Sequence[Bar]]:
        """Return up to `days` finished daily bars by symbol, oldest first."""
        wanted = tuple(symbols)
        with self._answer(Call("bars", frozenset(wanted))):
            now = self._clock.now()
            return {s: bars for s in wanted if (bars := self._market.bars(s, before=now, days=days))}

    def market_clock(self) -> MarketClock:
        """Return the exchange's clock."""
        with self._answer(Call("market_clock")):
            now = self._clock.now()
            is_open = trading_calendar.is_open(now)
            return MarketClock(now, is_open, trading_calendar.next_open(now), trading_calendar.next_close(now))

    # --- for checkers; `floor` offers more ---

    def starting_state(self) -> ExchangeState:
        """Return the seed of the exchange."""
        return self._state

    def close(self) -> None:
        """Close the file."""
        self._storage.close()

    # --- inside ---

    @contextmanager
    def _answer(self, call: Call) -> Iterator[tuple[Fault, ...]]:
        self._engine.advance(self._clock.now())
        faults = self._faults.count(call)
        _shake_market(self.floor, faults, call)
        self._raise(find_fault(faults, BEFORE))
        yield faults
        self._raise(find_fault(faults, AFTER))

    def _raise(self, fault: Fault | None) -> None:
        if fault is not None:
            self._clock.sleep(float(fault.takes))
            raise fault.make_error()

    def _judge_order(self, request: OrderRequest, now: datetime) -> Decimal:
        quote = self._market.quote(request.symbol, now)
        case = OrderCase(
            request=request,
            id_used=self._book.find_by_client_id(request.client_order_id) is not None,
            asset=self._state.asset(request.symbol) if self._is_known(request.symbol) else None,
            ask=quote.ask if quote else None,
            held_qty=self._book.holding(request.symbol).qty,
            held_for_orders=self._book.held_shares(request.symbol).get(request.symbol, ZERO),
            open_orders=self._book.open_orders(request.symbol),
            account=self._accounting.account(now),
        )
        check_order(case)
        return case.reserve

    def _asset(self, symbol: str) -> Asset:
        stated = self._state.asset(symbol)
        return Asset(
            symbol,
            stated.tradable,
            stated.active,
            stated.fractionable,
            stated.name,
            halted=self._book.find_halt(symbol, self._clock.now())[0],
            sector=stated.sector,
            average_volume=self._state.volume(symbol),
            market_cap=stated.market_cap,
            earnings_on=stated.earnings_on,
        )

    def _records(self, scope: OrderScope, after: datetime | None, side: Side | None) -> Sequence[Record]:
        if scope != "open":
            return self._book.orders(after)
        return self._book.open_buys() if side is Side.BUY else self._book.open_orders()

    def _cancel(self, record: Record, faults: Sequence[Fault], now: datetime) -> None:
        if record.status.is_terminal:
            raise too_late(record.status)
        if record.status is OrderStatus.PENDING_CANCEL:
            return
        self._book.save(spoil_cancel(self._engine.ask_cancel(record, now), faults, now))

    def _check_visible(self, record: Record | None, reference: str, now: datetime) -> Record:
        if record is None or not record.is_visible(now):
            raise order_not_found(reference)
        return record

    def _is_known(self, symbol: str) -> bool:
        return symbol in self._state.symbols or self._book.find_set_price(symbol, self._clock.now()) is not None


def _make_call(name: CallName, record: Record | None) -> Call:
    if record is None:
        return Call(name)
    return Call(name, frozenset({record.symbol}), record.side, record.client_order_id)


_END_OF_TIME = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class TradingFloor:
    """The operator's view: every order and fill; prices, halts and outside trades."""

    state: ExchangeState
    book: ExchangeBook
    market: Market
    engine: Engine
    clock: Clock

    def all_orders(self) -> Sequence[Order]:
        """Return every order ever accepted, oldest first, legs nested, invisible ones too."""
        self._advance()
        return list_orders(self.book.orders(), "all", _END_OF_TIME, self.book.group)

    def fills(self) -> Sequence[Fill]:
        """Return every fill, oldest first."""
        self._advance()
        return self.book.fills()

    def adjustments(self) -> Sequence[Adjustment]:
        """Return the trades by somebody else, oldest first."""
        return self.book.adjustments()

    def set_price(self, symbol: str, price: Decimal) -> None:
        """Set a symbol's price in dollars; resting orders see it at once."""
        now = self._advance()
        with self.book.transaction():
            self.book.set_price(symbol, now, price)
            self.book.wake(symbol, now)
        self.engine.advance(now)

    def halt(self, symbol: str, seconds: Decimal | None = None) -> None:
        """Halt a symbol for some seconds, or until `resume`."""
        now = self._advance()
        self.book.halt(symbol, None if seconds is None else now + timedelta(seconds=float(seconds)))

    def resume(self, symbol: str) -> None:
        """Resume trading in a symbol."""
        now = self._advance()
        with self.book.transaction():
            self.book.resume(symbol)
            self.book.wake(symbol, now)
        self.engine.advance(now)

    def trade_outside(self, symbol: str, qty: Decimal) -> None:
        """Trade `qty` shares past the client at the present price; negative sells.

        It sells no shares held by open orders: Alpaca refuses that (`insufficient qty available for order`).
        """
        now = self._advance()
        with self.book.transaction():
            held = self.book.holding(symbol)
            for_orders = self.book.held_shares(symbol).get(symbol, ZERO)
            qty = max(qty, min(ZERO, for_orders - held.qty))
            if not qty:
                return
            price = self.market.price(symbol, now) or held.avg_entry_price
            self.book.adjust(Adjustment(now, symbol, qty, -qty * price))
            self.book.set_holding(Lot(symbol, held.qty + qty, held.avg_entry_price or price))

    def _advance(self) -> datetime:
        now = self.clock.now()
        self.engine.advance(now)
        return now


def _shake_market(floor: TradingFloor, faults: Sequence[Fault], call: Call) -> None:
    """Apply faults to the market before a call: halts, prices, outside trades."""
    for fault in faults:
        for symbol in sorted({fault.of} if fault.of else call.symbols):
            if fault.do == "halt":
                floor.halt(symbol, fault.seconds)
            elif fault.do == "set_price" and fault.price is not None:
                floor.set_price(symbol, fault.price)
            elif fault.do == "trade_outside" and fault.qty is not None:
                floor.trade_outside(symbol, fault.qty)
