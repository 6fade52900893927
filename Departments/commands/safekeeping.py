"""`departments backup` and `departments restore`: a copy of a workspace, and the way back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from Departments.backups import make_backup, restore_backup
from Departments.bootstrap import Choices
from Departments.commands.clocks import look_at_own_time
from Departments.commands.consoles import escape_text, open_console
from Departments.commands.frame import print_json, work_at_desk
from Departments.commands.inputs import make_clock
from Departments.commands.options import AnyFolder, AsJson, At, BrokerOption, Workspace
from Departments.commands.recovery import show_comparison
from Departments.core.money import count_noun
from Departments.core.platform.places import locate
from Departments.core.platform.rights import PRIVATE

PackFile = Annotated[Path, typer.Argument(metavar="FILE.zip", help="The backup.")]


def backup(file: PackFile, workspace: Workspace = Path(), at: At = None, *, as_json: AsJson = False) -> int:
    """Copy a workspace into a zip at any moment, also beside a running day. Keys are not in it.

    With `--json`: `{file, files}`.
    """
    done = make_backup(locate(workspace), locate(file), make_clock(at).now(), PRIVATE)
    if as_json:
        print_json({"file": str(done.path), "files": done.files})
    else:
        open_console().print(f"{count_noun(done.files, 'file')} saved in {escape_text(done.path)}.")
    return 0


def restore(
    file: PackFile,
    workspace: AnyFolder = Path(),
    broker: BrokerOption = None,
    at: At = None,
    *,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a workspace; it is kept in a folder.")] = False,
    keep_exchange: Annotated[
        bool, typer.Option("--keep-exchange", help="Leave the simulated exchange as it is.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Put a backup into an empty workspace and compare it with the broker. Send nothing.

    Orders and fills that the broker knows and the backup does not lock their symbols until you accept them. The
    exit code is that of `departments reconcile`. With `--json`: `{replaced, orders}`, the orders as it has them.
    """
    clock = make_clock(at)
    place, now = locate(workspace), clock.now()
    kept = restore_backup(place, locate(file), now, PRIVATE, replace=replace, keep_exchange=keep_exchange)
    if not as_json:
        open_console().print(f"Restored {escape_text(file)}.")
        if kept is not None:
            open_console().print(f"What was there is in {escape_text(kept)}.", soft_wrap=True)
    with work_at_desk(workspace, "restore", look_at_own_time(workspace, Choices(clock=clock, broker=broker))) as desk:
        return show_comparison(desk, as_json=as_json, replaced=None if kept is None else str(kept))


def register(app: typer.Typer) -> None:
    """Add `backup` and `restore`."""
    app.command("backup")(backup)
    app.command("restore")(restore)
