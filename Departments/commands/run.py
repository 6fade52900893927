"""`departments run`: the day's job on the user's own briefing, account and limits."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from Departments.bootstrap import Choices, Desk, open_desk
from Departments.commands.logs import show_logs
from Departments.core.clock import Clock, SimulatedClock, SystemClock, parse_iso
from Departments.core.documents import json_text
from Departments.core.errors import BadInput, UnreadableMessage
from Departments.core.plans import TradingPlan, plan_from
from Departments.core.settings import read_json
from Departments.Executive.daily import DayOrder, run_day
from Departments.Executive.reporting.document import DOCUMENT_SHAPE, lowest_cash_with_buys_first
from Departments.Executive.reporting.terminal import show_cash, show_final, show_plan
from Departments.messaging import codec
from Departments.messaging.message import Message

HELP = f"""Plan, approve, execute in phases and report: SELLs, wait, BUYs from the cash that is there, wait.

With `--json` one document goes to standard output and the log to standard error. Quantities and money are strings:

```
{json_text(dict(DOCUMENT_SHAPE))}
```

Exit codes: 0 done (or done before) · 1 something needs a person · 2 bad input · 3 ledger, lock or disk · 4 broker.
"""


@dataclass(frozen=True, slots=True)
class TerminalAudience:
    """Shows the plan to a person and asks, or approves by setting."""

    console: Console
    approve: str
    quiet: bool

    def see_plan(self, plan: TradingPlan, review: Mapping[str, Any]) -> None:
        """Print plan and review."""
        if self.quiet:
            return
        show_plan(self.console, plan)
        self.console.print(f"Review: {review['quality_rating']}/10, {review['recommendation']}", highlight=False)
        for concern in review["concerns"]:
            self.console.print(f"  concern: {concern}", highlight=False, style="yellow")

    def approves(self, plan: TradingPlan) -> bool:
        """Ask on the terminal; without one, and without `--approve auto`, nothing is approved."""
        if self.approve == "auto":
            return True
        return sys.stdin.isatty() and typer.confirm(f"Execute {plan.plan_id}?", err=True)


def run(  # noqa: PLR0913 - one parameter for each option
    workspace: Annotated[Path, typer.Option(help="The folder to work in.")] = Path(),
    briefing: Annotated[Path | None, typer.Option(help="A DailyBriefing message to plan from.")] = None,
    plan: Annotated[Path | None, typer.Option(help="An existing proposed_trades_*.json to check and resize.")] = None,
    exchange_state: Annotated[
        Path | None, typer.Option(help="YAML or JSON (cash, positions, prices) that seeds the simulated exchange.")
    ] = None,
    exchange_faults: Annotated[Path | None, typer.Option(help="A fault script for the simulated exchange.")] = None,
    broker: Annotated[Literal["simulated", "alpaca"] | None, typer.Option(help="Which broker.")] = None,
    approve: Annotated[Literal["ask", "auto"] | None, typer.Option(help="Ask a person, or approve at once.")] = None,
    at: Annotated[str | None, typer.Option(help="Start a simulated clock at this ISO time.")] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show plan, checks and funding; send nothing.")] = False,
    live: Annotated[bool, typer.Option("--live", help="One of the three switches for a live account.")] = False,
    via_watchers: Annotated[
        bool, typer.Option("--via-watchers", help="Leave Trading's inbox to a running watcher.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> int:
    """Run the day's job."""
    clock = clock_from(at)
    choices = Choices(
        clock=clock,
        broker=broker,
        exchange_state=exchange_state,
        exchange_faults=exchange_faults,
        live=live,
        via_watchers=via_watchers,
    )
    show_logs(clock)
    desk = open_desk(workspace.resolve(), choices)
    try:
        order = day_order(desk, briefing, plan, dry_run=dry_run)
        return carry_out(desk, order, approve or desk.settings.approve, as_json=as_json)
    finally:
        desk.close()


def clock_from(at: str | None) -> Clock:
    """Return the machine's clock, or a simulated one that starts at an ISO time. Raises BadInput."""
    if at is None:
        return SystemClock()
    try:
        start: datetime = parse_iso(at)
    except ValueError as error:
        raise BadInput("--at", "", f"{at!r} is not an ISO time", "write 2025-11-10T15:05:42Z") from error
    return SimulatedClock(start)


def day_order(desk: Desk, briefing: Path | None, plan: Path | None, *, dry_run: bool) -> DayOrder:
    """Read and check the files a day starts from, before anything is done. Raises BadInput."""
    _ = desk.settings, desk.limits
    document = None if plan is None else read_json(plan)
    if plan is not None and document is not None:
        plan_from(document, str(plan))
    message_id = None if briefing is None else _delivered(desk, briefing)
    return DayOrder(message_id, document, dry_run)


def _delivered(desk: Desk, path: Path) -> str:
    message = _briefing(path)
    desk.operations.accept_briefing(message)
    return message.message_id


def _briefing(path: Path) -> Message:
    try:
        message = codec.decode(path.read_bytes(), name=path.name)
    except FileNotFoundError as error:
        raise BadInput(path, "", "there is no such file", "name a DailyBriefing message") from error
    except UnreadableMessage as error:
        raise BadInput(path, "", f"is not a message ({error})", "name a DailyBriefing message") from error
    if message.message_type != "DailyBriefing":
        raise BadInput(path, "message_type", f"is {message.message_type}", "name a DailyBriefing message")
    return message


def carry_out(desk: Desk, order: DayOrder, approve: str, *, as_json: bool) -> int:
    """Do the day's job and show it; return the exit code."""
    console = Console(soft_wrap=False)
    document = run_day(desk.ceo, order, TerminalAudience(console, approve, quiet=as_json))
    if as_json:
        sys.stdout.write(json_text(document) + "\n")
    else:
        _show(console, desk, document)
    return int(document["exit_code"])


def _show(console: Console, desk: Desk, document: Mapping[str, Any]) -> None:
    if "message" in document:
        console.print(f"{document['status']}: {document['message']}", highlight=False)
    if not document["phases"]:
        return
    show_final(console, document)
    if document["status"] == "DRY_RUN":
        return
    fills = desk.ledger.orders.fills(document["plan_id"])
    show_cash(console, document, lowest_cash_with_buys_first(Decimal(document["account"]["cash_before"]), fills))
    report = desk.workspace / "Reports" / f"{document['plan_id']}.md"
    console.print(f"Report: {report}", highlight=False, soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add `run`."""
    app.command("run", help=HELP)(run)
