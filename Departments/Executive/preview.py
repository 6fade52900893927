"""What an execution would send, with the funding of its BUYs from projected cash; nothing is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from Departments.brokers.base import Broker
from Departments.brokers.snapshot import book_of
from Departments.constraints.checks import cash_reserve, minimum_position, must_settle
from Departments.constraints.limits import Limits
from Departments.core.money import ONE, ZERO, money_text
from Departments.core.plans import TradingPlan, skip_documents
from Departments.core.portfolio import Book
from Departments.core.settings import Settings
from Departments.core.statuses import PhaseName, TradeStatus
from Departments.Executive.funding import Budget, Floor, Funding, fund
from Departments.Executive.reporting.document import order_document, reasons
from Departments.ledger.ledger import Ledger
from Departments.ledger.plan_records import TradeRecord


def preview(plan: TradingPlan, broker: Broker, ledger: Ledger, limits: Limits, settings: Settings) -> dict[str, Any]:
    """Return the document of a dry run: every order `planned` or `deferred`. Raises BrokerUnavailable."""
    account = broker.account()
    book = book_of(broker, ledger.symbols.knowledge(), account)
    reserve = cash_reserve(limits, book.equity)
    sells = [Funding(trade, trade.qty) for trade in plan.sells]
    lent = account.buying_power if limits.allow_margin else None
    budget = Budget(book.cash, book.cash, book.open_buys, reserve, book.unsettled_cash, lent)
    buys = _funded(plan, book, budget, limits, settings)
    phases = [(PhaseName.SELL, _records(PhaseName.SELL, sells)), (PhaseName.BUY, _records(PhaseName.BUY, buys))]
    return {
        "plan_id": plan.plan_id,
        "status": "DRY_RUN",
        "account": {
            "equity": money_text(book.equity),
            "cash_before": money_text(book.cash),
            "cash_after": money_text(book.cash + _proceeds(plan, ZERO) - _spent(buys)),
            "lowest_cash": money_text(min(book.cash, book.cash + _proceeds(plan, ZERO) - _spent(buys))),
            "reserve": money_text(reserve),
        },
        "skipped": skip_documents(plan.skipped),
        "phases": [_phase(name, records) for name, records in phases],
        "denied": [],
        "deferred": reasons(r for _, records in phases for r in records if r.status == TradeStatus.DEFERRED),
        "unprotected": [],
        "cash_identity": {"holds": True, "difference": "0.00", "fees": "0.00"},
        "exit_code": 0,
        "message": "a dry run: nothing was sent, cash after is projected at the prices of the plan",
    }


def _funded(plan: TradingPlan, book: Book, now: Budget, limits: Limits, settings: Settings) -> list[Funding]:
    buffer = limits.deployment.price_buffer_pct
    held = {symbol: position.market_value for symbol, position in book.positions.items()}
    floor = Floor(minimum_position(limits, book.equity), held, buffer)
    then = now.after_sells(_proceeds(plan, buffer), settling=must_settle(limits))
    return fund(plan.buys, then.amount, floor, settings.phases.buy.shortfall)


def _proceeds(plan: TradingPlan, buffer: Decimal) -> Decimal:
    return sum(((t.notional or ZERO) * (ONE - buffer) for t in plan.sells), ZERO)


def _spent(buys: Sequence[Funding]) -> Decimal:
    return sum((f.qty * (f.trade.price or ZERO) for f in buys), ZERO)


def _records(name: PhaseName, fundings: Sequence[Funding]) -> list[TradeRecord]:
    return [_record(name, funding) for funding in fundings]


def _record(name: PhaseName, funding: Funding) -> TradeRecord:
    trade, reason = funding.trade, funding.reason
    record = TradeRecord(name, trade.ticker, trade.side, trade.qty, funding.qty, status=TradeStatus.PLANNED)
    if reason is not None:
        record = replace(record, code=str(reason.code), reason=str(reason))
    return record if funding.qty > 0 else replace(record, status=TradeStatus.DEFERRED)


def _phase(name: PhaseName, records: Sequence[TradeRecord]) -> dict[str, Any]:
    return {"name": name, "started_at": None, "ended_at": None, "orders": [order_document(r) for r in records]}
