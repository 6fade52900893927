"""Messages as bytes: writes exactly the existing format, reads everything that exists.

Reading is tolerant of form (key order, CRLF, byte order mark, Windows-1252, unquoted timestamps, regime texts without
front matter) and strict in substance: no duplicate keys, no anchors or aliases, a bounded header, no missing envelope.

The header is read and written by `front_matter.py`. Beside it there is only the exact inverse of our own writer; a
property test holds both equal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any, Final

import yaml

from Departments.core.errors import PublishError, UnreadableMessage
from Departments.core.moments import parse_iso
from Departments.messaging.front_matter import ENVELOPE, MAX_HEADER, BaseDumper, BaseLoader, FrontMatter, refuse_tricks
from Departments.messaging.legacy import is_regime_text, regime_message
from Departments.messaging.message import Message
from Departments.messaging.names import moment_in, stem

_W: Final = rb"(?!(?:null|Null|NULL)\n)([A-Za-z](?:[A-Za-z0-9_.\-]*[A-Za-z0-9_])?)\n"
_AS_WE_WRITE: Final = re.compile(
    rb"---\nmessage_id: %bfrom: %bto: %btimestamp: '(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)'\n"
    rb"message_type: %bpriority: %brequires_response: (true|false)\n(?:parent_message_id: %b)?---\n" % ((_W,) * 6)
)


_HANDLER: Final = FrontMatter()


@dataclass(frozen=True, slots=True)
class Decoded:
    """A message with its form (`front matter` or `regime text`)."""

    message: Message
    form: str

    @property
    def encoding(self) -> str:
        """The encoding of its file."""
        return _decoded_text(self.message.source)[1]

    @property
    def text(self) -> str:
        """The original text, with line feeds."""
        return _decoded_text(self.message.source)[0]


def encode(message: Message) -> bytes:
    """Write a message like the existing files: stable key order, LF, UTF-8.

    Raises PublishError for lone surrogates, a header over 64 K characters, and values without a YAML form.
    """
    header = _HANDLER.export(_metadata(message))
    if len(header) > MAX_HEADER:
        raise PublishError(f"{message.message_id[:80]}: the header is longer than {MAX_HEADER} characters")
    try:
        return b"".join((f"---\n{header}\n---\n".encode(), message.body.encode()))
    except UnicodeEncodeError as error:
        raise PublishError(f"{message.message_id!r}: the text cannot be written as UTF-8 ({error.reason})") from error


def _metadata(message: Message) -> dict[str, Any]:
    parent = message.parent_message_id
    metadata = {
        "message_id": message.message_id,
        "from": message.sender,
        "to": message.recipient,
        "timestamp": _moment_text(message.timestamp),
        "message_type": message.message_type,
        "priority": message.priority,
        "requires_response": message.requires_response,
        **({} if parent is None else {"parent_message_id": parent}),
    }
    for key, value in message.extra.items():
        if key in ENVELOPE:
            raise PublishError(f"{message.message_id}: the extra key {key!r} belongs to the envelope")
        metadata[key] = value
    return metadata


#: Finds the time of a file, None where it has none.
FileTime = Callable[[], datetime | None]


def decode(data: bytes, *, name: str, written_at: FileTime | None = None) -> Message:
    """Read the bytes of the message file `name`. Raises UnreadableMessage.

    Without a `timestamp` the stamp in the name counts, else `written_at`.
    """
    return examine(data, name=name, written_at=written_at).message


def examine(data: bytes, *, name: str, written_at: FileTime | None = None) -> Decoded:
    """Read a message file with its form. Raises UnreadableMessage naming file and cause."""
    ours = read_own(data)
    message, form = (ours, "front matter") if ours else _form_of(_decoded_text(data)[0], name, written_at)
    object.__setattr__(message, "source", data)  # before anybody else has it
    return Decoded(message, form)


def _form_of(text: str, name: str, written_at: FileTime | None) -> tuple[Message, str]:
    if not text.startswith("---"):
        text = text.lstrip("\n\t ")
    if _HANDLER.detect(text):
        return _read(text, name, written_at), "front matter"
    if is_regime_text(text):
        return regime_message(text, name), "regime text"
    problem = "has neither front matter nor a regime title" if text.strip("\0 \n\t") else "is empty"
    raise UnreadableMessage(f"{name}: the file {problem}")


def dump_mapping(values: Mapping[str, Any]) -> str:
    """Write a flat mapping as readable YAML, multi-line texts as blocks."""
    clean = {key: _whole(value) if isinstance(value, str) else value for key, value in values.items()}
    return str(yaml.dump(clean, Dumper=_ReadableDumper, sort_keys=False, allow_unicode=True, width=1_000))


def load_mapping(text: str) -> dict[str, Any]:
    """Read the output of `dump_mapping`. Anything but a plain mapping is read as an empty one."""
    try:
        refuse_tricks(text)
        found = yaml.load(text, Loader=BaseLoader)  # noqa: S506 - a safe loader
    except Exception:  # noqa: BLE001 - YAML's constructors raise many kinds of errors
        return {}
    return found if isinstance(found, dict) else {}


def _whole(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


class _ReadableDumper(BaseDumper):  # type: ignore[misc]
    """Writes texts of several lines as literal blocks."""


def _block(dumper: Any, text: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_ReadableDumper.add_representer(str, _block)


# --- writing ---


def _moment_text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


# --- reading ---


def _decoded_text(data: bytes) -> tuple[str, str]:
    text, encoding = _by_encoding(data)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text, encoding


def _by_encoding(data: bytes) -> tuple[str, str]:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace"), "utf-16"
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace"), "windows-1252"
    return (text[1:], "utf-8 with BOM") if text.startswith("\ufeff") else (text, "utf-8")


def _read(text: str, name: str, written_at: FileTime | None) -> Message:
    try:
        header, body = _HANDLER.split(text)
        return _message(_HANDLER.load(header), body, name, written_at)
    except UnreadableMessage as error:
        raise UnreadableMessage(f"{name}: {error}") from error


def read_own(data: bytes) -> Message | None:
    """Read bytes with exactly the header of `encode`. Returns None for any others. Copies the body once."""
    found = _AS_WE_WRITE.match(data)
    if found is None:
        return None
    *words, parent = (str(word or b"", "ascii") for word in found.groups())
    message_id, sender, recipient, timestamp, message_type, priority, response = words
    try:
        moment = datetime.fromisoformat(timestamp)
        body = str(memoryview(data)[found.end() :], "utf-8")
    except ValueError:
        return None
    is_asked = response == "true"
    return Message(message_id, sender, recipient, moment, message_type, body, priority, is_asked, parent or None)


def _message(fields: Mapping[str, Any], body: str, name: str, written_at: FileTime | None = None) -> Message:
    return Message(
        message_id=fields.get("message_id") or stem(name),
        sender=_require(fields, "from"),
        recipient=_require(fields, "to"),
        timestamp=_timestamp(fields.get("timestamp"), name, written_at),
        message_type=_require(fields, "message_type"),
        body=body,
        priority=fields.get("priority", "routine"),
        requires_response=fields.get("requires_response", "").lower() in {"true", "yes", "on"},
        parent_message_id=fields.get("parent_message_id"),
        extra={key: value for key, value in fields.items() if key not in ENVELOPE},
    )


def _require(fields: Mapping[str, str], key: str) -> str:
    value = fields.get(key)
    if value is None:
        raise UnreadableMessage(f"the front matter lacks the key '{key}'")
    return value


def _timestamp(text: str | None, name: str, written_at: FileTime | None) -> datetime:
    if not text:
        moment = moment_in(name) or (written_at() if written_at is not None else None)
        if moment is None:
            raise UnreadableMessage("the front matter lacks the key 'timestamp'")
        return moment
    try:
        return parse_iso(text)
    except (ValueError, OverflowError):
        return _odd_timestamp(text)


def _odd_timestamp(text: str) -> datetime:
    """Read times in YAML's own forms, and the `+00:00Z` of some writers."""
    plain = text.strip().removesuffix("Z") if "+" in text else text.strip()
    node = yaml.ScalarNode("tag:yaml.org,2002:timestamp", plain)
    try:
        found = yaml.constructor.SafeConstructor().construct_yaml_timestamp(node)
        if not isinstance(found, datetime):
            return datetime.combine(found, time(), UTC)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (AttributeError, ValueError, OverflowError) as error:  # AttributeError: not the form of a time
        raise UnreadableMessage(f"the timestamp {text[:80]!r} is not a time") from error
