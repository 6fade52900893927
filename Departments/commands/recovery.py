"""`departments resume` and `departments reconcile`: what `run` does at its start, on request."""

from __future__ import annotations

import sys
from collections.abc import Container
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from Departments.bootstrap import Choices, open_desk
from Departments.commands.inputs import clock_from
from Departments.commands.logs import show_logs
from Departments.commands.run import show_document
from Departments.core.documents import json_text
from Departments.core.errors import BadInput
from Departments.Executive.daily import not_executed
from Departments.Trading.reconciliation import Row

Workspace = Annotated[Path, typer.Option(help="The folder to work in.")]
BrokerOption = Annotated[Literal["simulated", "alpaca"] | None, typer.Option(help="Which broker.")]
At = Annotated[str | None, typer.Option(help="Start a simulated clock at this ISO time.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Faults = Annotated[Path | None, typer.Option(help="A fault script for the simulated exchange.")]


def resume(
    workspace: Workspace = Path(),
    broker: BrokerOption = None,
    at: At = None,
    exchange_faults: Faults = None,
    *,
    as_json: AsJson = False,
) -> int:
    """Finish an execution that was interrupted; say so when there is none."""
    clock = clock_from(at)
    show_logs(clock)
    desk = open_desk(workspace.resolve(), Choices(clock=clock, broker=broker, exchange_faults=exchange_faults))
    try:
        nothing = not_executed("NOTHING_TO_RESUME", None, "no execution was interrupted here")
        document = desk.ceo.resume() or nothing
        if as_json:
            sys.stdout.write(json_text(document) + "\n")
        else:
            show_document(Console(), desk, document)
        return int(document["exit_code"])
    finally:
        desk.close()


def reconcile(
    workspace: Workspace = Path(),
    broker: BrokerOption = None,
    at: At = None,
    accept: Annotated[
        str | None, typer.Option(help="Unlock this symbol: you have looked at what the two disagree about.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> int:
    """Compare the ledger with the broker and lock what they disagree about; nothing is sent. Ends with 1 for a lock."""
    clock = clock_from(at)
    show_logs(clock)
    desk = open_desk(workspace.resolve(), Choices(clock=clock, broker=broker))
    try:
        if accept is not None and not desk.trading.accept(accept.upper()):
            raise BadInput(
                "--accept", "", f"{accept.upper()} is not locked", "name a symbol that reconcile shows as locked"
            )
        rows = desk.trading.reconcile()
        locked = desk.ledger.releases.locked()
        if as_json:
            sys.stdout.write(json_text({"orders": [_document(row, locked) for row in rows]}) + "\n")
        else:
            _show(Console(), rows, locked)
        return int(bool(locked))
    finally:
        desk.close()


def _document(row: Row, locked: Container[str]) -> dict[str, str | bool]:
    return {
        "ticker": row.ticker,
        "client_order_id": row.client_order_id,
        "finding": str(row.finding),
        "reason": row.sentence,
        "locked": row.locks and row.ticker in locked,
    }


def _show(console: Console, rows: list[Row], locked: Container[str]) -> None:
    if not rows:
        console.print("Ledger and broker agree; no order is open.")
        return
    table = Table("Ticker", "Finding", "What", box=box.SIMPLE)
    for row in rows:
        colour = "red" if row.locks and row.ticker in locked else "green"
        table.add_row(row.ticker, f"[{colour}]{row.finding}[/{colour}]", row.sentence)
    console.print(table)


def register(app: typer.Typer) -> None:
    """Add `resume` and `reconcile`."""
    app.command("resume", help=resume.__doc__)(resume)
    app.command("reconcile", help=reconcile.__doc__)(reconcile)
