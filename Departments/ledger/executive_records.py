"""The Executive's records in the ledger: plans and their approvals, executions, phases and trades."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from Departments.core.money import ZERO
from Departments.core.orders import OrderStatus
from Departments.core.reasons import Reason, join_reasons
from Departments.core.statuses import ExecutionStatus, PhaseName, PhaseState
from Departments.core.trading_calendar import trading_day
from Departments.ledger.database import Database
from Departments.ledger.old_days import OldSessions
from Departments.ledger.plan_records import (
    APPROVALS,
    EXECUTIONS,
    PHASES,
    PLANS,
    TRADES,
    UNFINISHED,
    UNTRADABLE,
    ApprovalRecord,
    DecidedTrade,
    ExecutionRecord,
    PhaseRecord,
    PlanRecord,
    TradeRecord,
    TradeReport,
    Untradable,
)

_REPORTED: Final = (
    "status",
    "client_order_id",
    "submitted_at",
    "terminal_at",
    "filled_qty",
    "filled_avg_price",
    "code",
    "reason",
)
_ONE_TRADE: Final = "plan_id = ? AND attempt = ? AND phase = ? AND symbol = ?"
_LOOSE: Final = "terminal_at IS NULL AND message_id IS NOT NULL"
_TRADING: Final = (PhaseName.SELL, PhaseName.BUY)
_IN_ORDER: Final = tuple(PhaseName)
#: The trade of a message, with its plan, the plan's approval and the state of its phase.
_DECISION: Final = (
    f"SELECT {', '.join(f't.{name}' for name in TRADES.columns.split(', '))}, t.plan_id, p.approved_at, h.state "  # noqa: S608 - our names
    "FROM desk_trades t LEFT JOIN desk_plans p ON p.plan_id = t.plan_id "
    "LEFT JOIN desk_phases h ON h.plan_id = t.plan_id AND h.name = t.phase AND h.attempt = t.attempt "
    "WHERE t.message_id = ?"
)


class PlanRecords:
    """Plans and their executions in the ledger. Every method joins the caller's transaction."""

    def __init__(self, database: Database, sessions: OldSessions | None = None) -> None:
        self._db = database
        self._sessions = sessions

    def save(self, document: Mapping[str, Any], limits_hash: str, at: datetime, *, by_hand: bool = False) -> None:
        """Save a plan document under its `plan_id`; it replaces an older one."""
        record = PlanRecord(
            plan_id=document["plan_id"],
            generated_at=document["generated_at"],
            saved_at=at,
            status=str(document.get("status") or ""),
            document=dict(document),
            limits_hash=limits_hash,
            by_hand=by_hand,
        )
        names = ("document", "status", "limits_hash", "saved_at", "by_hand")
        changes = ", ".join(f"{name} = excluded.{name}" for name in names)
        PLANS.insert(self._db, record, f"(plan_id) DO UPDATE SET {changes}")
        if self._sessions is not None and not by_hand:
            self._sessions.note_plan(record.plan_id, record.generated_at, at)

    def propose(self, document: Mapping[str, Any], limits_hash: str, at: datetime, *, by_hand: bool = False) -> None:
        """Save a plan before its approval. The document of an executed plan stays as it is."""
        if self.execution(document["plan_id"]) is None:
            self.save(document, limits_hash, at, by_hand=by_hand)

    def document(self, plan_id: str) -> dict[str, Any] | None:
        """Return a plan document with Decimal numbers, or None."""
        found: dict[str, Any] | None = self._value(plan_id, "document")
        return found

    def list_days(self) -> list[tuple[str, date]]:
        """Return the id and the trading day of every plan but orders by hand, oldest first."""
        sql = f"SELECT plan_id, generated_at FROM {PLANS.name} WHERE by_hand = 0 ORDER BY generated_at, plan_id"  # noqa: S608 - our name
        rows = self._db.rows(sql)
        return [(row[0], trading_day(PLANS.convert(self._db, "generated_at", row[1], datetime))) for row in rows]

    def find_of_day(self, day: date) -> str | None:
        """Return the plan of a trading day: the executed one, else the newest; None without any."""
        found = self._list_of(day)
        executed = [plan_id for plan_id in found if self.execution(plan_id) is not None]
        return next(reversed(executed or found), None)

    def find_newest(self, day: date) -> str | None:
        """Return the plan of a trading day that was made last, None without any."""
        return next(reversed(self._list_of(day)), None)

    def _list_of(self, day: date) -> list[str]:
        return [plan_id for plan_id, made_on in self.list_days() if made_on == day]

    def find_before(self, day: date) -> str | None:
        """Return the plan of the last earlier trading day that has one, or None."""
        last = max((made_on for _, made_on in self.list_days() if made_on < day), default=None)
        return None if last is None else self.find_of_day(last)

    def find_naming(self, *symbols: str) -> list[PlanRecord]:
        """Return the plans whose documents name one of the symbols, oldest first."""
        condition = " OR ".join("document LIKE ?" for _ in symbols)
        return PLANS.find(self._db, condition, *(f'%"{s}"%' for s in symbols), order="generated_at, plan_id")

    def is_by_hand(self, plan_id: str) -> bool:
        """Return whether a plan is an order by hand."""
        return bool(self._value(plan_id, "by_hand"))

    def limits_hash(self, plan_id: str) -> str | None:
        """Return the fingerprint of a plan's limits, or None."""
        found: str | None = self._value(plan_id, "limits_hash")
        return found

    def add_approval(self, plan_id: str, approval: ApprovalRecord) -> None:
        """Record one approval; it replaces an earlier one of the same plan by the same name."""
        APPROVALS.replace(self._db, approval, "plan_id, digest, approved_by", plan_id=plan_id)

    def approvals(self, plan_id: str, digest: str) -> list[ApprovalRecord]:
        """Return the approvals of a plan as it is, oldest first."""
        return APPROVALS.find(self._db, "plan_id = ? AND digest = ?", plan_id, digest, order="approved_at, approved_by")

    def approve(self, plan_id: str, at: datetime) -> None:
        """Record the moment of a plan's last needed approval."""
        PLANS.update(self._db, {"approved_at": at}, "plan_id = ?", plan_id)

    def withdraw_approval(self, plan_id: str) -> None:
        """Take the moment of a plan's approval back: it waits for another one, or for none."""
        PLANS.update(self._db, {"approved_at": None}, "plan_id = ?", plan_id)

    def approved_at(self, plan_id: str) -> datetime | None:
        """Return the moment of a plan's approval, or None."""
        found: datetime | None = self._value(plan_id, "approved_at")
        return found

    def find_approved(self, day: date) -> dict[str, Any] | None:
        """Return the last document of a plan approved on a trading day and not executed, or None."""
        return next(iter(self.list_approved(day)), None)

    def list_approved(self, day: date, *, by_hand: bool = False) -> list[dict[str, Any]]:
        """Return the documents approved on a trading day and not executed, newest first: plans, or orders by hand."""
        waiting = "approved_at IS NOT NULL AND by_hand = ? AND plan_id NOT IN (SELECT plan_id FROM desk_executions)"
        plans = PLANS.find(self._db, waiting, by_hand, order="approved_at DESC, plan_id DESC")
        return [p.document for p in plans if p.approved_at is not None and trading_day(p.approved_at) == day]

    def start(self, record: ExecutionRecord) -> None:
        """Record the beginning of an attempt to execute a plan, once."""
        EXECUTIONS.insert(self._db, record)

    def finish(self, plan_id: str, status: ExecutionStatus, cash_after: Decimal, fees: Decimal, at: datetime) -> None:
        """Record the end of the running attempt, with its cash and fees in dollars."""
        changes = {"status": status, "cash_after": cash_after, "fees": fees, "ended_at": at}
        EXECUTIONS.update(self._db, changes, f"plan_id = ? AND {UNFINISHED}", plan_id)
        run = self.execution(plan_id)
        if self._sessions is not None and run is not None and not run.by_hand and self.has_trades(plan_id):
            sent = [trade for trade in self.trades(plan_id) if trade.phase in _TRADING and trade.message_id]
            self._sessions.note_execution(plan_id, run.started_at, len(sent))

    def execution(self, plan_id: str) -> ExecutionRecord | None:
        """Return the last attempt to execute a plan, or None."""
        return EXECUTIONS.first(self._db, "plan_id = ?", plan_id, order="attempt DESC")

    def attempts(self, plan_id: str) -> list[ExecutionRecord]:
        """Return every attempt to execute a plan, oldest first."""
        return EXECUTIONS.find(self._db, "plan_id = ?", plan_id, order="attempt")

    def executions(self, day: date | None = None) -> list[ExecutionRecord]:
        """Return the executions of a trading day, or all of them, oldest first."""
        order = "started_at, plan_id"
        if day is None:
            return EXECUTIONS.find(self._db, "1 = 1", order=order)
        return EXECUTIONS.find(self._db, "trading_day = ?", day, order=order)

    def find_first_day(self) -> date | None:
        """Return the trading day of the first execution of a plan, or None. Orders by hand do not count."""
        first = EXECUTIONS.first(self._db, "by_hand = 0", order="trading_day")
        return None if first is None else first.trading_day

    def find_executed(self, day: date) -> ExecutionRecord | None:
        """Return the last execution of a trading day, or None. Orders by hand and plans without trades do not count."""
        return self.pick_executed(self.executions(day))

    def pick_executed(self, executions: Sequence[ExecutionRecord]) -> ExecutionRecord | None:
        """Return the one of a day's executions that `find_executed` returns."""
        found = (e for e in reversed(executions) if not e.by_hand)
        return next((e for e in found if e.ended_at is None or self.has_trades(e.plan_id)), None)

    def has_trades(self, plan_id: str) -> bool:
        """Return whether an execution of a plan had a SELL or a BUY, sent or deferred."""
        return TRADES.first(self._db, "plan_id = ? AND phase IN (?, ?)", plan_id, *_TRADING, order="rank") is not None

    def find_unfinished(self) -> ExecutionRecord | None:
        """Return the unfinished execution, or None."""
        return EXECUTIONS.first(self._db, UNFINISHED, order="started_at, plan_id")

    def set_phase(self, plan_id: str, phase: PhaseRecord) -> None:
        """Record the state of a phase."""
        names = ("state", "deadline", "ended_at", "outcome")
        changes = ", ".join(f"{name} = excluded.{name}" for name in names)
        PHASES.insert(self._db, phase, f"(plan_id, attempt, name) DO UPDATE SET {changes}", plan_id=plan_id)

    def phases(self, plan_id: str) -> list[PhaseRecord]:
        """Return the begun phases of a plan, attempt by attempt in their order."""
        found = PHASES.find(self._db, "plan_id = ?", plan_id)
        return sorted(found, key=lambda phase: (phase.attempt, _IN_ORDER.index(phase.name)))

    def add_trade(self, plan_id: str, rank: int, trade: TradeRecord) -> None:
        """Record a trade of a phase, dispatched or deferred; `rank` is its place in the phase."""
        TRADES.insert(self._db, trade, plan_id=plan_id, rank=rank)

    def find_decision(self, message_id: str) -> DecidedTrade | None:
        """Return the trade that was decided with a message, or None."""
        row = self._db.row(_DECISION, (message_id,))
        if row is None:
            return None
        trade, approved_at, state = TRADES.read(self._db, row), row["approved_at"], row["state"]
        is_dispatched = state is not None and state != PhaseState.PENDING
        return DecidedTrade(row["plan_id"], PLANS.convert(self._db, "approved_at", approved_at), trade, is_dispatched)

    def report_trade(self, message_id: str, report: TradeReport) -> bool:
        """Record Trading's news of a dispatched trade. Returns whether such a trade was waiting.

        Why a trade was made smaller before it was sent stays, unless the report gives a reason of its own.
        """
        found = {name: getattr(report, name) for name in _REPORTED}
        changes = {name: value for name, value in found.items() if value or name not in {"code", "reason"}}
        return TRADES.update(self._db, changes, "message_id = ? AND terminal_at IS NULL", message_id) > 0

    def refuse_trade(self, message_id: str, code: str, reason: str, at: datetime) -> bool:
        """End a dispatched trade of which nothing was sent. Returns whether such a trade was waiting."""
        changes = {"status": OrderStatus.DENIED, "qty": ZERO, "terminal_at": at, "code": code, "reason": reason}
        return TRADES.update(self._db, changes, "message_id = ? AND terminal_at IS NULL", message_id) > 0

    def note_fill(self, plan_id: str, attempt: int, symbol: str, reason: Reason) -> None:
        """Record the limit that the fill of a BUY broke, beside what the BUY was trimmed for."""
        known = self._find_trade(plan_id, attempt, PhaseName.BUY, symbol)
        if known is not None:
            self._set_reason(plan_id, known, str(reason.code), join_reasons(str(reason), known.reason))

    def note_unprotected(self, plan_id: str, found: TradeRecord) -> None:
        """Record shares without live exits after the day, beside PROTECT's reason."""
        known = self._find_trade(plan_id, found.attempt, found.phase, found.symbol)
        if known is None:
            self.add_trade(plan_id, len(self.trades(plan_id, found.phase)), found)
        else:
            self._set_reason(plan_id, known, known.code or found.code, join_reasons(known.reason, found.reason))

    def _find_trade(self, plan_id: str, attempt: int, phase: PhaseName, symbol: str) -> TradeRecord | None:
        return TRADES.first(self._db, _ONE_TRADE, plan_id, attempt, phase, symbol)

    def _set_reason(self, plan_id: str, of: TradeRecord, code: str, reason: str) -> None:
        changes = {"code": code, "reason": reason}
        TRADES.update(self._db, changes, _ONE_TRADE, plan_id, of.attempt, of.phase, of.symbol)

    def trades(self, plan_id: str, phase: PhaseName | None = None) -> list[TradeRecord]:
        """Return the trades of a plan, or of one phase of all attempts, in their order."""
        order = "attempt, rank, symbol"
        if phase is not None:
            return TRADES.find(self._db, "plan_id = ? AND phase = ?", plan_id, phase, order=order)
        found = TRADES.find(self._db, "plan_id = ?", plan_id, order=order)
        return sorted(found, key=lambda trade: (trade.attempt, _IN_ORDER.index(trade.phase)))

    def find_loose_ends(self) -> list[tuple[str, TradeRecord]]:
        """Return (plan, trade) of the dispatched trades of ended executions whose end nobody knows, oldest first."""
        ended = dict.fromkeys(execution.plan_id for execution in self.executions() if execution.ended_at is not None)
        return [
            (plan_id, trade)
            for plan_id in ended
            for trade in TRADES.find(self._db, f"plan_id = ? AND {_LOOSE}", plan_id, order="rank, symbol")
        ]

    def report_untradable(self, symbol: str, at: datetime) -> None:
        """Record the report of an untradable holding to a person."""
        UNTRADABLE.insert(self._db, Untradable(symbol, at), "DO NOTHING")

    def find_untradable(self, before: datetime | None = None) -> set[str]:
        """Return the untradable holdings reported to a person, ever or before a moment."""
        found = UNTRADABLE.find(self._db, "1 = 1")
        return {row.symbol for row in found if before is None or row.reported_at < before}

    def _value(self, plan_id: str, column: str) -> Any:
        return PLANS.read_value(self._db, column, "plan_id = ?", plan_id)
