"""`departments run`: the day on the user's own briefing, account and limits."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from Departments.bootstrap import Choices, Desk
from Departments.commands.clocks import check_moving_on
from Departments.commands.consoles import open_console
from Departments.commands.frame import document_failures, print_json, work_at_desk
from Departments.commands.inputs import make_clock, read_day_order
from Departments.commands.live_view import follow_on_terminal
from Departments.commands.log_files import LogFile, keep_log
from Departments.commands.opening import read_earliest, wait
from Departments.commands.options import (
    AsJson,
    At,
    BriefingFile,
    BrokerOption,
    ExchangeFaults,
    ExchangePrices,
    ExchangeState,
    Fill,
    PlanFile,
    Quiet,
    Reseed,
    SizesOfPlan,
    Verbose,
    Workspace,
    choose_level,
)
from Departments.commands.rehearsal import rehearse
from Departments.commands.seeding import check_exchange_files
from Departments.core.approvers import AUTOMATIC, ApprovalPlace, Approver
from Departments.core.documents import json_text
from Departments.core.errors import EXIT_CODES
from Departments.core.logs import make_logger
from Departments.core.plans import TradingPlan
from Departments.core.platform.places import locate
from Departments.core.platform.users import name_user
from Departments.core.safe_text import make_safe
from Departments.Executive.reporting.document_shape import DOCUMENT_SHAPE
from Departments.Executive.reporting.run_cash import lowest_cash_with_buys_first
from Departments.Executive.reporting.terminal import (
    show_cash,
    show_changes,
    show_final,
    show_issues,
    show_plan,
    show_review,
)

log = make_logger(__name__)

HELP = f"""Plan, approve, execute in phases and report: SELLs, wait, BUYs from real cash, wait.

With `--json` exactly one document goes to standard output and the log to standard error. Quantities and money are
strings:

```
{json_text(dict(DOCUMENT_SHAPE))}
```

Exit codes: {" · ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items())}.
"""


@dataclass(frozen=True, slots=True)
class TerminalAudience:
    """Shows the plan to a person and asks for approval, or approves by setting."""

    console: Console
    approve: str

    @property
    def approver(self) -> Approver:
        """Return the setting, or the user at the terminal."""
        return AUTOMATIC if self.approve == "auto" else Approver(name_user(), ApprovalPlace.TERMINAL)

    def see_plan(self, plan: TradingPlan, review: Mapping[str, Any]) -> None:
        """Print plan and review."""
        show_plan(self.console, plan)
        show_review(self.console, review)

    def objection(self, plan: TradingPlan) -> str | None:
        """Ask on the terminal. Without a terminal only `--approve auto` approves."""
        if self.approve == "auto":
            return None
        if not sys.stdin.isatty():
            by_name = f"approve it by departments approve {make_safe(plan.plan_id)}"
            return f"nobody can approve the plan here; {by_name}, use a terminal, or add --approve auto"
        return None if typer.confirm(f"Execute {make_safe(plan.plan_id)}?", err=True) else "the plan was not approved"


def run(  # noqa: PLR0913, PLR0917 - one parameter for each option
    workspace: Workspace = Path(),
    briefing: BriefingFile = None,
    plan: PlanFile = None,
    exchange_state: ExchangeState = None,
    exchange_faults: ExchangeFaults = None,
    prices: ExchangePrices = None,
    broker: BrokerOption = None,
    sizes: SizesOfPlan = "keep",
    approve: Annotated[Literal["ask", "auto"] | None, typer.Option(help="Ask a person, or approve at once.")] = None,
    *,
    at: At = None,
    fill: Fill = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show plan, checks and funding; send nothing.")] = False,
    live: Annotated[bool, typer.Option("--live", help="One of the three switches for a live account.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Execute a second plan today.")] = False,
    via_watchers: Annotated[
        bool, typer.Option("--via-watchers", help="Leave Trading's inbox to a running watcher.")
    ] = False,
    wait_for_open: Annotated[
        bool, typer.Option("--wait-for-open", help="Wait for the opening, if the market opens within 18 hours.")
    ] = False,
    not_before: Annotated[
        str | None,
        typer.Option(metavar="HH:MM", help="Wait for this time in New York; then for an opening of today alone."),
    ] = None,
    reseed: Reseed = False,
    log_file: LogFile = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: AsJson = False,
) -> int:
    """Run the day's job."""
    keep_log(log_file, workspace)
    level = choose_level(quiet=quiet, verbose=verbose)
    clock = make_clock(at, side_by_side=via_watchers)
    choices = Choices(
        clock=clock,
        broker=broker,
        exchange_state=exchange_state,
        exchange_faults=exchange_faults,
        exchange_prices=prices,
        live=live,
        via_watchers=via_watchers,
    )
    with document_failures(), ExitStack() as stack:
        earliest = read_earliest(not_before)
        if dry_run:
            choices = replace(choices, rehearsal=stack.enter_context(rehearse(locate(workspace), clock.now())))
        desk = stack.enter_context(work_at_desk(workspace, "run", choices, level))
        stack.enter_context(desk.announcer.telling_failures())
        check_exchange_files(desk, reseed=reseed)
        check_moving_on(desk)
        if not dry_run:
            wait(desk, earliest, for_open=wait_for_open or desk.settings.wait_for_open)
        order = replace(read_day_order(desk, briefing, plan, dry_run=dry_run, sizes=sizes, fill=fill), force=force)
        with follow_on_terminal(desk, wanted=not quiet) as observe:
            audience = audience_of(approve or desk.settings.approve, as_json=as_json)
            document = replace(desk.day, observe=observe).run(order, audience)
        code = show_end(desk, document, as_json=as_json)
        desk.announcer.tell_end(document)
        return code


def audience_of(approve: str, *, as_json: bool) -> TerminalAudience:
    """Return the person at the terminal, asked on standard error beside a JSON document."""
    return TerminalAudience(Console(stderr=True, quiet=approve == "auto") if as_json else open_console(), approve)


def show_end(desk: Desk, document: Mapping[str, Any], *, as_json: bool) -> int:
    """Show the final document of a day, write its page, and return the exit code."""
    screen = None if as_json else open_console()
    if screen is None:
        print_json(document)
    else:
        show_document(screen, desk, document)
    write_page(screen, desk, document)
    return int(document["exit_code"])


def write_page(screen: Console | None, desk: Desk, document: Mapping[str, Any]) -> None:
    """Write the page of an executed plan, after everything else was said. Names it on the `screen`."""
    if not document["phases"] or document["status"] == "DRY_RUN":
        return
    page = desk.pages.write_after_day(document["plan_id"])
    if page is not None and screen is not None:
        screen.print(f"Page: {make_safe(page)}", highlight=False, markup=False, soft_wrap=True)


def show_document(screen: Console, desk: Desk, document: Mapping[str, Any]) -> None:
    """Show a final document to a person."""
    if "message" in document:
        message = make_safe(document["message"])
        screen.print(f"{document['status']}: {message}", highlight=False, markup=False, soft_wrap=True)
    if not document["phases"]:
        show_issues(screen, document)
        return
    show_changes(screen, document)
    show_final(screen, document)
    show_issues(screen, document)
    if document["status"] == "DRY_RUN":
        return
    run = desk.ledger.plans.execution(document["plan_id"])
    fills = desk.ledger.execution_fills(run) if run else []
    show_cash(screen, document, lowest_cash_with_buys_first(Decimal(document["account"]["cash_before"]), fills))
    report = desk.workspace / "Reports" / f"{document['plan_id']}.md"
    screen.print(f"Report: {make_safe(report)}", highlight=False, markup=False, soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add `run`."""
    app.command("run", help=HELP)(run)
