"""`departments order`: one trade by hand, through the same checks, approval and phases as a plan."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from Departments.bootstrap import Choices
from Departments.commands.clocks import check_moving_on
from Departments.commands.frame import document_failures, work_at_desk
from Departments.commands.inputs import check_report_folder, make_clock
from Departments.commands.live_view import follow_on_terminal
from Departments.commands.log_files import LogFile, keep_log
from Departments.commands.options import (
    AsJson,
    At,
    BrokerOption,
    ExchangeFaults,
    ExchangePrices,
    ExchangeState,
    Quiet,
    Verbose,
    Workspace,
    choose_level,
)
from Departments.commands.rehearsal import rehearse
from Departments.commands.run import audience_of, show_end
from Departments.commands.seeding import check_exchange_files
from Departments.core.platform.places import locate
from Departments.Executive.day_order import DayOrder
from Departments.Executive.manual_orders import ManualOrder

HELP = """Trade one symbol by hand: `departments order SELL MSFT 10`.

The order is a plan of one trade: the same limits, approval, phases, exits and report. It neither uses up the day's plan
nor is used up by it; `timing_rules.max_manual_orders_per_day` bounds how many there may be. An interrupted order goes
on with `departments resume`, or with the same command. Document and exit codes are those of `departments run`.
"""


def order(  # noqa: PLR0913 - one parameter for each option
    side: Annotated[str, typer.Argument(help="SELL or BUY.")],
    symbol: Annotated[str, typer.Argument(help="The symbol, for example MSFT.")],
    shares: Annotated[str, typer.Argument(help="Whole shares.")],
    workspace: Workspace = Path(),
    exchange_state: ExchangeState = None,
    exchange_faults: ExchangeFaults = None,
    broker: BrokerOption = None,
    *,
    reason: Annotated[str, typer.Option(help="The reason, in one line; plan and report show it.")] = "",
    prices: ExchangePrices = None,
    approve: Annotated[Literal["ask", "auto"] | None, typer.Option(help="Ask a person, or approve at once.")] = None,
    at: At = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show plan, checks and funding; send nothing.")] = False,
    live: Annotated[bool, typer.Option("--live", help="One of the three switches for a live account.")] = False,
    via_watchers: Annotated[
        bool, typer.Option("--via-watchers", help="Leave Trading's inbox to a running watcher.")
    ] = False,
    log_file: LogFile = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: AsJson = False,
) -> int:
    """Trade one symbol by hand."""
    keep_log(log_file, workspace)
    level = choose_level(quiet=quiet, verbose=verbose)
    with document_failures(), ExitStack() as stack:
        wanted = ManualOrder.read(side, symbol, shares, reason)
        choices = Choices(
            clock=make_clock(at, side_by_side=via_watchers),
            broker=broker,
            exchange_state=exchange_state,
            exchange_faults=exchange_faults,
            exchange_prices=prices,
            live=live,
            via_watchers=via_watchers,
        )
        if dry_run:
            copied = stack.enter_context(rehearse(locate(workspace), choices.clock.now()))
            choices = replace(choices, rehearsal=copied)
        desk = stack.enter_context(work_at_desk(workspace, "order", choices, level))
        stack.enter_context(desk.announcer.telling_failures())
        check_exchange_files(desk)
        check_moving_on(desk)
        _ = desk.settings, desk.limits
        check_report_folder(desk.workspace / "Reports")
        audience = audience_of(approve or desk.settings.approve, as_json=as_json)
        with follow_on_terminal(desk, wanted=not quiet) as observe:
            document = replace(desk.day, observe=observe).run(DayOrder(dry_run=dry_run, by_hand=wanted), audience)
        code = show_end(desk, document, as_json=as_json)
        desk.announcer.tell_end(document)
        return code


def register(app: typer.Typer) -> None:
    """Add `order`."""
    settings = {"ignore_unknown_options": True}  # so that -5 is a number of shares, and refused as one
    app.command("order", help=HELP, context_settings=settings)(order)
