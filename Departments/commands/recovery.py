"""`departments resume` and `departments reconcile`: the first steps of `run`, on request."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from Departments.bootstrap import Choices, Desk
from Departments.commands.consoles import escape_text
from Departments.commands.frame import print_json, report_errors, use_desk
from Departments.commands.inputs import make_clock
from Departments.commands.options import AsJson, At, BrokerOption, ExchangeFaults, Workspace
from Departments.commands.run import show_document
from Departments.core.errors import BadInput
from Departments.Executive.reporting.document import unexecuted_document
from Departments.Trading.reconciliation import ComparedOrder


def resume(
    workspace: Workspace = Path(),
    broker: BrokerOption = None,
    at: At = None,
    exchange_faults: ExchangeFaults = None,
    *,
    as_json: AsJson = False,
) -> int:
    """Finish an interrupted execution, if there is one."""
    choices = Choices(clock=make_clock(at), broker=broker, exchange_faults=exchange_faults)
    with report_errors(wanted=as_json), use_desk(workspace, choices) as desk:
        resumed = desk.day.resume()
        document = _describe_loose_ends(desk.day.chase()) if resumed is None else resumed.document
        if resumed is None:
            document = desk.reporter.add_issues(document)
        if as_json:
            print_json(document)
        else:
            show_document(Console(), desk, document)
        return int(document["exit_code"])


def _describe_loose_ends(still_open: list[str]) -> dict[str, Any]:
    """Return the document of a resume without an interrupted execution. Open orders need a person."""
    nothing = "no execution was interrupted here"
    if not still_open:
        return unexecuted_document("NOTHING_TO_RESUME", None, nothing)
    mend = "wait and run `departments resume` again, or cancel it at the broker; `departments reconcile` compares both"
    return unexecuted_document("NOTHING_TO_RESUME", None, f"{nothing}, but {'; '.join(still_open)}: {mend}") | {
        "exit_code": 1
    }


def reconcile(
    workspace: Workspace = Path(),
    broker: BrokerOption = None,
    at: At = None,
    accept: Annotated[str | None, typer.Option(help="Unlock this symbol after you have checked it.")] = None,
    *,
    as_json: AsJson = False,
) -> int:
    """Compare the ledger with the broker and lock disputed symbols. Send nothing. Exit code 1 with a lock."""
    with use_desk(workspace, Choices(clock=make_clock(at), broker=broker)) as desk:
        if accept is not None and not desk.trader.accept(accept.upper()):
            raise BadInput(
                "--accept", "", f"{accept.upper()} is not locked", "name a locked symbol from `departments reconcile`"
            )
        return show_comparison(desk, as_json=as_json)


def show_comparison(desk: Desk, *, as_json: bool, **more: str | None) -> int:
    """Compare ledger and broker, show the orders and return the exit code. `more` keys go into the JSON document."""
    rows = desk.trader.reconcile()
    locked = desk.ledger.releases.find_locks()
    if as_json:
        print_json({**more, "orders": [_document(row, locked) for row in rows]})
    else:
        _show(Console(), rows, locked)
    return int(bool(locked))


def _document(row: ComparedOrder, locked: Container[str]) -> dict[str, str | bool]:
    return {
        "ticker": row.symbol,
        "client_order_id": row.client_order_id,
        "finding": str(row.finding),
        "reason": row.sentence,
        "locked": row.is_disputed and row.symbol in locked,
    }


def _show(console: Console, rows: list[ComparedOrder], locked: Container[str]) -> None:
    if not rows:
        console.print("Ledger and broker agree; no order is open.")
        return
    table = Table("Ticker", "Finding", "What", box=box.SIMPLE)
    for row in rows:
        colour = "red" if row.is_disputed and row.symbol in locked else "green"
        table.add_row(escape_text(row.symbol), f"[{colour}]{row.finding}[/{colour}]", escape_text(row.sentence))
    console.print(table)


def register(app: typer.Typer) -> None:
    """Add `resume` and `reconcile`."""
    app.command("resume", help=resume.__doc__)(resume)
    app.command("reconcile", help=reconcile.__doc__)(reconcile)
