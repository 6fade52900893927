"""The simulated exchange, and the floor for its operator.

Time passes when somebody asks: each call first runs everything due by the clock. An acknowledgement is in the file
before it leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path

from Departments.core import trading_calendar
from Departments.core.activities import Activity
from Departments.core.logs import make_logger
from Departments.core.money import ZERO
from Departments.core.orders import Order, OrderChange, OrderRequest, OrderScope, OrderStatus, Side
from Departments.core.platform.clock import Clock
from Departments.core.platform.rights import PRIVATE, Rights
from Departments.core.platform.steps import Step, no_step
from Departments.core.portfolio import Account, Position
from Departments.core.quotes import Asset, Bar, MarketClock, Quote
from Departments.exchange import NO_PRICE
from Departments.exchange.account_log import AccountLog
from Departments.exchange.accounting import Accounting
from Departments.exchange.actions import MarketActions
from Departments.exchange.book import ExchangeBook, open_book
from Departments.exchange.damage import MEND, find_damage, naming_damage
from Departments.exchange.derivation import derive_id
from Departments.exchange.entry import OrderEntry
from Departments.exchange.faults import AFTER, BEFORE, Call, CallName, Fault, FaultScript
from Departments.exchange.floor import TradingFloor
from Departments.exchange.foreign import ForeignRows
from Departments.exchange.listings import Listings
from Departments.exchange.market_events import ForeignOrderState, ForeignPositionState
from Departments.exchange.matching import Engine
from Departments.exchange.prices import Market
from Departments.exchange.records import ExchangeRefusal, Record, list_orders, nest_legs
from Departments.exchange.replacing import check_change, make_successor
from Departments.exchange.rules import order_not_found, too_late
from Departments.exchange.schedule import Schedule, plan_event
from Departments.exchange.state import ExchangeState
from Departments.exchange.striking import (
    FaultDesk,
    disguise,
    find_fault,
    spoil_cancel,
    spoil_order,
    spoil_successor,
)

log = make_logger(__name__)

FindPrices = Callable[[Collection[str]], Mapping[str, Decimal]]


class SimulatedExchange:
    """An exchange in the file `path`. `state` seeds a new file, and is ignored otherwise.

    `find_prices` is asked for the prices (dollars) of symbols that the exchange does not know yet.
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
        find_prices: FindPrices | None = None,
        rights: Rights = PRIVATE,
    ) -> None:
        self._clock = clock
        with naming_damage(path):
            self._storage, self._state, self.started_at = open_book(path, clock.now(), state, step, rights)
        self.path = path
        self._book = ExchangeBook(self._storage)
        self._listings = Listings(self._state, self._storage, self.started_at)
        self._market = Market(self._state, self._book, self._listings, self.started_at)
        self._engine = Engine(self._state, self._book, self._market)
        self._foreign = ForeignRows(self._storage)
        self._accounting = Accounting(self._state, self._book, self._market, self._foreign)
        self._entry = OrderEntry(self._book, self._market, self._engine, self._accounting)
        self._log = AccountLog(self._storage, self._book)
        plan = partial(plan_event, self._storage)
        self._actions = MarketActions(self._state, self._book, self._log, self._market, self._engine, self._entry, plan)
        self._schedule = Schedule(self._storage, self._engine.advance, self._actions.occur)
        self.floor = TradingFloor(self._book, self._actions, self._foreign, clock, self._schedule.advance)
        self._faults = FaultDesk(faults, self._storage)
        self._find_prices = find_prices
        self._named: set[str] = set()
        self._account_id = derive_id("account", path.resolve())  # the account is the file, by whatever path

    def find_damage(self) -> str | None:
        """Return the sentence about damage to the file, with its mend, or None."""
        damage = find_damage(self.path)
        return None if damage is None else f"{self.path}: {damage}; {MEND}."

    # --- the port ---

    def account(self) -> Account:
        """Return cash, equity, buying power and gates."""
        with self._answer(Call("account")):
            return replace(
                self._accounting.account(self._clock.now()),
                id=self._account_id,
                number=f"SIM{derive_id('number', self.started_at)[:8].upper()}",
            )

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
            self._learn([request.symbol])
            with self._book.transaction("exchange.submit"):
                order = self._entry.accept(request, now, spoil=lambda each: spoil_order(each, faults, self._state))
            return disguise(nest_legs(order, self._book.group), faults)

    def cancel(self, order_id: str) -> None:
        """Accept a request to cancel an order. The confirmation comes later, if at all."""
        found = self._book.find_by_id(order_id)
        with self._answer(_make_call("cancel", found)) as faults:
            now = self._clock.now()
            with self._book.transaction("exchange.cancel"):
                record = self._check_visible(self._book.find_by_id(order_id), order_id, now)
                self._cancel(record, faults, now)

    def replace(self, order_id: str, change: OrderChange) -> Order:
        """Accept new terms for a live order, and return its successor."""
        with self._answer(_make_call("replace", self._book.find_by_id(order_id))) as faults:
            now = self._clock.now()
            with self._book.transaction("exchange.replace"):
                record = self._check_visible(self._book.find_by_id(order_id), order_id, now)
                used = self._book.find_by_client_id(change.client_order_id) is not None
                check_change(record, change, self._accounting.account(now).buying_power, id_used=used)
                successor = spoil_successor(make_successor(record, change, now), faults)
                successor = self._engine.replace_order(record, successor, now)
            return disguise(nest_legs(successor, self._book.group), faults)

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

    def foreign_orders(self) -> Sequence[ForeignOrderState]:
        """Return open orders for options, spreads and crypto, and rows that cannot be read."""
        return self._foreign.orders()

    def foreign_positions(self) -> Sequence[ForeignPositionState]:
        """Return positions in options and crypto, and rows that cannot be read."""
        return self._foreign.positions()

    def activities(self, since: datetime) -> Sequence[Activity]:
        """Return the bookings on the account since a moment, oldest first."""
        with self._answer(Call("activities")):
            return self._log.list(since)

    def announcements(self, symbols: Iterable[str], since: date) -> Sequence[Activity]:
        """Return the splits and new symbols of some symbols since a day, as announcements: without shares."""
        with self._answer(Call("announcements")):
            return self._log.find_announced(frozenset(symbols), since)

    def assets(self, symbols: Iterable[str]) -> Mapping[str, Asset]:
        """Return the facts of symbols, without the unknown ones."""
        wanted = tuple(symbols)
        with self._answer(Call("assets", frozenset(wanted))):
            self._learn(wanted)
            now = self._clock.now()
            return {s: self._asset(s) for s in wanted if self._market.is_listed(s, now)}

    def quotes(self, symbols: Iterable[str]) -> Mapping[str, Quote]:
        """Return the latest quotes; one without a price is absent."""
        wanted = tuple(symbols)
        with self._answer(Call("quotes", frozenset(wanted))):
            self._learn(wanted)
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

    @property
    def is_used(self) -> bool:
        """Return whether anything was ordered or booked here."""
        tables = ("orders", "adjustments", "activities")
        return any(self._storage.row(f"SELECT 1 FROM {table} LIMIT 1") for table in tables)  # noqa: S608

    def starting_state(self) -> ExchangeState:
        """Return the seed of the exchange."""
        return self._state

    def close(self) -> None:
        """Close the file."""
        self._storage.close()

    # --- inside ---

    @contextmanager
    def _answer(self, call: Call) -> Iterator[tuple[Fault, ...]]:
        self._listings.refresh()
        self._schedule.advance(self._clock.now())
        faults = self._faults.count(call)
        _shake_market(self.floor, faults, call)
        self._raise(find_fault(faults, BEFORE))
        yield faults
        self._raise(find_fault(faults, AFTER))

    def _raise(self, fault: Fault | None) -> None:
        if fault is not None:
            self._clock.sleep(float(fault.takes))
            raise fault.make_error()

    def _asset(self, symbol: str) -> Asset:
        stated = self._listings.asset(symbol)
        return Asset(
            symbol,
            stated.tradable,
            stated.active,
            stated.fractionable,
            stated.name,
            halted=self._book.find_halt(symbol, self._clock.now())[0],
            sector=stated.sector,
            average_volume=self._state.volume(self._listings.origin(symbol)),
            market_cap=stated.market_cap,
            earnings_on=stated.earnings_on,
            id=self._listings.asset_id(symbol),
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

    def _learn(self, symbols: Iterable[str]) -> None:
        """List unknown symbols that have a price somewhere; name the others once."""
        now = self._clock.now()
        unknown = {s for s in symbols if not self._market.is_listed(s, now)} - self._named
        if not unknown:
            return
        found = self._find_prices(unknown) if self._find_prices else {}
        self.floor.list_symbols({s: price for s, price in found.items() if s in unknown})
        for symbol in sorted(unknown - found.keys()):
            log.warning(NO_PRICE.format(symbol))
        self._named |= unknown - found.keys()


def _make_call(name: CallName, record: Record | None) -> Call:
    if record is None:
        return Call(name)
    return Call(name, frozenset({record.symbol}), record.side, record.client_order_id)


def _shake_market(floor: TradingFloor, faults: Sequence[Fault], call: Call) -> None:
    """Apply faults to account and market before a call."""
    for fault in faults:
        for event in fault.events(sorted(call.symbols)):
            try:
                floor.occur(event)
            except ExchangeRefusal as refusal:
                log.warning("The simulated exchange refuses what the fault script asks for: %s", refusal)
