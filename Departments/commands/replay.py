"""`departments replay`: past days on the simulated exchange, through the same departments as `run`."""

from __future__ import annotations

import csv
import io
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table

from Departments.commands.consoles import escape_text, open_console
from Departments.commands.demo import find_config
from Departments.commands.frame import print_json, show_logs
from Departments.commands.options import AsJson, read_days
from Departments.constraints.limits import limits_file, load_limits
from Departments.core.errors import BadInput
from Departments.core.money import decimal_of
from Departments.core.platform.atomic_files import write_atomically
from Departments.core.platform.clock import SystemClock
from Departments.core.platform.places import locate
from Departments.core.safe_text import make_safe
from Departments.replays import FailedDay, PastDays, read_past_days, replay


def replay_days(  # noqa: PLR0913 - one parameter for each option
    folder: Annotated[Path, typer.Argument(help="DailyBriefing messages, and proposed_trades_*.json beside them.")],
    workspace: Annotated[
        Path | None, typer.Option(help="An empty folder for the days' workspaces; by default they are removed.")
    ] = None,
    equity: Annotated[str, typer.Option(help="Equity of each morning in dollars.")] = "100000",
    first: Annotated[str | None, typer.Option("--from", help="The first day, such as 2025-11-03.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="The last day.")] = None,
    *,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Also write the days to this CSV file.")] = None,
    against: Annotated[
        Path | None, typer.Option(help="Replay the days with this limits file too, and show both side by side.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the log of every day.")] = False,
    as_json: AsJson = False,
) -> int:
    """Replay past days, each with its own clock, account and prices. Limits come from this folder.

    `--json` prints `{days: [{date, planned, skipped: {CODE: n}, denied: {CODE: n}, filled, deployment, target_met,
    binding, turnover}], total: {planned, skipped, denied, filled, deployment, turnover}}`,
    `failed: [{date, file, message}]` for days that could not run, `superseded: [{date, file}]` for briefings with a
    newer one of their day, and with `--against FILE` `against: {file, days, total, failed}`, the same days with its
    limits. Turnover is the smaller of a plan's BUYs and SELLs, as a share of equity. The exit code is 0 if every day
    ran.
    """
    if verbose:
        show_logs(SystemClock())
    amount = _parse_equity(equity)
    _check_files(csv_file, against)
    bounds = read_days(first, last)
    past = read_past_days(folder).between(*bounds)
    here = Path.cwd() if limits_file(Path.cwd()).exists() else find_config().parent
    other: Mapping[str, Any] | None = None
    beside: list[FailedDay] = []
    with _days_folder(workspace) as where:
        result, not_run = replay(past.days, where, here, amount)
        if against is not None:
            other, beside = replay(past.days, where / "against", here, amount, against.absolute())
            other = {"file": str(against), **other, "failed": [f.document() for f in beside]}
    failed = sorted((*past.failed, *not_run), key=lambda f: (f.day, f.source))
    if csv_file is not None:
        write_atomically(csv_file, _csv_text(result["days"], other))
    if as_json:
        print_json(_document(result, failed, past, other))
    else:
        _show(result, other, len(past.superseded))
    _name_failures(failed, "")
    _name_failures(beside, f" with {against}")
    return max((f.exit_code for f in (*failed, *beside)), default=0)


def _document(
    result: Mapping[str, Any], failed: Sequence[FailedDay], past: PastDays, other: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the document of `--json`: what is empty is left out."""
    more = {
        "failed": [f.document() for f in failed],
        "superseded": [{"date": day.isoformat(), "file": source} for day, source in past.superseded],
        "against": other,
    }
    return {**result, **{key: value for key, value in more.items() if value}}


def _name_failures(failed: Sequence[FailedDay], limits: str) -> None:
    for trouble in failed:
        sys.stderr.write(f"Not run {trouble.day}{make_safe(limits)}: {make_safe(trouble.message)}\n")


@contextmanager
def _days_folder(workspace: Path | None) -> Iterator[Path]:
    """Yield the folder for the days' workspaces. Without a name it is temporary."""
    if workspace is not None:
        yield locate(workspace)
        return
    with tempfile.TemporaryDirectory(prefix="departments-replay-", ignore_cleanup_errors=True) as name:
        yield Path(name)


def _parse_equity(text: str) -> Any:
    try:
        amount = decimal_of(text)
    except ValueError as error:
        raise BadInput("--equity", "", str(error), "give an amount in dollars") from error
    if amount <= 0:
        raise BadInput("--equity", "", f"{text} is not positive", "give an amount in dollars")
    return amount


def _check_files(table: Path | None, limits: Path | None) -> None:
    """Raise BadInput for a table that cannot be written, and for limits that cannot be used."""
    if table is not None and (table.is_dir() or not table.absolute().parent.is_dir()):
        raise BadInput("--csv", "", f"{table} cannot be written", "name a file in an existing folder")
    if limits is not None:
        load_limits(limits)


def _csv_text(rows: Sequence[Mapping[str, Any]], other: Mapping[str, Any] | None) -> str:
    """Return the days as CSV, counts of codes as `CODE 2, CODE 1`; the other limits' columns begin with `against_`."""
    names = ("planned", "filled", "denied", "deployment", "target_met", "binding", "skipped", "turnover")
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["date", *names, *(f"against_{name}" for name in names if other)])
    for day, row, beside in _pair_days(rows, other["days"] if other else ()):
        sides = (row, beside) if other else (row,)
        writer.writerow([day, *(_cell(side.get(name)) for side in sides for name in names)])
    return file.getvalue()


def _pair_days(
    rows: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """Yield (day, its row, its row with the other limits); a day that did not run has an empty row."""
    ours, theirs = ({row["date"]: row for row in side} for side in (rows, others))
    for day in sorted({*ours, *theirs}):
        yield day, ours.get(day, {}), theirs.get(day, {})


def _cell(value: Any) -> str:
    return _codes(value) if isinstance(value, Mapping) else "" if value is None else str(value)


def _show_both(result: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    """Print the days with both limits, side by side."""
    table = Table(box=box.SIMPLE)
    names = ("deployment", "turnover", "filled", "skipped")
    for header in ("Date", *(text for name in names for text in (name.capitalize(), "against"))):
        table.add_column(header, overflow="fold")
    for day, row, beside in _pair_days(result["days"], other["days"]):
        table.add_row(day, *(_cell(side.get(name)) for name in names for side in (row, beside)))
    table.add_section()
    table.add_row("Total", *(_cell(side["total"][name]) for name in names for side in (result, other)))
    open_console().print(table)
    open_console().print(f"against: the same days with the limits of {escape_text(other['file'])}")


def _show(result: Mapping[str, Any], other: Mapping[str, Any] | None, superseded: int) -> None:
    """Print the days, and how many briefings have a newer one of their day."""
    if other is None:
        _show_days(result)
    else:
        _show_both(result, other)
    if superseded:
        open_console().print(f"Superseded by a newer briefing of their day: {superseded}.")


def _show_days(result: Mapping[str, Any]) -> None:
    table = Table(box=box.SIMPLE)
    for name in ("Date", "Planned", "Filled", "Denied", "Deployment", "Turnover", "Target met", "Binding", "Skipped"):
        table.add_column(name, overflow="fold")
    for row in result["days"]:
        table.add_row(
            row["date"],
            str(row["planned"]),
            str(row["filled"]),
            _codes(row["denied"]) or "0",
            row["deployment"] or "",
            row["turnover"] or "",
            "yes" if row["target_met"] else "no",
            escape_text(row["binding"]),
            _codes(row["skipped"]),
        )
    total = result["total"]
    table.add_section()
    cells = (
        total["planned"],
        total["filled"],
        total["denied"],
        total["deployment"] or "",
        total["turnover"] or "",
        "",
        "",
        _codes(total["skipped"]),
    )
    table.add_row("Total", *map(str, cells))
    open_console().print(table)


def _codes(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{code} {count}" for code, count in counts.items())


def register(app: typer.Typer) -> None:
    """Add `replay`."""
    app.command("replay", help=replay_days.__doc__)(replay_days)
