"""`departments messages check`, `inbox`, `show`, `trace`: looking at messages; nothing is changed."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.tree import Tree

from Departments.commands.consoles import console, plain, print_text
from Departments.commands.frame import messages_of, print_json
from Departments.commands.options import AsJson, Workspace
from Departments.core import departments
from Departments.core.clock import iso
from Departments.core.errors import BadInput, UnreadableMessage
from Departments.messaging import codec, lookup, tracing
from Departments.messaging.message import Message
from Departments.messaging.names import is_message_name, stem

# --- messages check ---


def check(
    paths: Annotated[list[Path] | None, typer.Argument(help="Files, or folders to look through.")] = None,
    workspace: Workspace = Path(),
    *,
    as_json: AsJson = False,
) -> int:
    """Read every .md below PATH and tell what cannot be read and why; without PATH, the workspace's messages.

    With `--json`: `{files, readable, by_type, by_format, unreadable: [{file, reason}]}`. Exit code 1 when something
    is unreadable.
    """
    asked = [workspace / path for path in paths] if paths else [messages_of(workspace)]
    document = checked(asked)
    if as_json:
        print_json(document)
    else:
        _show_check(console(), document)
    return 1 if document["unreadable"] else 0


def _files_below(asked: Sequence[Path], closed: Callable[[OSError], None]) -> Iterator[Path]:
    """Yield the files; folders that cannot be looked into are handed to `closed`."""
    for path in asked:
        if path.is_dir():
            for folder, folders, names in os.walk(path, onerror=closed):
                folders.sort()
                found = (Path(folder, name) for name in sorted(names) if is_message_name(name))
                yield from (each for each in found if each.is_file())
        elif path.is_file():
            yield path
        else:
            raise BadInput(path, "", "there is no such file or folder", "name a message or a folder of messages")


def _told(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)


def checked(asked: Sequence[Path]) -> dict[str, Any]:
    """Read files, payloads included, and count what they are; a folder that is closed to us counts as one."""
    types: Counter[str] = Counter()
    formats: Counter[str] = Counter()
    closed: list[OSError] = []
    unreadable: list[dict[str, str]] = []
    for path in _files_below(asked, closed.append):
        try:
            decoded = codec.examine(_bytes_of(path), name=path.name)
            _ = decoded.message.payload
        except (UnreadableMessage, OSError) as error:
            unreadable.append({"file": str(path), "reason": _told(error)})
        else:
            types[decoded.message.message_type] += 1
            formats[f"{decoded.form}, {decoded.encoding}"] += 1
    unreadable += [{"file": str(error.filename), "reason": _told(error)} for error in closed]
    readable = types.total()
    return {
        "files": readable + len(unreadable),
        "readable": readable,
        "by_type": dict(sorted(types.items())),
        "by_format": dict(sorted(formats.items())),
        "unreadable": unreadable,
    }


def _bytes_of(path: Path) -> bytes:
    if path.stat().st_size > lookup.MAX_BYTES:
        raise UnreadableMessage(f"{path.name}: the file is larger than {lookup.MAX_BYTES} bytes")
    return path.read_bytes()


def _show_check(screen: Console, document: dict[str, Any]) -> None:
    screen.print(f"{document['readable']} of {document['files']} files are readable messages.")
    for title, key in (("Type", "by_type"), ("Format", "by_format")):
        table = Table(title, "Messages")
        for name, count in document[key].items():
            table.add_row(plain(name), str(count))
        screen.print(table)
    for each in document["unreadable"]:
        screen.print(f"unreadable: {plain(each['file'])}: {plain(each['reason'])}", style="red")
    if not codec.FAST_YAML:
        screen.print("PyYAML has no libyaml here; headers that are not flat are read several times slower.")


# --- inbox ---


def inbox(
    department: Annotated[str | None, typer.Argument(help="Whose inbox; all of them without.")] = None,
    workspace: Workspace = Path(),
    *,
    as_json: AsJson = False,
) -> int:
    """Show what waits in an inbox, in the order it will be handled."""
    rows = waiting(messages_of(workspace), department)
    if as_json:
        print_json({"waiting": rows})
        return 0
    table = Table("Inbox", "Time", "Type", "From", "Priority", "Message", title=f"{len(rows)} waiting")
    for row in rows:
        kind = row["message_type"] or "(unreadable)"
        cells = (row["department"], row["timestamp"], kind, row["from"], row["priority"], row["file"])
        table.add_row(*(plain(cell or "?") for cell in cells))
    console().print(table)
    return 0


def waiting(root: Path, department: str | None) -> list[dict[str, Any]]:
    """Return the waiting files as documents; one that is unreadable says why under `problem`. Raises BadInput."""
    wanted = department.upper() if department else None
    if wanted and wanted not in departments.ALL and not (root / "Inbox" / wanted).is_dir():
        known = ", ".join(departments.ALL)
        raise BadInput("inbox", wanted, "there is no such department", f"name one of {known}")
    places = [place for place in lookup.places(root, ["Inbox"]) if wanted in (None, place.department)]
    return sorted((_row(place) for place in places), key=lambda row: (row["department"], row["timestamp"], row["file"]))


def _row(place: lookup.Place) -> dict[str, Any]:
    row: dict[str, Any] = {"department": place.department, "file": place.name, "problem": None}
    try:
        return row | _envelope(codec.decode(place.read(), name=place.name))
    except (UnreadableMessage, OSError) as error:
        unknown = dict.fromkeys(("message_id", "message_type", "from", "to", "priority", "parent_message_id"))
        return row | unknown | {"timestamp": "", "problem": _told(error)}


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
    """Show a message wherever it lies: inbox, outbox, archive, packed months, dead letters."""
    root = messages_of(workspace)
    found = lookup.find_all(root, stem(message_id))
    if not found:
        raise _nothing_to_show(root, message_id)
    message = found[0].message
    places = [str(each.place) for each in found]
    if as_json:
        document = _envelope(message) | {"body": message.body, "payload": _payload(message), "places": places}
        print_json(document)
        return 0
    screen = console()
    for place in places:
        screen.print(plain(place), style="dim", soft_wrap=True)
    print_text(screen, found[0].text)
    return 0


def _nothing_to_show(root: Path, message_id: str) -> BadInput:
    unreadable = next(lookup.named(root, stem(message_id)), None)
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
    """Show the chain of messages by parent and plan, as a tree with times."""
    root = messages_of(workspace)
    branches = tracing.trace((found.message for found in lookup.everything(root)), wanted)
    if not branches:
        raise BadInput(wanted, "", f"no message in {root} has or names this id", "see `departments inbox`")
    if as_json:
        print_json({"id": wanted, "trees": [_document(each) for each in branches]})
        return 0
    tree = Tree(plain(wanted))
    start = min(branch.message.timestamp for branch in branches)
    for branch in branches:
        _grow(tree, branch, start)
    console().print(tree)
    return 0


def _document(branch: tracing.Branch) -> dict[str, Any]:
    return _envelope(branch.message) | {"children": [_document(child) for child in branch.children]}


def _grow(tree: Tree, branch: tracing.Branch, start: datetime) -> None:
    message = branch.message
    after = (message.timestamp - start).total_seconds()
    title = next((line.strip("# ") for line in message.body.splitlines() if line.startswith("#")), "")
    what = f"{message.sender} → {message.recipient} {message.message_type}: {title}"
    twig = tree.add(f"{iso(message.timestamp)} +{after:.3f} s  {plain(what)}  [dim]{plain(message.message_id)}[/dim]")
    for child in branch.children:
        _grow(twig, child, start)


def register(app: typer.Typer) -> None:
    """Add `messages`, `inbox`, `show` and `trace`."""
    group = typer.Typer(no_args_is_help=True, help="Look at message files.")
    group.command("check")(check)
    app.add_typer(group, name="messages")
    app.command("inbox")(inbox)
    app.command("show")(show)
    app.command("trace")(trace)
