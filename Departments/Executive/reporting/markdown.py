"""The final status as Markdown, for `Reports/<plan_id>.md` and the Executive's message."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from Departments.core.moments import show_text
from Departments.core.money import usd_cents
from Departments.core.safe_text import Form, make_safe
from Departments.core.statuses import ExecutionStatus
from Departments.Executive.reporting.run_cash import describe_difference
from Departments.Executive.reporting.since_last import since_last_lines


def report_text(
    document: Mapping[str, Any],
    *,
    lowest_with_buys_first: Decimal,
    limits_hash: str,
    unprotected: Sequence[str] = (),
    regime: str = "",
    notes: Sequence[str] = (),
) -> str:
    """Return the report of a final document as Markdown.

    `unprotected` are lines about shares without live exits; `regime` and `notes` are the plan's.
    """
    plan = [f"Market regime: {regime or 'unknown'}", *notes]
    lines = [
        f"# Execution Report: {_safe(document['plan_id'])}",
        "",
        f"**Status**: {document['status']}",
        *([f"**Account**: {_safe(where)}"] if (where := document["account_number"]) else []),
        *(f"**Approved**: {_safe(line)}" for line in approval_lines(document)),
        *(f"**Attempt {a['attempt']}**: {line}" for a, line in attempt_lines(document)),
        *_section("Since the last report", since_last_lines(document["since_last"])),
        *_section("Cash", _cash_lines(document, lowest_with_buys_first)),
        *_section("Plan", _items(plan)),
        *_section("Review", _review_lines(document.get("review"))),
        *_section("Not evaluated", _items(document["not_evaluated"])),
        *(line for phase in document["phases"] for line in _phase_section(phase)),
        *_section("Orders by hand", manual_lines(document.get("orders_by_hand", ()))),
        *_section("Fills of earlier orders", _items(each["sentence"] for each in document["earlier_orders"])),
        *_section("Booked during the run", _items(each["sentence"] for each in document["bookings"])),
        *_reason_sections(document),
    ]
    if unprotected:
        lines += _section("Unprotected", ["Shares without live exits, and for how long:", "", *_items(unprotected)])
    lines += _issue_lines(document)
    return "\n".join([*lines, "", f"Limits: {limits_hash or 'unknown'}", ""])


def _section(title: str, lines: Sequence[str]) -> list[str]:
    """Return a section of the report, nothing without lines."""
    return ["", f"## {title}", "", *lines] if lines else []


def _items(sentences: Iterable[str]) -> list[str]:
    return [f"- {_safe(sentence)}" for sentence in sentences]


FACT_COLUMNS = ("Fact", "Value", "Limit", "HOLD rule")


def fact_cells(fact: Mapping[str, str]) -> tuple[str, ...]:
    """Return the cells of a fact of the review."""
    return fact["fact"], fact["value"], fact["limit"], fact["rule"]


def rating_of(review: Mapping[str, Any]) -> str:
    """Return the sentence with rating and recommendation."""
    return f"Review: {review['quality_rating']}/10, {review['recommendation']}"


def _review_lines(review: Mapping[str, Any] | None) -> list[str]:
    """Return the review of the plan as it was approved; nothing without one."""
    if not review:
        return []
    table = _table(FACT_COLUMNS, map(fact_cells, review["facts"]))
    return [*table, "", f"{rating_of(review)}.", "", *_items(review["concerns"])]


def _cash_lines(document: Mapping[str, Any], lowest_with_buys_first: Decimal) -> list[str]:
    account, identity = document["account"], document["cash_identity"]
    amounts = [
        ("Equity before", _money(account["equity"])),
        ("Cash before", _money(account["cash_before"])),
        ("Cash after", _money(account["cash_after"])),
        ("Fees", _money(identity["fees"])),
        ("Lowest cash of the run", _money(account["lowest_cash"])),
        ("Lowest cash with BUYs before SELLs", usd_cents(lowest_with_buys_first)),
        ("Reserve", _money(account["reserve"])),
    ]
    broken = (f"\n**A fill broke a limit**: {sentence}." for sentence in document.get("broken_limits", ()))
    is_running = document["status"] == ExecutionStatus.RUNNING
    sum_up = "The cash is counted when the run has ended." if is_running else _identity_sentence(identity)
    return [*_table(("", "Amount"), amounts), "", sum_up, *broken]


def _phase_section(phase: Mapping[str, Any]) -> list[str]:
    again = f" (attempt {phase['attempt']})" if phase["attempt"] > 1 else ""
    return _section(f"{phase['name']}{again}", _phase_lines(phase))


def _reason_sections(document: Mapping[str, Any]) -> list[str]:
    rows = {key: [(r["ticker"], r["reason"]) for r in document[key]] for key in ("denied", "deferred", "skipped")}
    tables = ((key.capitalize(), _table(("Ticker", "Reason"), found)) for key, found in rows.items() if found)
    return [line for title, table in tables for line in _section(title, table)]


LATER_ORDERS = "## Orders by hand after this report"


def manual_lines(orders: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return a line about each order by hand."""
    return _items(map(_manual_line, orders))


def _manual_line(order: Mapping[str, Any]) -> str:
    return (
        f"{order['plan_id']}: {order['side']} {order['qty']} {order['ticker']}, {order['filled_qty']} filled, "
        f"{order['status']}, approved by {order['approved_by']}"
    )


def approval_lines(document: Mapping[str, Any]) -> list[str]:
    """Return a sentence about each approval: who, when, from where, under which limits."""
    return list(map(_describe_approval, document.get("approvals", ())))


def _describe_approval(approval: Mapping[str, Any]) -> str:
    at = show_text(approval["approved_at"], seconds=True)
    who = f"by {approval['approved_by']} ({approval['approved_from']})"
    return f"{who} at {at} under limits {approval['limits_hash']}"


def attempt_lines(document: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], str]]:
    """Return each attempt with its sentence, where there is more than one."""
    attempts = document.get("attempts", ())
    if len(attempts) < 2:
        return []
    return [(a, f"{_span(a)}, {a['status']}") for a in attempts]


def _phase_lines(phase: Mapping[str, Any]) -> list[str]:
    if not phase["orders"]:
        return ["No orders."]
    rows = [
        (
            order["ticker"],
            order["planned_qty"],
            order["qty"],
            order["filled_qty"],
            _money(order["filled_avg_price"]),
            order["status"],
            order["reason"],
        )
        for order in phase["orders"]
    ]
    head = ("Ticker", "Planned", "Sent", "Filled", "Average price", "Status", "Reason")
    return [_span(phase), "", *_table(head, rows)]


def _issue_lines(document: Mapping[str, Any]) -> list[str]:
    letters = [(d["department"], d["file"], f"{d['code']}: {d['reason']}", d["mend"]) for d in document["dead_letters"]]
    locks = [(lock["ticker"], lock["reason"], lock["mend"]) for lock in document["locks"]]
    return [
        *_section("Dead Letters", _table(("Department", "File", "Reason", "Mend"), letters) if letters else ()),
        *_section("Halt", [f"{_safe(each['sentence'])}; {each['mend']}." for each in document["halts"]]),
        *_section("Locks", _table(("Ticker", "Reason", "Mend"), locks) if locks else ()),
    ]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    cells = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(map(_safe, row)) + " |" for row in cells]


def _safe(text: object) -> str:
    return make_safe(text, Form.MARKDOWN)


def _identity_sentence(identity: Mapping[str, Any]) -> str:
    if identity["holds"]:
        return f"Cash adds up: {_identity_formula(identity)}."
    difference = identity["difference"]
    amount = None if difference is None else Decimal(difference)
    return f"**Cash does not add up**: {_identity_formula(identity)} is {describe_difference(amount)}."


def _identity_formula(identity: Mapping[str, Any]) -> str:
    other = "" if Decimal(identity["other"]) == 0 else f" + other bookings ({_money(identity['other'])})"
    return f"start + sells − buys − fees{other} = end"


def _money(text: str | None) -> str:
    return "" if text is None else usd_cents(Decimal(text))


def _span(of: Mapping[str, Any]) -> str:
    """Return from when to when, in New York time."""
    return f"{show_text(of['started_at'], seconds=True)} to {show_text(of['ended_at'], seconds=True)}"
