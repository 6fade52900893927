"""Write docs/messages.md, every message type on one page, from the catalogue."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from Departments.core.documents import json_text  # noqa: E402 - the package lies beside the scripts
from Departments.core.validation import key_of  # noqa: E402
from Departments.messaging.catalogue import CATALOGUE, MessageType, Skip  # noqa: E402
from Departments.messaging.payloads import Payload  # noqa: E402

PAGE = ROOT / "docs" / "messages.md"
HEAD = """# Messages

<!-- written by scripts/write_messages_page.py from Departments/messaging/catalogue.py -->

A message is a Markdown file with YAML front matter (`message_id, from, to, timestamp, message_type, priority,
requires_response`, and `parent_message_id` where it answers another). The payload is the first `json` block.
A payload that does not follow its table is a dead letter, INVALID_PAYLOAD; so is a type without an entry for its
recipient, UNKNOWN_TYPE. `departments messages schema TYPE` prints the same as JSON Schema.

Money is dollars, quantities are shares, `…_pct` is percent, times are ISO 8601 in UTC.
"""


def messages_page() -> str:
    """Return the page."""
    return "\n".join([HEAD, *(line for row in CATALOGUE for line in _section(row))])


def _section(row: MessageType) -> Iterator[str]:
    yield f"## {row.name}\n"
    yield f"{_sentence(row.payload)}\n"
    yield f"- From: {', '.join(row.senders) or 'anybody'}"
    yield f"- To: {', '.join(f'{to} (`{entry}`)' for to, entry in row.recipients.items() if isinstance(entry, str))}"
    for to, entry in row.recipients.items():
        if isinstance(entry, Skip):
            yield f"- {to}: {entry.reason}"
    if row.aliases:
        yield f"- Also written as: {', '.join(row.aliases)}"
    yield f"- Unknown keys: {'kept' if row.payload.model_config['extra'] == 'allow' else 'refused'}\n"
    yield from _payload(row.payload)
    for recipient, model in row.variants.items():
        yield f"{recipient} gets another payload: {_sentence(model)}\n"
        yield from _payload(model)


def _sentence(model: type[Payload]) -> str:
    return " ".join((model.__doc__ or "").split())


def _payload(model: type[Payload]) -> Iterator[str]:
    if not model.model_fields:
        yield "No payload.\n"
        return
    yield "| key | needed | meaning |\n| --- | --- | --- |"
    yield "\n".join(_rows(model)) + "\n"
    yield f"```json\n{json_text(example_of(model))}\n```\n"


def _rows(model: type[Payload], above: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        needed = "yes" if field.is_required() else ""
        meaning = str(field.description).replace("|", "\\|")
        yield f"| `{above}{key_of(name, field)}` | {needed} | {meaning} |"
        if isinstance(field.annotation, type) and issubclass(field.annotation, Payload):
            yield from _rows(field.annotation, f"{key_of(name, field)}.")


def example_of(model: type[Payload]) -> dict[str, Any]:
    """Return an example of a payload, made of the examples of its fields."""
    found: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Payload):
            found[key_of(name, field)] = example_of(field.annotation)
        elif field.examples:
            found[key_of(name, field)] = field.examples[0]
    return found


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(messages_page(), encoding="utf-8", newline="\n")
