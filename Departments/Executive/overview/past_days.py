"""The days of a desk: what was sent and filled, at which cost, and what became of the money. From the ledger alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Any, Final

from Departments.core.account_entries import AccountEntry, EntryKind
from Departments.core.money import ZERO, money_text
from Departments.core.orders import OrderStatus, Side
from Departments.core.statuses import PhaseName, TradeStatus
from Departments.core.trading_calendar import trading_day
from Departments.Executive.overview.standing import run_document
from Departments.Executive.remainder import keep_last
from Departments.ledger.account_book import measure_effect
from Departments.ledger.ledger import Ledger
from Departments.ledger.order_records import FillRecord
from Departments.ledger.plan_records import ExecutionRecord, TradeRecord
from Departments.ledger.running_cost import RunningCost

DEPOSITED: Final = (EntryKind.DEPOSIT, EntryKind.WITHDRAWAL)
EARNED: Final = (EntryKind.DIVIDEND, EntryKind.INTEREST)
BASIS_POINTS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Slippage:
    """The cost of fills beside the plan's prices, in dollars (negative: a gain). `planned` is their value at those."""

    dollars: Decimal = ZERO
    planned: Decimal = ZERO

    def __add__(self, other: Slippage) -> Slippage:
        return Slippage(self.dollars + other.dollars, self.planned + other.planned)

    @property
    def basis_points(self) -> Decimal | None:
        """Return the cost in basis points of the planned dollars, None without any."""
        return self.dollars / self.planned * BASIS_POINTS if self.planned else None

    def document(self) -> dict[str, str | None]:
        """Return it for programs."""
        points = self.basis_points
        return {"dollars": money_text(self.dollars), "basis_points": None if points is None else f"{points:.1f}"}


@dataclass(frozen=True, slots=True)
class HistoryDay:
    """One trading day. Money in dollars; None is unknown, or not there without a run.

    `trades` are the SELLs and BUYs of every attempt, `outcomes` the last one of each.
    `equity` is the one before the day's first run, `profit` its change since the row before without deposits.
    `realised` are the profits of SELLs and exits whose shares' cost is known; `unknown_costs` counts the others.
    `unrealised` is that of the positions before the first run.
    """

    day: date
    runs: tuple[ExecutionRecord, ...] = ()
    trades: tuple[TradeRecord, ...] = ()
    outcomes: tuple[TradeRecord, ...] = ()
    bought: Decimal = ZERO
    sold: Decimal = ZERO
    fees: Decimal = ZERO
    deposits: Decimal = ZERO
    income: Decimal = ZERO
    realised: Decimal = ZERO
    unknown_costs: int = 0
    unrealised: Decimal | None = None
    profit: Decimal | None = None

    @property
    def equity(self) -> Decimal | None:
        """Return the equity before the first run."""
        return self.runs[0].equity if self.runs else None

    @property
    def status(self) -> str:
        """Return how the day's plan ended; without one, how its orders by hand did."""
        own = [run for run in self.runs if not run.by_hand] or list(self.runs)
        return str(own[-1].status) if own else ""

    @property
    def turnover(self) -> Decimal | None:
        """Return the smaller of BUYs and SELLs as a share of equity."""
        return None if not self.equity or self.equity <= 0 else min(self.bought, self.sold) / self.equity

    @property
    def deployment(self) -> Decimal | None:
        """Return what is invested after the last run, as a share of the equity before it."""
        ended = [run for run in self.runs if run.cash_after is not None and run.equity > 0]
        return 1 - (ended[-1].cash_after or ZERO) / ended[-1].equity if ended else None

    def count(self, status: OrderStatus | TradeStatus | None = None) -> int:
        """Count the SELLs and BUYs with a status, or all that were sent."""
        return sum(t.message_id is not None if status is None else t.status is status for t in self.outcomes)

    def slippage(self, side: Side) -> Slippage:
        """Return the slippage of a side's fills."""
        return sum((measure_slippage(t) for t in self.trades if t.side is side), Slippage())

    def document(self) -> dict[str, Any]:
        """Return the day for programs; numbers are strings."""
        return {
            "day": self.day.isoformat(),
            "status": self.status,
            "runs": [run_document(run) for run in self.runs],
            "sent": self.count(),
            "filled": self.count(OrderStatus.FILLED),
            "denied": self.count(OrderStatus.DENIED),
            "deferred": self.count(TradeStatus.DEFERRED),
            "deployment": _share(self.deployment),
            "turnover": _share(self.turnover),
            "bought": money_text(self.bought),
            "sold": money_text(self.sold),
            "slippage": {"buys": self.slippage(Side.BUY).document(), "sells": self.slippage(Side.SELL).document()},
            "unrealised": None if self.unrealised is None else money_text(self.unrealised),
            "unknown_costs": self.unknown_costs,
            "equity": None if self.equity is None else money_text(self.equity),
            "profit": None if self.profit is None else money_text(self.profit),
            **{name: money_text(getattr(self, name)) for name in ("fees", "deposits", "income", "realised")},
        }


def measure_slippage(trade: TradeRecord) -> Slippage:
    """Return the slippage of one trade, plan price to fill."""
    paid, planned = trade.filled_avg_price, trade.price
    if not trade.filled_qty or paid is None or not planned:
        return Slippage()
    worse = paid - planned if trade.side is Side.BUY else planned - paid
    return Slippage(worse * trade.filled_qty, planned * trade.filled_qty)


def _share(share: Decimal | None) -> str | None:
    return None if share is None else f"{share:.4f}"


@dataclass(frozen=True, slots=True)
class Totals:
    """The sums over some days."""

    days: Sequence[HistoryDay]

    def sum(self, name: str) -> Decimal:
        """Return the sum of a number of the days; unknown ones are left out."""
        return sum((value for day in self.days if (value := getattr(day, name)) is not None), ZERO)

    def count(self, status: OrderStatus | TradeStatus | None = None) -> int:
        """Count the SELLs and BUYs of all days."""
        return sum(day.count(status) for day in self.days)

    def slippage(self, side: Side) -> Slippage:
        """Return the slippage of a side."""
        return sum((day.slippage(side) for day in self.days), Slippage())

    def document(self) -> dict[str, Any]:
        """Return the sums for programs."""
        money = ("bought", "sold", "fees", "deposits", "income", "realised", "profit")
        return {
            "sent": self.count(),
            "filled": self.count(OrderStatus.FILLED),
            "denied": self.count(OrderStatus.DENIED),
            "deferred": self.count(TradeStatus.DEFERRED),
            "turnover": _share(self.sum("turnover")),
            "slippage": {"buys": self.slippage(Side.BUY).document(), "sells": self.slippage(Side.SELL).document()},
            **{name: money_text(self.sum(name)) for name in money},
        }


class _Events:
    """Reads the events in the order of time. Of one moment, bookings come first and fills last.

    `last_equity` is that before the last day's first run, `deposited` are the deposits since.
    """

    def __init__(self) -> None:
        self.days: dict[date, HistoryDay] = {}
        self._costs: defaultdict[str, RunningCost] = defaultdict(RunningCost)
        self.last_equity: Decimal | None = None
        self.deposited = ZERO

    def _find(self, day: date) -> HistoryDay:
        return self.days.get(day) or HistoryDay(day)

    def _add(self, day: date, **amounts: Decimal | int) -> None:
        """Add to the sums of a day."""
        found = self._find(day)
        self.days[day] = replace(found, **{name: getattr(found, name) + amount for name, amount in amounts.items()})

    def book(self, entry: AccountEntry) -> None:
        """Read an entry of the book."""
        if entry.symbol and entry.qty:
            cost = self._costs[entry.symbol]
            (cost.split if entry.kind is EntryKind.SPLIT else cost.trade)(entry.qty, entry.price)
        if entry.kind in DEPOSITED:
            self._add(entry.day, deposits=entry.cash)
            self.deposited += entry.cash
        elif entry.kind in EARNED:
            self._add(entry.day, income=entry.cash)
        elif entry.kind is EntryKind.FEE:
            self._add(entry.day, fees=-entry.cash)

    def begin(self, run: ExecutionRecord) -> None:
        """Read the beginning of a run: the first one of a day has its equity and the positions' cost."""
        day = self._find(run.trading_day)
        if not day.runs:
            day = replace(day, unrealised=self._measure_unrealised(run))
            if self.last_equity is not None:
                day = replace(day, profit=run.equity - self.last_equity - self.deposited)
            self.last_equity, self.deposited = run.equity, ZERO
        self.days[run.trading_day] = replace(day, runs=(*day.runs, run))

    def _measure_unrealised(self, run: ExecutionRecord) -> Decimal | None:
        basis = [cost.value for cost in self._costs.values()]
        known = [value for value in basis if value is not None]
        return run.equity - run.cash_before - sum(known, ZERO) if len(known) == len(basis) else None

    def fill(self, record: FillRecord) -> None:
        """Read a fill."""
        fill, cost = record.fill, self._costs[record.symbol]
        day, value = trading_day(fill.filled_at), fill.qty * fill.price
        if record.side is Side.BUY:
            self._add(day, bought=value)
        else:
            realised = ZERO if cost.price is None else value - cost.price * fill.qty
            self._add(day, sold=value, realised=realised, unknown_costs=cost.price is None)
        cost.trade(measure_effect(record), fill.price)


@dataclass(frozen=True, slots=True)
class DeskHistory:
    """Days, oldest first; the equity before the last day's first run, and the deposits since, in dollars."""

    days: tuple[HistoryDay, ...]
    last_equity: Decimal | None
    deposited: Decimal


def read_history(ledger: Ledger, first: date | None = None, last: date | None = None) -> DeskHistory:
    """Return the days with a run, a fill or a booking within these bounds."""
    reading = _Events()
    for _, _, read in sorted(_list_events(ledger, reading), key=lambda event: event[:2]):
        read()
    trades = _list_trades(ledger)
    found = (
        replace(sums, trades=tuple(trades[day][0]), outcomes=tuple(trades[day][1]))
        for day, sums in sorted(reading.days.items())
        if (first is None or day >= first) and (last is None or day <= last)
    )
    return DeskHistory(tuple(found), reading.last_equity, reading.deposited)


def _list_events(ledger: Ledger, reading: _Events) -> Iterator[tuple[datetime, int, Callable[[], None]]]:
    """Yield (moment, rank, function that reads the event)."""
    for entry in ledger.book.list_all():
        yield entry.noted_at, 0, partial(reading.book, entry)
    for run in ledger.plans.executions():
        yield run.started_at, 1, partial(reading.begin, run)
    for record in ledger.book.list_fills():
        yield record.fill.filled_at, 2, partial(reading.fill, record)


def _list_trades(ledger: Ledger) -> Mapping[date, tuple[list[TradeRecord], list[TradeRecord]]]:
    """Return the SELLs and BUYs of all attempts by the day of their run, and the last of each."""
    found: defaultdict[date, tuple[list[TradeRecord], list[TradeRecord]]] = defaultdict(lambda: ([], []))
    for plan_id, run in {run.plan_id: run for run in ledger.plans.executions()}.items():
        trades = [t for t in ledger.plans.trades(plan_id) if t.phase in {PhaseName.SELL, PhaseName.BUY}]
        found[run.trading_day][0].extend(trades)
        found[run.trading_day][1].extend(keep_last(trades, run.attempt))
    return found
