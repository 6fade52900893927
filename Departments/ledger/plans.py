"""The Executive's records: plans, their execution phase by phase, and every trade of a phase until its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from Departments.core.clock import iso, parse_iso
from Departments.core.documents import json_text, parse_json
from Departments.core.money import ZERO, plain
from Departments.core.orders import Side
from Departments.core.trading_calendar import trading_day
from Departments.ledger.database import Database, Row
from Departments.ledger.values import moment, number, number_text, time_text

DISPATCHED = "dispatched"  # sent to Trading, which has not answered yet


@dataclass(frozen=True, slots=True)
class PhaseRecord:
    """One phase of an execution. `outcome` is empty until it ended."""

    name: str
    state: str
    started_at: datetime
    deadline: datetime
    ended_at: datetime | None
    outcome: str


@dataclass(frozen=True, slots=True)
class TradeRecord:
    """One trade of a phase: what was planned (`planned_qty`), what was sent (`qty`), and what became of it.

    `status` is the order's (Alpaca's words), `denied`, `deferred` for what was never sent, or `dispatched` while
    Trading has not answered.
    """

    phase: str
    ticker: str
    side: Side
    planned_qty: Decimal
    qty: Decimal
    price: Decimal | None = None
    score: Decimal | None = None
    sector: str | None = None
    status: str = DISPATCHED
    message_id: str | None = None
    client_order_id: str | None = None
    dispatched_at: datetime | None = None
    submitted_at: datetime | None = None
    terminal_at: datetime | None = None
    filled_qty: Decimal = ZERO
    filled_avg_price: Decimal | None = None
    code: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ExecutionRecord:
    """One execution of a plan, with the cash (dollars) it began and ended with, and the fees between."""

    plan_id: str
    trading_day: date
    started_at: datetime
    ended_at: datetime | None
    status: str
    equity: Decimal
    cash_before: Decimal
    reserve: Decimal
    cash_after: Decimal | None
    fees: Decimal = ZERO

    def saw(self, moment: datetime) -> bool:
        """Tell whether a moment fell into the execution."""
        return self.started_at <= moment and (self.ended_at is None or moment <= self.ended_at)


class PlanRecords:
    """Plans and their executions in the ledger. Every method joins the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def save(self, document: Mapping[str, Any], limits_hash: str, at: datetime) -> None:
        """Keep a plan document under its `plan_id`; saving it again replaces the document."""
        self._db.execute(
            "INSERT INTO desk_plans (plan_id, generated_at, saved_at, status, document, limits_hash) "
            "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (plan_id) DO UPDATE SET document = excluded.document, "
            "status = excluded.status, limits_hash = excluded.limits_hash, saved_at = excluded.saved_at",
            (
                document["plan_id"],
                document["generated_at"],
                iso(at),
                str(document.get("status") or ""),
                json_text(document),
                limits_hash,
            ),
        )

    def document(self, plan_id: str) -> dict[str, Any] | None:
        """Return a plan document with Decimal numbers, or None."""
        row = self._db.row("SELECT document FROM desk_plans WHERE plan_id = ?", (plan_id,))
        return None if row is None else parse_json(row["document"])

    def limits_hash(self, plan_id: str) -> str | None:
        """Return the fingerprint of the limits that a plan was saved under, or None."""
        row = self._db.row("SELECT limits_hash FROM desk_plans WHERE plan_id = ?", (plan_id,))
        return None if row is None else str(row["limits_hash"])

    def approve(self, plan_id: str, at: datetime) -> None:
        """Record the approval of a plan."""
        self._db.execute("UPDATE desk_plans SET approved_at = ? WHERE plan_id = ?", (iso(at), plan_id))

    def approved_at(self, plan_id: str) -> datetime | None:
        """Return when a plan was approved, or None."""
        row = self._db.row("SELECT approved_at FROM desk_plans WHERE plan_id = ?", (plan_id,))
        return None if row is None else moment(row["approved_at"])

    def approved_on(self, day: date) -> dict[str, Any] | None:
        """Return the document approved last on a trading day, if it was not executed; else None."""
        row = self._db.row(
            "SELECT document, approved_at FROM desk_plans WHERE approved_at IS NOT NULL "
            "AND plan_id NOT IN (SELECT plan_id FROM desk_executions) ORDER BY approved_at DESC LIMIT 1"
        )
        if row is None or trading_day(parse_iso(row["approved_at"])) != day:
            return None
        document: dict[str, Any] = parse_json(row["document"])
        return document

    def start(self, record: ExecutionRecord) -> None:
        """Record that a plan's execution begins; a plan begins once."""
        self._db.execute(
            "INSERT INTO desk_executions (plan_id, trading_day, started_at, status, equity, cash_before, reserve) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                record.plan_id,
                record.trading_day.isoformat(),
                iso(record.started_at),
                record.status,
                plain(record.equity),
                plain(record.cash_before),
                plain(record.reserve),
            ),
        )

    def finish(self, plan_id: str, status: str, cash_after: Decimal, fees: Decimal, at: datetime) -> None:
        """Record that an execution ended, with how much cash and after which fees (dollars)."""
        self._db.execute(
            "UPDATE desk_executions SET status = ?, cash_after = ?, fees = ?, ended_at = ? WHERE plan_id = ?",
            (status, plain(cash_after), plain(fees), iso(at), plan_id),
        )

    def execution(self, plan_id: str) -> ExecutionRecord | None:
        """Return the execution of a plan, or None when it never began."""
        row = self._db.row("SELECT * FROM desk_executions WHERE plan_id = ?", (plan_id,))
        return None if row is None else _execution(row)

    def executions(self, day: date | None = None) -> list[ExecutionRecord]:
        """Return the executions of a trading day, or all of them, oldest first."""
        wanted = None if day is None else day.isoformat()
        rows = self._db.rows(
            "SELECT * FROM desk_executions WHERE ? IS NULL OR trading_day = ? ORDER BY started_at", (wanted, wanted)
        )
        return [_execution(row) for row in rows]

    def unfinished(self) -> ExecutionRecord | None:
        """Return the execution that began and did not end, or None."""
        row = self._db.row("SELECT * FROM desk_executions WHERE ended_at IS NULL ORDER BY started_at LIMIT 1")
        return None if row is None else _execution(row)

    def set_phase(self, plan_id: str, phase: PhaseRecord) -> None:
        """Record the state of a phase."""
        self._db.execute(
            "INSERT INTO desk_phases (plan_id, name, state, started_at, deadline, ended_at, outcome) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (plan_id, name) DO UPDATE SET state = excluded.state, "
            "deadline = excluded.deadline, ended_at = excluded.ended_at, outcome = excluded.outcome",
            (
                plan_id,
                phase.name,
                phase.state,
                iso(phase.started_at),
                iso(phase.deadline),
                time_text(phase.ended_at),
                phase.outcome,
            ),
        )

    def phases(self, plan_id: str) -> list[PhaseRecord]:
        """Return the phases of a plan that began, in their order, whatever the clock did."""
        rows = self._db.rows("SELECT * FROM desk_phases WHERE plan_id = ? ORDER BY rowid", (plan_id,))
        return [
            PhaseRecord(
                name=row["name"],
                state=row["state"],
                started_at=parse_iso(row["started_at"]),
                deadline=parse_iso(row["deadline"]),
                ended_at=moment(row["ended_at"]),
                outcome=row["outcome"],
            )
            for row in rows
        ]

    def add_trade(self, plan_id: str, rank: int, trade: TradeRecord) -> None:
        """Record a trade of a phase, dispatched or deferred."""
        self._db.execute(
            "INSERT INTO desk_trades (plan_id, phase, ticker, side, rank, planned_qty, qty, price, score, sector, "
            "status, message_id, client_order_id, dispatched_at, terminal_at, code, reason) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                plan_id,
                trade.phase,
                trade.ticker,
                trade.side,
                rank,
                plain(trade.planned_qty),
                plain(trade.qty),
                number_text(trade.price),
                number_text(trade.score),
                trade.sector,
                trade.status,
                trade.message_id,
                trade.client_order_id,
                time_text(trade.dispatched_at),
                time_text(trade.terminal_at),
                trade.code,
                trade.reason,
            ),
        )

    def report_trade(self, message_id: str, facts: TradeRecord) -> bool:
        """Record what Trading reported of a dispatched trade; tell whether such a trade is known.

        Why a trade was made smaller before it was sent stays, unless the report gives a reason of its own.
        """
        cursor = self._db.execute(
            "UPDATE desk_trades SET status = ?, client_order_id = ?, submitted_at = ?, terminal_at = ?, "
            "filled_qty = ?, filled_avg_price = ?, code = coalesce(nullif(?, ''), code), "
            "reason = coalesce(nullif(?, ''), reason) WHERE message_id = ? AND terminal_at IS NULL",
            (
                facts.status,
                facts.client_order_id,
                time_text(facts.submitted_at),
                time_text(facts.terminal_at),
                plain(facts.filled_qty),
                number_text(facts.filled_avg_price),
                facts.code,
                facts.reason,
                message_id,
            ),
        )
        return cursor.rowcount > 0

    def trades(self, plan_id: str, phase: str | None = None) -> list[TradeRecord]:
        """Return the trades of a plan, or of one phase, in their order."""
        rows = self._db.rows(
            "SELECT * FROM desk_trades WHERE plan_id = ? AND (? IS NULL OR phase = ?) ORDER BY rowid",
            (plan_id, phase, phase),
        )
        return [_trade(row) for row in rows]

    def report_untradable(self, symbol: str, at: datetime) -> None:
        """Remember that a person was told of an untradable holding."""
        self._db.execute("INSERT OR IGNORE INTO desk_untradable VALUES (?, ?)", (symbol, iso(at)))

    def reported_untradable(self, before: datetime | None = None) -> set[str]:
        """Return the untradable holdings that a person was told of, ever or before a moment."""
        rows = self._db.rows("SELECT symbol, reported_at FROM desk_untradable")
        return {row["symbol"] for row in rows if before is None or parse_iso(row["reported_at"]) < before}


def _execution(row: Row) -> ExecutionRecord:
    return ExecutionRecord(
        plan_id=row["plan_id"],
        trading_day=date.fromisoformat(row["trading_day"]),
        started_at=parse_iso(row["started_at"]),
        ended_at=moment(row["ended_at"]),
        status=row["status"],
        equity=Decimal(row["equity"]),
        cash_before=Decimal(row["cash_before"]),
        reserve=Decimal(row["reserve"]),
        cash_after=number(row["cash_after"]),
        fees=Decimal(row["fees"]),
    )


def _trade(row: Row) -> TradeRecord:
    return TradeRecord(
        phase=row["phase"],
        ticker=row["ticker"],
        side=Side(row["side"]),
        planned_qty=Decimal(row["planned_qty"]),
        qty=Decimal(row["qty"]),
        price=number(row["price"]),
        score=number(row["score"]),
        sector=row["sector"],
        status=row["status"],
        message_id=row["message_id"],
        client_order_id=row["client_order_id"],
        dispatched_at=moment(row["dispatched_at"]),
        submitted_at=moment(row["submitted_at"]),
        terminal_at=moment(row["terminal_at"]),
        filled_qty=Decimal(row["filled_qty"]),
        filled_avg_price=number(row["filled_avg_price"]),
        code=row["code"],
        reason=row["reason"],
    )
