"""`departments dead-letters`: list, show, accept, retry or drop unhandled messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from Departments.bootstrap import Desk
from Departments.commands.consoles import escape_text, open_console, print_text
from Departments.commands.frame import find_messages, print_json, work_at_desk
from Departments.commands.options import AsJson, Workspace
from Departments.core.errors import BadInput
from Departments.core.moments import show_text
from Departments.core.money import count_noun
from Departments.core.trading_calendar import trading_day
from Departments.messaging import failures
from Departments.messaging.failures import DeadLetter
from Departments.messaging.names import stem

MOVES: Final = {"retry": "is back in the inbox of", "drop": "is archived unhandled for"}
Which = Annotated[str, typer.Argument(metavar="ID", help="The message's id or the file's name.")]


def list_(workspace: Workspace = Path(), *, as_json: AsJson = False) -> int:
    """List every dead letter with its reason."""
    letters = failures.list_dead_letters(find_messages(workspace))
    if as_json:
        print_json({"dead_letters": [_document(letter) for letter in letters]})
        return 0
    table = Table(
        "Department", "File", "Code", "Attempts", "Since", "Reason", title=count_noun(len(letters), "dead letter")
    )
    for letter in letters:
        code, attempts, since, why = (letter.reason.get(k, "?") for k in ("code", "attempts", "first_time", "sentence"))
        name = f"{letter.name} (moved away)" if letter.is_gone else letter.name
        cells = (letter.department, name, code, attempts, show_text(str(since)), why)
        table.add_row(*map(escape_text, cells))
    open_console().print(table)
    return 0


def show(which: Which, workspace: Workspace = Path(), *, as_json: AsJson = False) -> int:
    """Show a dead letter and its full reason."""
    letter = _find(workspace, which)
    if as_json:
        print_json(_document(letter) | {"reason": letter.reason, "text": letter.text})
        return 0
    screen = open_console()
    screen.print(escape_text(letter.path), style="dim", soft_wrap=True)
    for key, value in letter.reason.items():
        screen.print(f"[bold]{escape_text(key)}[/bold]: {escape_text(value)}", soft_wrap=True)
    screen.print()
    print_text(screen, letter.text)
    return 0


def retry(which: Which, workspace: Workspace = Path(), *, as_json: AsJson = False) -> int:
    """Put a dead letter back into its inbox and reset its attempts. Its reason goes to the archive."""
    return _move(
        "retry",
        workspace,
        which,
        lambda desk, letter, day: failures.revive(desk.mailbox, desk.bus.journal, letter, day, desk.clock.now()),
        as_json=as_json,
    )


def drop(which: Which, workspace: Workspace = Path(), *, as_json: AsJson = False) -> int:
    """Move a dead letter and its reason to the archive, unhandled."""
    return _move(
        "drop",
        workspace,
        which,
        lambda desk, letter, day: failures.drop(desk.mailbox, desk.bus.journal, letter, day, desk.clock.now()),
        as_json=as_json,
    )


def accept(which: Which, workspace: Workspace = Path(), *, as_json: AsJson = False) -> int:
    """Leave a dead letter in its folder; the next report does not count it."""
    with work_at_desk(workspace, "dead-letters accept") as desk:
        journal = desk.ledger.journal
        found = [row for row in journal.dead_letters() if which in {row[1], stem(row[1]), row[3]}]
        if not found:
            raise BadInput(which, "", "there is no such dead letter", "see `departments dead-letters list`")
        if len({row[:2] for row in found}) > 1:
            names = ", ".join(f"{row[0]}/{row[1]}" for row in found)
            raise BadInput(which, "", f"several dead letters have this id ({names})", "name the file")
        for row in found:
            journal.accept_dead_letter(*row[:3], desk.clock.now())
    department, name = found[0][:2]
    if as_json:
        print_json({"department": department, "file": name, "accepted": True})
    else:
        open_console().print(f"{escape_text(name)} is accepted; no report counts it any more.", soft_wrap=True)
    return 0


def _move(
    command: str, workspace: Path, which: str, move: Callable[[Desk, DeadLetter, str], str], *, as_json: bool
) -> int:
    letter = _find(workspace, which)
    with work_at_desk(workspace, f"dead-letters {command}") as desk:
        name = move(desk, letter, trading_day(desk.clock.now()).isoformat())
    if as_json:
        print_json({"department": letter.department, "file": name})
    else:
        open_console().print(f"{escape_text(name)} {MOVES[command]} {letter.department}.")
    return 0


def _find(workspace: Path, which: str) -> DeadLetter:
    letters = failures.list_dead_letters(find_messages(workspace))
    found = [each for each in letters if which in {each.name, stem(each.name), each.message_id}]
    if not found:
        raise BadInput(which, "", "there is no such dead letter", "see `departments dead-letters list`")
    return _refuse_several(found, which)


def _refuse_several(found: Sequence[DeadLetter], which: str) -> DeadLetter:
    if len(found) > 1:
        names = ", ".join(f"{each.department}/{each.name}" for each in found)
        raise BadInput(which, "", f"several dead letters have this id ({names})", "name the file")
    return found[0]


def _document(letter: DeadLetter) -> dict[str, Any]:
    kept = ("message_id", "code", "sentence", "attempts", "first_time", "last_time")
    return {
        "department": letter.department,
        "file": letter.name,
        "is_gone": letter.is_gone,
        **{key: letter.reason.get(key) for key in kept},
    }


def register(app: typer.Typer) -> None:
    """Add the group `dead-letters`."""
    group = typer.Typer(no_args_is_help=True, help="Messages that could not be handled.")
    for name, command in (("list", list_), ("show", show), ("accept", accept), ("retry", retry), ("drop", drop)):
        group.command(name)(command)
    app.add_typer(group, name="dead-letters")
