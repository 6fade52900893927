"""`departments archive`: move old messages out of Inbox and Outbox, pack old months."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from Departments.bootstrap import Desk
from Departments.commands.consoles import escape_text, open_console
from Departments.commands.frame import add_to_failure, check_department, print_json, use_desk, work_at_desk
from Departments.commands.log_files import LogFile, keep_log
from Departments.commands.options import AsJson, Workspace
from Departments.core.departments import OURS
from Departments.core.errors import BadInput, PublishError
from Departments.core.moments import iso
from Departments.core.money import count_noun
from Departments.messaging import retention
from Departments.messaging.retention import MOVED, REFUSED, WOULD_MOVE, Move, Rules, age_of


class Box(StrEnum):
    """The boxes to clear."""

    INBOX = "Inbox"
    OUTBOX = "Outbox"


def archive(  # noqa: PLR0913 - one parameter for each option
    older_than: Annotated[str | None, typer.Option(help="An age such as 12h, 7d or 2w.")] = None,
    message_type: Annotated[list[str] | None, typer.Option("--type", help="Only this type; may be repeated.")] = None,
    department: Annotated[list[str] | None, typer.Option(help="Only this department; may be repeated.")] = None,
    box: Annotated[list[Box] | None, typer.Option(case_sensitive=False, help="Only this box; may be repeated.")] = None,
    pack: Annotated[
        str | None, typer.Option(metavar="MONTH", help="Turn an archived month (2025-10) into a zip.")
    ] = None,
    workspace: Workspace = Path(),
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the same; move nothing.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="List every file, not the sums by day and box.")] = False,
    log_file: LogFile = None,
    as_json: AsJson = False,
) -> int:
    """Move messages older than `--older-than` from Inbox and Outbox to `Archive/<their date>/<DEPT>/`.

    A message's age follows from its own timestamp, else from the stamp in its name, else from the file's time. Sums by
    day and box are shown, with `--verbose` every file; what was not moved is always named. The defaults are in the
    `retention:` section of `config/settings.yaml`. No file is overwritten. An inbox in use is left alone. The exit code
    is 3 if the system refuses to move a file. `--pack` packs one whole month and moves nothing.
    With `--json`: `{dry_run, moves: [{box, department, file, message_type, timestamp, day, outcome}],
    unread_of_neighbours: {DEPT: n}}`, or `{dry_run, pack, files}`. Unread mail of other departments is named.
    """
    keep_log(log_file, workspace)
    with use_desk(workspace) if dry_run else work_at_desk(workspace, "archive") as desk:
        if pack is not None:
            if older_than or message_type or department or box:
                raise BadInput("--pack", "", "a month is packed as a whole", "leave the other filters out")
            return _pack(desk, pack, dry_run=dry_run, as_json=as_json)
        chosen = [check_department(name, desk.mailbox.root, "--department") for name in department or ()]
        rules = _narrow(Rules.of(desk.settings.retention), older_than, message_type, chosen, box)
        moves = retention.find_due(desk.mailbox.root, rules, desk.clock.now())
        if dry_run:
            _show(moves, dry_run=True, as_json=as_json, verbose=verbose)
            return 0
        return _carry_out(desk, moves, as_json=as_json, verbose=verbose)


def _carry_out(desk: Desk, moves: Sequence[Move], *, as_json: bool, verbose: bool) -> int:
    """Move the messages. Show the moves done, also after an interruption."""
    done: list[Move] = []
    try:
        desk.mailbox.clean()
        if desk.ledger_path.exists():
            desk.bus.settle()  # first: the files move
        for move in retention.archive(desk.mailbox, moves):
            done.append(move)  # noqa: PERF402 - an error must not lose the moves before it
    except BaseException as error:
        if not as_json:
            _show(done, dry_run=False, as_json=False, verbose=verbose)
        add_to_failure(error, _describe(done, dry_run=False))
        raise
    _show(done, dry_run=False, as_json=as_json, verbose=verbose)
    return PublishError.exit_code if any(move.outcome == REFUSED for move in done) else 0


def _narrow(
    rules: Rules,
    older_than: str | None,
    types: Sequence[str] | None,
    departments: Sequence[str],
    boxes: Sequence[str] | None,
) -> Rules:
    return replace(
        rules,
        older_than=rules.older_than if older_than is None else age_of(older_than, "--older-than"),
        types=frozenset(types) if types else rules.types,
        departments=frozenset(departments) or rules.departments,
        boxes=tuple(boxes) if boxes else rules.boxes,
    )


def _pack(desk: Desk, month: str, *, dry_run: bool, as_json: bool) -> int:
    done = retention.pack(desk.mailbox, month, desk.clock.now(), dry_run=dry_run)
    if as_json:
        print_json({"dry_run": dry_run, "pack": str(done.pack), "files": done.files})
    else:
        what = "would be packed" if dry_run else "packed"
        open_console().print(f"{count_noun(done.files, 'file')} {what} into {escape_text(done.pack)}")
    return 0


def _show(moves: Sequence[Move], *, dry_run: bool, as_json: bool, verbose: bool) -> None:
    if as_json:
        print_json(_describe(moves, dry_run=dry_run))
        return
    screen, left = open_console(), [m for m in moves if m.outcome not in {MOVED, WOULD_MOVE}]
    title = f"{len(moves)} would move" if dry_run else f"{len(moves) - len(left)} moved"
    screen.print(_list_moves(moves, title) if verbose else _sum_up(moves, title))
    for name, count in _count_unread_of_neighbours(moves).items():
        whose = f"Unread mail of {escape_text(name)}, which is no department of this desk"
        screen.print(f"{whose}: {count}; name others by --department to leave it there.", soft_wrap=True)
    for move in () if verbose else left:
        place = f"{move.box}/{move.department}/{move.name}"
        screen.print(f"not moved: {escape_text(place)} ({move.outcome})", style="red", soft_wrap=True)


def _list_moves(moves: Sequence[Move], title: str) -> Table:
    table = Table("Box", "Department", "Type", "Time", "Message", "To", "Outcome", title=title)
    for move in moves:
        to = f"Archive/{move.day}/{move.department}/"
        cells = (move.box, move.department, move.message_type, iso(move.moment), move.name, to, move.outcome)
        table.add_row(*map(escape_text, cells))
    return table


def _sum_up(moves: Sequence[Move], title: str) -> Table:
    """Return the number of messages for each day of the archive and each box they come from."""
    sums = Counter((m.day, m.box, m.department) for m in moves if m.outcome in {MOVED, WOULD_MOVE})
    table = Table("Day", "Box", "Department", "Messages", title=title)
    for (day, box, department), count in sorted(sums.items()):
        table.add_row(day, box, escape_text(department), str(count))
    return table


def _describe(moves: Sequence[Move], *, dry_run: bool) -> dict[str, Any]:
    unread = _count_unread_of_neighbours(moves)
    return {"dry_run": dry_run, "moves": [_document(move) for move in moves], "unread_of_neighbours": unread}


def _count_unread_of_neighbours(moves: Sequence[Move]) -> dict[str, int]:
    """Return the number of messages from each inbox that no department of this desk reads."""
    moved = (m for m in moves if m.outcome in {MOVED, WOULD_MOVE} and m.box == Box.INBOX)
    return dict(sorted(Counter(m.department for m in moved if m.department not in OURS).items()))


def _document(move: Move) -> dict[str, Any]:
    return {
        "box": move.box,
        "department": move.department,
        "file": move.name,
        "message_type": move.message_type,
        "timestamp": iso(move.moment),
        "day": move.day,
        "outcome": move.outcome,
    }


def register(app: typer.Typer) -> None:
    """Add `archive`."""
    app.command("archive")(archive)
