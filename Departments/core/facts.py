"""The facts of one moment: the frozen input of every decision. None means *unknown*, never zero.

    Knowledge  the ledger's part: briefings' data, the regime, past fills, stops, locks
    Facts      knowledge and the broker's data, read in one place or projected (`Facts.after`)

Money is in dollars, quantities in shares, changes of the market in percent: 1.15 is +1.15 %. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal

from Departments.core.approvers import Consent
from Departments.core.halts import Halt
from Departments.core.money import ZERO
from Departments.core.orders import Order, Side
from Departments.core.plans import Trade, TradingPlan
from Departments.core.portfolio import Account, Position
from Departments.core.quotes import MarketClock, find_side_price
from Departments.core.regimes import MarketView
from Departments.core.trading_calendar import trading_day


@dataclass(frozen=True, slots=True)
class SymbolFacts:
    """The facts of one symbol. Prices in dollars, volume in shares a day, market_cap in dollars.

    `price` is its value; `is_fresh` says whether bid and ask are of this minute.
    """

    symbol: str
    price: Decimal | None = None
    price_at: datetime | None = None
    sector: str | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    is_fresh: bool = False
    average_volume: Decimal | None = None
    market_cap: Decimal | None = None
    tradable: bool | None = None
    halted: bool | None = None
    earnings_on: date | None = None
    earnings_known: bool = False

    def price_for(self, side: Side) -> Decimal | None:
        """Return the price of a side: the fresh ask for a BUY, the fresh bid for a SELL, else the value."""
        return find_side_price(side, self.price, self.bid, self.ask, fresh=self.is_fresh)


@dataclass(frozen=True, slots=True)
class Readings:
    """The whole market on one day. `correlations` maps pairs of symbols to coefficients from -1 to 1."""

    spy_change_pct: Decimal | None = None
    spy_drawdown_pct: Decimal | None = None
    vix: Decimal | None = None
    vix_change_pct: Decimal | None = None
    correlations: Mapping[frozenset[str], Decimal] = field(default_factory=dict)

    def complete(self, earlier: Readings) -> Readings:
        """Fill unknown readings with earlier ones."""
        numbers = {name: _first(getattr(self, name), getattr(earlier, name)) for name in READINGS}
        return Readings(**numbers, correlations={**earlier.correlations, **self.correlations})


#: The names of the numbers in `Readings`.
READINGS = ("spy_change_pct", "spy_drawdown_pct", "vix", "vix_change_pct")
NO_READINGS = Readings()


@dataclass(frozen=True, slots=True)
class TradingHistory:
    """The desk's recent trading. An empty history means that the desk has not traded.

    `executed_plan_today` is the plan executed (or being executed) on the exchange's day, `manual_orders_today` are the
    orders by hand beside it. `same_day_sides` maps a
    symbol to the sides filled today. `day_trades` holds one day per past day trade. `stops` maps a symbol to the
    price of its live stop. `desk_lock` is why nothing at all may be traded, empty if it may; `halt` is a person's.
    `sold_at` maps a symbol to its last sale of the last week. `invested_before` is what was invested before the day's
    first execution (dollars), None before it. `began_on` is the day of the desk's first plan that was executed.
    """

    executed_plan_today: str | None = None
    manual_orders_today: tuple[str, ...] = ()
    same_day_sides: Mapping[str, frozenset[Side]] = field(default_factory=dict)
    day_trades: tuple[date, ...] = ()
    stops: Mapping[str, Decimal] = field(default_factory=dict)
    desk_lock: str = ""
    halt: Halt | None = None
    sold_at: Mapping[str, datetime] = field(default_factory=dict)
    invested_before: Decimal | None = None
    began_on: date | None = None

    def after(self, day: date, symbol: str, side: Side, stop_price: Decimal | None = None) -> TradingHistory:
        """Return the history after an order of `day` fills, its stop included."""
        before = self.same_day_sides.get(symbol, frozenset())
        turned = bool(before) and side not in before
        return replace(
            self,
            same_day_sides={**self.same_day_sides, symbol: before | {side}},
            day_trades=(*self.day_trades, day) if turned else self.day_trades,
            stops=self.stops if stop_price is None else {**self.stops, symbol: stop_price},
        )


NOTHING_DONE = TradingHistory()


@dataclass(frozen=True, slots=True)
class Knowledge:
    """The desk's own facts, without the broker's. Planner, reviewer and trader share them.

    `symbols` holds sectors, volumes and the like from briefings, with the day's prices. `readings` are the day's
    market readings. `views` are the day's young assessments of the market, `plan_views` those of the day's plan, its
    briefing included. `peak_equity` is the highest equity on record. `unsettled` is the proceeds of our SELLs before
    settlement; it counts if the broker gives no number. `locks` maps a locked symbol to its reason.
    """

    symbols: Mapping[str, SymbolFacts] = field(default_factory=dict)
    readings: Readings = NO_READINGS
    views: tuple[MarketView, ...] = ()
    plan_views: tuple[MarketView, ...] = ()
    peak_equity: Decimal | None = None
    unsettled: Decimal = ZERO
    history: TradingHistory = NOTHING_DONE
    locks: Mapping[str, str] = field(default_factory=dict)

    def of(self, symbol: str) -> SymbolFacts:
        """Return a symbol's facts, by default all unknown."""
        return self.symbols.get(symbol) or SymbolFacts(symbol)


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """A plan's facts from planning time: `prices` in dollars per share, the hash of the limits.

    `executed_on` is the day of this plan's execution, ended or interrupted. `consent` are its approvals, None where
    they were looked at before. An order `by_hand` is not the day's plan.
    """

    plan_id: str | None
    made_at: datetime | None
    limits_hash: str = ""
    prices: Mapping[str, Decimal] = field(default_factory=dict)
    executed_on: date | None = None
    consent: Consent | None = None
    by_hand: bool = False

    @classmethod
    def of(cls, plan: TradingPlan) -> PlanFacts:
        """Take the facts from `plan`."""
        prices = {trade.symbol: trade.price for trade in plan.trades if trade.price is not None}
        return cls(plan.plan_id, plan.generated_at, plan.limits_hash, prices, by_hand=plan.by_hand)


@dataclass(frozen=True, slots=True)
class RunFacts:
    """An execution so far, in dollars.

    `reserve` is fixed at the start. `expected_cash` is start cash + actual SELL fills − actual BUY fills − fees, None
    before the first count. `aborted` names an aborted phase. `unprotected` maps a symbol to its shares without a live
    exit. `releasing` are the symbols with exits being cancelled, `entering` those with an open BUY.
    """

    reserve: Decimal
    expected_cash: Decimal | None = None
    aborted: str = ""
    unprotected: Mapping[str, Decimal] = field(default_factory=dict)
    releasing: frozenset[str] = frozenset()
    entering: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class DeskFacts:
    """The facts of the whole desk at `now` (UTC), without any order.

    `account` is None if it was not read, `plan` without a plan, `run` outside an execution.
    """

    now: datetime
    account: Account | None
    hours: MarketClock
    history: TradingHistory = NOTHING_DONE
    plan: PlanFacts | None = None
    run: RunFacts | None = None


@dataclass(frozen=True, slots=True)
class Facts(DeskFacts):
    """The facts for a decision on orders.

    The equity dates from the reading of the account. It stays fixed while orders are projected, so planner and trader
    measure shares of the same whole. `open_buys` is the cash promised to open BUY orders, None if no BUY needs it.
    `unpriced_buys` names those whose cost nobody knows: while one is open, no cash is free.
    `outside_orders` are the open orders for shares that somebody else placed, read together with `open_buys`.
    `foreign_value` is the market value of options, crypto and the like: invested, but not among the `positions`.
    `views` are all views of the market that count now; they may contradict each other. `invested_before` is what was
    invested before the day's first order, in dollars.
    """

    account: Account
    positions: Mapping[str, Position] = field(default_factory=dict)
    foreign_value: Decimal = ZERO
    open_buys: Decimal | None = None
    outside_orders: tuple[Order, ...] = ()
    unpriced_buys: tuple[str, ...] = ()
    unsettled_cash: Decimal = ZERO
    peak_equity: Decimal | None = None
    symbols: Mapping[str, SymbolFacts] = field(default_factory=dict)
    readings: Readings = NO_READINGS
    views: tuple[MarketView, ...] = ()
    locks: Mapping[str, str] = field(default_factory=dict)
    invested_before: Decimal | None = None

    @property
    def cash(self) -> Decimal:
        """Return the account's cash, before open BUYs."""
        return self.account.cash

    @property
    def free_cash(self) -> Decimal:
        """Return the cash left after all open BUYs. Raises LookupError if open orders were not read."""
        if self.open_buys is None:
            raise LookupError("open orders were not read, so their cash is unknown")
        return self.cash - self.open_buys

    @property
    def equity(self) -> Decimal:
        """Return the account's equity."""
        return self.account.equity

    @property
    def invested(self) -> Decimal:
        """Return the market value of all long positions, foreign ones included."""
        return self.foreign_value + sum((p.market_value for p in self.positions.values() if p.qty > 0), ZERO)

    def of(self, symbol: str) -> SymbolFacts:
        """Return a symbol's facts, by default all unknown."""
        return self.symbols.get(symbol) or SymbolFacts(symbol)

    def held_value(self, symbol: str) -> Decimal:
        """Return the market value of the position in `symbol`."""
        position = self.positions.get(symbol)
        return position.market_value if position else ZERO

    def live_stop(self, symbol: str) -> Decimal | None:
        """Return the price of a held symbol's live stop, None if none is known."""
        position = self.positions.get(symbol)
        return self.history.stops.get(symbol) if position is not None and position.qty > 0 else None

    def with_cash(self, change: Decimal) -> Facts:
        """Add dollars (or subtract them) to the cash, explained by fills."""
        account, run = self._change_cash(change)
        return replace(self, account=account, run=run)

    def _change_cash(self, change: Decimal) -> tuple[Account, RunFacts | None]:
        account, run = self.account, self.run
        richer = replace(account, cash=account.cash + change, buying_power=account.buying_power + change)
        if run is not None and run.expected_cash is not None:
            run = replace(run, expected_cash=run.expected_cash + change)
        return richer, run

    def after(self, order: Trade) -> Facts:
        """Project the facts: `order` fills completely at its price.

        A SELL without a usable price frees shares but no cash.
        """
        signed = order.qty if order.side is Side.BUY else -order.qty
        price = order.price if order.price is not None and order.price > 0 else None
        held = self.positions.get(order.symbol) or Position(
            order.symbol, ZERO, order.price or ZERO, order.price, sector=order.sector
        )
        available = None if held.qty_available is None else held.qty_available + signed
        current = held.current_price if price is None else price
        moved = replace(held, qty=held.qty + signed, qty_available=available, current_price=current)
        positions = {s: p for s, p in self.positions.items() if s != order.symbol}
        if moved.qty != 0:
            positions[order.symbol] = moved
        today = trading_day(self.now)
        history = self.history.after(today, order.symbol, order.side, order.stop_price)
        account, run = (self.account, self.run) if price is None else self._change_cash(-signed * price)
        return replace(self, positions=positions, history=history, account=account, run=run)

    def after_release(self, symbols: frozenset[str]) -> Facts:
        """Project the facts: all resting exits of `symbols` end without a fill."""
        freed = {s: replace(p, qty_available=p.qty) if s in symbols else p for s, p in self.positions.items()}
        return replace(self, positions=freed)


def _first(*values: Decimal | None) -> Decimal | None:
    return next((v for v in values if v is not None), None)
