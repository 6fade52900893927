"""The terminal: the plan before, the final status after."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from Departments.core.money import percent, plain, usd, usd_cents
from Departments.core.plans import SkippedTrade, Trade, TradingPlan
from Departments.core.reasons import ReasonCode
from Departments.core.safe_text import make_safe
from Departments.Executive.reporting.markdown import FACT_COLUMNS, approval_lines, fact_cells, rating_of
from Departments.Executive.reporting.run_cash import describe_difference
from Departments.Executive.reporting.since_last import changed_sentences

COLOURS = {"filled": "green", "denied": "red", "rejected": "red"}
LONGEST_REASON = 120  # characters; plan files can hold whole essays
SKIPS_SHOWN = 20


def show_plan(console: Console, plan: TradingPlan) -> None:
    """Print the plan: trades, what was skipped and why, notes."""
    title = f"Plan {plan.plan_id}"
    if plan.equity is not None and plan.cash is not None:
        title += f" · equity {usd(plan.equity)} · cash {usd(plan.cash)}"
    if plan.regime:
        title += f" · regime {plan.regime}"
    table = _table(title, ("Action", "Ticker"), ("Shares", "Price", "Value", "Score"))
    table.add_column("Why", overflow="fold")
    for trade in plan.trades:
        table.add_row(*_texts(_plan_row(trade)))
    console.print(table)
    _show_skips(console, plan.skipped)
    for note in plan.notes:
        console.print(Text(make_safe(note), style="dim"))
    for gap in plan.not_evaluated:
        console.print(Text(f"Not evaluated: {make_safe(gap)}", style="dim"))
    if plan.deployment is not None:
        console.print(Text(f"Deployment after the plan: {percent(plan.deployment)} of equity"))


def _plan_row(trade: Trade) -> list[str]:
    price = "" if trade.price is None else usd_cents(trade.price)
    value = "" if trade.notional is None else usd(trade.notional)
    score = "" if trade.score is None else plain(trade.score)
    return [str(trade.side), trade.symbol, plain(trade.qty), price, value, score, _short(trade.reason)]


def _show_skips(console: Console, skips: Iterable[SkippedTrade]) -> None:
    skips = sorted(skips, key=lambda s: s.reason.code is ReasonCode.SCORE_BELOW_THRESHOLD)  # the least telling last
    for skip in skips[:SKIPS_SHOWN]:
        code = "" if str(skip.reason.code) in skip.line else f"  {skip.reason.code}"
        console.print(Text.assemble((make_safe(skip.line), "yellow"), (code, "dim")))
    if len(skips) > SKIPS_SHOWN:
        console.print(Text(f"… and {len(skips) - SKIPS_SHOWN} more skipped (--json and the plan file name all)", "dim"))


def show_review(console: Console, review: Mapping[str, Any]) -> None:
    """Print the review of a plan: its facts beside their limits, rating, recommendation, strengths and concerns."""
    table = Table(title="What the review looks at", title_justify="left", box=box.SIMPLE)
    for name in FACT_COLUMNS:
        table.add_column(name, overflow="fold")
    for fact in review["facts"]:
        table.add_row(*_texts(fact_cells(fact)))
    console.print(table)
    console.print(Text(rating_of(review)))
    for strength in review["strengths"]:
        console.print(Text(f"  strength: {make_safe(strength)}"))
    for concern in review["concerns"]:
        console.print(Text(f"  concern: {make_safe(concern)}", style="yellow"))


def show_final(console: Console, document: Mapping[str, Any]) -> None:
    """Print the final status table of a document, and below it the reasons."""
    orders = [(phase["name"], order) for phase in document["phases"] for order in phase["orders"]]
    title = f"{document['plan_id']}: {document['status']}"
    table = _table(title, ("Phase", "Ticker"), ("Planned", "Sent", "Filled", "Price", "Value"))
    table.add_column("Status", no_wrap=True)
    for phase, order in orders:
        status = Text(make_safe(order["status"]), COLOURS.get(order["status"], "yellow"))
        table.add_row(*_texts(_final_row(phase, order)), status)
    console.print(table)
    for line in approval_lines(document):
        console.print(Text(f"Approved {make_safe(line)}"))
    for _, order in orders:
        if order["reason"]:
            what = make_safe(f"{order['ticker']} {order['status']}: ")
            console.print(Text.assemble((what, "yellow"), make_safe(order["reason"])))


def show_changes(console: Console, document: Mapping[str, Any]) -> None:
    """Print the changes of the account since the last report."""
    for sentence in changed_sentences(document["since_last"]):
        console.print(Text.assemble(("Since the last report: ", "yellow"), make_safe(sentence)), soft_wrap=True)
    for each in (*document["earlier_orders"], *document["bookings"]):
        console.print(Text.assemble(("During the run: ", "yellow"), make_safe(each["sentence"])), soft_wrap=True)


def show_issues(console: Console, document: Mapping[str, Any]) -> None:
    """Print the halt, dead letters and locks, each with its mend."""
    for each in document["halts"]:
        what = f"{each['sentence']}; {each['mend']}."
        console.print(Text.assemble(("Halted: ", "red"), make_safe(what)), soft_wrap=True)
    for each in document["dead_letters"]:
        what = f"{each['department']}/{each['file']}: {each['code']}: {each['reason']}; {each['mend']}."
        console.print(Text.assemble(("Dead letter ", "red"), make_safe(what)), soft_wrap=True)
    for each in document["locks"]:
        what = f"{each['ticker']}: {each['reason']}; {each['mend']}."
        console.print(Text.assemble(("Locked ", "red"), make_safe(what)), soft_wrap=True)


def _final_row(phase: str, order: Mapping[str, Any]) -> list[str]:
    price, filled = order["filled_avg_price"], Decimal(order["filled_qty"])
    return [
        phase,
        order["ticker"],
        order["planned_qty"],
        order["qty"],
        order["filled_qty"],
        "" if price is None else usd_cents(Decimal(price)),
        "" if price is None else usd(filled * Decimal(price)),
    ]


def show_cash(console: Console, document: Mapping[str, Any], lowest_with_buys_first: Decimal) -> None:
    """Print the cash of the run, and of the same run with the BUYs first."""
    account, identity = document["account"], document["cash_identity"]
    before, after, reserve = (_money(account[key]) for key in ("cash_before", "cash_after", "reserve"))
    lines = [
        f"Cash before {before}, after {after}, fees {_money(identity['fees'])}, reserve {reserve}",
        f"Lowest cash of the run: {_money(account['lowest_cash'])}",
        f"  with BUYs before SELLs: {usd_cents(lowest_with_buys_first)}",
    ]
    for line in lines:
        console.print(Text(line))
    difference = None if identity["difference"] is None else Decimal(identity["difference"])
    if identity["holds"]:
        console.print("Cash adds up: start + sells − buys − fees = end", highlight=False)
    else:
        console.print(Text(f"Cash does not add up: it is {describe_difference(difference)}", style="red"))
    for sentence in document.get("broken_limits", ()):
        console.print(Text(f"A fill broke a limit: {sentence}", style="red"))


def _table(title: str, left: Iterable[str], right: Iterable[str]) -> Table:
    table = Table(title=Text(make_safe(title), "italic"), title_justify="left", box=box.SIMPLE)
    for name in left:
        table.add_column(name, no_wrap=True)
    for name in right:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _texts(cells: Iterable[str]) -> list[Text]:
    """Return cells without markup: texts come from files."""
    return [Text(make_safe(cell)) for cell in cells]


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_REASON else text[: LONGEST_REASON - 1].rstrip() + "…"


def _money(text: str | None) -> str:
    return "unknown" if text is None else usd_cents(Decimal(text))
