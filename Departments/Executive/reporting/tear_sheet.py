"""The tear sheet over days: money, growth beside SPY, cost, skips, and the days run and missed. From the ledger.

Money and shares of one are strings. A day's return is its profit over the equity of the row before, so deposits do
not count as growth.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from Departments.core.money import ONE, ZERO, count_noun, money_text, percent
from Departments.core.quotes import Bar
from Departments.core.reasons import ReasonCode
from Departments.core.statuses import ExecutionStatus
from Departments.core.trading_calendar import is_trading_day
from Departments.Executive.overview.past_days import DeskHistory, HistoryDay, Totals
from Departments.ledger.ledger import Ledger


@dataclass(frozen=True, slots=True)
class GrowthDay:
    """The growth up to a day: one is the start. `spy` is SPY's by its openings, None without a bar."""

    day: date
    growth: Decimal
    drawdown: Decimal
    change: Decimal | None
    spy: Decimal | None


def list_growth(days: Sequence[HistoryDay], bars: Sequence[Bar]) -> list[GrowthDay]:
    """Return the growth of the days with equity, oldest first. A run reads the equity in its morning, as SPY opens."""
    opens = {bar.day: bar.open for bar in bars}
    known = [day for day in days if day.equity is not None]
    start = next((opens[day.day] for day in known if day.day in opens), None)
    growth = peak = ONE
    found, before = list[GrowthDay](), ZERO
    for number, day in enumerate(known):
        change = day.profit / before if number and before > 0 and day.profit is not None else None
        growth *= ONE + (change or ZERO)
        peak = max(peak, growth)
        spy = opens[day.day] / start if start and day.day in opens else None
        found.append(GrowthDay(day.day, growth, growth / peak - ONE if peak > 0 else ZERO, change, spy))
        before = day.equity or ZERO
    return found


def make_tear_sheet(
    history: DeskHistory, ledger: Ledger, bars: Sequence[Bar], *, first: date | None = None, last: date | None = None
) -> dict[str, Any]:
    """Return the tear sheet of the days of a history as a document. Without bounds it spans the days it has."""
    days = history.days
    begin = first or (days[0].day if days else None)
    end = last or (days[-1].day if days else None)
    growth = list_growth(days, bars)
    changes = [(each.change, each.day) for each in growth if each.change is not None]
    calendar = list(_list_calendar(days, begin, end))
    return {
        "first": None if begin is None else begin.isoformat(),
        "last": None if end is None else end.isoformat(),
        "days": [day.document() | _cash(day) for day in days],
        "accounts": sorted({run.where for day in days for run in day.runs if run.where}),
        "total": Totals(days).document(),
        "growth": [
            {
                "day": each.day.isoformat(),
                "growth": f"{each.growth - ONE:.4f}",
                "drawdown": f"{each.drawdown:.4f}",
                "change": None if each.change is None else f"{each.change:.4f}",
                "spy": None if each.spy is None else f"{each.spy - ONE:.4f}",
            }
            for each in growth
        ],
        "best": _name(max(changes, default=None)),
        "worst": _name(min(changes, default=None)),
        "max_drawdown": f"{min((each.drawdown for each in growth), default=ZERO):.4f}",
        "calendar": calendar,
        "reasons": _count_reasons(days, ledger),
        "title": _write_title(begin, end, calendar, growth),
    }


def _cash(day: HistoryDay) -> dict[str, str | None]:
    ended = [run for run in day.runs if run.cash_after is not None]
    return {
        "cash": None if not ended else money_text(ended[-1].cash_after or ZERO),
        "reserve": None if not ended else money_text(ended[-1].reserve),
    }


def _name(change: tuple[Decimal, date] | None) -> dict[str, str] | None:
    return None if change is None else {"day": change[1].isoformat(), "change": f"{change[0]:.4f}"}


def _list_calendar(days: Sequence[HistoryDay], first: date | None, last: date | None) -> Iterator[dict[str, str]]:
    """Yield every trading day with what became of it: run, issues, no trades, by hand, or missed."""
    if first is None or last is None:
        return
    known = {day.day: day for day in days if day.runs}
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        if is_trading_day(day) or day in known:
            yield {"day": day.isoformat(), "state": _name_state(known.get(day))}


def _name_state(day: HistoryDay | None) -> str:
    if day is None:
        return "missed"
    if all(run.by_hand for run in day.runs):
        return "by hand"
    states = {ExecutionStatus.COMPLETED: "run", ExecutionStatus.NOTHING_TO_DO: "no trades"}
    return next((word for status, word in states.items() if day.status == status), "issues")


def _count_reasons(days: Sequence[HistoryDay], ledger: Ledger) -> list[dict[str, Any]]:
    """Count why symbols were skipped by plans, denied or deferred, the most frequent first."""
    found: Counter[tuple[str, str]] = Counter()
    for plan_id in {run.plan_id for day in days for run in day.runs}:
        document = ledger.plans.document(plan_id) or {}
        found.update(("skipped", str(row.get("code"))) for row in document.get("skipped") or () if _is_row(row))
    found.update(
        (str(trade.status), trade.code) for day in days for trade in day.outcomes if trade.code and not trade.filled_qty
    )
    return [
        {"status": status, "code": code, "count": count, "sentence": _describe(code)}
        for (status, code), count in found.most_common()
    ]


def _is_row(row: object) -> bool:
    return isinstance(row, Mapping)


def _describe(code: str) -> str:
    return ReasonCode[code].meaning if code in ReasonCode.__members__ else "a reason of another program"


def _write_title(
    first: date | None, last: date | None, calendar: Sequence[Mapping[str, str]], growth: Sequence[GrowthDay]
) -> str:
    if first is None or last is None:
        return "No days"
    missed = sum(row["state"] == "missed" for row in calendar)
    change = growth[-1].growth - ONE if growth else ZERO
    course = f"{'down' if change < 0 else 'up'} {percent(abs(change))}" if growth else "growth unknown"
    span = f"{first.day} {first:%B %Y} to {last.day} {last:%B %Y}"
    return f"{span} — {count_noun(len(calendar) - missed, 'day')} run, {missed} missed, {course}"


def tear_sheet_text(sheet: Mapping[str, Any]) -> str:
    """Return a tear sheet as Markdown."""
    head = ("Day", "Status", "Equity", "Profit", "Deposits", "Bought", "Sold", "Realised", "Deployment", "Turnover")
    keys = ("day", "status", "equity", "profit", "deposits", "bought", "sold", "realised", "deployment", "turnover")
    rows = (" | ".join(str(day[key] or "") for key in keys) for day in sheet["days"])
    table = [f"| {' | '.join(head)} |", f"| {' | '.join('---' for _ in head)} |", *(f"| {row} |" for row in rows)]
    reasons = [f"- {row['count']} {row['status']}: {row['sentence']} ({row['code']})" for row in sheet["reasons"]]
    facts = [f"- Largest drawdown: {percent(Decimal(sheet['max_drawdown']))}"]
    facts += [
        f"- {k.capitalize()} day: {v['day']}, {percent(Decimal(v['change']))}"
        for k in ("best", "worst")
        if (v := sheet[k])
    ]
    return "\n".join([f"# {sheet['title']}", "", *facts, "", *table, "", *reasons, ""])
