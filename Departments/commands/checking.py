"""`departments messages check` and `schema`: check message files, print payload schemas."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from Departments.commands.consoles import escape_text, open_console
from Departments.commands.evidence import audit
from Departments.commands.frame import find_messages, print_json, reason_of
from Departments.commands.options import AnyFolder, AsJson, check_workspace
from Departments.commands.signed_files import sign, verify
from Departments.core.errors import BadInput, UnreadableMessage
from Departments.core.money import count_noun
from Departments.core.platform import files
from Departments.messaging import codec, front_matter, lookup
from Departments.messaging.catalogue import CATALOGUE
from Departments.messaging.disk import file_time
from Departments.messaging.failures import list_dead_letters
from Departments.messaging.folders import ARCHIVE, INBOX, OUTBOX
from Departments.messaging.message import Message
from Departments.messaging.names import department_of, is_message_name

LIVING = (INBOX, OUTBOX, ARCHIVE)  # the boxes whose messages were read, or will be

# --- messages check ---


def check(
    paths: Annotated[list[Path] | None, typer.Argument(help="Files or folders.")] = None,
    workspace: AnyFolder = Path(),
    *,
    as_json: AsJson = False,
) -> int:
    """Check every .md below PATH, payloads included; without PATH, all messages of the workspace but dead letters.

    With `--json`: `{files, readable, by_type, by_format, unreadable: [{file, reason}], invalid: [{file, reason}],
    dead_letters}`, the number of dead letters left out. The exit code is 1 if a file is unreadable or a payload
    invalid.
    """
    asked, dead = [workspace / path for path in paths or ()], 0
    if not paths:
        root = find_messages(check_workspace(workspace))
        asked = [root / box for box in LIVING if (root / box).is_dir()]
        dead = len(list_dead_letters(root))
    document = check_files(asked) | {"dead_letters": dead}
    if as_json:
        print_json(document)
    else:
        _show(open_console(), document)
    return 1 if document["unreadable"] or document["invalid"] else 0


def check_files(asked: Sequence[Path]) -> dict[str, Any]:
    """Read files and their payloads, and count types, formats and faults. A closed folder is one fault."""
    types: Counter[str] = Counter()
    formats: Counter[str] = Counter()
    closed: list[OSError] = []
    unreadable: list[dict[str, str]] = []
    invalid: list[dict[str, str]] = []
    for path in _files_below(asked, closed.append):
        try:
            decoded = codec.examine(_read_bytes(path), name=path.name, written_at=partial(file_time, path))
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
    """Read a payload with its recipient's model, if there is one. Raises BadInput, UnreadableMessage."""
    _ = message.payload
    row = CATALOGUE.find(message.message_type)
    if row is not None:
        row.payload_for(department_of(message.recipient)).of(message, source)


def _files_below(asked: Sequence[Path], closed: Callable[[OSError], None]) -> Iterator[Path]:
    """Yield the files. Report unreadable folders to `closed`."""
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


def _read_bytes(path: Path) -> bytes:
    if path.stat().st_size > lookup.MAX_BYTES:
        raise UnreadableMessage(f"{path.name}: the file is larger than {lookup.MAX_BYTES} bytes")
    return files.read_bytes(path)


def _show(screen: Console, document: dict[str, Any]) -> None:
    screen.print(f"{document['readable']} of {count_noun(document['files'], 'file')} can be read as messages.")
    for title, key in (("Type", "by_type"), ("Format", "by_format")):
        table = Table(title, "Messages")
        for name, count in document[key].items():
            table.add_row(escape_text(name), str(count))
        screen.print(table)
    for key in ("unreadable", "invalid"):
        for each in document[key]:
            screen.print(f"{key}: {escape_text(each['file'])}: {escape_text(each['reason'])}", style="red")
    if document["dead_letters"]:
        screen.print(
            f"Not checked: {count_noun(document['dead_letters'], 'dead letter')}; see `departments dead-letters list`."
        )
    if not front_matter.FAST_YAML:
        screen.print(
            "The fast reader of YAML is missing: headers of other writers take several times longer; reinstall PyYAML."
        )


# --- messages schema ---


def schema(
    message_type: Annotated[str | None, typer.Argument(metavar="TYPE", help="A message type; by default all.")] = None,
    *,
    as_json: AsJson = False,  # noqa: ARG001 - a schema is JSON anyway; a failure becomes a document by it
) -> int:
    """Print the JSON Schema of a type's payload; without TYPE, of all types by name."""
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
    """Add the group `messages`."""
    group = typer.Typer(no_args_is_help=True, help="Look at message files.")
    group.command("check")(check)
    group.command("schema")(schema)
    group.command("audit")(audit)
    group.command("sign")(sign)
    group.command("verify")(verify)
    app.add_typer(group, name="messages")
