"""A frozen message. The body is the whole Markdown text; the payload is its first JSON fence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from Departments.core.documents import ReadRow, json_text, parse_json, parse_rows
from Departments.core.errors import UnreadableMessage

FENCE: Final = "```json\n"
#: The same fence as people write it: indented, in capitals, with spaces, of tildes.
_OTHER_FENCE: Final = re.compile(
    r"^ {0,3}(`{3,9}|~{3,9})[ \t]{0,9}json[ \t]{0,9}\n(.*?)(?:\n {0,3}\1|\Z)", re.IGNORECASE | re.MULTILINE | re.DOTALL
)
#: Whatever a reader takes for a block of JSON: the word, perhaps with more behind it.
_ANY_FENCE: Final = re.compile(
    r"^ {0,3}(`{3,99}|~{3,99})[ \t]*json[^\n]*\n(.*?)(?:^ {0,3}\1|\Z)",
    re.IGNORECASE | re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `timestamp` is aware UTC; `extra` holds the other keys of the front matter.

    `source` are the bytes of the file it was read from, empty for one that was made here.
    """

    message_id: str
    sender: str
    recipient: str
    timestamp: datetime
    message_type: str
    body: str
    priority: str = "routine"
    requires_response: bool = False
    parent_message_id: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    source: bytes = field(default=b"", compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.timestamp.tzinfo is None:
            raise ValueError("a message needs an aware timestamp")
        if self.timestamp.tzinfo is not UTC:
            object.__setattr__(self, "timestamp", self.timestamp.astimezone(UTC))
        if "\r" in self.body:
            object.__setattr__(self, "body", self.body.replace("\r\n", "\n").replace("\r", "\n"))

    @property
    def name(self) -> str:
        """Return the name of the message's file."""
        return f"{self.message_id}.md"

    @property
    def payload(self) -> dict[str, Any] | None:
        """Return the first ```json fence as a dict with Decimal numbers, or None.

        Raises UnreadableMessage if the fence does not hold one JSON object.
        """
        return payload_of(self.body)

    def payload_without(self, *lists: str) -> dict[str, Any] | None:
        """Return the payload as `read_rows` does, with these lists empty: their rows are read and dropped."""
        has_some = any(f'"{name}"' in self.body for name in lists)  # nearly every message has none, and is read at once
        found = self.read_rows(dict.fromkeys(lists, _drop)) if has_some else self.foreign_payload
        return found and found | {name: [] for name in lists if isinstance(found.get(name), list)}

    @property
    def foreign_payload(self) -> dict[str, Any] | None:
        """Return the payload of a writer outside the desk: NaN and infinities are left to the reader of their key."""
        return payload_of(self.body, keep_nan=True)

    def read_rows(self, readers: Mapping[str, ReadRow]) -> dict[str, Any] | None:
        """Return the payload of a writer outside the desk, the rows of some lists read one by one.

        Raises UnreadableMessage as `payload` does.
        """
        text = None if _may_have_more(self.body) else _first_fence(self.body)
        found = None if text is None else parse_rows(text, readers)
        return self.foreign_payload if found is None else found


def _drop(_row: Any, _index: int) -> None:
    return None


def payload_of(body: str, *, keep_nan: bool = False) -> dict[str, Any] | None:
    """Read the JSON fence of a body. See `Message.payload`.

    More than one is refused, unless they are equal: people and programs might read different ones.
    """
    text = _first_fence(body)
    if text is None:
        return None
    payload = _read_fence(text, keep_nan=keep_nan)
    if _may_have_more(body):
        others = (found.group(2) for found in _ANY_FENCE.finditer(body))
        if any(_read_fence(other, keep_nan=keep_nan) != payload for other in others):
            raise UnreadableMessage("it holds two different JSON payloads; leave one")
    return payload


def _read_fence(text: str, *, keep_nan: bool) -> dict[str, Any]:
    try:
        value = parse_json(text, keep_nan=keep_nan)
    except (ValueError, RecursionError) as error:
        raise UnreadableMessage(f"the JSON payload cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise UnreadableMessage("the JSON payload is not an object")
    return value


def _may_have_more(body: str) -> bool:
    """Return True if more than two lines look like fences. Quick: nearly every message has one block."""
    return body.count("```") + body.count("~~~") > 2


def _first_fence(body: str) -> str | None:
    """Return the text of the first JSON fence, or None."""
    start = 0 if body.startswith(FENCE) else body.find("\n" + FENCE) + 1
    if start == 0 and not body.startswith(FENCE):
        other = _OTHER_FENCE.search(body)
        return other.group(2) if other else None
    start += len(FENCE)
    end = body.find("\n```", start)
    return body[start:] if end < 0 else body[start:end]


def body_with(markdown: str, payload: Mapping[str, Any] | None = None) -> str:
    """Join Markdown text and a payload like the existing writers, in ASCII. Decimals become JSON numbers."""
    return markdown.strip("\n") + "\n" if payload is None else body_around(markdown, write_payload(payload))


def write_payload(payload: Mapping[str, Any]) -> str:
    """Write a payload as the JSON of a message."""
    return json_text(payload, ascii_only=True)


def body_around(markdown: str, written: str) -> str:
    """Join Markdown text and a written payload."""
    text = markdown.strip("\n")
    return f"{text}\n\n{FENCE}{written}\n```\n"
