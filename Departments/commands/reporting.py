"""`departments report`: the report of a day as a page, Markdown or JSON."""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

import typer

from Departments.bootstrap import Choices, Desk
from Departments.commands.clocks import look_at_own_time
from Departments.commands.consoles import open_console
from Departments.commands.frame import print_json, use_desk
from Departments.commands.inputs import make_clock
from Departments.commands.options import AsJson, At, BrokerOption, Workspace, read_days
from Departments.core.errors import BadInput, BrokerError
from Departments.core.logs import make_logger
from Departments.core.plans import TradingPlan
from Departments.core.quotes import Bar
from Departments.core.safe_text import make_safe
from Departments.Executive.approvals import load_plan

Format = Literal["html", "md", "json"]
HELP = """Show the report of a day: as a page with pictures, as Markdown, or as JSON.

Without a day it is that of the last execution, also of one that still runs. `html` writes `Reports/<plan_id>.html`
again, from what the ledger holds now, and names the file; `--open` shows it in the browser. `md` and `json` go to
standard output. The JSON document is that of `departments run --json` with `page` beside it: title, cash from fill to
fill, prices against the plan, weights, limits, positions, regime and messages. Nothing is sent, and the ledger stays
as it is.

`--from` and `--to` make a tear sheet over days, `Reports/TEAR_SHEET_<first>_<last>.html`: equity with deposits, growth
beside SPY, drawdown, best and worst day, cash and reserve, deployment, turnover, slippage, realised profit, reasons,
and the days run and missed. SPY's bars are those of `regime.spy_bars`, else the broker's.
"""
SPY = "SPY"
log = make_logger(__name__)
SHOWN = 5  # known days in the sentence about an unknown one


def report(  # noqa: PLR0913 - one parameter for each option
    which: Annotated[
        str | None, typer.Argument(metavar="DAY|PLAN_ID", help="Such as 2025-11-10, or PLAN_20251110_150542.")
    ] = None,
    workspace: Workspace = Path(),
    form: Annotated[Format, typer.Option("--format", help="A page, Markdown, or JSON.")] = "html",
    first: Annotated[str | None, typer.Option("--from", metavar="DAY", help="A tear sheet from this day on.")] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DAY", help="A tear sheet up to this day.")] = None,
    broker: BrokerOption = None,
    at: At = None,
    *,
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    as_json: AsJson = False,
) -> int:
    """Show a report."""
    form = "json" if as_json else form
    if show and form != "html":
        raise BadInput("--open", "", f"a browser shows pages, not {form}", "leave --format out")
    is_sheet = first is not None or last is not None
    if is_sheet and which is not None:
        raise BadInput("--from", "", "a tear sheet is of many days", "leave out the day or the plan")
    bounds = read_days(first, last)
    choices = look_at_own_time(workspace, Choices(clock=make_clock(at), broker=broker))
    with use_desk(workspace, choices) as desk:
        if is_sheet:
            _show_tear_sheet(desk, bounds, form, in_browser=show)
            return 0
        plan = _find_plan(desk, which)
        if form == "json":
            print_json(desk.pages.document(plan))
        elif form == "md":
            sys.stdout.write(desk.reporter.report(plan).text)
        else:
            show_page(desk.pages.write(plan.plan_id), in_browser=show)
    return 0


def _show_tear_sheet(desk: Desk, bounds: tuple[date | None, date | None], form: Format, *, in_browser: bool) -> None:
    from Departments.Executive.overview.past_days import read_history  # noqa: PLC0415 - only for a tear sheet
    from Departments.Executive.reporting.tear_sheet import make_tear_sheet, tear_sheet_text  # noqa: PLC0415

    first, last = bounds
    history = read_history(desk.ledger, first, last) if desk.ledger_path.exists() else None
    if history is None or not history.days:
        raise BadInput(
            "--from", "", "no day of the ledger is within these bounds", "departments history names the days"
        )
    sheet = make_tear_sheet(history, desk.ledger, _read_spy(desk), first=first, last=last)
    if form == "json":
        print_json(sheet)
    elif form == "md":
        sys.stdout.write(tear_sheet_text(sheet))
    else:
        show_page(desk.pages.write_tear_sheet(sheet), in_browser=in_browser)


def _read_spy(desk: Desk) -> Sequence[Bar]:
    """Return SPY's daily bars from the file of the settings, else the broker's; none where neither has any."""
    from Departments.Regime.bar_files import read_bars  # noqa: PLC0415 - only for a tear sheet

    file = desk.settings.regime.spy_bars
    if file is not None:
        return read_bars(desk.workspace / file, SPY)
    try:
        return desk.spy_bars()
    except (BrokerError, BadInput) as error:
        log.warning("SPY is left out: %s", error)
        return ()


def show_page(path: Path, *, in_browser: bool) -> None:
    """Name the file of a page, and open it in the browser if that is wanted."""
    open_console().print(f"Page: {make_safe(path)}", highlight=False, markup=False, soft_wrap=True)
    if in_browser and not webbrowser.open(path.resolve().as_uri()):
        raise BadInput("--open", "", "no browser was found here", f"open {path} yourself")


def _find_plan(desk: Desk, which: str | None) -> TradingPlan:
    """Return the executed plan of an id or a day, else the last one. Raises BadInput naming those that are known."""
    plans = desk.ledger.plans if desk.ledger_path.exists() else None
    runs = [] if plans is None else plans.executions()
    if plans is None or not runs:
        raise BadInput(desk.workspace, "", "nothing was executed here yet", "departments run executes a day")
    if which is None:
        return load_plan(plans, runs[-1].plan_id)
    named = [run for run in runs if run.plan_id == which]
    found = named or [run for run in runs if run.trading_day == _read_day(which)]
    own = [run for run in found if not run.by_hand] or found  # an order by hand is not the day's plan
    if not own:
        days = ", ".join(sorted({run.trading_day.isoformat() for run in runs})[-SHOWN:])
        raise BadInput("DAY|PLAN_ID", "", f"the ledger has no execution of {which}", f"the last days are {days}")
    return load_plan(plans, own[-1].plan_id)


def _read_day(text: str) -> date | None:
    """Read a day, None for what is none: then it is the id of a plan."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def register(app: typer.Typer) -> None:
    """Add `report`."""
    app.command("report", help=HELP)(report)
