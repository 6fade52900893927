"""The front matter of a message, as a handler of python-frontmatter.

The codec calls it directly: `frontmatter.loads` and `dumps` strip the text, swallow a failed split and lose the final
newline.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date, datetime
from functools import lru_cache
from typing import Any, Final

import yaml
from frontmatter.default_handlers import BaseHandler

from Departments.core.errors import PublishError, UnreadableMessage
from Departments.core.moments import iso
from Departments.core.syntax import describe_yaml

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
BaseLoader: Any = yaml.CSafeLoader if FAST_YAML else yaml.SafeLoader
BaseDumper: Any = yaml.CSafeDumper if FAST_YAML else yaml.SafeDumper

_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./\-]*\Z")
_RESERVED: Final = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
_CLOSING: Final = re.compile(r"\n---[ \t]*(?:\n|\Z)")
_OPENING: Final = re.compile(r"---[ \t]*\n")


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
            refuse_tricks(fm)
            found = yaml.load(fm, Loader=_HeaderLoader)  # noqa: S506 - a subclass of the safe loader
        except UnreadableMessage:
            raise
        except yaml.YAMLError as error:
            problem, mend = describe_yaml(str(getattr(error, "problem", None) or error))
            raise UnreadableMessage(f"the front matter is not valid YAML: it {problem}; {mend}") from error
        except Exception as error:  # YAML's constructors raise many kinds of errors (AttributeError, KeyError, …)
            raise UnreadableMessage(f"the front matter is not valid YAML: {error}") from error
        if not isinstance(found, dict):
            raise UnreadableMessage("the front matter is not a mapping of keys to values")
        return found

    def export(self, metadata: dict[str, object], **_: object) -> str:
        """Write a header, one key a line. Raises PublishError for values without a YAML form."""
        return "\n".join(f"{_key(key)}: {_value(value)}" for key, value in metadata.items())


# --- reading ---


def refuse_tricks(header: str) -> None:
    """Raise UnreadableMessage for anchors, aliases and nesting beyond MAX_DEPTH."""
    depth = 0
    for event in yaml.parse(header, Loader=BaseLoader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise UnreadableMessage("the front matter uses YAML anchors or aliases")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise UnreadableMessage(f"the front matter is nested more than {MAX_DEPTH} deep")


class _HeaderLoader(BaseLoader):  # type: ignore[misc]
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


# --- writing ---


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
