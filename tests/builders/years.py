"""A ledger with many days, written as executions write it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from Departments.core.account_entries import AccountEntry, EntryKind
from Departments.core.moments import iso
from Departments.core.orders import OrderStatus, Side
from Departments.core.statuses import ExecutionStatus, PhaseName
from Departments.core.trading_calendar import EASTERN, next_trading_day
from Departments.ledger.ledger import Ledger
from Departments.ledger.plan_records import ExecutionRecord, TradeRecord

START: Final = date(2025, 1, 2)
#: The change of each day's equity by its number: up and down, and up over the year.
CHANGES: Final = (Decimal("0.011"), Decimal("-0.008"), Decimal("0.004"), Decimal("-0.012"), Decimal("0.007"))


def days_from(first: date, count: int) -> Iterator[date]:
    for number in range(count):
        yield first if number == 0 else next_trading_day(first, number)


def write_days(path: Path, count: int, *, trades: int = 12, missed: frozenset[int] = frozenset()) -> list[date]:
    """Write a ledger of `count` trading days without those `missed` by number; return the days that were run."""
    ledger, equity, run = Ledger(path), Decimal(100_000), list[date]()
    for number, day in enumerate(days_from(START, count)):
        equity *= 1 + CHANGES[number % len(CHANGES)]
        if number in missed:
            continue
        at = datetime.combine(day, time(10, 5), EASTERN)
        with ledger.transaction():
            if number % 60 == 10:
                cash = Decimal(5_000)
                ledger.book.add([AccountEntry(EntryKind.DEPOSIT, day, at - timedelta(hours=1), cash=cash)])
                equity += cash
            _write_day(ledger, day, at, equity.quantize(Decimal("0.01")), trades)
        run.append(day)
    ledger.close()
    return run


def _write_day(ledger: Ledger, day: date, at: datetime, equity: Decimal, count: int) -> None:
    plan_id = f"PLAN_{day:%Y%m%d}_150500"
    rows = list(_trades(at, count))
    ledger.plans.save(_document(plan_id, at, rows), "d84e72d8da575736", at)
    cash = (equity / 10).quantize(Decimal("0.01"))
    ledger.plans.start(ExecutionRecord(plan_id, day, at, None, ExecutionStatus.RUNNING, equity, cash, cash, None))
    for rank, row in enumerate(rows):
        ledger.plans.add_trade(plan_id, rank, row)
    ledger.plans.finish(plan_id, ExecutionStatus.COMPLETED, cash, Decimal(0), at + timedelta(seconds=4))


def _trades(at: datetime, count: int) -> Iterator[TradeRecord]:
    for number in range(count):
        side = Side.SELL if number < count // 3 else Side.BUY
        phase = PhaseName.SELL if side is Side.SELL else PhaseName.BUY
        price, qty = Decimal(20 + number), Decimal(100)
        yield TradeRecord(
            phase, f"S{number:02d}", side, qty, qty, price, Decimal(70), "Technology", OrderStatus.FILLED,
            message_id=f"MSG_EXECUTIVE_{at:%Y%m%dT%H%M%S}Z_{number:08x}", submitted_at=at, terminal_at=at,
            filled_qty=qty, filled_avg_price=price + Decimal("0.02"),
        )  # fmt: skip


def _document(plan_id: str, at: datetime, rows: list[TradeRecord]) -> dict[str, Any]:
    code = "MAX_POSITIONS_TOTAL"
    skipped = [
        {"ticker": f"X{n}", "code": code, "reason": f"{code}: places=9", "line": f"Skipped X{n}"} for n in range(10)
    ]
    trades = [
        {"ticker": row.symbol, "action": str(row.side), "shares": 100, "entry_price": float(row.price or 0)}
        for row in rows
    ]
    return {"plan_id": plan_id, "generated_at": iso(at), "status": "READY", "trades": trades, "skipped": skipped}
