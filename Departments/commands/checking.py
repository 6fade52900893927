"""`departments messages check` and `schema`: what message files hold, and what they have to hold."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from Departments.commands.consoles import escape_text, open_console
from Departments.commands.frame import find_messages, print_json, reason_of
from Departments.commands.options import AsJson, Workspace
from Departments.core.errors import BadInput, UnreadableMessage
from Departments.messaging import codec, lookup
from Departments.messaging.catalogue import CATALOGUE
from Departments.messaging.message import Message
from Departments.messaging.names import department_of, is_message_name

# --- messages check ---


def check(
    paths: Annotated[list[Path] | None, typer.Argument(help="Files, or folders to look through.")] = None,
    workspace: Workspace = Path(),
    *,
    as_json: AsJson = False,
) -> int:
    """Read every .md below PATH, payloads too, and tell what is wrong; without PATH, the workspace's messages.

    With `--json`: `{files, readable, by_type, by_format, unreadable: [{file, reason}], invalid: [{file, reason}]}`.
    Exit code 1 when something is unreadable or has an invalid payload.
    """
    asked = [workspace / path for path in paths] if paths else [find_messages(workspace)]
    document = check_files(asked)
    if as_json:
        print_json(document)
    else:
        _show(open_console(), document)
    return 1 if document["unreadable"] or document["invalid"] else 0


def check_files(asked: Sequence[Path]) -> dict[str, Any]:
    """Read files, payloads included, and count what they are; a folder that is closed to us counts as one."""
    types: Counter[str] = Counter()
    formats: Counter[str] = Counter()
    closed: list[OSError] = []
    unreadable: list[dict[str, str]] = []
    invalid: list[dict[str, str]] = []
    for path in _files_below(asked, closed.append):
        try:
            decoded = codec.examine(_bytes_of(path), name=path.name)
            _read_payload(decoded.message, path.name)
        except (UnreadableMessage, OSError) as error:
            unreadable.append({"file": str(path), "reason": reason_of(error)})
            continue
        except BadInput as error:
            invalid.append({"file": str(path), "reason": str(error)})
        types[decoded.message.message_type] += 1
        formats[f"{decoded.form}, {decoded.encoding}"] += 1
    unreadable += [{"file": str(error.filename), "reason": reason_of(error)} for error in closed]
    readable = types.total()
    return {
        "files": readable + len(unreadable),
        "readable": readable,
        "by_type": dict(sorted(types.items())),
        "by_format": dict(sorted(formats.items())),
        "unreadable": unreadable,
        "invalid": invalid,
    }


def _read_payload(message: Message, source: str) -> None:
    """Read a payload as its recipient does. Raises BadInput and UnreadableMessage; an unknown type has no model."""
    _ = message.payload
    row = CATALOGUE.find(message.message_type)
    if row is not None:
        row.payload_for(department_of(message.recipient)).of(message, source)


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


def _bytes_of(path: Path) -> bytes:
    if path.stat().st_size > lookup.MAX_BYTES:
        raise UnreadableMessage(f"{path.name}: the file is larger than {lookup.MAX_BYTES} bytes")
    return path.read_bytes()


def _show(screen: Console, document: dict[str, Any]) -> None:
    screen.print(f"{document['readable']} of {document['files']} files are readable messages.")
    for title, key in (("Type", "by_type"), ("Format", "by_format")):
        table = Table(title, "Messages")
        for name, count in document[key].items():
            table.add_row(escape_text(name), str(count))
        screen.print(table)
    for key in ("unreadable", "invalid"):
        for each in document[key]:
            screen.print(f"{key}: {escape_text(each['file'])}: {escape_text(each['reason'])}", style="red")
    if not codec.FAST_YAML:
        screen.print("PyYAML has no libyaml here; other writers' headers are read several times slower.")


# --- messages schema ---


def schema(
    message_type: Annotated[str | None, typer.Argument(metavar="TYPE", help="A message type; all without it.")] = None,
) -> int:
    """Print the JSON Schema of a type's payload; without TYPE, of every type by name."""
    if message_type is None:
        print_json({row.name: row.schema() for row in CATALOGUE})
        return 0
    row = CATALOGUE.find(message_type)
    if row is None:
        known = ", ".join(row.name for row in CATALOGUE)
        raise BadInput("messages schema", message_type, "there is no such message type", f"name one of {known}")
    print_json(row.schema())
    return 0


def register(app: typer.Typer) -> None:
    """Add `messages check` and `messages schema`."""
    group = typer.Typer(no_args_is_help=True, help="Look at message files.")
    group.command("check")(check)
    group.command("schema")(schema)
    app.add_typer(group, name="messages")
