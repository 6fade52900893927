"""Make texts of strangers safe for people: no text commands a terminal, forges a line or hides a part of itself.

The one function `make_safe` serves log lines, terminals, Markdown and HTML. Text without anything odd stays as it is.
"""

from __future__ import annotations

import html
import re
from enum import StrEnum
from typing import Final

#: Controls, bidirectional controls, zero-width and other invisible characters, separators of lines, half characters.
#: The last ones have no width although they count as letters or marks
#: (https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point).
_UNSAFE: Final = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    r"\U000e0000-\U000e0fff\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0\ufe00-\ufe0f"
)
_IN_LINE: Final = re.compile(rf"[\n\t{_UNSAFE}]")
_IN_LINES: Final = re.compile(f"[{_UNSAFE}]")
_MARKDOWN: Final = re.compile(r"[\\`|\[\]]")
_LINK: Final = re.compile(r"(?<=:)(?=//)|(?<=www)(?=\.)", re.IGNORECASE)


class Form(StrEnum):
    """The destination of a text: one line, lines of a terminal, a place in a line of Markdown, HTML."""

    LINE = "line"
    LINES = "lines"
    MARKDOWN = "markdown"
    HTML = "html"


def make_safe(text: object, form: Form = Form.LINE) -> str:
    """Return a text with escapes, bidirectional controls and the like visible and without effect.

    LINES and HTML keep line breaks and tabs, the others are one line. Markdown and HTML have no tags, links or code
    from the text; a place in a Markdown table stays one cell.
    """
    found = str(text)
    if _is_word(found):
        return found
    pattern = _IN_LINES if form in (Form.LINES, Form.HTML) else _IN_LINE
    shown = pattern.sub(lambda found: _name(found.group()), found)
    if form is Form.MARKDOWN:
        escaped = _MARKDOWN.sub(lambda found: f"\\{found.group()}", shown)
        return _LINK.sub(r"\\", escaped.replace("<", "&lt;"))
    return html.escape(shown) if form is Form.HTML else shown


def escape_in_json(text: str) -> str:
    """Return JSON with the same values and no invisible or controlling character."""
    if text.isascii() and text.replace("\n", "").isprintable():  # nearly all, and a hundred times as fast
        return text
    return _IN_LINES.sub(lambda found: "".join(f"\\u{unit:04x}" for unit in _units(found.group())), text)


def _is_word(text: str) -> bool:
    """Return True for letters and digits of ASCII, `_` and `-`: symbols, ids, dates. They are safe everywhere."""
    return text.isascii() and text.replace("_", "").replace("-", "").isalnum()


def _name(character: str) -> str:
    short = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character)
    code = ord(character)
    return short or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65_536 else f"\\U{code:08x}")


def _units(character: str) -> list[int]:
    data = character.encode("utf-16-be", "surrogatepass")
    return [int.from_bytes(data[start : start + 2]) for start in range(0, len(data), 2)]
