"""`departments demo`: the day of 2025-11-10 with correct sequencing, without account or network."""

from __future__ import annotations

import shutil
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from Departments.bootstrap import MESSAGES, Choices
from Departments.brokers.choice import SIMULATED
from Departments.brokers.registry import EXCHANGE_FILE
from Departments.commands.frame import document_failures, use_desk
from Departments.commands.live_view import follow_on_terminal
from Departments.commands.options import AsJson
from Departments.commands.run import HELP, audience_of, show_end
from Departments.core.errors import BadInput
from Departments.core.platform import files
from Departments.core.platform.clock import Clock, PacedClock, SimulatedClock
from Departments.core.platform.disk_trouble import raise_for_disk
from Departments.core.platform.places import find_state
from Departments.core.platform.rights import PRIVATE, make_folder
from Departments.Executive.day_order import DayOrder
from Departments.messaging.disk import write_new

START = datetime(2025, 11, 10, 15, 5, 42, tzinfo=UTC)
PACE = 0.3  # real seconds for each simulated one: a person can watch the orders fill
PREFIX = "departments-demo-"


def demo(
    workspace: Annotated[
        Path | None, typer.Option(help="An empty or missing folder to use instead of a temporary one.")
    ] = None,
    *,
    keep: Annotated[
        bool, typer.Option("--keep", help="Continue in the newest demo workspace instead of a new one.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Run the demo's day."""
    with document_failures():
        return _run_day(_workspace(workspace, keep=keep), as_json=as_json)


def _run_day(folder: Path, *, as_json: bool) -> int:
    if not (find_state(folder) / EXCHANGE_FILE).exists():
        fill_workspace(folder)
    start = _starting_time(folder)
    clock: Clock = SimulatedClock(start) if as_json else PacedClock(start, pace=PACE)
    sys.stderr.write(f"Demo workspace: {folder}\n")
    with use_desk(
        folder, Choices(clock=clock, broker=SIMULATED, exchange_state=folder / "config" / "exchange_state.yaml")
    ) as desk:
        with follow_on_terminal(desk, wanted=not as_json) as observe:
            document = replace(desk.day, observe=observe).run(DayOrder(), audience_of("auto", as_json=as_json))
        return show_end(desk, document, as_json=as_json)


def _starting_time(folder: Path) -> datetime:
    """Return the demo's morning, or the end of the folder's last execution."""
    with use_desk(folder) as desk:
        return max((e.ended_at for e in desk.ledger.plans.executions() if e.ended_at), default=START)


def fill_workspace(folder: Path) -> None:
    """Copy limits, settings and the demo's day into a workspace. Raises BadInput if it cannot be written."""
    source = find_config()
    try:
        make_folder(folder / "config", PRIVATE)
        for name in ("hard_constraints.yaml", "settings.yaml", "demo/exchange_state.yaml"):
            shutil.copy(source / name, folder / "config")
        _copy_messages(source / "demo" / MESSAGES, folder / MESSAGES)
    except OSError as error:
        raise_for_disk(error, folder)
        raise BadInput(
            folder, "", f"cannot be written ({files.describe(error)})", "name another --workspace"
        ) from error


def _copy_messages(source: Path, target: Path) -> None:
    """Copy message files, for this user alone."""
    for path in sorted(source.rglob("*.md")):
        copy = target / path.relative_to(source)
        make_folder(copy.parent, PRIVATE)
        if not copy.exists():
            write_new(str(copy), files.read_bytes(path), flush=False)


def find_config() -> Path:
    """Return the shipped configuration: beside the package in a clone, inside it in a wheel."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "default_config"
    return inside if inside.is_dir() else package.parent / "config"


def _workspace(chosen: Path | None, *, keep: bool) -> Path:
    if chosen is not None:
        if not keep and chosen.exists() and any(chosen.iterdir()):
            raise BadInput(chosen, "--workspace", "is not empty", "name an empty folder or add --keep")
        return chosen.resolve()
    kept = [p for p in Path(tempfile.gettempdir()).glob(f"{PREFIX}*") if (p / EXCHANGE_FILE).exists()] if keep else []
    return max(kept, key=lambda p: p.stat().st_mtime) if kept else Path(tempfile.mkdtemp(prefix=PREFIX))


def register(app: typer.Typer) -> None:
    """Add `demo`."""
    app.command("demo", help="Watch the plan of 2025-11-10: SELLs first, then BUYs from real cash.\n\n" + HELP)(demo)
