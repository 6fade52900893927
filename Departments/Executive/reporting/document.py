"""The final status as one document, read from the ledger and from nothing else.

Quantities and money are strings; times are ISO 8601 UTC. `document_shape.py` names every key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from Departments.core.facts import Facts
from Departments.core.moments import iso
from Departments.core.money import money_text, plain
from Departments.core.orders import OrderStatus
from Departments.core.plans import TradingPlan, skip_documents
from Departments.core.statuses import ExecutionStatus, PhaseName, TradeStatus
from Departments.Executive.aftermath import describe_issues
from Departments.Executive.agenda import Rehearsal
from Departments.Executive.approvals import approval_documents
from Departments.Executive.funding import Decision
from Departments.Executive.outcomes import is_order_of, with_order
from Departments.Executive.remainder import keep_last, list_left
from Departments.Executive.reporting.run_cash import judge_cash, lowest_cash
from Departments.Executive.reporting.since_last import SinceLast, earlier_fills_in, entry_document, since_last_report
from Departments.Executive.review import read_review
from Departments.ledger.ledger import Ledger
from Departments.ledger.order_records import FillRecord, OrderRecord
from Departments.ledger.plan_records import ExecutionRecord, PhaseRecord, TradeRecord
from Departments.ledger.unprotected import Stretch
from Departments.messaging.plan_stages import REVIEW

Document = dict[str, Any]


#: What the command ends with; ALREADY_EXECUTED has the code of that execution. 2 to 4 are those of `core.errors`.
EXIT_CODES = {
    ExecutionStatus.COMPLETED: 0,
    ExecutionStatus.COMPLETED_WITH_ISSUES: 1,
    ExecutionStatus.NOTHING_TO_DO: 0,
    "DRY_RUN": 0,
    "NOT_APPROVED": 1,
    "ALREADY_EXECUTED": 0,
    "MARKET_CLOSED": 5,
    "NOTHING_TO_RESUME": 0,
}


def final_document(
    ledger: Ledger, plan: TradingPlan, *, instructions: str, unprotected: Iterable[Stretch] = ()
) -> Document:
    """Return the document of an executed plan. Raises LookupError for a plan that was never executed.

    `instructions` is what Trading acts on; `unprotected` are the stretches in which shares had no live exits, where
    exits are wanted.
    """
    plan_id, execution = plan.plan_id, ledger.plans.execution(plan.plan_id)
    if execution is None:
        raise LookupError(f"{plan_id} was never executed")
    fills = ledger.execution_fills(execution)
    trades = ledger.plans.trades(plan_id)
    if any(t.terminal_at is None for t in trades):
        orders = {o.message_id: o for o in ledger.orders.find_by_plan(plan_id)}
        trades = [_complete(t, orders) for t in trades]
    last = keep_last(trades, execution.attempt)
    return {
        "plan_id": plan_id,
        "status": str(execution.status),
        "approvals": approval_documents(ledger.plans.approvals(plan_id, plan.digest)),
        "orders_by_hand": []
        if execution.by_hand
        else orders_by_hand(ledger, execution.trading_day, until=execution.ended_at),
        "account": _account(execution, fills),
        "account_number": execution.where,
        "attempts": list_attempts(ledger, plan_id),
        "left": [left.document() for left in list_left(plan, trades)],
        "since_last": since_last_report(ledger, execution).document(),
        "earlier_orders": [each.document() for each in earlier_fills_in(ledger, trades, fills)],
        "bookings": [entry_document(entry) for entry in ledger.book.find_in_run(execution)],
        "skipped": skip_documents(plan.skipped),
        "plan_notes": list(plan.notes),
        "not_evaluated": list(plan.not_evaluated),
        "review": _find_review(ledger, plan_id),
        "phases": [_phase(phase, trades) for phase in ledger.plans.phases(plan_id)],
        "denied": reasons(t for t in last if t.status == OrderStatus.DENIED),
        "deferred": reasons(t for t in last if t.status == TradeStatus.DEFERRED),
        "broken_limits": list(describe_issues(trades)),
        "unprotected": [_stretch_document(stretch) for stretch in unprotected],
        "cash_identity": judge_cash(execution, fills, ledger.book.sum_in_run(execution)),
        "instructions": instructions,
        "dead_letters": [],
        "locks": [],
        "halts": [],
        "exit_code": EXIT_CODES.get(execution.status, 1),
    }


def dry_run_document(plan: TradingPlan, now: Facts, reserve: Decimal, foreseen: Rehearsal) -> Document:
    """Return the document of a dry run: every order `planned` or `deferred`; nothing was sent."""
    shown = {name: foreseen.decisions[name] for name in (PhaseName.SELL, PhaseName.BUY)}
    phases = {name: [_planned_trade(name, d) for d in decisions] for name, decisions in shown.items()}
    deferred = [t for trades in phases.values() for t in trades if t.status is TradeStatus.DEFERRED]
    message = "a dry run: nothing was sent, cash after is projected at today's prices"
    return unexecuted_document("DRY_RUN", plan.plan_id, message, plan) | {
        "account": {
            "equity": money_text(now.equity),
            "cash_before": money_text(now.cash),
            "cash_after": money_text(foreseen.facts.cash),
            "lowest_cash": money_text(min(now.cash, foreseen.facts.cash)),
            "reserve": money_text(reserve),
        },
        "phases": [
            {
                "name": name,
                "attempt": 1,
                "started_at": None,
                "ended_at": None,
                "orders": [order_document(t) for t in trades],
            }
            for name, trades in phases.items()
        ],
        "deferred": reasons(deferred),
    }


def unexecuted_document(status: str, plan_id: str | None, message: str, plan: TradingPlan | None = None) -> Document:
    """Return the document of a run without orders; `message` is the sentence with the cause."""
    return {
        "plan_id": plan_id,
        "status": status,
        "orders_by_hand": [],
        "approvals": [],
        "account": dict.fromkeys(("equity", "cash_before", "cash_after", "lowest_cash", "reserve")),
        "account_number": "",
        "attempts": [],
        "left": [],
        "since_last": SinceLast(None, None).document(),
        "earlier_orders": [],
        "bookings": [],
        "skipped": skip_documents(plan.skipped) if plan else [],
        "plan_notes": list(plan.notes) if plan else [],
        "not_evaluated": list(plan.not_evaluated) if plan else [],
        "review": None,
        "phases": [],
        "denied": [],
        "deferred": [],
        "broken_limits": [],
        "unprotected": [],
        "cash_identity": {"holds": True, "difference": "0.00", "fees": "0.00", "other": "0.00"},
        "instructions": None,
        "dead_letters": [],
        "locks": [],
        "halts": [],
        "exit_code": EXIT_CODES.get(status, 1),
        "message": message,
    }


def orders_by_hand(
    ledger: Ledger, day: date, *, since: datetime | None = None, until: datetime | None = None
) -> list[dict[str, str]]:
    """Return the orders by hand of a trading day that began within these bounds, oldest first."""
    found = [e for e in ledger.plans.executions(day) if e.by_hand]
    begun = [e for e in found if (since is None or e.started_at >= since) and (until is None or e.started_at < until)]
    return [
        {
            "plan_id": execution.plan_id,
            "status": str(execution.status),
            "ticker": trade.symbol,
            "side": str(trade.side),
            "qty": plain(trade.planned_qty),
            "filled_qty": plain(trade.filled_qty),
            "approved_by": str((ledger.plans.document(execution.plan_id) or {}).get("approved_by") or "unknown"),
        }
        for execution in begun
        for trade in ledger.plans.trades(execution.plan_id)
        if trade.phase in {PhaseName.SELL, PhaseName.BUY}
    ]


def _planned_trade(name: PhaseName, decision: Decision) -> TradeRecord:
    trade, reason = decision.planned, decision.reason
    code, text = ("", "") if reason is None else (str(reason.code), str(reason))
    status = TradeStatus.PLANNED if decision.sent else TradeStatus.DEFERRED
    return TradeRecord(name, trade.symbol, trade.side, trade.qty, decision.qty, status=status, code=code, reason=text)


def _find_review(ledger: Ledger, plan_id: str) -> Document | None:
    """Return the review that a plan was saved with, None without one."""
    found = read_review((ledger.plans.document(plan_id) or {}).get(REVIEW))
    return None if found is None else found.document()


def _account(execution: ExecutionRecord, fills: list[FillRecord]) -> dict[str, str | None]:
    after = execution.cash_after
    lowest = lowest_cash(execution.cash_before, fills, execution.fees)
    return {
        "equity": money_text(execution.equity),
        "cash_before": money_text(execution.cash_before),
        "cash_after": None if after is None else money_text(after),
        "lowest_cash": money_text(lowest if after is None else min(lowest, after)),
        "reserve": money_text(execution.reserve),
    }


def _phase(phase: PhaseRecord, trades: Iterable[TradeRecord]) -> dict[str, Any]:
    return {
        "name": phase.name,
        "attempt": phase.attempt,
        "started_at": iso(phase.started_at),
        "ended_at": None if phase.ended_at is None else iso(phase.ended_at),
        "orders": [order_document(t) for t in trades if (t.phase, t.attempt) == (phase.name, phase.attempt)],
    }


def list_attempts(ledger: Ledger, plan_id: str) -> list[dict[str, Any]]:
    """List the attempts to execute a plan, oldest first."""
    return [
        {
            "attempt": run.attempt,
            "status": str(run.status),
            "started_at": iso(run.started_at),
            "ended_at": None if run.ended_at is None else iso(run.ended_at),
            "cash_before": money_text(run.cash_before),
            "cash_after": None if run.cash_after is None else money_text(run.cash_after),
        }
        for run in ledger.plans.attempts(plan_id)
    ]


def order_document(trade: TradeRecord) -> dict[str, Any]:
    """Return one order of a phase; quantities and prices are strings."""
    return {
        "ticker": trade.symbol,
        "side": str(trade.side),
        "planned_qty": plain(trade.planned_qty),
        "qty": plain(trade.qty),
        "status": str(trade.status),
        "filled_qty": plain(trade.filled_qty),
        "filled_avg_price": None if trade.filled_avg_price is None else plain(trade.filled_avg_price),
        "message_id": trade.message_id,
        "client_order_id": trade.client_order_id,
        "submitted_at": None if trade.submitted_at is None else iso(trade.submitted_at),
        "terminal_at": None if trade.terminal_at is None else iso(trade.terminal_at),
        "code": trade.code,
        "reason": trade.reason,
    }


def _complete(trade: TradeRecord, orders: Mapping[str, OrderRecord]) -> TradeRecord:
    """Complete an unreported trade from its order."""
    order = orders.get(trade.message_id or "")
    if order is None or trade.terminal_at is not None or not is_order_of(trade, order):
        return trade
    return with_order(trade, order)


def reasons(trades: Iterable[TradeRecord]) -> list[dict[str, str]]:
    """Return `{ticker, code, reason}` of trades."""
    return [{"ticker": t.symbol, "code": t.code, "reason": t.reason} for t in trades]


def _stretch_document(stretch: Stretch) -> dict[str, str | None]:
    until = stretch.until
    return {
        "ticker": stretch.symbol,
        "qty": plain(stretch.qty),
        "since": iso(stretch.since),
        "until": None if until is None else iso(until),
    }
