"""`departments inbox`, `show`, `trace`: read messages, change nothing."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.tree import Tree

from Departments.bootstrap import LEDGER_FILE
from Departments.commands.consoles import escape_text, open_console, print_text
from Departments.commands.frame import check_department, find_messages, print_json, reason_of
from Departments.commands.options import AsJson, Workspace
from Departments.core.errors import BadInput, DiskError, LedgerError, UnreadableMessage
from Departments.core.logs import make_logger
from Departments.core.moments import iso, show_moment, show_text
from Departments.core.platform.places import find_state, locate
from Departments.messaging import lookup, tracing
from Departments.messaging.message import Message
from Departments.messaging.names import stem
from Departments.messaging.ports import IndexRow

log = make_logger(__name__)

# --- inbox ---


def inbox(
    department: Annotated[str | None, typer.Argument(help="The department; by default all.")] = None,
    workspace: Workspace = Path(),
    *,
    as_json: AsJson = False,
) -> int:
    """Show the waiting messages of an inbox in the order of handling."""
    rows = list_waiting(find_messages(workspace), department)
    if as_json:
        print_json({"waiting": rows})
        return 0
    table = Table("Inbox", "Time", "Type", "From", "Priority", "Message", title=f"{len(rows)} waiting")
    for row in rows:
        kind = row["message_type"] or "(unreadable)"
        cells = (
            row["department"],
            show_text(row["timestamp"], seconds=True),
            kind,
            row["from"],
            row["priority"],
            row["file"],
        )
        table.add_row(*(escape_text(cell or "?") for cell in cells))
    open_console().print(table)
    return 0


def list_waiting(root: Path, department: str | None) -> list[dict[str, Any]]:
    """Return the waiting files as documents; one that is unreadable has its reason under `problem`. Raises BadInput."""
    wanted = check_department(department, root, "inbox") if department else None
    places = [place for place in lookup.places(root, ["Inbox"]) if wanted in (None, place.department)]
    return sorted((_row(place) for place in places), key=lambda row: (row["department"], row["timestamp"], row["file"]))


def _row(place: lookup.Place) -> dict[str, Any]:
    row: dict[str, Any] = {"department": place.department, "file": place.name, "problem": None}
    try:
        return row | _envelope(place.decode())
    except (UnreadableMessage, OSError) as error:
        unknown = dict.fromkeys(("message_id", "message_type", "from", "to", "priority", "parent_message_id"))
        return row | unknown | {"timestamp": "", "problem": reason_of(error)}


def _envelope(message: Message) -> dict[str, Any]:
    return {
        "message_id": message.message_id,
        "message_type": message.message_type,
        "from": message.sender,
        "to": message.recipient,
        "timestamp": iso(message.timestamp),
        "priority": message.priority,
        "parent_message_id": message.parent_message_id,
    }


# --- show ---


def show(
    message_id: Annotated[str, typer.Argument(metavar="ID", help="A message id, or the name of its file.")],
    workspace: Workspace = Path(),
    *,
    as_json: AsJson = False,
) -> int:
    """Show a message wherever it is: inbox, outbox, archive, packed months, dead letters."""
    root = find_messages(workspace)
    found = lookup.find_all(root, stem(message_id), find_index(workspace))
    if not found:
        raise _nothing_to_show(root, message_id)
    message = found[0].message
    places = [str(each.place) for each in found]
    if as_json:
        document = _envelope(message) | {"body": message.body, "payload": _payload(message), "places": places}
        print_json(document)
        return 0
    screen = open_console()
    for place in places:
        screen.print(escape_text(place), style="dim", soft_wrap=True)
    print_text(screen, found[0].text)
    return 0


def find_index(workspace: Path) -> list[IndexRow]:
    """Return the index for a search; empty without a readable ledger. Files outside the index are read."""
    try:
        return index_of(workspace)
    except (LedgerError, DiskError) as error:
        log.warning("Every message file is read, without the ledger's index: %s", error)
        return []


def index_of(workspace: Path) -> list[IndexRow]:
    """Return the ledger's index of message files; empty without a ledger. Raises LedgerError, DiskError."""
    from Departments.ledger.journal import read_index  # noqa: PLC0415 - `inbox` needs no ledger

    return read_index(find_state(locate(workspace)) / LEDGER_FILE)


def _nothing_to_show(root: Path, message_id: str) -> BadInput:
    unreadable = next(lookup.find_named(root, stem(message_id)), None)
    if unreadable is None:
        return BadInput(message_id, "", f"there is no such message in {root}", "see `departments inbox`")
    return BadInput(str(unreadable), "", "cannot be read as a message", "see `departments messages check`")


def _payload(message: Message) -> dict[str, Any] | None:
    try:
        return message.payload
    except UnreadableMessage:
        return None


# --- trace ---


def trace(
    wanted: Annotated[str, typer.Argument(metavar="ID|PLAN_ID", help="A message id or a plan id.")],
    workspace: Workspace = Path(),
    *,
    as_json: AsJson = False,
) -> int:
    """Show the chain of messages by parent and plan, as a tree with times.

    Old results that name no parent are joined to their approvals by symbol, side, shares and time (`joined_by`).
    """
    root = find_messages(workspace)
    branches = tracing.trees(lookup.find_related(root, wanted, find_index(workspace)), wanted)
    if not branches:
        raise BadInput(wanted, "", f"no message in {root} has or names this id", "see `departments inbox`")
    if as_json:
        print_json({"id": wanted, "trees": [_document(each) for each in branches]})
        return 0
    tree = Tree(escape_text(wanted))
    start = min(branch.message.timestamp for branch in branches)
    for branch in branches:
        _grow(tree, branch, start)
    open_console().print(tree)
    return 0


def _document(branch: tracing.Branch) -> dict[str, Any]:
    joined = {"joined_by": branch.message.extra["joined_by"]} if "joined_by" in branch.message.extra else {}
    return _envelope(branch.message) | joined | {"children": [_document(child) for child in branch.children]}


def _grow(tree: Tree, branch: tracing.Branch, start: datetime) -> None:
    message = branch.message
    after = (message.timestamp - start).total_seconds()
    title = next((line.strip("# ") for line in message.body.splitlines() if line.startswith("#")), "")
    joined = f" (joined by {message.extra['joined_by']})" if "joined_by" in message.extra else ""
    what = f"{message.sender} → {message.recipient} {message.message_type}: {title}{joined}"
    at, message_id = show_moment(message.timestamp, seconds=True), escape_text(message.message_id)
    twig = tree.add(f"{at} +{after:.3f} s  {escape_text(what)}  [dim]{message_id}[/dim]")
    for child in branch.children:
        _grow(twig, child, start)


def register(app: typer.Typer) -> None:
    """Add `inbox`, `show` and `trace`."""
    app.command("inbox")(inbox)
    app.command("show")(show)
    app.command("trace")(trace)
