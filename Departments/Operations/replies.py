"""Operations' replies to a PlanRequest: a TradingPlan with its text for people, or a PlanFailure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Final

from Departments.core import identifiers
from Departments.core.departments import EXECUTIVE, OPERATIONS
from Departments.core.errors import DepartmentsError
from Departments.core.moments import show_moment
from Departments.core.money import percent, plain, usd_cents
from Departments.core.plans import SkippedTrade, Trade, TradingPlan
from Departments.core.reasons import ReasonCode
from Departments.core.safe_text import Form, make_safe
from Departments.messaging.message import Message
from Departments.messaging.payloads import PlanFailure
from Departments.messaging.plan_documents import PlanDocument

MOST_SHOWN: Final = 200  # skips in the table for people


def reply_with_plan(request: Message, plan: TradingPlan) -> Message:
    """Return the TradingPlan for a request."""
    return _reply(request, "TradingPlan", PlanDocument.from_plan(plan).body(plan_markdown(plan)))


def reply_with_failure(request: Message, error: DepartmentsError) -> Message:
    """Return the PlanFailure for a request."""
    failure = PlanFailure(message=str(error), exit_code=error.exit_code, status="FAILED", plan=None, stage_results={})
    return _reply(request, "PlanFailure", failure.body(f"# No Trading Plan\n\n{_safe(error)}"))


def _reply(request: Message, message_type: str, body: str) -> Message:
    return Message(
        identifiers.answer_id(OPERATIONS, message_type, request.message_id, request.timestamp),
        OPERATIONS,
        EXECUTIVE,
        request.timestamp,
        message_type,
        body,
        priority="high",
        parent_message_id=request.message_id,
    )


def plan_markdown(plan: TradingPlan) -> str:
    """Return the plan as Markdown: account, SELLs, BUYs, skips with their reasons, notes."""
    sections = [
        f"# Trading Plan {_safe(plan.plan_id)}",
        "\n".join(_facts(plan)),
        _trades("SELL", plan.sells),
        _trades("BUY", plan.buys),
        _skips(plan.skipped),
        _list("Notes", plan.notes),
        _list("Not evaluated", plan.not_evaluated),
    ]
    return "\n\n".join(section for section in sections if section)


def _facts(plan: TradingPlan) -> Iterator[str]:
    yield f"- **Generated:** {show_moment(plan.generated_at, seconds=True)}"
    for name, amount in (("Equity", plan.equity), ("Cash", plan.cash)):
        if amount is not None:
            yield f"- **{name}:** {usd_cents(amount)}"
    if plan.deployment is not None:
        yield f"- **Deployed afterwards:** {percent(plan.deployment)} of equity"
    if plan.regime:
        yield f"- **Market regime:** {_safe(plan.regime)}"


def _trades(side: str, trades: Sequence[Trade]) -> str:
    title = f"## {side} ({len(trades)})"
    if not trades:
        return f"{title}\n\nNone."
    rows = ((t.symbol, plain(t.qty), _money(t.price), _money(t.notional), _score(t), t.reason) for t in trades)
    return f"{title}\n\n" + _table(("Ticker", "Shares", "Price", "Value", "Score", "Why"), rows)


def _skips(skips: Sequence[SkippedTrade]) -> str:
    if not skips:
        return ""
    low = [s.symbol for s in skips if s.reason.code is ReasonCode.SCORE_BELOW_THRESHOLD]
    others = [s for s in skips if s.reason.code is not ReasonCode.SCORE_BELOW_THRESHOLD]
    parts = [f"## Skipped ({len(skips)})"]
    if others:
        rows = ((s.symbol, s.line, str(s.reason)) for s in others[:MOST_SHOWN])
        parts.append(_table(("Ticker", "Reason", "Code"), rows))
    if len(others) > MOST_SHOWN:
        parts.append(f"… and {len(others) - MOST_SHOWN} more; the JSON below names all.")
    if low:
        parts.append(f"Score under the threshold: {_safe(', '.join(low))}.")
    return "\n\n".join(parts)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(_safe, line)) + " |" for line in lines)


def _safe(text: object) -> str:
    return make_safe(text, Form.MARKDOWN)


def _list(title: str, lines: Sequence[str]) -> str:
    return f"## {title}\n\n" + "\n".join(f"- {_safe(line)}" for line in lines) if lines else ""


def _money(amount: Decimal | None) -> str:
    return "unknown" if amount is None else usd_cents(amount)


def _score(trade: Trade) -> str:
    return "" if trade.score is None else plain(trade.score)
