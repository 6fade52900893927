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
from Departments.core.orders import OrderType, Side
from Departments.Executive.phases import PhaseName
from Departments.ledger.ledger import Ledger
from Departments.ledger.orders import FillRecord, OrderRecord
from Departments.ledger.plans import ExecutionRecord, TradeRecord

Found = TypeVar("Found", FillRecord, OrderRecord)

OWING = (PhaseName.RELEASE, PhaseName.BUY)
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
    return exposures(
        run, ledger.orders.of_symbols_moved_since(run.started_at), ledger.orders.fills_since(run.started_at)
    )


def bare_shares(ledger: Ledger, now: datetime) -> Mapping[str, Decimal]:
    """Return how many shares of each symbol the executions of the last days have left without exits."""
    runs = [e for e in ledger.plans.executions() if e.started_at >= now - LOOK_BACK]
    trades = [t for run in runs for t in ledger.plans.trades(run.plan_id) if t.phase in OWING]
    orders = by_symbol(ledger.orders.of_symbols({t.ticker for t in trades}), lambda o: o.intent.ticker)
    fills = by_symbol(ledger.orders.fills_since(now - LOOK_BACK), lambda f: f.ticker)
    bought = {o.intent.message_id: o.filled_qty for mine in orders.values() for o in mine if o.intent.side is Side.BUY}
    owed = {t.ticker: (t, qty) for t in trades if (qty := _owed(t, bought))}
    return {s: _bare(trade, qty, fills.get(s, ()), orders.get(s, ())) for s, (trade, qty) in owed.items()}


def by_symbol(found: Iterable[Found], symbol_of: Callable[[Found], str]) -> dict[str, list[Found]]:
    """Return what was found by its symbol, in the order given."""
    groups: dict[str, list[Found]] = {}
    for each in found:
        groups.setdefault(symbol_of(each), []).append(each)
    return groups


def _owed(trade: TradeRecord, bought: Mapping[str, Decimal]) -> Decimal:
    """Return the shares that a trade leaves without exits unless something else gives them some."""
    if trade.phase == PhaseName.BUY:
        return bought.get(trade.message_id or "", ZERO)
    return trade.planned_qty if trade.phase == PhaseName.RELEASE and trade.message_id else ZERO


def _bare(trade: TradeRecord, owed: Decimal, fills: Iterable[FillRecord], mine: Sequence[OrderRecord]) -> Decimal:
    """Return what is left of `owed` by the fills and orders of the trade's symbol since it was sent."""
    since = trade.dispatched_at
    if since is None:
        return ZERO
    sold = (f.qty for f in fills if f.side is Side.SELL and f.filled_at >= since)
    open_targets = (o for o in mine if o.created_at >= since and _is_target(o) and not o.status.is_terminal)
    covered = (o.intent.qty - o.filled_qty for o in open_targets if _live_at(o, mine) is not None)
    return max(ZERO, owed - sum(sold, ZERO) - sum(covered, ZERO))


def exposures(run: ExecutionRecord, orders: Sequence[OrderRecord], fills: Sequence[FillRecord]) -> list[Exposure]:
    """Return every stretch of an execution in which shares stood without live exits, by symbol and time.

    `orders` are all orders of the symbols that moved in its time, exits included, and `fills` all fills of its time.
    """
    found: list[Exposure] = []
    filled = by_symbol(fills, lambda f: f.ticker)
    for ticker, mine in sorted(by_symbol(orders, lambda o: o.intent.ticker).items()):
        changes = sorted(_changes(mine, filled.get(ticker, ())), key=lambda c: c[0])
        found += _stretches(ticker, [(at, qty) for at, qty in changes if run.saw(at)])
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
        if live_at is not None:
            yield live_at, -target.intent.qty
            if target.terminal_at is not None:
                yield target.terminal_at, target.intent.qty - target.filled_qty


def _live_at(target: OrderRecord, orders: Iterable[OrderRecord]) -> datetime | None:
    """Return when an exit began to protect: a bracket's when its entry had filled, None when it never did."""
    if not target.intent.message_id.startswith("EXIT_"):
        return target.submitted_at
    entries = (o for o in orders if o.intent.side is Side.BUY and o.created_at <= target.created_at)
    entry = max(entries, key=lambda o: o.created_at, default=None)
    if entry is None:
        return target.created_at
    return entry.terminal_at if entry.filled_qty == entry.intent.qty else None


def _stretches(ticker: str, changes: Sequence[tuple[datetime, Decimal]]) -> Iterator[Exposure]:
    bare, since = ZERO, None
    for at, qty in changes:
        if bare > 0 and since is not None and at > since:
            yield Exposure(ticker, bare, since, at)
        bare, since = bare + qty, at  # below zero: more was sold than ever had exits
    if bare > 0 and since is not None:
        yield Exposure(ticker, bare, since, None)


def _is_target(order: OrderRecord) -> bool:
    return order.intent.purpose == "exit" and order.intent.order_type == OrderType.LIMIT
