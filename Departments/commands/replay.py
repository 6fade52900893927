"""`departments replay`: past days on the simulated exchange, through the same departments as `run`."""

from __future__ import annotations

import csv
import io
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table

from Departments.commands.consoles import escape_text, open_console
from Departments.commands.demo import find_config
from Departments.commands.frame import print_json, show_logs
from Departments.commands.options import AsJson
from Departments.constraints.limits import limits_file
from Departments.core.errors import BadInput
from Departments.core.money import decimal_of
from Departments.core.platform.atomic_files import write_atomically
from Departments.core.platform.clock import SystemClock
from Departments.core.safe_text import make_safe
from Departments.replays import read_past_days, replay


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
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the log of every day.")] = False,
    as_json: AsJson = False,
) -> int:
    """Replay past days, each with its own clock, account and prices. Limits come from this folder.

    `--json` prints `{days: [{date, planned, skipped: {CODE: n}, denied: {CODE: n}, filled, deployment, target_met,
    binding}], total: {planned, skipped, denied, filled, deployment}}`, `failed: [{date, file, message}]` for days
    that could not run, and `superseded: [{date, file}]` for briefings with a newer one of their day. The exit code is 0
    if every day ran.
    """
    if verbose:
        show_logs(SystemClock())
    amount = _parse_equity(equity)
    _check_csv(csv_file)
    past = read_past_days(folder).between(_parse_day("--from", first), _parse_day("--to", last))
    here = Path.cwd() if limits_file(Path.cwd()).exists() else find_config().parent
    with _days_folder(workspace) as where:
        result, not_run = replay(past.days, where, here, amount)
    failed = sorted((*past.failed, *not_run), key=lambda f: (f.day, f.source))
    superseded = [{"date": day.isoformat(), "file": source} for day, source in past.superseded]
    if csv_file is not None:
        write_atomically(csv_file, _csv_text(result["days"]))
    if as_json:
        more = {"failed": [f.document() for f in failed]} if failed else {}
        print_json(result | more | ({"superseded": superseded} if superseded else {}))
    else:
        _show(result)
        if superseded:
            open_console().print(f"Superseded by a newer briefing of their day: {len(superseded)}.")
    for trouble in failed:
        sys.stderr.write(f"Not run {trouble.day}: {make_safe(trouble.message)}\n")
    return max((f.exit_code for f in failed), default=0)


@contextmanager
def _days_folder(workspace: Path | None) -> Iterator[Path]:
    """Yield the folder for the days' workspaces. Without a name it is temporary."""
    if workspace is not None:
        yield workspace.resolve()
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


def _parse_day(option: str, text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError as error:
        raise BadInput(option, "", f"{text!r} is not a date", "write it as 2025-11-10") from error


def _check_csv(path: Path | None) -> None:
    if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
        raise BadInput("--csv", "", f"{path} cannot be written", "name a file in an existing folder")


def _csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the days as CSV, counts of codes as `CODE 2, CODE 1`."""
    file = io.StringIO()
    names = ("date", "planned", "filled", "denied", "deployment", "target_met", "binding", "skipped")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(
        [_codes(row[name]) if isinstance(row[name], Mapping) else row[name] for name in names] for row in rows
    )
    return file.getvalue()


def _show(result: Mapping[str, Any]) -> None:
    table = Table(box=box.SIMPLE)
    for name in ("Date", "Planned", "Filled", "Denied", "Deployment", "Target met", "Binding", "Skipped"):
        table.add_column(name, overflow="fold")
    for row in result["days"]:
        table.add_row(
            row["date"],
            str(row["planned"]),
            str(row["filled"]),
            _codes(row["denied"]) or "0",
            row["deployment"] or "",
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
