"""The final report of an execution: the document, its text, the file that keeps it.

All of it comes from the ledger, so making it again gives the same text.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from Departments.core.moments import show_shortly, show_span, show_time
from Departments.core.money import ZERO, count_noun
from Departments.core.plans import TradingPlan
from Departments.core.platform import files
from Departments.core.platform.atomic_files import write_atomically
from Departments.core.platform.rights import Rights
from Departments.core.reasons import Reason, ReasonCode
from Departments.core.statuses import ExecutionStatus, PhaseName
from Departments.core.trading_calendar import trading_day
from Departments.Executive.approvals import load_plan
from Departments.Executive.reporting.document import final_document, orders_by_hand
from Departments.Executive.reporting.issues import find_issues
from Departments.Executive.reporting.markdown import LATER_ORDERS, manual_lines, report_text
from Departments.Executive.reporting.run_cash import lowest_cash_with_buys_first
from Departments.ledger.ledger import Ledger
from Departments.ledger.plan_records import ExecutionRecord, TradeRecord
from Departments.ledger.unprotected import Change, ChangeCause, Stretch, stretches, sum_by_moment
from Departments.messaging.admission import UNPROVEN_WARNING, Instructions


@dataclass(frozen=True, slots=True)
class Report:
    """The final report of an execution: for programs, and for people in Markdown."""

    document: dict[str, Any]
    text: str


@dataclass(frozen=True, slots=True)
class Reporter:
    """Reports executions into `folder`. Where no `exits_wanted`, unprotected shares are no news.

    `instructions` is the evidence that Trading asks of an instruction.
    """

    ledger: Ledger
    folder: Path
    exits_wanted: bool
    rights: Rights
    instructions: Instructions = "decided"

    def report(self, plan: TradingPlan) -> Report:
        """Make the report from the ledger. Raises LookupError for a plan never executed."""
        ledger, plan_id = self.ledger, plan.plan_id
        unprotected = unprotected_stretches(ledger, plan_id) if self.exits_wanted else []
        document = final_document(ledger, plan, instructions=self.instructions, unprotected=unprotected)
        execution = ledger.plans.execution(plan_id)
        if execution is not None and execution.status is not ExecutionStatus.COMPLETED:  # else it ended without any
            document = find_issues(ledger, plan_id).add_to(document)
        before, fills = (execution.cash_before, ledger.execution_fills(execution)) if execution else (ZERO, [])
        text = report_text(
            document,
            lowest_with_buys_first=lowest_cash_with_buys_first(before, fills),
            limits_hash=str(ledger.plans.limits_hash(plan_id) or ""),
            unprotected=[stretch_text(each, execution.trading_day if execution else None) for each in unprotected],
            regime=plan.regime,
            notes=[*([f"{UNPROVEN_WARNING}."] if self.instructions == "unproven" else []), *plan.notes],
        )
        return Report(document, text)

    def add_issues(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Return the document of a run without an execution, with the issues that no report has named."""
        return find_issues(self.ledger).add_to(document)

    def write(self, plan_id: str, report: Report) -> Path:
        """Write the report as it was sent; return the file. Raises BadInput when the folder cannot be written.

        The report of an order by hand is added to that of the day's plan, which may have been written before.
        """
        path = self._path(plan_id)
        self._amend_days_report(plan_id)
        write_atomically(path, report.text, self.rights)
        return path

    def write_missing(self) -> TradingPlan | None:
        """Write the last report if a kill came between the execution's end and the file; return its plan."""
        ended = [e for e in self.ledger.plans.executions() if e.ended_at is not None]
        if not ended or self._is_written(ended[-1]):
            return None
        plan = load_plan(self.ledger.plans, ended[-1].plan_id)
        self.write(plan.plan_id, self.report(plan))
        return plan

    def _amend_days_report(self, plan_id: str) -> None:
        """Name the orders by hand that came after the day's plan at the end of its report."""
        plans, order = self.ledger.plans, self.ledger.plans.execution(plan_id)
        if order is None or not order.by_hand:
            return
        for day in (e for e in plans.executions(order.trading_day) if not e.by_hand and e.ended_at is not None):
            path = self._path(day.plan_id)
            later = orders_by_hand(self.ledger, day.trading_day, since=day.ended_at)
            if later and path.exists():
                before = files.read_bytes(path).decode(errors="replace").partition(f"\n{LATER_ORDERS}\n")[0]
                write_atomically(path, "\n".join([before, LATER_ORDERS, "", *manual_lines(later), ""]), self.rights)

    def _is_written(self, run: ExecutionRecord) -> bool:
        """Return whether the file of a plan tells of an attempt."""
        path = self._path(run.plan_id)
        if run.attempt == 1 or not path.exists():
            return path.exists()
        return f"**Attempt {run.attempt}**: " in files.read_bytes(path).decode(errors="replace")

    def _path(self, plan_id: str) -> Path:
        return self.folder / f"{plan_id}.md"


def unprotected_stretches(ledger: Ledger, plan_id: str) -> list[Stretch]:
    """Return every stretch of an execution with shares without live exits, by symbol and time.

    One that was there at the start is told from its beginning, as far as the shares exist: PROTECT found them in the
    account, or exits for them went live. What only the account shows counts from the look at it.
    """
    run = ledger.plans.execution(plan_id)
    if run is None:
        return []
    trades = [t for t in ledger.plans.trades(plan_id, PhaseName.PROTECT) if t.attempt == run.attempt]
    found = {t.symbol: max(t.planned_qty, _read_lacking(t)) for t in trades}
    news, later = defaultdict[str, list[Change]](list), defaultdict[str, Decimal](Decimal)
    for change in ledger.unprotected.changes_since(run.started_at):
        later[change.symbol] += change.qty
        if run.is_running_at(change.at):
            news[change.symbol].append(change)
    stretched = list[Stretch]()
    for symbol in sorted({*news, *found}):
        covered = -sum((c.qty for c in news[symbol] if c.cause is ChangeCause.COVERED), ZERO)
        before = ledger.unprotected.find(symbol).qty - later[symbol]
        most = min(before, max(found.get(symbol, ZERO), covered))
        course = [*_trace_course(ledger, symbol, run.started_at, most), *((c.at, c.qty) for c in news[symbol])]
        stretched += stretches(symbol, sum_by_moment(course))
    return [*stretched, *_list_unseen(trades, stretched)]


def _trace_course(ledger: Ledger, symbol: str, until: datetime, most: Decimal) -> Iterator[tuple[datetime, Decimal]]:
    """Yield the changes, up to `most` shares, of the stretch in progress at a moment."""
    if most <= 0:
        return
    level, told = ZERO, ZERO
    course = list[tuple[datetime, Decimal]]()
    for change in ledger.unprotected.changes_of(symbol, until):
        level += change.qty
        now = max(ZERO, min(level, most))
        if not now:
            course.clear()
        else:
            course.append((change.at, now - told))
        told = now
    yield from course
    if told < most:  # its beginning is older than its history
        yield until, most - told


def _list_unseen(trades: Iterable[TradeRecord], known: Sequence[Stretch]) -> Iterator[Stretch]:
    """Yield the shares that only the account shows without live exits, from the moment of the look."""
    still = {stretch.symbol: stretch.qty for stretch in known if stretch.until is None}
    for trade in trades:
        qty = _read_lacking(trade) - still.get(trade.symbol, ZERO)
        if qty > 0 and trade.terminal_at is not None:
            yield Stretch(trade.symbol, qty, trade.terminal_at, None)


def _read_lacking(trade: TradeRecord) -> Decimal:
    """Return the shares of a symbol that the account shows without live exits after the day."""
    code = str(ReasonCode.NO_LIVE_EXITS)
    found = (Reason.parse(text) for text in trade.reason.split("; ") if text.startswith(code))
    return next((Decimal(reason.values["qty"]) for reason in found), ZERO)


def stretch_text(stretch: Stretch, today: date | None = None) -> str:
    """Return the sentence about a stretch without live exits, with days if it did not begin and end on one day."""
    what = f"{stretch.symbol}: {count_noun(stretch.qty, 'share', 'had')} no live exits from"
    since, end = stretch.since, stretch.until
    if end is not None:
        return f"{what} {show_span(since, end)} ({_measure(end - since)})"
    is_earlier = today is not None and trading_day(since) != today
    return f"{what} {show_shortly(since) if is_earlier else show_time(since)} on, and have none now"


def _measure(length: timedelta) -> str:
    """Return a length in seconds, or in hours and minutes if it is an hour or more."""
    minutes = int(length.total_seconds()) // 60
    return f"{length.total_seconds():.0f} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
