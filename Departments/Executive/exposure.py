"""Shares without live exits: which there are now, and how long there were some during an execution.

A BUY brings its exits as a bracket, but they are live only when it has filled completely; a SELL needs the exits of
its shares cancelled first. In between the shares stand bare, and what is bare in the end is to be protected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from Departments.core.money import ZERO, plain
from Departments.core.orders import OrderStatus, OrderType, Purpose, Side
from Departments.core.reasons import ReasonCode
from Departments.core.statuses import PhaseName
from Departments.ledger.ledger import Ledger
from Departments.ledger.order_records import FillRecord, OrderRecord
from Departments.ledger.plan_records import ExecutionRecord, TradeRecord

Found = TypeVar("Found", FillRecord, OrderRecord, TradeRecord)

OWING = (PhaseName.RELEASE, PhaseName.BUY)
A_MOMENT = timedelta(microseconds=1)
LOOK_BACK = timedelta(days=7)  # an execution that ended with bare shares is made up for by those of the next days


@dataclass(frozen=True, slots=True)
class Exposure:
    """Shares of a symbol that stood without live exits, from a moment to another (None: they still do)."""

    ticker: str
    qty: Decimal
    since: datetime
    until: datetime | None

    def __str__(self) -> str:
        what = f"{self.ticker}: {plain(self.qty)} shares had no live exits from {self.since:%H:%M:%S}"
        if self.until is None:
            return f"{what} UTC on, and have none now"
        return f"{what} to {self.until:%H:%M:%S} UTC ({(self.until - self.since).total_seconds():.0f} s)"


def exposures_of(ledger: Ledger, plan_id: str) -> list[Exposure]:
    """Return every stretch of a plan's execution in which shares stood without live exits."""
    run = ledger.plans.execution(plan_id)
    if run is None:
        return []
    found = {t.ticker: t.planned_qty for t in ledger.plans.trades(plan_id, PhaseName.PROTECT)}
    before = bare_shares(ledger, run.started_at - A_MOMENT) if found else {}
    return exposures(
        run,
        ledger.orders.of_symbols_moved_since(run.started_at),
        ledger.orders.fills_since(run.started_at),
        {symbol: min(qty, before.get(symbol, ZERO)) for symbol, qty in found.items()},
    )


def bare_shares(ledger: Ledger, at: datetime, *, bought: bool = True) -> Mapping[str, Decimal]:
    """Return how many shares of each symbol have been left without exits in the last days, by a moment.

    The executions of these days left them so, or exits of before have ended: at Alpaca they live for 90 days, and a
    person or a split may end them earlier (https://docs.alpaca.markets/docs/orders-at-alpaca). Where BUYs are to have
    no exits (`bought` is False) only what has lost its exits to a RELEASE counts.
    """
    since = at - LOOK_BACK
    runs = [e for e in ledger.plans.executions() if since <= e.started_at <= at]
    trades = by_symbol((t for r in runs for t in ledger.plans.trades(r.plan_id) if _may_owe(t)), lambda t: t.ticker)
    moved = ledger.orders.of_symbols_moved_since(since) if bought else ()
    lost = {o.intent.ticker for o in moved if _is_lost(o, since, at)}
    symbols = list({**trades, **dict.fromkeys(sorted(lost))})
    orders = by_symbol(ledger.orders.of_symbols(symbols), lambda o: o.intent.ticker)
    fills = by_symbol((f for f in ledger.orders.fills_since(since) if f.filled_at <= at), lambda f: f.ticker)
    return {
        symbol: _bare(
            _periods(trades.get(symbol, ()), since, at), orders.get(symbol, ()), fills.get(symbol, ()), bought=bought
        )
        for symbol in symbols
    }


def by_symbol(found: Iterable[Found], symbol_of: Callable[[Found], str]) -> dict[str, list[Found]]:
    """Return what was found by its symbol, in the order given."""
    groups: dict[str, list[Found]] = {}
    for each in found:
        groups.setdefault(symbol_of(each), []).append(each)
    return groups


@dataclass(frozen=True, slots=True)
class _Period:
    """The time between two RELEASEs of a symbol, and the shares that the first took the exits from."""

    since: datetime
    until: datetime
    released: Decimal

    def saw(self, moment: datetime) -> bool:
        return self.since < moment <= self.until


def _may_owe(trade: TradeRecord) -> bool:
    return trade.phase in OWING and trade.dispatched_at is not None


def _periods(trades: Iterable[TradeRecord], since: datetime, until: datetime) -> list[_Period]:
    releases = {t.dispatched_at: t.planned_qty for t in trades if t.phase == PhaseName.RELEASE and t.dispatched_at}
    starts = [since, *sorted(releases)]
    return [_Period(a, b, releases.get(a, ZERO)) for a, b in zip(starts, [*starts[1:], until], strict=True)]


def _bare(
    periods: Iterable[_Period], orders: Sequence[OrderRecord], fills: Sequence[FillRecord], *, bought: bool
) -> Decimal:
    """Return what is bare after periods: released or bought, neither sold since nor given live exits.

    A sale takes bare shares first, and none that were not there yet.
    """
    by_id = {o.intent.client_order_id: o for o in orders}
    bare = ZERO
    for period in periods:
        bare += period.released
        if bought and not period.released:
            bare += _lost(period, orders, fills)
        for fill in fills:
            if period.saw(fill.filled_at) and _concerns(period, by_id[fill.client_order_id]):
                bare = max(ZERO, bare - fill.qty) if fill.side is Side.SELL else bare + fill.qty * bought
        bare = max(ZERO, bare - _covered(period, orders))
    return bare


def _lost(period: _Period, orders: Sequence[OrderRecord], fills: Sequence[FillRecord]) -> Decimal:
    """Return the shares whose exits, made before a period, have ended in it and sold nothing, their stops included."""
    ended = [o for o in orders if _is_lost(o, period.since, period.until) and _live_at(o, orders) is not None]
    stops = (o for o in orders if _is_exit(o) and not _is_target(o) and o.created_at <= period.since)
    old = {o.intent.client_order_id for o in stops}
    stopped = sum((f.qty for f in fills if f.client_order_id in old and period.saw(f.filled_at)), ZERO)
    return max(ZERO, sum((o.intent.qty - o.filled_qty for o in ended), ZERO) - stopped)


def _is_lost(order: OrderRecord, since: datetime, until: datetime) -> bool:
    """Tell whether an exit of before `since` is known since then to have ended, with shares unsold.

    What a person has accepted is looked after by that person.
    """
    learned = order.updated_at or order.created_at
    ended = order.status.is_terminal and since < learned <= until and order.code != ReasonCode.SYMBOL_LOCKED
    return _is_target(order) and ended and order.created_at <= since and order.filled_qty < order.intent.qty


def _concerns(period: _Period, order: OrderRecord) -> bool:
    """Tell whether what an order trades may be bare: an exit of before sells what it covered, unless released."""
    return not _is_exit(order) or period.released > 0 or period.saw(order.created_at)


def _covered(period: _Period, orders: Sequence[OrderRecord]) -> Decimal:
    """Return the shares that exits made in a period protected at its end."""
    made = (o for o in orders if _is_target(o) and period.saw(o.created_at))
    return sum((o.intent.qty - o.filled_qty for o in made if _is_live(o, orders, period.until)), ZERO)


def _is_live(target: OrderRecord, orders: Sequence[OrderRecord], at: datetime) -> bool:
    ended = target.status.is_terminal and (target.terminal_at is None or target.terminal_at <= at)
    live_at = _live_at(target, orders)
    return not ended and live_at is not None and live_at <= at


def exposures(
    run: ExecutionRecord,
    orders: Sequence[OrderRecord],
    fills: Sequence[FillRecord],
    before: Mapping[str, Decimal],
) -> list[Exposure]:
    """Return every stretch of an execution in which shares stood without live exits, by symbol and time.

    `orders` are all orders of the symbols that moved in its time, exits included, and `fills` all fills of its time;
    `before` is what was bare when it began.
    """
    found: list[Exposure] = []
    filled, moved = by_symbol(fills, lambda f: f.ticker), by_symbol(orders, lambda o: o.intent.ticker)
    for ticker in sorted({*moved, *before}):
        course = {run.started_at: before.get(ticker, ZERO)}
        for at, qty in _changes(moved.get(ticker, ()), filled.get(ticker, ())):
            if run.saw(at):
                course[at] = course.get(at, ZERO) + qty
        found += _stretches(ticker, sorted((at, qty) for at, qty in course.items() if qty))
    return found


def _changes(orders: Sequence[OrderRecord], fills: Iterable[FillRecord]) -> Iterator[tuple[datetime, Decimal]]:
    """Yield how many more (or, negative, fewer) shares are bare from a moment on.

    Of the two exits of a group the target speaks for both; what its stop sells leaves the position.
    """
    by_id = {o.intent.client_order_id: o for o in orders}
    for fill in fills:
        order = by_id[fill.client_order_id]
        if not _is_target(order):
            yield fill.filled_at, fill.qty if fill.side is Side.BUY else -fill.qty
    for target in filter(_is_target, orders):
        live_at = _live_at(target, orders)
        if live_at is None:
            continue
        if not _is_strange(target, orders):
            yield live_at, -target.intent.qty
        if target.terminal_at is not None:
            yield target.terminal_at, target.intent.qty - target.filled_qty


def _live_at(target: OrderRecord, orders: Iterable[OrderRecord]) -> datetime | None:
    """Return when an exit began to protect: a bracket's when its entry had filled, None when it never did."""
    if target.status is OrderStatus.REJECTED:
        return None
    if not target.intent.message_id.startswith("EXIT_"):
        return target.submitted_at
    entry = _entry_of(target, orders)
    if entry is None:
        return target.created_at
    return entry.terminal_at if entry.filled_qty == entry.intent.qty else None


def _entry_of(target: OrderRecord, orders: Iterable[OrderRecord]) -> OrderRecord | None:
    entries = (o for o in orders if o.intent.side is Side.BUY and o.created_at <= target.created_at)
    return max(entries, key=lambda o: o.created_at, default=None)


def _is_strange(target: OrderRecord, orders: Iterable[OrderRecord]) -> bool:
    """Tell whether an exit covered shares that the ledger never saw bought; it was live before the ledger knew it."""
    return target.intent.message_id.startswith("EXIT_") and _entry_of(target, orders) is None


def _stretches(ticker: str, changes: Sequence[tuple[datetime, Decimal]]) -> Iterator[Exposure]:
    bare, since = ZERO, None
    for at, qty in changes:
        if bare > 0 and since is not None and at > since:
            yield Exposure(ticker, bare, since, at)
        bare, since = bare + qty, at  # below zero: more was sold than ever had exits
    if bare > 0 and since is not None:
        yield Exposure(ticker, bare, since, None)


def _is_exit(order: OrderRecord) -> bool:
    return order.intent.purpose is Purpose.EXIT


def _is_target(order: OrderRecord) -> bool:
    return _is_exit(order) and order.intent.order_type == OrderType.LIMIT
