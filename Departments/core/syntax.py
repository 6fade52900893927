"""What is wrong with a text that is not YAML or JSON, in words for people instead of the parsers'."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

#: A part of a parser's words (libyaml's and PyYAML's), the problem, the mend. The first that fits counts.
_YAML: Final[Sequence[tuple[str, str, str]]] = (
    ("mapping values are not allowed", "has a colon where none may be", "put the text in quotes or correct the indent"),
    ("expected ':'", "has a key without a colon", "write `key: value`"),
    ("',' or ']'", "has a list whose bracket is not closed", "close it with ]"),
    ("',' or '}'", "has a mapping whose brace is not closed", "close it with }"),
    ("escape", "has a backslash in double quotes", "use single quotes, or / in paths"),
    ("hexdecimal", "has a backslash in double quotes", "use single quotes, or / in paths"),
    ("expected escape sequence", "has a backslash in double quotes", "use single quotes, or / in paths"),
    ("end of stream", "has a quote that is not closed", "close the quote"),
    ("node content", "lacks a value or a closing bracket", "add it"),
    ("tab character", "has a tab in its indent", "use blanks"),
    (
        "cannot start any token",
        "begins with a tab or a reserved character",
        "use blanks for the indent, quotes for text",
    ),
    ("undefined alias", "has an asterisk before an unknown name", "put the text in quotes"),
    ("anchor", "has an ampersand before a name", "put the text in quotes"),
    ("alias", "has an asterisk before a name", "put the text in quotes"),
    ("tag", "has an exclamation mark before a name", "put the text in quotes"),
    ("control characters", "has a character that YAML does not allow", "remove it"),
    ("special characters", "has a character that YAML does not allow", "remove it"),
    ("expected key", "does not fit the lines above it", "correct the indent, and close every quote"),
    ("block end", "does not fit the lines above it", "correct the indent, and close every quote"),
    ("'-' indicator", "does not fit the list above it", "correct the indent"),
    ("indentation", "does not fit the lines above it", "correct the indent"),
    ("block sequence entries", "begins a list where none may be", "write the list below its key"),
    ("single document", "begins a second document", "remove the line `---`"),
    ("document start", "does not belong to the mapping above it", "write `key: value`"),
    ("a comment", "has a text behind a block mark", "write the text on the next line"),
)
_JSON: Final[Sequence[tuple[str, str]]] = (
    ("Expecting property name", "a key in double quotes is missing"),
    ("Expecting ':'", "a colon is missing"),
    ("Expecting ','", "a comma or a closing bracket is missing"),
    ("trailing comma", "a comma precedes a closing bracket"),
    ("Expecting value", "a value is missing"),
    ("Extra data", "a second text follows the first"),
    ("Unterminated string", "a quote is not closed"),
    ("control character", "a line break or another control character is inside quotes"),
    ("escape", "a backslash begins an unknown escape"),
)


def describe_yaml(words: str) -> tuple[str, str]:
    """Return problem and mend for a YAML parser's words."""
    found = ((problem, mend) for part, problem, mend in _YAML if part in words)
    return next(found, ("is not YAML", "correct indent, quotes and brackets there"))


def describe_json(error: ValueError) -> str:
    """Return the problem of a text that is not JSON, with its place where that is known."""
    if not isinstance(error, json.JSONDecodeError):
        return "a number is too long" if "digits" in str(error) else str(error)
    problem = next((ours for part, ours in _JSON if part in error.msg), "the text is not JSON")
    return f"line {error.lineno}, column {error.colno}: {problem}"
