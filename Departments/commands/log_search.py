"""`departments logs`: the lines of the log, by plan, symbol or message."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from Departments.commands.consoles import open_console
from Departments.commands.frame import print_json
from Departments.commands.log_lines import DAMAGED, LineFilter, list_files, read_lines
from Departments.commands.options import AsJson, Workspace
from Departments.core.moments import parse_iso, show_moment
from Departments.core.platform.clock import Clock, SystemClock
from Departments.core.platform.places import locate
from Departments.core.readers import spell_symbol
from Departments.core.safe_text import make_safe

HELP = """Show the log: the newest day, or the lines of all days about a plan, a symbol or a message.

It reads `logs/departments_<day>.jsonl`, which every command writes that changes something: a JSON object in each line.
Times are New York's; with `--json` the lines are as they were written, in UTC, a damaged one as
`{"damaged": text}`. `--follow` goes on until Ctrl-C.
"""
PAUSE: Final = 1.0  # seconds between two looks


def logs(
    workspace: Workspace = Path(),
    plan: Annotated[str, typer.Option(metavar="ID", help="Only lines about this plan.")] = "",
    symbol: Annotated[str, typer.Option(help="Only lines about this symbol.")] = "",
    message: Annotated[str, typer.Option(metavar="ID", help="Only lines about this message.")] = "",
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new lines, until Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> int:
    """Show lines of the log."""
    folder = locate(workspace)
    wanted = LineFilter(plan, spell_symbol(symbol) if symbol else "", message)
    if follow:
        with suppress(KeyboardInterrupt):
            for line in follow_lines(folder, wanted, SystemClock()):
                _print(line, as_json=as_json)
        return 0
    found = list_files(folder)
    lines = [line for path in (found[-1:] if wanted.is_empty else found) for line in read_lines(path)[0]]
    lines = [line for line in lines if wanted.takes(line)]
    if as_json:
        print_json({"lines": lines})
        return 0
    for line in lines:
        _print(line, as_json=False)
    if not lines:
        open_console().print("The log has no such line." if found else "There is no log yet; a run writes it.")
    return 0


def follow_lines(folder: Path, wanted: LineFilter, clock: Clock) -> Iterator[Mapping[str, Any]]:
    """Yield the lines of the newest file, and new ones as they come, of a new day too."""
    ends: dict[Path, int] = {}
    while True:
        for path in list_files(folder)[-1:]:
            lines, ends[path] = read_lines(path, ends.get(path, 0))
            yield from (line for line in lines if wanted.takes(line))
        clock.sleep(PAUSE)


def _print(line: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
        sys.stdout.flush()
        return
    if DAMAGED in line:
        open_console().print(make_safe(f"damaged line: {line[DAMAGED]}"), markup=False, soft_wrap=True, style="red")
        return
    level = "" if line.get("level") in {"INFO", "DEBUG"} else f"{line.get('level')}: "
    text = f"{_show_time(line)} [{line.get('room')}] {level}{line.get('text')}"
    open_console().print(make_safe(text), markup=False, soft_wrap=True)


def _show_time(line: Mapping[str, Any]) -> str:
    try:
        return show_moment(parse_iso(str(line.get("at"))), seconds=True)
    except ValueError:
        return "at an unknown time"


def register(app: typer.Typer) -> None:
    """Add `logs`."""
    app.command("logs", help=HELP)(logs)
