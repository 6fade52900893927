"""`departments status`: what the desk holds and does, and what a person has to look at."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from Departments.bootstrap import Choices, Desk
from Departments.commands.consoles import open_console
from Departments.commands.frame import print_json, use_desk
from Departments.commands.inputs import make_clock
from Departments.commands.looks import look_only
from Departments.commands.options import AsJson, At, BrokerOption, Workspace
from Departments.core.moments import show_moment
from Departments.core.money import count_noun, percent, plain, usd, usd_cents
from Departments.core.plans import count_sides
from Departments.core.safe_text import make_safe
from Departments.Executive.overview.holdings import HeldPosition
from Departments.Executive.overview.problems import CLOSED, exit_code_of, find_problems
from Departments.Executive.overview.standing import DeskStanding, Problem, standing_document

HELP = """Show the last run, today's plan, what runs now, positions and their exits, and what needs a person.

It sends and changes nothing. Exit codes for monitoring: 0 fine, 1 somebody has to look (each line has its mend), 5
fine and the market is closed; 1 outranks 5. `--watch` looks again every few seconds until Ctrl-C, and ends with the
last code. In a workspace, `departments` without a command is this one.
"""
SECONDS = 5.0  # between two looks; a look is four questions to the broker


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the desk: its standing, what needs a person, the exit code."""

    standing: DeskStanding
    problems: list[Problem]

    @property
    def exit_code(self) -> int:
        """Return the code for a monitor."""
        return exit_code_of(self.standing, self.problems)

    def document(self) -> dict[str, Any]:
        """Return it for programs."""
        return standing_document(self.standing, self.problems, self.exit_code)


def status(
    workspace: Workspace = Path(),
    broker: BrokerOption = None,
    at: At = None,
    *,
    live: Annotated[bool, typer.Option("--live", help="One of the three switches for a live account.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Look again every few seconds, until Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> int:
    """Show the standing of the desk."""
    with ExitStack() as stack:
        choices = Choices(clock=make_clock(at), broker=broker, live=live)
        desk = stack.enter_context(use_desk(workspace, look_only(workspace, choices, stack)))
        if watch:
            return _watch(desk, as_json=as_json)
        look = take_look(desk)
        if as_json:
            print_json(look.document())
        else:
            _print(look)
        return look.exit_code


def take_look(desk: Desk) -> Look:
    """Read the standing of a desk, and what needs a person."""
    standing = _name_the_workspace(desk, desk.standing.read())
    return Look(standing, find_problems(standing))


def _name_the_workspace(desk: Desk, standing: DeskStanding) -> DeskStanding:
    """Name the workspace where a look read copies: a person has to mend the original."""
    copies = desk.choices.rehearsal
    if copies is None:
        return standing
    found = [
        replace(each, sentence=each.sentence.replace(str(copies), str(desk.workspace))) for each in standing.troubles
    ]
    return replace(standing, troubles=tuple(found))


def _watch(desk: Desk, *, as_json: bool) -> int:
    """Look until Ctrl-C: live on a terminal, else a new text or JSON line after each change."""
    code, screen = CLOSED, open_console()
    with suppress(KeyboardInterrupt):
        if as_json or not screen.is_terminal:
            for look in _list_changes(_list_looks(desk)):
                code = look.exit_code
                _print(look, as_line=as_json)
            return code
        with Live(console=screen, screen=True, auto_refresh=False) as live:
            for look in _list_looks(desk):
                code = look.exit_code
                live.update(draw(look, screen), refresh=True)
    return code


def _list_looks(desk: Desk) -> Iterator[Look]:
    while True:
        yield take_look(desk)
        desk.clock.sleep(SECONDS)


def _list_changes(looks: Iterator[Look]) -> Iterator[Look]:
    """Yield the looks that differ from the one before in more than the time."""
    before: dict[str, Any] = {}
    for look in looks:
        document = look.document() | {"at": ""}
        if document != before:
            yield look
        before = document


def _print(look: Look, *, as_line: bool = False) -> None:
    if as_line:
        sys.stdout.write(json.dumps(look.document()) + "\n")
        sys.stdout.flush()
    else:
        screen = open_console()
        screen.print(draw(look, screen), crop=screen.is_terminal)


# --- the picture ---


def draw(look: Look, screen: Console) -> RenderableType:
    """Return the picture of a look for a terminal; elsewhere a sentence stays one line."""
    standing = look.standing
    lines = Table.grid(padding=(0, 2))
    lines.add_column(style="bold", no_wrap=True)
    lines.add_column(overflow="fold")
    for name, text in _list_lines(standing):
        lines.add_row(name, Text(make_safe(text)))
    parts: list[RenderableType] = [lines]
    if standing.progress is not None and standing.progress.open_orders:
        parts.append(_draw_orders(standing))
    if standing.holdings:
        parts.append(draw_holdings(standing.holdings))
    parts.extend(_draw_problems(look.problems, wraps=screen.is_terminal))
    return Group(*parts)


def _list_lines(standing: DeskStanding) -> Iterator[tuple[str, str]]:
    market, kind = standing.market, ", LIVE" if standing.is_live else ""
    is_open = standing.has_open_market
    until = f"open until {show_moment(market.next_close)}"
    hours = until if is_open else f"closed, opens {show_moment(market.next_open)}"
    yield "Now", f"{show_moment(standing.now)}, {standing.broker}{kind}; the market is {hours}"
    if standing.issues.halts:
        yield "Halt", standing.issues.halts[0]["sentence"]
    yield "Last run", _describe_last(standing)
    if standing.progress is not None:
        yield "Running", _describe_progress(standing)
    yield "Plan", _describe_plan(standing)
    if standing.money is not None:
        money = standing.money
        beside = f"beside a reserve of {usd_cents(money.reserve)}, equity {usd_cents(money.equity)}"
        yield "Cash", f"{usd_cents(money.cash)} {beside}"
    yield "Briefing", _describe_briefing(standing)
    if standing.next_run is not None:
        yield "Next run", f"due {show_moment(standing.next_run)}"


def _describe_last(standing: DeskStanding) -> str:
    run = standing.last_run
    if run is None or run.ended_at is None:
        return "none yet"
    again = f", attempt {run.attempt}" if run.attempt > 1 else ""
    return f"{run.status}, {show_moment(run.ended_at)}, {run.plan_id}{again}"


def _describe_progress(standing: DeskStanding) -> str:
    progress = standing.progress
    if progress is None:
        return ""
    phase = progress.phase
    if phase is None:
        return progress.sentence
    ended, sent = progress.count(phase)
    until = show_moment(phase.deadline, seconds=True)
    return f"{progress.sentence}, {progress.place}: {ended} of {sent} ended, until {until}"


def _describe_plan(standing: DeskStanding) -> str:
    known = standing.plan
    if known is None:
        return "none of today"
    plan = known.plan
    names = ", ".join(each.approved_by for each in known.approvals)
    by = f" (approved by {names})" if names else ""
    trades = count_sides(len(plan.sells), len(plan.buys))
    where = f", {known.progress.place}" if known.progress is not None and known.progress.place else ""
    mend = f"; approve it by: departments approve {plan.plan_id}" if known.state == "not approved" else ""
    return f"{plan.plan_id} of {show_moment(plan.generated_at)}, {trades}, {known.state}{where}{by}{mend}"


def _describe_briefing(standing: DeskStanding) -> str:
    found = standing.briefing
    if found.trouble:
        return "cannot be used"
    if found.message_id:
        return found.message_id + ("" if found.at is None else f" of {show_moment(found.at)}")
    return "none of today; the hook makes it" if found.is_made_by_hook else "none of today"


def _draw_orders(standing: DeskStanding) -> Table:
    table = Table("Order", "Ticker", "Status", title="Open orders", title_justify="left", box=box.SIMPLE)
    for trade in standing.progress.open_orders if standing.progress else ():
        table.add_row(f"{trade.side} {plain(trade.qty)}", make_safe(trade.symbol), make_safe(trade.status))
    return table


def draw_holdings(holdings: Iterable[HeldPosition]) -> Table:
    """Return the table of positions; those with shares that have no exits are red."""
    table = Table(title="Positions", title_justify="left", box=box.SIMPLE, pad_edge=False, show_edge=False)
    table.add_column("Ticker", no_wrap=True)
    for name in ("Shares", "Price", "Value", "Weight", "Profit", "", "Stop", "Target"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in holdings:
        cells = (Text(make_safe(cell)) for cell in _holding_cells(each))
        table.add_row(*cells, style="red" if each.unprotected else None)
    return table


def _holding_cells(each: HeldPosition) -> list[str]:
    position, profit, share = each.position, each.profit, each.profit_share
    stop, target = (None if price is None else usd_cents(price) for price in (each.exits.stop, each.exits.target))
    return [
        position.symbol,
        plain(position.qty),
        usd_cents(position.price),
        usd(position.market_value),
        "" if each.weight is None else percent(each.weight),
        "unknown" if profit is None else usd(profit),
        "" if share is None else percent(share),
        stop or "none",
        target or "none",
    ]


def _draw_problems(problems: list[Problem], *, wraps: bool) -> list[Text]:
    if not problems:
        return [Text("Nothing needs a person.", "green")]
    title = f"{count_noun(len(problems), 'thing', 'need')} a person:"
    lines = (Text(f"- {make_safe(each.text)}", "yellow", no_wrap=not wraps, overflow="ignore") for each in problems)
    return [Text(title, "red"), *lines]


def register(app: typer.Typer) -> None:
    """Add `status`."""
    app.command("status", help=HELP)(status)
