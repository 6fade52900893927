"""The options shared by several commands."""

from __future__ import annotations

import logging
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

import typer

from Departments.bootstrap import LEDGER_FILE, MESSAGES
from Departments.brokers.registry import BROKERS
from Departments.core.errors import BadInput
from Departments.core.platform.places import locate

MARKS = ("config", "Config", MESSAGES, LEDGER_FILE)  # a workspace has one of them


def check_broker(name: str | None) -> str | None:
    """Check and return a broker's name. Raises typer.BadParameter for an unknown one."""
    names = [row.name for row in BROKERS]
    if name is None or name in names:
        return name
    raise typer.BadParameter(f"{name!r} is not one of {', '.join(map(repr, names))}")


def check_workspace(folder: Path) -> Path:
    """Return the folder of a workspace as it is. Raises BadInput for any other folder.

    In the wrong folder an empty list would reassure, and a new ledger mislead.
    """
    place = locate(folder)
    if not place.exists():
        raise BadInput(place, "", "there is no such folder", "make it by `departments init`, or correct --workspace")
    if not place.is_dir():
        raise BadInput(place, "", "is a file, not a workspace", "name a folder by --workspace")
    if not any((place / mark).exists() for mark in MARKS):
        problem = f"is not a workspace: it has neither config nor {MESSAGES}"
        raise BadInput(place, "", problem, "make it one by `departments init`, or name another by --workspace")
    return folder


Workspace = Annotated[Path, typer.Option(help="The folder to work in.", callback=check_workspace)]
#: A workspace that may not be there yet, or that only some uses of a command need.
AnyFolder = Annotated[Path, typer.Option("--workspace", help="The folder to work in.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
BrokerOption = Annotated[
    str | None,
    typer.Option(help="Which broker.", metavar=f"<{'|'.join(row.name for row in BROKERS)}>", callback=check_broker),
]
At = Annotated[str | None, typer.Option(help="Start a simulated clock at this ISO time.")]
BriefingFile = Annotated[Path | None, typer.Option(help="A DailyBriefing message to plan from.")]
PlanFile = Annotated[Path | None, typer.Option("--plan", help="An existing proposed_trades_*.json to check and trade.")]
SizesOfPlan = Annotated[
    Literal["keep", "resize"],
    typer.Option("--sizes", help="With --plan: keep its sizes (limits and cash still cut), or resize to the target."),
]
Fill = Annotated[bool, typer.Option("--fill", help="With --plan: let candidates of the day's briefing fill it up.")]
ExchangeState = Annotated[
    Path | None, typer.Option(help="YAML or JSON (cash, positions, prices) to seed the simulated exchange.")
]
ExchangePrices = Annotated[
    Path | None,
    typer.Option("--prices", help="Prices or daily bars (YAML, JSON, CSV) for the simulated exchange."),
]
Reseed = Annotated[bool, typer.Option("--reseed", help="Replace the simulated exchange; its old file is kept.")]
ExchangeFaults = Annotated[Path | None, typer.Option(help="A fault script for the simulated exchange.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show warnings and the end only.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show debug lines too, and the room of each line.")]


def choose_level(*, quiet: bool, verbose: bool) -> int:
    """Return the level of the log that is shown. Raises typer.BadParameter for both options together."""
    if quiet and verbose:
        raise typer.BadParameter("-q and -v contradict each other; keep one")
    return logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO


def read_day(option: str, text: str | None) -> date | None:
    """Return the day of an option. Raises BadInput."""
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError as error:
        raise BadInput(option, "", f"{text!r} is not a day", "write it like 2025-11-10") from error


def read_days(first: str | None, last: str | None) -> tuple[date | None, date | None]:
    """Return the days of --from and --to. Raises BadInput, also for a first day after the last."""
    begin, end = read_day("--from", first), read_day("--to", last)
    if begin is not None and end is not None and begin > end:
        raise BadInput("--from", "", f"{begin} is after --to {end}", "exchange the two")
    return begin, end
