"""Messages as bytes: writes exactly the existing format, reads everything that exists.

Reading is tolerant of form (key order, CRLF, byte order mark, Windows-1252, unquoted timestamps, regime texts without
front matter) and strict in substance: no duplicate keys, no anchors or aliases, a bounded header, no missing envelope.

`FrontMatter`, a handler of python-frontmatter, reads and writes the header. We call it directly: `frontmatter.loads`
and `dumps` strip the text, swallow a failed split and lose the final newline. Beside it there is only the exact inverse
of our own writer; a property test holds both equal.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import Any, Final

import yaml
from frontmatter.default_handlers import BaseHandler

from Departments.core.errors import PublishError, UnreadableMessage
from Departments.core.moments import iso, parse_iso
from Departments.messaging.legacy import is_regime_text, regime_message
from Departments.messaging.message import Message
from Departments.messaging.names import moment_in, stem

MAX_HEADER: Final = 65_536  # characters
MAX_DEPTH: Final = 20
MAX_KEY: Final = 200
SHORT: Final = 32  # characters of a text that probably comes again
ENVELOPE: Final = (
    "message_id",
    "from",
    "to",
    "timestamp",
    "message_type",
    "priority",
    "requires_response",
    "parent_message_id",
)
#: Whether YAML is read by libyaml; without it, headers that are not flat are read several times slower.
FAST_YAML: Final = bool(yaml.__with_libyaml__)

_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./\-]*\Z")
_RESERVED: Final = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
_W: Final = r"(?!(?:null|Null|NULL)\n)([A-Za-z](?:[A-Za-z0-9_.\-]*[A-Za-z0-9_])?)\n"
_AS_WE_WRITE: Final = re.compile(
    rf"---\nmessage_id: {_W}from: {_W}to: {_W}timestamp: '(\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{6}}Z)'\n"
    rf"message_type: {_W}priority: {_W}requires_response: (true|false)\n(?:parent_message_id: {_W})?---\n"
)
_CLOSING: Final = re.compile(r"\n---[ \t]*(?:\n|\Z)")
_OPENING: Final = re.compile(r"---[ \t]*\n")
_BaseLoader: Any = yaml.CSafeLoader if FAST_YAML else yaml.SafeLoader
_BaseDumper: Any = yaml.CSafeDumper if FAST_YAML else yaml.SafeDumper


@dataclass(frozen=True, slots=True)
class Decoded:
    """A message with its form (`front matter` or `regime text`), encoding and original text."""

    message: Message
    form: str
    encoding: str
    text: str


def encode(message: Message) -> bytes:
    """Write a message like the existing files: stable key order, LF, UTF-8.

    Raises PublishError for lone surrogates, a header over 64 K characters, and values without a YAML form.
    """
    header = _HANDLER.export(_metadata(message))
    if len(header) > MAX_HEADER:
        raise PublishError(f"{message.message_id[:80]}: the header is longer than {MAX_HEADER} characters")
    try:
        return f"---\n{header}\n---\n{message.body}".encode()
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


def decode(data: bytes, *, name: str) -> Message:
    """Read the bytes of the message file `name`. Raises UnreadableMessage."""
    return examine(data, name=name).message


def examine(data: bytes, *, name: str) -> Decoded:
    """Read a message file with its form. Raises UnreadableMessage naming file and cause."""
    text, encoding = _decoded_text(data)
    message, form = _form_of(text, name)
    return Decoded(message, form, encoding, text)


def _form_of(text: str, name: str) -> tuple[Message, str]:
    if ours := read_own_text(text):
        return ours, "front matter"
    if not text.startswith("---"):
        text = text.lstrip("\n\t ")
    if _HANDLER.detect(text):
        return _read(text, name), "front matter"
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
        _refuse_tricks(text)
        found = yaml.load(text, Loader=_BaseLoader)  # noqa: S506 - a safe loader
    except Exception:  # noqa: BLE001 - YAML's constructors raise many kinds of errors
        return {}
    return found if isinstance(found, dict) else {}


def _whole(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


class _ReadableDumper(_BaseDumper):  # type: ignore[misc]
    """Writes texts of several lines as literal blocks."""


def _block(dumper: Any, text: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_ReadableDumper.add_representer(str, _block)


# --- writing ---


def _moment_text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _text(value: str) -> str:
    if _PLAIN.match(value) and value.lower() not in _RESERVED:
        return value
    if value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    return '"' + "".join(map(_escape, value)) + '"'


def _escape(character: str) -> str:
    code = ord(character)
    if 0xD800 <= code < 0xE000:
        raise PublishError(f"half a character, {code:#x}, cannot be written in the front matter")
    if character in '"\\':
        return "\\" + character
    if 32 <= code < 127:
        return character
    if code < 256:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 65_536 else f"\\U{code:08x}"


_word = lru_cache(maxsize=256)(_text)  # departments, types and priorities come again and again


@lru_cache(maxsize=256)
def _key(key: object) -> str:
    if not isinstance(key, str) or len(key) > MAX_KEY:
        raise PublishError(f"{str(key)[:80]!r} cannot be a key of the front matter")
    return _text(key)


def _value(value: Any) -> str:
    if isinstance(value, str):
        return _word(value) if len(value) < SHORT else _text(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(k)}: {_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return _number_or_time(value)


def _number_or_time(value: Any) -> str:
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _float_text(value)
    if isinstance(value, datetime):
        return iso(value) if value.tzinfo else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    raise PublishError(f"{type(value).__name__} cannot be written in the front matter")


def _float_text(value: float) -> str:
    if not math.isfinite(value):
        return ".nan" if math.isnan(value) else f"{'-' if value < 0 else ''}.inf"
    mantissa, exponent, power = repr(value).partition("e")
    return mantissa + ("" if "." in mantissa or not exponent else ".0") + exponent + power


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


def _read(text: str, name: str) -> Message:
    try:
        header, body = _HANDLER.split(text)
        return _message(_HANDLER.load(header), body, name)
    except UnreadableMessage as error:
        raise UnreadableMessage(f"{name}: {error}") from error


def read_own_text(text: str) -> Message | None:
    """Read a text with exactly the header of `encode`. Returns None for any other text."""
    found = _AS_WE_WRITE.match(text)
    if found is None:
        return None
    message_id, sender, recipient, timestamp, message_type, priority, response, parent = found.groups()
    try:
        moment = datetime.fromisoformat(timestamp)
    except ValueError:
        return None
    body, response = text[found.end() :], response == "true"
    return Message(message_id, sender, recipient, moment, message_type, body, priority, response, parent)


def _refuse_tricks(header: str) -> None:
    depth = 0
    for event in yaml.parse(header, Loader=_BaseLoader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise UnreadableMessage("the front matter uses YAML anchors or aliases")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise UnreadableMessage(f"the front matter is nested more than {MAX_DEPTH} deep")


class _HeaderLoader(_BaseLoader):  # type: ignore[misc]
    """Safe YAML: the envelope's scalars stay text, and no mapping may repeat a key."""

    def get_single_data(self) -> Any:
        """Build the one document."""
        node = self.get_single_node()
        return self._header(node) if isinstance(node, yaml.MappingNode) else None

    def _header(self, node: yaml.MappingNode) -> dict[str, Any]:
        found: dict[str, Any] = {}
        seen: set[str] = set()
        for key_node, value_node in node.value:
            key = str(self.construct_object(key_node, deep=True))
            if key in seen:
                raise ValueError(f"the key {key!r} appears twice")
            seen.add(key)
            if key not in ENVELOPE:
                found[key] = self.construct_object(value_node, deep=True)
            elif not isinstance(value_node, yaml.ScalarNode):
                raise ValueError(f"the key {key!r} does not hold a single value")
            elif value_node.tag != "tag:yaml.org,2002:null":
                found[key] = value_node.value
        return found

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        """Build a mapping and refuse a key that appears twice."""
        found = dict(super().construct_mapping(node, deep=deep))
        if len(found) < len(node.value):
            raise ValueError("a nested key appears twice")
        return found


class FrontMatter(BaseHandler):
    """Reads and writes the header of a message strictly, for python-frontmatter."""

    FM_BOUNDARY = re.compile(r"^---[ \t]*$", re.MULTILINE)
    START_DELIMITER = END_DELIMITER = "---"

    def detect(self, text: str) -> bool:
        """Return True if the text begins with a header."""
        return _OPENING.match(text) is not None

    def split(self, text: str) -> tuple[str, str]:
        """Return header and body unchanged. Raises UnreadableMessage for a header without an end."""
        opening = _OPENING.match(text)
        start = opening.end() if opening else 0
        closing = _CLOSING.search(text, max(0, start - 1), start + MAX_HEADER + 5)
        if opening is None or closing is None:
            raise UnreadableMessage("the front matter is not closed by a line '---'")
        return text[start : closing.start()], text[closing.end() :]

    def load(self, fm: str) -> dict[str, Any]:
        """Read a header: the envelope's keys as text, all others as YAML values.

        Raises UnreadableMessage for anything but one mapping, and for anchors, aliases and duplicate keys.
        """
        try:
            _refuse_tricks(fm)
            found = yaml.load(fm, Loader=_HeaderLoader)  # noqa: S506 - a subclass of the safe loader
        except UnreadableMessage:
            raise
        except Exception as error:  # YAML's constructors raise many kinds of errors (AttributeError, KeyError, …)
            problem = str(getattr(error, "problem", None) or error).partition("\n")[0]
            raise UnreadableMessage(f"the front matter is not valid YAML: {problem}") from error
        if not isinstance(found, dict):
            raise UnreadableMessage("the front matter is not a mapping of keys to values")
        return found

    def export(self, metadata: dict[str, object], **_: object) -> str:
        """Write a header, one key a line. Raises PublishError for values without a YAML form."""
        return "\n".join(f"{_key(key)}: {_value(value)}" for key, value in metadata.items())


_HANDLER: Final = FrontMatter()


def _message(fields: Mapping[str, Any], body: str, name: str) -> Message:
    return Message(
        message_id=fields.get("message_id") or stem(name),
        sender=_require(fields, "from"),
        recipient=_require(fields, "to"),
        timestamp=_timestamp(fields.get("timestamp"), name),
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


def _timestamp(text: str | None, name: str) -> datetime:
    if not text:
        moment = moment_in(name)
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
