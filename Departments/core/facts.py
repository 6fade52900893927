"""All that is known at one moment, as one frozen value that every decision takes. None means *unknown*, never zero.

    knowledge the desk's own: what briefings told, the regime, past fills, stops, locks (from the ledger)
    facts     knowledge and the broker's word together, read in one place or projected (`Facts.after`)

Money is in dollars, quantities in shares, changes of the market are percentages: 1.15 is +1.15 %.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal

from Departments.core.money import ZERO
from Departments.core.orders import Side
from Departments.core.plans import Trade, TradingPlan
from Departments.core.portfolio import Account, Position
from Departments.core.quotes import MarketClock
from Departments.core.regimes import RegimeAssessment
from Departments.core.trading_calendar import previous_trading_day, trading_day


@dataclass(frozen=True, slots=True)
class SymbolFacts:
    """What is known of one symbol. Prices in dollars, volume in shares a day, market_cap in dollars."""

    symbol: str
    price: Decimal | None = None
    price_at: datetime | None = None
    sector: str | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    average_volume: Decimal | None = None
    market_cap: Decimal | None = None
    tradable: bool | None = None
    halted: bool | None = None
    earnings_on: date | None = None
    earnings_known: bool = False


@dataclass(frozen=True, slots=True)
class Readings:
    """The market as a whole on one day. `correlations` maps pairs of symbols to coefficients from -1 to 1."""

    spy_change_pct: Decimal | None = None
    spy_drawdown_pct: Decimal | None = None
    vix: Decimal | None = None
    vix_change_pct: Decimal | None = None
    correlations: Mapping[frozenset[str], Decimal] = field(default_factory=dict)

    def complete(self, earlier: Readings) -> Readings:
        """Return these readings, with earlier ones where these are silent."""
        numbers = {name: _first(getattr(self, name), getattr(earlier, name)) for name in READINGS}
        return Readings(**numbers, correlations={**earlier.correlations, **self.correlations})

    def seen_by(self, assessment: RegimeAssessment | None) -> Readings:
        """Return the numbers that the regime was assessed with, and these where it had none."""
        numbers = {name: _first(getattr(assessment, name, None), getattr(self, name)) for name in READINGS}
        return Readings(**numbers, correlations=self.correlations)


#: The names of the numbers in `Readings`.
READINGS = ("spy_change_pct", "spy_drawdown_pct", "vix", "vix_change_pct")
NO_READINGS = Readings()


@dataclass(frozen=True, slots=True)
class TradingHistory:
    """The desk's recent past. An empty history is a desk that has done nothing.

    `executed_plan_today` is the plan executed (or being executed) on the exchange's day; `same_day_sides` maps a
    symbol to the sides filled today; `day_trades` holds the day of each past day trade, one entry per trade;
    `stops` maps a symbol to its live protective stop price.
    """

    executed_plan_today: str | None = None
    same_day_sides: Mapping[str, frozenset[Side]] = field(default_factory=dict)
    day_trades: tuple[date, ...] = ()
    stops: Mapping[str, Decimal] = field(default_factory=dict)

    def after(self, day: date, symbol: str, side: Side, stop_price: Decimal | None = None) -> TradingHistory:
        """Return the history after an order of `day` has filled, with the order's stop where it has one."""
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
    """What the desk knows without the broker, shared by planner, reviewer and trader.

    `symbols` holds sectors, volumes and the like from briefings, with the prices of the day; `readings` is the day's
    word on the market, `peak_equity` the highest equity seen, `unsettled` the proceeds of our own SELLs that have not
    settled yet (they count where the broker does not tell). `locks` maps a symbol to why it waits for a person.
    """

    symbols: Mapping[str, SymbolFacts] = field(default_factory=dict)
    readings: Readings = NO_READINGS
    regime: RegimeAssessment | None = None
    peak_equity: Decimal | None = None
    unsettled: Decimal = ZERO
    history: TradingHistory = NOTHING_DONE
    locks: Mapping[str, str] = field(default_factory=dict)

    def of(self, symbol: str) -> SymbolFacts:
        """Return the facts of a symbol, all unknown where there are none."""
        return self.symbols.get(symbol) or SymbolFacts(symbol)


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """What a plan was made with. `prices` in dollars a share; the hash is that of the limits.

    `executed_on` is the day of an execution of this very plan that has ended or is interrupted.
    """

    plan_id: str | None
    made_at: datetime | None
    limits_hash: str = ""
    prices: Mapping[str, Decimal] = field(default_factory=dict)
    executed_on: date | None = None

    @classmethod
    def of(cls, plan: TradingPlan) -> PlanFacts:
        """Return what `plan` was made with."""
        prices = {trade.ticker: trade.price for trade in plan.trades if trade.price is not None}
        return cls(plan.plan_id, plan.generated_at, plan.limits_hash, prices)


@dataclass(frozen=True, slots=True)
class RunFacts:
    """An execution so far, in dollars.

    `reserve` was fixed at the start. `expected_cash` is start cash + actual SELL fills − actual BUY fills − fees, None
    before it is counted; `aborted` names the phase that was aborted. Of each symbol: `unprotected` shares without a
    live exit, `releasing` those whose exits are being cancelled, `entering` those with an open BUY.
    """

    reserve: Decimal
    expected_cash: Decimal | None = None
    aborted: str = ""
    unprotected: Mapping[str, Decimal] = field(default_factory=dict)
    releasing: frozenset[str] = frozenset()
    entering: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class DeskFacts:
    """What decides whether anything may be sent at all, at `now` (UTC).

    `account` is None where nobody asked; `plan` and `run` are None where no plan is being looked at, or executed.
    """

    now: datetime
    account: Account | None
    hours: MarketClock
    history: TradingHistory = NOTHING_DONE
    plan: PlanFacts | None = None
    run: RunFacts | None = None


@dataclass(frozen=True, slots=True)
class Facts(DeskFacts):
    """Everything that a decision on orders may ask for.

    The equity is that of the moment the account was read. It stays fixed while orders are projected, so that planner
    and trader measure shares of the same whole. `open_buys` is cash promised to open BUY orders, None where nothing is
    to be bought and so nobody asked. `foreign_value` is the market value of options, crypto and the like: it is
    invested, and takes no place among the `positions`.
    """

    account: Account
    positions: Mapping[str, Position] = field(default_factory=dict)
    foreign_value: Decimal = ZERO
    open_buys: Decimal | None = None
    unsettled_cash: Decimal = ZERO
    peak_equity: Decimal | None = None
    symbols: Mapping[str, SymbolFacts] = field(default_factory=dict)
    readings: Readings = NO_READINGS
    regime: RegimeAssessment | None = None
    locks: Mapping[str, str] = field(default_factory=dict)

    @property
    def cash(self) -> Decimal:
        """Return the account's cash, which open BUYs have not reduced."""
        return self.account.cash

    @property
    def free_cash(self) -> Decimal:
        """Return the cash that no open BUY will take. Raises LookupError where open orders were not read."""
        if self.open_buys is None:
            raise LookupError("open orders were not read, so nobody knows what they will take")
        return self.cash - self.open_buys

    @property
    def equity(self) -> Decimal:
        """Return the account's equity."""
        return self.account.equity

    @property
    def invested(self) -> Decimal:
        """Return the market value of all long positions, foreign ones among them."""
        return self.foreign_value + sum((p.market_value for p in self.positions.values() if p.qty > 0), ZERO)

    def of(self, symbol: str) -> SymbolFacts:
        """Return the facts of `symbol`, all unknown where there are none."""
        return self.symbols.get(symbol) or SymbolFacts(symbol)

    def held_value(self, symbol: str) -> Decimal:
        """Return the market value held of `symbol`."""
        position = self.positions.get(symbol)
        return position.market_value if position else ZERO

    def with_cash(self, change: Decimal) -> Facts:
        """Return the facts with more cash (dollars), or less, explained by fills."""
        account, run = self.account, self.run
        richer = replace(account, cash=account.cash + change, buying_power=account.buying_power + change)
        if run is not None and run.expected_cash is not None:
            run = replace(run, expected_cash=run.expected_cash + change)
        return replace(self, account=richer, run=run)

    def after(self, order: Trade) -> Facts:
        """Return the facts after `order` has filled completely at its price.

        A SELL without a usable price frees shares and no cash.
        """
        signed = order.qty if order.side is Side.BUY else -order.qty
        priced = order.price is not None and order.price > 0
        held = self.positions.get(order.ticker) or Position(
            order.ticker, ZERO, order.price or ZERO, order.price, sector=order.sector
        )
        available = None if held.qty_available is None else held.qty_available + signed
        moved = replace(held, qty=held.qty + signed, qty_available=available)
        if priced:
            moved = replace(moved, current_price=order.price)
        positions = {s: p for s, p in self.positions.items() if s != order.ticker}
        if moved.qty != 0:
            positions[order.ticker] = moved
        today = trading_day(self.now)
        history = self.history.after(today, order.ticker, order.side, order.stop_price)
        after = replace(self, positions=positions, history=history)
        return after.with_cash(-signed * order.price) if priced and order.price is not None else after

    def after_release(self, symbols: frozenset[str]) -> Facts:
        """Return the facts after all resting exits of `symbols` have ended without a fill."""
        freed = {s: replace(p, qty_available=p.qty) if s in symbols else p for s, p in self.positions.items()}
        return replace(self, positions=freed)


def current(assessment: RegimeAssessment | None, now: datetime) -> RegimeAssessment | None:
    """Return an assessment unless it is from before the previous trading day and so says nothing of today."""
    if assessment is None or trading_day(assessment.assessed_at) < previous_trading_day(trading_day(now)):
        return None
    return assessment


def _first(*values: Decimal | None) -> Decimal | None:
    return next((v for v in values if v is not None), None)
