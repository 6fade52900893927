"""What a person sees in the terminal: the plan before, the final status after."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from Departments.core.money import percent, plain, usd, usd_cents
from Departments.core.plans import Skip, TradingPlan

COLOURS = {"filled": "green", "denied": "red", "rejected": "red", "deferred": "yellow"}


def show_plan(console: Console, plan: TradingPlan, *, all_skips: bool = False) -> None:
    """Print the plan: trades, what was skipped and why, notes."""
    title = f"Plan {plan.plan_id}"
    if plan.equity is not None and plan.cash is not None:
        title += f" · equity {usd(plan.equity)} · cash {usd(plan.cash)}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE)
    for name in ("Action", "Ticker"):
        table.add_column(name)
    for name in ("Shares", "Price", "Value", "Score"):
        table.add_column(name, justify="right")
    table.add_column("Why", overflow="fold")
    for trade in plan.trades:
        price = "" if trade.price is None else usd_cents(trade.price)
        value = "" if trade.notional is None else usd(trade.notional)
        score = "" if trade.score is None else plain(trade.score)
        table.add_row(str(trade.side), trade.ticker, plain(trade.qty), price, value, score, trade.reason)
    console.print(table)
    _show_skips(console, plan.skipped, all_skips=all_skips)
    for note in plan.notes:
        console.print(f"[dim]{note}[/dim]", highlight=False)
    if plan.deployment is not None:
        console.print(f"Deployment after the plan: {percent(plan.deployment)} of equity", highlight=False)


def _show_skips(console: Console, skips: Iterable[Skip], *, all_skips: bool) -> None:
    skips = list(skips)
    shown = skips if all_skips else skips[:20]
    for skip in shown:
        console.print(f"[yellow]{skip.line}[/yellow]  [dim]{skip.reason.code}[/dim]", highlight=False)
    if len(shown) < len(skips):
        console.print(f"[dim]… and {len(skips) - len(shown)} more skipped (see the plan file)[/dim]")


def show_final(console: Console, document: Mapping[str, Any]) -> None:
    """Print the final status table of a document; the reasons have a column where there are any."""
    orders = [(phase["name"], order) for phase in document["phases"] for order in phase["orders"]]
    explained = any(order["reason"] for _, order in orders)
    table = Table(title=f"{document['plan_id']}: {document['status']}", title_justify="left", box=box.SIMPLE)
    for name in ("Phase", "Ticker"):
        table.add_column(name)
    for name in ("Planned", "Sent", "Filled", "Price", "Value"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("Status", no_wrap=True)
    if explained:
        table.add_column("Reason", overflow="fold")
    for phase, order in orders:
        row = _final_row(phase, order)
        table.add_row(*row, *([order["reason"]] if explained else []))
    console.print(table)


def _final_row(phase: str, order: Mapping[str, Any]) -> list[str]:
    price, filled = order["filled_avg_price"], Decimal(order["filled_qty"])
    colour = COLOURS.get(order["status"], "yellow")
    return [
        phase,
        order["ticker"],
        order["planned_qty"],
        order["qty"],
        order["filled_qty"],
        "" if price is None else usd_cents(Decimal(price)),
        "" if price is None else usd(filled * Decimal(price)),
        f"[{colour}]{order['status']}[/{colour}]",
    ]


def show_cash(console: Console, document: Mapping[str, Any], lowest_with_buys_first: Decimal) -> None:
    """Print the cash of the run beside what the other order of phases would have needed."""
    account, identity = document["account"], document["cash_identity"]
    lines = [
        f"Cash before {_money(account['cash_before'])}, after {_money(account['cash_after'])}, "
        f"reserve {_money(account['reserve'])}",
        f"Lowest cash of the run: {_money(account['lowest_cash'])} "
        f"(with the BUYs first it would have been {usd_cents(lowest_with_buys_first)})",
        "Start + sells − buys = end: " + ("holds" if identity["holds"] else f"off by {identity['difference']}"),
    ]
    for line in lines:
        console.print(line, highlight=False)


def _money(text: str | None) -> str:
    return "unknown" if text is None else usd_cents(Decimal(text))
