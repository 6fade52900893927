"""The view of a running execution on a terminal: phases as bars, orders as a table, cash beside the reserve.

Elsewhere, with `--log-file` and with `-q`, the log alone tells how it goes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from Departments.bootstrap import Desk
from Departments.commands.log_files import CopiedStream
from Departments.core.errors import DepartmentsError
from Departments.core.money import plain, usd_cents
from Departments.core.safe_text import make_safe
from Departments.core.statuses import PhaseName, PhaseState
from Departments.Executive.day import ignore_progress
from Departments.ledger.plan_records import PhaseRecord, TradeRecord

ACCOUNT_LASTS: Final = timedelta(seconds=5)  # between two questions for the cash
MOST_ROWS: Final = 12


@contextmanager
def follow_on_terminal(desk: Desk, *, wanted: bool) -> Iterator[Callable[[str], None]]:
    """Yield a function to show the execution of a plan, on standard error if it is a terminal."""
    screen = Console(stderr=True, highlight=False, soft_wrap=True)
    if not (wanted and screen.is_terminal) or screen.is_dumb_terminal or isinstance(sys.stderr, CopiedStream):
        yield ignore_progress
        return
    view = LiveView(desk, screen)
    try:
        yield view.update
    finally:
        view.close()


class LiveView:
    """Draws an execution anew at each update. It begins with the first one."""

    def __init__(self, desk: Desk, screen: Console) -> None:
        self._desk = desk
        self._live = Live(console=screen, auto_refresh=False, transient=True)
        self._bars = Progress(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}"))
        self._tasks: dict[PhaseName, TaskID] = {}
        self._cash: tuple[datetime, int, Decimal | None] | None = None

    def update(self, plan_id: str) -> None:
        """Show the execution of a plan as the ledger has it."""
        if not self._live.is_started:
            self._live.start()
        self._live.update(self.draw(plan_id), refresh=True)

    def close(self) -> None:
        """End the view; the log lines above it stay."""
        if self._live.is_started:
            self._live.stop()

    def draw(self, plan_id: str) -> Group:
        """Return the picture of an execution."""
        plans, now = self._desk.ledger.plans, self._desk.clock.now()
        run = plans.execution(plan_id)
        if run is None:
            return Group()
        phases = {phase.name: phase for phase in plans.phases(plan_id) if phase.attempt == run.attempt}
        trades = [t for t in plans.trades(plan_id) if t.attempt == run.attempt and t.message_id]
        for name in PhaseName:
            self._set_bar(name, phases.get(name), [t for t in trades if t.phase is name], now)
        cash = self._read_cash(now, sum(trade.terminal_at is not None for trade in trades))
        money = "unknown" if cash is None else usd_cents(cash)
        line = Text(f"Cash {money} beside a reserve of {usd_cents(run.reserve)}")
        return Group(self._bars, _draw_orders(trades), line)

    def _set_bar(self, name: PhaseName, phase: PhaseRecord | None, sent: list[TradeRecord], now: datetime) -> None:
        ended = sum(trade.terminal_at is not None for trade in sent)
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(f"{name:<8}", total=1, state="")
        is_over = phase is not None and phase.state is PhaseState.ENDED
        total, done = (len(sent), ended) if sent else (1, int(is_over))
        state = _describe_phase(phase, ended, sent, now)
        self._bars.update(self._tasks[name], total=total, completed=done, state=state)

    def _read_cash(self, now: datetime, ended: int) -> Decimal | None:
        """Return the account's cash, asked for when an order has `ended` and every few seconds, None if unknown."""
        known = self._cash
        if known is None or known[1] != ended or not timedelta() <= now - known[0] < ACCOUNT_LASTS:
            cash = None if known is None else known[2]  # the last one counts while the broker does not answer
            with suppress(DepartmentsError):
                cash = self._desk.broker.account().cash
            self._cash = known = now, ended, cash
        return known[2]


def _describe_phase(phase: PhaseRecord | None, ended: int, sent: list[TradeRecord], now: datetime) -> str:
    if phase is None:
        return ""
    count = f"{ended} of {len(sent)}" if sent else "nothing to do"
    if phase.state is PhaseState.ENDED:
        return count
    left = max(0, int((phase.deadline - now).total_seconds()))
    return f"{count}, {left // 60}:{left % 60:02d} left"


def _draw_orders(trades: list[TradeRecord]) -> Table:
    """Return the table of orders, the open ones first."""
    names = ("Phase", "Order", "Ticker", "Filled", "Price", "Status")
    table = Table(*names, box=box.SIMPLE, pad_edge=False, show_edge=False)
    rows = sorted(trades, key=lambda trade: trade.terminal_at is not None)
    for trade in rows[:MOST_ROWS]:
        price = "" if trade.filled_avg_price is None else usd_cents(trade.filled_avg_price)
        order = f"{trade.side} {plain(trade.qty)}"
        cells = (trade.phase, order, trade.symbol, plain(trade.filled_qty), price, trade.status)
        table.add_row(*(Text(make_safe(cell)) for cell in cells))
    if len(rows) > MOST_ROWS:
        table.add_row("", f"{len(rows) - MOST_ROWS} more")
    return table
